//! Which tools a user is shown, by how much the memory was used.

use serde_json::{Map, Value, json};

use crate::server::{Home, Server, texts};

const BEGINNER: [&str; 2] = ["query_memory", "create_episode"];
const INTERMEDIATE: usize = 9;
/// All but those of an expert.
const ADVANCED: usize = 15;
const ALL: usize = 22;
/// Bytes of the answer to `tools/list`.
const BEGINNER_BYTES_MAX: usize = 3_500;
/// The same with all tools.
const ALL_BYTES_MAX: usize = 18_000;
const INSTRUCTIONS_CHARS_MAX: usize = 1_500;

fn list(server: &mut Server) -> Value {
    server.ask("tools/list", json!({}))
}

fn listed(server: &mut Server) -> Vec<String> {
    texts(&list(server)["result"]["tools"], "name").into_iter().map(str::to_owned).collect()
}

fn use_it(server: &mut Server, times: usize) {
    server.call("create_episode", json!({"task": "Paint the fence"}));
    for _ in 1..times {
        server.call("query_memory", json!({"query": "How is the fence painted?"}));
    }
}

#[test]
fn a_new_user_sees_two_tools_in_few_bytes_and_can_call_the_others() {
    let home = Home::new();
    for mut server in [home.start(), home.start_modern()] {
        let answer = list(&mut server);
        assert_eq!(texts(&answer["result"]["tools"], "name"), BEGINNER);
        assert!(answer.to_string().len() <= BEGINNER_BYTES_MAX, "{} bytes", answer.to_string().len());
        for tool in answer["result"]["tools"].as_array().unwrap() {
            assert_eq!(tool["_meta"]["anthropic/alwaysLoad"], true, "{tool}");
        }
        // What is not shown is not forbidden.
        server.call("remember", json!({"text": "The fence is green."}));
        assert_eq!(server.call("list_patterns", json!({}))["patterns"], json!([]));
    }
}

#[test]
fn all_tools_together_stay_small() {
    let answer = list(&mut Home::new().start_expert());
    assert_eq!(answer["result"]["tools"].as_array().unwrap().len(), ALL);
    assert!(answer.to_string().len() <= ALL_BYTES_MAX, "{} bytes", answer.to_string().len());
}

#[test]
fn a_legacy_client_is_told_when_there_are_more_tools() {
    let home = Home::new();
    let mut server = home.start();
    use_it(&mut server, 4);
    assert_eq!(listed(&mut server), BEGINNER);
    assert_eq!(server.heard(), Vec::<Value>::new());
    // What was refused is no use of the memory.
    server.refused("query_memory", json!({}));
    server.ask("tools/call", json!({"name": "no_such_tool", "arguments": {}}));
    assert_eq!(listed(&mut server), BEGINNER);
    server.call("query_memory", json!({"query": "fence"}));
    assert_eq!(server.notification()["method"], "notifications/tools/list_changed");
    assert_eq!(listed(&mut server).len(), INTERMEDIATE);
    assert_eq!(server.heard(), Vec::<Value>::new(), "once");
}

