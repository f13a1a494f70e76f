//! Two teams on one memory: nothing of the one reaches the other, by whatever call.
//!
//! Everything that a team stores carries marks: words, tools, errors, projects, domains and external ids of its prefix, and
//! its ids. Each team then makes random calls with the ids, words and cursors of the other. An answer may hold a mark of the
//! other team only if the very call had it, or if the team itself stored it. To show that counts, scores and orders tell
//! nothing either, one team is asked the same in a memory in which the other never was. Over stdin and stdout each team has a
//! process of its own; over HTTP they share one, with all that it keeps in memory.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::access::{Made, command, configure, make};
use crate::jobs::dead_letters;
use crate::remote::{Remote, Served};
use crate::server::{Home, Server, run, wait_until};

const CALLS: usize = 10_000;
const CALLS_OVER_HTTP: usize = 2_000;
/// Calls that wait for their answers at the same time.
const AT_ONCE: usize = 40;
const COMPARED_CALLS: usize = 600;
const EPISODES: usize = 48;
const NOTES: usize = 36;

/// Words that all teams use.
const COMMON: [&str; 12] = [
    "deploy",
    "service",
    "login",
    "flaky",
    "test",
    "cache",
    "timeout",
    "database",
    "migration",
    "build",
    "release",
    "pipeline",
];
/// Tools that all teams use.
const TOOLS: [&str; 4] = ["bash", "edit", "read", "browser"];
const ENDINGS: [&str; 10] = ["tor", "min", "lex", "dan", "vik", "pol", "ras", "gem", "fon", "hut"];

/// A team and what it has stored.
struct Team {
    /// What all its marks begin with.
    prefix: &'static str,
    domains: [String; 2],
    ids: Vec<String>,
    patterns: Vec<String>,
    cursors: Vec<String>,
    jobs: Vec<String>,
    /// Episodes that are not finished.
    open: Vec<String>,
}

impl Team {
    fn new(prefix: &'static str) -> Self {
        let domains = [format!("{prefix}web"), format!("{prefix}web.shop")];
        let (ids, patterns, cursors, jobs, open) = Default::default();
        Self { prefix, domains, ids, patterns, cursors, jobs, open }
    }

    /// A word that calls use, too.
    fn word(&self, rng: &mut Rng) -> String {
        format!("{}{}", self.prefix, rng.choice(ENDINGS).unwrap())
    }

    /// A mark that no call ever uses.
    fn silent(&self, n: usize) -> String {
        format!("{}silent{}", self.prefix, ENDINGS[n % ENDINGS.len()])
    }

    fn external_id(&self, n: usize) -> String {
        format!("{}-run-{n}", self.prefix)
    }

    fn tool(&self, rng: &mut Rng) -> String {
        if rng.bool() {
            (*rng.choice(TOOLS).as_ref().unwrap()).to_owned()
        } else {
            format!("{}tool", self.prefix)
        }
    }

    fn words(&self, rng: &mut Rng, count: usize) -> String {
        let words = (0..count).map(|_| {
            if rng.u8(..3) == 0 { self.word(rng) } else { (*rng.choice(COMMON).as_ref().unwrap()).to_owned() }
        });
        words.collect::<Vec<_>>().join(" ")
    }

    fn steps(&self, rng: &mut Rng, n: usize) -> Value {
        let count = rng.usize(2..6);
        let step = |k: usize| {
            let (tool, word) = (self.tool(rng), self.word(rng));
            let mut step =
                json!({"tool": tool, "args": format!("run {word} in {} {}", COMMON[k], self.silent(n))});
            if rng.u8(..3) == 0 {
                step["error"] = json!(format!("{}Error: {word} timed out after {n}", self.prefix));
            }
            step
        };
        let mut steps: Vec<Value> = (0..count).map(step).collect();
        if n.is_multiple_of(4) {
            // A call that fails whoever makes it, and one that only this team makes.
            for action in ["make everything".to_owned(), self.failing()] {
                steps.push(
                    json!({"tool": "bash", "args": action, "error": format!("no rule: {}", self.silent(n))}),
                );
            }
        }
        Value::Array(steps)
    }

