//! A small MCP client over the stdio of a child process, for the demo and for the tests that drive the real server.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use serde_json::{Value, json};

/// A server of one's own, spoken to one request at a time.
pub struct StdioClient {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    next_id: u64,
}

impl StdioClient {
    /// Starts `command` and shakes hands with it (protocol revision 2025-11-25).
    ///
    /// # Errors
    /// If the program cannot be started, or does not answer as an MCP server does.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut client = Self::spawn(command)?;
        client.initialize()?;
        Ok(client)
    }

    /// Starts `command` without saying anything to it.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start {}", command.get_program().display()))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("failed to get the server's output")?);
        Ok(Self { child, input, output, next_id: 0 })
    }

    /// The handshake; returns what the server says of itself.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub fn initialize(&mut self) -> anyhow::Result<Value> {
        let client = json!({"name": "memory-mcp", "version": env!("CARGO_PKG_VERSION")});
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        let result = self.request("initialize", &params)?;
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string())?;
        Ok(result)
    }

    /// Calls a tool and returns its structured result; one that `isError` is returned all the same.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub fn call(&mut self, tool: &str, arguments: &Value) -> anyhow::Result<Value> {
        let mut result = self.request("tools/call", &json!({"name": tool, "arguments": arguments}))?;
        Ok(result["structuredContent"].take())
    }

    /// Sends a request and waits for its result.
    ///
    /// # Errors
    /// If the server is gone, or answers with an error.
    pub fn request(&mut self, method: &str, params: &Value) -> anyhow::Result<Value> {
        self.next_id += 1;
        let id = self.next_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string())?;
        loop {
            let mut message = self.receive()?.context("the server ended without answering")?;
            if message["id"] == id {
                if message.get("error").is_some() {
                    bail!("the server answered {method} with an error: {}", message["error"]);
                }
                return Ok(message["result"].take());
            }
        }
    }

    /// Sends one line.
    ///
    /// # Errors
    /// If the server's input is closed.
    pub fn send(&mut self, line: &str) -> anyhow::Result<()> {
        self.send_bytes(format!("{line}\n").as_bytes())
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// If the server's input is closed.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let input = self.input.as_mut().context("the server's input is closed already")?;
        input.write_all(bytes).and_then(|()| input.flush()).context("failed to write to the server")
    }

    /// The next message; `None` once the server has closed its output.
    ///
    /// # Errors
    /// If what it sent is not JSON: nothing else may be on its output.
    pub fn receive(&mut self) -> anyhow::Result<Option<Value>> {
        let mut line = String::new();
        if self.output.read_line(&mut line).context("failed to read from the server")? == 0 {
            return Ok(None);
        }
        serde_json::from_str(&line).map(Some).with_context(|| format!("the server wrote no JSON: {line:?}"))
    }

    /// The server's input, for those who write to it while they read; it ends when it is dropped. `None` if it has ended.
    pub fn take_input(&mut self) -> Option<ChildStdin> {
        self.input.take()
    }

    /// Ends the server's input, which tells it to finish.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// The process, for those who want to kill it or look at it.
    pub fn process(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Ends the server's input and waits for it to finish.
    ///
    /// # Errors
    /// If waiting fails.
    pub fn finish(mut self) -> anyhow::Result<std::process::ExitStatus> {
        self.close_input();
        self.child.wait().context("failed to wait for the server")
    }
}

impl Drop for StdioClient {
    fn drop(&mut self) {
        // A server that has finished already cannot be killed; either way none is left behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
