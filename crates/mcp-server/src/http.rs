//! MCP over HTTP: who comes in, and to which of the servers.
//!
//! Each principal has a server of its own, with its own sessions ([`seat`]): a request gets no further than to that of its
//! key, so nothing that it can reach, now or by a stream that stays open, is another's. The protocol itself is the SDK's.

mod answer;
mod listener;
mod seat;
mod sessions;
mod visitor;

pub(crate) use self::answer::Answer;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use futures::StreamExt;
use http_body_util::{BodyExt, BodyStream, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, Request, StatusCode};
use rmcp::ErrorData;
use rmcp::model::ServerJsonRpcMessage;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use self::answer::refusal;
use self::seat::{Admitted, Seats};
use self::visitor::{Visitors, key};
use crate::auth::Keyring;
use crate::channel::{Unreadable, id_of, parse};
use crate::config::reload::InEffect;
use crate::limits::{BODIES_MAX, BODY_WAIT, RETRY_AFTER_SECS, TURN_WAIT};
use crate::prometheus::{self, exposition};
use crate::wiring::App;

/// Where MCP is spoken.
const PATH: &str = "/mcp";
/// Where measurements are.
const METRICS_PATH: &str = "/metrics";

/// The address of the server, where everybody may connect to it.
pub(crate) struct Endpoint {
    listener: TcpListener,
    address: SocketAddr,
}

impl Endpoint {
    /// Takes the address.
    ///
    /// # Errors
    /// If others than this machine could connect although there are no keys; if the address cannot be had.
    pub(crate) async fn bind(
        address: SocketAddr,
        settings: &InEffect,
        setting: &str,
    ) -> anyhow::Result<Self> {
        anyhow::ensure!(
            address.ip().is_loopback() || !settings.auth.keys.is_empty(),
            "{address} can be reached by other machines, and without keys everybody could use the memory: make keys \
             with `memory-mcp key new` and put them into the configuration, or let `{setting}` be an address of this machine, \
             such as 127.0.0.1:{}",
            address.port()
        );
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| {
            format!("failed to listen on {address}; name another address with `{setting}`")
        })?;
        let address = listener.local_addr().context("failed to learn the address")?;
        Ok(Self { listener, address })
    }

    /// Where it is; the port is the one that it got where none was asked for.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves MCP until the app is to stop; what was asked until then is answered.
    pub(crate) async fn serve(self, app: Arc<App>) {
        let settings = app.settings();
        let seats = Seats::new(&app, !self.address.ip().is_loopback()).await;
        let door = Arc::new(Door {
            visitors: Visitors::new(&settings.http.allowed_hosts, &settings.http.allowed_origins),
            seats: Mutex::new(Arc::new(seats)),
            bodies: Semaphore::new(BODIES_MAX),
            body_bytes_max: settings.http.body_bytes_max as usize,
            app: app.clone(),
        });
        let changes = app.settings.subscribe();
        let answering = {
            let door = door.clone();
            listener::serve(self.listener, app.closing.clone(), move |request| {
                let door = door.clone();
                async move { door.answer(request).await }
            })
        };
        tokio::select! {
            () = answering => {}
            () = door.follow_keys(changes) => {}
        }
        door.seats().close();
    }
}

impl Endpoint {
    /// Serves measurements until the app is to stop: to everybody on this machine where there are no keys, else to keys that
    /// may see everything.
    pub(crate) async fn serve_metrics(self, app: Arc<App>) {
        let visitors = Arc::new(Visitors::new(&app.settings().http.allowed_hosts, &[]));
        listener::serve(self.listener, app.closing.clone(), move |request| {
            let (app, visitors) = (app.clone(), visitors.clone());
            async move { metrics(&app, &visitors, self.address, &request).await }
        })
        .await;
    }
}

async fn metrics(app: &App, visitors: &Visitors, address: SocketAddr, request: &Request<Incoming>) -> Answer {
    if let Err(reason) = visitors.check(request) {
        return refusal(StatusCode::FORBIDDEN, reason);
    }
    if request.uri().path() != METRICS_PATH || request.method() != Method::GET {
        return refusal(
            StatusCode::NOT_FOUND,
            format!("there is nothing here; measurements are at {METRICS_PATH}"),
        );
    }
    let keyring = Keyring::new(&app.settings().auth.keys);
    if !keyring.is_empty() || !address.ip().is_loopback() {
        let principal = key(request.headers()).and_then(|key| keyring.authenticate(key));
        if !principal.is_some_and(|principal| principal.access.is_everything()) {
            return unauthorized(
                "send a key that may see everything, as `Authorization: Bearer KEY` or `X-API-Key: KEY`",
            );
        }
    }
    let Ok(_turn) = app.turns.try_acquire() else {
        return come_again("too many requests are worked on");
    };
    let mut answer = refusal(StatusCode::OK, exposition(&app.measured(false).await));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(prometheus::CONTENT_TYPE));
    answer
}

