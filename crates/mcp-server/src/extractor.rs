//! The command `extractor`: the extractors that a user adds.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use memory_core::episode::{Episode, Outcome};
use memory_core::extract::Sighting;
use memory_core::id::EpisodeId;
use memory_core::memory::NewEpisode;
use sandbox::{Ambient, Report, Sandbox};
use serde_json::{Map, Value};

use crate::config::reload::InEffect;
use crate::limits::EXTRACTOR_EPISODE_BYTES_MAX;
use crate::plugins::{Description, Extractors, State, Status, call, describe, input, limits, read};
use crate::wire::episode::CreateEpisodeArgs;
use crate::wiring::App;

#[derive(Debug, Subcommand)]
pub(crate) enum ExtractorCommand {
    /// Which extractors there are, and how it stands with them
    List,
    /// Try an extractor on an episode: what it finds, what it uses, what is wrong with it. Nothing is stored
    Test {
        /// The extractor: a JavaScript file
        file: PathBuf,
        /// The id or external id of a stored episode, or a JSON file: the arguments of create_episode, or what get_episode
        /// returned
        #[arg(long = "on", value_name = "EPISODE")]
        on: String,
    },
    /// Check an extractor, put it into the data directory, and learn everything anew with it
    Add {
        /// The extractor: a JavaScript file. One of the same name is replaced
        file: PathBuf,
    },
    /// Use an extractor again that was disabled or quarantined, and learn everything anew with it
    Enable {
        /// Its name
        name: String,
    },
    /// Use an extractor no more; what was learned from it is forgotten
    Disable {
        /// Its name
        name: String,
    },
}

/// Does what the command says.
pub(crate) async fn run(command: ExtractorCommand, settings: Arc<InEffect>) -> anyhow::Result<ExitCode> {
    match command {
        ExtractorCommand::List => {
            let extractors = Extractors::new(settings.extractors());
            let all = extractors.status().await;
            extractors.shutdown().await;
            list(&mut std::io::stdout().lock(), &all, &settings.extractors())?;
            Ok(ExitCode::SUCCESS)
        }
        ExtractorCommand::Test { file, on } => test(&settings, &file, &on).await,
        ExtractorCommand::Add { file } => add(&settings, &file).await,
        ExtractorCommand::Enable { name } => mark(&settings, &name, true).await,
        ExtractorCommand::Disable { name } => mark(&settings, &name, false).await,
    }
}

fn list(out: &mut impl Write, all: &[Status], directory: &Path) -> std::io::Result<()> {
    if all.is_empty() {
        let shown = directory.display();
        return writeln!(out, "There is none in {shown}. Try: memory-mcp extractor add FILE");
    }
    for Status { name, state, description, .. } in all {
        writeln!(out, "{name}: {}", state.name().replace('_', " "))?;
        match state {
            State::Quarantined(why) | State::Unusable(why) => writeln!(out, "  {why}")?,
            State::InUse | State::Disabled => {}
        }
        if let Some(description) = description {
            writeln!(out, "  {description}")?;
        }
        writeln!(out, "  {}", directory.join(format!("{name}.js")).display())?;
    }
    Ok(())
}

async fn add(settings: &Arc<InEffect>, file: &Path) -> anyhow::Result<ExitCode> {
    let shown = file.display();
    let code = read(file).map_err(anyhow::Error::msg).with_context(|| format!("failed to read {shown}"))?;
    let sandbox = Sandbox::new(limits(), Ambient::default());
    let described = describe(&sandbox, &code).await;
    sandbox.shutdown().await;
    let Description { name, .. } = described.with_context(|| format!("{shown} was not added"))?;
    settings.create_data_dir()?;
    let extractors = Extractors::new(settings.extractors());
    let directory = extractors.directory();
    let added = directory.add(&name, &code).and_then(|file| directory.enable(&name).map(|()| file));
    let added = added.with_context(|| format!("failed to write to {}", directory.path().display()))?;
    learn(settings, &format!("{name} is in use: {}", added.display())).await
}

