//! For the operator.

use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolResult;
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::disclosure::Era;
use crate::fault::reply;
use crate::operator::HealthReport;
use crate::server::Server;

/// Arguments of `health_check`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HealthCheckArgs {
    /// Also look for damage, and measure.
    detailed: Option<bool>,
}

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
}
