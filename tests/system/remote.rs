//! The real binary serving HTTP, and clients that speak to it.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::{Request, Response};

use crate::server::{Home, Kept, MODERN, Watchdog, modern, signal, succeeded, wait_until};

/// A client waits no longer than this; what hangs fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that serves HTTP.
pub(crate) struct Served {
    _watched: Watchdog,
    process: Child,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Served {
    /// `memory-mcp serve` on a port that is free.
    pub(crate) fn start(home: &Home) -> Self {
        Self::start_with(&mut home.command())
    }

    /// The same, with what was said of the command so far.
    pub(crate) fn start_with(command: &mut Command) -> Self {
        command.args(["serve", "--http", "127.0.0.1:0"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let watched = Watchdog::over(process.id());
        let (log, told) = (Arc::new(Mutex::new(String::new())), process.stderr.take().unwrap());
        let kept = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(told).lines().map_while(Result::ok) {
                kept.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let mut served = Self { _watched: watched, process, address: "0.0.0.0:0".parse().unwrap(), log };
        wait_until("it serves", || {
            if let Some(code) = served.process.try_wait().unwrap() {
                panic!("it ended: {code}: {}", served.log());
            }
            let log = served.log();
            let address = log.split_once("serving http://").and_then(|(_, rest)| rest.split_once("/mcp"));
            address.map(|(address, _)| served.address = address.parse().unwrap()).is_some()
        });
        served
    }

    /// What it said to the operator.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(name, self.process.id());
    }

    /// Waits for its end; returns the exit code and what it wrote to its standard output.
    pub(crate) fn wait(mut self) -> (Option<i32>, String) {
        let code = self.process.wait().unwrap().code();
        let mut stdout = String::new();
        self.process.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        (code, stdout)
    }

    /// A client without a session.
    pub(crate) fn client(&self, key: Option<&str>) -> Remote {
        let agent =
            Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build();
        Remote {
            agent: agent.into(),
            url: format!("http://{}/mcp", self.address),
            key: key.map(str::to_owned),
            session: None,
            is_modern: false,
            last_id: 0,
            answers: VecDeque::new(),
            kept: Kept::new(),
        }
    }

    /// A client of the legacy era, after the handshake.
    pub(crate) fn legacy(&self, key: Option<&str>) -> Remote {
        let mut client = self.client(key);
        client.initialize();
        client
    }

    /// A client of the modern era.
    pub(crate) fn modern(&self, key: Option<&str>) -> Remote {
        Remote { is_modern: true, ..self.client(key) }
    }

    /// Sends bytes as they are; returns what comes back until the server closes the connection.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect(bytes);
        let mut answer = Vec::new();
        // Closed with bytes unread it is reset; what came before counts.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Opens a connection and sends these bytes.
    pub(crate) fn connect(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        stream
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the log of the server:\n{}", self.log());
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Headers of a request.
pub(crate) type Headers = Vec<(&'static str, String)>;

/// What came back.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Got {
    fn from(response: Response<ureq::Body>) -> Self {
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        let (status, headers) = (response.status().as_u16(), headers.collect());
        let body = response.into_body().into_with_config().limit(1 << 26).read_to_string().unwrap();
        Self { status, headers, body }
    }

    /// The messages in it: one as JSON, or any number as events.
    pub(crate) fn messages(&self) -> Vec<Value> {
        match self.headers.get("content-type").map(String::as_str) {
            Some("application/json") => vec![serde_json::from_str(&self.body).unwrap()],
            _ => self.body.lines().filter_map(message).collect(),
        }
    }
}

/// The message in a line of an event stream, if there is one.
fn message(line: &str) -> Option<Value> {
    let data = line.strip_prefix("data:")?.trim();
    (!data.is_empty()).then(|| serde_json::from_str(data).unwrap())
}

/// A client.
pub(crate) struct Remote {
    agent: Agent,
    url: String,
    pub(crate) key: Option<String>,
    pub(crate) session: Option<String>,
    is_modern: bool,
    last_id: u64,
    /// Answers that were not asked for yet.
    answers: VecDeque<Value>,
    kept: Kept,
}

impl Remote {
    pub(crate) fn initialize(&mut self) {
        let client = json!({"name": "tests", "version": "1"});
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        let request = self.request("initialize", params);
        let got = self.post_message(&request);
        assert_eq!(got.status, 200, "{got:?}");
        self.session = Some(got.headers["mcp-session-id"].clone());
        let got = self.post_message(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        assert_eq!((got.status, got.body.as_str()), (202, ""), "{got:?}");
    }

    /// A request of its own number.
    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let params = if self.is_modern { modern(params) } else { params };
        json!({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params})
    }

    /// The headers that belong to a message of this client.
    pub(crate) fn headers(&self, message: &Value) -> Headers {
        let mut headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("Accept", "application/json, text/event-stream".to_owned()),
        ];
        headers.extend(self.key.clone().map(|key| ("Authorization", format!("Bearer {key}"))));
        headers.extend(self.session.clone().map(|session| ("Mcp-Session-Id", session)));
        if self.is_modern {
            headers.push(("MCP-Protocol-Version", MODERN.to_owned()));
            headers.extend(message["method"].as_str().map(|method| ("Mcp-Method", method.to_owned())));
            let name = ["name", "uri"].iter().find_map(|field| message["params"][field].as_str());
            headers.extend(name.map(|name| ("Mcp-Name", name.to_owned())));
        } else if self.session.is_some() {
            headers.push(("MCP-Protocol-Version", "2025-11-25".to_owned()));
        }
        headers
    }

    /// Sends a message and waits for all that comes back.
    pub(crate) fn post_message(&mut self, message: &Value) -> Got {
        self.kept.keep("client", message);
        let got = self.send("POST", &self.headers(message), message.to_string().as_bytes());
        if got.status == 200 {
            got.messages().iter().for_each(|message| self.kept.keep("server", message));
        }
        got
    }

    /// Sends whatever it is.
    pub(crate) fn send(&self, method: &str, headers: &[(&str, String)], body: &[u8]) -> Got {
        Got::from(self.agent.run(self.build(method, headers, body)).unwrap())
    }

    fn build(&self, method: &str, headers: &[(&str, String)], body: &[u8]) -> Request<Vec<u8>> {
        let request = Request::builder().method(method).uri(&self.url);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        request.body(body.to_vec()).unwrap()
    }

    /// Sends a request; returns the whole answer, be it a result or an error.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        self.post(method, params);
        self.receive().unwrap()
    }

    /// Sends a request; returns its id. Its answer is received next, or after those that were not received yet.
    pub(crate) fn post(&mut self, method: &str, params: Value) -> u64 {
        let request = self.request(method, params);
        let got = self.post_message(&request);
        let answer = got.messages().into_iter().find(|message| message["id"] == request["id"]);
        self.answers.push_back(answer.unwrap_or_else(|| panic!("no answer to {request}: {got:?}")));
        self.last_id
    }

    pub(crate) fn receive(&mut self) -> Option<Value> {
        self.answers.pop_front()
    }

    /// Calls a tool, which must succeed.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> Value {
        succeeded(&self.ask("tools/call", json!({"name": tool, "arguments": arguments})))
    }

    /// Opens the stream of what the server has to say by itself.
    pub(crate) fn stream(&self) -> Stream {
        let mut headers = self.headers(&Value::Null);
        headers.retain(|(name, _)| *name != "Content-Type");
        self.open("GET", &headers, b"")
    }

    /// Opens a subscription of the new protocol.
    pub(crate) fn listen(&mut self, notifications: Value) -> Stream {
        let request = self.request("subscriptions/listen", json!({"notifications": notifications}));
        self.open("POST", &self.headers(&request), request.to_string().as_bytes())
    }

    fn open(&self, method: &str, headers: &[(&str, String)], body: &[u8]) -> Stream {
        let response = self.agent.run(self.build(method, headers, body)).unwrap();
        assert_eq!(response.status().as_u16(), 200, "{response:?}");
        let reader: Box<dyn Read + Send> = Box::new(response.into_body().into_reader());
        Stream { lines: BufReader::new(reader) }
    }
}

/// Messages that come as the server has them.
pub(crate) struct Stream {
    lines: BufReader<Box<dyn Read + Send>>,
}

impl Stream {
    /// The next message; `None` once the server has ended the stream.
    pub(crate) fn next(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            if let Some(message) = message(&line) {
                return Some(message);
            }
        }
    }
}
