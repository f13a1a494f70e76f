//! Learning, as an agent sees it: what it recorded in one session is what the next one is told.

use std::path::Path;

use serde_json::{Value, json};

use crate::server::{Home, Server, files, texts};

/// A task of which some variants were done: the build fails until the cache is cleaned.
fn steps() -> Value {
    json!([
        {"tool": "read_file", "args": {"path": "build.gradle"}},
        {"tool": "gradle_build", "error": "Error: could not resolve dependency 17", "ok": false},
        {"tool": "clean_cache", "args": "--all"},
        {"tool": "gradle_build", "args": "--offline", "observation": "BUILD SUCCESSFUL"},
    ])
}

const TASK: &str = "Fix the gradle build of the payments service";

/// Every evidence id in a list of advice.
fn evidence(items: &Value) -> Vec<&str> {
    let ids = items.as_array().unwrap().iter().flat_map(|item| item["evidence"].as_array().unwrap());
    ids.map(|id| id.as_str().unwrap()).collect()
}

/// Gives words a rarity: in a memory where all is about one thing, none of them tells one thing from another.
pub(crate) fn furnish(server: &mut Server) {
    for room in ["kitchen", "hall", "attic", "cellar", "garage", "bathroom", "study", "porch"] {
        for work in ["Paint the walls", "Repair the lamp", "Mop the floor"] {
            server.call("create_episode", json!({"task": format!("{work} in the {room}"), "domain": "home"}));
        }
    }
}

fn episode(server: &mut Server, service: &str, outcome: &str) -> String {
    let task = format!("Fix the gradle build of the {service} service");
    let new = json!({"task": task, "domain": "coding.jvm", "steps": steps(), "outcome": outcome,
                     "summary": "A stale cache entry broke the resolution."});
    server.call("create_episode", new)["episode_id"].as_str().unwrap().to_owned()
}

#[test]
fn nothing_is_learned_before_an_episode_is_complete_and_everything_after() {
    let home = Home::new();
    let mut server = home.start();
    let [before @ .., last] = &serde_json::from_value::<Vec<Value>>(steps()).unwrap()[..] else {
        unreachable!()
    };
    let open = server.call("create_episode", json!({"task": TASK, "steps": before}));
    let id = open["episode_id"].as_str().unwrap().to_owned();
    let mut step = last.clone();
    step["episode_id"] = id.as_str().into();
    server.call("add_episode_step", step);
    let metrics = server.learned();
    assert_eq!(metrics["store"]["patterns"], 0);
    let answer = server.call("query_memory", json!({"query": TASK}));
    assert_eq!((&answer["known"], &answer["hits"][0]["id"]), (&json!(true), &json!(id)));
    let nothing = json!({"steps": [], "pitfalls": [], "recoveries": [], "success_rate": null});
    assert_eq!(answer["advice"], nothing, "an episode that is still open teaches nothing");

    let end = json!({"episode_id": id, "outcome": "success", "summary": "Cleaned the cache."});
    let completed = server.call("complete_episode", end);
    let parts = json!({"given": null, "outcome": 1.0, "checks": 1.0, "recoveries": 1.0, "steps_ok": 0.75});
    assert_eq!(completed["reward"], json!({"total": 1.0, "computed": 1.0, "parts": parts}));
    assert!(completed["reflection"].as_str().unwrap().contains("clean_cache"), "{completed}");
    assert_eq!((&completed["basis"], completed.get("disputed")), (&json!("build"), None));
    let worked = &completed["statements"][1];
    assert_eq!((&worked["kind"], &worked["steps"]), (&json!("worked"), &json!([2, 4])));
    assert!(worked["text"].as_str().unwrap().contains("after clean_cache it succeeded"), "{worked}");
    let shown = server.call("get_episode", json!({"episode_id": id}));
    for field in ["basis", "statements", "reward"] {
        assert_eq!(shown[field], completed[field], "{field}");
    }
    let metrics = server.learned();
    assert!(metrics["store"]["patterns"].as_u64().unwrap() > 0);
    let advice = server.call("query_memory", json!({"query": TASK}))["advice"].take();
    for (part, said) in [("steps", "clean_cache"), ("recoveries", "clean_cache")] {
        assert!(texts(&advice[part], "text").iter().any(|text| text.contains(said)), "{part}: {advice}");
        assert!(evidence(&advice[part]).iter().all(|shown| *shown == id), "{part}: {advice}");
    }
    let rate = &advice["success_rate"];
    assert_eq!((&rate["episodes"], &rate["gated"]), (&json!(1), &json!(false)), "one run of the same task");
}

