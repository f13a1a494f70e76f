//! Keys: who may see and change what.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::server::{Home, Ran, Server, run, signal};

/// A key, and what the configuration has of it.
pub(crate) struct Made {
    pub(crate) key: String,
    pub(crate) settings: String,
}

/// Makes a key with the program.
pub(crate) fn make(home: &Home, name: &str, domains: &str, more: &[&str]) -> Made {
    let ran = home.run(&[&["key", "new", "--name", name, "--domains", domains][..], more].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let key = ran.stdout.lines().find(|line| line.starts_with("mmk_")).expect("a key").to_owned();
    let (_, settings) = ran.stdout.split_once("[[auth.keys]]").expect("settings");
    assert!(!settings.contains(&key), "of the key only its hash is kept");
    Made { key, settings: format!("[[auth.keys]]{settings}") }
}

/// A configuration with these keys.
pub(crate) fn configure(home: &Home, keys: &[&Made]) -> PathBuf {
    let file = home.beside("config.toml");
    let settings: Vec<&str> = keys.iter().map(|made| made.settings.as_str()).collect();
    std::fs::write(&file, settings.join("\n")).unwrap();
    file
}

/// A server for who has this key.
pub(crate) fn command(home: &Home, config: &Path, key: &Made) -> Command {
    let mut command = home.command();
    command.env("MEMORY_MCP_CONFIG", config).env("MEMORY_MCP_API_KEY", &key.key);
    command
}

pub(crate) fn start(home: &Home, config: &Path, key: &Made) -> Server {
    Server::start(&mut command(home, config, key))
}

/// What a server says that does not start.
fn refused(home: &Home, config: Option<&PathBuf>, key: Option<&str>) -> String {
    let mut command = home.command();
    config.map(|config| command.env("MEMORY_MCP_CONFIG", config));
    key.map(|key| command.env("MEMORY_MCP_API_KEY", key));
    let Ran { code, stdout, stderr } = run(&mut command, b"");
    assert!(matches!(code, Some(1 | 2)) && stdout.is_empty(), "{code:?} {stdout} {stderr}");
    stderr
}

#[test]
fn with_keys_configured_nobody_gets_in_without_one() {
    let home = Home::new();
    let (made, other) = (make(&home, "ci", "web", &[]), make(&home, "other", "web", &[]));
    let config = configure(&home, &[&made]);
    assert!(refused(&home, Some(&config), None).contains("set MEMORY_MCP_API_KEY"));
    let told = refused(&home, Some(&config), Some(&other.key));
    assert!(told.contains("is none of `auth.keys`") && !told.contains(&other.key), "{told}");
    assert!(refused(&home, Some(&config), Some("hunter2")).contains("is none of `auth.keys`"));
    assert!(refused(&home, None, Some(&made.key)).contains("no keys are configured"));
    assert!(!home.data().exists(), "nothing is opened for who may not");
    start(&home, &config, &made).call("health_check", json!({}));
    // Without keys it is open to who starts it.
    std::fs::write(&config, "").unwrap();
    let mut open = Server::start(home.command().env("MEMORY_MCP_CONFIG", &config));
    open.call("remember", json!({"text": "mine"}));
}

#[test]
fn a_configuration_of_keys_is_checked_as_a_whole() {
    let home = Home::new();
    let config = home.beside("config.toml");
    let bad = "[[auth.keys]]\nname = \"a\"\nhash = \"secret\"\ndomains = []\naccess = \"read\"\n";
    std::fs::write(&config, bad).unwrap();
    let told = refused(&home, Some(&config), None);
    assert!(told.contains(":3:8: auth.keys: hash is wrong") && told.contains("domains is wrong"), "{told}");
    assert!(!told.contains("secret"), "it may be a key in the wrong place: {told}");
    std::fs::write(&config, "[[auth.keys]]\nname = \"a\"\nacces = \"read\"\n").unwrap();
    let told = refused(&home, Some(&config), None);
    assert!(told.contains(":3:1: auth.keys: unknown field \"acces\""), "{told}");
    assert!(refused(&home, Some(&home.beside("nowhere")), None).contains("nowhere"));
}

#[test]
fn the_hash_of_a_key_is_the_configured_one_and_a_password_has_none() {
    let home = Home::new();
    let made = make(&home, "ci", "*", &["--read-only"]);
    let hash = |text: &str| run(home.command().args(["key", "hash"]), text.as_bytes());
    let ran = hash(&format!("{}\n", made.key));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(made.settings.contains(ran.stdout.trim()), "{ran:?}");
    assert!(made.settings.contains("domains = [\"*\"]\naccess = \"read\""), "{}", made.settings);
    let ran = hash("correct horse battery staple");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for bad in [["--name", "", "--domains", "a"], ["--name", "a", "--domains", "a."]] {
        let ran = home.run(&[&["key", "new"][..], &bad].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    }
}

#[test]
fn a_server_stops_when_its_key_is_taken_away_or_given_other_rights() {
    let home = Home::new();
    let (made, other) = (make(&home, "ci", "web", &[]), make(&home, "other", "web", &[]));
    let config = configure(&home, &[&made, &other]);
    let mut server = start(&home, &config, &made);
    let mut kept = start(&home, &config, &other);
    configure(&home, &[&other]);
    signal("HUP", server.pid());
    signal("HUP", kept.pid());
    while server.receive().is_some() {}
    assert!(server.log().contains("is none of `auth.keys`"), "{}", server.log());
    assert_eq!(server.finish().1, Some(0));
    kept.call("query_memory", json!({"query": "it goes on"}));
    let reading = Made { settings: other.settings.replace("read_write", "read"), key: other.key.clone() };
    configure(&home, &[&reading]);
    signal("HUP", kept.pid());
    while kept.receive().is_some() {}
    assert!(kept.log().contains("other rights"), "{}", kept.log());
    assert_eq!(kept.finish().1, Some(0));
}

struct Team {
    home: Home,
    config: PathBuf,
    web: Made,
    both: Made,
    reader: Made,
    all: Made,
}

impl Team {
    fn new() -> Self {
        let home = Home::new();
        let web = make(&home, "web", "web", &[]);
        let both = make(&home, "both", "web,api", &[]);
        let reader = make(&home, "reader", "web", &["--read-only"]);
        let all = make(&home, "all", "*", &[]);
        let config = configure(&home, &[&web, &both, &reader, &all]);
        Self { home, config, web, both, reader, all }
    }

    fn start(&self, key: &Made) -> Server {
        start(&self.home, &self.config, key)
    }
}

fn found(server: &mut Server, query: &str) -> Vec<String> {
    let answer = server.call("query_memory", json!({"query": query}));
    let hits = answer["hits"].as_array().unwrap().iter();
    hits.map(|hit| hit["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_key_writes_to_its_own_domains() {
    let team = Team::new();
    let (mut web, mut both) = (team.start(&team.web), team.start(&team.both));
    let note = |server: &mut Server, domain: Value| {
        let args = json!({"text": format!("the gateway is blue in {domain}"), "domain": domain});
        let answer = server.ask("tools/call", json!({"name": "remember", "arguments": args}));
        answer["result"]["structuredContent"].clone()
    };
    let forbidden = |answer: &Value, named: &str| {
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(answer["error"]["kind"], "forbidden", "{answer}");
        assert!(message.contains(named), "{message}");
    };
    forbidden(&note(&mut web, json!("api")), "give web");
    forbidden(&note(&mut web, json!("webs")), "give web");
    forbidden(&note(&mut both, Value::Null), "give api or web");
    let mut mine = Vec::new();
    // Who has one domain need not name it.
    for domain in [Value::Null, json!("web"), json!("web.shop")] {
        let id = note(&mut web, domain)["note_id"].clone();
        mine.push(id.as_str().expect("stored").to_owned());
    }
    let theirs = note(&mut both, json!("api"))["note_id"].as_str().unwrap().to_owned();
    let mut seen = found(&mut web, "gateway blue");
    seen.sort();
    assert_eq!(seen, mine);
    let seen = found(&mut both, "gateway blue");
    assert!(seen.contains(&theirs) && mine.iter().all(|id| seen.contains(id)), "{seen:?}");
    let episode = web.call("create_episode", json!({"task": "paint the gateway"}));
    let mut all = team.start(&team.all);
    let whole = all.call("get_episode", json!({"episode_id": episode["episode_id"]}));
    assert_eq!(whole["domain"], "web");
}

#[test]
fn a_key_that_may_only_read_reads_and_changes_nothing() {
    let team = Team::new();
    let mut web = team.start(&team.web);
    let open = web.call("create_episode", json!({"task": "mend the fence"}))["episode_id"].clone();
    let other = web.call("create_episode", json!({"task": "oil the hinge"}))["episode_id"].clone();
    let mut reader = team.start(&team.reader);
    assert_eq!(found(&mut reader, "mend the fence").len(), 1);
    let changes = [
        ("create_episode", json!({"task": "t"})),
        ("add_episode_step", json!({"episode_id": open, "tool": "t"})),
        ("complete_episode", json!({"episode_id": open, "outcome": "success"})),
        ("remember", json!({"text": "t"})),
        ("record_feedback", json!({"ids": [open], "verdict": "wrong"})),
        ("delete_episode", json!({"episode_id": open})),
        ("update_episode", json!({"episode_id": open, "task": "t"})),
        ("update_episode", json!({"episode_id": open, "task": "mend the fence"})),
        ("link_episodes", json!({"from": open, "to": other, "relation": "relates"})),
        ("link_episodes", json!({"from": open, "to": other, "relation": "relates", "remove": true})),
    ];
    for (tool, args) in changes {
        assert_eq!(reader.refused(tool, args)["kind"], "forbidden", "{tool}");
    }
    assert_eq!(web.call("get_episode", json!({"episode_id": open}))["state"], "open");
}

#[test]
fn an_answer_given_to_one_key_is_not_given_to_another() {
    let team = Team::new();
    let question = "when does the vault open";
    let mut all = team.start(&team.all);
    let note = all.call("remember", json!({"text": "the vault opens at nine", "domain": "api"}));
    // The answers that one process has kept are the next one's.
    for _ in 0..2 {
        assert_eq!(found(&mut all, question), [note["note_id"].as_str().unwrap()]);
        all.finish();
        let mut web = team.start(&team.web);
        assert_eq!(found(&mut web, question), [""; 0]);
        web.finish();
        all = team.start(&team.all);
    }
}

#[test]
fn health_is_that_of_the_own_domains_and_names_no_file() {
    let team = Team::new();
    let (mut web, mut all) = (team.start(&team.web), team.start(&team.all));
    web.call("remember", json!({"text": "ours"}));
    for n in 0..3 {
        all.call("remember", json!({"text": format!("theirs {n}"), "domain": "api"}));
    }
    let own = web.call("health_check", json!({"detailed": true}));
    assert_eq!(own["status"], "ok");
    assert_eq!(own["metrics"]["store"]["notes"], 1);
    for hidden in ["search", "cache", "process"] {
        assert_eq!(own["metrics"][hidden], Value::Null);
    }
    assert!(!own.to_string().contains(&*team.home.data().to_string_lossy()), "{own}");
    let whole = all.call("health_check", json!({"detailed": true}));
    assert_eq!(whole["metrics"]["store"]["notes"], 4);
    assert!(whole["metrics"]["process"]["tools"]["remember"]["calls"].is_u64());
}
