//! MCP over HTTP: who comes in, what belongs to whom, and how it begins and ends.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::access::{Made, configure, make};
use crate::remote::{Got, Headers, Remote, Served};
use crate::server::{Home, run, succeeded, wait_until};

/// Two teams and who may see everything.
struct Teams {
    home: Home,
    web: Made,
    api: Made,
    all: Made,
}

impl Teams {
    fn new() -> Self {
        let home = Home::new();
        let (web, api, all) =
            (make(&home, "web", "web", &[]), make(&home, "api", "api", &[]), make(&home, "all", "*", &[]));
        Self { home, web, api, all }
    }

    fn command(&self) -> Command {
        let config = configure(&self.home, &[&self.web, &self.api, &self.all]);
        let mut command = self.home.command();
        command.args([Path::new("--config"), &config]);
        command
    }

    fn serve(&self) -> Served {
        Served::start_with(&mut self.command())
    }
}

fn key(made: &Made) -> Option<&str> {
    Some(&made.key)
}

/// The head of a request as a browser or a program sends it, with these lines more.
fn head(method: &str, more: &[&str]) -> String {
    let lines = ["Host: localhost", "Connection: close", "Content-Type: application/json"];
    let lines: Vec<&str> =
        lines.iter().chain(&["Accept: application/json, text/event-stream"]).chain(more).copied().collect();
    format!("{method} /mcp HTTP/1.1\r\n{}\r\n\r\n", lines.join("\r\n"))
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn one_memory_is_served_in_both_eras_and_nothing_is_written_to_stdout() {
    let home = Home::new();
    let served = Served::start(&home);
    assert!(served.log().contains("as there are no keys"), "{}", served.log());
    let mut legacy = served.legacy(None);
    legacy.call("remember", json!({"text": "The port of checkout is 8443", "project": "shop"}));
    let mut modern = served.modern(None);
    let found = modern.call("query_memory", json!({"query": "port of checkout"}));
    assert_eq!(found["hits"][0]["text"], "The port of checkout is 8443", "{found}");
    let discovered = modern.ask("server/discover", json!({}));
    assert_eq!(discovered["result"]["resultType"], "complete", "{discovered}");
    // An editor window on the same data, over its standard input.
    let mut window = home.start();
    let found = window.call("query_memory", json!({"query": "port of checkout"}));
    assert_eq!(found["hits"][0]["text"], "The port of checkout is 8443", "{found}");
    window.finish();
    served.signal("TERM");
    assert_eq!(served.wait(), (Some(0), String::new()));
}

#[test]
fn what_is_no_message_of_the_protocol_is_told_so() {
    let home = Home::new();
    let served = Served::start(&home);
    let mut client = served.legacy(None);
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
    let post = |client: &Remote, change: &dyn Fn(&mut Headers), body: &str| {
        let mut headers = client.headers(&message);
        change(&mut headers);
        client.send("POST", &headers, body.as_bytes())
    };
    let body = message.to_string();
    let without =
        |name: &'static str| move |headers: &mut Headers| headers.retain(|(header, _)| *header != name);
    let with = |name: &'static str, value: &'static str| {
        move |headers: &mut Headers| {
            headers.retain(|(header, _)| *header != name);
            headers.push((name, value.to_owned()));
        }
    };
    assert_eq!(post(&client, &|_| (), &body).status, 200);
    assert_eq!(post(&client, &with("Accept", "text/html"), &body).status, 406);
    assert_eq!(post(&client, &with("Content-Type", "text/plain"), &body).status, 415);
    assert_eq!(post(&client, &without("Mcp-Session-Id"), &body).status, 400);
    assert_eq!(post(&client, &with("Mcp-Session-Id", "another"), &body).status, 404);
    assert_eq!(post(&client, &with("MCP-Protocol-Version", "1999-01-01"), &body).status, 400);
    for (broken, code, id) in [
        ("{\"id\": 9, \"method\"", -32700, json!(9)),
        ("[]", -32600, Value::Null),
        ("{\"id\": \"a\"}", -32600, json!("a")),
    ] {
        let got = post(&client, &|_| (), broken);
        let answer: Value = serde_json::from_str(&got.body).unwrap();
        assert_eq!(
            (got.status, &answer["error"]["code"], &answer["id"]),
            (400, &json!(code), &id),
            "{broken}"
        );
    }
    assert_eq!(client.send("PUT", &client.headers(&message), b"").status, 405);
    let elsewhere = served.raw(head("POST", &[]).replace("/mcp", "/").as_bytes());
    assert!(elsewhere.contains("MCP is spoken at /mcp"), "{elsewhere}");
    // A session that was given up is gone.
    assert_eq!(client.send("DELETE", &client.headers(&Value::Null), b"").status, 202);
    let request = client.request("tools/list", json!({}));
    assert_eq!(client.post_message(&request).status, 404);
}

#[test]
fn nobody_gets_in_without_a_key_and_nothing_of_what_they_send_is_read() {
    let teams = Teams::new();
    let served = teams.serve();
    assert!(served.log().contains("for 3 key(s)"), "{}", served.log());
    let stranger = make(&teams.home, "stranger", "web", &[]);
    for key in [None, Some(""), Some("mmk_wrong"), Some(stranger.key.as_str())] {
        let mut client = served.client(key);
        let request = client.request("tools/list", json!({}));
        let Got { status, headers, body } = client.post_message(&request);
        assert_eq!(status, 401, "{body}");
        assert!(headers["www-authenticate"].starts_with("Bearer"), "{headers:?}");
        assert!(body.contains("key") && !body.contains("mmk_"), "{body}");
        for method in ["GET", "DELETE"] {
            assert_eq!(client.send(method, &client.headers(&Value::Null), b"").status, 401, "{method}");
        }
    }
    // It is not waited for what comes after the head.
    let answer = served.raw(head("POST", &["Content-Length: 1000000"]).as_bytes());
    assert_eq!(status(&answer), "401", "{answer}");
    // In either header.
    let mut modern = served.modern(None);
    let request = modern.request("tools/list", json!({}));
    let mut headers = modern.headers(&request);
    headers.push(("X-API-Key", teams.web.key.clone()));
    assert_eq!(modern.send("POST", &headers, request.to_string().as_bytes()).status, 200);
    served.modern(key(&teams.api)).call("health_check", json!({}));
    assert!(!served.log().contains("mmk_"), "{}", served.log());
}

#[test]
fn others_than_this_machine_cannot_connect_without_keys() {
    let home = Home::new();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8700"] {
        let ran = home.run(&["serve", "--http", address]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
        assert!(ran.stderr.contains("memory-mcp key new") && ran.stderr.contains("127.0.0.1:"), "{ran:?}");
    }
    let ran = home.run(&["serve"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("--http"), "{ran:?}");
    let ran = home.run(&["serve", "--http", "localhost"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("--http"), "{ran:?}");
    assert!(!home.data().exists(), "nothing is opened for a server that does not start");
    let served = Served::start(&home);
    let taken = served.address.to_string();
    let ran = run(home.command().env("MEMORY_MCP_HTTP_ADDRESS", &taken).arg("serve"), b"");
    assert!(ran.code == Some(1) && ran.stderr.contains(&taken), "{ran:?}");
    // A key was meant to be a bound.
    let got = served.client(Some("mmk_1")).send("GET", &[("X-API-Key", "mmk_1".into())], b"");
    assert!(got.status == 401 && got.body.contains("no keys are configured"), "{got:?}");
}

#[test]
fn a_session_belongs_to_its_key_and_what_is_not_seen_in_it_is_not_seen_by_it() {
    let teams = Teams::new();
    let served = teams.serve();
    let (mut web, mut api) = (served.legacy(key(&teams.web)), served.legacy(key(&teams.api)));
    let note = web.call("remember", json!({"text": "The secret of the shop is sesame", "domain": "web"}));
    assert!(note["note_id"].is_string());
    let found = api.call("query_memory", json!({"query": "secret of the shop"}));
    assert_eq!(found["known"], false, "{found}");
    // With the session of the other team, whatever it is used for.
    let own = api.session.replace(web.session.clone().unwrap());
    let request =
        api.request("tools/call", json!({"name": "query_memory", "arguments": {"query": "secret"}}));
    assert_eq!(api.post_message(&request).status, 404);
    let got = api.send("GET", &api.headers(&Value::Null), b"");
    assert_eq!(got.status, 404, "{got:?}");
    let gone = api.send("DELETE", &api.headers(&Value::Null), b"");
    assert!(gone.body.is_empty(), "{gone:?}");
    api.session = own;
    api.call("query_memory", json!({"query": "secret"}));
    let found = web.call("query_memory", json!({"query": "secret of the shop"}));
    assert_eq!(found["known"], true, "its session is still there: {found}");
    // Who has no session at all speaks for its key alone, too.
    for (made, known) in [(&teams.api, false), (&teams.web, true), (&teams.all, true)] {
        let found = served.modern(key(made)).call("query_memory", json!({"query": "secret of the shop"}));
        assert_eq!(found["known"], known, "{found}");
    }
}

#[test]
fn each_key_is_shown_as_many_tools_as_its_own_use_has_earned() {
    let teams = Teams::new();
    let shown = |mut client: Remote| {
        let list = client.ask("tools/list", json!({}));
        list["result"]["tools"].as_array().unwrap().len()
    };
    let served = teams.serve();
    let mut web = served.legacy(key(&teams.web));
    for number in 0..4 {
        web.call("remember", json!({"text": format!("fact {number}"), "domain": "web"}));
    }
    web.call("query_memory", json!({"query": "fact"}));
    let many = shown(served.legacy(key(&teams.web)));
    assert!(many > 2, "{many}");
    assert_eq!(shown(served.legacy(key(&teams.api))), 2);
    served.signal("TERM");
    served.wait();
    let served = teams.serve();
    assert_eq!(shown(served.modern(key(&teams.web))), many);
    assert_eq!(shown(served.modern(key(&teams.api))), 2);
}

#[test]
fn a_page_on_the_web_gets_nothing_unless_it_was_named() {
    let home = Home::new();
    let config = home.beside("config.toml");
    std::fs::write(
        &config,
        "[http]\nallowed_origins = [\"https://board.example\"]\nallowed_hosts = [\"memory.example\"]\n",
    )
    .unwrap();
    let served = Served::start_with(home.command().args([Path::new("--config"), &config]));
    let whole = |method: &str, host: &str, more: &[&str], body: &str| {
        let head = head(method, more).replace("Host: localhost", &format!("Host: {host}"));
        served.raw((head + body).as_bytes())
    };
    let from = |method: &str, host: &str, more: &[&str]| whole(method, host, more, "");
    // A name of the page's own that points to this machine.
    let answer = from("POST", "evil.example", &["Content-Length: 1000000"]);
    assert!(status(&answer) == "403" && answer.contains("http.allowed_hosts"), "{answer}");
    let answer = from("POST", "localhost", &["Content-Length: 1000000", "Origin: https://evil.example"]);
    assert!(status(&answer) == "403" && answer.contains("http.allowed_origins"), "{answer}");
    assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
    let asked = ["Origin: https://board.example", "Access-Control-Request-Method: POST"];
    let answer = from("OPTIONS", "memory.example", &asked);
    assert_eq!(status(&answer), "204", "{answer}");
    assert!(answer.contains("access-control-allow-origin: https://board.example"), "{answer}");
    let answer = whole("POST", "memory.example", &[asked[0], "Content-Length: 2"], "{}");
    assert!(answer.contains("access-control-allow-origin: https://board.example"), "{answer}");
}

#[test]
fn a_body_is_read_as_far_as_the_settings_allow() {
    let home = Home::new();
    let mut command = home.command();
    let served = Served::start_with(command.env("MEMORY_MCP_HTTP_BODY_BYTES_MAX", "4096"));
    let mut client = served.legacy(None);
    client.call("remember", json!({"text": "x".repeat(2_000)}));
    let request =
        client.request("tools/call", json!({"name": "remember", "arguments": {"text": "x".repeat(5_000)}}));
    // Said at once, before any of it has come.
    let answer = served.raw(head("POST", &["Content-Length: 5000"]).as_bytes());
    assert!(status(&answer) == "413" && answer.contains("http.body_bytes_max"), "{answer}");
    // Nor is one read to its end that does not say how long it is.
    let body = request.to_string();
    let chunked =
        format!("{}{:x}\r\n{body}\r\n0\r\n\r\n", head("POST", &["Transfer-Encoding: chunked"]), body.len());
    assert_eq!(status(&served.raw(chunked.as_bytes())), "413");
    client.call("query_memory", json!({"query": "anything"}));
}

#[test]
fn a_key_that_is_taken_away_ends_what_it_has_open_and_nothing_else() {
    let teams = Teams::new();
    let served = teams.serve();
    let (mut web, mut api) = (served.legacy(key(&teams.web)), served.legacy(key(&teams.api)));
    let mut stream = web.stream();
    let mut listening = served.modern(key(&teams.web)).listen(json!({"resourcesListChanged": true}));
    assert_eq!(listening.next().unwrap()["method"], "notifications/subscriptions/acknowledged");
    configure(&teams.home, &[&teams.api, &teams.all]);
    served.signal("HUP");
    assert_eq!(stream.next(), None, "its stream ends");
    while listening.next().is_some() {}
    let request = web.request("tools/list", json!({}));
    assert_eq!(web.post_message(&request).status, 401);
    api.call("query_memory", json!({"query": "its session goes on"}));
    // It comes back, but its session does not.
    configure(&teams.home, &[&teams.api, &teams.web]);
    served.signal("HUP");
    wait_until("it may come in again", || web.post_message(&request).status == 404);
    web.session = None;
    web.initialize();
    // With the last key everybody is kept out, and not let in.
    std::fs::write(teams.home.beside("config.toml"), "").unwrap();
    served.signal("HUP");
    wait_until("it is kept out", || web.post_message(&request).status == 401);
    assert_eq!(served.client(None).send("GET", &[], b"").status, 401);
}

#[test]
fn the_first_key_closes_a_server_that_was_open() {
    let teams = Teams::new();
    let config = configure(&teams.home, &[]);
    let served = Served::start_with(teams.home.command().args([Path::new("--config"), &config]));
    let mut anybody = served.legacy(None);
    anybody.call("query_memory", json!({"query": "anything"}));
    configure(&teams.home, &[&teams.web]);
    served.signal("HUP");
    let request = anybody.request("tools/list", json!({}));
    wait_until("it is kept out", || anybody.post_message(&request).status == 401);
    served.legacy(key(&teams.web)).call("query_memory", json!({"query": "anything"}));
}

#[test]
fn a_server_that_is_stopped_answers_what_it_was_asked_and_ends_its_streams() {
    let home = Home::new();
    let served = Served::start(&home);
    let (mut asking, streaming) = (served.legacy(None), served.legacy(None));
    let mut modern = served.modern(None);
    let (mut stream, mut listening) =
        (streaming.stream(), modern.listen(json!({"resourcesListChanged": true})));
    assert_eq!(listening.next().unwrap()["method"], "notifications/subscriptions/acknowledged");
    let calls = [&mut asking, &mut modern].map(|client| {
        let program = json!({"code": "for (;;) {}", "timeout_ms": 1_500});
        let request = client.request("tools/call", json!({"name": "execute_code", "arguments": program}));
        let headers: String =
            client.headers(&request).iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let body = request.to_string();
        let length = body.len();
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        served.connect(request.as_bytes())
    });
    let mut watching = served.legacy(None);
    wait_until("both are being worked on", || {
        let health = watching.call("health_check", json!({}));
        let sandbox = &health["metrics"]["sandbox"];
        sandbox["running"].as_u64().unwrap() + sandbox["waiting"].as_u64().unwrap() == 2
    });
    served.signal("TERM");
    for mut call in calls {
        let mut answer = String::new();
        call.read_to_string(&mut answer).unwrap();
        // It has ended by itself, or because the server has waited long enough.
        let is_answered =
            answer.contains("\"reason\":\"deadline\"") || answer.contains("\"kind\":\"shut_down\"");
        assert!(is_answered, "it is answered, then the connection is closed: {answer}");
    }
    assert_eq!(stream.next(), None);
    while listening.next().is_some() {}
    assert_eq!(served.wait().0, Some(0));
}

#[test]
fn a_client_that_sends_nothing_keeps_nobody_from_being_served() {
    let home = Home::new();
    let served = Served::start(&home);
    let slow: Vec<_> = (0..40)
        .map(|n| {
            let head = head("POST", &["Content-Length: 100"]);
            served.connect(if n % 2 == 0 { &head.as_bytes()[..30] } else { head.as_bytes() })
        })
        .collect();
    served.legacy(None).call("query_memory", json!({"query": "anything"}));
    drop(slow);
}

#[test]
fn one_session_more_than_there_may_be_closes_the_one_that_was_longest_not_used() {
    let home = Home::new();
    let served = Served::start(&home);
    let mut sessions: Vec<Remote> = (0..64).map(|_| served.legacy(None)).collect();
    sessions[0].call("query_memory", json!({"query": "used again"}));
    let mut more = served.legacy(None);
    more.call("query_memory", json!({"query": "anything"}));
    for kept in [0, 2] {
        sessions[kept].call("query_memory", json!({"query": "anything"}));
    }
    let request = sessions[1].request("tools/list", json!({}));
    assert_eq!(sessions[1].post_message(&request).status, 404);
}

#[test]
fn who_listens_hears_of_what_it_may_see_and_of_nothing_else() {
    let teams = Teams::new();
    let served = teams.serve();
    let mut web = served.legacy(key(&teams.web));
    let mut api = served.legacy(key(&teams.api));
    let create = |client: &mut Remote, domain: &str| {
        let made = client
            .call("create_episode", json!({"task": "Dig the bed", "domain": domain, "project": "garden"}));
        made["episode_id"].as_str().unwrap().to_owned()
    };
    let (of_web, of_api) = (create(&mut web, "web"), create(&mut api, "api"));
    let uri = |id: &str| format!("memory://episodes/{id}");
    let (theirs, own) = (uri(&of_api), uri(&of_web));
    let refused = web.ask("resources/subscribe", json!({"uri": theirs}));
    assert_eq!(refused["error"]["code"], -32002, "{refused}");
    // Both have a project of that name.
    let summary = "memory://project/garden/summary";
    for uri in [summary, &own] {
        assert_eq!(web.ask("resources/subscribe", json!({"uri": uri}))["result"], json!({}));
    }
    let mut stream = web.stream();
    let mut modern = served.modern(key(&teams.web));
    let mut listen = |notifications: Value| {
        let mut listening = modern.listen(notifications);
        assert_eq!(listening.next().unwrap()["method"], "notifications/subscriptions/acknowledged");
        listening
    };
    let mut listening = listen(json!({"resourceSubscriptions": [theirs, summary, own]}));
    // What the others do comes first; a look that comes to nothing lies between.
    let mut others_are_busy = || {
        for _ in 0..3 {
            api.call("add_episode_step", json!({"episode_id": of_api, "tool": "spade"}));
            let gone = create(&mut api, "api");
            api.call("delete_episode", json!({"episode_id": gone}));
            create(&mut api, "api");
        }
        std::thread::sleep(Duration::from_millis(700));
    };
    others_are_busy();
    web.call("complete_episode", json!({"episode_id": of_web, "outcome": "success", "summary": "dug"}));
    for stream in [&mut stream, &mut listening] {
        let mut heard = BTreeSet::new();
        while heard.len() < 2 {
            let message = stream.next().unwrap();
            // The level of the user rises with the calls of all.
            if message["method"] != "notifications/tools/list_changed" {
                heard.insert(message["params"]["uri"].as_str().map(str::to_owned));
            }
        }
        assert_eq!(heard, [Some(own.clone()), Some(summary.to_owned())].into());
    }
    let mut list = listen(json!({"resourcesListChanged": true}));
    others_are_busy();
    create(&mut web, "web");
    assert_eq!(list.next().unwrap()["method"], "notifications/resources/list_changed");
    served.signal("TERM");
    assert_eq!(served.wait().0, Some(0));
    let rest: Vec<Value> = std::iter::from_fn(|| list.next()).collect();
    assert!(rest.iter().all(|message| message["id"].is_number()), "it was told once: {rest:?}");
}

#[test]
fn a_call_that_its_client_gave_up_is_not_finished_for_nobody() {
    let home = Home::new();
    let served = Served::start(&home);
    let mut modern = served.modern(None);
    let request = modern.request(
        "tools/call",
        json!({"name": "execute_code", "arguments": {"code": "for (;;) {}", "timeout_ms": 20_000}}),
    );
    let headers: String =
        modern.headers(&request).iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let body = request.to_string();
    let head =
        format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    let mut connection = served.connect(head.as_bytes());
    connection.write_all(body.as_bytes()).unwrap();
    let running = |modern: &mut Remote| {
        let health = succeeded(&modern.ask("tools/call", json!({"name": "health_check", "arguments": {}})));
        health["metrics"]["sandbox"]["running"].as_u64().unwrap()
    };
    wait_until("it runs", || running(&mut modern) == 1);
    drop(connection);
    wait_until("it was stopped", || running(&mut modern) == 0);
}
