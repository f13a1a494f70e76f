//! A tiny made-up directory of every set, through the real server.

use std::fs::{create_dir_all, write};

use tempfile::TempDir;

use super::*;
use crate::eval::report::SetReport;

/// The server that was built together with this test; without one the test says that it is skipped.
fn launch() -> Option<Launch> {
    let built = std::env::current_exe().unwrap();
    let binary = built.parent()?.parent()?.join(format!("memory-mcp{}", std::env::consts::EXE_SUFFIX));
    if !binary.is_file() {
        println!("SKIPPED: there is no {}; `cargo build -p mcp-server` makes it", binary.display());
        return None;
    }
    Some(Launch { binary, model: None })
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        write(dir.path().join(name), content).unwrap();
    }
    dir
}

fn recall(set: Set, launch: &Launch, folder: &Path) -> anyhow::Result<SetRun> {
    match set.work() {
        Work::Recall(run) => run(launch, folder),
        Work::Learning(_) => panic!("{} is about learning", set.name()),
    }
}

fn report(set: Set, files: &[(&str, &str)]) -> Option<SetReport> {
    let launch = launch()?;
    Some(recall(set, &launch, folder(files).path()).unwrap().report())
}

/// The means of a category by the names of the measures: the server's and those of BM25.
fn means(report: &SetReport, category: &str, measure: &str) -> (Option<f64>, Option<f64>) {
    let row = report.rows.iter().find(|row| row.category == category).unwrap();
    let figure = row.figures.iter().find(|figure| figure.measure == measure).unwrap();
    (figure.server.map(|estimate| estimate.mean), figure.bm25.map(|estimate| estimate.mean))
}

const BOTH: (Option<f64>, Option<f64>) = (Some(1.0), Some(1.0));
const NEITHER: (Option<f64>, Option<f64>) = (None, None);

#[test]
fn every_conversation_is_asked_about_its_own_turns() {
    let turns = r#"{"id":"a/1","conv":"a","speaker":"Ann","text":"I adopted a hedgehog.","image_caption":null}
{"id":"a/2","conv":"a","speaker":"Bo","text":"Look!","image_caption":"a crimson kite"}
{"id":"b/1","conv":"b","speaker":"Cy","text":"I adopted a hedgehog.","image_caption":null}"#;
    let queries = r#"{"conv":"a","category_name":"single_hop","query":"adopted hedgehog","gold_turns":["a/1"],"gold_sessions":[]}
{"conv":"a","category_name":"single_hop","query":"crimson kite","gold_turns":["a/2"],"gold_sessions":[]}
{"conv":"b","category_name":"temporal","query":"adopted hedgehog","gold_turns":["b/1"],"gold_sessions":[]}
{"conv":"b","category_name":"open_domain","query":"adopted hedgehog","gold_turns":[],"gold_sessions":[]}
{"conv":"b","category_name":"adversarial","query":"volcano zeppelin","gold_turns":["b/1"],"gold_sessions":[]}"#;
    let files = [("docs_turn.jsonl", turns), ("queries.jsonl", queries)];
    let Some(report) = report(Set::LocomoTurns, &files) else { return };
    for category in ["all", "single_hop", "temporal"] {
        assert_eq!(means(&report, category, "recall@1"), BOTH, "{category}");
    }
    assert_eq!(means(&report, "open_domain", "recall@1"), NEITHER);
    assert_eq!(means(&report, "adversarial", "recall@1"), NEITHER);
    let unknown: Vec<usize> = report.rows.iter().map(|row| row.unknown).collect();
    assert_eq!(unknown, [0, 0, 0, 0, 1]);
}

#[test]
fn episodes_are_created_and_graded() {
    let docs = r#"{"id":"r1","task":"polish the copper kettle","steps":[{"i":1,"tool":"take","args":"take kettle","state_before":"a kettle"}]}
{"id":"r2","task":"water the fern","steps":[]}"#;
    let queries = r#"{"query":"polish the copper kettle","tier":"EASY","gold":{"r1":9.0,"r2":2.0}}"#;
    let files = [("docs.jsonl", docs), ("queries.jsonl", queries)];
    let Some(report) = report(Set::Procedural, &files) else { return };
    for measure in ["hit@1", "recall@10", "NDCG@10"] {
        assert_eq!(means(&report, "easy", measure), BOTH, "{measure}");
    }
}

