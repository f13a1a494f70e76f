//! `memory-mcp demo`: the real server as a child over stdio, fed with real runs, asked about a task it has not seen.

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};

use crate::client::StdioClient;
use crate::wire::tokens;

/// See `demo/README.md` for where they come from.
const RUNS: &str = include_str!("../demo/airline_runs.jsonl");

/// Tasks that none of the runs is about: the request of number 22 of tau-bench's airline tasks, and something from
/// another world.
const HELD_OUT: &str = "Change an upcoming flight from EWR on May 21 to a nonstop flight on the same day; the ticket is \
     basic economy and may be upgraded to economy to make the change";
const UNRELATED: &str = "Kernel panic when the USB driver is unloaded";

/// How long to wait for the background worker.
const LEARNING_WAIT: Duration = Duration::from_secs(60);

/// Runs the demo, writing what happens to `out`.
///
/// # Errors
/// If the server cannot be started or does not do what it should.
pub(crate) fn run(out: &mut impl Write) -> anyhow::Result<()> {
    let data = tempfile::tempdir().context("failed to create a temporary directory")?;
    let program = std::env::current_exe().context("failed to find the program itself")?;
    let mut command = Command::new(program);
    // Whoever watches it may have settings of their own, which are for their own memory.
    let settings = tempfile::NamedTempFile::new().context("failed to create a temporary file")?;
    command.env("MEMORY_MCP_DATA_DIR", data.path()).env("MEMORY_MCP_CONFIG", settings.path());

    let begun = Instant::now();
    let mut server = StdioClient::start(&mut command)?;
    writeln!(out, "Started the server on an empty temporary database in {}.", ms(begun.elapsed()))?;

    let runs = RUNS.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>();
    let runs = runs.context("failed to read the runs of the demo")?;
    let (last, finished) = runs.split_last().context("the demo has no runs")?;
    let recording = record(&mut server, finished)?;
    let Recording { runs, successes, steps, latencies } = &recording;
    writeln!(
        out,
        "Recorded {runs} real runs of an airline agent ({successes} successful, {steps} steps), one"
    )?;
    writeln!(out, "create_episode call each: {}.", percentiles(latencies))?;
    record_live(&mut server, last, out)?;

    let begun = Instant::now();
    let patterns = wait_for_learning(&mut server)?;
    writeln!(
        out,
        "Learned {patterns} patterns from them in the background (waited {}).\n",
        ms(begun.elapsed())
    )?;

    let (answer, took) = ask(&mut server, HELD_OUT)?;
    writeln!(out, "Then an agent gets a new task and calls query_memory:\n  \"{HELD_OUT}\"\n")?;
    write_answer(out, &answer)?;
    let size = tokens::estimate(&answer.to_string());
    writeln!(out, "\n({} for the question, about {size} tokens for the answer)\n", ms(took))?;

    let (answer, took) = ask(&mut server, UNRELATED)?;
    writeln!(out, "And asked about something it has never seen:\n  \"{UNRELATED}\"\n")?;
    write_answer(out, &answer)?;
    writeln!(out, "({})\n", ms(took))?;

    server.finish()?;
    let mut server = StdioClient::start(&mut command)?;
    let (answer, took) = ask(&mut server, HELD_OUT)?;
    anyhow::ensure!(answer["known"] == true, "the memory did not survive a restart");
    writeln!(out, "After a restart it still knows, and answers from its cache ({}).\n", ms(took))?;
    writeln!(out, "Everything of the demo was in {} and is deleted now.", data.path().display())?;
    writeln!(out, "To use it:  claude mcp add memory -- memory-mcp     (others: see the README)")?;
    Ok(())
}

struct Recording {
    runs: usize,
    successes: usize,
    steps: usize,
    latencies: Vec<Duration>,
}

/// Records every run but the last as an agent would that has finished its task.
fn record(server: &mut StdioClient, runs: &[Value]) -> anyhow::Result<Recording> {
    let mut recording = Recording { runs: 0, successes: 0, steps: 0, latencies: Vec::new() };
    for run in runs {
        let steps = steps(run);
        let mut arguments = brief(run);
        arguments["outcome"] = outcome(run).into();
        arguments["reward"] = run["reward"].clone();
        arguments["steps"] = steps.as_slice().into();
        let begun = Instant::now();
        expect(server.call("create_episode", &arguments)?)?;
        recording.latencies.push(begun.elapsed());
        recording.runs += 1;
        recording.successes += usize::from(run["success"] == true);
        recording.steps += steps.len();
    }
    Ok(recording)
}

