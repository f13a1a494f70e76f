//! Importing runs recorded elsewhere: JSON lines, one run each.

use std::collections::BTreeMap;
use std::io::BufRead;

use anyhow::Context;
use memory_core::episode::{Basis, Brief, NewStep, Outcome, Scope, StepResult};
use memory_core::error::Error;
use memory_core::memory::{NewEnding, NewEpisode};
use memory_core::port::Inserted;
use serde::Deserialize;
use serde_json::Value;

use crate::limits::{IMPORT_BATCH, IMPORT_LINE_BYTES_MAX, IMPORT_PROBLEMS_SHOWN};
use crate::wire::parse::{Violations, non_blank, text};
use crate::wiring::App;

/// One line. Fields that are not listed are ignored.
#[derive(Debug, Deserialize)]
pub(crate) struct Run {
    /// The external id: a run of the same id is not imported twice.
    id: String,
    task: String,
    #[serde(default)]
    steps: Vec<RunStep>,
    domain: Option<String>,
    /// Becomes the project.
    repo: Option<String>,
    /// Whether the run succeeded; absent or null where nobody knows.
    success: Option<bool>,
    reward: Option<f64>,
    /// One of this product's outcomes, or anything else that is worth keeping as context.
    #[serde(default)]
    outcome: Value,
    /// What the outcome rests on, by its name; anything else is taken as not said.
    #[serde(default)]
    basis: Value,
    summary: Option<String>,
    started_at: Option<String>,
    #[serde(default)]
    files_edited: Vec<String>,
    #[serde(flatten)]
    origin: Origin,
}

/// Where a run comes from; kept as context.
#[derive(Debug, Deserialize)]
struct Origin {
    corpus: Option<String>,
    task_id: Option<String>,
    agent: Option<String>,
    model: Option<String>,
    run: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct RunStep {
    tool: String,
    #[serde(default)]
    args: Value,
    thought: Option<String>,
    #[serde(default)]
    observation: Value,
    ok: Option<bool>,
    error_type: Option<String>,
    error: Option<String>,
}

impl Run {
    /// Reads one line.
    pub(crate) fn parse(line: &[u8]) -> Result<NewEpisode, String> {
        let line = std::str::from_utf8(line).map_err(|error| format!("not UTF-8: {error}"))?;
        let run: Self = serde_json::from_str(line).map_err(|error| error.to_string())?;
        run.into_episode().map_err(|error| error.to_string())
    }

    fn into_episode(self) -> Result<NewEpisode, Error> {
        let mut violations = Violations::default();
        let started_at = violations.time("started_at", self.started_at.as_deref());
        if self.id.trim().is_empty() {
            violations.add("id", "is empty; it must name the run");
        }
        violations.finish()?;
        let named = self.outcome.as_str().and_then(|name| name.parse().ok());
        let outcome =
            named.or(self.success.map(|success| if success { Outcome::Success } else { Outcome::Failure }));
        let mut context = self.origin.into_context();
        if named.is_none()
            && let Some(outcome) = text(self.outcome)
        {
            context.insert("outcome".into(), outcome);
        }
        let brief = Brief {
            task: self.task,
            scope: Scope { domain: non_blank(self.domain), project: non_blank(self.repo) },
            task_type: None,
            tags: Vec::new(),
            context,
        };
        let ending = NewEnding {
            outcome,
            summary: non_blank(self.summary),
            reward: self.reward,
            artifacts: self.files_edited,
            basis: self.basis.as_str().and_then(|name| name.parse::<Basis>().ok()),
        };
        let steps = self.steps.into_iter().map(RunStep::into_step).collect();
        Ok(NewEpisode { external_id: Some(self.id), brief, started_at, steps, ending: Some(ending) })
    }
}

impl Origin {
    fn into_context(self) -> BTreeMap<String, String> {
        let Self { corpus, task_id, agent, model, run } = self;
        let run = run.map(|run| run.to_string());
        let named =
            [("corpus", corpus), ("task_id", task_id), ("agent", agent), ("model", model), ("run", run)];
        named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), non_blank(value)?))).collect()
    }
}

