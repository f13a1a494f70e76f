//! Random programs, run in the sandbox by the hundred thousand: none may crash it, leave anything behind, ask the host for
//! anything but its three functions, or end in a way that is not in the list.

mod program;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use async_trait::async_trait;
use sandbox::{Grants, Host, HostFunction, Layers, Limits, Program, Reason, Report, Sandbox};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::resident::{open_files, resident_bytes};
use program::Programs;

/// Which programs are made, and how many.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many programs are run
    #[arg(long, default_value_t = 100_000)]
    runs: u64,
    /// What the random numbers begin with; the same seed makes the same programs
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs and prints only the program of this number
    #[arg(long)]
    only: Option<u64>,
}

/// Programs that are under way at the same time.
const AT_ONCE: usize = 8;
/// Every so many programs one is run a second time, and must come to the same.
const AGAIN_EVERY: u64 = 20;
/// Programs after which the memory of the process is taken as what it is when all has been used once.
const WARM: u64 = 2_000;
/// What it may have grown by in the end, in bytes.
const GROWTH_BYTES_MAX: u64 = 20 * 1024 * 1024;
/// Small, so that many programs come up against them.
const LIMITS: Limits = Limits {
    timeout: Duration::from_millis(8),
    fuel: 200_000_000,
    memory_bytes: 16 * 1024 * 1024,
    stack_bytes: 256 * 1024,
    output_bytes: 4 * 1024,
    host_calls: 30,
    argument_bytes: 4 * 1024,
    reply_bytes: 64 * 1024,
    source_bytes: 64 * 1024,
    input_bytes: 64 * 1024,
};

/// Runs them and writes what came of them.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let programs = Programs::load()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(fuzz(options, &programs))
}

async fn fuzz(options: &Options, programs: &Programs) -> anyhow::Result<()> {
    // Without the breaker, which would close it all the time.
    let sandbox = Arc::new(Sandbox::layered(Layers { monitoring: false, ..Layers::ALL }, LIMITS));
    let asked = Arc::new(AtomicU64::new(0));
    let mut out = std::io::stdout().lock();
    if let Some(number) = options.only {
        let code = programs.make(options.seed, number);
        writeln!(out, "{code}\n")?;
        return Ok(writeln!(out, "{:#?}", once(sandbox, asked, code).await?)?);
    }
    let begun = Instant::now();
    let (mut outcomes, mut running) = (Outcomes::default(), JoinSet::new());
    let mut before = None;
    for number in 0..options.runs {
        if number == WARM {
            while let Some(done) = running.join_next().await {
                outcomes.note(done?)?;
            }
            before = Some((resident_bytes(), open_files()));
        }
        if running.len() == AT_ONCE
            && let Some(done) = running.join_next().await
        {
            outcomes.note(done?)?;
        }
        let code = programs.make(options.seed, number);
        running.spawn(check(sandbox.clone(), asked.clone(), number, code));
    }
    while let Some(done) = running.join_next().await {
        outcomes.note(done?)?;
    }
    let (runs, seconds) = (options.runs, begun.elapsed().as_secs_f64());
    writeln!(out, "{runs} programs, seed {}, {AT_ONCE} at once: {seconds:.1} s", options.seed)?;
    outcomes.write(&mut out)?;
    writeln!(out, "calls of the host: {}", asked.load(Ordering::Relaxed))?;
    if let Some((Some(resident), Some(open))) = before
        && let (Some(resident_now), Some(open_now)) = (resident_bytes(), open_files())
    {
        let mib = |bytes: u64| bytes as f64 / (1024.0 * 1024.0);
        writeln!(
            out,
            "resident: {:.1} MiB after {WARM}, {:.1} in the end",
            mib(resident),
            mib(resident_now)
        )?;
        writeln!(out, "open files: {open} after {WARM}, {open_now} in the end")?;
        ensure!(resident_now < resident + GROWTH_BYTES_MAX, "memory was not given back");
        ensure!(open_now == open, "files were left open");
    }
    sandbox.shutdown().await;
    Ok(())
}

/// What came of one program.
struct Ended {
    number: u64,
    report: Report,
    again: bool,
}

