//! memory-mcp: a memory for coding agents, as an MCP server over stdio.
//!
//! This crate is the composition root: it alone reads the command line and the environment, chooses the adapters and
//! owns every task. The protocol's SDK, `rmcp`, appears nowhere else.

pub mod channel;
pub mod cli;
pub mod client;
mod config;
mod connect;
mod demo;
mod extractor;
mod fault;
mod import;
pub mod limits;
mod model;
mod operator;
mod plugins;
mod server;
mod telemetry;
mod tools;
mod wire;
mod wiring;
mod workspace;

pub use server::{INSTRUCTIONS, tool_reference, tools};