    /// A command that fails whenever it is run.
    fn failing(&self) -> String {
        format!("make {}all", self.prefix)
    }

    fn episode(&self, rng: &mut Rng, n: usize) -> Value {
        // Some tasks are done again and again.
        let task = if n.is_multiple_of(3) {
            format!("deploy the {} service {}tor", COMMON[n % 2], self.prefix)
        } else {
            format!("{} {}", self.words(rng, 6), self.silent(n))
        };
        let outcome = rng.choice(["success", "success", "failure", "partial"]);
        let mut args = json!({
            "task": task, "domain": self.domains[n % 2], "project": format!("{}/shop", self.prefix),
            "external_id": self.external_id(n), "tags": [self.word(rng)], "steps": self.steps(rng, n),
            "started_at": format!("2026-03-{:02}T10:{:02}:00Z", 1 + n % 28, n % 60),
        });
        if n % 12 != 11 {
            args["outcome"] = json!(outcome);
            args["summary"] = json!(format!("{} {}", self.words(rng, 8), self.silent(n)));
        }
        args
    }

    fn note(&self, rng: &mut Rng, n: usize) -> Value {
        // One after the other they speak of the same, as in a conversation.
        let text = format!(
            "{} about {} {}{} {}",
            self.words(rng, 4),
            COMMON[n / 5 % 12],
            self.prefix,
            ENDINGS[n / 4 % 10],
            self.silent(n)
        );
        json!({"text": text, "domain": self.domains[0], "external_id": format!("{}-note-{n}", self.prefix)})
    }

    /// One of its jobs, which may be done.
    fn job(&self, rng: &mut Rng) -> String {
        rng.choice(&self.jobs).unwrap().clone()
    }

    /// Something of its own to name: mostly there, sometimes not.
    fn id(&self, rng: &mut Rng) -> String {
        match rng.u8(..10) {
            0 => "0198c0de-7a3b-7c4d-8e5f-0123456789ab".to_owned(),
            1..4 if !self.patterns.is_empty() => rng.choice(&self.patterns).unwrap().clone(),
            _ => rng.choice(&self.ids).unwrap().clone(),
        }
    }
}

/// Something that can be asked.
struct Request {
    method: &'static str,
    params: Value,
    /// Whether what it says is stored if it is let through.
    writes: bool,
}

type Kind = fn(&mut Rng, me: &Team, other: &Team) -> Request;

fn ask(method: &'static str, params: Value) -> Request {
    Request { method, params, writes: false }
}

fn call(tool: &str, arguments: Value) -> Request {
    Request { method: "tools/call", params: json!({"name": tool, "arguments": arguments}), writes: false }
}

fn write(tool: &str, arguments: Value) -> Request {
    Request { writes: true, ..call(tool, arguments) }
}

/// Mostly the other team's.
fn whose<'t>(rng: &mut Rng, me: &'t Team, other: &'t Team) -> &'t Team {
    if rng.u8(..5) < 3 { other } else { me }
}

fn domain(rng: &mut Rng, me: &Team, other: &Team) -> Value {
    match rng.u8(..6) {
        0 => json!(rng.choice(&other.domains).unwrap()),
        1 => json!(rng.choice(&me.domains).unwrap()),
        // What its domains begin with.
        2 => json!(other.prefix),
        _ => Value::Null,
    }
}

/// Words of either, and some that are nearly those of the other.
fn text(rng: &mut Rng, me: &Team, other: &Team) -> String {
    let mut text = whose(rng, me, other).words(rng, 5);
    if rng.u8(..4) == 0 {
        let word = other.word(rng);
        text = format!("{text} {}", &word[..word.len() - 1]);
    }
    if rng.u8(..6) == 0 {
        text = format!("{text} {}", other.id(rng));
    }
    text
}

