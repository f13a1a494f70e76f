//! The real binary on data directories of its own: as a server that is spoken to, and as a command that is run.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use mcp_server::client::StdioClient;
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

/// A process that is still there after this long hangs. It is killed, so that its test fails instead of waiting.
const DEADLINE: Duration = Duration::from_secs(240);

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_memory-mcp");

/// A data directory that is deleted afterwards.
pub(crate) struct Home {
    directory: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// The data directory; the program creates it.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.data().join("memory.db")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.data().join("cache.redb")
    }

    /// A place beside the data directory.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The program with this data directory and nothing else of the environment of the tests.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        settle(&mut command, &self.data());
        command
    }

    /// A server on this data directory, after the handshake.
    pub(crate) fn start(&self) -> Server {
        Server::start(&mut self.command())
    }

    /// The same, that shows all of its tools.
    pub(crate) fn start_expert(&self) -> Server {
        Server::start(self.command().args(["--tools-level", "expert"]))
    }

    /// A server on this data directory that speaks the new protocol, with which there is no handshake.
    pub(crate) fn start_modern(&self) -> Server {
        self.start_modern_with(&[])
    }

    /// The same, with these arguments.
    pub(crate) fn start_modern_with(&self, arguments: &[&str]) -> Server {
        let mut server = Server::spawn(self.command().args(arguments));
        server.is_modern = true;
        server
    }

    /// Runs the program with these arguments.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        run(self.command().args(arguments), b"")
    }

    /// What the command `health` finds when it looks everything through; it must find nothing wrong.
    pub(crate) fn health(&self) -> Value {
        let ran = self.run(&["health", "--detailed", "--json"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.json()
    }
}

/// Gives a command its data directory and takes away the settings of whoever runs the tests.
pub(crate) fn settle(command: &mut Command, data: &Path) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MEMORY_MCP_") {
            command.env_remove(name);
        }
    }
    command.env("MEMORY_MCP_DATA_DIR", data);
    // Where the platform keeps configuration files.
    command.env("XDG_CONFIG_HOME", data.with_file_name("config"));
}

/// The files in a directory and in those below it.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// What it printed, which must be one JSON value.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON: {error}: {self:?}"))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// Runs a command to its end with `input` as its standard input.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Ran {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let _watched = Watchdog::over(child.id());
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // Written beside, so that neither side waits for the other. One that ends early does not read everything.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap().into()
    })
}

/// Sends a signal to a process.
pub(crate) fn signal(name: &str, pid: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -s {name} {pid}")]).status().unwrap();
    assert!(sent.success(), "no process {pid} to send SIG{name} to");
}

/// Kills a process at the deadline, unless it is dropped before.
pub(crate) struct Watchdog {
    _dropped: Sender<()>,
}

impl Watchdog {
    pub(crate) fn over(pid: u32) -> Self {
        let (alive, dropped) = channel();
        std::thread::spawn(move || {
            if dropped.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
                eprintln!("process {pid} hangs");
                signal("KILL", pid);
            }
        });
        Self { _dropped: alive }
    }
}

/// Waits until `done` holds.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < DEADLINE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A running server and the client that speaks to it. Whatever it writes to its standard output must be a message.
pub(crate) struct Server {
    _watched: Watchdog,
    client: StdioClient,
    log: NamedTempFile,
    last_id: u64,
    /// Whether every request carries what the new protocol wants.
    is_modern: bool,
    /// Notifications that came before answers, and were not looked at yet.
    heard: VecDeque<Value>,
    kept: Kept,
}

/// What goes over one wire, kept in a file of the directory that `MEMORY_MCP_TEST_WIRE` names, if it names one; see
/// tests/clients/wire_schemas.py.
pub(crate) struct Kept(Option<File>);

impl Kept {
    pub(crate) fn new() -> Self {
        static WIRES: AtomicU64 = AtomicU64::new(0);
        Self(std::env::var_os("MEMORY_MCP_TEST_WIRE").map(|directory| {
            let directory = PathBuf::from(directory);
            std::fs::create_dir_all(&directory).unwrap();
            let name = format!("{}-{}.jsonl", std::process::id(), WIRES.fetch_add(1, Ordering::Relaxed));
            File::create(directory.join(name)).unwrap()
        }))
    }

    pub(crate) fn keep(&mut self, from: &str, message: &Value) {
        if let Some(kept) = &mut self.0 {
            writeln!(kept, "{}", json!({"from": from, "message": message})).unwrap();
        }
    }
}

/// The revision of the new protocol.
pub(crate) const MODERN: &str = "2026-07-28";

/// Parameters as every request of the new protocol carries them.
pub(crate) fn modern(mut params: Value) -> Value {
    let meta = &mut params["_meta"];
    meta["io.modelcontextprotocol/protocolVersion"] = MODERN.into();
    meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
    params
}

