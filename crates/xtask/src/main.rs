//! Chores of this repository: `cargo xtask generate`, `cargo xtask bench`.

mod bench;
mod generate;

use std::path::PathBuf;

use clap::Parser;

#[derive(Parser)]
enum Task {
    /// Writes docs/tools.md and docs/cli.md from the code
    Generate {
        /// Only say whether they are up to date; fail if not
        #[arg(long)]
        check: bool,
    },
    /// Measures the release binary over stdio, as a client sees it
    Bench {
        /// JSONL files to import instead of the runs of the demo
        files: Vec<PathBuf>,
    },
}

fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::Generate { check } => generate::run(check),
        Task::Bench { files } => bench::run(&files),
    }
}

/// The root of the repository.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
