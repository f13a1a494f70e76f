//! What is told names the files and the commit that have changed since it was recorded, in the work tree that the server
//! was started in.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::server::{Home, Server, texts};

const ONE: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";
const TWO: &str = "1a1b2c3d4e5f60718293a4b5c6d7e8f901234567";

/// A work tree beside the data directory, on a branch.
fn tree(home: &Home, name: &str) -> PathBuf {
    let root = home.beside(name);
    fs::create_dir_all(root.join("src/deep")).unwrap();
    fs::create_dir_all(root.join(".git/refs/heads")).unwrap();
    fs::write(root.join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
    check_out(&root, ONE);
    fs::write(root.join("src/a.rs"), "fn a() {}").unwrap();
    root
}

fn check_out(root: &Path, commit: &str) {
    fs::write(root.join(".git/refs/heads/main"), format!("{commit}\n")).unwrap();
}

fn start_in(home: &Home, dir: &Path) -> Server {
    Server::start(home.command().current_dir(dir))
}

fn remember(server: &mut Server, text: &str) {
    server.call("remember", json!({"text": text}));
}

/// What is stale of the one hit.
fn stale(server: &mut Server, query: &str) -> Vec<String> {
    let mut answer = server.call("query_memory", json!({"query": query}));
    assert_eq!(answer["hits"].as_array().unwrap().len(), 1, "{answer}");
    let stale = answer["hits"][0]["stale"].take();
    assert_ne!(stale, json!([]), "what is not stale costs no token");
    serde_json::from_value(stale).unwrap_or_default()
}

#[test]
fn a_note_is_stale_until_the_file_that_it_names_is_what_it_was() {
    let home = Home::new();
    let root = tree(&home, "shop");
    // Started further down, it is the same work tree.
    let mut server = start_in(&home, &root.join("src/deep"));
    remember(&mut server, "The harbour clock is set in `src/a.rs:12`.");
    let absolute = root.canonicalize().unwrap().join("src/a.rs");
    let step = json!({"tool": "edit", "args": {"path": absolute}});
    let episode = json!({"task": "Repaint the lighthouse", "outcome": "success", "steps": [step]});
    server.call("create_episode", episode);
    let both = |server: &mut Server| ["harbour clock", "lighthouse"].map(|query| stale(server, query));
    assert_eq!(both(&mut server), [[""; 0], [""; 0]]);
    // Of the same length, and at once.
    fs::write(root.join("src/a.rs"), "fn b() {}").unwrap();
    assert_eq!(both(&mut server), [["src/a.rs changed"]; 2]);
    let ran = crate::server::run(home.command().current_dir(&root).args(["query", "harbour clock"]), b"");
    assert!(ran.stdout.contains("stale: src/a.rs changed"), "{ran:?}");
    fs::remove_file(root.join("src/a.rs")).unwrap();
    assert_eq!(both(&mut server), [["src/a.rs is gone"]; 2]);
    fs::create_dir(root.join("src/a.rs")).unwrap();
    assert_eq!(both(&mut server), [["src/a.rs changed"]; 2]);
    fs::remove_dir(root.join("src/a.rs")).unwrap();
    fs::write(root.join("src/a.rs"), "fn a() {}").unwrap();
    assert_eq!(both(&mut server), [[""; 0], [""; 0]]);
    assert_eq!(server.finish().1, Some(0));
    fs::write(root.join("src/a.rs"), "fn c() {}").unwrap();
    let mut server = start_in(&home, &root);
    assert_eq!(both(&mut server), [["src/a.rs changed"]; 2], "the next server knows it too");
    let task = json!({"task": "Repaint the lighthouse again"});
    let similar = server.call("create_episode", task)["similar"].take();
    assert_eq!(similar[0]["stale"], json!(["src/a.rs changed"]));
}

#[test]
fn what_holds_for_a_commit_is_stale_at_another_one() {
    let home = Home::new();
    let root = tree(&home, "shop");
    let mut server = start_in(&home, &root);
    remember(&mut server, &format!("The harbour tests pass at {}", &ONE[..9]));
    remember(&mut server, &format!("The lighthouse broke in {}", &TWO[..9]));
    assert_eq!(stale(&mut server, "harbour tests"), [""; 0]);
    check_out(&root, TWO);
    assert_eq!(stale(&mut server, "harbour tests"), ["commit 0a1b2c3 is not HEAD any more"]);
    assert_eq!(stale(&mut server, "lighthouse broke"), [""; 0], "it never was checked out");
    fs::remove_file(root.join(".git/refs/heads/main")).unwrap();
    assert_eq!(stale(&mut server, "harbour tests"), [""; 0], "nobody knows");
    fs::write(root.join(".git/packed-refs"), format!("# pack-refs with: peeled\n{ONE} refs/heads/main\n"))
        .unwrap();
    assert_eq!(stale(&mut server, "harbour tests"), [""; 0]);
}

#[test]
fn another_work_tree_and_no_work_tree_say_nothing() {
    let home = Home::new();
    let (shop, other) = (tree(&home, "shop"), tree(&home, "other"));
    let mut server = start_in(&home, &shop);
    remember(&mut server, "The harbour clock is set in src/a.rs");
    fs::remove_file(shop.join("src/a.rs")).unwrap();
    fs::write(other.join("src/a.rs"), "fn other() {}").unwrap();
    assert_eq!(stale(&mut server, "harbour clock"), ["src/a.rs is gone"]);
    let mut elsewhere = start_in(&home, &other);
    assert_eq!(stale(&mut elsewhere, "harbour clock"), [""; 0]);
    let plain = home.beside("plain");
    fs::create_dir(&plain).unwrap();
    fs::write(plain.join("b.rs"), "fn b() {}").unwrap();
    // A directory without git is a work tree of its own, unless it is somebody's home.
    let mut in_home = Server::start(home.command().current_dir(&plain).env("HOME", &plain));
    remember(&mut in_home, "The lighthouse is kept in b.rs");
    let mut in_plain = start_in(&home, &plain);
    remember(&mut in_plain, "The drawbridge is kept in b.rs");
    fs::remove_file(plain.join("b.rs")).unwrap();
    assert_eq!(stale(&mut in_plain, "drawbridge"), ["b.rs is gone"]);
    assert_eq!(stale(&mut in_plain, "lighthouse"), [""; 0]);
    assert_eq!(stale(&mut in_home, "drawbridge"), [""; 0]);
}

#[cfg(unix)]
#[test]
fn nothing_outside_of_the_work_tree_and_nothing_that_is_no_plain_file_is_read() {
    use std::os::unix::fs::symlink;

    let home = Home::new();
    let root = tree(&home, "shop");
    let outside = home.beside("secret.txt");
    fs::write(&outside, "outside").unwrap();
    symlink(&outside, root.join("link.txt")).unwrap();
    symlink(home.beside(""), root.join("up")).unwrap();
    let large = fs::File::create(root.join("large.bin")).unwrap();
    large.set_len(10 * 1024 * 1024).unwrap();
    // To read a pipe that nobody writes to would take for ever.
    let made = std::process::Command::new("mkfifo").arg(root.join("pipe.txt")).status().unwrap();
    assert!(made.success());
    let mut server = start_in(&home, &root);
    let paths = [
        "../secret.txt",
        "../../../../../../../etc/passwd",
        "/etc/passwd",
        outside.to_str().unwrap(),
        "link.txt",
        "up/secret.txt",
        "large.bin",
        "pipe.txt",
        "src",
        "src/",
        ".git/HEAD",
        "src/a.rs/b.rs",
        "a/\u{1}\u{202e}/..b.rs",
        "////",
        "./..",
        "C:\\shop\\a.rs",
        "https://example.org/src/a.rs",
        "src/*.rs",
    ];
    remember(&mut server, &format!("The harbour clock: {}", paths.join(" , ")));
    fs::write(&outside, "changed").unwrap();
    large.set_len(11 * 1024 * 1024).unwrap();
    check_out(&root, TWO);
    fs::write(root.join(".git/HEAD"), format!("{TWO}\n")).unwrap();
    fs::remove_file(root.join("link.txt")).unwrap();
    fs::remove_file(root.join("up")).unwrap();
    fs::remove_file(root.join("pipe.txt")).unwrap();
    fs::remove_dir_all(root.join("src")).unwrap();
    assert_eq!(stale(&mut server, "harbour clock"), [""; 0]);
    assert_eq!(server.call("health_check", json!({}))["status"], "ok");
}

#[test]
fn many_changes_fit_into_the_budget_and_are_counted() {
    let home = Home::new();
    let root = tree(&home, "shop");
    let names: Vec<String> =
        (0..12).map(|number| format!("{}{number}.rs", "very/long/".repeat(12))).collect();
    fs::create_dir_all(root.join("very/long/".repeat(12))).unwrap();
    for name in &names {
        fs::write(root.join(name), "before").unwrap();
    }
    let mut server = start_in(&home, &root);
    remember(&mut server, &format!("The harbour clock: {}", names.join(" ")));
    for name in &names {
        fs::remove_file(root.join(name)).unwrap();
    }
    let told = stale(&mut server, "harbour clock");
    assert_eq!((told.len(), told[5].as_str()), (6, "and 7 more"), "{told:?}");
    assert!(told[..5].iter().all(|change| change.ends_with(".rs is gone")), "{told:?}");
    let question = json!({"query": "harbour clock", "max_tokens": 200});
    let answer = server.call("query_memory", question);
    assert_eq!(texts(&answer["hits"], "kind"), ["note"]);
    let told = answer["hits"][0]["stale"].as_array().unwrap();
    assert_eq!(told.last().unwrap(), "and 11 more", "{answer}");
}
