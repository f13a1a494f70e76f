//! The tools, one toolset a file.

mod compute;
mod episodes;
mod learning;
mod operate;
mod recall;

/// The names of all tools in the order in which an agent meets them.
pub(crate) const ORDER: [&str; 16] = [
    "query_memory",
    "create_episode",
    "add_episode_step",
    "complete_episode",
    "get_episode",
    "remember",
    "recommend",
    "check_action",
    "record_feedback",
    "list_patterns",
    "explain_pattern",
    "correct_pattern",
    "delete_pattern",
    "delete_episode",
    "health_check",
    "execute_code",
];

use memory_core::error::Error;
use rmcp::model::CallToolResult;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use crate::operator::HealthReport;
use crate::wire::answer::WireAnswer;
use crate::wire::arguments::slim_schema;
use crate::wire::code::ExecuteCodeResult;
use crate::wire::episode::{
    AddStepResult, CompleteEpisodeResult, CreateEpisodeResult, RememberResult, WireEpisode,
};
use crate::wire::learning::{
    DeleteEpisodeResult, DeletePatternResult, ListPatternsResult, RecordFeedbackResult, WireExplanation,
    WirePattern,
};
use crate::wire::recommend::{CheckActionResult, WireRecommendation};

/// The schema of what a tool returns. It is for the documentation: sent with the list of tools it would cost every
/// client more than it is worth.
pub(crate) fn result_schema(tool: &str) -> Value {
    match tool {
        "query_memory" => schema::<WireAnswer>(),
        "create_episode" => schema::<CreateEpisodeResult>(),
        "add_episode_step" => schema::<AddStepResult>(),
        "complete_episode" => schema::<CompleteEpisodeResult>(),
        "get_episode" => schema::<WireEpisode>(),
        "remember" => schema::<RememberResult>(),
        "recommend" => schema::<WireRecommendation>(),
        "check_action" => schema::<CheckActionResult>(),
        "record_feedback" => schema::<RecordFeedbackResult>(),
        "list_patterns" => schema::<ListPatternsResult>(),
        "explain_pattern" => schema::<WireExplanation>(),
        "correct_pattern" => schema::<WirePattern>(),
        "delete_pattern" => schema::<DeletePatternResult>(),
        "delete_episode" => schema::<DeleteEpisodeResult>(),
        "health_check" => schema::<HealthReport>(),
        "execute_code" => schema::<ExecuteCodeResult>(),
        _ => Value::Null,
    }
}

fn schema<T: JsonSchema>() -> Value {
    let settings =
        SchemaSettings::draft2020_12().for_serialize().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    slim_schema(&mut schema);
    schema
}

/// The result of a use case as the result of a tool.
fn answer<T: Serialize>(done: Result<T, Error>) -> CallToolResult {
    match done {
        Ok(value) => crate::fault::reply(&value),
        Err(error) => crate::fault::failure(&error),
    }
}
