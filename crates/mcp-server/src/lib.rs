//! memory-mcp: a memory for coding agents, as an MCP server over stdio.
//!
//! This crate is the composition root: it alone reads the command line and the environment, chooses the adapters and
//! owns every task. The protocol's SDK, `rmcp`, appears nowhere else.

mod admission;
mod alert;
mod auth;
pub mod channel;
pub mod cli;
pub mod client;
mod config;
mod connect;
mod demo;
mod disclosure;
mod extractor;
mod fault;
mod http;
mod import;
mod jobs;
mod key;
pub mod limits;
mod model;
mod operator;
mod plugins;
mod progress;
mod prometheus;
mod prompts;
mod resources;
mod serve;
mod server;
mod telemetry;
mod tools;
mod updates;
mod wire;
mod wiring;
mod workspace;

pub use config::{SectionReference, SettingReference, setting_reference};
pub use disclosure::Level;
pub use prompts::prompts;
pub use resources::templates as resource_templates;
pub use server::{instructions, tool_level, tool_reference, tools};
