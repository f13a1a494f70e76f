//! Extractors that a user adds: files that come, change and go while servers run.

use std::fs;

use serde_json::{Value, json};

use crate::learning::furnish;
use crate::server::{Home, Ran, Server, texts, wait_until};

/// The worked example of the documentation.
const EXAMPLE: &str = include_str!("../../docs/extractors/test-habits.js");
const EXAMPLE_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/extractors/test-habits.js");

const TESTED: &str = "test-habits: tests are run after the last change to a file";
const UNTESTED: &str = "test-habits: files are changed and no test is ever run";

/// An extractor with this body of its function.
fn extractor(name: &str, body: &str) -> String {
    format!(
        "export const extractor = {{ interface: 1, name: '{name}', description: 'For a test.' }};\n\
         export default function (episode) {{ {body} }}\n"
    )
}

impl Home {
    /// Puts a file among the extractors.
    fn put(&self, file: &str, code: &str) {
        let directory = self.data().join("extractors");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(file), code).unwrap();
    }

    /// Tries an extractor on an episode.
    fn try_on(&self, code: &str, on: &str) -> Ran {
        let file = self.beside("tried.js");
        fs::write(&file, code).unwrap();
        self.run(&["extractor", "test", file.to_str().unwrap(), "--on", on])
    }
}

/// Finishes an episode; returns its id.
fn finish(server: &mut Server, task: &str, steps: Value, outcome: &str) -> String {
    let new = json!({"task": task, "domain": "ops", "steps": steps, "outcome": outcome});
    server.call("create_episode", new)["episode_id"].as_str().unwrap().to_owned()
}

fn tested() -> Value {
    json!([{"tool": "edit", "args": "src/lib.rs"}, {"tool": "bash", "args": "cargo test --all"}])
}

fn untested() -> Value {
    json!([{"tool": "bash", "args": "ls"}, {"tool": "edit", "args": "src/lib.rs"}])
}

const SERVICES: [&str; 6] = ["billing", "payments", "search", "mail", "catalogue", "stock"];

/// Each service is mended once with a test, and it works, and once without, and it does not.
fn mend_all(server: &mut Server) {
    for service in SERVICES {
        finish(server, &format!("Mend the {service} service"), tested(), "success");
        finish(server, &format!("Mend the {service} service at once"), untested(), "failure");
    }
    server.learned();
}

/// The patterns of these arguments, with what is kept of each.
fn patterns(server: &mut Server, mut filter: Value) -> Vec<Value> {
    filter["limit"] = 200.into();
    server.call("list_patterns", filter)["patterns"].as_array().unwrap().clone()
}

fn custom(server: &mut Server) -> Vec<String> {
    let mut texts: Vec<String> = patterns(server, json!({"kind": "custom"}))
        .iter()
        .map(|pattern| pattern["text"].as_str().unwrap().to_owned())
        .collect();
    texts.sort();
    texts
}

/// Everything of the other kinds, without what changes with the time.
fn built_in(server: &mut Server) -> Vec<Value> {
    let mut all = patterns(server, json!({}));
    all.retain(|pattern| pattern["kind"] != "custom");
    all.iter_mut().for_each(|pattern| pattern["rate"] = pattern["rate"]["episodes"].take());
    all
}

fn component(report: &Value) -> Value {
    let components = report["components"].as_array().unwrap();
    components.iter().find(|component| component["name"] == "extractors").cloned().unwrap_or_default()
}

fn health(server: &mut Server) -> Value {
    component(&server.call("health_check", json!({})))
}