async fn check(
    sandbox: Arc<Sandbox>,
    asked: Arc<AtomicU64>,
    number: u64,
    code: String,
) -> anyhow::Result<Ended> {
    let report = once(sandbox.clone(), asked.clone(), code.clone())
        .await
        .with_context(|| format!("program {number}: {code}"))?;
    let again = number.is_multiple_of(AGAIN_EVERY);
    if again {
        let second = once(sandbox, asked, code.clone()).await?;
        // Time differs, and nothing else.
        let timed = |report: &Report| report.stopped.as_ref().is_some_and(|s| s.reason == Reason::Deadline);
        ensure!(
            timed(&report) || timed(&second) || report == second,
            "program {number} came to {report:?} and then to {second:?}: {code}"
        );
    }
    Ok(Ended { number, report, again })
}

/// Runs a program and looks at what comes out.
async fn once(sandbox: Arc<Sandbox>, asked: Arc<AtomicU64>, code: String) -> anyhow::Result<Report> {
    let input = r#"{"question":"x","__proto__":{"a":1},"list":[1,2,3]}"#.to_owned();
    let program = Program { input, grants: Grants { memory: true }, ..Program::new(code) };
    let report = sandbox.run(program, Some(Arc::new(Fake(asked)))).await?;
    ensure!(report.value.is_none() || report.stopped.is_none(), "both a value and a stop: {report:?}");
    let written = [report.value.as_deref(), Some(&report.stdout), Some(&report.stderr)];
    // A byte that is no text becomes a sign of three.
    let bytes: usize = written.into_iter().flatten().map(str::len).sum();
    ensure!(bytes <= 3 * LIMITS.output_bytes, "{bytes} bytes came out");
    if let Some(value) = report.value.as_ref().filter(|value| !value.contains("\\u")) {
        let mut deep = serde_json::Deserializer::from_str(value);
        let read = <Value as serde::Deserialize>::deserialize(&mut deep);
        let known = read.as_ref().err().is_none_or(|error| error.to_string().contains("recursion limit"));
        ensure!(known, "a value that is no JSON: {value}");
    }
    Ok(report)
}

/// A host that answers in all kinds of ways, and is asked for nothing but what it has.
struct Fake(Arc<AtomicU64>);

#[async_trait]
impl Host for Fake {
    async fn call(&self, function: HostFunction, arguments: String) -> Result<String, String> {
        let given: Value = serde_json::from_str(&arguments)
            .map_err(|error| format!("no JSON: {error}"))
            .or_else(|error| if arguments.contains("\\u") { Ok(Value::Null) } else { Err(error) })?;
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        if number.is_multiple_of(7) {
            tokio::task::yield_now().await;
        }
        match (function, given) {
            (HostFunction::Query, _) => Ok(r#"{"hits":[{"text":"x","score":0.5}],"known":true}"#.to_owned()),
            (HostFunction::Episode, Value::Array(given)) if given.is_empty() => Ok("no JSON {".to_owned()),
            (HostFunction::Episode, _) => Err("there is no such episode \u{1F600}\0".to_owned()),
            (HostFunction::Patterns, _) => Ok(r#"{"__proto__":{"toJSON":1},"patterns":[]}"#.to_owned()),
        }
    }
}

/// How many programs came to what.
#[derive(Default)]
struct Outcomes {
    counts: BTreeMap<String, (u64, u64)>,
    again: u64,
}

impl Outcomes {
    fn note(&mut self, ended: anyhow::Result<Ended>) -> anyhow::Result<()> {
        let Ended { number, report, again } = ended?;
        let name = match &report.stopped {
            None => "came to its end".to_owned(),
            Some(stopped) if stopped.reason == Reason::Trap => format!("trap: {}", stopped.message),
            Some(stopped) => stopped.reason.name().to_owned(),
        };
        self.again += u64::from(again);
        self.counts.entry(name).or_insert((0, number)).0 += 1;
        Ok(())
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        for (name, (count, first)) in &self.counts {
            writeln!(out, "{count:>8}  {name} (first: program {first})")?;
        }
        writeln!(out, "{:>8}  were run twice and came to the same", self.again)
    }
}
