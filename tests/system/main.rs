//! The real server, driven as its clients drive it: the binary itself, over its standard input and output.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests: a panic is how they fail, and a skipped one says so"
)]

mod access;
mod bad_input;
mod catalog;
mod cli;
mod configuration;
mod corpora;
mod disclosure;
mod durability;
mod extractors;
mod handshake;
mod http;
mod import;
mod jobs;
mod leak;
mod learning;
mod learning_loop;
mod limits;
mod measurements;
mod model;
mod progress;
mod prompts;
mod recall;
mod remote;
mod resources;
mod sandbox;
mod server;
mod stale;
mod storage;
mod subscriptions;
mod tool_list;
mod traps;
mod two_servers;
