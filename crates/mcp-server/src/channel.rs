//! The line channel: newline-delimited JSON-RPC that survives garbage, partial lines, overlong lines and a closed peer.
//!
//! The SDK's own transport drops what it cannot read without a word, and ends the session when a notification comes
//! first. A client that sent a request must get an answer, so this one answers everything that could be a request,
//! and after the end of the input lets the requests already received finish.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorCode, ErrorData, GetMeta, ProtocolVersion,
    RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::Transport;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::limits::{LAST_ANSWERS_WAIT, MESSAGE_BYTES_MAX, OUTBOX_MESSAGES_MAX, REQUESTS_PENDING_MAX};

/// A server's end of the line.
pub struct Channel<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    /// Reads the id of a line that is too long to be kept; present while its rest is skipped.
    skipping: Option<IdScanner>,
    /// An answer of the channel itself, waiting for room in the outbox.
    refusal: Option<ServerJsonRpcMessage>,
    outbox: mpsc::Sender<ServerJsonRpcMessage>,
    pending: Arc<Pending>,
    /// Whether a request has opened the session; until then the SDK ends over anything but requests.
    begun: bool,
    ended: Option<Instant>,
    /// Told of the end of the input.
    closing: CancellationToken,
}

/// Requests that were received and not yet answered.
#[derive(Default)]
struct Pending {
    ids: Mutex<HashSet<RequestId>>,
    answered: Notify,
}

impl Pending {
    fn insert(&self, id: RequestId) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    fn remove(&self, id: &RequestId) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.answered.notify_one();
    }

    fn count(&self) -> usize {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits until there is room for one more.
    async fn has_room(&self) {
        while self.count() >= REQUESTS_PENDING_MAX {
            self.answered.notified().await;
        }
    }

    /// Waits until everything received is answered, but not forever.
    async fn settle(&self, ended: Instant) {
        let deadline = tokio::time::Instant::from_std(ended + LAST_ANSWERS_WAIT);
        while self.count() > 0 {
            if tokio::time::timeout_at(deadline, self.answered.notified()).await.is_err() {
                tracing::warn!("requests were still unanswered when the wait for them ended");
                return;
            }
        }
    }
}

/// What reading the input came to.
enum Input {
    Line,
    TooLong,
    End,
}

impl<R: AsyncRead + Send + Unpin> Channel<R> {
    /// A channel over these streams. Writing has a task of its own, so that a message is written whole or not at all;
    /// it is returned, and ends once the channel is gone and everything is written. `closing` is cancelled when the input
    /// ends.
    pub fn new(
        input: R,
        output: impl AsyncWrite + Send + Unpin + 'static,
        closing: CancellationToken,
    ) -> (Self, JoinHandle<()>) {
        let (outbox, messages) = mpsc::channel(OUTBOX_MESSAGES_MAX);
        let channel = Self {
            input: BufReader::new(input),
            line: Vec::new(),
            skipping: None,
            refusal: None,
            outbox,
            pending: Arc::default(),
            begun: false,
            ended: None,
            closing,
        };
        (channel, tokio::spawn(write(messages, output)))
    }

    /// Reads on until a line is complete. Nothing is lost if this is cancelled: what was read stays in `line`.
    async fn read(&mut self) -> Input {
        loop {
            let available = match self.input.fill_buf().await {
                Ok([]) => return Input::End,
                Ok(available) => available,
                Err(error) => {
                    tracing::error!(%error, "failed to read the input");
                    return Input::End;
                }
            };
            let newline = available.iter().position(|byte| *byte == b'\n');
            let taken = &available[..newline.unwrap_or(available.len())];
            if let Some(scanner) = &mut self.skipping {
                scanner.feed(taken);
            } else if self.line.len() + taken.len() > MESSAGE_BYTES_MAX {
                let mut scanner = IdScanner::default();
                scanner.feed(&self.line);
                scanner.feed(taken);
                self.skipping = Some(scanner);
                self.line = Vec::new();
            } else {
                self.line.extend_from_slice(taken);
            }
            let consumed = taken.len() + usize::from(newline.is_some());
            self.input.consume(consumed);
            if newline.is_some() {
                return if self.skipping.is_some() { Input::TooLong } else { Input::Line };
            }
        }
    }

