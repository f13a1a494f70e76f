//! Storage that fails or is not what it should be: a full or read-only disk, a database of another version or none at
//! all, a useless cache.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::server::{Home, Ran, Server, failed, files, run};

/// A memory with some contents; the process that wrote it has ended.
fn filled() -> Home {
    let home = Home::new();
    let mut server = home.start();
    for number in 0..40 {
        let steps = json!([{"tool": "read", "observation": "lorem ipsum ".repeat(200)}, {"tool": "write"}]);
        let task = format!("Translate chapter {number}");
        server.call("create_episode", json!({"task": task, "steps": steps, "outcome": "success"}));
    }
    server.learned();
    assert_eq!(server.finish().1, Some(0));
    home
}

/// A start that must fail; returns what it said.
fn refused_start(ran: &Ran) -> &str {
    assert!(ran.code.is_some_and(|code| code != 0), "{ran:?}");
    assert_eq!(ran.stdout, "");
    let lines = ran.stderr.lines().filter(|line| line.starts_with("memory-mcp: ")).count();
    assert_eq!(lines, 1, "one line says what is wrong: {}", ran.stderr);
    &ran.stderr
}

/// The names and contents of the files in the data directory and below.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut contents: Vec<_> =
        files(directory).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    contents.sort();
    contents
}

#[test]
fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let home = filled();
    let mut bytes = fs::read(home.database()).unwrap();
    // SQLite's header keeps the schema version there, `PRAGMA user_version`.
    let known = u32::from_be_bytes(bytes[60..64].try_into().unwrap());
    let newer = known + 41;
    bytes[60..64].copy_from_slice(&newer.to_be_bytes());
    fs::write(home.database(), &bytes).unwrap();
    let before = contents(&home.data());
    for arguments in [&[][..], &["query", "anything"], &["health"], &["import", "jsonl", "-"]] {
        let ran = home.run(arguments);
        let said = refused_start(&ran);
        assert!(said.contains(&format!("schema version {newer}")), "{said}");
        assert!(said.contains(&format!("up to {known}")), "{said}");
        assert!(said.contains("update memory-mcp") && said.contains("memory.db"), "{said}");
    }
    let after = contents(&home.data());
    let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    assert_eq!(names(&after), names(&before));
    assert!(after == before, "nothing was touched");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    for garbage in
        [b"This is a diary, not a database. ".repeat(500), vec![0; 8_192], b"SQLite format 3\0".repeat(64)]
    {
        let home = Home::new();
        fs::create_dir(home.data()).unwrap();
        fs::write(home.database(), &garbage).unwrap();
        let ran = home.run(&[]);
        let said = refused_start(&ran);
        assert!(said.contains("damaged") && said.contains("memory.db"), "{said}");
        assert!(said.contains("restore it"), "it says what to do: {said}");
        assert!(fs::read(home.database()).unwrap() == garbage, "the file is as it was");
    }
}

#[test]
fn a_truncated_database_is_noticed_and_not_taken_for_a_new_one() {
    let home = filled();
    let whole = fs::read(home.database()).unwrap();
    for length in [100, 4_096, whole.len() / 2, whole.len() - 4_096] {
        fs::write(home.database(), &whole[..length]).unwrap();
        let ran = home.run(&["health", "--detailed"]);
        assert_eq!(ran.code, Some(1), "{length}: {ran:?}");
        let said = ran.stdout + &ran.stderr;
        assert!(said.contains("damaged"), "{length}: {said}");
    }
    fs::write(home.database(), &whole).unwrap();
    assert_eq!(home.health()["metrics"]["store"]["episodes"], 40, "the whole file is good");
}

#[test]
fn a_data_directory_that_is_a_file_is_named() {
    let home = Home::new();
    fs::write(home.data(), "a file").unwrap();
    let ran = home.run(&[]);
    let said = refused_start(&ran);
    assert!(said.contains(home.data().to_str().unwrap()) && said.contains("--data-dir"), "{said}");
    assert_eq!(fs::read_to_string(home.data()).unwrap(), "a file");
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_what_is_stored() {
    use std::os::unix::fs::PermissionsExt;
    let home = filled();
    let _running = home.start();
    let is_open = |path: &Path| fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0);
    assert!(!is_open(&home.data()), "neither its group nor others");
    let open: Vec<_> = files(&home.data()).into_iter().filter(|path| is_open(path)).collect();
    assert_eq!(open, Vec::<PathBuf>::new());
}

/// Something that may become of a cache file, and what it is called.
type Spoil<'a> = (&'a str, &'a dyn Fn(&Path));

