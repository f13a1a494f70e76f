//! Recall as an agent sees it: what is found by words, what by meaning, and what becomes of it when the model, the search
//! index or a server fails.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::server::{Home, Server, files, texts, wait_until};

/// Notes about other things, so that words have a rarity and there is something else to find.
const DISTRACTORS: usize = 200;

fn remember(server: &mut Server, text: &str) -> String {
    let kept = server.call("remember", json!({"text": text}));
    kept["note_id"].as_str().unwrap().to_owned()
}

fn ask(server: &mut Server, query: &str) -> Value {
    server.call("query_memory", json!({"query": query}))
}

/// The id of the best hit.
fn first(answer: &Value) -> &str {
    answer["hits"][0]["id"].as_str().unwrap_or_default()
}

fn ids(answer: &Value) -> Vec<&str> {
    texts(&answer["hits"], "id")
}

fn distract(server: &mut Server) {
    let rooms = ["kitchen", "hallway", "attic", "cellar", "garage", "bathroom", "study", "porch"];
    let parts = ["lamp", "door", "carpet", "window", "heating"];
    let states = ["was painted", "needs oil", "squeaks at night", "arrived broken", "is under guarantee"];
    // Not in the order of what they are about: neighbours that are alike would be taken for a sequence.
    for number in (0..DISTRACTORS).map(|number| number * 67 % DISTRACTORS) {
        let (room, part) = (rooms[number % 8], parts[number / 8 % 5]);
        remember(server, &format!("The {room} {part} of house {number} {}", states[number / 40 % 5]));
    }
}

/// A memory of distractors and a server on it.
fn furnished() -> (Home, Server) {
    let home = Home::new();
    let mut server = home.start();
    distract(&mut server);
    (home, server)
}

/// What a text is found by that stands in a note like this.
const BY_WORDS: [(&str, &str); 16] = [
    ("Die Übertragungspuffergröße wird beim Start geprüft", "übertragungspuffergröße"),
    (
        "Der Donaudampfschifffahrtskapitän hat Überstunden",
        "Überstunden vom Kapitän Donaudampfschifffahrtskapitän",
    ),
    ("数据库连接在十秒后超时", "连接超时"),
    ("let total = items.iter().map(Item::price).sum::<u64>();", "items.iter().map(Item::price)"),
    (
        "thread 'main' panicked at src/ledger.rs:88:14: called `Option::unwrap()` on a `None` value",
        "stack backtrace:\n   3: shop::ledger::post\n             at ./src/ledger.rs:88:14\n   4: main",
    ),
    ("The fixtures lie in crates/billing/tests/fixtures/eu.json", "crates/billing/tests/fixtures/eu.json"),
    ("ORA-00942 means that the grant to the reporting role is missing", "java.sql.SQLException: ORA-00942"),
    ("E0308 after the upgrade comes from the new return type", "error[E0308]: mismatched types"),
    ("0x80070005 goes away when the agent runs elevated", "failed with code 0x80070005"),
    ("TS2345 is silenced by the cast in forms.tsx", "TS2345: Argument of type 'string'"),
    ("Kubernetes evicts the ingress controller at 80 % memory", "kuberntes evcits"),
    ("fetchUserProfile retries three times", "user profile"),
    ("Set max_connection_lifetime below the proxy's timeout", "connection lifetime"),
    ("XmlHttpRequestFactory is not thread safe", "xmlhttprequestfactory"),
    ("Rotate the signing keys every quarter", "how often do I have to rotate a signing key?"),
    ("v2.14.3 broke the pagination", "what broke in v2.14.3"),
];

#[test]
fn whatever_is_written_is_found_by_its_words() {
    let (_home, mut server) = furnished();
    let stored: Vec<String> = BY_WORDS.iter().map(|(text, _)| remember(&mut server, text)).collect();
    for ((text, query), id) in BY_WORDS.iter().zip(stored) {
        let answer = ask(&mut server, query);
        assert_eq!(answer["search"], "lexical");
        assert_eq!(first(&answer), id, "{query}, which is to find {text}: {answer}");
    }
    let tagged = json!({"text": "Ask Maria first", "tags": ["payroll-freeze"]});
    let tagged = server.call("remember", tagged)["note_id"].take();
    assert_eq!(first(&ask(&mut server, "payroll freeze")), tagged);
    assert_eq!(server.call("health_check", json!({}))["status"], "ok", "no model is nothing wrong");
}

#[test]
fn a_question_of_stop_words_only_finds_what_has_them() {
    let home = Home::new();
    let mut server = home.start();
    for text in ["Paint the door", "Who was it, then?", "Rain until noon"] {
        remember(&mut server, text);
    }
    let id = remember(&mut server, "To be or not to be");
    assert_eq!(ids(&ask(&mut server, "to be or not to be")), [id]);
}

