//! How well the server recalls: a black box that is filled and asked through its tools, beside plain BM25 over the same
//! texts; and how well it learns, beside what counting alone learns. The data may be any that has the form described in
//! docs/CONTRIBUTING.md.

mod bm25;
mod collection;
mod data;
mod interval;
mod learning;
mod measure;
mod report;
mod sets;
mod store;

use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::{Value, json};

use crate::eval::learning::corpus::{Corpus, Protocol};
use crate::eval::report::SetRun;
use crate::eval::sets::{episodes, facts, locomo, notes, precision, procedural};
use crate::launch::Launch;
use crate::root;

/// What to evaluate, and with what.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The directory with the sets, each in a folder of its own; only our own notes without
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The directory of a sentence encoder; search is by words only without
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Only these sets
    #[arg(long = "set", value_name = "NAME")]
    sets: Vec<Set>,
    /// The server to evaluate instead of the release binary
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
    /// Of each fold of the learning sets walk through so many held-out episodes at most; 0 is all of them
    #[arg(long, value_name = "N", default_value_t = 0)]
    sample: usize,
    /// Print one JSON document instead of tables
    #[arg(long)]
    json: bool,
    /// Write each question with what was found to this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Set {
    LocomoTurns,
    LocomoSessions,
    Procedural,
    Facts,
    Precision,
    PrecisionSessions,
    Episodes,
    Notes,
    LearningRepeat,
    LearningTransfer,
}

impl Set {
    /// Its folder; what is missing is `Err` with the reason.
    fn folder(self, data: Option<&Path>) -> Result<PathBuf, String> {
        let name = match self {
            Self::Notes => return Ok(own_notes()),
            Self::LocomoTurns | Self::LocomoSessions => "locomo",
            Self::Procedural => "procedural",
            Self::Facts => "facts",
            Self::Precision | Self::PrecisionSessions => "precision",
            Self::Episodes | Self::LearningRepeat | Self::LearningTransfer => "episodes",
        };
        let folder = data.ok_or_else(|| format!("`--data` names no directory with {name}/"))?.join(name);
        if folder.is_dir() { Ok(folder) } else { Err(format!("there is no {}", folder.display())) }
    }

    fn work(self) -> Work {
        match self {
            Self::LocomoTurns => Work::Recall(locomo::turns),
            Self::LocomoSessions => Work::Recall(locomo::sessions),
            Self::Procedural => Work::Recall(procedural::run),
            Self::Facts => Work::Recall(facts::run),
            Self::Precision => Work::Recall(precision::cases),
            Self::PrecisionSessions => Work::Recall(precision::sessions),
            Self::Episodes => Work::Recall(episodes::run),
            Self::Notes => Work::Recall(notes::run),
            Self::LearningRepeat => Work::Learning(Protocol::Repeat),
            Self::LearningTransfer => Work::Learning(Protocol::Transfer),
        }
    }

    /// Evaluates, and tells each report as soon as it is done.
    fn run(self, launch: &Launch, folder: &Path, sample: usize, told: &mut Told<'_>) -> anyhow::Result<()> {
        let protocol = match self.work() {
            Work::Recall(run) => {
                let run = run(launch, folder)?;
                return told.report(&run.report(), run.dump());
            }
            Work::Learning(protocol) => protocol,
        };
        learning::ensure_measurable(launch)?;
        for file in data::files(folder)? {
            let corpus = Corpus::read(&file)?;
            match corpus.folds(protocol) {
                Ok(folds) => {
                    let run = learning::run(launch, &self.name(), &corpus, &folds, sample)?;
                    told.report(&run.report(), run.dump())?;
                }
                Err(reason) => told.skipped(&self.name(), Some(&corpus.name), &reason)?,
            }
        }
        Ok(())
    }

    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// What is done for a set.
enum Work {
    /// Questions are asked of a memory.
    Recall(fn(&Launch, &Path) -> anyhow::Result<SetRun>),
    /// Memories learn from some episodes and are asked about the others.
    Learning(Protocol),
}

/// The notes that are shipped with this code.
fn own_notes() -> PathBuf {
    root().join("crates/xtask/data/notes")
}

/// Where results go: each as text at once, or all as one document at the end.
struct Told<'a> {
    out: &'a mut dyn Write,
    json: bool,
    document: Vec<Value>,
    dump: Option<File>,
}

impl Told<'_> {
    fn report(
        &mut self,
        report: &(impl Display + Serialize),
        dump: impl Iterator<Item = Value>,
    ) -> anyhow::Result<()> {
        if let Some(file) = &mut self.dump {
            for line in dump {
                writeln!(file, "{line}")?;
            }
        }
        self.document.push(serde_json::to_value(report)?);
        if !self.json {
            writeln!(self.out, "{report}")?;
        }
        Ok(())
    }

    /// Of a set without a corpus, all of it.
    fn skipped(&mut self, set: &str, corpus: Option<&str>, reason: &str) -> anyhow::Result<()> {
        let mut skipped = json!({"set": set, "skipped": reason});
        if let Some(corpus) = corpus {
            skipped["corpus"] = corpus.into();
        }
        self.document.push(skipped);
        if !self.json {
            let name = corpus.map_or(set.to_owned(), |corpus| format!("{set} {corpus}"));
            writeln!(self.out, "{name}: skipped, {reason}\n")?;
        }
        Ok(())
    }
}

/// Evaluates, and prints each report as soon as it is done.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let launch = Launch::new(options.server.as_deref(), options.model.as_deref())?;
    let dump = match &options.dump {
        Some(path) => {
            Some(File::create(path).with_context(|| format!("failed to create {}", path.display()))?)
        }
        None => None,
    };
    let mut out = std::io::stdout().lock();
    let mut told = Told { out: &mut out, json: options.json, document: Vec::new(), dump };
    let asked_for = |set: &Set| options.sets.is_empty() || options.sets.contains(set);
    for set in Set::value_variants().iter().filter(|set| asked_for(set)) {
        match set.folder(options.data.as_deref()) {
            Ok(folder) => set
                .run(&launch, &folder, options.sample, &mut told)
                .with_context(|| format!("failed to evaluate {}", set.name()))?,
            Err(reason) => told.skipped(&set.name(), None, &reason)?,
        }
    }
    if options.json {
        let model = launch.model.as_deref().map(Path::display).map(|path| path.to_string());
        let server = launch.binary.display().to_string();
        let whole = json!({"server": server, "model": model, "sets": told.document});
        writeln!(told.out, "{whole:#}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
