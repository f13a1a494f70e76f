//! Settings: where they come from, what is said of wrong ones, and how they change while the server runs.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::server::{Home, Ran, Server, failed, run, signal, succeeded, wait_until};

/// A configuration file beside the data directory, and the program with it.
struct Configured {
    home: Home,
    path: PathBuf,
}

impl Configured {
    fn new(text: impl AsRef<[u8]>) -> Self {
        let home = Home::new();
        let path = home.beside("config.toml");
        std::fs::write(&path, text).unwrap();
        Self { home, path }
    }

    fn start(&self) -> Server {
        Server::start(self.home.command().arg("--config").arg(&self.path))
    }

    fn check(&self) -> Ran {
        self.home.run(&["config", "check", self.path.to_str().unwrap()])
    }

    /// Replaces the file as most editors do.
    fn replace(&self, text: &str) {
        let new = self.home.beside("config.toml.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, &self.path).unwrap();
    }
}

fn health(server: &mut Server) -> Value {
    server.call("health_check", json!({"detailed": true}))
}

fn wait_for(server: &mut Server, key: &str, value: &Value) -> Value {
    let mut told = Value::Null;
    wait_until(&format!("{key} is {value}"), || {
        told = health(server);
        told["configuration"]["live"][key] == *value
    });
    told
}

/// Line and column, and words that follow them.
type Said = &'static [(&'static str, &'static str)];

/// What is wrong with a file, and what must be said of it: line, column, and words.
const WRONG: &[(&[u8], Said)] = &[
    (b"data_dir = 3", &[("1:12", "data_dir: found 3, expected a directory")]),
    (
        b"[learning]\nhigh_success = \"most\"",
        &[("2:16", "learning.high_success: found \"most\", expected a number from 0 to 1")],
    ),
    (b"[learning]\r\nhigh_success = 1.5\r\n", &[("2:16", "found 1.5, expected a number from 0 to 1")]),
    (b"\xEF\xBB\xBF[learning]\nhigh_success = nan", &[("2:16", "found nan")]),
    (b"\xEF\xBB\xBFdata_dir = 3", &[("1:12", "data_dir: found 3")]),
    (b"learning = { high_success = [0.5] }", &[("1:29", "found a list")]),
    (b"[log]\nfilter = \"debg\"", &[("2:10", "found \"debg\", expected off, error, warn, info, debug or trace")]),
    (b"[log]\nfilter = { a = 1 }", &[("2:10", "found a table")]),
    (b"log = \"warn\"", &[("1:7", "log: found \"warn\", expected a table")]),
    (b"[tools]\nlevel = \"novice\"", &[("2:9", "\"beginner\", \"intermediate\", \"advanced\" or \"expert\"")]),
    (b"[limits]\nreads_per_second = 0", &[("2:20", "found 0, expected a whole number from 1 to")]),
    (b"[limits]\nreads_per_second = 99999999999999999999999", &[("2:20", "found 99999999999999999999999")]),
    (b"[limits]\nreads_per_second = -5", &[("2:20", "found -5")]),
    (b"[limits]\nreads_per_second = 2.5", &[("2:20", "found 2.5")]),
    (b"[http]\naddress = \"localhost\"", &[("2:11", "expected an address and port")]),
    (b"[http]\nallowed_hosts = [\"a\", 7]", &[("2:23", "http.allowed_hosts: found 7, expected a text")]),
    (b"high_succes = 0.5", &[("1:1", "there is no setting \"high_succes\"; did you mean learning.high_success?")]),
    (b"[learning]\nhigh-success = 0.5", &[("2:1", "did you mean learning.high_success?")]),
    (b"[lerning]\nx = 1", &[("1:2", "there is no setting \"lerning\"; did you mean learning?")]),
    (b"[zzz]\nx = 1", &[("1:2", "there is no setting \"zzz\"\n")]),
    // Columns count characters.
    (
        "log = { filter = \"warn,\u{fc}\u{fc}=x\" } # \u{fc}\nl\u{f6}g = 1".as_bytes(),
        &[("1:18", "log.filter"), ("2:2", "invalid unquoted key")],
    ),
    (b"[log\nfilter = \"warn\"", &[("1:5", "unclosed table")]),
    (b"[log]\nfilter = = \"warn\"", &[("2:10", "extra `=`")]),
    (b"[log]\nfilter = \"warn\"\nfilter = \"info\"", &[("3:1", "duplicate key")]),
    (b"[log]\nfilter = \"warn", &[("2:15", "invalid basic string")]),
    (
        b"[[auth.keys]]\nname = \"ci\"\nhash = 7\nacess = \"read\"\n",
        &[
            ("1:1", "domains is missing"),
            ("1:1", "access is missing, expected \"read\" or \"read_write\""),
            ("3:8", "hash is wrong"),
            ("4:1", "unknown field \"acess\""),
        ],
    ),
    // Several at once, in the order of the file.
    (
        b"data_dir = true\n[log]\nfilter = 1\nlevel = 2\n[learning]\nhigh_success = 2\n[sandbox\nmemory_mib = 1\n",
        &[
            ("1:12", "data_dir: found true"),
            ("3:10", "log.filter: found 1"),
            ("4:1", "there is no setting \"log.level\""),
            ("6:16", "learning.high_success: found 2"),
            ("7:9", "unclosed table"),
        ],
    ),
];

#[test]
fn everything_wrong_with_a_file_is_said_with_its_place() {
    let configured = Configured::new("");
    let path = configured.path.to_str().unwrap();
    for (text, expected) in WRONG {
        std::fs::write(&configured.path, text).unwrap();
        let ran = configured.check();
        let text = String::from_utf8_lossy(text);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{text}: {ran:?}");
        let mut from = 0;
        for (place, words) in *expected {
            let lines: Vec<&str> = ran.stderr.split_inclusive('\n').collect();
            let said = lines[from..]
                .iter()
                .position(|line| line.starts_with(&format!("{path}:{place}: ")) && line.contains(words));
            from += said.unwrap_or_else(|| panic!("{place} {words}\nin {}\nof {text}", ran.stderr));
        }
        // The server refuses it, too, before it does anything.
        let refused = configured.home.run(&["--config", path, "health"]);
        assert_eq!(refused.code, Some(2), "{text}: {refused:?}");
        assert!(refused.stderr.contains(expected[0].1.trim_end()), "{refused:?}");
    }
    assert!(!configured.home.data().exists());
}

#[test]
fn a_key_is_never_quoted() {
    for text in [
        "[auth]\nkeys = \"mmk_sesame\"",
        "[auth]\nkeys = [\"mmk_sesame\"]",
        "[[auth.keys]]\nname = \"ci\"\nhash = [\"mmk_sesame\"]\n",
        "[[auth.keys]]\nname = \"ci\"\nhash = \"mmk_sesame\"\ndomains = [\"*\"]\naccess = \"read\"\n",
    ] {
        let configured = Configured::new(text);
        let path = configured.path.to_str().unwrap();
        let ran = configured.home.run(&["--config", path, "config", "show", "--json"]);
        assert!(!format!("{ran:?}").contains("sesame"), "{ran:?}");
        assert_ne!(ran.code, Some(0), "{ran:?}");
    }
}

#[test]
fn what_is_no_file_of_settings_is_refused_and_an_empty_one_is_right() {
    let refused = |configured: &Configured, words: &str| {
        let ran = configured.check();
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.starts_with(configured.path.to_str().unwrap()), "{ran:?}");
        assert!(ran.stderr.contains(words), "{ran:?}");
    };
    refused(&Configured::new(b"[log]\n# \xFF"), "it is not UTF-8 from line 2 on");
    refused(&Configured::new("#".repeat(300 * 1024)), "it is larger than 256 KiB");
    // Nobody reads sixty thousand mistakes, or waits for them.
    refused(&Configured::new("a=1\n".repeat(60_000)), "more");
    let configured = Configured::new("");
    std::fs::remove_file(&configured.path).unwrap();
    let ran = configured.check();
    assert!(ran.code == Some(1) && ran.stderr.starts_with("--config: there is no file"), "{ran:?}");
    std::fs::create_dir(&configured.path).unwrap();
    refused(&configured, "it is a directory");
    for right in
        [&b""[..], b"\xEF\xBB\xBF", b"\r\n# nothing\r\n", b"\xEF\xBB\xBF[log]\r\nfilter = \"info\"\r\n"]
    {
        let configured = Configured::new(right);
        assert_eq!(configured.check().code, Some(0), "{right:?}");
        assert_eq!(configured.start().finish().1, Some(0));
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_is_refused_and_a_pipe_is_not_waited_for() {
    use std::os::unix::fs::PermissionsExt;
    let configured = Configured::new("");
    std::fs::set_permissions(&configured.path, PermissionsExt::from_mode(0o0)).unwrap();
    // Whoever may read everything reads this, too.
    if std::fs::read(&configured.path).is_err() {
        let ran = configured.check();
        assert!(ran.code == Some(1) && ran.stderr.contains("Permission denied"), "{ran:?}");
    } else {
        eprintln!("SKIPPED: this user may read every file");
    }
    std::fs::remove_file(&configured.path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&configured.path).status().unwrap();
    assert!(made.success());
    let ran = configured.check();
    assert!(ran.code == Some(1) && ran.stderr.contains("no regular file"), "{ran:?}");
}

#[test]
fn wrong_variables_and_flags_are_named_together_with_the_file() {
    let configured = Configured::new("[log]\nfilter = 7\n");
    let mut command = configured.home.command();
    command.args(["--high-success=2", "config", "check"]).env("MEMORY_MCP_CONFIG", &configured.path);
    command.env("MEMORY_MCP_LOG", "=loud=,").env("MEMORY_MCP_LIMITS_READS_PER_SECOND", "many");
    let ran = run(&mut command, b"");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for said in [
        "config.toml:2:10: log.filter: found 7",
        "\nMEMORY_MCP_LOG: found \"=loud=,\", expected off",
        "\n--high-success: found 2, expected a number from 0 to 1",
        "\nMEMORY_MCP_LIMITS_READS_PER_SECOND: found \"many\", expected a whole number",
    ] {
        assert!(ran.stderr.contains(said), "{said} in {}", ran.stderr);
    }
    // A variable that is nearly one of ours is a misspelling, any other may be somebody else's.
    let home = Home::new();
    let mut command = home.command();
    command.args(["config", "check"]).env("MEMORY_MCP_HIGH_SUCESS", "1").env("MEMORY_MCP_SOMETHING", "1");
    let ran = run(&mut command, b"");
    let said = "MEMORY_MCP_HIGH_SUCESS sets nothing; did you mean MEMORY_MCP_HIGH_SUCCESS?\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), said));
}

/// What `config show` says of a setting: value and where it comes from.
fn shown(ran: &Ran, key: &str) -> (Value, Value) {
    let json = ran.json();
    let entry = json.as_array().unwrap().iter().find(|entry| entry["key"] == key).unwrap();
    let origin = entry["origin"].as_str().unwrap();
    let detail = if origin == "file" { &entry["line"] } else { &entry["name"] };
    (entry["value"].clone(), json!([origin, detail]))
}

#[test]
fn a_flag_comes_before_a_variable_before_the_file_before_the_default() {
    let configured = Configured::new("# mine\n[learning]\nhigh_success = 0.3\n");
    let show = |file: &str, variable: Option<&str>, flags: &[&str]| {
        let mut command = configured.home.command();
        command.env("MEMORY_MCP_CONFIG", file);
        if let Some(variable) = variable {
            command.env("MEMORY_MCP_HIGH_SUCCESS", variable);
        }
        let ran = run(command.args(flags).args(["config", "show", "--json"]), b"");
        shown(&ran, "learning.high_success")
    };
    let file = configured.path.to_str().unwrap();
    let flag = &["--high-success=0.5"][..];
    assert_eq!(show("", None, &[]), (json!(0.7), json!(["default", null])));
    assert_eq!(show(file, None, &[]), (json!(0.3), json!(["file", 3])));
    // What is blank was not given.
    assert_eq!(show(file, Some(""), &["--high-success="]), (json!(0.3), json!(["file", 3])));
    let of_variable = (json!(0.4), json!(["environment", "MEMORY_MCP_HIGH_SUCCESS"]));
    assert_eq!(show(file, Some("0.4"), &[]), of_variable);
    assert_eq!(show(file, Some("0.4"), flag), (json!(0.5), json!(["flag", "--high-success"])));
    assert_eq!(
        show(file, None, &["--config", "", "--high-success=0.5"]).1,
        json!(["flag", "--high-success"])
    );

    // A flag names another file than the variable; lists and long names of variables.
    let other = configured.home.beside("other.toml");
    std::fs::write(&other, "data_dir = \"mine\"\n").unwrap();
    let mut command = configured.home.command();
    command.env_remove("MEMORY_MCP_DATA_DIR").env("MEMORY_MCP_CONFIG", file);
    command
        .env("MEMORY_MCP_LEARNING_HIGH_SUCCESS", "0.6")
        .env("MEMORY_MCP_HTTP_ALLOWED_HOSTS", "a.example, b");
    let ran = run(command.arg("--config").arg(&other).args(["config", "show", "--json"]), b"");
    let of_variable = |name: &str| json!(["environment", format!("MEMORY_MCP_{name}")]);
    assert_eq!(shown(&ran, "learning.high_success"), (json!(0.6), of_variable("LEARNING_HIGH_SUCCESS")));
    assert_eq!(
        shown(&ran, "http.allowed_hosts"),
        (json!(["a.example", "b"]), of_variable("HTTP_ALLOWED_HOSTS"))
    );
    // From the folder of the file, wherever the program is started.
    assert_eq!(shown(&ran, "data_dir"), (json!(configured.home.beside("mine")), json!(["file", 1])));

    let ran = run(command.env("MEMORY_MCP_DATA_DIR", "~/elsewhere").env("HOME", "/home/somebody"), b"");
    assert_eq!(shown(&ran, "data_dir").0, "/home/somebody/elsewhere");
}

#[cfg(target_os = "linux")]
#[test]
fn the_usual_file_is_read_where_it_is_and_what_is_shown_is_a_file_that_says_the_same() {
    let home = Home::new();
    let path = home.run(&["config", "path"]).stdout.trim_end().to_owned();
    assert_eq!(path, home.beside("config/memory-mcp/config.toml").to_str().unwrap());
    let ran = home.run(&["config", "check"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "the configuration is right; there is no file\n"));
    std::fs::create_dir_all(home.beside("config/memory-mcp")).unwrap();
    std::fs::write(&path, "[tools]\nlevel = \"expert\"\n").unwrap();
    let ran = home.run(&["config", "show"]);
    assert!(ran.stdout.contains(&format!("\ntools.level = \"expert\"  # {path}:2\n")), "{ran:?}");
    assert!(ran.stdout.contains("\nlearning.high_success = 0.7  # default\n"), "{ran:?}");
    let copy = home.beside("copy.toml");
    std::fs::write(&copy, &ran.stdout).unwrap();
    let values = |ran: &Ran| -> Vec<(Value, Value)> {
        let json = ran.json();
        json.as_array().unwrap().iter().map(|entry| (entry["key"].clone(), entry["value"].clone())).collect()
    };
    let of_copy = home.run(&["--config", copy.to_str().unwrap(), "config", "show", "--json"]);
    assert_eq!(values(&of_copy), values(&home.run(&["config", "show", "--json"])));
}

#[test]
fn a_change_of_the_file_takes_effect_however_it_is_made() {
    let configured = Configured::new("[learning]\nhigh_success = 0.1\n");
    let mut server = configured.start();
    let told = wait_for(&mut server, "learning.high_success", &json!(0.1));
    assert_eq!((&told["configuration"]["loads"], &told["alerts"]), (&json!(1), &json!([])));
    assert_eq!(told["configuration"]["file"], configured.path.to_str().unwrap());
    configured.replace("[learning]\nhigh_success = 0.2\n");
    wait_for(&mut server, "learning.high_success", &json!(0.2));
    std::fs::write(&configured.path, "[learning]\nhigh_success = 0.3\n[log]\nfilter = \"debug\"\n").unwrap();
    wait_for(&mut server, "learning.high_success", &json!(0.3));
    // The log listens.
    wait_until("calls are logged", || {
        server.call("health_check", json!({}));
        server.log().contains("DEBUG mcp_server::server: called")
    });
    // An older file that is put back with its old date and the same size.
    configured.replace("[learning]\nhigh_success = 0.2\n");
    let old = std::process::Command::new("touch").args(["-d", "2001-01-01"]).arg(&configured.path).status();
    assert!(old.unwrap().success());
    let told = wait_for(&mut server, "learning.high_success", &json!(0.2));
    assert_eq!(told["configuration"]["live"]["log.filter"], "warn,rmcp=error");
    assert_eq!(server.finish(), (vec![], Some(0)));
}

#[test]
fn what_programs_may_use_and_know_changes_with_the_file() {
    let configured = Configured::new("");
    let mut server = configured.start();
    let mut run = |code: &str| server.call("execute_code", json!({"code": code}));
    assert_eq!(run("Date.now()")["value"], 0);
    let chance = run("Math.random()")["value"].take();
    assert_eq!(run("Math.random()")["value"], chance, "the same in every run");
    configured.replace("[sandbox]\nclock = true\nrandomness = true\noutput_kib = 1\n");
    wait_until("programs know the time", || run("Date.now()")["value"].as_f64() > Some(1.6e12));
    assert_ne!(run("Math.random()")["value"], chance);
    assert_eq!(run("'x'.repeat(2000)")["stopped"]["reason"], "output");
    configured.replace("[sandbox]\nclock = false\n");
    wait_until("programs do not know the time", || run("Date.now()")["value"] == 0);
    assert_eq!(run("'x'.repeat(2000)")["stopped"], Value::Null);
}

#[cfg(unix)]
#[test]
fn a_wrong_file_changes_nothing_and_is_an_alert_until_it_is_right() {
    let configured = Configured::new("[learning]\nhigh_success = 0.1\n");
    let mut server = configured.start();
    let pid = server.pid();
    let seen = |server: &mut Server, what: &str, done: &dyn Fn(&Value) -> bool| {
        let mut told = Value::Null;
        wait_until(what, || {
            told = health(server);
            done(&told)
        });
        told
    };
    let count = |times: u64| move |told: &Value| told["alerts"][0]["count"] == times;

    configured.replace("[learning]\nhigh_success = 0.2\nhigh_succes = 1\n[log]\nfilter = 3\n");
    signal("HUP", pid);
    let told = seen(&mut server, "it is an alert", &count(1));
    assert_eq!((&told["status"], &told["alerts"][0]["kind"]), (&json!("degraded"), &json!("configuration")));
    let message = told["alerts"][0]["message"].as_str().unwrap();
    for said in
        ["config.toml:3:1: there is no setting", "config.toml:5:10: log.filter: found 3", "stay in effect"]
    {
        assert!(message.contains(said), "{message}");
    }
    assert_eq!(told["configuration"]["live"]["learning.high_success"], 0.1);
    assert!(server.log().contains("config.toml:5:10: log.filter: found 3"), "{}", server.log());
    signal("HUP", pid);
    let again = seen(&mut server, "it is seen again", &count(2));
    assert_eq!(again["alerts"][0]["first_seen"], told["alerts"][0]["first_seen"]);
    // By another message the alert is what is wrong now.
    std::fs::remove_file(&configured.path).unwrap();
    let gone = seen(&mut server, "the file is gone", &|told| {
        told["alerts"][0]["message"].as_str().unwrap().contains("there is no file")
    });
    assert_eq!(gone["configuration"]["live"]["learning.high_success"], 0.1);

    configured.replace("[learning]\nhigh_success = 0.4\n");
    let told = wait_for(&mut server, "learning.high_success", &json!(0.4));
    assert_eq!((&told["status"], &told["alerts"]), (&json!("ok"), &json!([])));
    // What cannot change now is said to wait, until the file says again what is in effect.
    let elsewhere = configured.home.beside("elsewhere");
    configured.replace(&format!("[learning]\nhigh_success = 0.5\n[model]\ndir = {elsewhere:?}\n"));
    signal("HUP", pid);
    let told = wait_for(&mut server, "learning.high_success", &json!(0.5));
    assert_eq!(told["configuration"]["at_next_start"], json!(["model.dir"]));
    assert!(server.log().contains("model.dir was changed: it takes effect at the next start"));
    configured.replace("[learning]\nhigh_success = 0.6\n");
    let told = wait_for(&mut server, "learning.high_success", &json!(0.6));
    assert_eq!(told["configuration"]["at_next_start"], json!([]));
    assert_eq!(server.finish(), (vec![], Some(0)));
}

#[cfg(target_os = "linux")]
#[test]
fn the_usual_file_may_come_later_and_its_loss_does_not_open_what_it_closed() {
    let home = Home::new();
    let mut server = home.start();
    assert_eq!(health(&mut server)["configuration"]["file"], Value::Null);
    let folder = home.beside("config/memory-mcp");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), "[learning]\nhigh_success = 0.2\n").unwrap();
    let told = wait_for(&mut server, "learning.high_success", &json!(0.2));
    assert_eq!(told["configuration"]["file"], folder.join("config.toml").to_str().unwrap());
    std::fs::remove_dir_all(&folder).unwrap();
    wait_until("it is an alert", || {
        let told = health(&mut server);
        assert_eq!(told["configuration"]["live"]["learning.high_success"], 0.2);
        told["alerts"][0]["message"].as_str().is_some_and(|message| message.contains("is gone"))
    });
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), "[learning]\nhigh_success = 0.2\n").unwrap();
    wait_until("it is resolved", || health(&mut server)["alerts"] == json!([]));
}

