//! The binary `memory-mcp`.

use std::process::ExitCode;

use clap::Parser;
use mcp_server::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
