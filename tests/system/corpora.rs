//! Large collections of real runs, where they are at hand: `MEMORY_MCP_TEST_RUNS` names a directory of JSONL files in the
//! format of `memory-mcp import jsonl`.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::server::Home;

/// Tasks that are asked about, spread over all.
const QUESTIONS: usize = 60;
/// Characters of a task that make a question.
const QUESTION_CHARS: usize = 250;

#[test]
fn all_runs_are_imported_and_a_question_names_the_right_ones() {
    let Some(directory) = std::env::var_os("MEMORY_MCP_TEST_RUNS").map(PathBuf::from) else {
        eprintln!("SKIPPED: MEMORY_MCP_TEST_RUNS names no directory of runs");
        return;
    };
    let home = Home::new();
    let mut runs: HashMap<String, Value> = HashMap::new();
    for entry in std::fs::read_dir(&directory).expect("the directory of MEMORY_MCP_TEST_RUNS") {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let ran = home.run(&["import", "jsonl", path.to_str().unwrap()]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.contains(", 0 already there, 0 skipped"), "{}", ran.stdout);
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let run: Value = serde_json::from_str(line).unwrap();
            runs.insert(run["id"].as_str().unwrap().to_owned(), run);
        }
    }
    assert!(!runs.is_empty(), "{} holds no runs", directory.display());
    let store = &home.health()["metrics"]["store"];
    let steps: usize = runs.values().map(|run| run["steps"].as_array().unwrap().len()).sum();
    assert_eq!((&store["episodes"], &store["steps"]), (&json!(runs.len()), &json!(steps)));

    let mut server = home.start();
    let mut ids: Vec<&String> = runs.keys().collect();
    ids.sort();
    for id in ids.iter().step_by(ids.len().div_ceil(QUESTIONS)) {
        let task = runs[*id]["task"].as_str().unwrap();
        let question: String = task.chars().take(QUESTION_CHARS).collect();
        let answer = server.call("query_memory", json!({"query": question, "limit": 10}));
        // Several runs may be of one task, and two collections may tell it in other words, so it need not come first.
        let named = |hit: &Value| runs.get(hit["external_id"].as_str()?)?["task"].as_str().map(str::to_owned);
        let found: Vec<String> = answer["hits"].as_array().unwrap().iter().filter_map(named).collect();
        assert!(
            found.iter().any(|found| found.starts_with(&question)),
            "{id} was asked for, found were {found:?}"
        );
    }
}