async fn mark(settings: &Arc<InEffect>, name: &str, used: bool) -> anyhow::Result<ExitCode> {
    let extractors = Extractors::new(settings.extractors());
    let all = extractors.status().await;
    let directory = extractors.directory();
    if !all.iter().any(|status| status.name == name) {
        let names: Vec<&str> = all.iter().map(|status| status.name.as_str()).collect();
        let known = if names.is_empty() { "there is none".to_owned() } else { names.join(", ") };
        bail!("there is no extractor {name:?} in {}: {known}", directory.path().display());
    }
    let marked = if used { directory.enable(name) } else { directory.disable(name) };
    marked.with_context(|| format!("failed to write to {}", directory.path().display()))?;
    let after = extractors.status().await;
    extractors.shutdown().await;
    let state = after.into_iter().find(|status| status.name == name).map(|status| status.state);
    if let Some(State::Unusable(why)) = state.filter(|_| used) {
        bail!("{name} cannot be used: {why}");
    }
    learn(settings, &format!("{name} is {}", if used { "in use" } else { "disabled" })).await
}

/// Learns everything anew if other extractors are in use than before.
async fn learn(settings: &Arc<InEffect>, done: &str) -> anyhow::Result<ExitCode> {
    let app = App::open(settings.clone()).await?;
    app.learn_all().await;
    app.close().await;
    writeln!(std::io::stdout().lock(), "{done}; everything is learned anew with what is in use now")?;
    Ok(ExitCode::SUCCESS)
}

async fn test(settings: &Arc<InEffect>, file: &Path, on: &str) -> anyhow::Result<ExitCode> {
    let shown = file.display();
    let code = read(file).map_err(anyhow::Error::msg).with_context(|| format!("failed to read {shown}"))?;
    let episode = episode(settings, on).await?;
    let sandbox = Sandbox::new(limits(), Ambient::default());
    let tried = attempt(&sandbox, &code, &episode).await;
    sandbox.shutdown().await;
    let mut out = std::io::stdout().lock();
    let problem = match tried? {
        Ok(tried) => match write_tried(&mut out, &tried, file, &episode)? {
            Ok(()) => return Ok(ExitCode::SUCCESS),
            Err(problem) => problem,
        },
        Err(problem) => problem,
    };
    writeln!(out, "{shown}: {problem}")?;
    Ok(ExitCode::FAILURE)
}

/// What came of trying an extractor.
struct Tried {
    description: Description,
    report: Report,
    seen: Result<Vec<Sighting>, String>,
}

/// Tries an extractor; the inner error says what is wrong with what it says of itself.
async fn attempt(sandbox: &Sandbox, code: &str, episode: &Episode) -> anyhow::Result<Result<Tried, String>> {
    let description = match describe(sandbox, code).await {
        Ok(description) => description,
        Err(failure) => return Ok(Err(failure.to_string())),
    };
    let input = input(episode.clone())?;
    let (report, seen) = call(sandbox, &description.name, code, input).await?;
    Ok(Ok(Tried { description, report, seen }))
}

/// Writes what came of it; the inner error says what is wrong with what the extractor returned.
fn write_tried(
    out: &mut impl Write,
    tried: &Tried,
    file: &Path,
    episode: &Episode,
) -> std::io::Result<Result<(), String>> {
    let Description { name, description, .. } = &tried.description;
    writeln!(out, "{name}: {description}")?;
    if let Some(stem) = file.file_stem().filter(|stem| *stem != name.as_str()) {
        let stem = stem.to_string_lossy();
        writeln!(out, "the file must be called {name}.js, not {stem}.js, where it is used")?;
    }
    writeln!(out, "on: {}", episode.head.brief.task)?;
    write_report(out, &tried.report)?;
    match &tried.seen {
        Ok(seen) => write_findings(out, seen, episode).map(Ok),
        Err(problem) => Ok(Err(problem.clone())),
    }
}

fn write_report(out: &mut impl Write, report: &Report) -> std::io::Result<()> {
    let usage = &report.usage;
    writeln!(
        out,
        "it used {:.2} ms, {:.1} of {} million instructions, {:.1} MiB",
        usage.time.as_secs_f64() * 1e3,
        usage.fuel as f64 / 1e6,
        limits().fuel / 1_000_000,
        usage.memory_peak_bytes as f64 / f64::from(1 << 20)
    )?;
    for (name, text) in [("console.log", &report.stdout), ("console.error", &report.stderr)] {
        for line in text.lines() {
            writeln!(out, "{name}: {line}")?;
        }
    }
    Ok(())
}

