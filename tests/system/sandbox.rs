//! Programs that attack the sandbox, over stdio: each comes to what it must, and the server is afterwards as it was before.
//!
//! The programs stand in `attacks/*.js`. Each begins with a line `//// NAME => WHAT`, which says what may come of it, one of
//! several after commas: the reason for which it is stopped (`memory`), also with something that the message must say
//! (`exception: stack`), its value as JSON (`= 1`), or what it must have written (`stdout: x`).

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::server::{Home, Server, failed, succeeded, wait_until};

/// Violations that one server is made to see; one more and its breaker closes the sandbox.
const VIOLATIONS: usize = 9;
/// What the resident memory of a server may have grown by after it ran programs, in bytes.
const GROWTH_BYTES_MAX: usize = 20 * 1024 * 1024;
/// Time of a program that must come to its deadline, and of one that must come to something else, in milliseconds.
const SHORT_MILLIS: u64 = 60;
const LONG_MILLIS: u64 = 5_000;
/// What stands before the programs of `memory.js`.
const BALLAST: &str = "globalThis.ballast = new Uint8Array(48e6);\n";

const FILES: [(&str, &str); 5] = [
    ("loops", include_str!("attacks/loops.js")),
    ("memory", include_str!("attacks/memory.js")),
    ("output", include_str!("attacks/output.js")),
    ("stack", include_str!("attacks/stack.js")),
    ("escape", include_str!("attacks/escape.js")),
];

struct Attack {
    name: String,
    code: String,
    timeout_ms: u64,
    allowed: Vec<Outcome>,
}

/// What may come of a program.
#[derive(Debug)]
enum Outcome {
    Stopped { reason: String, saying: String },
    Value(Value),
    Wrote(String),
}

impl Outcome {
    fn parse(text: &str) -> Self {
        if let Some(value) = text.strip_prefix("= ") {
            return Self::Value(serde_json::from_str(value).unwrap_or_else(|_| panic!("no JSON: {value}")));
        }
        if let Some(wrote) = text.strip_prefix("stdout: ") {
            let wrote = wrote.replace("\\ufffd", "\u{fffd}").replace("\\u0000", "\0");
            return Self::Wrote(wrote);
        }
        let (reason, saying) = text.split_once(": ").unwrap_or((text, ""));
        Self::Stopped { reason: reason.to_owned(), saying: saying.to_owned() }
    }

    fn is(&self, result: &Value) -> bool {
        let stopped = &result["stopped"];
        match self {
            Self::Stopped { reason, saying } => {
                stopped["reason"] == *reason && stopped["message"].as_str().unwrap().contains(saying)
            }
            Self::Value(value) => stopped.is_null() && result["value"] == *value,
            Self::Wrote(text) => stopped.is_null() && result["stdout"].as_str().unwrap().contains(text),
        }
    }
}

fn attacks(file: &str, text: &str) -> Vec<Attack> {
    let parts = text.split("\n//// ").skip(1);
    let attack = |part: &str| {
        let (head, code) = part.split_once('\n').unwrap();
        let (name, what) = head.split_once(" => ").unwrap();
        let single = what.starts_with("= ") && !what.contains(", = ");
        let what = if single { vec![what] } else { what.split(", ").collect() };
        let ballast = if file == "memory" { BALLAST } else { "" };
        Attack {
            name: format!("{file}: {name}"),
            code: format!("{ballast}{code}"),
            timeout_ms: if what == ["deadline"] { SHORT_MILLIS } else { LONG_MILLIS },
            allowed: what.into_iter().map(Outcome::parse).collect(),
        }
    };
    parts.map(attack).collect()
}

/// A server that remembers something, and what it was before it was attacked.
struct Target {
    server: Server,
    resident_bytes: Option<usize>,
    open: BTreeSet<String>,
    violations: usize,
}

impl Target {
    fn new(home: &Home) -> Self {
        let mut server = home.start();
        for _ in 0..3 {
            assert_eq!(run(&mut server, "1+1", LONG_MILLIS)["value"], 2);
            assert_answers(&mut server);
        }
        let (resident_bytes, open) = (resident_bytes(&mut server), open(&mut server));
        Self { server, resident_bytes, open, violations: 0 }
    }

