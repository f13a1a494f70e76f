//! Figures of the release binary, measured over stdio as a client sees them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use mcp_server::client::StdioClient;
use serde_json::{Value, json};

use crate::latency::Latency;
use crate::{release_binary, root};

/// Starts measured, and calls of each kind.
const STARTS: usize = 30;
const CALLS: usize = 300;
/// Characters of a task that make a question.
const QUESTION_CHARS: usize = 200;

/// Imports `files` (or the runs of the demo) into a temporary database and measures.
pub(crate) fn run(files: &[PathBuf]) -> anyhow::Result<()> {
    let binary = release_binary()?;
    let demo = [root().join("crates/mcp-server/demo/airline_runs.jsonl")];
    let files = if files.is_empty() { &demo } else { files };
    let data = tempfile::tempdir()?;
    let command = || {
        let mut command = Command::new(&binary);
        command.env("MEMORY_MCP_DATA_DIR", data.path());
        command
    };
    let mut out = std::io::stdout().lock();

    for file in files {
        let begun = Instant::now();
        let done = command().args(["import", "jsonl"]).arg(file).output()?;
        ensure!(done.status.success(), "the import failed: {}", String::from_utf8_lossy(&done.stderr));
        let name = file.file_name().unwrap_or_default().display();
        writeln!(out, "import {name}, {:.2} s in all", begun.elapsed().as_secs_f64())?;
        write!(out, "{}", String::from_utf8_lossy(&done.stdout))?;
    }

    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let client = StdioClient::start(&mut command())?;
        starts.push(begun.elapsed());
        client.finish()?;
    }
    writeln!(out, "start to initialize-reply: {}", Latency::of(&starts))?;

    let mut client = StdioClient::start(&mut command())?;
    let list = client.request("tools/list", &json!({}))?;
    writeln!(out, "tools/list: {} bytes, instructions included elsewhere", list.to_string().len())?;
    writeln!(out, "resident memory after the start: {}", resident(&mut client))?;
    let mut questions = questions(files)?;
    let fresh = ask(&mut client, &questions)?;
    writeln!(out, "query_memory, questions asked for the first time: {}", Latency::of(&fresh))?;
    questions.truncate(50);
    let again = ask(&mut client, &questions)?;
    writeln!(out, "query_memory, asked again: {}", Latency::of(&again))?;
    let steps = record(&mut client)?;
    writeln!(out, "add_episode_step, durable: {}", Latency::of(&steps))?;
    writeln!(out, "resident memory after that: {}", resident(&mut client))?;
    client.finish()?;
    Ok(())
}

fn questions(files: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut tasks = Vec::new();
    for file in files {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
        for line in text.lines() {
            let run: Value = serde_json::from_str(line)?;
            tasks.extend(
                run["task"].as_str().map(|task| task.chars().take(QUESTION_CHARS).collect::<String>()),
            );
        }
    }
    tasks.sort();
    tasks.dedup();
    let every = tasks.len().div_ceil(CALLS).max(1);
    Ok(tasks.into_iter().step_by(every).collect())
}

fn ask(client: &mut StdioClient, questions: &[String]) -> anyhow::Result<Vec<Duration>> {
    let ask = |question| {
        let begun = Instant::now();
        let answer = client.call("query_memory", &json!({"query": question}))?;
        ensure!(answer["known"] == true, "{question:?} was answered with {answer}");
        Ok(begun.elapsed())
    };
    questions.iter().map(ask).collect()
}

fn record(client: &mut StdioClient) -> anyhow::Result<Vec<Duration>> {
    let created = client.call("create_episode", &json!({"task": "measure how long a step takes"}))?;
    let step = |number| {
        let step = json!({"episode_id": created["episode_id"], "tool": "bash", "args": format!("make test-{number}")});
        let begun = Instant::now();
        let added = client.call("add_episode_step", &step)?;
        ensure!(added["step"] == number, "the step was answered with {added}");
        Ok(begun.elapsed())
    };
    (1..=CALLS).map(step).collect()
}

/// Resident memory of the server, where the system tells it.
fn resident(client: &mut StdioClient) -> String {
    let status = Path::new("/proc").join(client.process().id().to_string()).join("status");
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.map_or_else(|| "unknown on this system".to_owned(), |line| line.trim().to_owned())
}
