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

/// Asks the same many times without waiting for the answers.
fn flood(server: &mut Server, count: usize, method: &str, params: Value) -> Vec<Value> {
    let asked: Vec<u64> = (0..count).map(|_| server.post(method, params.clone())).collect();
    let mut answers = Vec::new();
    while answers.len() < asked.len() {
        answers.extend(server.receive().filter(|message| message.get("id").is_some()));
    }
    answers
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
    let answers = flood(&mut server, 60, "tools/call", query());
    let busy: Vec<Value> =
        answers.iter().filter(|answer| answer["result"]["isError"] == true).map(failed).collect();
    assert!((20..=50).contains(&busy.len()), "{}", busy.len());
    let error = &busy[0];
    assert_eq!(error["kind"], "busy", "{error}");
    assert!(error["retry_after_ms"].as_u64().is_some_and(|millis| (1..=60_000).contains(&millis)), "{error}");
    assert!(error["message"].as_str().unwrap().contains("limits.reads_per_second"), "{error}");
    // Writes are counted apart.
    server.call("remember", json!({"text": "not refused"}));
    // Nor is it only tools.
    let answers = flood(&mut server, 30, "resources/list", json!({}));
    let refused = answers.iter().find(|answer| answer["error"].is_object()).expect("a refusal");
    let Value::Object(error) = &refused["error"] else { unreachable!() };
    assert_eq!((&error["code"], &error["data"]["kind"]), (&json!(429), &json!("busy")), "{refused}");
    assert!(error["data"]["retry_after_ms"].is_u64(), "{refused}");
    // As soon as the settings allow more, there is more.
    std::fs::write(&config, "limits.reads_per_second = 1000\nlimits.writes_per_second = 1\n").unwrap();
    wait_until("they are taken up", || {
        let answer = server.ask("tools/call", json!({"name": "health_check", "arguments": {}}));
        answer["result"]["structuredContent"]["configuration"]["loads"] == 2
    });
    for answer in flood(&mut server, 200, "tools/call", query()) {
        succeeded(&answer);
    }
    let note = json!({"name": "remember", "arguments": {"text": "too much"}});
    let answers = flood(&mut server, 30, "tools/call", note);
    let refused = answers.iter().find(|answer| answer["result"]["isError"] == true).expect("a refusal");
    let message = failed(refused)["message"].take();
    assert!(message.as_str().unwrap().contains("limits.writes_per_second"), "{message}");
}

#[test]
fn one_who_asks_too_fast_is_not_in_the_way_of_others() {
    let home = Home::new();
    let keys = [make(&home, "one", "web", &[]), make(&home, "two", "web", &[])];
    let config = configure(&home, &[&keys[0], &keys[1]]);
    let mut command = home.command();
    command.arg("--config").arg(config).env("MEMORY_MCP_LIMITS_READS_PER_SECOND", "1");
    let served = Served::start_with(&mut command);
    // From everywhere at the same time, in sessions and without.
    let ask = &|n: usize| {
        let key = Some(keys[0].key.as_str());
        let mut client = if n.is_multiple_of(2) { served.legacy(key) } else { served.modern(key) };
        client.ask("tools/call", query())["result"]["isError"] == true
    };
    let refused = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..40).map(|n| scope.spawn(move || ask(n))).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).filter(|refused| *refused).count()
    });
    assert!((10..=29).contains(&refused), "{refused}");
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
        assert!(
            error["kind"] == "busy" && error["message"].as_str().unwrap().contains("limits.requests_at_once"),
            "{error}"
        );
        assert_eq!(call.join().unwrap()["stopped"]["reason"], "deadline");
        other.call("query_memory", json!({"query": "its turn"}));
    });
}
