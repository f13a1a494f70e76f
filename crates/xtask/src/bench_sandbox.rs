//! What `execute_code` costs, and what it costs those who ask for something else, measured over stdio on the release binary.

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use mcp_server::client::StdioClient;
use serde_json::{Value, json};

use crate::latency::Latency;
use crate::launch::Launch;
use crate::root;

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The server, instead of the release binary
    #[arg(long)]
    server: Option<PathBuf>,
}

const STARTS: usize = 20;
const CALLS: usize = 300;
/// Programs that run while others ask.
const PROGRAMS: u64 = 16;
/// The client numbers its own requests from 1.
const FIRST_ID: u64 = 1_000_000;

/// An analysis as an agent makes it: which tools were used in a hundred episodes, and how often each failed.
const ANALYSIS: &str = "
    const ids = new Set();
    for (const word of ['book', 'cancel', 'change', 'refund', 'upgrade', 'flight', 'baggage', 'passenger'])
        for (const hit of memory.query(word, { kinds: ['episode'], limit: 50, max_tokens: 20000 }).hits)
            if (ids.size < 100) ids.add(hit.id);
    const tools = {};
    for (const id of ids)
        for (const step of memory.episode(id).steps) {
            const tool = tools[step.tool] ??= { calls: 0, failed: 0 };
            tool.calls++;
            tool.failed += step.ok === false;
        }
    ({ episodes: ids.size, tools })";
/// Programs that go to every limit: fewer than the breaker takes.
const VIOLATIONS: [&str; 8] = [
    "for (;;) {}",
    "const held = []; for (;;) held.push(new Array(1000).fill(1))",
    "'x'.repeat(2e7).split('')",
    "for (;;) console.log('x'.repeat(1e6))",
    "'x'.repeat(3e7)",
    "for (;;) { try { memory.episode('x') } catch {} }",
    "new Uint8Array(60e6).fill(1); const held = []; for (;;) held.push({})",
    "const held = new Map(); for (let i = 0; ; i++) held.set(i, {})",
];
/// Kinds of programs that run while others ask.
const NEIGHBOURS: [(&str, &str); 3] = [
    ("endless programs", "for (;;) {}"),
    (
        "programs that use up their memory again and again",
        "const held = []; for (;;) { try { for (;;) held.push(new Array(1000).fill(1)) } catch { held.length = 0 } }",
    ),
    (
        "programs that ask the memory without end",
        "for (let i = 0; ; i++) { try { memory.query('flight ' + i) } catch {} }",
    ),
];
/// About a tenth of a second of work.
const WORK: &str = "let sum = 0; for (let i = 0; i < 3e6; i++) sum += i % 7; sum";

/// Measures, and writes what was found.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let launch = Launch::new(options.server.as_deref(), None)?;
    let data = tempfile::tempdir()?;
    let runs = data.path().join("runs.jsonl");
    write_runs(&runs)?;
    let imported = launch.command(data.path()).args(["import", "jsonl"]).arg(&runs).output()?;
    ensure!(imported.status.success(), "the import failed: {}", String::from_utf8_lossy(&imported.stderr));
    let start = || StdioClient::start(&mut launch.command(data.path()));
    say("start to initialize-reply", Latency::of(&starts(&start)?))?;
    say("first 1+1 of a server", Latency::of(&first_calls(&start)?))?;

    let mut client = start()?;
    query(&mut client, CALLS)?;
    say("resident, sandbox unused", resident(&mut client)?)?;
    code(&mut client, "1+1")?;
    say("resident after the first call", resident(&mut client)?)?;
    say("1+1, warm", Latency::of(&timed(CALLS, || code(&mut client, "1+1").map(drop))?))?;
    let found = code(&mut client, ANALYSIS)?;
    let episodes = found["value"]["episodes"].as_u64().with_context(|| format!("it came to {found}"))?;
    let asked = timed(CALLS / 10, || code(&mut client, ANALYSIS).map(drop))?;
    let calls = &found["usage"]["host_calls"];
    say(&format!("an analysis of {episodes} episodes, {calls} calls of the memory"), Latency::of(&asked))?;
    for code in VIOLATIONS {
        let result = client.call("execute_code", &json!({"code": code}))?;
        ensure!(result["stopped"].is_object(), "{code} came to {result}");
    }
    say("resident after programs that went to every limit", resident(&mut client)?)?;
    client.finish()?;

    for (what, program) in NEIGHBOURS {
        let mut client = start()?;
        query(&mut client, CALLS)?;
        say("query_memory, idle", Latency::of(&query(&mut client, CALLS)?))?;
        begin(&mut client, program, 30_000)?;
        say(&format!("query_memory beside {PROGRAMS} {what}"), Latency::of(&query(&mut client, CALLS)?))?;
        say("query_memory, a while later", Latency::of(&query(&mut client, CALLS)?))?;
        client.finish()?;
    }
    sixteen(&start)
}

