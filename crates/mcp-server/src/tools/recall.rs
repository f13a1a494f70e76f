//! Asking the memory, and telling it something.

use memory_core::error::Error;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::{tool, tool_router};

use super::answer;
use crate::server::Server;
use crate::wire::answer::{QueryMemoryArgs, WireAnswer};
use crate::wire::episode::{RememberArgs, RememberResult};

#[tool_router(router = recall_tools, vis = "pub(crate)")]
impl Server {
    /// What is known about a task, an error or a question: similar episodes and notes, and what they advise.
    #[tool(
        title = "Ask the memory",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn query_memory(&self, Parameters(args): Parameters<QueryMemoryArgs>) -> CallToolResult {
        answer(self.query(args).await)
    }

    /// Keep a fact or preference that belongs to no task.
    #[tool(
        title = "Remember a fact",
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn remember(&self, Parameters(args): Parameters<RememberArgs>) -> CallToolResult {
        answer(self.keep(args).await)
    }
}

impl Server {
    async fn query(&self, args: QueryMemoryArgs) -> Result<WireAnswer, Error> {
        let (question, form) = args.parse()?;
        let answer = self.memory.recall(question).await?;
        Ok(WireAnswer::fit(&answer, form))
    }

    async fn keep(&self, args: RememberArgs) -> Result<RememberResult, Error> {
        let (id, superseded) = self.memory.remember(args.parse()).await?;
        let superseded = superseded.iter().map(ToString::to_string).collect();
        Ok(RememberResult { note_id: id.to_string(), superseded })
    }
}