#[test]
fn an_outcome_says_what_it_rests_on_and_whether_the_steps_contradict_it() {
    let home = Home::new();
    let mut server = home.start();
    let run =
        |line: &str, error: Option<&str>| json!({"tool": "Bash", "args": {"command": line}, "error": error});
    let (passing, failing) = (run("cargo test", None), run("cd a && cargo test", Some("1 failed")));
    for (steps, said, basis, disputed) in [
        (json!([failing, passing]), None, "tests", false),
        (json!([passing, failing]), None, "claim", true),
        (json!([passing, failing]), Some("tests"), "claim", true),
        (json!([passing, failing]), Some("user"), "user", true),
        (json!([run("git push", None)]), None, "commit", false),
        (json!([]), Some("exit_code"), "exit_code", false),
        (json!([]), None, "claim", false),
    ] {
        let new = json!({"task": "Mend the parser", "steps": steps, "outcome": "success", "basis": said});
        let created = server.call("create_episode", new);
        let shown = server.call("get_episode", json!({"episode_id": created["episode_id"]}));
        for result in [&created, &shown] {
            let disputed = disputed.then_some(&json!(true)).cloned();
            assert_eq!(
                (&result["basis"], result.get("disputed").cloned()),
                (&json!(basis), disputed),
                "{result}"
            );
        }
    }
    let open = server.call("create_episode", json!({"task": "Mend the lexer", "steps": [failing]}));
    assert_eq!(open.get("basis"), None);
    let end = json!({"episode_id": open["episode_id"], "outcome": "success", "basis": "build"});
    let completed = server.call("complete_episode", end);
    assert_eq!((&completed["basis"], &completed["disputed"]), (&json!("build"), &json!(true)));
}

#[test]
fn the_next_session_is_told_what_worked_what_failed_and_how_sure_that_is() {
    let home = Home::new();
    let mut server = home.start();
    furnish(&mut server);
    let mut ids: Vec<String> = ["billing", "payments", "search"]
        .iter()
        .map(|service| episode(&mut server, service, "success"))
        .collect();
    let gave_up = json!({"task": "Fix the gradle build of the mail service", "domain": "coding.jvm", "outcome": "failure",
        "steps": [{"tool": "upgrade_jdk", "error": "Error: unsupported class file version 65"}]});
    ids.push(server.call("create_episode", gave_up)["episode_id"].as_str().unwrap().to_owned());
    server.learned();
    assert_eq!(server.finish().1, Some(0));

    let mut next = home.start();
    let task = "The gradle build of the catalogue service is broken, fix it";
    let answer = next.call("query_memory", json!({"query": task}));
    assert_eq!(answer["known"], true);
    let advice = &answer["advice"];
    let first_step = &advice["steps"][0];
    assert!(
        first_step["text"].as_str().unwrap().contains("gradle_build → clean_cache → gradle_build"),
        "{advice}"
    );
    let recovery = &advice["recoveries"][0];
    assert!(recovery["text"].as_str().unwrap().contains("clean_cache → gradle_build"), "{recovery}");
    assert_eq!(recovery["example"], "--offline", "how it was called when it worked");
    assert_eq!(recovery["rate"]["episodes"], 3);
    let rate = |name: &str| recovery["rate"][name].as_f64().unwrap();
    assert!(
        0.0 < rate("low") && rate("low") < rate("mean") && rate("mean") < rate("high") && rate("high") < 1.0
    );
    let pitfalls = texts(&advice["pitfalls"], "text");
    assert!(
        pitfalls.iter().any(|text| text.contains("upgrade_jdk") && text.contains("class file version")),
        "{pitfalls:?}"
    );
    for part in ["steps", "recoveries", "pitfalls"] {
        let shown = evidence(&advice[part]);
        assert!(
            !shown.is_empty() && shown.iter().all(|id| ids.iter().any(|known| known == id)),
            "{part}: {advice}"
        );
    }
    let rate = &advice["success_rate"];
    assert_eq!((&rate["episodes"], &rate["gated"]), (&json!(4), &json!(true)), "no run of this very task");
    // The evidence can be looked up.
    let shown = next.call("get_episode", json!({"episode_id": evidence(&advice["recoveries"])[0]}));
    assert_eq!(shown["outcome"], "success");

    let began = next.call("create_episode", json!({"task": task}));
    assert!(
        began["similar"].as_array().unwrap().iter().all(|hit| ids.iter().any(|id| hit["id"] == id.as_str()))
    );
    assert_eq!(began["similar"].as_array().unwrap().len(), 3);
}