const READS: [Kind; 12] = [
    |rng, me, other| {
        let mut args =
            json!({"query": text(rng, me, other), "domain": domain(rng, me, other), "explain": rng.bool()});
        match rng.u8(..4) {
            0 => args["project"] = json!(format!("{}/shop", whose(rng, me, other).prefix)),
            1 => args["kinds"] = json!([rng.choice(["episode", "pattern", "note"])]),
            2 => args["limit"] = json!(rng.u8(1..=15)),
            _ => {}
        }
        call("query_memory", args)
    },
    |rng, me, other| {
        let mut args = json!({"task": text(rng, me, other), "domain": domain(rng, me, other)});
        if rng.bool() {
            args["error"] = json!(format!("{}Error: {} timed out", other.prefix, other.word(rng)));
        }
        if rng.u8(..4) == 0 {
            args["episode_id"] = json!(whose(rng, me, other).id(rng));
        }
        call("recommend", args)
    },
    |rng, me, other| {
        let whose = whose(rng, me, other);
        let (action, tool) = match rng.u8(..4) {
            0 => ("make everything".to_owned(), "bash".to_owned()),
            1 => (whose.failing(), "bash".to_owned()),
            _ => (format!("run {} in {}", whose.word(rng), COMMON[rng.usize(..4)]), whose.tool(rng)),
        };
        call("check_action", json!({"action": action, "tool": tool, "domain": domain(rng, me, other)}))
    },
    |rng, me, other| {
        let mut args = json!({"domain": domain(rng, me, other), "limit": rng.u8(1..=20)});
        let cursors = &whose(rng, me, other).cursors;
        if rng.bool() && !cursors.is_empty() {
            args["cursor"] = json!(rng.choice(cursors));
        }
        call("list_patterns", args)
    },
    |rng, me, other| call("explain_pattern", json!({"pattern_id": whose(rng, me, other).id(rng)})),
    |rng, me, other| call("get_episode", json!({"episode_id": whose(rng, me, other).id(rng)})),
    |rng, me, other| {
        let mut args = json!({"domain": domain(rng, me, other), "limit": rng.u8(1..=20)});
        let whose = whose(rng, me, other);
        match rng.u8(..5) {
            0 => args["cursor"] = json!(whose.id(rng)),
            1 => args["cursor"] = json!(rng.choice(&whose.cursors)),
            2 => args["project"] = json!(format!("{}/shop", whose.prefix)),
            3 => args["state"] = json!(rng.choice(["open", "completed"])),
            _ => args["outcome"] = json!(rng.choice(["success", "failure"])),
        }
        call("list_episodes", args)
    },
    |rng, me, other| {
        let code = rng.choice([
            "memory.query({query: input.text, limit: 10, max_tokens: 20000}).hits",
            "memory.episode(input.id)",
            "memory.patterns({domain: input.domain, limit: 20})",
        ]);
        let id = whose(rng, me, other).id(rng);
        let input = json!({"text": text(rng, me, other), "id": id, "domain": domain(rng, me, other)});
        call("execute_code", json!({"code": code, "input": input}))
    },
    |rng, _, _| call("health_check", json!({"detailed": rng.bool()})),
    |_, _, _| call("get_metrics", json!({})),
    |rng, me, other| {
        let mut args = json!({"limit": rng.u8(1..=20)});
        if rng.bool() {
            args["state"] = json!(rng.choice(["queued", "running", "dead"]));
        }
        if rng.bool() {
            args["cursor"] = json!(whose(rng, me, other).job(rng));
        }
        call("list_jobs", args)
    },
    |rng, me, other| {
        let patterns = &whose(rng, me, other).patterns;
        call("explain_pattern", json!({"pattern_id": rng.choice(patterns).unwrap()}))
    },
];

/// A resource of either.
fn uri(rng: &mut Rng, me: &Team, other: &Team) -> String {
    let whose = whose(rng, me, other);
    match rng.u8(..5) {
        0 => format!("memory://project/{}%2Fshop/summary", whose.prefix),
        1 => format!("memory://patterns/{}", rng.choice(&whose.patterns).unwrap()),
        _ => format!("memory://episodes/{}", whose.id(rng)),
    }
}