#[test]
fn facts_are_stored_in_the_order_of_their_numbers() {
    let docs = r#"{"id":"s/1","set":"s","serial":1,"text":"Marzipan was invented in Lübeck."}
{"id":"s/0","set":"s","serial":0,"text":"Chess was invented in India."}"#;
    let queries = r#"{"set":"s","hop":"sh","query":"Where was marzipan invented?","gold":"s/1","stale":[]}
{"set":"s","hop":"mh","query":"Where is the town of marzipan?","gold":null,"stale":[]}"#;
    let files = [("docs.jsonl", docs), ("queries.jsonl", queries)];
    let Some(report) = report(Set::Facts, &files) else { return };
    assert_eq!(report.questions, 1);
    assert_eq!(means(&report, "s", "up to date"), BOTH);
}

#[test]
fn runs_are_imported_and_found_by_their_tasks() {
    let runs = r#"{"id":"x/1","corpus":"x","task_id":"1","task":"repair the flaky carburettor test","success":true,"steps":[{"tool":"bash","args":"make","observation":"","ok":true,"error":null}]}
{"id":"x/2","corpus":"x","task_id":"1","task":"repair the flaky carburettor test","success":false,"steps":[]}"#;
    let Some(report) = report(Set::Episodes, &[("x.jsonl", runs), ("README.md", "not a run")]) else {
        return;
    };
    assert_eq!(report.questions, 1);
    assert_eq!(means(&report, "x", "capped@5"), BOTH);
}

/// A user with a belief in each of two scopes, a pinned, a superseded and a resolved one; another user with one.
const BELIEFS: &str = r#"[
{"_id":"stored","user_id":"test-user","type":"entity","canonical_name":"cache_redis","aliases":["valkey"],"content":"Redis is the cache.","scope":["domain:code"],"epistemic_status":"active","pinned":false,"resolved_at":null,"superseded_by":null},
{"_id":"novel","user_id":"test-user","type":"entity","canonical_name":"pianist","aliases":["valkey"],"content":"Redis is a pianist.","scope":["domain:writing"],"epistemic_status":"active","pinned":false,"resolved_at":null,"superseded_by":null},
{"_id":"pinned","user_id":"test-user","type":"decision","canonical_name":"valkey","aliases":[],"content":"Valkey it is.","scope":["domain:code"],"epistemic_status":"active","pinned":true,"resolved_at":null,"superseded_by":null},
{"_id":"old","user_id":"test-user","type":"decision","canonical_name":"valkey","aliases":[],"content":"Valkey it was.","scope":["domain:code"],"epistemic_status":"superseded","pinned":false,"resolved_at":null,"superseded_by":"pinned"},
{"_id":"settled","user_id":"test-user","type":"open_question","canonical_name":"valkey","aliases":[],"content":"Valkey?","scope":["domain:code"],"epistemic_status":"active","pinned":false,"resolved_at":"2026-01-01T00:00:00Z","superseded_by":null},
{"_id":"other","user_id":"other-user","type":"entity","canonical_name":"valkey","aliases":[],"content":"Valkey elsewhere.","scope":["domain:code"],"epistemic_status":"active","pinned":false,"resolved_at":null,"superseded_by":null}]"#;