    fn attack(&mut self, attack: &Attack) {
        let result = run(&mut self.server, &attack.code, attack.timeout_ms);
        let fits = attack.allowed.iter().any(|outcome| outcome.is(&result));
        assert!(fits, "{}: not {:?} but {result}", attack.name, attack.allowed);
        for kept in ["stdout", "stderr"] {
            assert!(result[kept].as_str().unwrap().len() <= 64 * 1024, "{}: {kept}", attack.name);
        }
        assert!(result["stopped"].to_string().len() < 40_000, "{}: a long error", attack.name);
        let reason = &result["stopped"]["reason"];
        self.violations += usize::from(!reason.is_null() && reason != "syntax" && reason != "exception");
        assert_answers(&mut self.server);
    }

    /// Nothing is left of what was run.
    fn leave(mut self) {
        assert_eq!(
            run(&mut self.server, LOOK, LONG_MILLIS)["value"],
            untouched(),
            "something was left behind"
        );
        if let (Some(before), Some(after)) = (self.resident_bytes, resident_bytes(&mut self.server)) {
            assert!(after < before + GROWTH_BYTES_MAX, "resident: {before} bytes before, {after} after");
        }
        let now = open(&mut self.server);
        let new: Vec<_> = now.difference(&self.open).collect();
        assert!(new.is_empty(), "opened: {new:?}");
        let (rest, code) = self.server.finish();
        assert_eq!((rest, code), (vec![], Some(0)));
    }
}

fn home() -> Home {
    let home = Home::new();
    let mut server = home.start();
    server.call("remember", json!({"text": "the keeper of the lighthouse repaired its lens"}));
    assert_eq!(server.finish().1, Some(0));
    home
}

fn input() -> Value {
    json!({"question": "lighthouse lens", "__proto__": {"polluted": true}, "constructor": 1})
}

fn run(server: &mut Server, code: &str, timeout_ms: u64) -> Value {
    server.call("execute_code", json!({"code": code, "timeout_ms": timeout_ms, "input": input()}))
}

fn assert_answers(server: &mut Server) {
    let answer = server.call("query_memory", json!({"query": "who repaired the lens"}));
    assert_eq!(answer["hits"][0]["text"], "the keeper of the lighthouse repaired its lens");
}

/// Resident memory of the server, where the system tells it.
fn resident_bytes(server: &mut Server) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).ok();
    let bytes = status.as_deref().and_then(|status| {
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().split(' ').next()?;
        Some(kib.parse::<usize>().unwrap() * 1024)
    });
    if bytes.is_none() {
        eprintln!("skipped: this system does not tell the resident memory of a process");
    }
    bytes
}

/// The files and sockets that the server has open, where the system tells them.
fn open(server: &mut Server) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", server.pid())) else {
        eprintln!("skipped: this system does not tell what a process has open");
        return BTreeSet::new();
    };
    let target = |entry: std::io::Result<fs::DirEntry>| {
        Some(fs::read_link(entry.ok()?.path()).ok()?.display().to_string())
    };
    entries.filter_map(target).collect()
}

/// What a program sees of the built-ins that another could have changed.
const LOOK: &str = "
    [Object.getOwnPropertyNames(globalThis).length, typeof ({}).left, typeof left, [1].map(x => x + 1), JSON.parse('3'),
     JSON.stringify([1]), typeof Promise.prototype.then, typeof [][Symbol.iterator], Object.keys(memory), typeof memory.query,
     Symbol.keyFor(Symbol.for('left')), typeof console.log, (1.5).toString(), 'a'.concat('b'), typeof Array.prototype[0],
     Error.prepareStackTrace === undefined, String(() => 1), /a/.test('a'), Math.max(1, 2), Date.now(), typeof input]";

/// The same in a process that ran nothing else.
fn untouched() -> Value {
    let home = Home::new();
    let mut server = home.start();
    run(&mut server, LOOK, LONG_MILLIS)["value"].take()
}

fn contained(files: &[&str]) -> usize {
    let home = home();
    let mut target = Target::new(&home);
    let mut count = 0;
    for (file, text) in FILES.iter().filter(|(file, _)| files.contains(file)) {
        for attack in attacks(file, text) {
            if target.violations == VIOLATIONS {
                target.leave();
                target = Target::new(&home);
            }
            target.attack(&attack);
            count += 1;
        }
    }
    target.leave();
    count
}

#[test]
fn programs_that_never_end_are_stopped() {
    assert!(contained(&["loops"]) > 40);
}

#[test]
fn programs_that_want_all_memory_are_stopped() {
    assert!(contained(&["memory"]) > 40);
}

#[test]
fn programs_that_write_without_end_or_throw_what_bites_are_stopped() {
    assert!(contained(&["output"]) > 30);
}

#[test]
fn programs_that_go_too_deep_are_stopped() {
    assert!(contained(&["stack"]) > 50);
}

