//! Arguments that are wrong: each mistake is named, all of them at once, and nothing is stored.

use serde_json::{Map, Value, json};

use crate::server::{Home, Server, failed, succeeded, texts};

/// An id of nothing.
const UNKNOWN: &str = "0198c0de-7a3b-7c4d-8e5f-0123456789ab";
const OTHER_UNKNOWN: &str = "0198c0de-7a3b-7c4d-8e5f-0123456789ac";

/// For each tool, arguments that are right, given an open episode and a pattern.
fn right(tool: &str, episode: &Value, pattern: &Value) -> Value {
    match tool {
        "query_memory" => json!({"query": "anything"}),
        "create_episode" => json!({"task": "anything"}),
        "add_episode_step" => json!({"episode_id": episode, "tool": "grep"}),
        "complete_episode" => json!({"episode_id": episode, "outcome": "success"}),
        "get_episode" => json!({"episode_id": episode}),
        "remember" => json!({"text": "anything"}),
        "recommend" => json!({"task": "anything"}),
        "check_action" => json!({"action": "anything"}),
        "record_feedback" => json!({"ids": [episode], "verdict": "helped"}),
        "list_patterns" | "list_episodes" | "health_check" | "get_metrics" | "list_jobs" => json!({}),
        "update_episode" => json!({"episode_id": episode, "task": "anything else"}),
        "link_episodes" => json!({"from": episode, "to": OTHER_UNKNOWN, "relation": "relates"}),
        "execute_code" => json!({"code": "1"}),
        "explain_pattern" | "delete_pattern" => json!({"pattern_id": pattern}),
        "correct_pattern" => json!({"pattern_id": pattern, "verdict": "neutral"}),
        "delete_episode" => json!({"episode_id": episode}),
        // One that is left takes something that fails: see the tests of jobs.
        "retry_job" => json!({"job_id": UNKNOWN}),
        new => panic!("say what is right for {new}"),
    }
}

fn open_episode(server: &mut Server) -> Value {
    server.call("create_episode", json!({"task": "An open episode"}))["episode_id"].take()
}

/// A pattern learned from an episode of one's own.
fn pattern(server: &mut Server) -> Value {
    let steps = json!([{"tool": "look"}, {"tool": "leap"}]);
    server.call("create_episode", json!({"task": "A short one", "steps": steps, "outcome": "success"}));
    server.learned();
    server.call("list_patterns", json!({}))["patterns"][0]["id"].take()
}

/// The tools with their schemas.
fn tools(server: &mut Server) -> Vec<(String, Map<String, Value>, Vec<String>)> {
    let mut list = server.ask("tools/list", json!({}));
    let tools: Vec<Value> = serde_json::from_value(list["result"]["tools"].take()).unwrap();
    tools
        .into_iter()
        .map(|mut tool| {
            let name = tool["name"].as_str().unwrap().to_owned();
            let schema = &mut tool["inputSchema"];
            let required = serde_json::from_value(schema["required"].take()).unwrap_or_default();
            (name, serde_json::from_value(schema["properties"].take()).unwrap(), required)
        })
        .collect()
}

/// A value that is not of the type that the schema asks for.
fn wrong(schema: &Value) -> Value {
    let is = |name: &str| {
        schema["type"] == name || schema["type"].as_array().is_some_and(|t| t.contains(&name.into()))
    };
    [json!(true), json!({"an": "object"}), json!("text"), json!([])]
        .into_iter()
        .find(|value| match value {
            Value::Bool(_) => !is("boolean"),
            Value::Object(_) => !is("object"),
            Value::String(_) => !is("string"),
            _ => !is("array"),
        })
        .expect("nothing admits everything")
}