    /// Turns the line into a message, or into the refusal of one.
    fn interpret(&mut self) -> Option<ClientJsonRpcMessage> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&line).trim_ascii();
        if line.is_empty() {
            return None;
        }
        match parse(line) {
            Ok(message) => self.admit(message),
            Err(Unreadable::Notification) => None,
            Err(Unreadable::Request(error)) => {
                let error = if self.ended.is_some() { cut_short() } else { error };
                self.refuse(error, id_of(line));
                None
            }
        }
    }

    /// Keeps account of what is to be answered, and keeps from the SDK what would end it.
    fn admit(&mut self, message: ClientJsonRpcMessage) -> Option<ClientJsonRpcMessage> {
        match &message {
            ClientJsonRpcMessage::Request(request) => {
                self.begun |= opens_session(&request.request);
                self.pending.insert(request.id.clone());
                return Some(message);
            }
            ClientJsonRpcMessage::Notification(notification) => {
                if let ClientNotification::CancelledNotification(cancelled) = &notification.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.pending.remove(id);
                }
            }
            ClientJsonRpcMessage::Response(_) | ClientJsonRpcMessage::Error(_) => {}
        }
        if !self.begun {
            tracing::debug!("ignoring a message before the session was opened");
        }
        self.begun.then_some(message)
    }

    fn refuse(&mut self, error: ErrorData, id: Option<RequestId>) {
        tracing::warn!(message = %error.message, "refusing a message");
        self.refusal = Some(ServerJsonRpcMessage::error(error, id));
    }

    /// Hands the refusal over, if there is one. Cancelled while it waits for room, it still has it. False if the
    /// peer is gone.
    async fn send_refusal(&mut self) -> bool {
        if self.refusal.is_none() {
            return true;
        }
        let Ok(room) = self.outbox.reserve().await else { return false };
        if let Some(refusal) = self.refusal.take() {
            room.send(refusal);
        }
        true
    }
}

impl<R: AsyncRead + Send + Unpin> Transport<RoleServer> for Channel<R> {
    type Error = std::io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let answers = match &message {
            ServerJsonRpcMessage::Response(response) => Some(response.id.clone()),
            ServerJsonRpcMessage::Error(error) => error.id.clone(),
            ServerJsonRpcMessage::Request(_) | ServerJsonRpcMessage::Notification(_) => None,
        };
        let (outbox, pending) = (self.outbox.clone(), Arc::clone(&self.pending));
        async move {
            let sent = outbox.send(message).await;
            if let Some(id) = answers {
                pending.remove(&id);
            }
            sent.map_err(|_| std::io::Error::from(std::io::ErrorKind::BrokenPipe))
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            if !self.send_refusal().await {
                return None;
            }
            if let Some(ended) = self.ended {
                self.pending.settle(ended).await;
                return None;
            }
            self.pending.has_room().await;
            match self.read().await {
                Input::Line => {
                    if let Some(message) = self.interpret() {
                        return Some(message);
                    }
                }
                Input::TooLong => {
                    let id = self.skipping.take().and_then(IdScanner::finish);
                    let message = format!(
                        "the message is longer than {MESSAGE_BYTES_MAX} bytes, the most that is read; send less at once"
                    );
                    self.refuse(ErrorData::invalid_request(message, None), id);
                }
                Input::End => {
                    self.ended = Some(Instant::now());
                    self.closing.cancel();
                    // A last message that only lacks its line end is whole.
                    if let Some(message) = self.interpret() {
                        return Some(message);
                    }
                    if let Some(scanner) = self.skipping.take() {
                        self.refuse(cut_short(), scanner.finish());
                    }
                }
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        // With the last sender gone the writer writes what it has and ends.
        self.outbox = mpsc::channel(1).0;
        Ok(())
    }
}

async fn write(mut messages: mpsc::Receiver<ServerJsonRpcMessage>, mut output: impl AsyncWrite + Unpin) {
    while let Some(message) = messages.recv().await {
        let mut line = match serde_json::to_vec(&message) {
            Ok(line) => line,
            Err(error) => {
                tracing::error!(%error, "failed to write a message");
                continue;
            }
        };
        line.push(b'\n');
        let written = async {
            output.write_all(&line).await?;
            output.flush().await
        };
        if let Err(error) = written.await {
            // The peer does not listen any more; the closed outbox tells the rest.
            tracing::info!(%error, "the client closed the line");
            return;
        }
    }
}

/// The refusal of a message that the end of the input has cut in two.
fn cut_short() -> ErrorData {
    ErrorData::parse_error("the input ended in the middle of a message; nothing was done about it", None)
}

/// Whether the SDK leaves its opening phase with this request: the handshake, or a request that carries its protocol
/// version with it. Pings and discovery leave it open.
fn opens_session(request: &ClientRequest) -> bool {
    let versions = ProtocolVersion::KNOWN_VERSIONS;
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        other => {
            let meta = other.get_meta();
            meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty()
                && meta.protocol_version().is_some_and(|version| versions.contains(&version))
        }
    }
}

/// Why a line is no message.
pub(crate) enum Unreadable {
    /// It asks for no answer, so it gets none.
    Notification,
    /// It is answered with this error.
    Request(ErrorData),
}

