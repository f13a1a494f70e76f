//! The binary `memory-mcp`.

use std::process::ExitCode;

use mcp_server::cli::Cli;

fn main() -> ExitCode {
    Cli::of_process().run()
}
