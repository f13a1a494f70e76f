//! The servers of those who may come in: one a key, or one for everybody where there are no keys.

use std::sync::Arc;

use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio_util::sync::CancellationToken;

use super::sessions::Sessions;
use crate::auth::{KeySettings, Keyring, Principal};
use crate::limits::HTTP_LISTENERS_MAX;
use crate::server::Server;
use crate::wiring::App;

/// What one principal has: its server, its sessions, its streams.
pub(crate) struct Seat {
    /// Speaks the protocol; it knows the sessions of this principal and no others.
    pub(crate) service: StreamableHttpService<Server, Sessions>,
    /// Cancelled when its sessions and streams are to end.
    end: CancellationToken,
}

impl Seat {
    async fn new(app: &Arc<App>, principal: Arc<Principal>) -> Arc<Self> {
        let end = CancellationToken::new();
        // Whose name and page it is was asked at the door; how long a body may be, too.
        let config = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .with_json_response(true)
            .with_max_request_body_bytes(usize::MAX)
            .with_cancellation_token(end.clone());
        let server = Server::new(app.clone(), principal, HTTP_LISTENERS_MAX).await;
        let service = StreamableHttpService::new(move || Ok(server.another()), Arc::default(), config);
        Arc::new(Self { service, end })
    }
}

/// Whether somebody may come in.
pub(crate) enum Admitted {
    To(Arc<Seat>),
    /// It may not; what to do about it.
    Nowhere(&'static str),
}

/// Who may come in.
pub(crate) struct Seats {
    keyring: Keyring,
    /// In the order of the keys.
    of_keys: Vec<(KeySettings, Arc<Seat>)>,
    /// Where nobody needs a key.
    of_all: Option<Arc<Seat>>,
}

impl Seats {
    /// Who may come in as the settings are. Without keys that is everybody, unless others than this machine could come.
    pub(crate) async fn new(app: &Arc<App>, is_public: bool) -> Self {
        let keys = app.settings().auth.keys.clone();
        let is_open = keys.is_empty() && !is_public;
        let of_all = if is_open { Some(Seat::new(app, Arc::new(Principal::owner())).await) } else { None };
        Self { keyring: Keyring::default(), of_keys: Vec::new(), of_all }.following(app, keys).await
    }

    /// Who may come in with these keys. What belongs to a key that is as it was goes on; the sessions of others end. A server
    /// that was once closed by a key is not opened by taking the last one away: that needs a new start.
    pub(crate) async fn following(&self, app: &Arc<App>, keys: Vec<KeySettings>) -> Self {
        let keyring = Keyring::new(&keys);
        let mut of_keys = Vec::new();
        for (settings, principal) in keys.into_iter().zip(keyring.principals()) {
            let seat = match self.of_keys.iter().find(|(known, _)| *known == settings) {
                Some((_, seat)) => seat.clone(),
                None => Seat::new(app, principal.clone()).await,
            };
            of_keys.push((settings, seat));
        }
        let of_all = self.of_all.clone().filter(|_| of_keys.is_empty());
        let next = Self { keyring, of_keys, of_all };
        for gone in self.all().filter(|old| !next.all().any(|new| Arc::ptr_eq(old, new))) {
            gone.end.cancel();
        }
        if next.all().next().is_none() {
            tracing::warn!(
                "there are no keys any more: nobody can come in; start the server again to open it without keys"
            );
        }
        next
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Seat>> {
        self.of_keys.iter().map(|(_, seat)| seat).chain(&self.of_all)
    }

    /// The seat of who brings this key, or none.
    pub(crate) fn admit(&self, key: Option<&str>) -> Admitted {
        let seat = match (key, &self.of_all) {
            (None, Some(seat)) => Some(seat),
            (Some(_), Some(_)) => {
                // Somebody meant it to be a bound.
                return Admitted::Nowhere(
                    "a key was sent, but no keys are configured: send none to use everything",
                );
            }
            (key, None) => {
                let place = key.and_then(|key| self.keyring.find(key));
                place.and_then(|place| self.of_keys.get(place)).map(|(_, seat)| seat)
            }
        };
        match (seat, key) {
            (Some(seat), _) => Admitted::To(seat.clone()),
            (None, None) => {
                Admitted::Nowhere("send a key, as `Authorization: Bearer KEY` or `X-API-Key: KEY`")
            }
            (None, Some(_)) => Admitted::Nowhere("the key is none of those that this server knows"),
        }
    }

    /// Ends all sessions and streams.
    pub(crate) fn close(&self) {
        self.all().for_each(|seat| seat.end.cancel());
    }
}