#[test]
fn answers_do_not_depend_on_the_cache() {
    let home = filled();
    let question = json!({"query": "translate a chapter"});
    let ask = |server: &mut Server| {
        let answer = server.call("query_memory", question.clone());
        let id = &answer["hits"][0]["id"];
        let episode = server.call("get_episode", json!({"episode_id": id}));
        // The second time from the cache, where there is one.
        assert_eq!(server.call("query_memory", question.clone()), answer);
        assert_eq!(server.call("get_episode", json!({"episode_id": id})), episode);
        (answer, episode)
    };
    let usual = ask(&mut home.start());
    assert_eq!(usual.0["known"], true);
    let spoils: [Spoil<'_>; 5] = [
        ("deleted", &|_| {}),
        ("empty", &|cache| fs::write(cache, "").unwrap()),
        ("garbage", &|cache| fs::write(cache, "garbage ".repeat(10_000)).unwrap()),
        ("a directory", &|cache| fs::create_dir(cache).unwrap()),
        ("a directory with something in it", &|cache| {
            fs::create_dir(cache).unwrap();
            fs::write(cache.join("file"), "content").unwrap();
        }),
    ];
    for (name, spoil) in spoils {
        if fs::remove_file(home.cache()).is_err() {
            let _ = fs::remove_dir_all(home.cache());
        }
        spoil(&home.cache());
        let mut server = home.start();
        assert!(ask(&mut server) == usual, "{name}");
        assert_eq!(
            server.call("health_check", json!({}))["status"],
            "ok",
            "{name}: a cache is no part of the memory"
        );
        assert_eq!(server.finish().1, Some(0));
    }
    let _ = fs::remove_dir_all(home.cache());
    let mut holder = home.start();
    assert!(ask(&mut holder) == usual);
    let mut other = home.start();
    assert!(ask(&mut other) == usual, "held by another process");
    fs::remove_file(home.cache()).unwrap();
    assert!(ask(&mut holder) == usual, "deleted while it was held");
    other.call("create_episode", json!({"task": "Translate a chapter"}));
    assert!(ask(&mut holder) != usual, "and what is new is seen");
    assert_eq!((holder.finish().1, other.finish().1), (Some(0), Some(0)));
}

/// A small disk of one's own: a tmpfs in a mount namespace that ends with it.
#[cfg(target_os = "linux")]
mod disk {
    use std::io::{BufRead, BufReader, Write};
    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};

    use tempfile::TempDir;

    use crate::server::{PROGRAM, settle};

    pub(super) struct Disk {
        /// A process that does nothing but keep the namespace.
        holder: Child,
        /// Whether the namespace of users is its own too, as somebody who is not root needs it.
        of_user: bool,
        place: TempDir,
    }

    impl Disk {
        /// Mounts it; prints why if that cannot be done here.
        pub(super) fn mount(megabytes: u32) -> Option<Self> {
            let mut reasons = Vec::new();
            for of_user in [true, false] {
                match Self::try_mount(megabytes, of_user) {
                    Ok(disk) => return Some(disk),
                    Err(reason) => reasons.push(reason),
                }
            }
            eprintln!("SKIPPED: no disk could be mounted: {}", reasons.join("; ").replace('\n', " "));
            None
        }

        fn try_mount(megabytes: u32, of_user: bool) -> Result<Self, String> {
            let place = TempDir::new().unwrap();
            let script = "mount -t tmpfs -o size=$1m tmpfs \"$0\" && echo ready && exec cat";
            let mut holder = Command::new("unshare")
                .arg(if of_user { "-rm" } else { "-m" })
                .args(["sh", "-c", script])
                .arg(place.path())
                .arg(megabytes.to_string())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .map_err(|error| format!("unshare: {error}"))?;
            let mut line = String::new();
            BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
            if line.trim() == "ready" {
                return Ok(Self { holder, of_user, place });
            }
            drop(holder.stdin.take());
            Err(String::from_utf8_lossy(&holder.wait_with_output().unwrap().stderr).trim().to_owned())
        }

        fn enter(&self) -> Command {
            let mut command = Command::new("nsenter");
            command.args(["--target", &self.holder.id().to_string(), "--mount"]);
            if self.of_user {
                command.args(["--user", "--preserve-credentials"]);
            }
            command.arg("--");
            command
        }

        /// The program with its data directory on this disk.
        pub(super) fn command(&self) -> Command {
            let mut command = self.enter();
            command.arg(PROGRAM);
            settle(&mut command, &self.place.path().join("data"));
            command
        }

        /// Where a file of the disk can be reached from outside.
        fn reach(&self, name: &str) -> PathBuf {
            let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
            root.join(self.place.path().strip_prefix("/").unwrap()).join(name)
        }

        /// Leaves not one byte free.
        pub(super) fn fill(&self) {
            let mut ballast = std::fs::File::create(self.reach("ballast")).unwrap();
            for size in [65_536, 4_096, 1] {
                while ballast.write_all(&vec![b'x'; size]).is_ok() {}
            }
        }

        pub(super) fn free(&self) {
            std::fs::remove_file(self.reach("ballast")).unwrap();
        }

        pub(super) fn make_read_only(&self) {
            let remounted = self.enter().args(["mount", "-o", "remount,ro"]).arg(self.place.path()).status();
            assert!(remounted.unwrap().success());
        }
    }

    impl Drop for Disk {
        fn drop(&mut self) {
            let _ = self.holder.kill();
            let _ = self.holder.wait();
        }
    }
}

