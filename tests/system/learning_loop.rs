//! The closed loop, as an agent goes through it: record, learn, be told what to do, say what it was worth, be told
//! better; and what the owner of the memory can look at, correct and delete.

use serde_json::{Value, json};

use crate::learning::{furnish, tokens_at_most};
use crate::server::{Home, Server, run, texts};

const SERVICES: [&str; 8] =
    ["billing", "payments", "search", "mail", "catalogue", "stock", "shipping", "profile"];

/// Finishes an episode of which every step works; returns its id.
fn did(server: &mut Server, task: &str, tools: &[&str], outcome: &str) -> Value {
    let steps: Vec<Value> = tools.iter().map(|tool| json!({"tool": tool})).collect();
    finish(server, task, json!(steps), outcome)
}

fn finish(server: &mut Server, task: &str, steps: Value, outcome: &str) -> Value {
    let new = json!({"task": task, "domain": "ops.deploy", "steps": steps, "outcome": outcome});
    server.call("create_episode", new)["episode_id"].take()
}

/// Every service is deployed once in a way that works and once in one that does not.
fn deploy_all(server: &mut Server) {
    furnish(server);
    for service in SERVICES {
        let task = format!("Deploy the {service} service to production");
        did(server, &task, &["plan", "stage", "release"], "success");
        did(server, &format!("{task} in a hurry"), &["guess", "force"], "failure");
    }
    server.learned();
}

const TASK: &str = "Deploy the invoices service to production";

/// All patterns that these arguments list.
fn patterns(server: &mut Server, arguments: Value) -> Vec<Value> {
    let mut found = Vec::new();
    let mut arguments = arguments;
    loop {
        let mut page = server.call("list_patterns", arguments.clone());
        found.append(page["patterns"].as_array_mut().unwrap());
        arguments["cursor"] = page["next_cursor"].take();
        if arguments["cursor"].is_null() {
            return found;
        }
    }
}

