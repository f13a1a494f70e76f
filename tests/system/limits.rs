//! How much at once: what comes too fast is told when to come again, and keeps nobody else waiting.

use serde_json::{Value, json};

use crate::access::{configure, make};
use crate::remote::Served;
use crate::server::{Home, Server, failed, succeeded, wait_until};

/// Reads until one is refused; returns how many were not, and the error.
fn read_on(mut ask: impl FnMut() -> Value) -> (usize, Value) {
    for n in 0..2_000 {
        let answer = ask();
        if answer["result"]["isError"] == true {
            return (n, failed(&answer));
        }
        succeeded(&answer);
    }
    panic!("nothing was refused");
}

fn query() -> Value {
    json!({"name": "query_memory", "arguments": {"query": "anything"}})
}

#[test]
fn who_asks_too_fast_is_told_when_to_come_again_and_the_settings_say_what_is_too_fast() {
    let home = Home::new();
    let config = home.beside("config.toml");
    std::fs::write(&config, "limits.reads_per_second = 1\n").unwrap();
    let mut server = Server::start(home.command().arg("--config").arg(&config));
    // Without waiting for the answers: ten at once, and one or two that wait for their turn.
    let asked: Vec<u64> = (0..60).map(|_| server.post("tools/call", query())).collect();
    let mut busy = Vec::new();
    for _ in &asked {
        let answer = server.receive().unwrap();
        if answer["result"]["isError"] == true {
            busy.push(failed(&answer));
        }
    }
    assert!((20..=50).contains(&busy.len()), "{}", busy.len());
    let error = &busy[0];
    assert_eq!(error["kind"], "busy", "{error}");
    assert!(error["retry_after_ms"].as_u64().is_some_and(|millis| (1..=60_000).contains(&millis)), "{error}");
    assert!(error["message"].as_str().unwrap().contains("limits.reads_per_second"), "{error}");
    // Writes are counted apart.
    server.call("remember", json!({"text": "not refused"}));
    // Nor is it only tools.
    let mut answer = Value::Null;
    for _ in 0..30 {
        answer = server.ask("resources/list", json!({}));
        if answer["error"].is_object() {
            break;
        }
    }
    assert_eq!((&answer["error"]["code"], &answer["error"]["data"]["kind"]), (&json!(429), &json!("busy")), "{answer}");
    // As soon as the settings allow more, there is more.
    std::fs::write(&config, "limits.reads_per_second = 1000\nlimits.writes_per_second = 1\n").unwrap();
    wait_until("reads are let through", || {
        server.ask("tools/call", query())["result"]["isError"] == false
    });
    let asked: Vec<u64> = (0..200).map(|_| server.post("tools/call", query())).collect();
    for _ in &asked {
        succeeded(&server.receive().unwrap());
    }
    let (_, error) = read_on(|| {
        server.ask("tools/call", json!({"name": "remember", "arguments": {"text": "too much"}}))
    });
    assert!(error["message"].as_str().unwrap().contains("limits.writes_per_second"), "{error}");
}

#[test]
fn one_who_asks_too_fast_is_not_in_the_way_of_others() {
    let home = Home::new();
    let keys = [make(&home, "one", "web", &[]), make(&home, "two", "web", &[])];
    let config = configure(&home, &[&keys[0], &keys[1]]);
    let mut command = home.command();
    command.arg("--config").arg(config).env("MEMORY_MCP_LIMITS_READS_PER_SECOND", "1");
    let served = Served::start_with(&mut command);
    // However many sessions it opens, and without any.
    let mut sessions = [served.legacy(Some(&keys[0].key)), served.modern(Some(&keys[0].key))];
    let mut turn = 0;
    let (through, error) = read_on(|| {
        turn += 1;
        sessions[turn % 2].ask("tools/call", query())
    });
    assert!((10..=30).contains(&through) && error["kind"] == "busy", "{through}: {error}");
    served.legacy(Some(&keys[1].key)).call("query_memory", json!({"query": "anything"}));
}

#[test]
fn no_more_is_worked_on_at_once_than_the_settings_say() {
    let home = Home::new();
    let mut command = home.command();
    let served = Served::start_with(command.env("MEMORY_MCP_LIMITS_REQUESTS_AT_ONCE", "1"));
    let (mut running, mut other) = (served.legacy(None), served.legacy(None));
    std::thread::scope(|scope| {
        let program = json!({"code": "for (;;) {}", "timeout_ms": 8_000});
        let call = scope.spawn(move || running.call("execute_code", program));
        let (_, error) = read_on(|| other.ask("tools/call", query()));
        assert!(error["kind"] == "busy" && error["message"].as_str().unwrap().contains("limits.requests_at_once"), "{error}");
        assert_eq!(call.join().unwrap()["stopped"], "timeout");
        other.call("query_memory", json!({"query": "its turn"}));
    });
}