/// Sends notes until one is refused; returns the ids of the others and the error.
#[cfg(target_os = "linux")]
fn write_until_refused(server: &mut Server) -> (usize, Value) {
    for kept in 0..1_000 {
        let text = format!("note{kept} {}", "lorem ipsum ".repeat(5_000));
        let answer = server.ask("tools/call", json!({"name": "remember", "arguments": {"text": text}}));
        if answer["result"]["isError"] == true {
            return (kept, failed(&answer));
        }
    }
    panic!("a full disk holds no 60 MB");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported_and_survived() {
    let Some(disk) = disk::Disk::mount(12) else { return };
    let mut server = Server::start(&mut disk.command());
    let episodes: Vec<Value> = (0..20)
        .map(|n| {
            server.call("create_episode", json!({"task": format!("Archive box {n}")}))["episode_id"].take()
        })
        .collect();
    disk.fill();
    let (kept, error) = write_until_refused(&mut server);
    assert_eq!(error["kind"], "storage");
    assert!(error["message"].as_str().unwrap().contains("the disk is full; nothing was stored"), "{error}");
    let everything_is_there = |server: &mut Server, notes: usize| {
        for (number, id) in episodes.iter().enumerate() {
            let episode = server.call("get_episode", json!({"episode_id": id}));
            assert_eq!(episode["task"], format!("Archive box {number}"));
        }
        let answer = server.call("query_memory", json!({"query": "archive box", "limit": 50}));
        assert_eq!(
            answer["hits"].as_array().unwrap().len() + answer["omitted"].as_u64().unwrap_or(0) as usize,
            20
        );
        assert_eq!(server.call("health_check", json!({}))["metrics"]["store"]["notes"], notes);
    };
    everything_is_there(&mut server, kept);
    let long = "x".repeat(200_000);
    let writes = [
        ("create_episode", json!({"task": "More", "steps": [{"tool": "x", "observation": long}]})),
        ("add_episode_step", json!({"episode_id": episodes[0], "tool": "x", "observation": long})),
        (
            "complete_episode",
            json!({"episode_id": episodes[0], "outcome": "success", "summary": &long[..60_000]}),
        ),
    ];
    for (tool, arguments) in &writes {
        let error = server.refused(tool, arguments.clone());
        assert!(error["message"].as_str().unwrap().contains("the disk is full"), "{tool}: {error}");
    }
    everything_is_there(&mut server, kept);

    disk.free();
    for (tool, arguments) in writes {
        server.call(tool, arguments);
    }
    assert_eq!(server.finish().1, Some(0));
    let mut server = Server::start(&mut disk.command());
    let counts = server.call("health_check", json!({"detailed": true}));
    assert_eq!(
        (&counts["status"], &counts["metrics"]["store"]["episodes"]),
        (&json!("ok"), &json!(21)),
        "{counts}"
    );
    let completed = server.call("get_episode", json!({"episode_id": episodes[0]}));
    assert_eq!((&completed["state"], &completed["step_count"]), (&json!("completed"), &json!(1)));
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_that_is_ended_or_started_on_a_full_disk_loses_nothing() {
    let Some(disk) = disk::Disk::mount(12) else { return };
    let mut server = Server::start(&mut disk.command());
    let id = server.call("create_episode", json!({"task": "Archive the last box"}))["episode_id"].take();
    disk.fill();
    let (kept, _) = write_until_refused(&mut server);
    assert_eq!(server.finish().1, Some(0), "it ends as always");
    // Whether it can start without room is up to SQLite; if it cannot, it must say why.
    let ran = run(disk.command().args(["query", "the last box"]), b"");
    assert!(
        ran.stdout.contains("Archive the last box") || refused_start(&ran).contains("disk is full"),
        "{ran:?}"
    );
    disk.free();
    let mut server = Server::start(&mut disk.command());
    assert_eq!(server.call("get_episode", json!({"episode_id": id}))["task"], "Archive the last box");
    assert_eq!(server.call("health_check", json!({"detailed": true}))["metrics"]["store"]["notes"], kept);
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_was_full_from_the_start_is_named() {
    let Some(disk) = disk::Disk::mount(4) else { return };
    disk.fill();
    let ran = run(&mut disk.command(), b"");
    let said = refused_start(&ran);
    assert!(said.contains("full") || said.contains("No space left"), "{said}");
    disk.free();
    let ran = run(&mut disk.command(), b"");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "nothing half-made is in the way");
}

#[cfg(target_os = "linux")]
#[test]
fn a_read_only_disk_is_named() {
    let Some(disk) = disk::Disk::mount(12) else { return };
    let mut server = Server::start(&mut disk.command());
    server.call("remember", json!({"text": "Written in time"}));
    assert_eq!(server.finish().1, Some(0));
    disk.make_read_only();
    let ran = run(&mut disk.command(), b"");
    let said = refused_start(&ran);
    assert!(said.contains("read-only") && said.contains("memory.db"), "{said}");

    let Some(empty) = disk::Disk::mount(4) else { return };
    empty.make_read_only();
    let ran = run(&mut empty.command(), b"");
    let said = refused_start(&ran);
    assert!(said.contains("Read-only file system") && said.contains("--data-dir"), "{said}");
}
