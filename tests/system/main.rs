//! The real server, driven as its clients drive it: the binary itself, over its standard input and output.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests: a panic is how they fail, and a skipped one says so"
)]

mod bad_input;
mod cli;
mod corpora;
mod durability;
mod extractors;
mod handshake;
mod import;
mod learning;
mod learning_loop;
mod model;
mod recall;
mod server;
mod stale;
mod storage;
mod tool_list;
mod traps;
mod two_servers;
