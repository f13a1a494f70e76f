//! What a program gets of its host: what the host tells whoever runs the program, and nothing of anybody else.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sandbox::{Ambient, Grants, Host, HostFunction, Limits, Program, Reason, Report, Sandbox};

/// A host that tells of one domain, whatever it is asked, and keeps what it was asked.
#[derive(Default)]
struct OfOneDomain(Mutex<Vec<(HostFunction, String)>>);

#[async_trait]
impl Host for OfOneDomain {
    async fn call(&self, function: HostFunction, arguments: String) -> Result<String, String> {
        self.0.lock().unwrap().push((function, arguments.clone()));
        if arguments.contains("theirs") { Err("not found".to_owned()) } else { Ok("\"ours\"".to_owned()) }
    }
}

async fn run(code: &str, memory: bool) -> (Report, Vec<(HostFunction, String)>) {
    let host = Arc::new(OfOneDomain::default());
    let sandbox = Sandbox::new(Limits::default(), Ambient::default());
    let program = Program { grants: Grants { memory }, ..Program::new(code) };
    let report = sandbox.run(program, Some(host.clone())).await.unwrap();
    let asked = host.0.lock().unwrap().clone();
    (report, asked)
}

#[tokio::test]
async fn what_belongs_to_another_is_found_by_no_trick() {
    for code in [
        "memory.episode('theirs')",
        "memory.query({ query: 'x', domain: 'theirs' })",
        "memory.query.call({ domain: 'theirs' }, 'theirs')",
        "Reflect.apply(memory.episode, { id: 'theirs' }, ['theirs'])",
        "memory.episode({ toJSON: () => 'theirs' })",
        "import { episode } from 'memory'; export default episode('theirs')",
        "const all = (await import('memory')).default; all.patterns({ domain: 'theirs' })",
        "memory.episode(new Proxy(['theirs'], {}))",
    ] {
        let (report, asked) = run(code, true).await;
        let stopped = report.stopped.unwrap_or_else(|| panic!("{code} came to its end"));
        assert!(
            stopped.reason == Reason::Exception && stopped.message.contains("not found"),
            "{code}: {stopped:?}"
        );
        assert_eq!(asked.len(), 1, "{code}");
    }
}

/// The arguments are what the program said, whatever it has made of the built-ins.
#[tokio::test]
async fn the_host_is_asked_what_was_said() {
    for (code, arguments) in [
        ("memory.query('a', {b: 1}, null, undefined)", r#"["a",{"b":1},null,null]"#),
        ("Object.defineProperty(Array.prototype, 0, { set() {} }); memory.query('a')", r#"["a"]"#),
        ("JSON.stringify = () => 'mine'; memory.query('a')", r#"["a"]"#),
        ("memory.query(JSON.parse('{\"__proto__\":1}'))", r#"[{"__proto__":1}]"#),
        ("memory.query('\\ud800\\0')", r#"["\ud800\u0000"]"#),
    ] {
        let (report, asked) = run(code, true).await;
        assert_eq!(
            (report.stopped, asked),
            (None, vec![(HostFunction::Query, arguments.to_owned())]),
            "{code}"
        );
    }
}

#[tokio::test]
async fn who_was_not_granted_the_memory_finds_none() {
    for (code, reason) in [
        ("memory.query('x')", Reason::Exception),
        ("await import('memory')", Reason::Exception),
        ("import 'memory'", Reason::Import),
        ("Function('return memory')()", Reason::Exception),
    ] {
        let (report, asked) = run(code, false).await;
        assert_eq!((report.stopped.unwrap().reason, asked), (reason, vec![]), "{code}");
    }
}

/// What waits and what runs is ended at once, and whoever waits for it is told.
#[tokio::test]
async fn shutting_down_waits_for_nobody() {
    let sandbox = Arc::new(Sandbox::new(Limits::default(), Ambient::default()));
    let endless = || Program { timeout: Some(sandbox::limits::TIMEOUT_MAX), ..Program::new("for (;;) {}") };
    let runs: Vec<_> = (0..20)
        .map(|_| {
            let (sandbox, program) = (sandbox.clone(), endless());
            tokio::spawn(async move { sandbox.run(program, None).await })
        })
        .collect();
    while sandbox.status().running == 0 {
        tokio::task::yield_now().await;
    }
    sandbox.shutdown().await;
    for run in runs {
        assert_eq!(run.await.unwrap().unwrap_err(), sandbox::Refusal::ShutDown);
    }
}