/// Records one run as it goes on: begun, one step after the other, completed.
fn record_live(server: &mut StdioClient, run: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    let created = expect(server.call("create_episode", &brief(run))?)?;
    let similar = list(&created["similar"]).len();
    let id = &created["episode_id"];
    let steps = steps(run);
    let mut latencies = Vec::new();
    for mut step in steps {
        step["episode_id"] = id.clone();
        let begun = Instant::now();
        expect(server.call("add_episode_step", &step)?)?;
        latencies.push(begun.elapsed());
    }
    let end = json!({"episode_id": id, "outcome": outcome(run), "reward": run["reward"]});
    let completed = expect(server.call("complete_episode", &end)?)?;
    writeln!(out, "Recorded one more step by step ({}); when it began, the", percentiles(&latencies))?;
    writeln!(
        out,
        "server pointed to {similar} similar runs. Its reflection:\n  {}",
        text(&completed["reflection"])
    )?;
    Ok(())
}

fn brief(run: &Value) -> Value {
    json!({
        "task": run["task"], "domain": run["domain"], "external_id": run["id"],
        "context": {"agent": run["agent"], "model": run["model"], "task_id": run["task_id"]},
    })
}

fn outcome(run: &Value) -> &'static str {
    if run["success"] == true { "success" } else { "failure" }
}

/// The steps of a run as arguments of a tool.
fn steps(run: &Value) -> Vec<Value> {
    let mut steps = list(&run["steps"]).to_vec();
    for step in &mut steps {
        if let Some(step) = step.as_object_mut()
            && let Some(thought) = step.remove("thought")
        {
            step.insert("action".into(), thought);
        }
    }
    steps
}

/// Waits until the worker has nothing left; returns how many patterns there are.
fn wait_for_learning(server: &mut StdioClient) -> anyhow::Result<u64> {
    let begun = Instant::now();
    loop {
        let health = expect(server.call("health_check", &json!({}))?)?;
        let jobs = &health["metrics"]["jobs"];
        if jobs["queued"] == 0 && jobs["running"] == 0 {
            return health["metrics"]["store"]["patterns"]
                .as_u64()
                .context("the server did not say what it holds");
        }
        anyhow::ensure!(begun.elapsed() < LEARNING_WAIT, "the background worker did not come to an end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ask(server: &mut StdioClient, query: &str) -> anyhow::Result<(Value, Duration)> {
    let begun = Instant::now();
    let answer = expect(server.call("query_memory", &json!({"query": query}))?)?;
    Ok((answer, begun.elapsed()))
}

fn expect(result: Value) -> anyhow::Result<Value> {
    anyhow::ensure!(result.get("error").is_none(), "the server refused: {}", result["error"]["message"]);
    Ok(result)
}

fn write_answer(out: &mut impl Write, answer: &Value) -> std::io::Result<()> {
    if answer["known"] != true {
        return writeln!(out, "  known: false. {}", text(&answer["notice"]));
    }
    for hit in list(&answer["hits"]) {
        let outcome = hit["outcome"].as_str().unwrap_or("open");
        writeln!(out, "  [{outcome}] {}", text(&hit["title"]))?;
        writeln!(
            out,
            "      score {}, confidence {}, {}",
            hit["score"],
            hit["confidence"],
            text(&hit["why"])
        )?;
    }
    let advice = &answer["advice"];
    let rate = &advice["success_rate"];
    if !rate.is_null() {
        let of =
            if rate["gated"] == true { "No run of this task is known; of all" } else { "Of this task's" };
        writeln!(out, "  {of} {} runs: success rate {}", rate["episodes"], bounds(rate))?;
    }
    for (name, part) in [("what worked", "steps"), ("pitfalls", "pitfalls"), ("recoveries", "recoveries")] {
        for item in list(&advice[part]) {
            let rate = &item["rate"];
            let of = if part == "recoveries" { "worked" } else { "success rate of the runs with it" };
            let rate = if rate.is_null() { String::new() } else { format!(" ({of}: {})", bounds(rate)) };
            writeln!(out, "  {name}: {}{rate}", text(&item["text"]))?;
        }
    }
    Ok(())
}

fn bounds(rate: &Value) -> String {
    format!("{} (between {} and {})", rate["mean"], rate["low"], rate["high"])
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1_000.0)
}

fn percentiles(latencies: &[Duration]) -> String {
    let mut sorted = latencies.to_vec();
    sorted.sort();
    let at = |share: f64| sorted.get(((sorted.len() as f64 * share) as usize).min(sorted.len() - 1));
    match (at(0.50), at(0.95)) {
        (Some(p50), Some(p95)) => format!("p50 {}, p95 {}", ms(*p50), ms(*p95)),
        _ => "no calls".to_owned(),
    }
}