#[test]
fn every_argument_of_every_tool_is_checked() {
    let home = Home::new();
    let mut server = home.start_expert();
    let episode = open_episode(&mut server);
    for (tool, properties, required) in tools(&mut server) {
        let right = right(&tool, &episode, &UNKNOWN.into());
        if !required.is_empty() {
            let error = server.refused(&tool, json!({}));
            assert_eq!(error["kind"], "invalid_arguments");
            assert_eq!(texts(&error["fields"], "field"), required, "{tool}");
            let nulls: Map<String, Value> = required.iter().map(|name| (name.clone(), Value::Null)).collect();
            assert_eq!(texts(&server.refused(&tool, nulls.into())["fields"], "field"), required, "{tool}");
        }
        for (name, schema) in &properties {
            // `args`, `observation` and `input` take anything.
            if name == "input" || schema["type"].as_array().is_some_and(|types| types.len() > 3) {
                continue;
            }
            let mut arguments = right.clone();
            arguments[name] = wrong(schema);
            let error = server.refused(&tool, arguments);
            assert_eq!(texts(&error["fields"], "field"), [name], "{tool}.{name}");
            let problem = error["fields"][0]["problem"].as_str().unwrap();
            assert!(problem.starts_with("must be "), "{tool}.{name}: {problem}");
        }
        let mut unknown = right.clone();
        unknown["qeury"] = json!("a slip of the pen");
        let error = server.refused(&tool, unknown);
        assert_eq!(texts(&error["fields"], "field"), ["qeury"]);
        let problem = error["fields"][0]["problem"].as_str().unwrap();
        for known in properties.keys() {
            assert!(problem.contains(known.as_str()), "{tool}: {problem}");
        }
    }
    let counts = server.call("health_check", json!({}))["metrics"]["store"].take();
    assert_eq!((&counts["episodes"], &counts["steps"], &counts["notes"]), (&json!(1), &json!(0), &json!(0)));
}

#[test]
fn no_number_is_too_large_or_too_small_to_be_dealt_with() {
    let home = Home::new();
    let mut server = home.start_expert();
    let pattern = pattern(&mut server);
    let extremes =
        [json!(u64::MAX), json!(i64::MIN), json!(1_u64 << 32), json!(1e300), json!(-0.5), json!(0)];
    for (tool, properties, _) in tools(&mut server) {
        for (name, schema) in &properties {
            if schema["type"] != "integer" && schema["type"] != "number" {
                continue;
            }
            for extreme in &extremes {
                let mut arguments = right(&tool, &open_episode(&mut server), &pattern);
                arguments[name] = extreme.clone();
                let answer = server.ask("tools/call", json!({"name": tool, "arguments": arguments}));
                if answer["result"]["isError"] == true {
                    assert_eq!(texts(&failed(&answer)["fields"], "field"), [name], "{tool}: {extreme}");
                } else {
                    succeeded(&answer);
                }
            }
        }
    }
    let steps = json!([{"tool": "a", "duration_ms": u64::MAX}]);
    let id = server.call("create_episode", json!({"task": "Slow", "steps": steps}))["episode_id"].take();
    let page = server.call("get_episode", json!({"episode_id": id, "steps_from": u64::MAX}));
    assert_eq!((&page["steps"], &page["step_count"]), (&json!([]), &json!(1)));
}