impl RunStep {
    fn into_step(self) -> NewStep {
        let error = non_blank(self.error).or(non_blank(self.error_type));
        let result = match (self.ok, error) {
            (Some(true), _) | (None, None) => StepResult::Succeeded,
            (_, error) => StepResult::Failed { error: error.unwrap_or_default() },
        };
        NewStep {
            external_id: None,
            tool: self.tool,
            action: non_blank(self.thought),
            args: non_blank(text(self.args)),
            observation: non_blank(text(self.observation)),
            result,
            duration_ms: None,
        }
    }
}

/// What an import did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ImportReport {
    /// Runs stored.
    pub(crate) stored: u64,
    /// Steps stored with them.
    pub(crate) steps: u64,
    /// Runs that were there already.
    pub(crate) existing: u64,
    /// Lines that were skipped.
    pub(crate) skipped: u64,
    /// The first of them, with the reason.
    pub(crate) problems: Vec<(u64, String)>,
}

impl ImportReport {
    /// Notes that a line was skipped. What a batch refuses comes after what later lines could not be read for.
    fn skip(&mut self, line: u64, reason: String) {
        self.skipped += 1;
        let place = self.problems.partition_point(|(earlier, _)| *earlier < line);
        self.problems.insert(place, (line, reason));
        self.problems.truncate(IMPORT_PROBLEMS_SHOWN);
    }
}

/// Reads runs line by line and stores them in batches. `advance` is told how many bytes were read.
///
/// # Errors
/// If reading fails or the store does. What was stored before stays, and a repeated import goes on from there.
pub(crate) async fn import(
    app: &App,
    mut input: impl BufRead,
    mut advance: impl FnMut(u64),
) -> anyhow::Result<ImportReport> {
    let mut report = ImportReport::default();
    let mut batch: Vec<(u64, NewEpisode)> = Vec::with_capacity(IMPORT_BATCH);
    let mut number = 0;
    let mut line = Vec::new();
    loop {
        let (bytes, whole) = read_line(&mut input, &mut line)
            .with_context(|| format!("failed to read after line {number}"))?;
        if bytes == 0 {
            break;
        }
        number += 1;
        advance(bytes);
        if !whole {
            let reason = format!("longer than {IMPORT_LINE_BYTES_MAX} bytes, the most that is read");
            report.skip(number, reason);
        } else if !line.trim_ascii().is_empty() {
            match Run::parse(&line) {
                Ok(episode) => batch.push((number, episode)),
                Err(reason) => report.skip(number, reason),
            }
        }
        if batch.len() == IMPORT_BATCH {
            store(app, std::mem::take(&mut batch), &mut report).await?;
        }
    }
    store(app, batch, &mut report).await?;
    Ok(report)
}

/// Reads one line into `line`, without its end; returns how many bytes it took, and whether all of it was kept.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<(u64, bool)> {
    line.clear();
    let mut bytes = 0;
    let mut whole = true;
    loop {
        let available = input.fill_buf()?;
        if available.is_empty() {
            return Ok((bytes, whole));
        }
        let newline = available.iter().position(|byte| *byte == b'\n');
        let taken = &available[..newline.unwrap_or(available.len())];
        whole &= line.len() + taken.len() <= IMPORT_LINE_BYTES_MAX;
        if whole {
            line.extend_from_slice(taken);
        }
        let consumed = taken.len() + usize::from(newline.is_some());
        bytes += consumed as u64;
        input.consume(consumed);
        if newline.is_some() {
            return Ok((bytes, whole));
        }
    }
}

async fn store(app: &App, batch: Vec<(u64, NewEpisode)>, report: &mut ImportReport) -> anyhow::Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let lines: Vec<(u64, u64)> =
        batch.iter().map(|(line, episode)| (*line, episode.steps.len() as u64)).collect();
    let episodes = batch.into_iter().map(|(_, episode)| episode).collect();
    let first = lines.first().map_or(0, |(line, _)| *line);
    let results = app.whole_memory.import(episodes).await.with_context(|| {
        format!("failed to store the runs from line {first} on; what came before is stored, repeat the import to go on")
    })?;
    for ((line, steps), result) in lines.into_iter().zip(results) {
        match result {
            Ok(Inserted::New) => {
                report.stored += 1;
                report.steps += steps;
            }
            Ok(Inserted::Existing(_)) => report.existing += 1,
            Err(error) => report.skip(line, error.to_string()),
        }
    }
    Ok(())
}
