//! The command line.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;
use indicatif::{ProgressBar, ProgressStyle};
use memory_core::id::{EpisodeId, PatternId};
use memory_core::limits::{HITS_DEFAULT, HITS_MAX};
use memory_core::memory::Question;
use memory_core::retrieve::Filter;

use crate::auth::Principal;
use crate::config::command::ConfigCommand;
use crate::config::reload::InEffect;
use crate::config::{self, Mistakes, Sources, setting_reference};
use crate::disclosure::Era;
use crate::extractor::{self, ExtractorCommand};
use crate::import::{ImportReport, import};
use crate::jobs::{self, JobsArgs, JobsCommand};
use crate::key::{self, KeyCommand};
use crate::model::{self, ModelCommand};
use crate::operator::{HealthReport, Status};
use crate::wire::answer::{Form, WireAnswer};
use crate::wiring::App;
use crate::{demo, serve, telemetry};

/// A memory for coding agents that learns from outcomes.
///
/// Without a command it is an MCP server on stdin and stdout: that is how Claude Code, OpenCode, Cursor, VS Code and
/// Codex start it. Start it in a terminal to see how to connect each of them.
#[derive(Debug, Parser)]
#[command(name = "memory-mcp", version, after_help = EXAMPLES)]
pub struct Cli {
    // What a setting's flag says is read where the settings are, so that everything wrong is told at once.
    /// A configuration file [env: MEMORY_MCP_CONFIG] [default: config.toml in the platform's configuration directory]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<OsString>,
    /// Directory that holds everything stored, by default the platform's data directory
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<OsString>,
    /// A model, or a directory of models, to use instead of what `memory-mcp model use` chose
    #[arg(long, global = true, value_name = "DIR")]
    model_dir: Option<OsString>,
    /// Expected success rate, 0 to 1, from which on a pattern is called one of high success
    #[arg(long, global = true, value_name = "RATE")]
    high_success: Option<OsString>,
    /// Show the tools of this level, beginner, intermediate, advanced or expert, in place of those that fit how much the
    /// memory was used (auto); all work when called
    #[arg(long, global = true, value_name = "LEVEL")]
    tools_level: Option<OsString>,
    /// What to log to stderr: error, warn, info, debug or trace, by itself or for a part: `warn,mcp_server=debug`
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<OsString>,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "Examples:
  memory-mcp demo                              see the memory work on real agent runs
  claude mcp add memory -- memory-mcp          connect Claude Code
  memory-mcp serve --http 127.0.0.1:8700       one memory for everything on this machine
  memory-mcp query \"flaky test in checkout\"    ask from the shell what an agent would be told
  memory-mcp import jsonl runs.jsonl           bring in runs recorded elsewhere
  memory-mcp model pull all-MiniLM-L6-v2       find what means the same in other words, too";

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the memory at work on real agent runs, in a temporary database
    Demo,
    /// Serve MCP over HTTP, for several machines or people; without keys to this machine only
    Serve {
        /// Where to listen, as in 127.0.0.1:8700
        #[arg(long, value_name = "ADDR")]
        http: Option<OsString>,
    },
    /// Ask the memory, as an agent would with query_memory
    Query {
        /// The task, the error or the question
        text: String,
        /// Only this field of work and those below it
        #[arg(long)]
        domain: Option<String>,
        /// Only this repository or product
        #[arg(long)]
        project: Option<String>,
        /// How many hits at most
        #[arg(long, default_value_t = HITS_DEFAULT, value_parser = hits)]
        limit: usize,
        /// Print the JSON that an agent gets
        #[arg(long)]
        json: bool,
    },
    /// Bring in runs recorded elsewhere
    Import {
        #[command(subcommand)]
        format: ImportFormat,
    },
    /// Models that find what means the same in other words; without one, search is by words
    Model {
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// Keys, for a memory that several people or agents share
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Extractors of your own: JavaScript files that look for patterns in finished episodes
    Extractor {
        #[command(subcommand)]
        command: ExtractorCommand,
    },
    /// What is left to learn, and what was given up and why
    #[command(args_conflicts_with_subcommands = true)]
    Jobs {
        #[command(flatten)]
        listing: JobsArgs,
        #[command(subcommand)]
        command: Option<JobsCommand>,
    },
    /// Forget all that was learned and learn it anew from the episodes
    Relearn,
    /// Delete for good
    Forget {
        #[command(subcommand)]
        what: Forgotten,
    },
    /// Whether the memory works, and what it holds
    ///
    /// Every part is used, not only asked. Exits with 0 if the memory works, also where somebody should look at a part
    /// (degraded), with 1 if something does not work (failing), and with 2 if the configuration is wrong.
    Health {
        /// Also look the whole database through for damage
        #[arg(long)]
        detailed: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// The settings: what they are, where they come from, whether a file is right
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print what completes the commands and options of memory-mcp in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
enum ImportFormat {
    /// JSON lines, one run each: id, task, steps [{tool, args, observation, ok, error}], success or outcome, and
    /// optionally domain, repo, reward, basis, summary, started_at. A run whose id is known is not stored again
    Jsonl {
        /// The file; - reads standard input
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum Forgotten {
    /// An episode, and what was learned from it alone
    Episode {
        /// Its id, as `memory-mcp query` shows it
        id: EpisodeId,
    },
    /// A pattern; it is not told again even if it is seen again
    Pattern {
        /// Its id, as an agent sees it in list_patterns
        id: PatternId,
    },
}

fn hits(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| (1..=HITS_MAX).contains(limit));
    limit.ok_or_else(|| format!("it must be a number from 1 to {HITS_MAX}"))
}

/// The command line, with what the declarations of the settings say of their flags.
pub fn command() -> clap::Command {
    let flags = setting_reference().into_iter().flat_map(|section| section.settings);
    flags.fold(Cli::command(), |command, setting| {
        let (Some(flag), Some(variable)) = (setting.flag, setting.variables.last()) else { return command };
        let mut note = format!(" [env: {variable}]");
        if setting.default != "\"\"" {
            note.push_str(&format!(" [default: {}]", setting.default.trim_matches('"')));
        }
        let id = flag.trim_start_matches('-').replace('-', "_");
        let noted = |arg: clap::Arg| {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            arg.help(help + &note)
        };
        if command.get_arguments().any(|arg| *arg.get_id() == id) {
            command.mut_arg(id, noted)
        } else {
            command.mut_subcommand("serve", |serve| serve.mut_arg(id, noted))
        }
    })
}

impl Cli {
    /// The command line of this process; the process ends here if it is wrong, or only asks for help.
    pub fn of_process() -> Self {
        Self::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit())
    }

    /// Does what the command line says; errors go to stderr.
    pub fn run(self) -> ExitCode {
        let Self { config, data_dir, model_dir, high_success, tools_level, log, mut command } = self;
        let http = match &mut command {
            Some(Command::Serve { http }) => http.take(),
            _ => None,
        };
        let flags = vec![
            ("--data-dir", data_dir),
            ("--model-dir", model_dir),
            ("--high-success", high_success),
            ("--tools-level", tools_level),
            ("--log", log),
            ("--http", http),
        ];
        let done = match command {
            // These do without the settings, or are there to say what is wrong with them.
            Some(Command::Demo) => demo::run(&mut std::io::stdout().lock()).map(|()| ExitCode::SUCCESS),
            Some(Command::Completions { shell }) => completions(shell),
            Some(Command::Key { command }) => key::run(command),
            Some(Command::Config { command }) => config::command::run(command, config, flags),
            command => with_settings(command, Sources::of_process(config, flags)),
        };
        done.unwrap_or_else(|error| {
            // Nothing was added to it on its way, so it is our own output that is closed: its reader has seen enough.
            if error.chain().len() == 1
                && error.downcast_ref().is_some_and(|error: &io::Error| error.kind() == ErrorKind::BrokenPipe)
            {
                return ExitCode::SUCCESS;
            }
            let _ = writeln!(std::io::stderr(), "memory-mcp: {error:#}");
            // As for a command line that is wrong.
            if error.is::<Mistakes>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        })
    }
}

fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "memory-mcp", &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

fn with_settings(command: Option<Command>, sources: Sources) -> anyhow::Result<ExitCode> {
    let loaded = sources.load()?;
    let set_filter = telemetry::init(&loaded.settings.log.filter);
    for remark in &loaded.remarks {
        tracing::warn!("{remark}");
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("failed to start")?;
    let done = runtime.block_on(async {
        match command {
            None => serve::stdio(loaded, sources, set_filter).await,
            Some(Command::Serve { .. }) => serve::http(loaded, sources, set_filter).await,
            Some(command) => dispatch(command, InEffect::at_start(loaded)).await,
        }
    });
    // A thread that waits for input that never comes must not keep the process.
    runtime.shutdown_background();
    done
}

async fn dispatch(command: Command, settings: Arc<InEffect>) -> anyhow::Result<ExitCode> {
    match command {
        Command::Query { text, domain, project, limit, json } => {
            let filter = Filter { domain, project, ..Filter::default() };
            query(settings, Question { query: text, filter, limit, explain: false }, json).await
        }
        Command::Import { format: ImportFormat::Jsonl { file } } => import_file(settings, file).await,
        Command::Model { command } => model::run(command, &settings),
        Command::Extractor { command } => extractor::run(command, settings).await,
        Command::Jobs { listing, command } => jobs::run(listing, command, settings).await,
        Command::Relearn => relearn(settings).await,
        Command::Forget { what } => forget(settings, what).await,
        Command::Health { detailed, json } => health(settings, detailed, json).await,
        Command::Demo
        | Command::Serve { .. }
        | Command::Completions { .. }
        | Command::Config { .. }
        | Command::Key { .. } => Ok(ExitCode::SUCCESS),
    }
}

async fn query(settings: Arc<InEffect>, question: Question, json: bool) -> anyhow::Result<ExitCode> {
    let form = Form::new(question.limit, None, false);
    let app = App::open(settings).await?;
    let answer = app.whole_memory.recall(question).await;
    app.close().await;
    let answer = WireAnswer::fit(&answer.context("failed to answer")?, form);
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(&answer)?)?;
    } else {
        write_answer(&mut out, &answer)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes an answer for a person to read.
fn write_answer(out: &mut impl Write, answer: &WireAnswer) -> std::io::Result<()> {
    if !answer.known {
        return writeln!(out, "Nothing relevant is known.");
    }
    for (number, hit) in answer.hits.iter().enumerate() {
        let outcome = hit.outcome.map(|outcome| format!(", {outcome:?}").to_lowercase()).unwrap_or_default();
        writeln!(
            out,
            "{}. {} [{}{outcome}, score {}, {}]",
            number + 1,
            hit.title,
            hit.kind,
            hit.score,
            hit.why
        )?;
        writeln!(out, "   {}", hit.text)?;
        writeln!(
            out,
            "   id {}{}",
            hit.id,
            hit.external_id.as_ref().map(|id| format!(" ({id})")).unwrap_or_default()
        )?;
        if !hit.stale.is_empty() {
            writeln!(out, "   stale: {}", hit.stale.join(", "))?;
        }
    }
    let advice = &answer.advice;
    if let Some(rate) = &advice.success_rate {
        writeln!(out, "{}", rate.describe())?;
    }
    let parts =
        [("What worked", &advice.steps), ("Pitfalls", &advice.pitfalls), ("Recoveries", &advice.recoveries)];
    for (name, items) in parts {
        if !items.is_empty() {
            writeln!(out, "{name}:")?;
        }
        for item in items {
            writeln!(
                out,
                "  - {}{}",
                item.text,
                item.rate().map(|rate| format!(" ({rate})")).unwrap_or_default()
            )?;
        }
    }
    Ok(())
}

async fn import_file(settings: Arc<InEffect>, file: PathBuf) -> anyhow::Result<ExitCode> {
    let (input, bytes): (Box<dyn Read>, Option<u64>) = if file.as_os_str() == "-" {
        (Box::new(std::io::stdin().lock()), None)
    } else {
        let opened = File::open(&file).with_context(|| format!("failed to open {}", file.display()))?;
        let bytes = opened.metadata().ok().map(|metadata| metadata.len());
        (Box::new(opened), bytes)
    };
    let app = App::open(settings).await?;
    let begun = Instant::now();
    let bar = progress(bytes);
    let imported = import(&app, BufReader::with_capacity(1 << 16, input), |read| bar.inc(read)).await;
    let stored_in = begun.elapsed();
    bar.set_message("learning");
    app.learn_all().await;
    bar.set_message("embedding");
    let embedded = app.embedding.settle_all().await;
    bar.finish_and_clear();
    let learned = app.metrics.report().patterns_extracted;
    app.close().await;
    if let Err(reason) = embedded {
        tracing::warn!(reason, "what was imported is found by words only until the model can be used");
    }
    let report = imported?;
    write_import(&mut std::io::stdout().lock(), &report, stored_in, begun.elapsed() - stored_in, learned)?;
    Ok(ExitCode::SUCCESS)
}

fn write_import(
    out: &mut impl Write,
    report: &ImportReport,
    stored_in: Duration,
    learned_in: Duration,
    observations: u64,
) -> std::io::Result<()> {
    let ImportReport { stored, steps, existing, skipped, problems } = report;
    for (line, reason) in problems {
        writeln!(out, "line {line} skipped: {reason}")?;
    }
    let more = skipped - problems.len() as u64;
    if more > 0 {
        writeln!(out, "… and {more} more")?;
    }
    let seconds = stored_in.as_secs_f64();
    writeln!(
        out,
        "{stored} stored with {steps} steps, {existing} already there, {skipped} skipped, in {seconds:.2} s"
    )?;
    writeln!(out, "{observations} observations of patterns learned in {:.2} s", learned_in.as_secs_f64())
}

/// A bar on a terminal, nothing elsewhere.
fn progress(bytes: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match bytes {
        Some(bytes) => (ProgressBar::new(bytes), "{bar:30} {bytes}/{total_bytes} {eta} {msg}"),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes} {msg}"),
    };
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

async fn relearn(settings: Arc<InEffect>) -> anyhow::Result<ExitCode> {
    let app = App::open(settings).await?;
    let episodes = app.whole_memory.relearn().await.context("failed to forget what was learned");
    if episodes.is_ok() {
        app.learn_all().await;
    }
    let learned = app.metrics.report().patterns_extracted;
    app.close().await;
    let episodes = episodes?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{episodes} episodes studied anew, {learned} observations of patterns learned from them")?;
    Ok(ExitCode::SUCCESS)
}

async fn forget(settings: Arc<InEffect>, what: Forgotten) -> anyhow::Result<ExitCode> {
    let app = App::open(settings).await?;
    let (forgotten, named) = match what {
        Forgotten::Episode { id } => (app.whole_memory.delete_episode(id).await, format!("episode {id}")),
        Forgotten::Pattern { id } => (app.whole_memory.delete_pattern(id).await, format!("pattern {id}")),
    };
    app.close().await;
    forgotten.with_context(|| format!("failed to forget {named}"))?;
    writeln!(std::io::stdout().lock(), "{named} is forgotten")?;
    Ok(ExitCode::SUCCESS)
}

async fn health(settings: Arc<InEffect>, detailed: bool, json: bool) -> anyhow::Result<ExitCode> {
    let app = App::open(settings.clone()).await?;
    let owner = app.disclosures.of(&Principal::owner().name).await;
    let report = app.health(detailed).await.at(owner.level(Era::Legacy));
    app.close().await;
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        write_health(&mut out, &report, &settings)?;
    }
    Ok(if report.status == Status::Failing { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn write_health(out: &mut impl Write, report: &HealthReport, settings: &InEffect) -> std::io::Result<()> {
    writeln!(out, "memory-mcp {}: {}", report.version, format!("{:?}", report.status).to_lowercase())?;
    writeln!(out, "stored in {}", settings.data_dir.display())?;
    for component in &report.components {
        let status = format!("{:?}", component.status).to_lowercase();
        let took = component.latency_ms.map(|millis| format!(" ({millis:.2} ms)")).unwrap_or_default();
        writeln!(out, "  {:<12} {status:<9} {}{took}", component.name, component.detail)?;
    }
    if let Some(counts) = &report.metrics.store {
        writeln!(
            out,
            "  {} episodes ({} open), {} steps, {} notes, {} patterns, {:.1} MB",
            counts.episodes,
            counts.open_episodes,
            counts.steps,
            counts.notes,
            counts.patterns,
            counts.bytes.unwrap_or_default() as f64 / 1e6
        )?;
    }
    Ok(())
}