/// What is no tool.
const RESOURCES: [Kind; 4] = [
    |rng, me, other| {
        let cursors = &whose(rng, me, other).cursors;
        match rng.choice(cursors) {
            Some(cursor) if rng.bool() => ask("resources/list", json!({"cursor": cursor})),
            _ => ask("resources/list", json!({})),
        }
    },
    |rng, me, other| ask("resources/read", json!({"uri": uri(rng, me, other)})),
    |rng, me, other| {
        let (uri, name) = *rng
            .choice(&[
                ("memory://episodes/{id}", "id"),
                ("memory://patterns/{id}", "id"),
                ("memory://project/{name}/summary", "name"),
            ])
            .unwrap();
        let reference = json!({"type": "ref/resource", "uri": uri});
        ask(
            "completion/complete",
            json!({"ref": reference, "argument": {"name": name, "value": beginning(rng, me, other)}}),
        )
    },
    |rng, me, other| {
        let (prompt, name) =
            *rng.choice(&[("recall", "task"), ("reflect", "episode_id"), ("handoff", "project")]).unwrap();
        let reference = json!({"type": "ref/prompt", "name": prompt});
        ask(
            "completion/complete",
            json!({"ref": reference, "argument": {"name": name, "value": beginning(rng, me, other)}}),
        )
    },
];

/// Texts for a model, with what is remembered in them.
const PROMPTS: [Kind; 3] = [
    |rng, me, other| {
        ask("prompts/get", json!({"name": "recall", "arguments": {"task": text(rng, me, other)}}))
    },
    |rng, me, other| {
        ask(
            "prompts/get",
            json!({"name": "reflect", "arguments": {"episode_id": whose(rng, me, other).id(rng)}}),
        )
    },
    |rng, me, other| {
        let project = format!("{}/shop", whose(rng, me, other).prefix);
        ask("prompts/get", json!({"name": "handoff", "arguments": {"project": project}}))
    },
];

/// What something of either begins with, or nothing.
fn beginning(rng: &mut Rng, me: &Team, other: &Team) -> String {
    let whose = whose(rng, me, other);
    match rng.u8(..4) {
        0 => String::new(),
        1 => whose.prefix.to_owned(),
        2 => whose.prefix[..1].to_owned(),
        _ => whose.id(rng)[..rng.usize(1..13)].to_owned(),
    }
}

const WRITES: [Kind; 11] = [
    |rng, me, other| {
        let n = rng.usize(1_000..2_000);
        let mut args = me.episode(rng, n);
        match rng.u8(..3) {
            0 => args["external_id"] = json!(other.external_id(rng.usize(..EPISODES))),
            1 => args["domain"] = domain(rng, me, other),
            _ => {}
        }
        write("create_episode", args)
    },
    |rng, me, other| {
        let n = rng.usize(1_000..2_000);
        let mut args = me.note(rng, n);
        match rng.u8(..4) {
            0 => args["external_id"] = json!(format!("{}-note-{}", other.prefix, rng.usize(..NOTES))),
            1 => args["supersedes"] = json!([whose(rng, me, other).id(rng)]),
            2 => args["supersedes"] = json!([format!("{}-note-{}", other.prefix, rng.usize(..NOTES))]),
            _ => args["domain"] = domain(rng, me, other),
        }
        write("remember", args)
    },
    |rng, me, other| {
        let ids = &whose(rng, me, other).open;
        write(
            "add_episode_step",
            json!({"episode_id": rng.choice(ids).unwrap(), "tool": me.tool(rng), "args": me.words(rng, 3)}),
        )
    },
    |rng, me, other| {
        let ids = if rng.u8(..20) == 0 { &me.open } else { &other.open };
        write("complete_episode", json!({"episode_id": rng.choice(ids).unwrap(), "outcome": "success"}))
    },
    |rng, me, other| {
        let ids: Vec<String> = (0..rng.usize(1..3)).map(|_| whose(rng, me, other).id(rng)).collect();
        write("record_feedback", json!({"ids": ids, "verdict": rng.choice(["helped", "no_help", "wrong"])}))
    },
    |rng, me, other| {
        let id = whose(rng, me, other).id(rng);
        write(
            "correct_pattern",
            json!({"pattern_id": id, "verdict": rng.choice(["advice", "pitfall", "neutral"])}),
        )
    },
    |rng, me, other| {
        let whose = if rng.u8(..50) == 0 { me } else { other };
        write("delete_pattern", json!({"pattern_id": whose.id(rng)}))
    },
    |rng, me, other| {
        let mut args = json!({"episode_id": whose(rng, me, other).id(rng)});
        match rng.u8(..5) {
            0 => args["domain"] = json!(whose(rng, me, other).domains[rng.usize(..2)]),
            1 => args["task"] = json!(format!("{} {}", me.words(rng, 5), me.silent(rng.usize(..EPISODES)))),
            2 => args["outcome"] = json!(rng.choice(["success", "failure"])),
            3 => args["summary"] = json!(me.words(rng, 5)),
            _ => args["project"] = json!(format!("{}/shop", whose(rng, me, other).prefix)),
        }
        write("update_episode", args)
    },
    |rng, me, other| {
        let [from, to] = [0, 1].map(|_| whose(rng, me, other).id(rng));
        let relation = rng.choice(["continues", "retries", "duplicates", "relates"]);
        write(
            "link_episodes",
            json!({"from": from, "to": to, "relation": relation, "remove": rng.u8(..4) == 0}),
        )
    },
    |rng, me, other| {
        let whose = if rng.u8(..50) == 0 { me } else { other };
        write("delete_episode", json!({"episode_id": whose.id(rng)}))
    },
    |rng, me, other| write("retry_job", json!({"job_id": whose(rng, me, other).job(rng)})),
];

