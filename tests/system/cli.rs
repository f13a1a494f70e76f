//! The command line, as a person uses it.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::server::{Home, PROGRAM, Server, Watchdog, run, settle, signal, wait_until};

#[test]
fn help_names_every_command_and_every_variable_of_the_environment() {
    let home = Home::new();
    let ran = home.run(&["--help"]);
    assert_eq!(ran.code, Some(0));
    for named in [
        "demo",
        "query",
        "import",
        "extractor",
        "jobs",
        "relearn",
        "forget",
        "health",
        "config",
        "completions",
        "MEMORY_MCP_CONFIG",
        "MEMORY_MCP_DATA_DIR",
        "MEMORY_MCP_HIGH_SUCCESS",
        "MEMORY_MCP_LOG",
        "claude mcp add",
    ] {
        assert!(ran.stdout.contains(named), "{named} in {}", ran.stdout);
    }
    for command in ["demo", "query", "import", "extractor", "jobs", "relearn", "forget", "health"] {
        let ran = home.run(&[command, "--help"]);
        assert_eq!(ran.code, Some(0));
        assert!(ran.stdout.contains("Usage: "), "{}", ran.stdout);
    }
    let ran = home.run(&["import", "jsonl", "--help"]);
    for field in ["id", "task", "steps", "tool", "success", "outcome", "started_at"] {
        assert!(ran.stdout.contains(field), "the format is explained: {}", ran.stdout);
    }
    let version = home.run(&["--version"]);
    assert_eq!(version.stdout, format!("memory-mcp {}\n", env!("CARGO_PKG_VERSION")));
    let unknown = home.run(&["remembr"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("remembr"), "{}", unknown.stderr);
    assert!(!home.data().exists(), "asking for help creates nothing");
}

#[test]
fn query_shows_what_an_agent_would_be_told() {
    let home = Home::new();
    let nothing = home.run(&["query", "flaky test in checkout"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(0), "Nothing relevant is known.\n"));
    let mut server = home.start();
    let steps =
        json!([{"tool": "pytest", "error": "Error: port 80 in use"}, {"tool": "kill"}, {"tool": "pytest"}]);
    server.call(
        "create_episode",
        json!({"task": "Repair the flaky test in checkout", "domain": "coding.python", "project": "shop",
               "steps": steps, "outcome": "success", "summary": "A server was left running."}),
    );
    server.learned();
    let told = server.call("query_memory", json!({"query": "flaky test in checkout"}));
    // With the server still running, as it usually is.
    let ran = home.run(&["query", "flaky test in checkout"]);
    assert_eq!(ran.code, Some(0));
    for shown in [
        "Repair the flaky test in checkout",
        "success",
        "A server was left running.",
        "pytest → kill → pytest",
        told["hits"][0]["id"].as_str().unwrap(),
    ] {
        assert!(ran.stdout.contains(shown), "{shown} in {}", ran.stdout);
    }
    assert_eq!(home.run(&["query", "--json", "flaky test in checkout"]).json(), told);
    for filter in [["--domain", "coding.rust"], ["--project", "warehouse"]] {
        let ran = home.run(&["query", "flaky test in checkout", filter[0], filter[1]]);
        assert!(!ran.stdout.contains("A server was left running."), "{filter:?}: {}", ran.stdout);
    }
    let ran = home.run(&["query", "flaky", "--limit", "51"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("from 1 to 50"), "{}", ran.stderr);
    let blank = home.run(&["query", " "]);
    assert_eq!(blank.code, Some(1));
    assert!(blank.stderr.contains("`query` is empty"), "{}", blank.stderr);
}

#[test]
fn health_says_what_is_stored_and_fails_where_it_should() {
    let home = Home::new();
    let mut server = home.start();
    server.call("remember", json!({"text": "A note"}));
    let ran = home.run(&["health"]);
    assert_eq!(ran.code, Some(0));
    for shown in ["ok", "database", "queue", "cache", "1 notes", home.data().to_str().unwrap()] {
        assert!(ran.stdout.contains(shown), "{shown} in {}", ran.stdout);
    }
    assert_eq!(home.health()["metrics"]["store"]["notes"], 1);
    assert_eq!(server.finish().1, Some(0));
    // A page that nothing reads before everything is looked through is overwritten: a leaf (10) of an index of notes.
    let mut bytes = std::fs::read(home.database()).unwrap();
    let is_of_notes = |page: &&mut [u8]| page[0] == 10 && page.windows(6).any(|text| text == b"A note");
    bytes.chunks_exact_mut(4_096).find(is_of_notes).unwrap().fill(0xAA);
    std::fs::write(home.database(), bytes).unwrap();
    let ran = home.run(&["health", "--detailed"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("damaged"), "{ran:?}");
}

#[test]
fn a_filter_for_the_log_that_makes_no_sense_is_refused_with_its_variable() {
    let home = Home::new();
    for wrong in ["=loud=,", "debg"] {
        let ran = run(home.command().args(["health", "--json"]).env("MEMORY_MCP_LOG", wrong), b"");
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(
            ran.stderr.contains("MEMORY_MCP_LOG: found") && ran.stderr.contains("debug or trace"),
            "{ran:?}"
        );
    }
}

#[test]
fn the_data_directory_can_be_given_as_an_argument_too() {
    let home = Home::new();
    let other = home.beside("elsewhere");
    let ran = run(home.command().arg("health").arg("--data-dir").arg(&other), b"");
    assert!(ran.stdout.contains(other.to_str().unwrap()), "{}", ran.stdout);
    assert!(other.join("memory.db").exists() && !home.data().exists());
}

#[test]
fn a_data_directory_may_have_any_name_that_is_utf8() {
    let home = Home::new();
    for name in ["with space", "q?mode=ro", "a%20b#c", "ünï 'c' \"o\" dé", "new\nline", "file:x"] {
        let other = home.beside(name);
        for known in [false, true] {
            let ran = run(home.command().args(["query", "anything known", "--data-dir"]).arg(&other), b"");
            assert_eq!(ran.code, Some(0), "{name}: {ran:?}");
            assert_eq!(ran.stdout.contains("anything known"), known, "{name}: {ran:?}");
            let line = json!({"id": "1", "task": "anything known"}).to_string();
            run(home.command().args(["import", "jsonl", "-", "--data-dir"]).arg(&other), line.as_bytes());
        }
        assert!(other.join("memory.db").exists(), "{name}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_data_directory_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let home = Home::new();
    let mut name = home.data().into_os_string().into_vec();
    name.push(0xFF);
    let directory = std::path::PathBuf::from(std::ffi::OsString::from_vec(name));
    let ran = run(home.command().arg("health").arg("--data-dir").arg(&directory), b"");
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("UTF-8") && ran.stderr.contains("--data-dir"), "{}", ran.stderr);
    assert!(!directory.exists());
}

#[test]
fn output_that_nobody_reads_to_its_end_is_no_error() {
    let home = Home::new();
    for arguments in [&["query", "anything"][..], &["health"], &["query", "anything", "--json"]] {
        let mut command = home.command();
        let mut child =
            command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let _watched = Watchdog::over(child.id());
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap()), (Some(0), String::new()));
    }
}

#[test]
fn the_demo_runs_to_its_end_and_leaves_nothing_behind() {
    let home = Home::new();
    let scratch = home.beside("tmp");
    std::fs::create_dir(&scratch).unwrap();
    let ran = run(home.command().arg("demo").env("TMPDIR", &scratch).env("TMP", &scratch), b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for shown in
        ["real runs", "Learned", "runs: success rate", "known: false", "After a restart it still knows"]
    {
        assert!(ran.stdout.contains(shown), "{shown} in {}", ran.stdout);
    }
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0, "what was temporary is gone");
    assert!(!home.data().exists(), "the memory of its user was not touched");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_server_in_good_order() {
    for name in ["TERM", "INT"] {
        let home = Home::new();
        let mut server = home.start();
        let id = server.call("create_episode", json!({"task": "Told to stop"}))["episode_id"].take();
        server.call("get_episode", json!({"episode_id": id}));
        signal(name, server.pid());
        // Its input is still open: it ends because it was told to.
        assert_eq!(server.receive(), None);
        assert_eq!(server.finish().1, Some(0), "{name}");
        let log = home.data().join("memory.db-wal");
        assert!(
            std::fs::metadata(log).map_or(0, |log| log.len()) == 0,
            "the log was moved into the database"
        );
        let mut next = home.start();
        assert_eq!(next.call("get_episode", json!({"episode_id": id}))["task"], "Told to stop");
        assert_eq!(
            next.call("health_check", json!({}))["metrics"]["cache"]["hits"],
            1,
            "the cache was saved"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_before_the_first_request_ends_it_too() {
    const SIGTERM: u32 = 15;
    let home = Home::new();
    let mut server = Server::spawn(&mut home.command());
    let status = format!("/proc/{}/status", server.pid());
    wait_until("it listens for signals", || {
        let status = std::fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
        u64::from_str_radix(caught, 16).unwrap() & (1 << (SIGTERM - 1)) != 0
    });
    signal("TERM", server.pid());
    assert_eq!(server.receive(), None);
    assert_eq!(server.finish().1, Some(0));
}

#[test]
fn a_client_that_stops_listening_does_not_keep_it() {
    let home = Home::new();
    let mut command = home.command();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let _watched = Watchdog::over(child.id());
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    let client = json!({"name": "test", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    writeln!(input, "{}", json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}))
        .unwrap();
    // It may be gone by now; if not, it goes at the end of the input.
    let _ = writeln!(input, "{}", json!({"jsonrpc": "2.0", "id": 2, "method": "ping"}));
    drop(input);
    assert!(child.wait().unwrap().code().is_some(), "it was not killed by a signal or the deadline");
}

/// A pseudo-terminal comes from util-linux's `script`.
#[cfg(target_os = "linux")]
#[test]
fn a_start_from_a_terminal_explains_how_to_connect() {
    let home = Home::new();
    let mut script = Command::new("script");
    settle(&mut script, &home.data());
    script.args(["--quiet", "--return", "--command", PROGRAM, "/dev/null"]);
    if let Err(error) = Command::new("script").arg("--version").output() {
        eprintln!("SKIPPED: no pseudo-terminal without `script`: {error}");
        return;
    }
    // Ctrl-D, as the text says.
    let ran = run(&mut script, b"\x04");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for shown in [
        "claude mcp add memory",
        "opencode.json",
        ".cursor/mcp.json",
        ".vscode/mcp.json",
        ".codex/config.toml",
        "Ctrl-D",
        home.data().to_str().unwrap(),
    ] {
        assert!(ran.stdout.contains(shown), "{shown} in {}", ran.stdout);
    }
    // Not on a terminal it says nothing.
    assert_eq!(run(&mut home.command(), b"").stderr, "");
}

/// Clients pass on what their configuration leaves blank.
#[test]
fn an_empty_data_directory_is_one_that_was_not_named() {
    let home = Home::new();
    let mut command = home.command();
    command
        .env("MEMORY_MCP_DATA_DIR", "")
        .env("HOME", home.beside("home"))
        .env("XDG_DATA_HOME", home.beside("data"));
    let ran = run(command.args(["health", "--json"]), b"");
    assert_eq!((ran.code, ran.json()["status"].as_str()), (Some(0), Some("ok")));
}