/// The runs of the demo three times, which makes more than a hundred.
fn write_runs(to: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(root().join("crates/mcp-server/demo/airline_runs.jsonl"))?;
    let mut out = std::io::BufWriter::new(std::fs::File::create(to)?);
    for copy in 0..3 {
        for line in text.lines() {
            let mut run: Value = serde_json::from_str(line)?;
            run["id"] = format!("{} {copy}", run["id"]).into();
            writeln!(out, "{run}")?;
        }
    }
    Ok(out.flush()?)
}

fn say(what: &str, found: impl Display) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{what}: {found}")?)
}

/// How long each of some calls takes.
fn timed(calls: usize, mut call: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Vec<Duration>> {
    let time = |_| {
        let begun = Instant::now();
        call()?;
        Ok(begun.elapsed())
    };
    (0..calls).map(time).collect()
}

fn starts(start: &impl Fn() -> anyhow::Result<StdioClient>) -> anyhow::Result<Vec<Duration>> {
    timed(STARTS, || start().map(drop))
}

fn first_calls(start: &impl Fn() -> anyhow::Result<StdioClient>) -> anyhow::Result<Vec<Duration>> {
    let first = |_| {
        let mut client = start()?;
        let begun = Instant::now();
        code(&mut client, "1+1")?;
        Ok(begun.elapsed())
    };
    (0..STARTS).map(first).collect()
}

fn code(client: &mut StdioClient, code: &str) -> anyhow::Result<Value> {
    let result = client.call("execute_code", &json!({"code": code}))?;
    ensure!(result["value"] != Value::Null, "{code} came to {result}");
    Ok(result)
}

/// Asks for words of which no two questions have the same, so that none is answered from the cache.
fn query(client: &mut StdioClient, calls: usize) -> anyhow::Result<Vec<Duration>> {
    static ASKED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    timed(calls, || {
        let number = ASKED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let question = format!("change the flight of passenger {number} and refund the baggage");
        let answer = client.call("query_memory", &json!({"query": question}))?;
        ensure!(answer["known"] == true, "{question:?} was answered with {answer}");
        Ok(())
    })
}

/// Sends programs without waiting for what comes of them.
fn begin(client: &mut StdioClient, code: &str, timeout_ms: u64) -> anyhow::Result<()> {
    for id in FIRST_ID..FIRST_ID + PROGRAMS {
        let arguments = json!({"code": code, "timeout_ms": timeout_ms});
        let params = json!({"name": "execute_code", "arguments": arguments});
        client.send(
            &json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string(),
        )?;
    }
    Ok(())
}

/// How sixteen programs share what one thread can do, and what that leaves for a small one that comes in between.
fn sixteen(start: &impl Fn() -> anyhow::Result<StdioClient>) -> anyhow::Result<()> {
    let mut client = start()?;
    code(&mut client, "1+1")?;
    let alone = timed(5, || code(&mut client, WORK).map(drop))?;
    say("a program with work to do, alone", Latency::of(&alone))?;
    let begun = Instant::now();
    begin(&mut client, WORK, 30_000)?;
    let mut ended = Vec::new();
    while ended.len() < PROGRAMS as usize {
        let message = client.receive()?.context("the server ended")?;
        ensure!(message["result"]["structuredContent"]["value"].is_number(), "{message}");
        ended.push(begun.elapsed());
    }
    say(&format!("{PROGRAMS} of them at once, from the first request to each answer"), Latency::of(&ended))?;
    client.finish()?;
    Ok(())
}

fn resident(client: &mut StdioClient) -> anyhow::Result<String> {
    let status = Path::new("/proc").join(client.process().id().to_string()).join("status");
    let Ok(text) = std::fs::read_to_string(status) else { return Ok("unknown on this system".to_owned()) };
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.context("the system does not tell the resident memory")?.trim().to_owned())
}
