//! The tools, one toolset a file.

mod catalog;
mod compute;
mod episodes;
mod learning;
mod operate;
mod recall;

/// The names of all tools by the level from which on they are shown, in the order in which an agent meets them.
pub(crate) const TOOLSETS: [(Level, &[&str]); 4] = [
    (Level::Beginner, &["query_memory", "create_episode"]),
    (
        Level::Intermediate,
        &[
            "add_episode_step",
            "complete_episode",
            "get_episode",
            "remember",
            "recommend",
            "check_action",
            "record_feedback",
        ],
    ),
    (
        Level::Advanced,
        &[
            "list_patterns",
            "explain_pattern",
            "correct_pattern",
            "delete_pattern",
            "health_check",
            "execute_code",
        ],
    ),
    (
        Level::Expert,
        &[
            "list_episodes",
            "update_episode",
            "delete_episode",
            "link_episodes",
            "get_metrics",
            "list_jobs",
            "retry_job",
        ],
    ),
];

/// The names of all tools with their levels, in the order in which an agent meets them.
pub(crate) fn levels() -> impl Iterator<Item = (&'static str, Level)> {
    TOOLSETS.iter().flat_map(|(level, tools)| tools.iter().map(|tool| (*tool, *level)))
}

/// The names of all tools, for those who have mistaken one.
pub(crate) fn names() -> String {
    levels().map(|(tool, _)| tool).collect::<Vec<_>>().join(", ")
}

use memory_core::error::Error;
use rmcp::model::CallToolResult;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::disclosure::Level;
use crate::operator::{GetMetricsResult, HealthReport};
use crate::wire::answer::WireAnswer;
use crate::wire::arguments::slim_schema;
use crate::wire::catalog::{LinkEpisodesResult, ListEpisodesResult, UpdateEpisodeResult};
use crate::wire::code::ExecuteCodeResult;
use crate::wire::episode::{
    AddStepResult, CompleteEpisodeResult, CreateEpisodeResult, RememberResult, WireEpisode,
};
use crate::wire::job::{ListJobsResult, RetryJobResult};
use crate::wire::learning::{
    DeleteEpisodeResult, DeletePatternResult, ListPatternsResult, RecordFeedbackResult, WireExplanation,
    WirePattern,
};
use crate::wire::recommend::{CheckActionResult, WireRecommendation};

/// The schema of what a tool returns, in full. It is for the documentation: sent with the list of tools it would cost
/// every client more than it is worth; they get its [`outline`].
pub(crate) fn result_schema(tool: &str) -> Value {
    let mut schema = raw_schema(tool);
    slim_schema(&mut schema);
    schema
}

fn raw_schema(tool: &str) -> Value {
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
        "list_episodes" => schema::<ListEpisodesResult>(),
        "update_episode" => schema::<UpdateEpisodeResult>(),
        "link_episodes" => schema::<LinkEpisodesResult>(),
        "delete_episode" => schema::<DeleteEpisodeResult>(),
        "health_check" => schema::<HealthReport>(),
        "get_metrics" => schema::<GetMetricsResult>(),
        "list_jobs" => schema::<ListJobsResult>(),
        "retry_job" => schema::<RetryJobResult>(),
        "execute_code" => schema::<ExecuteCodeResult>(),
        _ => Value::Null,
    }
}

/// What a client is told of the result of a tool: the types of the fields that it always has and that are never null. Nothing is
/// required, so that an error is a result too, and nothing is excluded, so that results can grow.
pub(crate) fn outline(tool: &str) -> Value {
    let mut schema = raw_schema(tool);
    let always = schema["required"].take();
    let always = always.as_array().into_iter().flatten().filter_map(Value::as_str);
    let typed = always.filter_map(|name| {
        let of_type = schema["properties"][name]["type"].as_str()?;
        Some((name.to_owned(), json!({"type": of_type})))
    });
    json!({"type": "object", "properties": typed.collect::<Map<_, _>>()})
}

fn schema<T: JsonSchema>() -> Value {
    let settings =
        SchemaSettings::draft2020_12().for_serialize().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// The result of a use case as the result of a tool.
fn answer<T: Serialize>(done: Result<T, Error>) -> CallToolResult {
    match done {
        Ok(value) => crate::fault::reply(&value),
        Err(error) => crate::fault::failure(&error),
    }
}
