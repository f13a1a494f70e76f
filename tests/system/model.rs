//! The models that a user keeps: the command `model`, with a hub of files on 127.0.0.1.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use serde_json::json;
use testkit::http::{HttpServer, reply, reply_file};

use crate::server::{Home, Ran, run};

fn tiny(home: &Home, name: &str, seed: u64) -> PathBuf {
    let dir = home.beside(name);
    testkit::model::write(&dir, seed);
    dir
}

/// A hub that has the files of `dir` as every repository.
fn hub(dir: PathBuf, cut: impl Fn(&str) -> Option<usize> + Send + Sync + 'static) -> HttpServer {
    HttpServer::start(move |request| {
        let path =
            request.line.split_once("/resolve/main/").map(|(_, path)| path.to_owned()).unwrap_or_default();
        match std::fs::read(dir.join(&path)) {
            Ok(bytes) => reply_file(request, &bytes, cut(&path)),
            Err(_) => reply(404, &[], b""),
        }
    })
}

fn pull(home: &Home, name: &str, hub: &HttpServer) -> Ran {
    home.run(&["model", "pull", name, "--from", &hub.url()])
}

fn succeeded(ran: &Ran, shown: &str) {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains(shown) && ran.stderr.is_empty(), "{shown} in {ran:?}");
}

fn failed(ran: &Ran, shown: &str) {
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains(shown), "{shown} in {ran:?}");
}

#[test]
fn a_model_is_pulled_listed_checked_and_removed() {
    let home = Home::new();
    succeeded(&home.run(&["model", "list"]), "memory-mcp model pull all-MiniLM-L6-v2");
    assert!(!home.data().exists(), "looking creates nothing");
    let hub = hub(tiny(&home, "files", 1), |_| None);
    let ran = pull(&home, "owner/tiny", &hub);
    succeeded(&ran, "tiny is there and works: 32 dimensions");
    succeeded(&ran, "It is in use");
    let listed = home.run(&["model", "list"]);
    succeeded(&listed, "* tiny");
    succeeded(&listed, "owner/tiny");
    succeeded(&home.run(&["model", "verify"]), "tiny: good");
    succeeded(&home.run(&["model", "use", "none"]), "No model is in use");
    succeeded(&home.run(&["model", "list"]), "None of them is in use");
    succeeded(&home.run(&["model", "use", "tiny"]), "tiny is in use");
    failed(&home.run(&["model", "remove", "tiny"]), "is in use");
    succeeded(&home.run(&["model", "remove", "tiny", "--force"]), "removed");
    failed(&home.run(&["model", "use", "tiny"]), "there is no model tiny");
    failed(&home.run(&["model", "verify", "tiny"]), "there is no model tiny");
}

#[test]
fn a_pull_that_was_cut_goes_on_where_it_was() {
    let home = Home::new();
    let files = tiny(&home, "files", 1);
    let cut = hub(files.clone(), |path| (path == "model.safetensors").then_some(1_000));
    failed(&pull(&home, "owner/tiny", &cut), "model.safetensors");
    succeeded(&home.run(&["model", "list"]), "There is no model yet");
    drop(cut);
    // The server starts and works with what was left behind.
    let mut server = home.start();
    assert_eq!(server.call("health_check", json!({}))["status"], "ok");
    let whole = hub(files, |_| None);
    succeeded(&pull(&home, "owner/tiny", &whole), "tiny is there");
    let ranges: Vec<_> =
        whole.seen().iter().filter_map(|seen| seen.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, ["bytes=4000-"]);
    succeeded(&home.run(&["model", "verify", "tiny"]), "good");
}