#[test]
fn what_nobody_recorded_is_not_known() {
    let home = Home::new();
    let mut server = home.start();
    for service in ["billing", "payments", "search"] {
        episode(&mut server, service, "success");
    }
    server.learned();
    let unrelated =
        ["Segmentation fault in the kernel module when the USB driver unloads", "zzzz qqqq", "???"];
    for query in unrelated {
        let answer = server.call("query_memory", json!({"query": query}));
        assert_eq!((&answer["known"], &answer["hits"]), (&json!(false), &json!([])), "{query}");
        let nothing = json!({"steps": [], "pitfalls": [], "recoveries": [], "success_rate": null});
        assert_eq!(answer["advice"], nothing, "{query}");
        assert!(answer["notice"].as_str().unwrap().contains("Nothing relevant is known"), "{answer}");
    }
    // What is known, but not there: the filters hold for everything that is returned.
    for filter in [
        json!({"domain": "cooking"}),
        json!({"project": "none"}),
        json!({"until": "2001-01-01"}),
        json!({"outcome": "failure"}),
    ] {
        let mut question = json!({"query": TASK});
        question.as_object_mut().unwrap().extend(filter.as_object().unwrap().clone());
        let answer = server.call("query_memory", question);
        let hits = answer["hits"].as_array().unwrap().iter().filter(|hit| hit["kind"] == "episode").count();
        assert_eq!((hits, &answer["advice"]["success_rate"]), (0, &Value::Null), "{filter}: {answer}");
    }
}

#[test]
fn a_question_is_words_whatever_it_looks_like() {
    let home = Home::new();
    let mut server = home.start();
    episode(&mut server, "payments", "success");
    server.learned();
    // All of these are something to the full-text search, to SQL or to nobody.
    let odd = [
        "\"gradle build\" AND payments*",
        "NOT gradle OR (build",
        "build:gradle payments:fix",
        "NEAR(gradle build, payments)",
        "gradle^2 + build -payments",
        "gradle build' payments; --",
        "%gradle% _build_",
        "gradle\u{202E}\u{FEFF} build",
        "{gradle} [build] \\ /payments/",
        "GRADLE Build PAYMENTS",
        "gradle\tbuild\r\npayments",
    ];
    for query in odd {
        let answer = server.call("query_memory", json!({"query": query, "kinds": ["episode"]}));
        assert_eq!(answer["known"], true, "{query}: {answer}");
        assert_eq!(answer["hits"][0]["title"], "Fix the gradle build of the payments service", "{query}");
    }
}

/// A count of tokens on the safe side: the tokenizers in use cut English prose into pieces of four to five bytes and
/// the quotes, colons and names of JSON into pieces of about three, so that a mixture of both, at 3.5 bytes, comes out
/// too high; a UUID, the worst there is here, is about 23 tokens.
pub(crate) fn tokens_at_most(answer: &Value) -> usize {
    let text = answer.to_string();
    let is_uuid = |word: &&str| word.len() == 36 && word.bytes().filter(|byte| *byte == b'-').count() == 4;
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let uuids = words.filter(is_uuid).count();
    (2 * (text.len() - 36 * uuids)).div_ceil(7) + 23 * uuids
}

#[test]
fn an_answer_stays_small_however_much_is_stored() {
    let home = Home::new();
    let mut server = home.start();
    let words = ["timeout", "checkout", "cart", "session", "cookie", "proxy", "retry", "cache"];
    for number in 0..150 {
        let more: Vec<&str> = (0..40).map(|i| words[(number + i * i) % words.len()]).collect();
        let steps: Vec<Value> = (0..12)
            .map(|i| {
                let tool = format!("tool_with_a_rather_long_name_{}", (number * 7 + i * 5) % 9);
                let error = format!("Error: {} {}", more[i], "detail ".repeat(30));
                json!({"tool": tool, "args": more.join(" "), "error": if i % 3 == 0 { error } else { String::new() }})
            })
            .collect();
        let outcome = if number % 3 == 0 { "failure" } else { "success" };
        server.call("create_episode", json!({"task": format!("Fix the checkout {}", more.join(" ")), "steps": steps,
            "outcome": outcome, "summary": more.join(" ").repeat(20), "external_id": format!("external-{number}")}));
        server.call("remember", json!({"text": format!("checkout {}", more.join(" ").repeat(10))}));
    }
    server.learned();
    let size = |server: &mut Server, arguments: Value| {
        let answer = server.call("query_memory", arguments);
        assert!(!answer["hits"].as_array().unwrap().is_empty(), "{answer}");
        tokens_at_most(&answer)
    };
    for query in ["fix the checkout", "checkout timeout", &words.join(" "), &words.join(" ").repeat(30)] {
        let default = size(&mut server, json!({"query": query}));
        assert!(default <= 1_500, "{default} tokens");
        let explained = size(&mut server, json!({"query": query, "explain": true}));
        assert!(explained <= 1_500, "{explained} tokens");
        let small = size(&mut server, json!({"query": query, "max_tokens": 400}));
        assert!(small <= 400, "{small} tokens");
        let large = size(&mut server, json!({"query": query, "max_tokens": 6_000, "limit": 20}));
        assert!(large > default, "a larger budget is used: {large} tokens");
    }
}