#[test]
fn a_question_that_says_nothing_is_refused() {
    let mut server = Home::new().start();
    for query in ["", " ", "\n\t\u{a0}"] {
        let error = server.refused("query_memory", json!({"query": query}));
        assert_eq!(error["kind"], "invalid_arguments");
        assert_eq!(texts(&error["fields"], "field"), ["query"], "{error}");
        assert!(error["message"].as_str().unwrap().contains("empty"), "{error}");
    }
}

#[test]
fn the_one_known_code_in_a_long_log_is_found_wherever_it_stands() {
    let (_home, mut server) = furnished();
    finds_the_code_in_a_log(&mut server, "lexical");
}

#[test]
fn a_model_does_not_drown_the_one_known_code_in_a_long_log() {
    let Some(dir) = real() else { return };
    let home = Home::new();
    let mut server = start_with(&home, &dir);
    distract(&mut server);
    wait_for_search(&mut server, "hybrid");
    finds_the_code_in_a_log(&mut server, "hybrid");
}

fn finds_the_code_in_a_log(server: &mut Server, by: &str) {
    let id = remember(server, "FQ-31337: the spool is full, run the cleaner");
    let line = |n: usize| {
        let (second, request, millis) = (n % 60, n * 7_919 % 100_003, n % 300);
        format!(
            "2026-01-05T10:{:02}:{second:02} INFO worker{} took request {request} in {millis} ms\n",
            n / 60,
            n % 16
        )
    };
    let lines: Vec<String> = (0..1_700).map(line).collect();
    for place in [0, 850, 1_700] {
        let log = format!(
            "{}2026-01-05T10:59:59 ERROR FQ-31337\n{}",
            lines[..place].concat(),
            lines[place..].concat()
        );
        assert!(log.len() > 100_000);
        let answer = ask(server, &log);
        assert_eq!(
            (first(&answer), answer["search"].as_str()),
            (id.as_str(), Some(by)),
            "at line {place}: {answer}"
        );
    }
}

#[test]
fn what_was_superseded_is_told_of_the_time_before_only() {
    let (_home, mut server) = furnished();
    let old = remember(&mut server, "Deploys happen on Tuesday");
    let between = Timestamp::now().to_string();
    // Times are told to the second.
    std::thread::sleep(std::time::Duration::from_millis(5));
    let new = json!({"text": "We moved deploys to Friday", "supersedes": [old]});
    let new = server.call("remember", new)["note_id"].as_str().unwrap().to_owned();
    let now = ask(&mut server, "when do deploys happen");
    assert_eq!(ids(&now), [new.as_str()]);
    assert_eq!((now.get("left_out"), now["hits"][0].get("superseded_at")), (None, None));
    let question = json!({"query": "when do deploys happen", "until": between});
    let then = server.call("query_memory", question);
    assert_eq!(ids(&then), [old.as_str()]);
    let since = then["hits"][0]["superseded_at"].as_str().unwrap();
    assert!(since.parse::<Timestamp>().is_ok(), "{since}");
    let question = json!({"query": "when do deploys happen", "explain": true});
    let explained = server.call("query_memory", question);
    assert_eq!(ids(&explained), [new.as_str()]);
    let left_out = &explained["left_out"][0];
    assert_eq!((&left_out["id"], &left_out["reason"]), (&json!(old), &json!("superseded")));
}

#[test]
fn a_fact_that_has_changed_is_told_as_it_is_now() {
    let (_home, mut server) = furnished();
    let old = remember(&mut server, "The port of the staging server is 8080");
    let new = remember(&mut server, "The port of the staging server is 9090");
    let question = |explain: bool| json!({"query": "port of the staging server", "explain": explain});
    let answer = server.call("query_memory", question(false));
    assert_eq!((ids(&answer), answer.get("left_out")), (vec![new.as_str()], None));
    let explained = server.call("query_memory", question(true));
    let left_out = &explained["left_out"][0];
    let told = ["id", "reason", "by"].map(|field| left_out[field].as_str().unwrap());
    assert_eq!(told, [old.as_str(), "superseded", new.as_str()]);
}

/// A tiny model whose vectors are as good as any for telling whether there are some.
fn tiny(home: &Home) -> PathBuf {
    let dir = home.beside("tiny");
    testkit::model::write(&dir, 1);
    dir
}

/// The real model, if the tests are given one.
fn real() -> Option<PathBuf> {
    let dir = std::env::var_os("MEMORY_MCP_TEST_MODEL").map(PathBuf::from);
    if dir.is_none() {
        eprintln!("SKIPPED: MEMORY_MCP_TEST_MODEL names no directory with all-MiniLM-L6-v2");
    }
    dir
}