#[test]
fn a_pull_that_is_killed_leaves_nothing_that_could_be_used() {
    let home = Home::new();
    let files = tiny(&home, "files", 1);
    static ASKED: AtomicBool = AtomicBool::new(false);
    let slow = hub(files.clone(), |path| {
        if path == "model.safetensors" {
            ASKED.store(true, SeqCst);
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
        None
    });
    let mut child =
        home.command().args(["model", "pull", "owner/tiny", "--from", &slow.url()]).spawn().unwrap();
    crate::server::wait_until("it asks for the weights", || ASKED.load(SeqCst));
    failed(&home.run(&["model", "add", files.to_str().unwrap()]), "another process");
    child.kill().unwrap();
    child.wait().unwrap();
    succeeded(&home.run(&["model", "list"]), "There is no model yet");
    succeeded(&pull(&home, "owner/tiny", &hub(files, |_| None)), "tiny is there");
}

#[test]
fn contents_that_are_not_the_pinned_ones_are_refused() {
    let home = Home::new();
    let hub = hub(tiny(&home, "files", 1), |_| None);
    // The one that the program knows, from a hub that has another.
    let other = HttpServer::start(|_| reply(200, &[], &[b' '; 612]));
    failed(&pull(&home, "all-MiniLM-L6-v2", &other), "SHA-256");
    succeeded(&pull(&home, "owner/tiny", &hub), "tiny is there");
    let weights = home.data().join("models/tiny/model.safetensors");
    spoil(&weights);
    let ran = home.run(&["model", "verify"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("model.safetensors is damaged"), "{ran:?}");
    assert!(ran.stdout.contains("memory-mcp model pull owner/tiny"), "{ran:?}");
    let changed = self::hub(tiny(&home, "changed", 2), |_| None);
    failed(&pull(&home, "owner/tiny", &changed), "SHA-256");
    succeeded(&pull(&home, "owner/tiny", &hub), "tiny is there");
    succeeded(&home.run(&["model", "verify"]), "tiny: good");
}

fn spoil(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 0xFF;
    std::fs::write(file, bytes).unwrap();
}

#[test]
fn garbage_instead_of_a_model_is_an_error_that_names_the_file() {
    let home = Home::new();
    let garbage = HttpServer::start(|_| reply(200, &[], b"<html>sign in</html>"));
    failed(&pull(&home, "owner/tiny", &garbage), "config.json");
    let nothing = HttpServer::start(|_| reply(404, &[], b""));
    failed(&pull(&home, "owner/tiny", &nothing), "config.json: there is no such file");
    failed(&pull(&home, "../evil", &nothing), "names no model");
    failed(&home.run(&["model", "add", home.beside("nowhere").to_str().unwrap()]), "nowhere");
    let broken = tiny(&home, "broken", 1);
    std::fs::write(broken.join("vocab.txt"), "").unwrap();
    failed(&home.run(&["model", "add", broken.to_str().unwrap()]), "vocab.txt");
    succeeded(&home.run(&["model", "list"]), "There is no model yet");
    for bad in [&["model", "add"][..], &["model", "use", "../x"], &["model", "add", "--endpoint", "http://x"]]
    {
        assert_eq!(home.run(bad).code, Some(2), "{bad:?}");
    }
}

#[test]
fn a_directory_and_a_server_can_be_added() {
    let home = Home::new();
    let dir = tiny(&home, "mine", 1);
    succeeded(&home.run(&["model", "add", dir.to_str().unwrap()]), "mine is there and works");
    succeeded(
        &home.run(&["model", "add", dir.to_str().unwrap(), "--name", "again"]),
        "memory-mcp model use again",
    );
    failed(&home.run(&["model", "add", dir.to_str().unwrap()]), "another model mine");
    let server = HttpServer::start(|request| match request.header("authorization") {
        Some("Bearer secret") => reply(200, &[], br#"{"data": [{"index": 0, "embedding": [3, 4]}]}"#),
        _ => reply(401, &[], b""),
    });
    let url = server.url();
    let add = ["model", "add", "--endpoint", &url, "--model", "org/e5:small", "--key-env", "THE_KEY"];
    failed(&home.run(&add), "THE_KEY holds no key");
    failed(&run(home.command().args(add).env("THE_KEY", "wrong"), b""), "401");
    let ran = run(home.command().args(add).env("THE_KEY", "secret"), b"");
    succeeded(&ran, "e5-small is there and works: 2 dimensions, a server");
    succeeded(&home.run(&["model", "list"]), "org/e5:small at http://127.0.0.1");
    for entry in std::fs::read_dir(home.data().join("models/e5-small")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(text.contains("THE_KEY") && !text.contains("secret"), "the key is not stored: {text}");
    }
}

#[test]
fn a_directory_in_the_environment_comes_first() {
    let home = Home::new();
    let dir = tiny(&home, "mine", 1);
    let named =
        |arguments: &[&str]| run(home.command().args(arguments).env("MEMORY_MCP_MODEL_DIR", &dir), b"");
    let ran = named(&["model", "list"]);
    succeeded(&ran, "In use: mine");
    succeeded(&named(&["model", "add", dir.to_str().unwrap(), "--name", "other"]), "which comes first");
    let blank = run(home.command().args(["model", "list"]).env("MEMORY_MCP_MODEL_DIR", ""), b"");
    succeeded(&blank, "* other");
}
