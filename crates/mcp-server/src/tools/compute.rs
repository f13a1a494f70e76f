//! Running an agent's code over its memory.

use std::sync::Arc;

use async_trait::async_trait;
use memory_core::error::Error;
use memory_core::id::EpisodeId;
use memory_core::memory::Memory;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::{tool, tool_router};
use sandbox::{Host, HostFunction, Refusal};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::fault;
use crate::server::Server;
use crate::wire::answer::{QueryMemoryArgs, WireAnswer};
use crate::wire::code::{ExecuteCodeArgs, ExecuteCodeResult};
use crate::wire::episode::WireEpisode;
use crate::wire::learning::{ListPatternsArgs, ListPatternsResult};
use crate::wire::parse::id;

#[tool_router(router = compute_tools, vis = "pub(crate)")]
impl Server {
    /// Run JavaScript over the memory and get its value alone: memory.query(text or {query, limit, ...}), memory.episode(id),
    /// memory.patterns({domain, kind, ...}), `input`, console.log. Reads only; no network, files, clock or imports.
    #[tool(
        title = "Run code over the memory",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn execute_code(
        &self,
        Parameters(args): Parameters<ExecuteCodeArgs>,
        cancelled: CancellationToken,
    ) -> CallToolResult {
        let host = ReadOnly {
            memory: self.memory.clone(),
            high_success: self.app.settings().learning.high_success,
            runtime: Handle::current(),
        };
        // Given up by the client, who gets no answer, it is given up here, too, and so stopped.
        let run = cancelled.run_until_cancelled(self.app.sandbox.run(args.parse(), Some(Arc::new(host))));
        match run.await.unwrap_or(Err(Refusal::Cancelled)) {
            Ok(report) => fault::reply(&ExecuteCodeResult::new(report)),
            Err(refusal) => fault::refused(&refusal),
        }
    }
}

/// What a program may see of the memory: what its caller may, and only to read.
#[derive(Clone)]
struct ReadOnly {
    memory: Memory,
    high_success: f64,
    /// Where everything else uses the memory, too.
    runtime: Handle,
}

#[async_trait]
impl Host for ReadOnly {
    async fn call(&self, function: HostFunction, arguments: String) -> Result<String, String> {
        let this = self.clone();
        // Off the thread of the programs; given up when the program is stopped.
        let answer = AbortOnDropHandle::new(
            self.runtime.spawn(async move { this.answer(function, &arguments).await }),
        );
        answer.await.map_err(|error| format!("the memory failed: {error}"))?
    }
}

impl ReadOnly {
    async fn answer(&self, function: HostFunction, arguments: &str) -> Result<String, String> {
        let mut given = match serde_json::from_str(arguments) {
            Ok(Value::Array(given)) => given.into_iter(),
            _ => return Err("the arguments are not JSON".to_owned()),
        };
        let (first, second) = (given.next().unwrap_or_default(), given.next().unwrap_or_default());
        let answer = match function {
            HostFunction::Query => self.query(merged(first, second)?).await,
            HostFunction::Episode => self.episode(&read::<String>("memory.episode", first)?).await,
            HostFunction::Patterns => self.patterns(first).await,
        };
        answer.map_err(|error| error.to_string())
    }

    async fn query(&self, question: Value) -> Result<String, Refused> {
        let args: QueryMemoryArgs = read("memory.query", question)?;
        let (question, form) = args.parse()?;
        let answer = self.memory.recall(question).await?;
        write(&WireAnswer::fit(&answer, form))
    }

    async fn episode(&self, name: &str) -> Result<String, Refused> {
        let id: EpisodeId = id("memory.episode(id)", name)?;
        let episode = self.memory.episode(id).await?;
        let links = self.memory.links(id).await?;
        write(&WireEpisode::page(episode, 1, Some(usize::MAX)).linked(&links))
    }

    async fn patterns(&self, filter: Value) -> Result<String, Refused> {
        let filter = if filter.is_null() { json!({}) } else { filter };
        let args: ListPatternsArgs = read("memory.patterns", filter)?;
        let (listing, verdict) = args.parse()?;
        let page = self.memory.patterns(listing, verdict).await?;
        write(&ListPatternsResult::new(&page, self.high_success))
    }
}

/// Why a call of a program is not answered; it reads it as the message of an exception.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Memory(#[from] Error),
    #[error("{0}")]
    Arguments(String),
}

impl From<String> for Refused {
    fn from(message: String) -> Self {
        Self::Arguments(message)
    }
}

/// The arguments of `query_memory`: an object, or a text with an object of further ones behind it.
fn merged(first: Value, second: Value) -> Result<Value, String> {
    match (first, second) {
        (Value::String(text), Value::Null) => Ok(json!({ "query": text })),
        (Value::String(text), Value::Object(mut rest)) => {
            rest.insert("query".to_owned(), text.into());
            Ok(Value::Object(rest))
        }
        (object @ Value::Object(_), Value::Null) => Ok(object),
        _ => Err("memory.query takes a text, a text and an object, or an object with `query`".to_owned()),
    }
}

fn read<T: DeserializeOwned>(function: &str, value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| format!("{function}: {error}"))
}

fn write<T: Serialize>(value: &T) -> Result<String, Refused> {
    serde_json::to_string(value).map_err(|error| Refused::Arguments(error.to_string()))
}