/// What stands between the network and the servers.
struct Door {
    app: Arc<App>,
    visitors: Visitors,
    seats: Mutex<Arc<Seats>>,
    /// Places for bodies that are being received.
    bodies: Semaphore,
    body_bytes_max: usize,
}

impl Door {
    fn seats(&self) -> Arc<Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets in and keeps out whom the keys of the settings say, as they change.
    async fn follow_keys(&self, mut settings: watch::Receiver<Arc<InEffect>>) {
        while settings.changed().await.is_ok() {
            let keys = settings.borrow_and_update().auth.keys.clone();
            let seats = self.seats().following(&self.app, keys).await;
            *self.seats.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(seats);
        }
        std::future::pending().await
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let page = match self.visitors.check(&request) {
            Ok(page) => page,
            Err(reason) => return refusal(StatusCode::FORBIDDEN, reason),
        };
        let mut answer = if page.is_some() && request.method() == Method::OPTIONS {
            refusal(StatusCode::NO_CONTENT, "")
        } else {
            self.answer_visitor(request).await
        };
        if let Some(origin) = page {
            visitor::let_read(&mut answer, origin);
        }
        answer
    }

    async fn answer_visitor(&self, request: Request<Incoming>) -> Answer {
        if request.uri().path() != PATH {
            return refusal(StatusCode::NOT_FOUND, format!("there is nothing here; MCP is spoken at {PATH}"));
        }
        let seat = match self.seats().admit(key(request.headers())) {
            Admitted::To(seat) => seat,
            Admitted::Nowhere(reason) => return unauthorized(reason),
        };
        if self.app.closing.is_cancelled() {
            let mut answer = refusal(StatusCode::SERVICE_UNAVAILABLE, "the server is being stopped");
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return answer;
        }
        let is_stream = request.method() == Method::GET;
        let (head, body) = request.into_parts();
        let body = match self.receive(&head.method, body).await {
            Ok(body) => body,
            Err(answer) => return *answer,
        };
        let answer = seat.service.handle(Request::from_parts(head, Full::new(body))).await;
        if !is_stream {
            return answer;
        }
        // It would otherwise last as long as its client likes.
        let closing = self.app.closing.clone().cancelled_owned();
        answer.map(|stream| {
            BodyExt::boxed(StreamBody::new(BodyStream::new(stream).take_until(Box::pin(closing))))
        })
    }

    /// Receives the body of a request, which must be a message where it is posted.
    async fn receive(&self, method: &Method, body: Incoming) -> Result<Bytes, Box<Answer>> {
        let too_large = || {
            let reason = format!(
                "the body is longer than {} bytes, the most that is read (`http.body_bytes_max`)",
                self.body_bytes_max
            );
            Box::new(refusal(StatusCode::PAYLOAD_TOO_LARGE, reason))
        };
        if body.size_hint().lower() > self.body_bytes_max as u64 {
            return Err(too_large());
        }
        let Ok(_place) = tokio::time::timeout(TURN_WAIT, self.bodies.acquire()).await else {
            return Err(Box::new(come_again("too many requests are coming in")));
        };
        let received =
            tokio::time::timeout(BODY_WAIT, Limited::new(body, self.body_bytes_max).collect()).await;
        let body = match received {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large()),
            Ok(Err(error)) => {
                let reason = format!("failed to receive the body: {error}");
                return Err(Box::new(refusal(StatusCode::BAD_REQUEST, reason)));
            }
            Err(_) => {
                let reason = format!("the body took more than {} s", BODY_WAIT.as_secs());
                return Err(Box::new(refusal(StatusCode::REQUEST_TIMEOUT, reason)));
            }
        };
        if method == Method::POST {
            return check(&body).map_or(Ok(body), |answer| Err(Box::new(answer)));
        }
        Ok(body)
    }
}

/// Answers what is no message as it is answered on stdin and stdout.
fn check(body: &[u8]) -> Option<Answer> {
    match parse(body) {
        Ok(_) => None,
        Err(Unreadable::Notification) => Some(refusal(StatusCode::ACCEPTED, "")),
        Err(Unreadable::Request(error)) => Some(bad_request(error, body)),
    }
}

fn bad_request(error: ErrorData, body: &[u8]) -> Answer {
    let message = ServerJsonRpcMessage::error(error, id_of(body));
    let mut answer = refusal(StatusCode::BAD_REQUEST, serde_json::to_string(&message).unwrap_or_default());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn come_again(reason: &'static str) -> Answer {
    let mut answer = refusal(StatusCode::SERVICE_UNAVAILABLE, reason);
    answer.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECS.into());
    answer
}

fn unauthorized(reason: &'static str) -> Answer {
    let mut answer = refusal(StatusCode::UNAUTHORIZED, reason);
    let challenge = HeaderValue::from_static("Bearer realm=\"memory-mcp\"");
    answer.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    answer
}