/// The words of a prefix in a text, with what belongs to them.
fn marks<'t>(text: &'t str, prefix: &str) -> BTreeSet<&'t str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '/' || c == '.';
    let found = text.match_indices(prefix).map(|(at, _)| {
        let rest = &text[at..];
        rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())].trim_end_matches(['.', '-', '/'])
    });
    found.collect()
}

/// The ids in a text.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    let tokens = text.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
    tokens.filter(|token| token.len() == 36)
}

/// How a team speaks to the memory.
trait Line {
    /// Calls a tool, which must succeed.
    fn call(&mut self, tool: &str, arguments: Value) -> Value;
    /// Sends a request; returns the whole answer.
    fn ask(&mut self, method: &str, params: Value) -> Value;
    /// Sends a request and does not wait; returns its id.
    fn post(&mut self, method: &str, params: Value) -> u64;
    /// The next message.
    fn receive(&mut self) -> Option<Value>;
}

macro_rules! line {
    ($of:ty) => {
        impl Line for $of {
            fn call(&mut self, tool: &str, arguments: Value) -> Value {
                self.call(tool, arguments)
            }
            fn ask(&mut self, method: &str, params: Value) -> Value {
                self.ask(method, params)
            }
            fn post(&mut self, method: &str, params: Value) -> u64 {
                self.post(method, params)
            }
            fn receive(&mut self) -> Option<Value> {
                self.receive()
            }
        }
    };
}

line!(Server);
line!(Remote);

/// One of the two that call, with what it may be told.
struct Caller {
    server: Box<dyn Line>,
    team: Team,
    /// Marks of others that it stored itself.
    stored: BTreeSet<String>,
}

impl Caller {
    fn create(&mut self, args: Value) {
        let created = self.server.call("create_episode", args);
        let id = created["episode_id"].as_str().unwrap().to_owned();
        match created["job_id"].as_str() {
            Some(job) => self.team.jobs.push(job.to_owned()),
            None => self.team.open.push(id.clone()),
        }
        self.team.ids.push(id);
    }

    fn remember(&mut self, args: Value) {
        let id = self.server.call("remember", args)["note_id"].as_str().unwrap().to_owned();
        self.team.ids.push(id);
    }

    fn learn(&mut self) {
        wait_until("nothing is left to learn", || {
            let jobs = self.server.call("health_check", json!({}))["metrics"]["jobs"].take();
            jobs["queued"] == 0 && jobs["running"] == 0
        });
        let mut cursor = Value::Null;
        loop {
            let page = self.server.call("list_patterns", json!({"limit": 20, "cursor": cursor}));
            let patterns = page["patterns"].as_array().unwrap().iter();
            self.team.patterns.extend(patterns.map(|pattern| pattern["id"].as_str().unwrap().to_owned()));
            cursor = page["next_cursor"].clone();
            match cursor.as_str() {
                Some(cursor) => self.team.cursors.push(cursor.to_owned()),
                None => break,
            }
        }
        let page = self.server.ask("resources/list", json!({}));
        let cursor = page["result"]["nextCursor"].as_str().expect("more than one page");
        self.team.cursors.push(cursor.to_owned());
    }