#[test]
fn what_an_extractor_sees_is_learned_told_and_explained() {
    let home = Home::new();
    home.put("test-habits.js", EXAMPLE);
    let mut server = home.start();
    furnish(&mut server);
    mend_all(&mut server);
    let once = finish(
        &mut server,
        "Mend the oldest service",
        {
            let mut steps = tested();
            steps.as_array_mut().unwrap().insert(0, json!({"tool": "bash", "args": "pytest -q"}));
            steps
        },
        "success",
    );
    server.learned();

    let all = patterns(&mut server, json!({"kind": "custom"}));
    let named =
        |text: &str| all.iter().find(|pattern| pattern["text"] == text).unwrap_or_else(|| panic!("{all:?}"));
    let (good, bad) = (named(TESTED), named(UNTESTED));
    for pattern in [good, bad] {
        assert_eq!((&pattern["kind"], &pattern["source"]), (&json!("custom"), &json!("test-habits")));
    }
    assert_eq!((&good["verdict"], &good["rate"]["episodes"]), (&json!("advice"), &json!(7)), "{good}");
    assert_eq!((&bad["verdict"], &bad["rate"]["episodes"]), (&json!("pitfall"), &json!(6)), "{bad}");
    let seldom = named("test-habits: tests are run before the first change to a file");
    assert_eq!((&seldom["verdict"], &seldom["rate"]["episodes"]), (&json!("neutral"), &json!(1)));

    // Rated as any other pattern that the same episodes show.
    let tools = patterns(&mut server, json!({"kind": "tool_sequence"}));
    let same = tools.iter().find(|pattern| pattern["text"] == "bash → edit").unwrap();
    assert_ne!(same["source"], json!("test-habits"));
    let told = server.call("explain_pattern", json!({"pattern_id": good["id"]}));
    assert_eq!(&told["pattern"], good);
    let evidence = told["evidence"].as_array().unwrap();
    assert_eq!(evidence.len(), 7);
    assert!(evidence.iter().all(|one| one["credit"] == 1.0 && one["outcome"] == "success"), "{told}");
    assert_eq!(evidence[0]["episode_id"], json!(once));
    assert_eq!(evidence[0]["detail"], "step 3: bash cargo test --all");

    let told = server.call("recommend", json!({"task": "Mend the profile service", "domain": "ops"}));
    assert!(texts(&told["steps"], "text").contains(&TESTED), "{told}");
    assert!(texts(&told["pitfalls"], "text").contains(&UNTESTED), "{told}");
    let told =
        server.call("query_memory", json!({"query": "are tests run after the last change to a file?"}));
    assert!(
        texts(&told["hits"], "title").iter().any(|title| title.contains(TESTED))
            || told.to_string().contains(TESTED),
        "{told}"
    );

    // What was said of it stays with it.
    server.call("correct_pattern", json!({"pattern_id": good["id"], "note": "not for typos"}));
    let (_, code) = server.finish();
    assert_eq!(code, Some(0));
    assert_eq!(home.run(&["relearn"]).code, Some(0));
    let mut server = home.start();
    let again = patterns(&mut server, json!({"kind": "custom", "verdict": "advice"}));
    assert_eq!((again.len(), &again[0]["id"], &again[0]["note"]), (1, &good["id"], &json!("not for typos")));
    let status = health(&mut server);
    assert_eq!((&status["status"], &status["detail"]), (&json!("ok"), &json!("1 of 1 in use")));
}

