//! How well the server learns: from some episodes of a corpus, and asked about the others as if they happened now,
//! beside what counting alone makes of the same episodes. What is measured stands in docs/CONTRIBUTING.md.

mod baseline;
pub(crate) mod corpus;
mod figures;
mod patterns;
mod tools;
mod walk;

use std::io::Write;

use anyhow::Context;

use crate::eval::store::Store;
use crate::launch::Launch;
use baseline::Baseline;
use corpus::{Corpus, Fold};
use figures::CorpusRun;
use tools::Tools;
use walk::Walk;

/// Fails if the server does not have the tools that learning is measured by.
pub(crate) fn ensure_measurable(launch: &Launch) -> anyhow::Result<()> {
    tools::ensure_complete(&Store::open(launch, &[])?.tools()?)
}

/// Fills and asks a memory for each fold; at most `sample` episodes of each are walked through, all if it is 0.
pub(crate) fn run(
    launch: &Launch,
    set: &str,
    corpus: &Corpus,
    folds: &[Fold],
    sample: usize,
) -> anyhow::Result<CorpusRun> {
    let mut run = CorpusRun {
        set: set.into(),
        corpus: corpus.name.clone(),
        folds: folds.len(),
        held_out: folds.iter().map(|fold| fold.held_out.len()).sum(),
        ..CorpusRun::default()
    };
    let tasks = corpus.tasks();
    for (number, fold) in folds.iter().enumerate() {
        let walked = sampled(&fold.held_out, sample);
        let (learned, asked) = (fold.learned.len(), walked.len());
        let progress =
            format!("fold {} of {}: {learned} learned, {asked} asked about", number + 1, folds.len());
        writeln!(std::io::stderr(), "{set} {}, {progress}", corpus.name)?;
        let mut store = filled(launch, corpus, &fold.learned)?;
        let mut tools = Tools { server: &mut store, times: &mut run.times };
        let patterns = tools.patterns()?;
        let baseline = Baseline::of(fold.learned.iter().map(|place| &corpus.episodes[*place]));
        for place in walked {
            let episode = &corpus.episodes[place];
            let walk = Walk::through(episode, &mut tools, &baseline)
                .with_context(|| format!("failed to walk through {}", episode.id))?;
            run.walks.push(Walk { fold: number, task: tasks[place], ..walk });
        }
        let mut store = filled(launch, corpus, &fold.held_out)?;
        let mut tools = Tools { server: &mut store, times: &mut run.times };
        run.patterns.test((number, fold), corpus, patterns, &mut tools)?;
    }
    Ok(run)
}

/// A new memory that has learned from these episodes, in their order.
fn filled(launch: &Launch, corpus: &Corpus, places: &[usize]) -> anyhow::Result<Store> {
    let mut file = tempfile::NamedTempFile::with_suffix(".jsonl")?;
    for place in places {
        writeln!(file, "{}", corpus.lines[*place])?;
    }
    file.flush()?;
    let mut store = Store::open(launch, &[file.path().to_owned()])?;
    store.settle()?;
    Ok(store)
}

/// So many, evenly spaced; all for 0.
fn sampled(places: &[usize], sample: usize) -> Vec<usize> {
    let count = if sample == 0 { places.len() } else { sample.min(places.len()) };
    (0..count).map(|number| places[number * places.len() / count]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_evenly_spaced() {
        assert_eq!(sampled(&[10, 11, 12, 13, 14, 15], 3), [10, 12, 14]);
        assert_eq!(sampled(&[10, 11], 0), [10, 11]);
        assert_eq!(sampled(&[10, 11], 5), [10, 11]);
        assert!(sampled(&[], 5).is_empty());
    }
}
