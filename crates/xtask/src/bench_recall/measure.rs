//! Asks a server on a large memory.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use mcp_server::client::StdioClient;
use serde_json::{Value, json};

use super::figures::{Figures, Resident};
use super::stock::{DATABASE, INDEX, Made};
use super::texts::{Question, Texts};
use crate::latency::Latency;
use crate::launch::Launch;

const STARTS: usize = 15;
const WARMING_QUESTIONS: usize = 50;
const QUESTIONS: usize = 400;
const FILTERED_QUESTIONS: usize = 200;
const WRITES: usize = 100;

/// Measures a server on a copy of this memory.
pub(crate) fn run(launch: &Launch, texts: &Texts, made: &Made) -> anyhow::Result<Figures> {
    let copy = made.copy()?;
    let mut asking = Asking { launch, texts, made, asked: 0 };
    let load_before = load();
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let mut client = StdioClient::start(&mut launch.command(copy.path()))?;
        asking.ask(&mut client, false)?;
        starts.push(begun.elapsed());
        client.finish()?;
    }
    let database = bytes(&copy.path().join(DATABASE))?;
    let index = bytes(&copy.path().join(INDEX))?;
    let mut client = StdioClient::start(&mut launch.command(copy.path()))?;
    asking.ask_many(&mut client, WARMING_QUESTIONS, false)?;
    let before = cpu(&mut client);
    let questions = asking.ask_many(&mut client, QUESTIONS, false)?;
    let cpu =
        before.zip(cpu(&mut client)).map(|(before, after)| after.saturating_sub(before) / QUESTIONS as u32);
    let filtered = asking.ask_many(&mut client, FILTERED_QUESTIONS, true)?;
    let resident = resident(&mut client)?;
    let (mut writes, mut afterwards) = (Vec::new(), Vec::new());
    for number in 0..WRITES {
        writes.push(asking.remember(&mut client, made.notes + number)?);
        afterwards.push(asking.ask(&mut client, false)?);
    }
    client.finish()?;
    Ok(Figures {
        notes: made.notes,
        vectors: made.vectors.clone(),
        load: format!("{load_before}, {}", load()),
        starts: Latency::of(&starts),
        questions: Latency::of(&questions),
        cpu,
        filtered: Latency::of(&filtered),
        resident,
        database,
        index,
        writes: Latency::of(&writes),
        afterwards: Latency::of(&afterwards),
    })
}

/// Asks one question after the other, none of them twice.
struct Asking<'a> {
    launch: &'a Launch,
    texts: &'a Texts,
    made: &'a Made,
    asked: u64,
}

impl Asking<'_> {
    fn ask_many(
        &mut self,
        client: &mut StdioClient,
        count: usize,
        filtered: bool,
    ) -> anyhow::Result<Vec<Duration>> {
        (0..count).map(|_| self.ask(client, filtered)).collect()
    }

    /// Asks the next question; returns how long the answer took.
    fn ask(&mut self, client: &mut StdioClient, filtered: bool) -> anyhow::Result<Duration> {
        let Question { text, scope } = self.texts.question(self.asked, self.made.notes);
        self.asked += 1;
        let mut arguments = json!({"query": text});
        if filtered {
            (arguments["domain"], arguments["project"]) = (json!(scope.domain), json!(scope.project));
        }
        let begun = Instant::now();
        let answer = client.call("query_memory", &arguments)?;
        let took = begun.elapsed();
        let wanted = if self.launch.model.is_some() { "hybrid" } else { "lexical" };
        ensure!(answer["search"] == wanted, "{arguments} was not answered by a {wanted} search: {answer}");
        Ok(took)
    }

    /// Remembers one more note; returns how long that took.
    fn remember(&self, client: &mut StdioClient, number: usize) -> anyhow::Result<Duration> {
        let note = self.texts.note(number as u64);
        let arguments = json!({
            "text": note.text, "domain": note.scope.domain, "project": note.scope.project, "tags": note.tags,
        });
        let begun = Instant::now();
        let answer = client.call("remember", &arguments)?;
        let took = begun.elapsed();
        ensure!(answer["note_id"] != Value::Null, "a note was answered with {answer}");
        Ok(took)
    }
}

/// Bytes of a file, or of all files in a directory.
fn bytes(path: &Path) -> std::io::Result<u64> {
    let there = fs::metadata(path)?;
    match there.is_dir() {
        true => fs::read_dir(path)?.map(|entry| bytes(&entry?.path())).sum(),
        false => Ok(there.len()),
    }
}

/// Memory of the server, where the system tells it.
fn resident(client: &mut StdioClient) -> anyhow::Result<Option<Resident>> {
    let status = Path::new("/proc").join(client.process().id().to_string()).join("status");
    let Ok(text) = fs::read_to_string(status) else { return Ok(None) };
    let kibibytes = |name: &str| -> anyhow::Result<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()).context("no memory is told of")?;
        Ok(number.parse()?)
    };
    Ok(Some(Resident { all: kibibytes("VmRSS:")? << 10, anonymous: kibibytes("RssAnon:")? << 10 }))
}

/// How long the server has computed, where the system tells it, to the hundredth of a second.
fn cpu(client: &mut StdioClient) -> Option<Duration> {
    let stat = Path::new("/proc").join(client.process().id().to_string()).join("stat");
    let text = fs::read_to_string(stat).ok()?;
    // What follows the name of the program, which may contain anything: the time of its own and the system's for it are
    // the twelfth and the thirteenth, in hundredths of a second.
    let (_, fields) = text.rsplit_once(") ")?;
    let ticks = |at: usize| fields.split(' ').nth(at)?.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (ticks(11)? + ticks(12)?)))
}

/// How busy the machine was in the last minute.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}
