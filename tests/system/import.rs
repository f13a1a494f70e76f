//! `memory-mcp import jsonl`: runs recorded elsewhere, each exactly once, whatever happens on the way.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::server::{Home, Ran, Watchdog, run, wait_until};

/// Real runs that come with the program.
const RUNS: &str = include_str!("../../crates/mcp-server/demo/airline_runs.jsonl");

/// The counts that an import printed: stored, already there, skipped.
fn counts(ran: &Ran) -> (usize, usize, usize) {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let line = ran.stdout.lines().find(|line| line.contains(" stored with ")).expect("a line of counts");
    let number = |after: &str| {
        let before = line.split(after).next().unwrap();
        before.rsplit([' ', ',']).find(|word| !word.is_empty()).unwrap().parse().unwrap()
    };
    (number(" stored with "), number(" already there"), number(" skipped"))
}

fn import(home: &Home, lines: &str) -> Ran {
    run(home.command().args(["import", "jsonl", "-"]), lines.as_bytes())
}

fn stored(home: &Home) -> Value {
    home.health()["metrics"]["store"].take()
}

#[test]
fn the_documented_format_is_read_in_full() {
    let home = Home::new();
    let run = json!({
        "id": "run-1", "task": "Make the parser faster", "domain": "coding.rust", "repo": "tables",
        "success": true, "reward": 0.9, "basis": "user", "summary": "Interning was it.", "started_at": "2026-03-01T10:00:00Z",
        "files_edited": ["src/parse.rs"], "agent": "claude", "model": "m-1", "corpus": "own", "task_id": "t-1", "run": 2,
        "somebody_elses_field": {"is": "ignored"},
        "steps": [
            {"tool": "bash", "args": {"command": "cargo bench"}, "observation": "12 ms", "ok": true},
            {"tool": "edit", "args": "src/parse.rs", "thought": "intern the names", "ok": false, "error": "no match"},
            {"tool": "edit", "args": ["a", 1], "observation": 7},
            {"tool": "bash", "error_type": "Timeout"},
        ],
    });
    assert_eq!(counts(&import(&home, &format!("{run}\n"))), (1, 0, 0));
    let mut server = home.start();
    let answer = server.call("query_memory", json!({"query": "make the parser faster", "domain": "coding"}));
    let hit = &answer["hits"][0];
    assert_eq!((&hit["external_id"], &hit["outcome"]), (&json!("run-1"), &json!("success")));
    assert!(hit["when"].as_str().unwrap().starts_with("2026-03-01T10:00:00"), "{hit}");
    let episode = server.call("get_episode", json!({"episode_id": hit["id"]}));
    assert_eq!(episode["project"], "tables");
    assert_eq!(episode["domain"], "coding.rust");
    assert_eq!(episode["summary"], "Interning was it.");
    assert_eq!(episode["artifacts"], json!(["src/parse.rs"]));
    assert_eq!(episode["reward"]["total"], 0.9);
    assert_eq!(episode["basis"], "user");
    assert_eq!(
        episode["context"],
        json!({"agent": "claude", "corpus": "own", "model": "m-1", "run": "2", "task_id": "t-1"})
    );
    let steps = episode["steps"].as_array().unwrap();
    let ok: Vec<bool> = steps.iter().map(|step| step["ok"].as_bool().unwrap()).collect();
    assert_eq!(ok, [true, false, true, false]);
    assert_eq!(steps[0]["args"], r#"{"command":"cargo bench"}"#);
    assert_eq!((&steps[1]["action"], &steps[1]["error"]), (&json!("intern the names"), &json!("no match")));
    assert_eq!((&steps[2]["args"], &steps[2]["observation"]), (&json!(r#"["a",1]"#), &json!("7")));
    assert_eq!(steps[3]["error"], "Timeout");
}

#[test]
fn an_outcome_is_taken_from_wherever_it_stands() {
    let home = Home::new();
    let cases = [
        (json!({"success": true}), json!("success")),
        (json!({"success": false}), json!("failure")),
        (json!({"outcome": "partial", "success": true}), json!("partial")),
        (json!({"outcome": "abandoned"}), json!("abandoned")),
        (json!({"outcome": "timed out on step 9", "success": false}), json!("failure")),
        (json!({"success": null}), Value::Null),
        (json!({}), Value::Null),
    ];
    let lines = cases.iter().enumerate().map(|(number, (run, _))| {
        let mut run = run.clone();
        (run["id"], run["task"]) =
            (json!(format!("run-{number}")), json!(format!("number{number} of the outcomes")));
        format!("{run}\n")
    });
    assert_eq!(counts(&import(&home, &lines.collect::<String>())), (cases.len(), 0, 0));
    let mut server = home.start();
    for (number, (run, outcome)) in cases.into_iter().enumerate() {
        let answer = server.call("query_memory", json!({"query": format!("number{number}")}));
        assert_eq!(answer["hits"][0]["outcome"], outcome, "{run}");
    }
}

#[test]
fn bad_lines_are_skipped_with_their_number_and_the_reason() {
    let home = Home::new();
    let good = |id: &str| json!({"id": id, "task": "A good run"}).to_string();
    let lines = [
        good("a"),
        "{not json".to_owned(),
        String::new(),
        json!({"id": "b"}).to_string(),
        json!({"id": "c", "task": 7}).to_string(),
        json!({"task": "nameless"}).to_string(),
        json!({"id": " ", "task": "blank name"}).to_string(),
        "  ".to_owned(),
        json!({"id": "d", "task": "x".repeat(70_000)}).to_string(),
        json!({"id": "e", "task": "t", "steps": [{"args": 1}]}).to_string(),
        json!({"id": "f", "task": "t", "steps": [{"tool": "a"}, {"tool": ""}]}).to_string(),
        json!({"id": "g", "task": "t", "reward": 7}).to_string(),
        json!({"id": "h", "task": "t", "started_at": "long ago"}).to_string(),
        json!({"id": "i", "task": "t", "steps": "none"}).to_string(),
        json!([1, 2]).to_string(),
        format!("{{\"id\": \"j\", \"task\": \"{}\"}}", "x".repeat(17 << 20)),
        good("z"),
    ];
    let ran = import(&home, &lines.join("\n"));
    assert_eq!(counts(&ran), (2, 0, 13));
    let reasons = [
        (2, "key must be a string"),
        (4, "missing field `task`"),
        (5, "expected a string"),
        (6, "missing field `id`"),
        (7, "`id` is empty"),
        (9, "65536 bytes"),
        (10, "missing field `tool`"),
        (11, "`steps[1].tool` is empty"),
        (12, "`reward`"),
        (13, "`started_at`"),
        (14, "expected a sequence"),
        (15, ""),
        (16, "longer than 16777216 bytes"),
    ];
    let mut told = ran.stdout.lines();
    for (line, reason) in reasons {
        let said = told.next().unwrap();
        assert!(
            said.starts_with(&format!("line {line} skipped: ")) && said.contains(reason),
            "{line}: {said:.300}"
        );
    }
    assert_eq!(stored(&home)["episodes"], 2);
    // An input of nothing but bad lines is not an error either, and shows only some of them.
    let ran = import(&Home::new(), &"bad\n".repeat(50));
    assert_eq!(counts(&ran), (0, 0, 50));
    assert!(ran.stdout.contains("… and 30 more"), "{}", ran.stdout);
}

#[test]
fn real_runs_are_imported_once_however_often_that_is_done() {
    let home = Home::new();
    let file = home.beside("runs.jsonl");
    std::fs::write(&file, RUNS).unwrap();
    let file = file.to_str().unwrap();
    let all = RUNS.lines().count();
    let first = home.run(&["import", "jsonl", file]);
    assert_eq!(counts(&first), (all, 0, 0));
    let before = stored(&home);
    assert!(before["patterns"].as_u64().unwrap() > 100, "it has learned by the time it ends: {before}");
    assert_eq!(counts(&home.run(&["import", "jsonl", file])), (0, all, 0));
    assert_eq!(counts(&import(&home, RUNS)), (0, all, 0), "from standard input too");
    // Within one file as well: the first of two lines of one id counts.
    let twice = json!({"id": "twice", "task": "Only once"}).to_string() + "\n";
    assert_eq!(counts(&import(&home, &twice.repeat(2))), (1, 1, 0));
    let after = stored(&home);
    assert_eq!(after["episodes"], all + 1);
    assert_eq!((&after["steps"], &after["patterns"]), (&before["steps"], &before["patterns"]));
    let answer =
        home.start().call("query_memory", json!({"query": "cancel the flight and refund to the card"}));
    assert_eq!(answer["known"], true);
    assert!(answer["hits"][0]["external_id"].as_str().unwrap().starts_with("tau-airline/"), "{answer}");
}

#[test]
fn an_import_that_was_killed_is_completed_by_repeating_it() {
    const ALL: usize = 600;
    let home = Home::new();
    let line = |number: usize| {
        let steps = json!([{"tool": "look"}, {"tool": "leap", "error": "Error: too far"}, {"tool": "leap"}]);
        json!({"id": format!("run-{number}"), "task": format!("Cross gap{number}"), "steps": steps, "success": true}).to_string() + "\n"
    };
    let lines: String = (0..ALL).map(line).collect();
    let mut command = home.command();
    command.args(["import", "jsonl", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut importer = command.spawn().unwrap();
    let _watched = Watchdog::over(importer.id());
    let mut input = importer.stdin.take().unwrap();
    // It waits for the other half, so it is killed on its way for certain.
    input.write_all(&lines.as_bytes()[..lines.len() / 2]).unwrap();
    wait_until("the first runs are stored", || {
        let found = home.run(&["health", "--json"]);
        found.code == Some(0) && found.json()["metrics"]["store"]["episodes"].as_u64() > Some(0)
    });
    importer.kill().unwrap();
    importer.wait().unwrap();
    let kept = stored(&home)["episodes"].as_u64().unwrap() as usize;
    assert!(0 < kept && kept <= ALL / 2 + 1, "{kept}");
    assert_eq!(counts(&import(&home, &lines)), (ALL - kept, kept, 0));
    assert_eq!(counts(&import(&home, &lines)), (0, ALL, 0));
    let mut server = home.start();
    // Jobs that the killed process had in hand are due once its lease on them has ended.
    let metrics = server.learned();
    assert_eq!(metrics["store"]["episodes"], ALL);
    let recoveries = server.call("query_memory", json!({"query": "leap too far", "kinds": ["pattern"]}));
    let text = recoveries["hits"][0]["text"].as_str().unwrap();
    assert!(text.contains(&format!("over {ALL} episode(s)")), "each was learned from once: {text}");
    for number in [0, kept - 1, kept, ALL - 1] {
        let answer =
            server.call("query_memory", json!({"query": format!("gap{number}"), "kinds": ["episode"]}));
        assert_eq!(answer["hits"].as_array().unwrap().len(), 1, "{answer}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let home = Home::new();
    let ran = home.run(&["import", "jsonl", "no-such-file.jsonl"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("failed to open no-such-file.jsonl"), "{}", ran.stderr);
    assert!(!home.data().exists(), "and nothing was created");
    assert_eq!(counts(&import(&home, "")), (0, 0, 0), "no lines are no error");
}
