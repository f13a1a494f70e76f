//! Input that ends, silences or confuses servers: nothing a client sends may do that, and whatever could be a request
//! is answered.

use std::time::Duration;

use serde_json::{Value, json};

use crate::server::{Home, Server, failed, succeeded};

const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// The code and the id of an error.
fn refusal(answer: &Value) -> (i64, &Value) {
    (answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error: {answer}")), &answer["id"])
}

/// Sends bytes that are no request and returns the answer; the server must still be there afterwards.
fn answer_to(server: &mut Server, bytes: &[u8]) -> Value {
    server.send_bytes(bytes);
    let answer = server.receive().unwrap();
    assert_eq!(server.ask("ping", json!({}))["result"], json!({}), "it lives");
    answer
}

fn message(answer: &Value) -> &str {
    answer["error"]["message"].as_str().unwrap()
}

#[test]
fn a_notification_that_comes_first_does_not_end_the_process() {
    let home = Home::new();
    let mut server = Server::spawn(&mut home.command());
    server.send(INITIALIZED);
    server.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    server.send(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    let client = json!({"name": "test", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    assert!(server.ask("initialize", params)["result"]["serverInfo"].is_object());
    assert_eq!(server.call("query_memory", json!({"query": "anything"}))["known"], false);
    assert_eq!(server.finish(), (vec![], Some(0)));
}

/// What a client may ask before it opens the session does not open it.
#[test]
fn a_notification_between_a_ping_or_discovery_and_the_handshake_does_no_harm() {
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                      "io.modelcontextprotocol/clientCapabilities": {}});
    for (method, params) in [
        ("ping", json!({})),
        ("server/discover", json!({"_meta": meta})),
        ("server/discover", json!({})),
        ("made/up", json!({})),
    ] {
        let home = Home::new();
        let mut server = Server::spawn(&mut home.command());
        server.ask(method, params);
        server.send(INITIALIZED);
        server.send(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        let client = json!({"name": "test", "version": "1"});
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        assert!(server.ask("initialize", params)["result"]["serverInfo"].is_object(), "after {method}");
        assert_eq!(server.call("query_memory", json!({"query": "anything"}))["known"], false);
    }
}

#[test]
fn malformed_json_is_answered_by_the_id_that_can_be_read() {
    let home = Home::new();
    let mut server = home.start();
    let cases = [
        (r#"{"jsonrpc":"2.0","id":41,"method":"tools/call","params":{oops}}"#, json!(41)),
        (
            r#"{"jsonrpc":"2.0","method":"ping","params":{"id":1,"x":[}],"id":"forty-two"}"#,
            json!("forty-two"),
        ),
        (r#"{"id":43,"params":{"text":"never closed"#, json!(43)),
        (r#"{"id":44}{"id":45}"#, json!(44)),
        ("this is no JSON at all", Value::Null),
        ("{", Value::Null),
        ("]", Value::Null),
    ];
    for (line, id) in cases {
        let answer = answer_to(&mut server, format!("{line}\n").as_bytes());
        assert_eq!(refusal(&answer), (-32700, &id), "{line}: {answer}");
    }
}

#[test]
fn json_that_is_no_request_is_refused_as_such() {
    let home = Home::new();
    let mut server = home.start();
    let cases = [
        ("42", Value::Null),
        ("null", Value::Null),
        ("\"ping\"", Value::Null),
        ("{}", Value::Null),
        (r#"{"jsonrpc":"2.0","id":7}"#, json!(7)),
        (r#"{"jsonrpc":"2.0","id":8,"method":8}"#, json!(8)),
        (r#"{"jsonrpc":"1.0","id":9,"method":"ping"}"#, json!(9)),
        (r#"{"id":10,"method":"ping"}"#, json!(10)),
        (r#"{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}"#, Value::Null),
        (r#"{"jsonrpc":"2.0","id":12,"method":"tools/call","params":[]}"#, json!(12)),
        (r#"[{"jsonrpc":"2.0","id":11,"method":"ping"}]"#, Value::Null),
        ("[]", Value::Null),
    ];
    for (line, id) in cases {
        let answer = answer_to(&mut server, format!("{line}\n").as_bytes());
        assert_eq!(refusal(&answer), (-32600, &id), "{line}: {answer}");
    }
}

#[test]
fn a_call_without_a_name_is_told_that_the_name_is_missing() {
    let home = Home::new();
    let mut server = home.start();
    for params in [json!({}), json!({"arguments": {"query": "x"}}), json!({"name": 5})] {
        let answer = server.ask("tools/call", params.clone());
        assert_eq!(answer["error"]["code"], -32602, "{params}: {answer}");
        assert!(message(&answer).contains("name"), "{answer}");
    }
    server.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#);
    assert_eq!(refusal(&server.receive().unwrap()), (-32602, &json!(1)));
    let answer = server.ask("tools/call", json!({"name": "query_memory", "arguments": "query"}));
    assert_eq!(answer["error"]["code"], -32602);
    assert!(message(&answer).contains("arguments"), "{answer}");
    let without_arguments = server.ask("tools/call", json!({"name": "query_memory"}));
    assert_eq!(failed(&without_arguments)["fields"][0]["field"], "query");
}

#[test]
fn everything_sent_before_the_end_of_the_input_is_answered() {
    let home = Home::new();
    let mut server = home.start();
    let mut expected = Vec::new();
    for number in 0..30 {
        let arguments = match number % 3 {
            0 => json!({"name": "remember", "arguments": {"text": format!("Fact number {number}")}}),
            1 => json!({"name": "query_memory", "arguments": {"query": "fact number"},
                        "_meta": {"progressToken": format!("token-{number}")}}),
            _ => json!({"name": "create_episode", "arguments": {"task": format!("Task number {number}")},
                        "_meta": {"progressToken": number}}),
        };
        expected.push(server.post("tools/call", arguments));
    }
    let (answers, code) = server.finish();
    assert_eq!(code, Some(0));
    answers.iter().for_each(|answer| drop(succeeded(answer)));
    let mut answered: Vec<u64> = answers.iter().map(|answer| answer["id"].as_u64().unwrap()).collect();
    answered.sort_unstable();
    assert_eq!(answered, expected);
    let counts = home.health()["metrics"]["store"].take();
    assert_eq!((&counts["notes"], &counts["episodes"]), (&json!(10), &json!(10)));
}

#[test]
fn cancelling_what_is_finished_or_unknown_does_no_harm() {
    let home = Home::new();
    let mut server = home.start();
    let finished = server.post("tools/call", json!({"name": "remember", "arguments": {"text": "Kept"}}));
    succeeded(&server.answer(&json!(finished)));
    for id in [json!(finished), json!(123_456), json!("never used"), Value::Null] {
        let params = json!({"requestId": id, "reason": "the client moved on"});
        let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
        server.send(&cancel.to_string());
    }
    server.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#);
    server.send(r#"{"jsonrpc":"2.0","method":"notifications/made_up","params":{"a":[1]}}"#);
    server.send(r#"{"jsonrpc":"2.0","method":"notifications/progress","params":"of the wrong form"}"#);
    server.send(r#"{"jsonrpc":"2.0","id":77,"result":{"nobody":"asked"}}"#);
    assert_eq!(server.call("query_memory", json!({"query": "kept"}))["known"], true);
    assert_eq!(server.finish(), (vec![], Some(0)));
}

#[test]
fn bytes_that_are_no_utf8_are_refused() {
    let home = Home::new();
    let mut server = home.start();
    let answer =
        answer_to(&mut server, b"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"ping\",\"x\":\"\xC3(\"}\n");
    assert_eq!(refusal(&answer), (-32700, &json!(5)));
    assert!(message(&answer).contains("UTF-8"), "{answer}");
    assert_eq!(refusal(&answer_to(&mut server, b"\xFF\xFE\x00\x01\n")).0, -32700);
}

#[test]
fn a_line_longer_than_the_limit_is_refused_with_its_id() {
    let home = Home::new();
    let mut server = home.start();
    let limit = mcp_server::limits::MESSAGE_BYTES_MAX;
    assert_eq!(limit, 16 * 1024 * 1024);
    let text = "x".repeat(limit);
    let call = json!({"jsonrpc": "2.0", "id": "long", "method": "tools/call",
                      "params": {"name": "remember", "arguments": {"text": text}}});
    let answer = answer_to(&mut server, format!("{call}\n").as_bytes());
    assert_eq!(refusal(&answer), (-32600, &json!("long")));
    assert!(message(&answer).contains(&limit.to_string()), "{answer}");
    assert_eq!(home.health()["metrics"]["store"]["notes"], 0);
}

/// What the server answers to a call whose line ends after `length` bytes with the input, and the notes it then has.
fn answer_to_the_last(length: impl Fn(&str) -> usize) -> (Value, Value) {
    let call = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call",
                      "params": {"name": "remember", "arguments": {"text": "half a thought"}}});
    let call = call.to_string();
    let home = Home::new();
    let mut server = home.start();
    server.send_bytes(&call.as_bytes()[..length(&call)]);
    let (answers, code) = server.finish();
    assert_eq!(code, Some(0));
    let [answer] = answers.as_slice() else { panic!("one answer: {answers:?}") };
    (answer.clone(), home.health()["metrics"]["store"]["notes"].take())
}

#[test]
fn a_line_that_the_end_of_the_input_cuts_is_answered_and_not_acted_upon() {
    for (cut, id) in [(2, json!(3)), (40, Value::Null)] {
        // The id is answered to where it was read.
        let (answer, notes) = answer_to_the_last(|call| call.len() / cut);
        assert_eq!(refusal(&answer), (-32700, &id));
        assert!(message(&answer).contains("the input ended"), "{answer}");
        assert_eq!(notes, 0);
    }
}

#[test]
fn a_last_line_that_only_lacks_its_end_is_acted_upon() {
    let (answer, notes) = answer_to_the_last(str::len);
    assert!(succeeded(&answer)["note_id"].is_string(), "{answer}");
    assert_eq!(notes, 1);
}

/// More than is worked on at once, sent without waiting for an answer.
#[test]
fn a_flood_of_requests_is_answered_to_the_last() {
    // Few enough for the pipe to hold them and their answers, since nobody reads while they are sent.
    const REQUESTS: usize = 300;
    let home = Home::new();
    let mut server = home.start();
    let call = |id| {
        let arguments = json!({"text": format!("Drop number {id}")});
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
               "params": {"name": "remember", "arguments": arguments}})
    };
    let flood: String = (0..REQUESTS).map(|id| format!("{}\n", call(id))).collect();
    server.send_bytes(flood.as_bytes());
    let (answers, code) = server.finish();
    assert_eq!((answers.len(), code), (REQUESTS, Some(0)));
    for answer in &answers {
        succeeded(answer);
    }
    assert_eq!(home.health()["metrics"]["store"]["notes"], REQUESTS);
}

#[test]
fn no_nul_character_is_stored() {
    let home = Home::new();
    let mut server = home.start();
    let created = server.call("create_episode", json!({"task": "Open"}));
    let id = &created["episode_id"];
    let cases = [
        ("remember", json!({"text": "a\0b"}), "text"),
        ("remember", json!({"text": "a", "tags": ["b", "\0"]}), "tags[1]"),
        ("create_episode", json!({"task": "\0"}), "task"),
        ("create_episode", json!({"task": "t", "context": {"key": "a\0"}}), "context.key"),
        (
            "create_episode",
            json!({"task": "t", "steps": [{"tool": "a"}, {"tool": "b", "observation": "\0"}]}),
            "steps[1].observation",
        ),
        ("add_episode_step", json!({"episode_id": id, "tool": "a", "error": "x\0"}), "error"),
        ("complete_episode", json!({"episode_id": id, "outcome": "success", "summary": "\0"}), "summary"),
    ];
    for (tool, arguments, field) in cases {
        let error = server.refused(tool, arguments);
        assert_eq!(error["fields"][0]["field"], field, "{error}");
        assert!(error["message"].as_str().unwrap().contains("NUL"), "{error}");
    }
    let counts = server.call("health_check", json!({}))["metrics"]["store"].take();
    assert_eq!((&counts["episodes"], &counts["steps"], &counts["notes"]), (&json!(1), &json!(0), &json!(0)));
}

#[test]
fn half_a_surrogate_pair_is_an_error_of_its_request() {
    let home = Home::new();
    let mut server = home.start();
    for escape in [r"\ud800", r"\udc00 alone", r"\ud83d\u0041"] {
        let line = format!(
            r#"{{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{{"name":"remember","arguments":{{"text":"{escape}"}}}}}}"#
        );
        let answer = answer_to(&mut server, format!("{line}\n").as_bytes());
        assert_eq!(refusal(&answer), (-32700, &json!(9)), "{escape}: {answer}");
    }
    let whole = r#"{"jsonrpc":"2.0","id":10,"method":"tools/call","params":{"name":"remember","arguments":{"text":"\ud83d\ude00 pairs are fine"}}}"#;
    server.send(whole);
    succeeded(&server.receive().unwrap());
    let answer = server.call("query_memory", json!({"query": "pairs are fine"}));
    assert_eq!(answer["hits"][0]["text"], "😀 pairs are fine");
}

#[test]
fn empty_lines_other_line_ends_and_a_byte_order_mark_are_fine() {
    let home = Home::new();
    let mut server = Server::spawn(&mut home.command());
    server.send_bytes(b"\n\r\n   \n\xEF\xBB\xBF\n");
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    server.send_bytes(format!("\u{FEFF}{initialize}\r\n{INITIALIZED}\r\n\r\n").as_bytes());
    assert!(server.answer(&json!(1))["result"].is_object());
    server.send_bytes(b" \t{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}  \r\n\n");
    assert_eq!(server.answer(&json!(2))["result"], json!({}));
    assert_eq!(server.finish(), (vec![], Some(0)));
}

#[test]
fn an_answer_bears_the_id_just_as_it_was_given() {
    let home = Home::new();
    let mut server = home.start();
    for id in
        [json!(0), json!(-7), json!(9_007_199_254_740_993_u64), json!(""), json!("a \"b\" \n😀"), json!("12")]
    {
        server.send(&json!({"jsonrpc": "2.0", "id": id, "method": "ping"}).to_string());
        assert_eq!(server.answer(&id)["result"], json!({}));
    }
}

#[test]
fn a_message_that_arrives_in_pieces_is_read_whole() {
    let home = Home::new();
    let mut server = home.start();
    for piece in [r#"{"jsonrpc":"2.0","#, r#""id":"sl"#, r#"ow","method":"#, r#""ping"}"#, "\r", "\n"] {
        server.send_bytes(piece.as_bytes());
        // Long enough for the server to read it alone, as a rule.
        std::thread::sleep(Duration::from_millis(30));
    }
    assert_eq!(server.answer(&json!("slow"))["result"], json!({}));
}

#[test]
fn standard_output_holds_messages_only_however_much_is_logged() {
    let home = Home::new();
    let mut server = Server::start(home.command().env("MEMORY_MCP_LOG", "trace"));
    // Every message that the client reads is checked to be one.
    let id = server.call("create_episode", json!({"task": "Log a lot"}))["episode_id"].take();
    server.call("add_episode_step", json!({"episode_id": id, "tool": "log", "error": "too much"}));
    server.call("complete_episode", json!({"episode_id": id, "outcome": "failure"}));
    server.call("remember", json!({"text": "Logs belong on stderr"}));
    server.call("query_memory", json!({"query": "log a lot"}));
    server.refused("query_memory", json!({}));
    server.ask("nonsense", json!({}));
    answer_to(&mut server, b"garbage\n");
    server.learned();
    let log = server.log();
    assert!(log.contains("TRACE") && log.contains("DEBUG"), "{log}");
    assert_eq!(server.finish(), (vec![], Some(0)));
}

#[test]
fn input_that_holds_nothing_ends_without_a_word() {
    let home = Home::new();
    for input in [&b""[..], b"\n", b"\r\n\n"] {
        let ran = crate::server::run(&mut home.command(), input);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
    }
}