#[test]
fn programs_that_look_for_a_way_out_find_none() {
    assert!(contained(&["escape"]) > 60);
}

/// What a program changes is gone with it.
#[test]
fn nothing_that_a_program_changes_is_there_for_the_next() {
    const POLLUTIONS: [&str; 12] = [
        "globalThis.left = 1; var left = 2; 1",
        "Object.prototype.left = 1; Array.prototype[0] = 1; 1",
        "Array.prototype.map = () => 'mine'; Array.prototype[Symbol.iterator] = null; 1",
        "JSON.parse = JSON.stringify = () => 'mine'; 1",
        "Promise.prototype.then = null; Promise = null; 1",
        "console.log = console = null; 1",
        "try { Object.setPrototypeOf(memory, { query: 1 }) } catch {} globalThis.memory = { query: () => 'mine' }; 1",
        "Symbol.for('left'); Symbol.keyFor = () => 'mine'; 1",
        "Number.prototype.toString = String.prototype.concat = Function.prototype.toString = () => 'mine'; 1",
        "Error.prepareStackTrace = () => 'mine'; Error.stackTraceLimit = 0; 1",
        "Math.max = () => 'mine'; RegExp.prototype.exec = () => null; Date.now = () => 7; 1",
        "for (const k of Object.getOwnPropertyNames(globalThis)) try { delete globalThis[k] } catch {} 1",
    ];
    let (home, untouched) = (home(), untouched());
    let mut server = home.start();
    for code in POLLUTIONS {
        assert_eq!(run(&mut server, code, LONG_MILLIS)["value"], 1, "{code}");
        assert_eq!(run(&mut server, LOOK, LONG_MILLIS)["value"], untouched, "after {code}");
        assert_answers(&mut server);
    }
}

#[test]
fn what_is_too_long_too_deep_or_no_text_is_refused_before_it_is_run() {
    let home = home();
    let mut server = home.start();
    let long = run(&mut server, &format!("1 /*{}*/", " ".repeat(10_000_000)), LONG_MILLIS);
    assert_eq!(long["stopped"]["reason"], "syntax", "{long}");
    let zero = run(&mut server, "1\0 + 1", LONG_MILLIS);
    assert_eq!(zero["stopped"]["reason"], "syntax", "{zero}");
    let much = json!({"code": "input.length", "input": vec!["x".repeat(1000); 5_000]});
    assert_eq!(server.call("execute_code", much)["stopped"]["reason"], "syntax");
    for timeout_ms in [json!(0), json!(-1), json!(1e18), json!("1"), json!(30_001)] {
        let error = server.refused("execute_code", json!({"code": "1", "timeout_ms": timeout_ms}));
        assert_eq!(error["fields"][0]["field"], "timeout_ms", "{error}");
    }
    let deep = json!({"code": "1", "input": (0..100).fold(json!({}), |inner, _| json!({"a": inner}))});
    assert_eq!(server.call("execute_code", deep)["value"], 1);
    let lists = server.refused("execute_code", json!({"code": "1", "input": [[[1]]]}));
    assert!(lists["message"].as_str().unwrap().contains("`input` must be an object or"), "{lists}");
    let deeper = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    server.send(&format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"execute_code","arguments":{{"code":"1","input":{deeper}}}}}}}"#
    ));
    assert!(server.answer(&json!(7))["error"]["message"].is_string());
    server.send(r#"{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"execute_code","arguments":{"code":"'\ud800'"}}}"#);
    assert!(server.answer(&json!(8))["error"]["message"].is_string());
    assert_answers(&mut server);
}

#[test]
fn after_too_many_violations_it_is_closed_for_a_while() {
    let home = home();
    let mut server = home.start();
    let mut ran = 0;
    let error = loop {
        let answer = server.ask(
            "tools/call",
            json!({"name": "execute_code", "arguments": {"code": "for(;;);", "timeout_ms": 1}}),
        );
        if answer["result"]["isError"] == true {
            break failed(&answer);
        }
        assert_eq!(succeeded(&answer)["stopped"]["reason"], "deadline");
        ran += 1;
        assert!(ran < 100, "it was never closed");
    };
    assert_eq!((ran, &error["kind"]), (10, &json!("closed")), "{error}");
    let message = error["message"].as_str().unwrap();
    let seconds: u64 = message.split(' ').find_map(|word| word.parse().ok()).expect(message);
    assert!((1..=10).contains(&seconds), "{message}");
    assert_answers(&mut server);
    let health = server.call("health_check", json!({}));
    assert_eq!(
        (&health["status"], &health["metrics"]["sandbox"]["closed"]),
        (&json!("degraded"), &json!(1)),
        "{health}"
    );
    wait_until("it is open again", || {
        let answer = server.ask("tools/call", json!({"name": "execute_code", "arguments": {"code": "1+1"}}));
        answer["result"]["structuredContent"]["value"] == 2
    });
    assert_eq!(server.call("health_check", json!({}))["status"], "ok");
}