    /// Waits until what it asks is compared by its meaning.
    fn embed(&mut self) {
        wait_until("meanings are compared", || {
            let answer = self.server.call("query_memory", json!({"query": "deploy", "explain": true}));
            answer["hits"][0]["explanation"]["meaning"].is_number()
        });
    }

    /// Makes calls; no answer may hold what belongs to others.
    fn storm(&mut self, rng: &mut Rng, other: &Team, nobody: &[String], count: usize) {
        let mut asked: HashMap<u64, (String, bool)> = HashMap::new();
        for _ in 0..count {
            let kinds: &[Kind] = match rng.u8(..8) {
                0 | 1 => &WRITES,
                2 | 3 => &RESOURCES,
                4 => &PROMPTS,
                _ => &READS,
            };
            let Request { method, params, writes } = rng.choice(kinds).unwrap()(rng, &self.team, other);
            let text = params.to_string().replace("%2F", "/");
            asked.insert(self.server.post(method, params), (text, writes));
        }
        while !asked.is_empty() {
            let answer = self.server.receive().expect("an answer");
            if answer.get("id").is_none() {
                self.check("", &answer, other, nobody);
                continue;
            }
            let (request, writes) = asked.remove(&answer["id"].as_u64().unwrap()).expect("to a call");
            self.check(&request, &answer, other, nobody);
            if writes && answer["result"]["isError"] == false {
                self.stored.extend(marks(&request, other.prefix).into_iter().map(str::to_owned));
            }
        }
    }

    fn check(&self, request: &str, answer: &Value, other: &Team, nobody: &[String]) {
        let text = answer.to_string();
        for prefix in [other.prefix, NOBODY] {
            for mark in marks(&text, prefix) {
                let is_own = request.contains(mark) || self.stored.iter().any(|own| own.contains(mark));
                assert!(is_own, "{mark:?} of others in the answer to {request}: {text}");
            }
        }
        for id in ids(&text) {
            let is_others = [&other.ids, &other.patterns, &other.jobs]
                .into_iter()
                .flatten()
                .chain(nobody)
                .any(|own| own == id);
            assert!(
                !is_others || request.contains(id),
                "the id {id} of others in the answer to {request}: {text}"
            );
        }
    }
}

/// What has no domain is marked by this.
const NOBODY: &str = "nbdy";

/// Runs without a domain, by the command line, which is the operator's.
fn import_nobodys(home: &Home) -> Vec<String> {
    let lines: Vec<String> = (0..20)
        .map(|n| {
            let steps = json!([{"tool": "bash", "args": "run nbdytor in deploy", "error": "nbdyError: timed out"},
                               {"tool": "nbdytool", "args": "deploy service"}]);
            let run = json!({"id": format!("nbdy-run-{n}"), "task": format!("deploy the login service nbdy{}", ENDINGS[n % 10]),
                             "steps": steps, "success": n % 2 == 0});
            run.to_string()
        })
        .collect();
    let ran = run(home.command().args(["import", "jsonl", "-"]), lines.join("\n").as_bytes());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mut ids = Vec::new();
    for query in ["deploy login service", "timed out"] {
        let found = home.run(&["query", query, "--limit", "50", "--json"]).json();
        ids.extend(
            found["hits"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap().to_owned()),
        );
    }
    assert!(ids.len() > 20, "{ids:?}");
    ids
}

