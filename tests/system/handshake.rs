//! Both eras of the protocol: `initialize` (up to 2025-11-25) and `server/discover` with `_meta` (2026-07-28).

use serde_json::{Value, json};

use crate::server::{Home, MODERN, Server, failed, modern, succeeded};

const LATEST_LEGACY: &str = "2025-11-25";
const TOOLS: [&str; 22] = [
    "query_memory",
    "create_episode",
    "add_episode_step",
    "complete_episode",
    "get_episode",
    "remember",
    "recommend",
    "check_action",
    "record_feedback",
    "list_patterns",
    "explain_pattern",
    "correct_pattern",
    "delete_pattern",
    "health_check",
    "execute_code",
    "list_episodes",
    "update_episode",
    "delete_episode",
    "link_episodes",
    "get_metrics",
    "list_jobs",
    "retry_job",
];

fn initialize(server: &mut Server, version: &str) -> Value {
    let client = json!({"name": "test", "version": "1"});
    let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client});
    let mut answer = server.ask("initialize", params);
    server.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    answer["result"].take()
}

fn error_code(answer: &Value) -> &Value {
    assert!(answer.get("result").is_none(), "{answer}");
    &answer["error"]["code"]
}

#[test]
fn every_legacy_revision_is_spoken() {
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", LATEST_LEGACY] {
        let home = Home::new();
        let mut server = Server::spawn(home.command().args(["--tools-level", "expert"]));
        let result = initialize(&mut server, version);
        assert_eq!(result["protocolVersion"], version);
        assert_eq!(result["serverInfo"]["name"], "memory-mcp");
        let capabilities = json!({"completions": {}, "prompts": {}, "resources": {"subscribe": true},
                                  "tools": {"listChanged": true}});
        assert_eq!(result["capabilities"], capabilities);
        let instructions = result["instructions"].as_str().unwrap();
        assert!(instructions.contains("query_memory"), "{instructions}");
        assert!(instructions.chars().count() <= 4_096, "Claude Code cuts what is longer");
        assert_eq!(server.ask("ping", json!({}))["result"], json!({}));
        let list = server.ask("tools/list", json!({}));
        assert_eq!(crate::server::texts(&list["result"]["tools"], "name"), TOOLS);
        assert_eq!(server.call("query_memory", json!({"query": "anything"}))["known"], false);
        server.refused("query_memory", json!({}));
        assert_eq!(server.finish().1, Some(0));
    }
}

#[test]
fn an_unknown_revision_is_answered_with_the_latest_that_initialize_can_agree_on() {
    for version in ["1999-01-01", "2999-12-31", MODERN] {
        let home = Home::new();
        let mut server = Server::spawn(&mut home.command());
        assert_eq!(initialize(&mut server, version)["protocolVersion"], LATEST_LEGACY);
        server.call("query_memory", json!({"query": "anything"}));
    }
}

#[test]
fn a_modern_client_discovers_lists_and_calls_without_a_handshake() {
    let home = Home::new();
    let mut server = Server::spawn(home.command().args(["--tools-level", "expert"]));
    let discovered = server.ask("server/discover", modern(json!({})))["result"].take();
    let versions = discovered["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!(MODERN)) && versions.contains(&json!(LATEST_LEGACY)), "{discovered}");
    let capabilities = json!({"completions": {}, "prompts": {}, "resources": {"subscribe": true, "listChanged": true},
                              "tools": {"listChanged": true}});
    assert_eq!(discovered["capabilities"], capabilities);
    assert!(discovered["instructions"].as_str().unwrap().contains("query_memory"));
    let list = server.ask("tools/list", modern(json!({})))["result"].take();
    assert_eq!(crate::server::texts(&list["tools"], "name"), TOOLS);
    for cacheable in [&discovered, &list] {
        assert!(cacheable["ttlMs"].as_u64().is_some_and(|ttl| ttl > 0), "{cacheable}");
        assert_eq!(cacheable["cacheScope"], "private");
        assert_eq!(cacheable["resultType"], "complete");
    }
    let call = |server: &mut Server, tool: &str, arguments: Value| {
        server.ask("tools/call", modern(json!({"name": tool, "arguments": arguments})))
    };
    let stored = call(&mut server, "create_episode", json!({"task": "Speak the new protocol"}));
    assert_eq!(stored["result"]["resultType"], "complete");
    let id = succeeded(&stored)["episode_id"].take();
    let episode = succeeded(&call(&mut server, "get_episode", json!({"episode_id": id})));
    assert_eq!(episode["task"], "Speak the new protocol");
    assert_eq!(failed(&call(&mut server, "query_memory", json!({})))["kind"], "invalid_arguments");
    assert_eq!(server.finish(), (vec![], Some(0)));
}

#[test]
fn a_modern_request_without_its_meta_is_told_what_is_missing() {
    let home = Home::new();
    let mut server = Server::spawn(&mut home.command());
    let version_only = json!({"_meta": {"io.modelcontextprotocol/protocolVersion": MODERN}});
    for params in [json!({}), json!({"_meta": {}}), version_only] {
        for method in ["server/discover", "tools/list"] {
            let answer = server.ask(method, params.clone());
            assert_eq!(error_code(&answer), -32602, "{answer}");
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(message.contains("io.modelcontextprotocol/clientCapabilities"), "{message}");
        }
    }
    let mut params = modern(json!({}));
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2999-12-31".into();
    let answer = server.ask("tools/list", params);
    assert!(answer["error"]["data"]["supported"].as_array().unwrap().contains(&json!(MODERN)), "{answer}");
    // None of this has spoilt the connection.
    assert!(server.ask("tools/list", modern(json!({})))["result"]["tools"].is_array());
}

#[test]
fn what_does_not_exist_is_refused_by_name() {
    let home = Home::new();
    let mut legacy = home.start();
    let mut fresh = Server::spawn(&mut home.command());
    for (server, params) in [(&mut legacy, json!({})), (&mut fresh, modern(json!({})))] {
        let mut call = params.clone();
        (call["name"], call["arguments"]) = (json!("recall_memory"), json!({}));
        let answer = server.ask("tools/call", call);
        assert_eq!(error_code(&answer), -32602);
        let message = answer["error"]["message"].as_str().unwrap();
        for name in TOOLS.iter().chain(&["recall_memory"]) {
            assert!(message.contains(name), "{message}");
        }
        for method in ["tools/forget", "logging/setLevel", "completely made up"] {
            let answer = server.ask(method, params.clone());
            assert_eq!(error_code(&answer), -32601, "{answer}");
            assert!(answer["error"]["message"].as_str().unwrap().contains(method), "{answer}");
        }
    }
    assert_eq!(error_code(&fresh.ask("ping", modern(json!({})))), -32601, "the new protocol has no ping");
}