#[test]
fn a_modern_client_sees_the_same_tools_until_the_process_ends() {
    let home = Home::new();
    let mut server = home.start_modern();
    let id = server.post("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    assert_eq!(server.notification()["method"], "notifications/subscriptions/acknowledged");
    use_it(&mut server, 40);
    assert_eq!(listed(&mut server), BEGINNER);
    assert_eq!(server.heard(), Vec::<Value>::new(), "no call changes the list");
    let (rest, code) = server.finish();
    assert_eq!(code, Some(0));
    let [end] = rest.as_slice() else { panic!("{rest:?}") };
    assert_eq!(end["id"], id, "the request to listen is answered at the end: {end}");

    // The level is the user's: it is there in the next process, whichever protocol is spoken.
    assert_eq!(listed(&mut home.start_modern()).len(), INTERMEDIATE);
    let mut legacy = home.start();
    assert_eq!(listed(&mut legacy).len(), INTERMEDIATE);
    for tool in ["get_episode", "remember"] {
        let arguments = match tool {
            "remember" => json!({"text": "The fence is green."}),
            _ => json!({"episode_id": legacy.call("create_episode", json!({"task": "Paint"}))["episode_id"]}),
        };
        legacy.call(tool, arguments);
    }
    assert_eq!(legacy.notification()["method"], "notifications/tools/list_changed");
    assert_eq!(listed(&mut legacy).len(), ADVANCED);
}

#[test]
fn a_configured_level_is_that_of_every_client() {
    let home = Home::new();
    let pinned = |level: &str| {
        let mut command = home.command();
        command.env("MEMORY_MCP_TOOLS_LEVEL", level);
        command
    };
    for (level, count) in
        [("beginner", 2), ("intermediate", INTERMEDIATE), ("advanced", ADVANCED), ("expert", ALL)]
    {
        let mut server = Server::start(&mut pinned(level));
        assert_eq!(listed(&mut server).len(), count, "{level}");
        use_it(&mut server, 7);
        assert_eq!(listed(&mut server).len(), count, "{level} whatever is called");
        assert_eq!(server.heard(), Vec::<Value>::new());
    }
    let mut blank = Server::start(&mut pinned(""));
    assert_ne!(listed(&mut blank).len(), ALL, "a blank variable is none");
    let ran = home.run(&["--tools-level", "wizard"]);
    assert_ne!(ran.code, Some(0));
    assert!(ran.stderr.contains("beginner") && ran.stderr.contains("expert"), "{ran:?}");
}

#[test]
fn the_instructions_speak_of_the_tools_that_are_shown() {
    let home = Home::new();
    for level in ["beginner", "intermediate", "advanced", "expert"] {
        let mut server = home.start_modern_with(&["--tools-level", level]);
        let shown = listed(&mut server);
        let instructions = server.ask("server/discover", json!({}))["result"]["instructions"].take();
        let instructions = instructions.as_str().unwrap();
        assert!(instructions.chars().count() <= INSTRUCTIONS_CHARS_MAX);
        for tool in listed(&mut home.start_expert()) {
            let is_named = instructions.contains(&tool);
            assert!(!is_named || shown.contains(&tool), "{level}: {tool} in {instructions}");
            assert!(is_named || !BEGINNER.contains(&&*tool), "{level}: no {tool} in {instructions}");
        }
    }
}

/// Whether a value is of one of the types that a schema names, and so are the entries of a list.
pub(crate) fn fits(schema: &Value, value: &Value) -> bool {
    let is_a = |name: &Value| match name.as_str().unwrap() {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("{other} is no type"),
    };
    if let Some(branches) = schema["anyOf"].as_array() {
        return branches.iter().any(|branch| fits(branch, value));
    }
    // What a program comes to may be anything.
    let of_type = schema.get("type").is_none_or(is_a);
    let items = schema.get("items");
    of_type && value.as_array().into_iter().flatten().all(|item| items.is_none_or(|items| fits(items, item)))
}

#[test]
fn every_result_is_of_the_form_that_its_tool_announces() {
    let home = Home::new();
    let mut server = home.start_expert();
    let tools = list(&mut server)["result"]["tools"].take();
    let schemas: Map<String, Value> = tools
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| (tool["name"].as_str().unwrap().to_owned(), tool["outputSchema"].clone()))
        .collect();
    let steps =
        json!([{"tool": "bash", "args": "make", "error": "no such file"}, {"tool": "bash", "args": "make"}]);
    let mut called = Vec::new();
    let mut call = |tool: &str, arguments: Value| {
        let result = server.call(tool, arguments);
        let schema = &schemas[tool];
        assert_eq!(schema["type"], "object");
        assert!(schema.get("required").is_none() && schema.get("additionalProperties").is_none(), "{schema}");
        let fields = schema["properties"].as_object().unwrap();
        assert!(!fields.is_empty(), "{tool}");
        for (name, schema) in fields {
            let value = result.get(name).unwrap_or_else(|| panic!("{tool}: no {name} in {result}"));
            assert!(fits(schema, value), "{tool}.{name}: {value} is not {schema}");
        }
        called.push(tool.to_owned());
        result
    };
    let open =
        call("create_episode", json!({"task": "Build the shed", "domain": "garden"}))["episode_id"].take();
    call("get_episode", json!({"episode_id": open}));
    call("add_episode_step", json!({"episode_id": open, "tool": "bash", "args": "make shed"}));
    call("complete_episode", json!({"episode_id": open, "outcome": "success", "summary": "It stands."}));
    for number in 0..4 {
        let task = format!("Build shed number {number}");
        let episode = json!({"task": task, "domain": "garden", "steps": steps, "outcome": "success", "summary": "Done."});
        call("create_episode", episode);
    }
    call("get_episode", json!({"episode_id": open}));
    call("query_memory", json!({"query": "Build the shed", "explain": true}));
    call("query_memory", json!({"query": "quantum chromodynamics"}));
    call("recommend", json!({"task": "Build the shed", "domain": "garden"}));
    call("recommend", json!({"task": "chromodynamics"}));
    call("check_action", json!({"action": "make"}));
    call("remember", json!({"text": "Sheds are green.", "external_id": "colour"}));
    call("record_feedback", json!({"ids": [open], "verdict": "helped"}));
    call("health_check", json!({"detailed": true}));
    call("get_metrics", json!({}));
    call("list_jobs", json!({}));
    call("execute_code", json!({"code": "memory.query('shed').hits.length"}));
    call("execute_code", json!({"code": "let"}));
    let mut pattern = Value::Null;
    crate::server::wait_until("something is learned", || {
        let list = call("list_patterns", json!({"limit": 1}));
        pattern = list["patterns"][0]["id"].clone();
        pattern.is_string()
    });
    call("explain_pattern", json!({"pattern_id": pattern}));
    call("correct_pattern", json!({"pattern_id": pattern, "verdict": "advice", "note": "It is."}));
    call("delete_pattern", json!({"pattern_id": pattern}));
    call("list_episodes", json!({"limit": 1}));
    let other = call("create_episode", json!({"task": "Paint the door"}))["episode_id"].clone();
    call("update_episode", json!({"episode_id": other, "tags": ["paint"]}));
    call("link_episodes", json!({"from": other, "to": open, "relation": "continues"}));
    call("delete_episode", json!({"episode_id": open}));
    for tool in schemas.keys() {
        // A job that there surely is takes a memory in which something is broken: see the tests of jobs.
        assert!(called.contains(tool) || tool == "retry_job", "{tool} was not called");
    }
}
