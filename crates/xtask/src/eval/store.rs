//! One memory, filled and asked through the tools of a server of its own.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use mcp_server::client::StdioClient;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::launch::Launch;

/// Largest budget of an answer that the tool takes, so that no hit is left out for its length where that can be helped.
const ANSWER_TOKENS: usize = 20_000;
/// What `health_check` says is still to be done in the background; what it does not mention is taken as done.
const UNFINISHED: [&str; 3] = ["/metrics/jobs/queued", "/metrics/jobs/running", "/metrics/search/to_embed"];
/// How long background work may take after loading.
const SETTLING_MAX: Duration = Duration::from_secs(30 * 60);
const SETTLING_POLL: Duration = Duration::from_millis(20);

/// What `query_memory` answered.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Answer {
    pub(crate) known: bool,
    /// The best first.
    pub(crate) hits: Vec<Hit>,
    /// Hits that did not fit into the budget.
    #[serde(default)]
    pub(crate) omitted: u64,
}

/// Of a hit, what is measured.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Hit {
    pub(crate) external_id: Option<String>,
    pub(crate) score: f64,
    pub(crate) confidence: f64,
}

/// A memory in a temporary directory. One call at a time: what is stored later must also be newer.
pub(crate) struct Store {
    client: StdioClient,
    /// How long calls took that store something.
    pub(crate) loads: Vec<Duration>,
    /// How long questions took.
    pub(crate) queries: Vec<Duration>,
    /// How long background work was waited for.
    pub(crate) settling: Duration,
    /// Whether something was stored since background work was last waited for.
    unsettled: bool,
    // Dropped after the client, and with it the server.
    _data: TempDir,
}

impl Store {
    /// Starts a server on a new memory into which these files were imported from the command line.
    pub(crate) fn open(launch: &Launch, imports: &[PathBuf]) -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let mut loads = Vec::new();
        for file in imports {
            let begun = Instant::now();
            let done = launch.command(data.path()).args(["import", "jsonl"]).arg(file).output()?;
            let said = String::from_utf8_lossy(&done.stderr);
            ensure!(done.status.success(), "the import of {} failed: {said}", file.display());
            loads.push(begun.elapsed());
        }
        let client = StdioClient::start(&mut launch.command(data.path()))?;
        let (queries, settling) = Default::default();
        Ok(Self { client, loads, queries, settling, unsettled: true, _data: data })
    }

    /// Calls a tool that stores something.
    pub(crate) fn load(&mut self, tool: &str, arguments: &Value) -> anyhow::Result<()> {
        self.unsettled = true;
        let begun = Instant::now();
        self.call(tool, arguments)?;
        self.loads.push(begun.elapsed());
        Ok(())
    }

    /// Asks `query_memory` for things of one kind, once everything loaded so far is ready to be found.
    pub(crate) fn ask(&mut self, ask: &Ask<'_>) -> anyhow::Result<Answer> {
        self.settle()?;
        let mut arguments = json!({
            "query": ask.query, "limit": ask.limit, "kinds": [ask.kind], "max_tokens": ANSWER_TOKENS,
        });
        if let Some(domain) = ask.domain {
            arguments["domain"] = domain.into();
        }
        let begun = Instant::now();
        let answer = self.call("query_memory", &arguments)?;
        self.queries.push(begun.elapsed());
        serde_json::from_value(answer).context("query_memory answered in another form")
    }

    /// Waits until the background work is done.
    pub(crate) fn settle(&mut self) -> anyhow::Result<()> {
        if !self.unsettled {
            return Ok(());
        }
        let begun = Instant::now();
        loop {
            let health = self.call("health_check", &json!({}))?;
            let left: u64 = UNFINISHED.iter().filter_map(|pointer| health.pointer(pointer)?.as_u64()).sum();
            if left == 0 {
                break;
            }
            ensure!(begun.elapsed() < SETTLING_MAX, "{left} pieces of background work are never done");
            std::thread::sleep(SETTLING_POLL);
        }
        self.unsettled = false;
        self.settling += begun.elapsed();
        Ok(())
    }

    /// The names of the server's tools.
    pub(crate) fn tools(&mut self) -> anyhow::Result<Vec<String>> {
        let listed = self.client.request("tools/list", &json!({}))?;
        let tools = listed["tools"].as_array().context("tools/list answered in another form")?;
        Ok(tools.iter().filter_map(|tool| tool["name"].as_str()).map(str::to_owned).collect())
    }

    /// Calls a tool; one that answers with an error fails.
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> anyhow::Result<Value> {
        let params = json!({"name": tool, "arguments": arguments});
        let mut result =
            self.client.request("tools/call", &params).with_context(|| about(tool, arguments))?;
        let content = result["structuredContent"].take();
        if result["isError"] == true {
            bail!("{}: {content}", about(tool, arguments));
        }
        Ok(content)
    }
}

/// A question to a store.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) query: &'a str,
    pub(crate) domain: Option<&'a str>,
    pub(crate) kind: &'a str,
    pub(crate) limit: usize,
}

/// Names a call that failed.
fn about(tool: &str, arguments: &Value) -> String {
    let start: String = arguments.to_string().chars().take(300).collect();
    format!("{tool} failed for {start}")
}
