//! How well the server recalls: a black box that is filled and asked through its tools, beside plain BM25 over the same
//! texts. The data may be any that has the form described in docs/CONTRIBUTING.md.

mod bm25;
mod collection;
mod data;
mod interval;
mod measure;
mod report;
mod sets;
mod store;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

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
            Self::Episodes => "episodes",
        };
        let folder = data.ok_or_else(|| format!("`--data` names no directory with {name}/"))?.join(name);
        if folder.is_dir() { Ok(folder) } else { Err(format!("there is no {}", folder.display())) }
    }

    fn run(self, launch: &Launch, folder: &Path) -> anyhow::Result<SetRun> {
        let run = match self {
            Self::LocomoTurns => locomo::turns,
            Self::LocomoSessions => locomo::sessions,
            Self::Procedural => procedural::run,
            Self::Facts => facts::run,
            Self::Precision => precision::cases,
            Self::PrecisionSessions => precision::sessions,
            Self::Episodes => episodes::run,
            Self::Notes => notes::run,
        };
        run(launch, folder).with_context(|| format!("failed to evaluate {}", self.name()))
    }

    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// The notes that are shipped with this code.
fn own_notes() -> PathBuf {
    root().join("crates/xtask/data/notes")
}

/// Evaluates, and prints each set as soon as it is done.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let launch = Launch::new(options.server.as_deref(), options.model.as_deref())?;
    let mut dump = match &options.dump {
        Some(path) => {
            Some(File::create(path).with_context(|| format!("failed to create {}", path.display()))?)
        }
        None => None,
    };
    let mut out = std::io::stdout().lock();
    let mut document: Vec<Value> = Vec::new();
    let asked_for = |set: &Set| options.sets.is_empty() || options.sets.contains(set);
    for set in Set::value_variants().iter().filter(|set| asked_for(set)) {
        let folder = match set.folder(options.data.as_deref()) {
            Ok(folder) => folder,
            Err(reason) => {
                document.push(json!({"set": set.name(), "skipped": reason}));
                if !options.json {
                    writeln!(out, "{}: skipped, {reason}\n", set.name())?;
                }
                continue;
            }
        };
        let run = set.run(&launch, &folder)?;
        if let Some(file) = &mut dump {
            run.dump().try_for_each(|line| writeln!(file, "{line}"))?;
        }
        let report = run.report();
        document.push(serde_json::to_value(&report)?);
        if !options.json {
            writeln!(out, "{report}")?;
        }
    }
    if options.json {
        let model = launch.model.as_deref().map(Path::display).map(|path| path.to_string());
        let whole = json!({"server": launch.binary.display().to_string(), "model": model, "sets": document});
        writeln!(out, "{whole:#}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
