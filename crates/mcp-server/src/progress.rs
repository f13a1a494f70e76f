//! Requests that take a while: telling the client that they are being worked on, and stopping when nobody waits any more.

use std::pin::pin;

use rmcp::model::{ErrorData, ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext, RoleServer};
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

use crate::limits::PROGRESS_INTERVAL;

/// Does the work of a request, and tells a client that gave a progress token at the beginning and every second after it
/// how many seconds it has taken so far; how many it will take nobody knows. Nothing is told after it is done.
pub(crate) async fn told<T>(
    context: &RequestContext<RoleServer>,
    what: &str,
    work: impl Future<Output = T>,
) -> T {
    let Some(token) = context.meta.get_progress_token() else { return work.await };
    let (peer, begun) = (context.peer.clone(), Instant::now());
    tell(&peer, &token, 0.0, what).await;
    let mut work = pin!(work);
    let mut ticks = interval_at(begun + PROGRESS_INTERVAL, PROGRESS_INTERVAL);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = ticks.tick() => tell(&peer, &token, begun.elapsed().as_secs_f64(), what).await,
        }
    }
}

async fn tell(peer: &Peer<RoleServer>, token: &ProgressToken, seconds: f64, what: &str) {
    let told =
        ProgressNotificationParam::new(token.clone(), seconds).with_message(format!("{what}: working"));
    if let Err(error) = peer.notify_progress(told).await {
        tracing::debug!(%error, "failed to tell how far a request is");
    }
}

/// Does work that changes nothing until it is done, or until the client has cancelled the request; what is returned then
/// reaches nobody. Where all is cancelled because the server stops, the work is finished all the same.
pub(crate) async fn unless_cancelled<T>(
    context: &RequestContext<RoleServer>,
    stop: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<T, ErrorData> {
    let mut work = pin!(work);
    tokio::select! {
        biased;
        done = &mut work => Ok(done),
        () = context.ct.cancelled() => {
            if stop.is_cancelled() { Ok(work.await) } else { Err(cancelled()) }
        }
    }
}

/// The answer to a cancelled request; it is not sent.
pub(crate) fn cancelled() -> ErrorData {
    ErrorData::internal_error("the request was cancelled", None)
}
