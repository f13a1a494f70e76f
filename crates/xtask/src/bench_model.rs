//! Measures a sentence encoder on one thread.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use embeddings::{Active, Library, LocalModel};

const ROUNDS: usize = 50;

/// Prints how long the encoder in `dir` takes for queries, longer texts and batches.
pub(crate) fn run(dir: &Path) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let scratch = tempfile::tempdir()?;
    let library = Library::new(scratch.path().to_owned());
    for name in ["first", "later"] {
        let begun = Instant::now();
        let active = Active::find(&library, Some(dir))?.context("no model is in use")?;
        active.open(|_| None)?;
        writeln!(out, "{name} opening for serving in {:.2} ms", begun.elapsed().as_secs_f64() * 1e3)?;
    }
    let begun = Instant::now();
    let mut model = LocalModel::open(dir).with_context(|| format!("failed to open {}", dir.display()))?;
    writeln!(out, "loaded in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3)?;
    let begun = Instant::now();
    model.encode(&[text_of(8)]);
    writeln!(out, "first text in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3)?;
    for tokens in [8, 16, 54, 256] {
        let texts = [text_of(tokens)];
        let tokens = model.tokens(&texts[0]).len();
        writeln!(out, "{tokens:>4} tokens: {:.2} ms", median_millis(&mut model, &texts))?;
    }
    let texts = vec![text_of(16); 64];
    let millis = median_millis(&mut model, &texts);
    writeln!(out, "batches of texts of 16 tokens: {:.0} texts/s", texts.len() as f64 / millis * 1e3)?;
    #[cfg(target_os = "linux")]
    for line in std::fs::read_to_string("/proc/self/status")?.lines() {
        if ["VmRSS", "RssAnon", "RssFile"].iter().any(|name| line.starts_with(name)) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// A text of so many tokens, with those that begin and end it.
fn text_of(tokens: usize) -> String {
    ["the test fails again when two servers run at once"; 26]
        .join(" ")
        .split(' ')
        .take(tokens - 2)
        .collect::<Vec<_>>()
        .join(" ")
}

fn median_millis(model: &mut LocalModel, texts: &[String]) -> f64 {
    let mut millis: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            model.encode(texts);
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    millis.sort_by(f64::total_cmp);
    millis[ROUNDS / 2]
}
