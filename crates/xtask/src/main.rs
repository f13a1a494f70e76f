//! Chores of this repository: `cargo xtask generate`, `cargo xtask bench`, `cargo xtask bench-model`,
//! `cargo xtask bench-recall`, `cargo xtask bench-sandbox`, `cargo xtask fuzz-sandbox`, `cargo xtask engine`, `cargo xtask eval`.

mod bench;
mod bench_model;
mod bench_recall;
mod bench_sandbox;
mod engine;
mod eval;
mod fuzz_sandbox;
mod generate;
mod latency;
mod launch;
mod resident;

use std::path::PathBuf;

use anyhow::ensure;
use clap::Parser;

#[derive(Parser)]
enum Task {
    /// Writes docs/tools.md, docs/configuration.md, docs/cli.md and the manual page from the code
    Generate {
        /// Only say whether they are up to date; fail if not
        #[arg(long)]
        check: bool,
    },
    /// Builds the module of the JavaScript engine from its C source
    Engine {
        /// Only say whether the committed one is that; fail if not
        #[arg(long)]
        check: bool,
    },
    /// Measures the release binary over stdio, as a client sees it
    Bench {
        /// JSONL files to import instead of the runs of the demo
        files: Vec<PathBuf>,
    },
    /// Measures a sentence encoder on one thread; to be run with `cargo run --release -p xtask -- bench-model DIR`
    BenchModel {
        /// The directory of the model
        dir: PathBuf,
    },
    /// Measures what recall costs in large memories, over stdio; to be run with `cargo run --release -p xtask -- bench-recall`
    BenchRecall(bench_recall::Options),
    /// Measures what `execute_code` of the release binary costs, and what it costs others, over stdio
    BenchSandbox(bench_sandbox::Options),
    /// Runs random programs in the sandbox and looks whether any gets out, breaks it or leaves something behind
    FuzzSandbox(fuzz_sandbox::Options),
    /// Measures how well the release binary recalls, beside plain BM25, and learns, beside counting, over stdio
    Eval(eval::Options),
}

fn main() -> anyhow::Result<()> {
    match Task::parse() {
        Task::Generate { check } => generate::run(check),
        Task::Engine { check } => engine::run(check),
        Task::Bench { files } => bench::run(&files),
        Task::BenchModel { dir } => bench_model::run(&dir),
        Task::BenchRecall(options) => bench_recall::run(&options),
        Task::BenchSandbox(options) => bench_sandbox::run(&options),
        Task::FuzzSandbox(options) => fuzz_sandbox::run(&options),
        Task::Eval(options) => eval::run(&options),
    }
}

/// The root of the repository.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The server as it is shipped.
fn release_binary() -> anyhow::Result<PathBuf> {
    let binary = root().join("target/release/memory-mcp");
    ensure!(binary.exists(), "there is no release binary; run `cargo build --release` first");
    Ok(binary)
}