/// What is left of an answer when ids and times of the test are taken out of it.
fn normal(value: &mut Value, names: &HashMap<&str, String>) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| normal(value, names)),
        Value::Object(fields) => fields.values_mut().for_each(|value| normal(value, names)),
        Value::String(text) if text.parse::<Timestamp>().is_ok() => *text = "a time".into(),
        // A resource.
        Value::String(text) if text.starts_with('{') => {
            let mut inner: Value = serde_json::from_str(text).unwrap();
            normal(&mut inner, names);
            *value = inner;
        }
        Value::String(text) => {
            let known: Vec<String> =
                ids(text).filter(|id| names.contains_key(id)).map(str::to_owned).collect();
            for id in known {
                *text = text.replace(&id, &names[id.as_str()]);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether two answers are the same but for the last digit of their numbers: rates fade by the second.
pub(crate) fn is_near(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_near(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|((x, a), (y, b))| x == y && is_near(a, b))
        }
        (Value::Number(a), Value::Number(b)) => {
            let (Some(a), Some(b)) = (a.as_f64(), b.as_f64()) else { return false };
            (a - b).abs() < 0.0015
        }
        _ => a == b,
    }
}

/// What a team is answered where another team is, and where there never was another one.
fn compare(with: &mut Caller, alone: &mut Caller, other: &Team) {
    let names = |team: &Team| {
        let ids = [&team.ids[..], &team.jobs].concat();
        ids.into_iter().enumerate().map(|(n, id)| (id, format!("the thing {n}"))).collect::<Vec<_>>()
    };
    let (of_with, of_alone) = (names(&with.team), names(&alone.team));
    assert_eq!(of_with.len(), of_alone.len());
    assert_eq!(with.team.patterns, alone.team.patterns, "their ids are made of what they say");
    let to_alone: HashMap<&str, String> =
        of_with.iter().zip(&of_alone).map(|((id, _), (other, _))| (id.as_str(), other.clone())).collect();
    let of_with: HashMap<&str, String> =
        of_with.iter().map(|(id, name)| (id.as_str(), name.clone())).collect();
    let of_alone: HashMap<&str, String> =
        of_alone.iter().map(|(id, name)| (id.as_str(), name.clone())).collect();
    let mut rng = Rng::with_seed(7);
    let mut differing = 0;
    for n in 0..COMPARED_CALLS {
        let kinds: Vec<Kind> = READS.into_iter().chain(RESOURCES).collect();
        let Request { method, mut params, .. } = kinds[n % kinds.len()](&mut rng, &with.team, other);
        // How much fits into fewer tokens is also up to the digits of ids.
        if ["query_memory", "recommend"].iter().any(|tool| params["name"] == *tool) {
            params["arguments"]["max_tokens"] = json!(20_000);
        }
        // What ids begin with is up to the time at which they were made.
        if ["id", "episode_id"].iter().any(|name| params["argument"]["name"] == *name) {
            params["argument"]["value"] = json!("");
        }
        let mut same_params = params.clone();
        normal(&mut same_params, &to_alone);
        let [seen, expected] = [(&mut *with, &params, &of_with), (&mut *alone, &same_params, &of_alone)].map(
            |(caller, params, names)| {
                let mut answer = caller.server.ask(method, params.clone());
                let mut result = match answer["result"]["structuredContent"].take() {
                    Value::Null if answer["error"].is_object() => answer["error"].take(),
                    Value::Null => answer["result"].take(),
                    result => result,
                };
                // How long code ran.
                result.as_object_mut().unwrap().remove("usage");
                normal(&mut result, names);
                result
            },
        );
        let bytes = [&seen, &expected].map(Value::to_string);
        let is_same = bytes[0] == bytes[1];
        differing += usize::from(!is_same);
        assert!(is_same || is_near(&seen, &expected), "{params}:\n{seen:#}\nis not\n{expected:#}");
    }
    assert!(differing <= COMPARED_CALLS / 100, "{differing} answers differ in a digit");
}

/// How the teams connect.
struct Lines {
    is_http: bool,
    /// The servers that are shared, by the home they serve.
    served: Vec<(PathBuf, Served)>,
}

