//! What an operator can measure: every part used, every call counted, nothing told of what is stored.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use serde_json::{Value, json};

use crate::access::{configure, make};
use crate::remote::Served;
use crate::server::{Home, Server, wait_until};

fn component<'v>(health: &'v Value, name: &str) -> &'v Value {
    let components = health["components"].as_array().unwrap();
    components.iter().find(|component| component["name"] == name).unwrap()
}

/// What a scraper gets.
fn scrape(address: &str, path: &str, more: &str) -> String {
    scrape_as(address, address, path, more)
}

/// The same, where the server is called by another name.
fn scrape_as(host: &str, address: &str, path: &str, more: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The value of a measurement.
fn value(page: &str, name: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {page}")).parse().unwrap()
}

#[test]
fn a_health_check_uses_every_part_and_says_how_long_that_took() {
    let home = Home::new();
    testkit::model::write(&home.beside("model"), 3);
    let mut server = Server::start(home.command().env("MEMORY_MCP_MODEL_DIR", home.beside("model")));
    server.call("remember", json!({"text": "The port of checkout is 8443"}));
    for _ in 0..3 {
        server.call("query_memory", json!({"query": "port of checkout"}));
    }
    let took = |health: &Value, name: &str| component(health, name)["latency_ms"].as_f64();
    let mut health = Value::Null;
    wait_until("a word is embedded", || {
        health = server.call("health_check", json!({}));
        took(&health, "model").is_some()
    });
    for part in ["database", "queue", "cache"] {
        assert!(took(&health, part).is_some_and(|millis| millis > 0.0), "{part}: {health}");
    }
    assert_eq!(component(&health, "sandbox")["latency_ms"], Value::Null, "no program was run: {health}");
    assert_eq!(health["metrics"]["process"]["tools"], json!({}), "{health}");
    let detailed = server.call("health_check", json!({"detailed": true}));
    assert!(took(&detailed, "sandbox").is_some(), "{detailed}");
    let metrics = &detailed["metrics"];
    let calls = &metrics["process"]["tools"]["query_memory"];
    assert_eq!((&calls["calls"], &calls["errors"]), (&json!(3), &json!(0)), "{metrics}");
    let at = |quantile: &str| calls[quantile].as_f64().unwrap();
    assert!(0.0 < at("p50_ms") && at("p50_ms") <= at("p95_ms") && at("p95_ms") <= at("p99_ms"), "{calls}");
    let rate = metrics["cache"]["hit_rate"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&rate) && rate > 0.0, "the same was asked three times: {metrics}");
    assert!(metrics["store"]["bytes"].as_u64().unwrap() > 0);
    assert_eq!(metrics["level"], "intermediate", "{metrics}");
    // Without a model nothing is embedded.
    let health = home.run(&["health", "--json"]).json();
    assert_eq!(component(&health, "model")["latency_ms"], Value::Null, "{health}");
}