#[test]
fn only_what_a_user_has_stored_in_a_scope_and_has_room_for_is_retrieved() {
    let case = |name: &str, more: &str, scope: &str, query: &str, expected: &str| {
        format!(
            r#"{{"caseId":"{name}","category":"{name}",{more}"scope":[{scope}],"query":"{query}","expect":{expected}}}"#
        )
    };
    let only = |ids: &str| format!(r#"{{"relevantBeliefs":{{"shouldOnlyInclude":[{ids}]}}}}"#);
    let must = r#"{"relevantBeliefs":{"mustInclude":["pinned","stored"]}}"#;
    let (code, both) = (r#""domain:code""#, r#""domain:code","domain:writing""#);
    let cases = [
        case("one", "", code, "valkey", &only(r#""stored""#)),
        case("both", "", both, "valkey", &only(r#""stored","novel""#)),
        case("must", "", code, "valkey", must),
        case("room", r#""budget":{"maxBeliefs":1},"#, code, "valkey", &only("")),
        case("empty", "", code, "  ", &only("")),
        case("new", r#""userId":"new-user","#, code, "valkey", r#"{"pinnedFacts":{"mustInclude":[]}}"#),
    ];
    let cases = format!("[{}]", cases.join(","));
    let files = [("beliefs.seed.json", BELIEFS), ("retrieval.cases.json", &cases)];
    let Some(report) = report(Set::Precision, &files) else { return };
    for category in ["one", "both", "must"] {
        assert_eq!(means(&report, category, "precision"), BOTH, "{category}");
        assert_eq!(means(&report, category, "recall"), BOTH, "{category}");
    }
    for category in ["room", "empty", "new"] {
        assert_eq!(means(&report, category, "precision"), NEITHER, "{category}");
        assert_eq!(means(&report, category, "exact"), BOTH, "{category}");
    }
}

#[test]
fn what_a_session_adds_is_found_from_the_next_turn_on() {
    let turn = |label: &str, query: &str, expected: &str, more: &str| {
        format!(
            r#"{{"turnIndex":0,"label":"{label}","scope":["domain:code"],"userMessage":"{query}"{more},
                "expect":{{"relevantBeliefs":{{"shouldOnlyInclude":[{expected}]}}}}}}"#
        )
    };
    let update = r#","updateBeliefAtTurn":{"beliefId":"stored","addAliases":["eviction policy"]}"#;
    let create = r#","createBeliefAtTurn":{"_id":"new","user_id":"test-user","type":"decision","canonical_name":"zeppelin","aliases":[],"content":"Deploys go by zeppelin.","scope":["domain:code"],"epistemic_status":"active","pinned":false,"resolved_at":null,"superseded_by":null}"#;
    let turns = [
        turn("before", "eviction policy", "", update),
        turn("updated", "eviction policy", r#""stored""#, create),
        turn("created", "zeppelin deploys", r#""new""#, ""),
    ];
    let sessions = format!(r#"[{{"caseId":"s","turns":[{}]}}]"#, turns.join(","));
    let files = [("beliefs.seed.json", BELIEFS), ("session-retrieval.cases.json", &sessions)];
    let Some(report) = report(Set::PrecisionSessions, &files) else { return };
    for category in ["before", "updated", "created"] {
        assert_eq!(means(&report, category, "exact"), BOTH, "{category}");
    }
}

#[test]
fn a_call_that_fails_is_named() {
    let facts = r#"{"id":"s/0","set":"s","serial":0,"text":""}"#;
    let Some(launch) = launch() else { return };
    let dir = folder(&[("docs.jsonl", facts), ("queries.jsonl", "")]);
    let error = recall(Set::Facts, &launch, dir.path()).err().unwrap();
    let chain = format!("{error:#}");
    assert!(chain.contains("remember failed for"), "{chain}");
    assert!(chain.contains("s/0") && chain.contains("invalid_arguments"), "{chain}");
}

#[test]
fn learning_is_told_for_every_corpus_that_can_be_divided() {
    let Some(launch) = launch() else { return };
    if let Err(reason) = learning::ensure_measurable(&launch) {
        println!("SKIPPED: {reason}");
        return;
    }
    let run = |number: usize, task: &str, trial: usize| {
        json!({
            "id": number.to_string(), "corpus": "c", "task_id": task, "run": trial, "task": format!("polish the {task}"),
            "domain": "chores", "success": trial == 0, "steps": [
                {"tool": "take", "args": task, "ok": true},
                {"tool": "rub", "args": task, "ok": false, "error": "no cloth"},
                {"tool": "find", "args": "cloth", "ok": true},
            ],
        })
        .to_string()
    };
    let twice = [run(0, "kettle", 0), run(1, "fern", 0), run(2, "kettle", 1), run(3, "fern", 1)].join("\n");
    let once = [run(0, "kettle", 0), run(1, "fern", 0)].join("\n");
    let dir = folder(&[("once.jsonl", &once), ("twice.jsonl", &twice)]);
    let mut out = Vec::new();
    let mut told = Told { out: &mut out, json: false, document: Vec::new(), dump: None };
    Set::LearningRepeat.run(&launch, dir.path(), 1, &mut told).unwrap();
    let [skipped, report] = told.document.as_slice() else { panic!("{:?}", told.document) };
    assert_eq!(
        (&skipped["corpus"], &skipped["skipped"]),
        (&json!("once"), &json!("no task has several trials"))
    );
    assert_eq!(
        (&report["corpus"], &report["held_out"], &report["walked"]),
        (&json!("twice"), &json!(4), &json!(2))
    );
    for (measure, n) in [("next tool right", 6), ("success, Brier score", 2), ("recovery right", 2)] {
        let figures = report["figures"].as_array().unwrap();
        let figure = figures.iter().find(|figure| figure["measure"] == measure).unwrap();
        assert_eq!(figure["memory"]["n"], n, "{measure}");
        let baseline = if measure.contains("Brier") { 0.5 } else { 1.0 };
        assert!(figure["baseline"]["mean"].as_f64() >= Some(baseline), "{measure}: {figure}");
    }
}

#[test]
fn a_missing_folder_is_told() {
    let dir = tempfile::tempdir().unwrap();
    create_dir_all(dir.path().join("facts")).unwrap();
    assert_eq!(Set::Facts.folder(Some(dir.path())), Ok(dir.path().join("facts")));
    let missing = dir.path().join("locomo");
    let reason = format!("there is no {}", missing.display());
    assert_eq!(Set::LocomoTurns.folder(Some(dir.path())), Err(reason));
    assert!(Set::Notes.folder(None).is_ok_and(|folder| folder.is_dir()));
}