impl Lines {
    fn connect(&mut self, home: &Home, key: &Made, with_model: bool) -> Box<dyn Line> {
        let mut command = command(home, &home.beside("config.toml"), key);
        if with_model {
            command.env("MEMORY_MCP_MODEL_DIR", home.beside("model"));
        }
        if !self.is_http {
            return Box::new(Server::start(&mut command));
        }
        // What the environment of a shared server has is nobody's key.
        command.env_remove("MEMORY_MCP_API_KEY");
        let place = self.served.iter().position(|(data, _)| *data == home.data());
        let place = place.unwrap_or_else(|| {
            self.served.push((home.data(), Served::start_with(&mut command)));
            self.served.len() - 1
        });
        let served = &self.served[place].1;
        // One in each era.
        let key_of = Some(key.key.as_str());
        Box::new(if key.settings.contains("\"one\"") { served.legacy(key_of) } else { served.modern(key_of) })
    }

    fn caller(&mut self, home: &Home, key: &Made, team: Team) -> Caller {
        Caller { server: self.connect(home, key, true), team, stored: BTreeSet::new() }
    }
}

fn nothing_leaks(mut lines: Lines, calls: usize) {
    let (shared, alone) = (Home::new(), Home::new());
    let keys = [make(&shared, "one", "xqzweb", &[]), make(&shared, "two", "wvkweb", &[])];
    for home in [&shared, &alone] {
        configure(home, &[&keys[0], &keys[1]]);
        // Meanings that mean nothing, but are compared as any.
        testkit::model::write(&home.beside("model"), 3);
    }
    // Each team has a job that was given up.
    let dead = std::thread::scope(|scope| {
        let in_shared = scope.spawn(|| dead_letters(&shared, &["xqzweb", "wvkweb"]));
        [dead_letters(&alone, &["xqzweb"]), in_shared.join().unwrap()].concat()
    });
    let nobody = import_nobodys(&shared);
    let mut one = lines.caller(&shared, &keys[0], Team::new("xqz"));
    let mut two = lines.caller(&shared, &keys[1], Team::new("wvk"));
    let mut same = lines.caller(&alone, &keys[0], Team::new("xqz"));
    let (mut rng, mut rng_of_two) = (Rng::with_seed(1), Rng::with_seed(2));
    for (caller, (episode, job)) in [&mut same, &mut one, &mut two].into_iter().zip(dead) {
        caller.team.ids.push(episode);
        caller.team.jobs.push(job);
    }
    // In turns, so that they stand beside each other everywhere.
    for n in 0..EPISODES.max(NOTES) {
        if n < EPISODES {
            let args = one.team.episode(&mut rng, n);
            one.create(args.clone());
            same.create(args);
            let args = two.team.episode(&mut rng_of_two, n);
            two.create(args);
        }
        if n < NOTES {
            let args = one.team.note(&mut rng, n);
            one.remember(args.clone());
            same.remember(args);
            let args = two.team.note(&mut rng_of_two, n);
            two.remember(args);
        }
    }
    [&mut one, &mut two, &mut same].into_iter().for_each(Caller::learn);
    [&mut one, &mut two, &mut same].into_iter().for_each(Caller::embed);
    assert!(one.team.patterns.len() > 20 && two.team.patterns.len() > 20);
    compare(&mut one, &mut same, &two.team);
    // Without the model from here on, which takes longest.
    drop(same);
    lines.served.clear();
    for (caller, key) in [(&mut one, &keys[0]), (&mut two, &keys[1])] {
        caller.server = lines.connect(&shared, key, false);
    }
    for _ in 0..calls / (2 * AT_ONCE) {
        one.storm(&mut rng, &two.team, &nobody, AT_ONCE);
        two.storm(&mut rng, &one.team, &nobody, AT_ONCE);
    }
    // It is all still there, for who may see it.
    let kept = two.server.call("health_check", json!({}));
    assert!(kept["metrics"]["store"]["episodes"].as_u64().unwrap() > EPISODES as u64 / 2, "{kept}");
}

#[test]
fn nothing_of_one_team_reaches_another() {
    nothing_leaks(Lines { is_http: false, served: Vec::new() }, CALLS);
}

#[test]
fn nothing_of_one_team_reaches_another_in_the_same_process() {
    nothing_leaks(Lines { is_http: true, served: Vec::new() }, CALLS_OVER_HTTP);
}