/// The files below the data directory that hold these bytes, whatever their case.
fn on_disk(data: &Path, secret: &str) -> Vec<String> {
    let needle = secret.to_lowercase().into_bytes();
    let holding = files(data).into_iter().filter(|path| {
        // A file of the search index may have been replaced meanwhile.
        let bytes = std::fs::read(path).unwrap_or_default().to_ascii_lowercase();
        bytes.windows(needle.len()).any(|window| window == needle)
    });
    holding.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

#[test]
fn no_secret_is_returned_or_stored() {
    // None of these opens anything.
    let secrets = [
        "ghp_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
        "AKIAQWERTYUIOPASDFGH",
        "sk-proj-Zx9Yw8Vu7Ts6Rq5Po4Nm3Lk2Ji1Hg0",
        "hunter2hunter2",
    ];
    let [github, aws, openai, password] = secrets;
    let home = Home::new();
    let mut server = home.start();
    let mut returned = Vec::new();
    let told = format!("deploy with {github}, {aws} and {openai}, password={password}");
    let everywhere = json!({
        "task": told, "domain": "deploy", "project": format!("p {github}"), "task_type": format!("t {aws}"),
        "tags": [format!("g {github}")], "context": {"key": told, format!("name {openai}"): "x"},
        "external_id": format!("e {github}"), "outcome": "success", "summary": told,
        "steps": [
            {"tool": "deploy", "action": told, "args": {"token": github, "password": password}, "error": format!("Error: {told}")},
            {"tool": "deploy", "args": told, "observation": {"out": told}, "external_id": format!("s {aws}")},
        ],
    });
    returned.push(server.call("create_episode", everywhere));
    let open = server.call("create_episode", json!({"task": format!("then {told}")}));
    let id = &open["episode_id"];
    let step = json!({"episode_id": id, "tool": format!("deploy {openai}"), "action": told, "args": [told],
                      "observation": told, "error": told});
    server.call("add_episode_step", step);
    let end = json!({"episode_id": id, "outcome": "failure", "summary": told, "artifacts": [format!("https://u:{password}@host")]});
    returned.push(server.call("complete_episode", end));
    returned.push(
        server.call("remember", json!({"text": told, "tags": [github], "external_id": format!("n {aws}")})),
    );
    server.learned();
    returned
        .push(server.refused("remember", json!({"text": "a", "supersedes": format!("no such {github}")})));
    for _ in 0..2 {
        returned.push(server.call(
            "query_memory",
            json!({"query": told, "limit": 50, "max_tokens": 20_000, "explain": true}),
        ));
        returned.push(server.call("get_episode", json!({"episode_id": id})));
        returned.push(server.call("get_episode", json!({"episode_id": returned[0]["episode_id"]})));
    }
    let line = json!({"id": "import", "task": told, "summary": told, "agent": told, "outcome": told, "files_edited": [github],
                      "steps": [{"tool": "deploy", "args": told, "thought": told, "observation": told, "error": told}]});
    let imported =
        crate::server::run(home.command().args(["import", "jsonl", "-"]), line.to_string().as_bytes());
    assert!(imported.stdout.starts_with("1 stored"), "{imported:?}");
    returned.push(server.call("query_memory", json!({"query": told, "limit": 50, "max_tokens": 20_000})));
    let everything: String = returned.iter().map(Value::to_string).collect();
    assert!(everything.contains("[redacted:github-token]"), "{everything}");
    for secret in secrets {
        assert!(!everything.contains(secret), "{secret} in {everything}");
        assert_eq!(on_disk(&home.data(), secret), Vec::<String>::new(), "{secret}");
    }
    assert!(
        on_disk(&home.data(), "deploy with").iter().any(|file| file.starts_with("memory.db")),
        "the search works"
    );
    assert_eq!(server.finish().1, Some(0));
    for secret in secrets {
        assert_eq!(on_disk(&home.data(), secret), Vec::<String>::new(), "{secret}");
    }
    assert!(
        on_disk(&home.data(), "deploy with").contains(&"cache.redb".to_owned()),
        "and the cache holds something"
    );
}