fn start_with(home: &Home, model: &Path) -> Server {
    Server::start(home.command().env("MEMORY_MCP_MODEL_DIR", model))
}

fn wait_for_search(server: &mut Server, by: &str) {
    wait_until(&format!("search is {by}"), || ask(server, "anything")["search"] == by);
}

/// What `health_check` says of the model: its status and in words.
fn model(server: &mut Server) -> (String, String) {
    let health = server.call("health_check", json!({}));
    let components = health["components"].as_array().unwrap();
    let model = components.iter().find(|component| component["name"] == "model").unwrap();
    let told = |field: &str| model[field].as_str().unwrap().to_owned();
    if told("status") == "degraded" {
        assert_eq!(health["status"], "degraded");
    }
    (told("status"), told("detail"))
}

/// Whether the note with this text is found by its meaning: that it has a vector, which is that of the text.
fn is_found_by_meaning(server: &mut Server, text: &str, id: &str) -> bool {
    let answer = server.call("query_memory", json!({"query": text, "explain": true, "limit": 1}));
    let hit = &answer["hits"][0];
    assert_eq!(hit["id"], id, "{text}: {answer}");
    hit["explanation"]["meaning"].as_f64().is_some_and(|cosine| cosine > 0.98)
}

/// What shares no word with a note that means the same.
const PARAPHRASES: [(&str, &str); 4] = [
    (
        "The invoice run crashes when a customer lacks a postal address",
        "billing job fails if clients have no mailing location",
    ),
    ("Restarting the router cured the flaky network connection", "how to repair unstable internet"),
    ("Our cat was taken to the veterinarian on Monday", "pet saw an animal doctor"),
    ("The physician prescribed antibiotics for her throat", "which medicine did the doctor give"),
];

#[test]
fn what_means_the_same_is_found_without_a_common_word_by_the_very_next_call() {
    let Some(model) = real() else { return };
    let (home, server) = furnished();
    assert_eq!(server.finish().1, Some(0));
    let mut server = start_with(&home, &model);
    wait_for_search(&mut server, "hybrid");
    for (text, query) in PARAPHRASES {
        let id = remember(&mut server, text);
        let answer = ask(&mut server, query);
        assert_eq!(answer["search"], "hybrid");
        assert_eq!(first(&answer), id, "{query}, which is to find {text}: {answer}");
        let why = answer["hits"][0]["why"].as_str().unwrap();
        assert!(why.contains("meaning") && !why.contains("words"), "{why}");
    }
    assert_eq!(self::model(&mut server).0, "ok");
}

#[test]
fn two_servers_find_each_others_notes_by_their_meaning() {
    let Some(model) = real() else { return };
    let home = Home::new();
    let (mut left, mut right) = (start_with(&home, &model), start_with(&home, &model));
    wait_for_search(&mut left, "hybrid");
    wait_for_search(&mut right, "hybrid");
    for (text, query) in PARAPHRASES {
        let id = remember(&mut left, text);
        wait_until("the other one finds it", || {
            let answer = ask(&mut right, query);
            assert_eq!(answer["search"], "hybrid");
            first(&answer) == id
        });
        std::mem::swap(&mut left, &mut right);
    }
}

#[test]
fn a_model_that_is_missing_or_damaged_leaves_words_and_serves_once_it_is_mended() {
    for damage in ["missing", "truncated"] {
        let home = Home::new();
        let (whole, dir) = (tiny(&home), home.beside("model"));
        if damage == "truncated" {
            testkit::model::write(&dir, 1);
            let weights = fs::read(dir.join("model.safetensors")).unwrap();
            fs::write(dir.join("model.safetensors"), &weights[..weights.len() / 2]).unwrap();
        }
        let mut server = start_with(&home, &dir);
        let text = "The harbour master keeps the keys";
        let id = remember(&mut server, text);
        let answer = ask(&mut server, "harbour keys");
        assert_eq!((&answer["search"], first(&answer)), (&json!("lexical"), id.as_str()), "{damage}");
        let mut told = model(&mut server);
        wait_until("it was looked for the model", || {
            told = model(&mut server);
            told.0 == "degraded"
        });
        assert!(told.1.contains("search is by words only") && told.1.contains("model"), "{damage}: {told:?}");
        if damage == "missing" {
            fs::rename(&whole, &dir).unwrap();
        } else {
            fs::rename(whole.join("model.safetensors"), dir.join("model.safetensors")).unwrap();
        }
        wait_for_search(&mut server, "hybrid");
        assert!(is_found_by_meaning(&mut server, text, &id), "{damage}: what was stored meanwhile too");
        assert_eq!(model(&mut server).0, "ok", "{damage}");
    }
}