#[test]
fn a_running_server_follows_what_becomes_of_the_files() {
    let home = Home::new();
    let mut server = home.start();
    mend_all(&mut server);
    let before = built_in(&mut server);
    assert_eq!(health(&mut server), Value::Null, "there is none");

    let says = |text: &str| extractor("mine", &format!("return [{{ text: '{text}' }}]"));
    home.put("mine.js", &says("first"));
    wait_until("the new file is noticed", || custom(&mut server) == ["mine: first"]);
    server.learned();
    assert_eq!(built_in(&mut server), before, "what it sees changes nothing else");
    assert_eq!(patterns(&mut server, json!({"kind": "custom"}))[0]["rate"]["episodes"], 12);

    home.put("mine.js", &says("second"));
    finish(&mut server, "Mend the oldest service", tested(), "success");
    wait_until("the change is noticed", || custom(&mut server) == ["mine: second"]);
    server.learned();
    assert_eq!(patterns(&mut server, json!({"kind": "custom"}))[0]["rate"]["episodes"], 13);

    let ran = home.run(&["extractor", "disable", "mine"]);
    assert_eq!((ran.code, custom(&mut server).len()), (Some(0), 0), "{ran:?}");
    assert_eq!(health(&mut server)["detail"], "0 of 1 in use");
    assert!(home.run(&["extractor", "list"]).stdout.contains("mine: disabled"));
    let ran = home.run(&["extractor", "enable", "mine"]);
    server.learned();
    assert_eq!((ran.code, custom(&mut server)), (Some(0), vec!["mine: second".to_owned()]), "{ran:?}");

    fs::remove_file(home.data().join("extractors/mine.js")).unwrap();
    wait_until("it is noticed that the file is gone", || custom(&mut server).is_empty());
    server.learned();
    let ran = home.run(&["extractor", "disable", "mine"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("there is no extractor \"mine\"") && ran.stderr.contains("there is none"),
        "{ran:?}"
    );
}

#[test]
fn an_extractor_that_fails_again_and_again_is_quarantined_and_nothing_else_suffers() {
    let home = Home::new();
    let faulty = [
        ("endless", "for (;;) {}", "instructions"),
        ("greedy", "const all = []; for (;;) all.push(new Array(1e5).fill(1))", "memory"),
        ("nothing", "", "returned nothing"),
        ("boastful", "return [{ text: 'a', credit: 1 }]", "unknown field `credit`"),
        ("throws", "\\n  return episode.missing.length", "line 3, column"),
        ("prying", "return [{ text: String(typeof memory) }].concat(memory.query('x'))", "memory"),
    ];
    for (name, body, _) in &faulty {
        home.put(&format!("{name}.js"), &extractor(name, &body.replace("\\n", "\n")));
    }
    home.put("sound.js", &extractor("sound", "return [{ text: `${Date.now()} ${Math.random() < 1}` }]"));
    // Fails now and then, and not so often that it would matter.
    home.put(
        "touchy.js",
        &extractor("touchy", "if (episode.task.includes('mail')) throw 1; return [{ text: 'calm' }]"),
    );
    let mut server = home.start();
    mend_all(&mut server);
    let status = health(&mut server);
    assert_eq!(status["status"], "degraded", "{status}");
    let detail = status["detail"].as_str().unwrap();
    assert!(detail.starts_with("2 of 8 in use"), "{detail}");
    for (name, _, reason) in &faulty {
        let (_, told) =
            detail.split_once(&format!("{name} is quarantined: ")).unwrap_or_else(|| panic!("{detail}"));
        let told = told.split(';').next().unwrap();
        assert!(told.contains(reason), "{name}: {told}");
    }
    assert_eq!(custom(&mut server), ["sound: 0 true", "touchy: calm"]);
    let calm = &patterns(&mut server, json!({"kind": "custom"}))[1];
    assert_eq!(calm["rate"]["episodes"], 10);
    assert_eq!(patterns(&mut server, json!({"kind": "tool_sequence"})).len(), 2);
    let metrics = server.learned();
    assert_eq!(metrics["jobs"]["dead"], 0);
    let counted = metrics["extractors"].as_array().unwrap();
    let touchy = counted.iter().find(|one| one["name"] == "touchy").unwrap();
    assert_eq!(touchy["state"], "in_use");
    assert!(touchy["faults"].as_u64().unwrap() >= 2, "{touchy}");
    // The sandbox of agents is another one.
    let run = server.call("execute_code", json!({"code": "1+1"}));
    assert_eq!(run["value"], 2);

    // A changed file gets another chance, and so does one that is enabled.
    home.put("nothing.js", &extractor("nothing", "return [{ text: 'something' }]"));
    wait_until("the change is noticed", || custom(&mut server).contains(&"nothing: something".to_owned()));
    let listed = home.run(&["extractor", "list"]).stdout;
    assert!(listed.contains("endless: quarantined\n  it failed again and again"), "{listed}");
    assert!(listed.contains("sound: in use\n  For a test."), "{listed}");
    fs::write(home.data().join("extractors/touchy.disabled"), "").unwrap();
    assert_eq!(home.run(&["extractor", "enable", "endless"]).code, Some(0));
    server.learned();
    assert_eq!(custom(&mut server), ["nothing: something", "sound: 0 true"]);
    assert!(home.run(&["extractor", "list"]).stdout.contains("endless: quarantined"), "it is as it was");
}

#[test]
fn a_file_that_cannot_be_an_extractor_is_named_with_the_reason() {
    let home = Home::new();
    home.put("good.js", &extractor("good", "return []"));
    home.put("renamed.js", &extractor("good", "return []"));
    home.put("later.js", "export const extractor = { interface: 2 }; export default () => []");
    home.put("broken.js", "export const extractor = {\n  name: };");
    home.put("imports.js", "import fs from 'fs'; export default () => []");
    home.put("empty.js", "");
    home.put("Loud.js", "");
    fs::create_dir(home.data().join("extractors/folder.js")).unwrap();
    fs::write(home.data().join("extractors/latin.js"), b"// \xe9").unwrap();
    let mut server = home.start();
    let detail = health(&mut server)["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("1 of 9 in use"), "{detail}");
    let listed = home.run(&["extractor", "list"]);
    assert_eq!(listed.code, Some(0));
    for (name, reason) in [
        ("renamed", "calls itself \"good\" and its file \"renamed\""),
        ("later", "version 2 of the interface; this program knows version 1"),
        ("broken", "line 2, column "),
        ("imports", "imports 'fs'"),
        ("empty", "no `export const extractor"),
        ("Loud", "lower-case"),
        ("folder", "no regular file"),
        ("latin", "not UTF-8"),
    ] {
        for told in [&detail, &listed.stdout] {
            assert!(told.contains(name) && told.contains(reason), "{name}: {told}");
        }
    }
}

#[test]
fn an_extractor_is_tried_on_an_episode_before_it_is_added() {
    let home = Home::new();
    let mut server = home.start();
    let new = json!({"task": "Mend the mail service", "external_id": "run/7", "steps": tested(), "outcome": "success"});
    let id = server.call("create_episode", new.clone())["episode_id"].as_str().unwrap().to_owned();
    let told = server.call("get_episode", json!({"episode_id": id}));
    let files = [("given.json", new), ("told.json", told)].map(|(name, episode)| {
        let file = home.beside(name);
        fs::write(&file, episode.to_string()).unwrap();
        file.to_str().unwrap().to_owned()
    });
    for on in [&id, "run/7", &files[0], &files[1]] {
        let ran = home.run(&["extractor", "test", EXAMPLE_FILE, "--on", on]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        for part in [
            "1 finding(s); each is worth 1",
            "tests are run after the last change",
            "step 2: bash cargo test",
            "million instructions",
        ] {
            assert!(ran.stdout.contains(part), "{part}: {ran:?}");
        }
        assert!(!ran.stdout.contains("must be called"), "{ran:?}");
    }
    let logs = extractor(
        "logs",
        "console.log('saw', episode.steps.length); return [{ text: 'key AKIAIOSFODNN7EXAMPLE' }]",
    );
    let ran = home.try_on(&logs, &id);
    assert_eq!(ran.code, Some(0));
    for part in ["console.log: saw 2", "[redacted:aws-key]", "must be called logs.js, not tried.js"] {
        assert!(ran.stdout.contains(part), "{part}: {ran:?}");
    }
    for (code, problem) in [
        (extractor("bad", "\n  return episode.missing.length"), "line 3, column "),
        (extractor("bad", "for (;;) {}"), "[deadline]"),
        (extractor("bad", "return 'found'"), "must return a list"),
        (extractor("bad", "return [{ key: 'a' }]"), "unknown field `key`"),
        ("export default 1".to_owned(), "no `export const extractor"),
        (
            extractor("bad", "return").replace("default function", "function other"),
            "no `export default function (episode)`",
        ),
        ("export const = 1".to_owned(), "line 1, column "),
    ] {
        let ran = home.try_on(&code, &id);
        assert_eq!(ran.code, Some(1), "{code}: {ran:?}");
        assert!(ran.stdout.contains(problem), "{code}: {ran:?}");
    }
    let ran = home.try_on(&logs, "no such thing");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("no episode of this id or external id"), "{ran:?}");
    assert_eq!(custom(&mut server), [""; 0], "nothing of this was stored");
    assert!(!home.data().join("extractors").exists());

    let added = home.run(&["extractor", "add", EXAMPLE_FILE]);
    assert_eq!(added.code, Some(0), "{added:?}");
    server.learned();
    assert_eq!(custom(&mut server), [TESTED]);
    let bad = home.beside("bad.js");
    fs::write(&bad, "export const = 1").unwrap();
    let added = home.run(&["extractor", "add", bad.to_str().unwrap()]);
    assert_eq!(added.code, Some(1));
    assert!(added.stderr.contains("was not added") && added.stderr.contains("line 1"), "{added:?}");
}

/// What version 1 of the interface promises. Whoever changes what `get_episode` tells must not change this.
#[test]
fn an_extractor_gets_what_the_documentation_says() {
    const EPISODE: [&str; 19] = [
        "episode_id",
        "external_id",
        "task",
        "domain",
        "project",
        "task_type",
        "tags",
        "context",
        "state",
        "started_at",
        "completed_at",
        "outcome",
        "basis",
        "summary",
        "artifacts",
        "reward",
        "reflection",
        "step_count",
        "steps",
    ];
    const STEP: [&str; 10] =
        ["step", "at", "external_id", "tool", "action", "args", "observation", "ok", "error", "duration_ms"];
    let home = Home::new();
    let file = home.beside("episode.json");
    let steps = json!([{"tool": "a", "args": {"b": 1}}, {"tool": "c", "error": "no"}]);
    fs::write(&file, json!({"task": "t", "steps": steps, "outcome": "failure"}).to_string()).unwrap();
    let keys = |of: &str| {
        let body = format!(
            "return [{{ text: Object.keys({of}).length + ' keys' }},
                     {{ text: 'input is ' + (input.task === episode.task) }},
                     {{ text: JSON.stringify([episode.steps[0].args, episode.steps[1].ok, episode.outcome]) }},
                     ...Object.keys({of}).map((key) => ({{ text: 'has ' + key }}))]"
        );
        let ran = home.try_on(&extractor("keys", &body), file.to_str().unwrap());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.contains(r#"["{\"b\":1}",false,"failure"]"#), "{ran:?}");
        ran.stdout
    };
    let documented = include_str!("../../docs/EXTRACTORS.md");
    for (of, names) in [("episode", &EPISODE[..]), ("episode.steps[0]", &STEP)] {
        let told = keys(of);
        for name in names {
            assert!(told.contains(&format!("has {name}\n")), "{name}: {told}");
            assert!(documented.contains(name), "{name} is documented");
        }
    }
}

#[test]
fn two_servers_learn_with_the_same_extractors() {
    let home = Home::new();
    let (mut left, mut right) = (home.start(), home.start());
    for round in ["first", "second", "third"] {
        home.put("mine.js", &extractor("mine", &format!("return [{{ text: '{round}' }}]")));
        for number in 0..2 {
            for (side, server) in [("left", &mut left), ("right", &mut right)] {
                finish(server, &format!("{round} task {number} of the {side}"), tested(), "success");
            }
        }
        let expected = [format!("mine: {round}")];
        wait_until("both know the new one alone", || {
            custom(&mut left) == expected && custom(&mut right) == expected
        });
        left.learned();
    }
    let of = |server: &mut Server| patterns(server, json!({"kind": "custom"}))[0]["rate"]["episodes"].take();
    assert_eq!((of(&mut left), of(&mut right)), (json!(12), json!(12)));
    assert_eq!((left.finish().1, right.finish().1), (Some(0), Some(0)));
    assert_eq!(home.health()["status"], "ok");
}