/// Reads a message.
pub(crate) fn parse(line: &[u8]) -> Result<ClientJsonRpcMessage, Unreadable> {
    let refuse = |code, message| Unreadable::Request(ErrorData::new(code, message, None));
    let text = std::str::from_utf8(line).map_err(|error| {
        let message = format!("the message is not UTF-8: invalid bytes at position {}", error.valid_up_to());
        refuse(ErrorCode::PARSE_ERROR, message)
    })?;
    let error = match serde_json::from_str::<ClientJsonRpcMessage>(text) {
        Ok(message) => return Ok(message),
        Err(error) => error,
    };
    match serde_json::from_str::<serde_json::Value>(text) {
        Err(error) => Err(refuse(ErrorCode::PARSE_ERROR, format!("the message is not JSON: {error}"))),
        Ok(serde_json::Value::Object(object))
            if object.contains_key("method") && !object.contains_key("id") =>
        {
            tracing::debug!(%error, "ignoring a notification of unknown form");
            Err(Unreadable::Notification)
        }
        Ok(_) => {
            let form =
                "it must be one object {\"jsonrpc\": \"2.0\", \"id\": …, \"method\": …, \"params\": {…}}";
            Err(refuse(ErrorCode::INVALID_REQUEST, format!("the message is no request: {form}")))
        }
    }
}

/// The id of a request in bytes that are no message.
pub(crate) fn id_of(bytes: &[u8]) -> Option<RequestId> {
    let mut scanner = IdScanner::default();
    scanner.feed(bytes);
    scanner.finish()
}

/// Finds the `id` of a request in bytes that need not be JSON, so that even a broken request can be answered by name.
/// It keeps count of brackets and strings, and takes the value of the key `id` of the outermost object.
#[derive(Default)]
struct IdScanner {
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// The string or number being read, at depth 1 only; bounded, since an id is short.
    token: Vec<u8>,
    /// Whether the key `id` and its colon were just read.
    at_id: bool,
    found: Option<RequestId>,
}

/// Longest id that is recognized in a broken message, in bytes.
const ID_BYTES_MAX: usize = 256;

impl IdScanner {
    fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.found.is_some() {
                return;
            }
            self.step(*byte);
        }
    }

    fn step(&mut self, byte: u8) {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => {
                    self.in_string = false;
                    if std::mem::take(&mut self.at_id) {
                        self.found =
                            std::str::from_utf8(&self.token).ok().map(|id| RequestId::String(id.into()));
                    }
                }
                _ => self.keep(byte),
            }
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.token.clear();
            }
            b':' if self.depth == 1 => {
                self.at_id = self.token == b"id";
                self.token.clear();
            }
            b'{' | b'[' => {
                self.depth += 1;
                self.at_id = false;
            }
            b'}' | b']' | b',' => {
                self.take_number();
                if byte != b',' {
                    self.depth = self.depth.saturating_sub(1);
                }
                self.token.clear();
            }
            byte if byte.is_ascii_whitespace() => {}
            byte => self.keep(byte),
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.depth == 1 && self.token.len() < ID_BYTES_MAX {
            self.token.push(byte);
        }
    }

    fn take_number(&mut self) {
        if self.at_id && self.depth == 1 {
            let number = std::str::from_utf8(&self.token).ok().and_then(|text| text.parse().ok());
            self.found = number.map(RequestId::Number);
        }
        self.at_id = false;
    }

    fn finish(mut self) -> Option<RequestId> {
        self.take_number();
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(line: &str) -> Option<String> {
        let mut scanner = IdScanner::default();
        // In pieces, as it comes in.
        for piece in line.as_bytes().chunks(3) {
            scanner.feed(piece);
        }
        scanner.finish().map(|id| id.to_string())
    }

    #[test]
    fn the_id_of_a_broken_request_is_found_wherever_it_stands() {
        assert_eq!(
            id(r#"{"jsonrpc":"2.0","id":7,"method":"x","params":{"a":"\ud800"}}"#).as_deref(),
            Some("7")
        );
        assert_eq!(id(r#"{"method":"x","params":{"id":1,"b":[{"id":2}]},"id": 42}"#).as_deref(), Some("42"));
        assert_eq!(id(r#"{"params":{"text":"\"id\":9,{"},"id":"a-1"}"#).as_deref(), Some("a-1"));
        assert_eq!(id(r#"{"id": 5, "params": {"cut off"#).as_deref(), Some("5"));
        assert_eq!(id(r#"{"params":{"id":3}}"#), None);
        assert_eq!(id("garbage"), None);
        assert_eq!(id(r#"[{"id":1}]"#), None);
    }
}