#[test]
fn a_running_server_takes_up_the_model_that_its_user_chooses() {
    let (home, mut server) = furnished();
    let text = "The harbour master keeps the keys";
    let id = remember(&mut server, text);
    assert_eq!(ask(&mut server, text)["search"], "lexical");
    let dir = tiny(&home);
    assert_eq!(home.run(&["model", "add", dir.to_str().unwrap()]).code, Some(0));
    assert_eq!(home.run(&["model", "use", "tiny"]).code, Some(0));
    wait_for_search(&mut server, "hybrid");
    assert!(is_found_by_meaning(&mut server, text, &id), "what was there before has its vector");
    let searched = server.call("health_check", json!({}))["metrics"]["search"].take();
    assert_eq!(searched["vectors"], json!(DISTRACTORS + 1));
    assert_eq!(home.run(&["model", "use", "none"]).code, Some(0));
    wait_for_search(&mut server, "lexical");
    assert_eq!(first(&ask(&mut server, text)), id);
    assert_eq!(model(&mut server).0, "ok", "none is nothing wrong");
}

#[test]
fn what_a_killed_server_did_not_embed_the_next_one_does() {
    const NOTES: usize = 300;
    let home = Home::new();
    let model = real().unwrap_or_else(|| tiny(&home));
    let mut server = home.start();
    let text = |n: usize| format!("Locker {n} belongs to the crew of ship {}", n * 37 % 1_009);
    let stored: Vec<String> = (0..NOTES).map(|n| remember(&mut server, &text(n))).collect();
    assert_eq!(server.finish().1, Some(0));
    let mut server = start_with(&home, &model);
    wait_until("it is at work", || {
        let (_, told) = self::model(&mut server);
        let has_begun = told.contains("gone through") && !told.contains(" 0 gone through");
        has_begun || told.contains("by words and meaning")
    });
    server.kill();
    let mut server = start_with(&home, &model);
    wait_for_search(&mut server, "hybrid");
    for (n, id) in stored.iter().enumerate() {
        assert!(is_found_by_meaning(&mut server, &text(n), id), "{n}");
    }
    assert_eq!(server.finish().1, Some(0));
    assert_eq!(home.health()["status"], "ok");
}

#[test]
fn answers_do_not_depend_on_the_files_of_the_search_index() {
    let (home, server) = furnished();
    assert_eq!(server.finish().1, Some(0));
    let dir = tiny(&home);
    let index = home.data().join("index");
    let questions = ["the garage door", "kitchn lamp", "squeaks at night", "house 117"];
    let answers = |server: &mut Server| questions.map(|question| ask(server, question));
    let mut server = start_with(&home, &dir);
    wait_for_search(&mut server, "hybrid");
    let usual = answers(&mut server);
    assert!(usual.iter().all(|answer| answer["known"] == true));
    assert_eq!(server.finish().1, Some(0));
    let spoils: [(&str, &dyn Fn()); 5] = [
        ("deleted", &|| fs::remove_dir_all(&index).unwrap()),
        ("empty", &|| overwrite(&index, b"")),
        ("garbage", &|| overwrite(&index, &[0xA5; 10_000])),
        ("cut", &|| cut(&index)),
        ("a file", &|| {
            fs::remove_dir_all(&index).unwrap();
            fs::write(&index, "no directory").unwrap();
        }),
    ];
    for (name, spoil) in spoils {
        // Or the answers come from the cache.
        fs::remove_file(home.cache()).unwrap();
        assert!(!files(&index).is_empty(), "there is something to lose");
        spoil();
        let mut server = start_with(&home, &dir);
        wait_for_search(&mut server, "hybrid");
        assert_eq!(answers(&mut server), usual, "{name}");
        assert_eq!(server.finish().1, Some(0));
    }
}

fn overwrite(directory: &Path, with: &[u8]) {
    for file in files(directory) {
        fs::write(file, with).unwrap();
    }
}

fn cut(directory: &Path) {
    for file in files(directory) {
        let bytes = fs::read(&file).unwrap();
        fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
    }
}

#[test]
fn an_index_that_is_deleted_under_a_running_server_is_not_missed() {
    let (home, mut server) = furnished();
    let usual = ask(&mut server, "squeaks at night");
    assert_eq!(server.finish().1, Some(0));
    let mut server = home.start();
    fs::remove_file(home.cache()).unwrap();
    fs::remove_dir_all(home.data().join("index")).unwrap();
    assert_eq!(ask(&mut server, "squeaks at night"), usual);
    fs::create_dir_all(home.data().join("index")).unwrap();
    fs::remove_dir_all(home.data().join("index")).unwrap();
    let id = remember(&mut server, "The pantry shelf came from Sweden");
    assert_eq!(first(&ask(&mut server, "pantry shelf")), id);
    assert_eq!(server.finish().1, Some(0));
    assert_eq!(first(&ask(&mut home.start(), "pantry shelf")), id);
}