#[test]
fn a_scraper_gets_counts_and_latencies_and_no_name_of_what_is_stored() {
    let home = Home::new();
    let served = Served::start_with(home.command().env("MEMORY_MCP_METRICS_ADDRESS", "127.0.0.1:0"));
    wait_until("it says where", || served.log().contains("/metrics"));
    let log = served.log();
    let (_, address) = log.split_once("measurements at http://").unwrap();
    let (address, _) = address.split_once("/metrics").unwrap();
    let mut client = served.legacy(None);
    let secret = json!({"task": "Dig the xyzzy bed", "domain": "xyzzydomain", "project": "xyzzyproject", "outcome": "success"});
    client.call("create_episode", secret);
    client.call("query_memory", json!({"query": "xyzzy"}));
    client.ask("tools/call", json!({"name": "query_memory", "arguments": {}}));
    let page = scrape(address, "/metrics", "");
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("text/plain; version=0.0.4"), "{page}");
    assert!(!page.contains("xyzzy"), "{page}");
    assert_eq!(value(&page, "memory_mcp_status"), 0.0);
    assert_eq!(value(&page, "memory_mcp_stored{kind=\"episode\"}"), 1.0);
    assert_eq!(value(&page, "memory_mcp_events_total{event=\"episodes_created\"}"), 1.0);
    assert_eq!(value(&page, "memory_mcp_tool_duration_seconds_count{tool=\"query_memory\"}"), 2.0);
    assert_eq!(value(&page, "memory_mcp_tool_errors_total{tool=\"query_memory\"}"), 1.0);
    let p99 = value(&page, "memory_mcp_tool_duration_seconds{tool=\"create_episode\",quantile=\"0.99\"}");
    assert!(
        p99 > 0.0
            && p99 <= value(&page, "memory_mcp_tool_duration_seconds_sum{tool=\"create_episode\"}") * 1.1
    );
    assert!(value(&page, "memory_mcp_component_latency_seconds{component=\"database\"}") > 0.0);
    assert!(value(&page, "memory_mcp_database_bytes") > 0.0);
    // Each line is a comment or a measurement of one that was announced.
    let mut announced = Vec::new();
    for line in page.split_once("\r\n\r\n").unwrap().1.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(name) => announced.push(name.split(' ').next().unwrap().to_owned()),
            None if line.starts_with("# HELP memory_mcp_") => {}
            None => {
                let name = line.split(['{', ' ']).next().unwrap();
                let name = name.trim_end_matches("_sum").trim_end_matches("_count");
                assert_eq!(announced.last().map(String::as_str), Some(name), "{line}");
            }
        }
    }
    assert!(scrape(address, "/", "").starts_with("HTTP/1.1 404"));
    assert!(scrape_as("evil.example", address, "/metrics", "").starts_with("HTTP/1.1 403"));
}

#[test]
fn with_keys_measurements_are_for_who_may_see_everything() {
    let home = Home::new();
    let (web, all) = (make(&home, "web", "web", &[]), make(&home, "all", "*", &["--read-only"]));
    let config = configure(&home, &[&web, &all]);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut command = home.command();
    command.args([Path::new("--config"), &config]).env("MEMORY_MCP_METRICS_ADDRESS", &free);
    let served = Served::start_with(&mut command);
    for more in ["", "X-API-Key: mmk_1\r\n", &format!("X-API-Key: {}\r\n", web.key)] {
        let answer = scrape(&free, "/metrics", more);
        assert!(answer.starts_with("HTTP/1.1 401") && !answer.contains("memory_mcp_"), "{answer}");
    }
    let page = scrape(&free, "/metrics", &format!("Authorization: Bearer {}\r\n", all.key));
    assert_eq!(value(&page, "memory_mcp_status"), 0.0);
    drop(served);
    let open = home
        .command()
        .env("MEMORY_MCP_METRICS_ADDRESS", "0.0.0.0:0")
        .args(["serve", "--http", "127.0.0.1:0"])
        .output();
    let told = String::from_utf8(open.unwrap().stderr).unwrap();
    assert!(told.contains("metrics.address") && told.contains("memory-mcp key new"), "{told}");
}

#[test]
fn a_window_serves_measurements_and_a_second_one_works_without() {
    let home = Home::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let window = || Server::start(home.command().env("MEMORY_MCP_METRICS_ADDRESS", &free));
    let mut first = window();
    first.call("query_memory", json!({"query": "anything"}));
    let mut second = window();
    second.call("query_memory", json!({"query": "anything"}));
    assert!(second.log().contains("measurements are not served"), "{}", second.log());
    let page = scrape(&free, "/metrics", "");
    assert_eq!(value(&page, "memory_mcp_tool_duration_seconds_count{tool=\"query_memory\"}"), 1.0);
    for window in [first, second] {
        assert_eq!(window.finish().1, Some(0));
    }
}