#[test]
fn an_optional_argument_may_be_null() {
    let home = Home::new();
    let mut server = home.start_expert();
    let pattern = pattern(&mut server);
    for (tool, properties, _) in tools(&mut server) {
        let episode = open_episode(&mut server);
        let mut arguments = right(&tool, &episode, &pattern);
        if properties.keys().all(|name| arguments.get(name).is_some()) {
            continue;
        }
        if tool == "link_episodes" {
            arguments["to"] = open_episode(&mut server);
        }
        for name in properties.keys() {
            let given = arguments.as_object_mut().unwrap();
            given.entry(name.clone()).or_insert(Value::Null);
        }
        server.call(&tool, arguments);
    }
    let null_in_a_step = json!({"tool": "grep", "action": null, "args": null, "ok": null, "error": null});
    server.call("create_episode", json!({"task": "Steps too", "steps": [null_in_a_step]}));
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_places() {
    let home = Home::new();
    let mut server = home.start();
    let error = server.refused(
        "create_episode",
        json!({
            "tags": ["fine", 5], "outcome": "won", "reward": 1.5, "unheard_of": true,
            "steps": [{"tool": "grep"}, {"action": "no tool"}, "no step", {"tool": 1, "ok": "yes", "duration_ms": -1}],
        }),
    );
    let mut fields = texts(&error["fields"], "field");
    fields.sort_unstable();
    let expected = [
        "outcome",
        "reward",
        "steps[1].tool",
        "steps[2]",
        "steps[3].duration_ms",
        "steps[3].ok",
        "steps[3].tool",
        "tags[1]",
        "task",
        "unheard_of",
    ];
    assert_eq!(fields, expected);
    let message = error["message"].as_str().unwrap();
    assert!(expected.iter().all(|field| message.contains(field)), "the message alone says it too: {message}");
    assert!(message.contains(r#""success""#), "it says what would be right: {message}");

    let error = server.refused(
        "create_episode",
        json!({"task": " ", "tags": [""], "outcome": "success", "external_id": "x".repeat(600),
               "steps": [{"tool": ""}, {"tool": "grep", "error": "e".repeat(70_000)}]}),
    );
    let fields = ["external_id", "task", "tags[0]", "steps[0].tool", "steps[1].error"];
    assert_eq!(texts(&error["fields"], "field"), fields);
}

#[test]
fn ids_that_lead_nowhere_are_errors() {
    let home = Home::new();
    let mut server = home.start();
    let unknown = Value::from(UNKNOWN);
    for (tool, field) in [
        ("add_episode_step", "episode_id"),
        ("complete_episode", "episode_id"),
        ("get_episode", "episode_id"),
        ("recommend", "episode_id"),
        ("record_feedback", "ids"),
        ("explain_pattern", "pattern_id"),
        ("correct_pattern", "pattern_id"),
        ("delete_pattern", "pattern_id"),
        ("delete_episode", "episode_id"),
        ("retry_job", "job_id"),
        ("update_episode", "episode_id"),
        ("link_episodes", "from"),
    ] {
        let mut arguments = right(tool, &unknown, &unknown);
        arguments[field] = unknown.clone();
        let error = server.refused(tool, arguments.clone());
        assert_eq!(error["kind"], "not_found", "{tool}");
        assert!(error["message"].as_str().unwrap().contains(UNKNOWN), "{error}");
        for malformed in ["", "7", "not-an-id", "0198c0de-7a3b-7c4d-8e5f-0123456789a", "../../etc/passwd"] {
            arguments[field] = malformed.into();
            let error = server.refused(tool, arguments.clone());
            assert_eq!(error["kind"], "invalid_arguments", "{tool}");
            assert_eq!(texts(&error["fields"], "field"), [field], "{tool}: {malformed:?}");
        }
    }
    let error = server.refused("remember", json!({"text": "a", "supersedes": unknown}));
    assert_eq!(error["kind"], "not_found");
    assert_eq!(server.call("query_memory", json!({"query": "a"}))["known"], false, "and nothing was stored");
}

#[test]
fn a_text_that_is_too_long_is_refused_with_its_limit() {
    let home = Home::new();
    let mut server = home.start();
    let (episode, pattern) = (open_episode(&mut server), pattern(&mut server));
    let long = "word ".repeat(1_000_000);
    let cases = [
        ("create_episode", "task", 65_536),
        ("create_episode", "project", 512),
        ("add_episode_step", "observation", 262_144),
        ("add_episode_step", "error", 65_536),
        ("complete_episode", "summary", 65_536),
        ("remember", "text", 65_536),
        ("query_memory", "query", 262_144),
        ("recommend", "task", 262_144),
        ("recommend", "error", 65_536),
        ("check_action", "action", 262_144),
        ("record_feedback", "comment", 65_536),
        ("correct_pattern", "note", 65_536),
    ];
    for (tool, field, limit) in cases {
        let mut arguments = right(tool, &episode, &pattern);
        arguments[field] = long.as_str().into();
        let error = server.refused(tool, arguments);
        assert_eq!(texts(&error["fields"], "field"), [field], "{tool}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(&limit.to_string()), "{message}");
        assert!(message.len() < 1_000, "it does not repeat the text");
        // What is exactly as long as it may be is taken.
        let mut arguments = right(tool, &episode, &pattern);
        arguments[field] = "x".repeat(limit).into();
        server.call(tool, arguments);
    }
    let steps = vec![json!({"tool": "x"}); 10_001];
    let error = server.refused("create_episode", json!({"task": "Too many", "steps": steps}));
    assert!(error["message"].as_str().unwrap().contains("10000"), "{error}");
}

#[test]
fn a_completed_episode_takes_nothing_more() {
    let home = Home::new();
    let mut server = home.start();
    let episode = open_episode(&mut server);
    server.call("complete_episode", json!({"episode_id": episode, "outcome": "success", "summary": "done"}));
    let at_once = server.call("create_episode", json!({"task": "In one go", "outcome": "partial"}));
    for id in [&episode, &at_once["episode_id"]] {
        for tool in ["complete_episode", "add_episode_step"] {
            let error = server.refused(tool, right(tool, id, &Value::Null));
            assert_eq!(error["kind"], "already_completed", "{tool}");
            assert!(error["message"].as_str().unwrap().contains("create a new episode"), "{error}");
        }
        assert_eq!(server.call("get_episode", json!({"episode_id": id}))["step_count"], 0);
    }
    assert_eq!(server.call("get_episode", json!({"episode_id": episode}))["summary"], "done");
}

#[test]
fn values_out_of_range_and_contradictions_are_refused() {
    let home = Home::new();
    let mut server = home.start();
    let episode = open_episode(&mut server);
    let query = |more: Value| {
        let mut arguments = json!({"query": "anything"});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        arguments
    };
    let cases = [
        ("complete_episode", json!({"episode_id": episode, "outcome": "success", "reward": 1.01}), "reward"),
        ("complete_episode", json!({"episode_id": episode, "outcome": "success", "reward": -0.01}), "reward"),
        ("complete_episode", json!({"episode_id": episode, "outcome": "Success"}), "outcome"),
        ("create_episode", json!({"task": "t", "outcome": "success", "reward": 2}), "reward"),
        ("create_episode", json!({"task": "t", "summary": "of what?"}), "summary"),
        ("create_episode", json!({"task": "t", "reward": 1}), "reward"),
        ("create_episode", json!({"task": "t", "basis": "tests"}), "basis"),
        ("complete_episode", json!({"episode_id": episode, "outcome": "success", "basis": "hope"}), "basis"),
        ("create_episode", json!({"task": "t", "started_at": "yesterday"}), "started_at"),
        ("create_episode", json!({"task": "t", "started_at": "2026-02-30"}), "started_at"),
        (
            "create_episode",
            json!({"task": "t", "steps": [{"tool": "a", "ok": true, "error": "e"}]}),
            "steps[0].ok",
        ),
        ("create_episode", json!({"task": ""}), "task"),
        ("create_episode", json!({"task": "\n\t "}), "task"),
        ("get_episode", json!({"episode_id": episode, "steps_limit": 201}), "steps_limit"),
        ("get_episode", json!({"episode_id": episode, "steps_from": 0}), "steps_from"),
        ("remember", json!({"text": "  "}), "text"),
        ("remember", json!({"text": "t", "layer": "forever"}), "layer"),
        ("query_memory", json!({"query": ""}), "query"),
        ("query_memory", json!({"query": " \n"}), "query"),
        ("query_memory", query(json!({"limit": 0})), "limit"),
        ("query_memory", query(json!({"limit": 51})), "limit"),
        ("query_memory", query(json!({"limit": 2.5})), "limit"),
        ("query_memory", query(json!({"limit": "5"})), "limit"),
        ("query_memory", query(json!({"max_tokens": 10})), "max_tokens"),
        ("query_memory", query(json!({"kinds": ["episode", "dream"]})), "kinds[1]"),
        ("query_memory", query(json!({"since": "2026-13-01"})), "since"),
        ("query_memory", query(json!({"until": "12/31/2026"})), "until"),
        ("query_memory", query(json!({"since": "2026-02-01", "until": "2026-01-01"})), "since"),
        ("query_memory", query(json!({"since": "2026-02-01", "until": "2026-02-01"})), "since"),
    ];
    for (tool, arguments, field) in cases {
        let error = server.refused(tool, arguments.clone());
        assert_eq!(error["kind"], "invalid_arguments", "{tool} {arguments}");
        assert_eq!(texts(&error["fields"], "field"), [field], "{tool} {arguments}");
    }
    let error = server.refused("query_memory", query(json!({"since": "soon", "until": "later"})));
    assert_eq!(texts(&error["fields"], "field"), ["since", "until"]);
    let counts = server.call("health_check", json!({}))["metrics"]["store"].take();
    assert_eq!((&counts["episodes"], &counts["open_episodes"]), (&json!(1), &json!(1)), "nothing was stored");
    // The bounds themselves are in range.
    for reward in [0, 1] {
        server.call("create_episode", json!({"task": "Bound", "outcome": "success", "reward": reward}));
    }
    server.call(
        "query_memory",
        query(json!({"limit": 50, "since": "2026-01-01", "until": "2026-01-01T00:00:01Z"})),
    );
}

#[test]
fn what_makes_no_sense_to_the_tools_about_learning_is_refused() {
    let home = Home::new();
    let mut server = home.start();
    let episode = open_episode(&mut server);
    let cases = [
        ("recommend", json!({"task": " "}), "task"),
        ("recommend", json!({"task": "t", "max_tokens": 199}), "max_tokens"),
        ("check_action", json!({"action": " "}), "action"),
        ("check_action", json!({"action": 5}), "action"),
        ("record_feedback", json!({"ids": [episode], "verdict": "good"}), "verdict"),
        ("record_feedback", json!({"ids": [], "verdict": "helped"}), "ids"),
        ("record_feedback", json!({"ids": [episode, "x"], "verdict": "helped"}), "ids[1]"),
        ("record_feedback", json!({"ids": vec![episode.clone(); 51], "verdict": "helped"}), "ids"),
        ("list_patterns", json!({"limit": 201}), "limit"),
        ("list_patterns", json!({"kind": "base"}), "kind"),
        ("list_patterns", json!({"verdict": "good"}), "verdict"),
        ("list_patterns", json!({"cursor": "2"}), "cursor"),
        ("list_patterns", json!({"cursor": UNKNOWN}), "cursor"),
        ("list_patterns", json!({"cursor": format!("-1.{UNKNOWN}")}), "cursor"),
        ("list_jobs", json!({"state": "lost"}), "state"),
        ("list_jobs", json!({"limit": 101}), "limit"),
        ("list_jobs", json!({"cursor": "2"}), "cursor"),
        ("correct_pattern", json!({"pattern_id": UNKNOWN}), "verdict"),
        ("correct_pattern", json!({"pattern_id": UNKNOWN, "note": " ", "clear": false}), "verdict"),
        ("correct_pattern", json!({"pattern_id": UNKNOWN, "note": "n", "clear": true}), "clear"),
    ];
    for (tool, arguments, field) in cases {
        let error = server.refused(tool, arguments.clone());
        assert_eq!(error["kind"], "invalid_arguments", "{tool} {arguments}");
        assert_eq!(texts(&error["fields"], "field"), [field], "{tool} {arguments}");
    }
}
