//! A server on 127.0.0.1 that says what a test wants it to say.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// What a client asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The method and the path, as in `GET /x`.
    pub line: String,
    /// The headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The bytes of an answer. They need not make sense; the connection is closed after them.
pub fn reply(status: u16, headers: &[(&str, String)], body: &[u8]) -> Vec<u8> {
    reply_cut(status, headers, body, body.len())
}

/// An answer whose body ends early, after `sent` bytes.
pub fn reply_cut(status: u16, headers: &[(&str, String)], body: &[u8], sent: usize) -> Vec<u8> {
    let mut answer =
        format!("HTTP/1.1 {status} .\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
    for (name, value) in headers {
        answer.push_str(&format!("{name}: {value}\r\n"));
    }
    answer.push_str("\r\n");
    let mut answer = answer.into_bytes();
    answer.extend(&body[..sent]);
    answer
}

/// Answers with what stands in a file's bytes, from where a `Range` header asks for it.
pub fn reply_file(request: &Request, file: &[u8], cut_after: Option<usize>) -> Vec<u8> {
    let range = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
    let begin = range.and_then(|begin| begin.parse::<usize>().ok()).unwrap_or(0);
    if begin > 0 && begin >= file.len() {
        return reply(416, &[], b"");
    }
    let rest = &file[begin..];
    let range = ("content-range", format!("bytes {begin}-{}/{}", file.len().saturating_sub(1), file.len()));
    let (status, headers) = if begin > 0 { (206, vec![range]) } else { (200, Vec::new()) };
    reply_cut(status, &headers, rest, cut_after.unwrap_or(rest.len()).min(rest.len()))
}

/// A running server. It ends when it is dropped.
pub struct HttpServer {
    address: std::net::SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Starts a server; `answer` gives the bytes for each request, each connection on a thread of its own.
    pub fn start(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let (seen, stop) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::<AtomicBool>::default());
        let (theirs, stopped, answer) = (Arc::clone(&seen), Arc::clone(&stop), Arc::new(answer));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Relaxed) {
                    return;
                }
                let (seen, answer) = (Arc::clone(&theirs), Arc::clone(&answer));
                // A client that goes away ends its own connection only.
                std::thread::spawn(move || stream.map(|stream| serve(stream, &seen, answer.as_ref())));
            }
        });
        Self { address, seen, stop, thread: Some(thread) }
    }

    /// Where it is, as `http://…`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        // Wakes it.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    answer: &dyn Fn(&Request) -> Vec<u8>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = Request::default();
    reader.read_line(&mut request.line)?;
    request.line = request.line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    reader.take(length).read_to_string(&mut request.body)?;
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
    stream.write_all(&answer(&request))?;
    stream.flush()
}