/// The answers to all that is open, by id, in the order in which they come.
fn answers(server: &mut Server, count: usize) -> Vec<(u64, Value)> {
    // A client whose level has risen is told so in between.
    let messages = std::iter::from_fn(|| server.receive());
    messages.filter_map(|answer| Some((answer["id"].as_u64()?, answer))).take(count).collect()
}

#[test]
fn questions_are_answered_while_sixteen_programs_run() {
    const PROGRAMS: [&str; 4] = [
        "for (;;) {}",
        "const held = []; for (;;) { try { for (;;) held.push(new Array(1000).fill(1)) } catch {} }",
        "for (let i = 0; ; i++) if (i % 50_000 === 0) memory.query(input.question + i)",
        "/^(a+)+$/.test('a'.repeat(60) + '!')",
    ];
    let home = home();
    let mut server = home.start();
    let programs: BTreeSet<u64> = (0..16)
        .map(|number| {
            let arguments = json!({"code": PROGRAMS[number % 4], "timeout_ms": 400, "input": input()});
            server.post("tools/call", json!({"name": "execute_code", "arguments": arguments}))
        })
        .collect();
    let questions: BTreeSet<u64> = (0..20)
        .map(|_| {
            let arguments = json!({"query": "who repaired the lens"});
            server.post("tools/call", json!({"name": "query_memory", "arguments": arguments}))
        })
        .collect();
    let answers = answers(&mut server, programs.len() + questions.len());
    let first: BTreeSet<u64> = answers[..questions.len()].iter().map(|(id, _)| *id).collect();
    assert_eq!(first, questions, "the questions are answered before any program has ended");
    for (id, answer) in &answers {
        if questions.contains(id) {
            assert_eq!(
                succeeded(answer)["hits"][0]["text"],
                "the keeper of the lighthouse repaired its lens"
            );
        } else if answer["result"]["isError"] == true {
            assert_eq!(failed(answer)["kind"], "closed");
        } else {
            let reason = &succeeded(answer)["stopped"]["reason"];
            assert!(reason == "deadline" || reason == "host_calls", "{answer}");
        }
    }
}

const ENDLESS: &str = "for (;;) {}";

fn begin(server: &mut Server, programs: usize) -> Vec<u64> {
    let arguments = json!({"code": ENDLESS, "timeout_ms": 30_000});
    let ids = (0..programs)
        .map(|_| server.post("tools/call", json!({"name": "execute_code", "arguments": arguments})))
        .collect();
    wait_until("programs run", || running(server) == (4, programs - 4));
    ids
}

/// Programs that run, and that wait.
fn running(server: &mut Server) -> (usize, usize) {
    let metrics = server.call("health_check", json!({}))["metrics"]["sandbox"].take();
    let count = |field: &str| metrics[field].as_u64().unwrap() as usize;
    (count("running"), count("waiting"))
}

#[test]
fn a_program_that_is_cancelled_is_stopped() {
    let home = home();
    let mut server = home.start();
    for id in begin(&mut server, 6) {
        let cancel =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
        server.send(&cancel.to_string());
    }
    wait_until("nothing runs or waits", || running(&mut server) == (0, 0));
    assert_eq!(run(&mut server, "1+1", LONG_MILLIS)["value"], 2);
    assert_eq!(server.finish(), (vec![], Some(0)), "what was cancelled is not answered");
}

/// Thirty seconds each, four at a time: whoever waited for all would wait for minutes.
#[test]
fn a_server_that_is_told_to_end_or_has_no_client_any_more_stops_what_runs() {
    let home = home();
    let mut server = home.start();
    begin(&mut server, 20);
    let (answers, code) = server.finish();
    assert_eq!((answers.len(), code), (20, Some(0)));
    for answer in answers {
        assert_eq!(failed(&answer)["kind"], "shut_down");
    }
    #[cfg(unix)]
    {
        let mut server = home.start();
        begin(&mut server, 20);
        crate::server::signal("TERM", server.pid());
        while server.receive().is_some() {}
        assert_eq!(server.finish().1, Some(0));
    }
}