fn write_findings(out: &mut impl Write, seen: &[Sighting], episode: &Episode) -> std::io::Result<()> {
    let outcome = episode.head.outcome();
    let worth = match outcome.and_then(Outcome::credit) {
        Some(credit) => format!("each is worth {credit}, as the episode is"),
        None => "nothing is learned from them, as nobody knows whether the episode succeeded".to_owned(),
    };
    writeln!(out, "{} finding(s); {worth}", seen.len())?;
    for sighting in seen {
        writeln!(out, "  - {}", sighting.text())?;
        if let Some(detail) = sighting.detail() {
            writeln!(out, "    {detail}")?;
        }
    }
    Ok(())
}

/// The episode that is named, be it stored or in a file.
async fn episode(settings: &Arc<InEffect>, named: &str) -> anyhow::Result<Episode> {
    if Path::new(named).is_file() {
        return from_file(settings, Path::new(named))
            .await
            .with_context(|| format!("failed to read the episode {named}"));
    }
    let app = App::open(settings.clone()).await?;
    let id = match named.parse::<EpisodeId>() {
        Ok(id) => Ok(Some(id)),
        Err(_) => app.store.episode_named(named.to_owned()).await,
    };
    let episode = match id {
        Ok(Some(id)) => app.whole_memory.episode(id).await.map_err(anyhow::Error::from),
        Ok(None) => Err(anyhow::anyhow!(
            "there is no file {named:?}, and no episode of this id or external id is stored"
        )),
        Err(error) => Err(error.into()),
    };
    app.close().await;
    episode
}

/// The episode in a file, as it would be were it stored.
async fn from_file(settings: &InEffect, file: &Path) -> anyhow::Result<Episode> {
    let mut text = String::new();
    let opened = std::fs::File::open(file)?;
    opened.take(EXTRACTOR_EPISODE_BYTES_MAX + 1).read_to_string(&mut text)?;
    ensure!(
        text.len() as u64 <= EXTRACTOR_EPISODE_BYTES_MAX,
        "it is longer than {EXTRACTOR_EPISODE_BYTES_MAX} bytes"
    );
    let new = new_episode(serde_json::from_str(&text)?)?;
    // Stored in a memory of its own, because what is stored is what an extractor sees: bounded, and without secrets.
    let data = tempfile::tempdir().context("failed to create a temporary directory")?;
    let app = App::open(settings.kept_in(data.path())).await?;
    let episode = match app.whole_memory.create(new).await {
        Ok(created) => app.whole_memory.episode(created.id).await,
        Err(error) => Err(error),
    };
    app.close().await;
    Ok(episode?)
}

const FIELDS: [&str; 12] = [
    "task",
    "domain",
    "project",
    "task_type",
    "tags",
    "context",
    "external_id",
    "steps",
    "outcome",
    "basis",
    "summary",
    "started_at",
];
const STEP_FIELDS: [&str; 8] =
    ["tool", "action", "args", "observation", "ok", "error", "duration_ms", "external_id"];

/// An episode as `create_episode` takes it; what `get_episode` tells beside that is left out.
fn new_episode(mut value: Value) -> anyhow::Result<NewEpisode> {
    let told = value.as_object_mut().context("it is no JSON object")?;
    let known = |object: &mut Map<String, Value>, fields: &[&str]| {
        object.retain(|name, value| fields.contains(&name.as_str()) && !value.is_null());
    };
    known(told, &FIELDS);
    // An open episode or one of no known outcome has neither.
    if !told.contains_key("outcome") {
        told.retain(|name, _| !["basis", "summary"].contains(&name.as_str()));
    }
    for step in told.get_mut("steps").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(step) = step.as_object_mut() {
            known(step, &STEP_FIELDS);
        }
    }
    Ok(serde_json::from_value::<CreateEpisodeArgs>(value)?.parse()?)
}
