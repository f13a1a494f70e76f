//! What recall costs in a memory of very many notes: synthetic ones, asked through the release binary over stdio.

mod figures;
mod measure;
mod stock;
mod texts;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::launch::Launch;

use stock::Stock;
use texts::Texts;

/// What to measure, and with what.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The directory of a sentence encoder; only search by words is measured without
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// How many notes the memory has; may be given several times
    #[arg(long, value_name = "N", default_values_t = [1_000, 10_000, 100_000])]
    notes: Vec<usize>,
    /// The server to measure instead of the release binary
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// What the notes are drawn from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Makes a memory of each size where none is kept from an earlier run, and prints what recall costs in it.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let server = options.server.as_deref();
    let by_words = Launch::new(server, None)?;
    let texts = Texts::new(options.seed);
    let stock = Stock::new(&texts, options.model.as_deref())?;
    let mut out = std::io::stdout().lock();
    if let Some(embedding) = stock.embedding()? {
        writeln!(out, "embedding a question, which hybrid search includes: {embedding}\n")?;
    }
    for notes in &options.notes {
        let made = stock.by_words(&by_words, *notes)?;
        write!(out, "{}", measure::run(&by_words, &texts, &made)?)?;
        if let Some(model) = options.model.as_deref() {
            let by_meaning = Launch::new(server, Some(model))?;
            let made = stock.by_meaning(&by_meaning, &made)?;
            write!(out, "{}", measure::run(&by_meaning, &texts, &made)?)?;
        }
    }
    Ok(())
}
