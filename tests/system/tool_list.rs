//! The wire surface: what a client is told of each tool. A snapshot each, so that no change goes unnoticed.

use serde_json::{Value, json};

use crate::server::Home;

fn tools() -> Vec<Value> {
    let mut list = Home::new().start_expert().ask("tools/list", json!({}));
    assert!(list["result"].get("nextCursor").is_none(), "one page");
    serde_json::from_value(list["result"]["tools"].take()).unwrap()
}

#[test]
fn every_tool_is_listed_as_pinned() {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut changed = Vec::new();
    for tool in tools() {
        let name = tool["name"].as_str().unwrap().to_owned();
        let pinned = || insta::assert_snapshot!(name.clone(), serde_json::to_string_pretty(&tool).unwrap());
        // All of them are compared before the test fails.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| settings.bind(pinned))).is_err() {
            changed.push(name);
        }
    }
    assert!(changed.is_empty(), "changed, see tests/system/snapshots: {changed:?}");
}

/// What clients choke on or pay tokens for, anywhere in a schema.
fn superfluous(schema: &Value, at: &str, found: &mut Vec<String>) {
    let parts: Vec<(String, &Value)> = match schema {
        Value::Object(object) => object.iter().map(|(key, part)| (format!("{at}/{key}"), part)).collect(),
        Value::Array(items) => items.iter().map(|part| (at.to_owned(), part)).collect(),
        _ => return,
    };
    for (path, part) in parts {
        let key = path.rsplit('/').next().unwrap_or_default();
        let is_argument = at.ends_with("/properties");
        let bad = !is_argument
            && match key {
                "$schema" | "$ref" | "$defs" | "title" => true,
                "format" => part.as_str().is_some_and(|format| format.contains("int") || format == "double"),
                "type" => {
                    *part == "null" || part.as_array().is_some_and(|types| types.contains(&"null".into()))
                }
                "enum" | "default" => {
                    part.is_null() || part.as_array().is_some_and(|v| v.contains(&Value::Null))
                }
                _ => false,
            };
        if bad {
            found.push(format!("{path}: {part}"));
        }
        superfluous(part, &path, found);
    }
}

/// Arguments whose names are enough.
const SAY_IT_THEMSELVES: [&str; 14] = [
    "args",
    "comment",
    "cursor",
    "duration_ms",
    "error",
    "kind",
    "kinds",
    "reward",
    "summary",
    "tags",
    "task",
    "task_type",
    "text",
    "tool",
];

#[test]
fn the_schemas_hold_nothing_that_clients_choke_on() {
    let tools = tools();
    assert!(!tools.is_empty());
    let mut found = Vec::new();
    // What a client is told with the first tool need not be told again.
    let query = tools.iter().find(|tool| tool["name"] == "query_memory").unwrap();
    let is_told = |argument: &str| query["inputSchema"]["properties"][argument]["description"].is_string();
    for tool in &tools {
        let name = tool["name"].as_str().unwrap();
        let schema = &tool["inputSchema"];
        assert_eq!(schema["type"], "object", "{name}");
        assert_eq!(schema["additionalProperties"], false, "{name}: a mistyped argument is refused");
        superfluous(schema, name, &mut found);
        for (argument, schema) in schema["properties"].as_object().unwrap() {
            let described = ["description", "enum"].iter().any(|key| schema.get(key).is_some());
            let says_it_itself =
                argument.ends_with("_id") || SAY_IT_THEMSELVES.contains(&&**argument) || is_told(argument);
            assert!(described || says_it_itself, "{name}.{argument} says nothing of itself");
        }
        let description = tool["description"].as_str().unwrap();
        assert!(description.chars().count() <= 4_096, "{name}: Claude Code cuts what is longer");
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn what_only_reads_says_so_and_what_destroys_does_too() {
    for tool in tools() {
        let name = tool["name"].as_str().unwrap();
        let reads = [
            "query_memory",
            "get_episode",
            "recommend",
            "check_action",
            "list_patterns",
            "explain_pattern",
            "health_check",
            "execute_code",
            "get_metrics",
            "list_jobs",
            "list_episodes",
        ]
        .contains(&name);
        let repeatable = [
            "remember",
            "correct_pattern",
            "delete_pattern",
            "delete_episode",
            "update_episode",
            "link_episodes",
            "retry_job",
        ];
        let destroys = ["delete_pattern", "delete_episode", "update_episode"].contains(&name);
        let hints = &tool["annotations"];
        assert_eq!(hints["readOnlyHint"], reads, "{name}");
        assert_eq!(hints["destructiveHint"], destroys, "{name}");
        assert_eq!(hints["idempotentHint"], reads || repeatable.contains(&name), "{name}");
        assert_eq!(hints["openWorldHint"], false, "{name}");
        assert!(
            tool["title"].as_str().is_some_and(|title| title.contains(' ')),
            "{name}: a title for people"
        );
        let always = ["query_memory", "create_episode"].contains(&name);
        assert_eq!(tool["_meta"]["anthropic/alwaysLoad"] == true, always, "{name}");
    }
}
