//! Requests that take a while, requests that nobody waits for any more, and very many requests.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::{Value, json};
use testkit::http::{HttpServer, reply};

use crate::server::{Home, Server, modern, wait_until};

/// Begins once it is opened; whoever waits for it goes on then.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn close(&self) {
        *self.is_open.lock().unwrap() = false;
    }

    fn wait(&self) {
        let is_open = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(is_open, |is_open| !*is_open).unwrap());
    }
}

/// A memory whose model answers questions only while `slow` is not set, or once the gate is open.
struct SlowModel {
    home: Home,
    slow: Arc<AtomicBool>,
    waiting: Arc<AtomicU64>,
    gate: Arc<Gate>,
    _server: HttpServer,
}

impl SlowModel {
    fn new() -> Self {
        let (slow, waiting, gate) =
            (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::<Gate>::default());
        let (held, begun, opened) = (slow.clone(), waiting.clone(), gate.clone());
        let server = HttpServer::start(move |request| {
            if held.load(Ordering::SeqCst) {
                begun.fetch_add(1, Ordering::SeqCst);
                opened.wait();
            }
            let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
            let count = body["input"].as_array().map_or(1, Vec::len);
            let data: Vec<Value> = (0..count)
                .map(|index| json!({"object": "embedding", "index": index, "embedding": [0.6, 0.8]}))
                .collect();
            reply(200, &[], json!({"object": "list", "data": data, "model": "m"}).to_string().as_bytes())
        });
        let home = Home::new();
        let url = server.url();
        let added = home.run(&["model", "add", "--endpoint", &url, "--model", "m"]);
        assert_eq!(added.code, Some(0), "{added:?}");
        Self { home, slow, waiting, gate, _server: server }
    }
}

impl SlowModel {
    /// Makes the server ready and its model slow.
    fn slow_down(&self, server: &mut Server) {
        server.call("remember", json!({"text": "The gate is slow."}));
        wait_until("the model serves", || {
            let health = server.call("health_check", json!({}));
            health["components"].to_string().contains("by words and meaning")
        });
        self.slow.store(true, Ordering::SeqCst);
    }

    /// Asks a question that waits for the model; returns when it does.
    fn ask(&self, server: &mut Server, question: &str, meta: Value) -> u64 {
        let before = self.waiting.load(Ordering::SeqCst);
        let call = json!({"name": "query_memory", "arguments": {"query": question}, "_meta": meta});
        let id = server.post("tools/call", call);
        wait_until("the question waits", || self.waiting.load(Ordering::SeqCst) > before);
        id
    }
}

impl Drop for SlowModel {
    fn drop(&mut self) {
        self.gate.open();
    }
}

fn cancel(server: &mut Server, id: u64) {
    let params = json!({"requestId": id, "reason": "it takes too long"});
    server
        .send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}).to_string());
}

#[test]
fn a_client_that_asked_for_it_hears_that_it_is_worked_on() {
    let model = SlowModel::new();
    for is_modern in [false, true] {
        model.slow.store(false, Ordering::SeqCst);
        model.gate.close();
        let expert = ["--tools-level", "expert"];
        let mut server =
            if is_modern { model.home.start_modern_with(&expert) } else { model.home.start_expert() };
        model.slow_down(&mut server);
        server.heard();
        let id = model.ask(&mut server, "Is the gate slow?", json!({"progressToken": "token-1"}));
        let mut last = -1.0;
        for _ in 0..2 {
            let told = server.notification();
            assert_eq!(told["method"], "notifications/progress", "{told}");
            assert_eq!(told["params"]["progressToken"], "token-1");
            let progress = told["params"]["progress"].as_f64().unwrap();
            assert!(progress > last, "{progress} after {last}");
            last = progress;
        }
        model.slow.store(false, Ordering::SeqCst);
        model.gate.open();
        let answer = server.answer(&json!(id));
        assert_eq!(answer["result"]["isError"], false, "{answer}");
        // Without a token nothing is told, and with one nothing after the answer.
        server.heard();
        server.call("query_memory", json!({"query": "Is the gate slow?"}));
        let heard = server.heard();
        assert!(heard.iter().all(|told| told["method"] != "notifications/progress"), "{heard:?}");
    }
}

#[test]
fn a_cancelled_request_is_never_answered_and_holds_nothing_up() {
    let model = SlowModel::new();
    let mut server = model.home.start();
    model.slow_down(&mut server);
    server.heard();
    let cancelled = model.ask(&mut server, "Is the gate slow?", json!({}));
    cancel(&mut server, cancelled);
    assert_eq!(server.ask("ping", json!({}))["result"], json!({}));
    // The work ends with it, though the model has not answered: the call is over, and failed.
    let mut calls = Value::Null;
    wait_until("the call is over", || {
        let health = server.call("health_check", json!({"detailed": true}));
        calls = health["metrics"]["process"]["tools"]["query_memory"].clone();
        calls["calls"] == 1
    });
    assert_eq!(calls["errors"], 1, "{calls}");
    // One that is done, and one that never was, are cancelled too late.
    let stored = server.post("tools/call", json!({"name": "remember", "arguments": {"text": "A fact."}}));
    server.answer(&json!(stored));
    cancel(&mut server, stored);
    cancel(&mut server, 4_711);
    let (rest, code) = server.finish();
    assert_eq!((rest, code), (vec![], Some(0)), "no answer to request {cancelled}");
}

#[test]
fn a_thousand_requests_at_once_are_all_answered() {
    let home = Home::new();
    for is_modern in [false, true] {
        let mut server = if is_modern { home.start_modern() } else { home.start() };
        let mut lines = String::new();
        for id in 0..1_000_u64 {
            let (method, params) = match id % 5 {
                0 => ("tools/call", json!({"name": "remember", "arguments": {"text": format!("Fact {id}")}})),
                1 => (
                    "tools/call",
                    json!({"name": "query_memory", "arguments": {"query": format!("fact {id}")}}),
                ),
                2 => ("resources/list", json!({})),
                3 => ("tools/call", json!({"name": "query_memory", "arguments": {"limit": id}})),
                _ => ("prompts/get", json!({"name": "nothing"})),
            };
            let params = if is_modern { modern(params) } else { params };
            let request =
                json!({"jsonrpc": "2.0", "id": format!("request-{id}"), "method": method, "params": params});
            lines.push_str(&format!("{request}\n"));
        }
        std::thread::scope(|scope| {
            let mut writer = server.writer();
            scope.spawn(move || std::io::Write::write_all(&mut writer, lines.as_bytes()).unwrap());
            let mut answers = BTreeMap::new();
            while answers.len() < 1_000 {
                let answer = server.receive().expect("an answer to each");
                if answer.get("id").is_some() {
                    let id = answer["id"].as_str().unwrap().to_owned();
                    assert!(answers.insert(id, answer).is_none(), "one answer each");
                }
            }
            for id in 0..1_000_u64 {
                let answer = &answers[&format!("request-{id}")];
                match id % 5 {
                    0 | 1 => assert_eq!(answer["result"]["isError"], false, "{answer}"),
                    2 => assert!(answer["result"]["resources"].is_array(), "{answer}"),
                    3 => assert_eq!(answer["result"]["isError"], true, "{answer}"),
                    _ => assert_eq!(answer["error"]["code"], -32602, "{answer}"),
                }
            }
        });
    }
}
