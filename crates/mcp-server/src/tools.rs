//! The tools, one toolset a file.

mod episodes;
mod operate;
mod recall;

/// The names of all tools in the order in which an agent meets them.
pub(crate) const ORDER: [&str; 7] = [
    "query_memory",
    "create_episode",
    "add_episode_step",
    "complete_episode",
    "get_episode",
    "remember",
    "health_check",
];

use memory_core::error::Error;
use rmcp::model::CallToolResult;
use serde::Serialize;

/// The result of a use case as the result of a tool.
fn answer<T: Serialize>(done: Result<T, Error>) -> CallToolResult {
    match done {
        Ok(value) => crate::fault::reply(&value),
        Err(error) => crate::fault::failure(&error),
    }
}
