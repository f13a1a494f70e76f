//! For the operator.

use memory_core::error::Error;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer;
use crate::disclosure::Era;
use crate::fault::reply;
use crate::operator::{GetMetricsResult, HealthMetrics, HealthReport};
use crate::server::Server;
use crate::wire::job::{ListJobsArgs, ListJobsResult, RetryJobArgs, RetryJobResult};

/// Arguments of `health_check`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HealthCheckArgs {
    /// Also look for damage, and measure.
    detailed: Option<bool>,
}

/// Arguments of `get_metrics`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("properties" = {}))]
pub(crate) struct NoArgs {}

#[tool_router(router = operate_tools, vis = "pub(crate)")]
impl Server {
    /// Whether the memory works, and what it holds.
    #[tool(
        title = "Check the memory",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn health_check(&self, Parameters(args): Parameters<HealthCheckArgs>) -> CallToolResult {
        reply(&self.health(args.detailed.unwrap_or(false)).await)
    }

    /// The metrics of health_check alone.
    #[tool(
        title = "Get metrics",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn get_metrics(&self, Parameters(_): Parameters<NoArgs>) -> CallToolResult {
        reply(&GetMetricsResult { metrics: self.metrics().await })
    }

    /// What is left to learn, and why it failed.
    #[tool(
        title = "List jobs",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn list_jobs(&self, Parameters(args): Parameters<ListJobsArgs>) -> CallToolResult {
        answer(self.jobs(args).await)
    }

    /// Try a dead job again.
    #[tool(
        title = "Retry a job",
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn retry_job(&self, Parameters(args): Parameters<RetryJobArgs>) -> CallToolResult {
        answer(self.retry(args).await)
    }
}

impl Server {
    /// Who may see everything is told everything; anyone else what concerns its own domains.
    async fn health(&self, detailed: bool) -> HealthReport {
        let report = if self.principal.access.is_everything() {
            self.app.health(detailed).await
        } else {
            self.app.health_within(&self.principal.access).await
        };
        report.at(self.disclosure.level(Era::Legacy))
    }

    async fn metrics(&self) -> HealthMetrics {
        let metrics = if self.principal.access.is_everything() {
            self.app.measurements().await
        } else {
            self.app.health_within(&self.principal.access).await.metrics
        };
        metrics.at(self.disclosure.level(Era::Legacy))
    }

    async fn jobs(&self, args: ListJobsArgs) -> Result<ListJobsResult, Error> {
        Ok(self.memory.jobs(args.parse()?).await?.into())
    }

    async fn retry(&self, args: RetryJobArgs) -> Result<RetryJobResult, Error> {
        let id = args.parse()?;
        Ok(RetryJobResult::new(id, self.memory.retry_job(id).await?))
    }
}