/// The pattern that says this.
fn pattern(server: &mut Server, text: &str) -> Option<Value> {
    patterns(server, json!({"limit": 200})).into_iter().find(|pattern| pattern["text"] == text)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn a_fresh_memory_says_that_it_knows_nothing() {
    let home = Home::new();
    let mut server = home.start();
    assert_eq!(server.call("query_memory", json!({"query": TASK}))["known"], false);
    for asked in [json!({"task": TASK}), json!({"task": TASK, "error": "Error: no", "domain": "ops"})] {
        let told = server.call("recommend", asked);
        assert_eq!(told["known"], false);
        assert!(told["notice"].as_str().unwrap().contains("Nothing relevant is known"), "{told}");
        for part in ["next", "steps", "pitfalls", "recoveries", "evidence"] {
            assert_eq!(told[part], json!([]), "{part}");
        }
        assert_eq!(told["success_rate"], Value::Null);
    }
    assert_eq!(server.call("check_action", json!({"action": "rm -rf /"})), json!({"warnings": []}));
    let nothing = json!({"patterns": [], "next_cursor": null});
    assert_eq!(server.call("list_patterns", json!({})), nothing);
}

#[test]
fn what_was_recorded_is_learned_recommended_and_explained() {
    let home = Home::new();
    let mut server = home.start();
    deploy_all(&mut server);
    let way = pattern(&mut server, "plan → stage → release").expect("the way that works");
    assert_eq!((&way["kind"], &way["verdict"]), (&json!("tool_sequence"), &json!("advice")), "{way}");
    assert_eq!((&way["domain"], &way["high_success"]), (&json!("ops.deploy"), &json!(true)));
    assert_eq!(way["rate"]["episodes"], SERVICES.len());
    let detour = pattern(&mut server, "guess → force").expect("the way that does not");
    assert_eq!((&detour["verdict"], &detour["high_success"]), (&json!("pitfall"), &json!(false)), "{detour}");
    for verdict in ["advice", "pitfall", "neutral"] {
        let listed = patterns(&mut server, json!({"verdict": verdict, "limit": 3}));
        assert!(listed.iter().all(|pattern| pattern["verdict"] == verdict), "{listed:?}");
        assert_eq!(listed.contains(&way), verdict == "advice");
    }

    let told = server.call("recommend", json!({"task": TASK}));
    assert_eq!(told["known"], true);
    let sum: f64 = told["next"].as_array().unwrap().iter().map(|next| number(&next["probability"])).sum();
    assert!(0.5 < sum && sum < 1.0 + 1e-9, "{told}");
    assert!(texts(&told["steps"], "text").iter().any(|text| text.contains("plan → stage")), "{told}");
    assert!(texts(&told["pitfalls"], "text").iter().any(|text| text.contains("guess")), "{told}");
    assert_eq!(told["success_rate"]["gated"], true, "this service was never deployed");
    assert!(!told["evidence"].as_array().unwrap().is_empty());
    let again = server.call("recommend", json!({"task": "Deploy the billing service to production"}));
    let rate = &again["success_rate"];
    assert_eq!((&rate["gated"], &rate["episodes"]), (&json!(false), &json!(1)), "{again}");
    assert!(number(&rate["mean"]) > number(&told["success_rate"]["mean"]), "it succeeded");

    // What comes next depends on what was done so far.
    let open = server.call("create_episode", json!({"task": TASK, "domain": "ops.deploy"}));
    let id = &open["episode_id"];
    for (tool, next) in [("plan", "stage"), ("stage", "release")] {
        server.call("add_episode_step", json!({"episode_id": id, "tool": tool}));
        let told = server.call("recommend", json!({"task": TASK, "episode_id": id, "domain": "ops"}));
        assert_eq!(told["next"][0]["tool"], next, "after {tool}: {told}");
    }
    let elsewhere = server.call("recommend", json!({"task": TASK, "domain": "cooking"}));
    assert_eq!(elsewhere["known"], false, "{elsewhere}");

    let told = server.call("explain_pattern", json!({"pattern_id": way["id"]}));
    assert_eq!(told["pattern"], way);
    let (prior, worth, said) = (&told["prior"], &told["worth"], &told["feedback"]);
    assert_eq!((&worth["episodes"], &worth["tasks"]), (&json!(SERVICES.len()), &json!(SERVICES.len())));
    assert_eq!(said, &json!({"weight": 0.0, "credit": 0.0}));
    let (mean, strength) = (number(&prior["mean"]), number(&prior["strength"]));
    let expected = (strength * mean + number(&worth["credit"])) / (strength + number(&worth["weight"]));
    assert!((expected - number(&way["rate"]["mean"])).abs() < 0.002, "{told}");
    assert!(told["how"].as_str().unwrap().contains("8 episode(s) of 8 task(s)"), "{told}");
    let evidence = told["evidence"].as_array().unwrap();
    assert_eq!(evidence.len(), SERVICES.len());
    for shown in evidence {
        assert_eq!((&shown["outcome"], &shown["credit"]), (&json!("success"), &json!(1.0)));
        server.call("get_episode", json!({"episode_id": shown["episode_id"]}));
    }
}

/// Two ways out of the same failure, each taken twice.
fn two_ways_out(server: &mut Server) {
    furnish(server);
    let failed = json!({"tool": "release", "error": "Error: the lock is held by 17"});
    for (number, service) in SERVICES.into_iter().enumerate().take(4) {
        let way = if number % 2 == 0 { "unlock" } else { "wait" };
        let steps = json!([failed, {"tool": way, "args": format!("--{way} now")}, {"tool": "release"}]);
        finish(server, &format!("Deploy the {service} service to production"), steps, "success");
    }
    server.learned();
}

#[test]
fn feedback_changes_the_order_of_what_is_told() {
    let home = Home::new();
    let mut server = home.start();
    two_ways_out(&mut server);
    let ask = json!({"task": TASK, "error": "Error: the lock is held by 4"});
    let learned = |told: &Value| -> Vec<Value> {
        let all = told["recoveries"].as_array().unwrap().iter();
        all.filter(|recovery| recovery["id"].is_string()).cloned().collect()
    };
    let before = server.call("recommend", ask.clone());
    let ways: Vec<&str> =
        before["recoveries"].as_array().unwrap().iter().filter_map(|way| way["tool"].as_str()).collect();
    assert!(ways.contains(&"unlock") && ways.contains(&"wait"), "{before}");
    let quoted = before["recoveries"].as_array().unwrap().iter().find(|way| way["tool"] == "wait").unwrap();
    assert_eq!(quoted["action"], "--wait now", "{before}");
    let told = learned(&before);
    assert_eq!(told.len(), 2, "{before}");

    let judged = server.call("record_feedback", json!({"ids": told[0]["id"], "verdict": "wrong"}));
    assert_eq!(judged["updated"], json!([{"kind": "pattern", "id": told[0]["id"]}]));
    let after = learned(&server.call("recommend", ask));
    assert_eq!((&after[0]["id"], &after[1]["id"]), (&told[1]["id"], &told[0]["id"]), "{after:?}");
    assert!(number(&after[1]["rate"]["mean"]) < number(&told[0]["rate"]["mean"]));
    assert_eq!(after[1]["rate"]["episodes"], 2, "what was said is no episode");
    let why = server.call("explain_pattern", json!({"pattern_id": told[0]["id"]}));
    assert_eq!(why["feedback"], json!({"weight": 2.0, "credit": 0.0}));

    // Hits too.
    for text in ["The staging cluster sleeps at night", "The staging cluster is in Frankfurt"] {
        server.call("remember", json!({"text": text}));
    }
    let ask = json!({"query": "staging cluster", "kinds": ["note"]});
    let hits = server.call("query_memory", ask.clone())["hits"].take();
    let ids = json!([hits[1]["id"], hits[1]["id"]]);
    let judged = server.call("record_feedback", json!({"ids": ids, "verdict": "helped", "comment": "yes"}));
    assert_eq!(judged["updated"], json!([{"kind": "note", "id": hits[1]["id"]}]), "each once");
    server.call("record_feedback", json!({"ids": [hits[0]["id"]], "verdict": "no_help"}));
    let after = server.call("query_memory", ask)["hits"].take();
    assert_eq!((&after[0]["id"], &after[1]["id"]), (&hits[1]["id"], &hits[0]["id"]), "{after}");
}

#[test]
fn feedback_on_one_thing_that_is_not_there_is_feedback_on_none() {
    let home = Home::new();
    let mut server = home.start();
    deploy_all(&mut server);
    let way = pattern(&mut server, "plan → stage → release").unwrap();
    let ids = json!([way["id"], "0198c0de-7a3b-7c4d-8e5f-0123456789ab"]);
    let error = server.refused("record_feedback", json!({"ids": ids, "verdict": "wrong"}));
    assert_eq!(error["kind"], "not_found");
    assert_eq!(pattern(&mut server, "plan → stage → release"), Some(way));
}

#[test]
fn a_list_of_patterns_is_paged_without_gaps_and_repeats() {
    let home = Home::new();
    let mut server = home.start();
    deploy_all(&mut server);
    let all = patterns(&mut server, json!({"limit": 200}));
    assert!(all.len() > 10, "{all:?}");
    for limit in [1, 7] {
        assert_eq!(patterns(&mut server, json!({"limit": limit})), all);
    }
    let shown = |pattern: &Value| pattern["rate"]["episodes"].as_u64().unwrap();
    assert!(all.windows(2).all(|pair| shown(&pair[0]) >= shown(&pair[1])), "those first that more show");
    for kind in ["tool_sequence", "decision_point", "error_recovery", "context", "pitfall"] {
        let of_kind = patterns(&mut server, json!({"kind": kind}));
        let expected: Vec<Value> = all.iter().filter(|pattern| pattern["kind"] == kind).cloned().collect();
        assert_eq!(of_kind, expected, "{kind}");
    }
    assert_eq!(patterns(&mut server, json!({"domain": "ops"})), all);
    assert_eq!(patterns(&mut server, json!({"domain": "op"})), Vec::<Value>::new());
}

#[test]
fn what_is_said_of_a_pattern_overrules_its_rate_until_it_is_taken_back() {
    let home = Home::new();
    let mut server = home.start();
    deploy_all(&mut server);
    let way = pattern(&mut server, "plan → stage → release").unwrap();
    let id = &way["id"];
    let said = json!({"pattern_id": id, "verdict": "pitfall", "note": "not since the move"});
    let corrected = server.call("correct_pattern", said);
    assert_eq!(
        (&corrected["verdict"], &corrected["note"]),
        (&json!("pitfall"), &json!("not since the move"))
    );
    assert_eq!(corrected["rate"], way["rate"], "the evidence is what it was");
    let advice = server.call("query_memory", json!({"query": TASK}))["advice"].take();
    let item = advice["pitfalls"].as_array().unwrap().iter().find(|item| item["id"] == *id);
    assert_eq!(item.expect("a pitfall now")["note"], "not since the move", "{advice}");
    assert!(!advice["steps"].as_array().unwrap().iter().any(|item| item["id"] == *id), "{advice}");
    let why = server.call("explain_pattern", json!({"pattern_id": id}));
    assert!(why["how"].as_str().unwrap().contains("what was said"), "{why}");
    // A correction takes the place of the one before; learning more does not.
    let noted = server.call("correct_pattern", json!({"pattern_id": id, "note": "slow"}));
    assert_eq!((&noted["verdict"], &noted["note"]), (&json!("advice"), &json!("slow")));
    did(&mut server, "Deploy the ads service to production", &["plan", "stage", "release"], "success");
    server.learned();
    assert_eq!(pattern(&mut server, "plan → stage → release").unwrap()["note"], "slow");
    let cleared = server.call("correct_pattern", json!({"pattern_id": id, "clear": true}));
    assert_eq!((&cleared["verdict"], cleared.get("note")), (&json!("advice"), None));
}

#[test]
fn a_deleted_pattern_stays_away() {
    let home = Home::new();
    let mut server = home.start();
    deploy_all(&mut server);
    let id = pattern(&mut server, "plan → stage → release").unwrap()["id"].take();
    let gone = server.call("delete_pattern", json!({"pattern_id": id}));
    assert_eq!(gone, json!({"deleted": true, "pattern_id": id}));
    did(&mut server, "Deploy the ads service to production", &["plan", "stage", "release"], "success");
    server.learned();
    assert_eq!(pattern(&mut server, "plan → stage → release"), None);
    for tool in ["explain_pattern", "delete_pattern"] {
        assert_eq!(server.refused(tool, json!({"pattern_id": id}))["kind"], "not_found", "{tool}");
    }
    let feedback = json!({"ids": id, "verdict": "helped"});
    assert_eq!(server.refused("record_feedback", feedback)["kind"], "not_found");
    let told = server.call("query_memory", json!({"query": TASK, "limit": 50, "max_tokens": 20_000}));
    assert!(!told.to_string().contains(id.as_str().unwrap()), "{told}");
    assert!(pattern(&mut server, "plan → stage").is_some(), "others are still there");
}

#[test]
fn deleting_an_episode_takes_back_what_was_learned_from_it() {
    let home = Home::new();
    let mut server = home.start();
    deploy_all(&mut server);
    let before = patterns(&mut server, json!({"limit": 200}));
    let tools = ["plan", "stage", "release", "celebrate"];
    let id = did(&mut server, "Deploy the ads service to production", &tools, "success");
    server.learned();
    assert!(pattern(&mut server, "release → celebrate").is_some());
    assert_eq!(pattern(&mut server, "plan → stage").unwrap()["rate"]["episodes"], 9);
    let gone = server.call("delete_episode", json!({"episode_id": id}));
    assert_eq!(gone, json!({"deleted": true, "episode_id": id}));
    let after = patterns(&mut server, json!({"limit": 200}));
    assert_eq!(texts(&json!(after), "text"), texts(&json!(before), "text"));
    let rates = |patterns: &[Value]| -> Vec<Value> {
        patterns.iter().map(|pattern| pattern["rate"].clone()).collect()
    };
    assert_eq!(rates(&after), rates(&before));
    for tool in ["get_episode", "delete_episode"] {
        assert_eq!(server.refused(tool, json!({"episode_id": id}))["kind"], "not_found", "{tool}");
    }
    for query in ["celebrate", "Deploy the ads service to production"] {
        let told = server.call("query_memory", json!({"query": query}));
        assert!(!told.to_string().contains(id.as_str().unwrap()), "{told}");
    }
}

/// A command of which it is known that it fails, and what helped.
fn failing_command(server: &mut Server) -> Value {
    let steps = json!([
        {"tool": "Bash", "args": {"command": "make deploy"}, "error": "Error: not logged in since 12"},
        {"tool": "Bash", "args": {"command": "make login"}},
        {"tool": "transfer", "args": {"amount": 500, "to": "DE02"}, "error": "Error: above the limit"},
    ]);
    let id = finish(server, "Deploy the billing service", steps, "failure");
    server.learned();
    id
}

#[test]
fn a_call_that_failed_is_warned_of_and_any_other_is_not() {
    let home = Home::new();
    let mut server = home.start();
    let id = failing_command(&mut server);
    for action in [
        json!({"action": "make deploy"}),
        json!({"action": "make   deploy", "domain": "ops"}),
        json!({"action": {"command": "make deploy"}, "tool": "Bash"}),
    ] {
        let told = server.call("check_action", action);
        let [warning] = told["warnings"].as_array().unwrap().as_slice() else { panic!("one: {told}") };
        assert_eq!(warning["why"], "this very call failed in 1 of 1 episode(s) that made it");
        let past = json!([{"episode_id": id, "step": 1, "error": "Error: not logged in since #"}]);
        assert_eq!(warning["evidence"], past);
        assert!(warning["recovery"][0].as_str().unwrap().contains("make login"), "{told}");
        let confidence = number(&warning["confidence"]);
        assert!(0.8 < confidence && confidence < 1.0, "{told}");
        assert!(told["notice"].as_str().unwrap().contains("not instructions"), "{told}");
    }
    let transfer = json!({"action": {"amount": 500, "to": "DE02"}, "tool": "transfer"});
    assert_eq!(server.call("check_action", transfer)["warnings"].as_array().unwrap().len(), 1);
    for action in [
        json!({"action": "make login"}),
        json!({"action": "make clean"}),
        json!({"action": "make deploy", "domain": "cooking"}),
        json!({"action": "make deploy", "project": "acme"}),
        json!({"action": {"amount": 20, "to": "DE02"}, "tool": "transfer"}),
        json!({"action": "make deploy", "tool": "transfer"}),
    ] {
        assert_eq!(server.call("check_action", action.clone()), json!({"warnings": []}), "{action}");
    }
    // Once it has worked again, nothing speaks against it.
    for service in ["search", "mail"] {
        let works = json!([{"tool": "Bash", "args": {"command": "make deploy"}}]);
        finish(&mut server, &format!("Deploy the {service} service"), works, "success");
    }
    server.learned();
    assert_eq!(server.call("check_action", json!({"action": "make deploy"})), json!({"warnings": []}));
}

#[test]
fn a_recommendation_stays_within_its_budget() {
    let home = Home::new();
    let mut server = home.start();
    for number in 0..40 {
        let name = |i: usize| format!("tool_with_a_rather_long_name_{}", (number * 7 + i * 5) % 9);
        let steps: Vec<Value> = (0..12)
            .map(|i| {
                let error =
                    if i % 3 == 0 { format!("Error: {}", "detail ".repeat(30)) } else { String::new() };
                json!({"tool": name(i), "args": "x ".repeat(200), "error": error})
            })
            .collect();
        let outcome = if number % 3 == 0 { "failure" } else { "success" };
        finish(
            &mut server,
            &format!("Deploy the service number {number} to production"),
            json!(steps),
            outcome,
        );
    }
    server.learned();
    let ask = json!({"task": "Deploy the service to production", "error": "Error: detail"});
    for (tokens_max, given) in [(1_500, Value::Null), (200, json!(200)), (600, json!(600))] {
        let mut asked = ask.clone();
        asked["max_tokens"] = given;
        let told = server.call("recommend", asked);
        assert_eq!(told["known"], true);
        let tokens = tokens_at_most(&told);
        assert!(tokens <= tokens_max, "{tokens} of {tokens_max} tokens: {told}");
        assert!(!told["next"].as_array().unwrap().is_empty(), "{told}");
    }
}

#[test]
fn what_is_called_high_success_is_a_setting() {
    let home = Home::new();
    deploy_all(&mut home.start());
    let highest = |rate: &str| {
        let mut server = Server::start(home.command().env("MEMORY_MCP_HIGH_SUCCESS", rate));
        pattern(&mut server, "plan → stage → release").unwrap()["high_success"].take()
    };
    assert_eq!((highest("0.99"), highest("0"), highest("")), (json!(false), json!(true), json!(true)));
    for wrong in ["1.1", "-0.1", "NaN", "most"] {
        let ran = home.run(&[&format!("--high-success={wrong}"), "health"]);
        assert_eq!(ran.code, Some(2), "{wrong}: {ran:?}");
        assert!(ran.stderr.contains("from 0 to 1"), "{ran:?}");
    }
}

#[test]
fn the_owner_can_forget_and_relearn_from_the_shell() {
    let home = Home::new();
    let mut server = home.start();
    deploy_all(&mut server);
    let id = did(&mut server, "Deploy the ads service to production", &["pray"], "failure");
    server.learned();
    let detour = pattern(&mut server, "guess → force").unwrap()["id"].take();
    // With the server still running, as it usually is.
    let ran = home.run(&["forget", "episode", id.as_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout), (Some(0), format!("episode {} is forgotten\n", id.as_str().unwrap())));
    assert_eq!(server.refused("get_episode", json!({"episode_id": id}))["kind"], "not_found");
    let ran = home.run(&["forget", "pattern", detour.as_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(pattern(&mut server, "guess → force"), None);
    for what in ["episode", "pattern"] {
        let ran = home.run(&["forget", what, id.as_str().unwrap()]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains(&format!("no {what} has the id")), "{ran:?}");
        assert_eq!(home.run(&["forget", what, "7"]).code, Some(2));
    }

    let way = pattern(&mut server, "plan → stage → release").unwrap();
    server.call("correct_pattern", json!({"pattern_id": way["id"], "note": "slow"}));
    server.call("record_feedback", json!({"ids": way["id"], "verdict": "helped"}));
    let all = patterns(&mut server, json!({"limit": 200}));
    assert_eq!(server.finish().1, Some(0));
    let ran = home.run(&["relearn"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("16 episodes studied anew"), "{ran:?}");
    let mut server = home.start();
    server.learned();
    assert_eq!(patterns(&mut server, json!({"limit": 200})), all, "and what was said of it is still there");
    let ran = run(home.command().arg("forget"), b"");
    assert_eq!(ran.code, Some(2), "{ran:?}");
}