impl Server {
    /// Starts a server and shakes hands with it.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut server = Self::spawn(command);
        server.client.initialize().unwrap();
        server
    }

    /// Starts a server without a word.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let log = NamedTempFile::new().unwrap();
        let mut client = StdioClient::spawn(command.stderr(log.reopen().unwrap())).unwrap();
        // The client numbers its own requests from 1.
        let _watched = Watchdog::over(client.process().id());
        Self {
            _watched,
            client,
            log,
            last_id: 1_000,
            is_modern: false,
            heard: VecDeque::new(),
            kept: Kept::new(),
        }
    }

    /// Calls a tool, which must succeed.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        succeeded(&answer)
    }

    /// Calls a tool, which must refuse; returns the error.
    pub(crate) fn refused(&mut self, tool: &str, arguments: Value) -> Value {
        let answer = self.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        failed(&answer)
    }

    /// Sends a request; returns the whole answer, be it a result or an error.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.post(method, params);
        self.answer(&json!(id))
    }

    /// Sends a request and does not wait for its answer; returns its id.
    pub(crate) fn post(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        let params = if self.is_modern { modern(params) } else { params };
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
        id
    }

    pub(crate) fn send(&mut self, line: &str) {
        if let Ok(message) = serde_json::from_str(line) {
            self.kept.keep("client", &message);
        }
        self.client.send(line).unwrap();
    }

    /// Its input, to be written to while it is read from; it ends when that is dropped.
    pub(crate) fn writer(&mut self) -> std::process::ChildStdin {
        self.client.take_input().unwrap()
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.client.send_bytes(bytes).unwrap();
    }

    /// The next message; `None` after the last.
    pub(crate) fn receive(&mut self) -> Option<Value> {
        let message = self.client.receive().unwrap();
        if let Some(message) = &message {
            self.kept.keep("server", message);
        }
        message
    }

    /// The answer to the request of this id, which is the next message that is no notification.
    pub(crate) fn answer(&mut self, id: &Value) -> Value {
        loop {
            let answer = self.receive().unwrap_or_else(|| panic!("it ended without an answer to {id}"));
            if answer.get("id").is_none() && answer.get("method").is_some() {
                self.heard.push_back(answer);
                continue;
            }
            assert_eq!(&answer["id"], id, "{answer}");
            return answer;
        }
    }

    /// The next notification, whether it came before an answer or is still to come.
    pub(crate) fn notification(&mut self) -> Value {
        let notification = self.heard.pop_front().or_else(|| self.receive()).expect("it ended");
        assert!(notification["method"].as_str().is_some_and(|method| method.starts_with("notifications/")));
        notification
    }

    /// The notifications that came before answers and were not looked at yet.
    pub(crate) fn heard(&mut self) -> Vec<Value> {
        self.heard.drain(..).collect()
    }

    /// Waits until everything finished is learned from; returns the metrics.
    pub(crate) fn learned(&mut self) -> Value {
        let mut metrics = Value::Null;
        wait_until("nothing is left to learn", || {
            metrics = self.call("health_check", json!({}))["metrics"].take();
            metrics["jobs"] == json!({"queued": 0, "running": 0, "dead": 0})
        });
        metrics
    }

    /// Ends the input; returns the answers that were still to come and the exit code.
    pub(crate) fn finish(mut self) -> (Vec<Value>, Option<i32>) {
        self.client.close_input();
        let mut rest: Vec<Value> = std::iter::from_fn(|| self.receive()).collect();
        rest.retain(|message| message.get("method").is_none());
        (rest, self.client.process().wait().unwrap().code())
    }

    /// Kills it on the spot, as a crash or an impatient client does; returns the messages that it had got out.
    pub(crate) fn kill(mut self) -> Vec<Value> {
        self.client.process().kill().unwrap();
        self.client.process().wait().unwrap();
        // The last message may be cut off.
        std::iter::from_fn(|| self.client.receive().ok().flatten()).collect()
    }

    pub(crate) fn pid(&mut self) -> u32 {
        self.client.process().id()
    }

    /// What it has logged.
    pub(crate) fn log(&mut self) -> String {
        let mut log = String::new();
        self.log.rewind().unwrap();
        self.log.read_to_string(&mut log).unwrap();
        log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server: {:?}; its log:\n{}", self.client.process().try_wait(), self.log());
        }
    }
}

/// The structured result of a tool. The text must say the same, since some clients show their model only that.
fn content(answer: &Value, is_error: bool) -> Value {
    let result = &answer["result"];
    assert_eq!(result["isError"], is_error, "{answer}");
    let [block] = result["content"].as_array().unwrap().as_slice() else { panic!("one block: {answer}") };
    assert_eq!(block["type"], "text");
    let text: Value = serde_json::from_str(block["text"].as_str().unwrap()).unwrap();
    assert_eq!(text, result["structuredContent"], "text and structure say the same");
    text
}

/// What a tool returned that succeeded.
pub(crate) fn succeeded(answer: &Value) -> Value {
    content(answer, false)
}

/// The error of a tool that refused: its kind, its message and what is wrong with which argument.
pub(crate) fn failed(answer: &Value) -> Value {
    let error = content(answer, true)["error"].take();
    assert!(error["kind"].is_string(), "{answer}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
    error
}

/// The texts of a list.
pub(crate) fn texts<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    list.iter().map(|item| item[field].as_str().unwrap()).collect()
}