/// A file of which every setting says which one it is.
fn generation(number: u64) -> String {
    let rate = 100_000 + number;
    format!(
        "[log]\nfilter = \"warn,r{number}=error\"\n[learning]\nhigh_success = {}\n[limits]\n\
         reads_per_second = {rate}\nwrites_per_second = {rate}\n",
        number % 2
    )
}

/// The generation that an answer of `health_check` shows, which must be one and the same in all settings.
fn whole(health: &Value) -> u64 {
    let live = &health["configuration"]["live"];
    let number = live["limits.reads_per_second"].as_u64().unwrap() - 100_000;
    assert_eq!(live["limits.writes_per_second"], 100_000 + number, "torn: {live}");
    assert_eq!(live["log.filter"], format!("warn,r{number}=error"), "torn: {live}");
    assert_eq!(live["learning.high_success"].as_f64(), Some((number % 2) as f64), "torn: {live}");
    number
}

#[cfg(unix)]
#[test]
fn a_thousand_reloads_under_load_drop_no_call_and_tear_no_value() {
    const RELOADS: u64 = 1_000;
    let configured = Configured::new(generation(0));
    let mut server = configured.start();
    let steps = json!([{"tool": "plan"}, {"tool": "stage"}, {"tool": "release"}]);
    let run = json!({"task": "Deploy it", "steps": steps, "outcome": "success"});
    server.call("create_episode", run);
    server.learned();
    let pid = server.pid();
    let mut answered = 0;
    let mut last = 0;
    for number in 1..=RELOADS {
        configured.replace(&generation(number));
        let mut open = HashSet::new();
        let mut post = |server: &mut Server, tool: &str, arguments: Value| {
            open.insert(server.post("tools/call", json!({"name": tool, "arguments": arguments})));
        };
        post(&mut server, "query_memory", json!({"query": "deploy it"}));
        post(&mut server, "list_patterns", json!({}));
        post(&mut server, "health_check", json!({"detailed": true}));
        signal("HUP", pid);
        post(&mut server, "remember", json!({"text": format!("Note {number}")}));
        post(&mut server, "list_patterns", json!({}));
        post(&mut server, "get_episode", json!({"episode_id": "nonsense"}));
        post(&mut server, "health_check", json!({"detailed": true}));
        while !open.is_empty() {
            let answer = server.receive().expect("an answer");
            // A client whose level has risen is told so, once or twice.
            if answer["method"] == "notifications/tools/list_changed" {
                continue;
            }
            assert!(open.remove(&answer["id"].as_u64().unwrap()), "twice or unasked: {answer}");
            answered += 1;
            if answer["result"]["isError"] == true {
                assert_eq!(failed(&answer)["kind"], "invalid_arguments");
                continue;
            }
            let told = succeeded(&answer);
            if told["configuration"].is_object() {
                last = last.max(whole(&told));
            }
            if let Some(patterns) = told["patterns"].as_array() {
                assert!(patterns.len() > 2, "{told}");
                let high: HashSet<bool> =
                    patterns.iter().map(|pattern| pattern["high_success"].as_bool().unwrap()).collect();
                assert_eq!(high.len(), 1, "half of the list is of another generation: {told}");
            }
        }
        // Each is taken up before the next one comes.
        wait_until("it is taken up", || {
            last = whole(&health(&mut server));
            last == number
        });
    }
    assert_eq!(answered, RELOADS * 7);
    let told = health(&mut server);
    assert!(told["configuration"]["loads"].as_u64().unwrap() > RELOADS);
    assert_eq!((&told["alerts"], &told["metrics"]["store"]["notes"]), (&json!([]), &json!(RELOADS)));
    assert_eq!(server.finish(), (vec![], Some(0)));
}

#[test]
fn the_shell_gets_completions_of_every_command() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = home.run(&["completions", shell]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        for command in ["query", "import", "config", "check", "data-dir"] {
            assert!(ran.stdout.contains(command), "{command} for {shell}");
        }
    }
    let mut list = String::new();
    writeln!(list, "{:?}", home.run(&["completions", "tcl"])).unwrap();
    assert!(list.contains("possible values: bash"), "{list}");
    assert!(!home.data().exists());
}
