//! Telling clients what has changed: the tools they are shown, and the resources they asked about. Whoever changed it,
//! this process or another one, it is noticed by the change log.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use memory_core::error::Error;
use memory_core::port::{ChangeLog, EpisodeListing, Listing, Naming};
use rmcp::ErrorData;
use rmcp::model::{ResourceUpdatedNotificationParam, SubscriptionFilter};
use rmcp::service::{Peer, RoleServer, SubscriptionContext};
use tokio::sync::Notify;

use crate::disclosure::Era;
use crate::limits::{CHANGES_LOOKED_FOR_EVERY, GONE_LOOKED_FOR_EVERY, RESOURCES_WATCHED, SUBSCRIPTIONS_MAX};
use crate::resources::{Address, not_found};
use crate::server::Server;

/// What was last seen of what a client wants to be told about.
#[derive(Default)]
pub(crate) struct Watched {
    /// What could be read at each URI; `None` where there was nothing.
    seen: Mutex<BTreeMap<String, Option<u64>>>,
    /// What the list of resources held, if that is watched.
    listed: Mutex<Option<u64>>,
    /// Up to which change this was looked at.
    seq: AtomicU64,
    more: Notify,
}

impl Watched {
    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Option<u64>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listed(&self) -> MutexGuard<'_, Option<u64>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is time to look again: never while nothing is watched.
    async fn due(&self) {
        while self.seen().is_empty() && self.listed().is_none() {
            self.more.notified().await;
        }
        tokio::time::sleep(CHANGES_LOOKED_FOR_EVERY).await;
    }
}

/// What is to be told.
#[derive(Default)]
struct News {
    updated: Vec<String>,
    list_changed: bool,
}

impl Server {
    /// What can be read now; `None` where there is nothing.
    async fn look(&self, uri: &str) -> Result<Option<u64>, Error> {
        match self.read(uri).await {
            Ok(text) => Ok(Some(hash(&text))),
            Err(error @ Error::Store(_)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// What the list of resources begins with.
    async fn look_at_list(&self) -> Result<u64, Error> {
        let memory = &self.memory;
        let projects = memory.names(Naming::Projects, "", None, RESOURCES_WATCHED).await?;
        let listing = EpisodeListing { max: RESOURCES_WATCHED, ..EpisodeListing::default() };
        let episodes: Vec<_> = memory.episodes(listing).await?.into_iter().map(|head| head.id).collect();
        let listing = Listing { max: RESOURCES_WATCHED, ..Listing::default() };
        let patterns = memory.patterns(listing, None).await?.patterns;
        let patterns: Vec<_> = patterns.into_iter().map(|review| review.pattern.id).collect();
        Ok(hash(&(projects, episodes, patterns)))
    }

    /// What is new since the last look.
    async fn news(&self, watched: &Watched) -> Result<News, Error> {
        let seq = self.app.store.change_seq().await?;
        if seq == watched.seq.load(Ordering::Relaxed) {
            return Ok(News::default());
        }
        let mut news = News::default();
        let uris: Vec<String> = watched.seen().keys().cloned().collect();
        for uri in uris {
            let now = self.look(&uri).await?;
            // It may have been given up in the meantime.
            if let Some(before) = watched.seen().get_mut(&uri)
                && *before != now
            {
                *before = now;
                news.updated.push(uri);
            }
        }
        let before = *watched.listed();
        if before.is_some() {
            let now = Some(self.look_at_list().await?);
            news.list_changed = now != before;
            *watched.listed() = now;
        }
        watched.seq.store(seq, Ordering::Relaxed);
        Ok(news)
    }

    /// The same, where a store that cannot be read now is asked again later.
    async fn news_if_readable(&self, watched: &Watched) -> News {
        self.news(watched).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "failed to look for what has changed");
            News::default()
        })
    }

    /// Tells a client of the legacy era what changes, for as long as it is there.
    pub(crate) async fn attend(&self, peer: &Peer<RoleServer>) {
        let mut level = self.disclosure.watch(Era::Legacy);
        loop {
            let told = tokio::select! {
                () = self.app.closing.cancelled() => return,
                () = gone(peer) => return,
                () = level.changed() => peer.notify_tool_list_changed().await,
                () = self.subscribed.due() => {
                    let mut told = Ok(());
                    for uri in self.news_if_readable(&self.subscribed).await.updated {
                        let param = ResourceUpdatedNotificationParam::new(uri);
                        told = told.and(peer.notify_resource_updated(param).await);
                    }
                    told
                }
            };
            if told.is_err() {
                return;
            }
        }
    }

    /// Notes that a client of the legacy era wants to be told about a resource.
    pub(crate) async fn follow(&self, uri: String) -> Result<(), ErrorData> {
        if self.subscribed.seen().contains_key(&uri) {
            return Ok(());
        }
        let text = self.read(&uri).await.map_err(|error| not_found(&uri, &error))?;
        let mut subscribed = self.subscribed.seen();
        if subscribed.len() >= SUBSCRIPTIONS_MAX {
            let message = format!(
                "{SUBSCRIPTIONS_MAX} resources are subscribed to, the most there can be; unsubscribe from one"
            );
            return Err(ErrorData::invalid_request(message, None));
        }
        subscribed.insert(uri, Some(hash(&text)));
        drop(subscribed);
        self.subscribed.more.notify_one();
        Ok(())
    }

    /// Takes that back.
    pub(crate) fn unfollow(&self, uri: &str) -> Result<(), ErrorData> {
        if self.subscribed.seen().remove(uri).is_some() {
            return Ok(());
        }
        Err(ErrorData::invalid_params(format!("nobody has subscribed to {uri:?} on this connection"), None))
    }

    /// What a client of the modern era asked for, as far as it is told of.
    pub(crate) fn accepted(requested: &SubscriptionFilter) -> SubscriptionFilter {
        let mut accepted = requested.clone();
        accepted.prompts_list_changed = None;
        if let Some(uris) = &mut accepted.resource_subscriptions {
            uris.retain(|uri| uri.parse::<Address>().is_ok());
            uris.truncate(SUBSCRIPTIONS_MAX);
        }
        accepted
    }

    /// Tells a client of the modern era what it asked for, until it cancels that or the server stops.
    pub(crate) async fn attend_to(&self, context: &SubscriptionContext) -> Result<(), ErrorData> {
        let Ok(_place) = self.listeners.try_acquire() else {
            let message = "as many requests to listen are open as there can be; cancel one";
            return Err(ErrorData::invalid_request(message, None));
        };
        let accepted = context.accepted();
        let watched = self.first_look(accepted).await.map_err(|error| not_found("", &error))?;
        let mut level = self.disclosure.watch(Era::Modern);
        let sink = context.sink();
        loop {
            let told = tokio::select! {
                () = context.cancelled() => return Ok(()),
                () = self.app.closing.cancelled() => return Ok(()),
                () = level.changed(), if accepted.tools_list_changed == Some(true) => {
                    sink.notify_tool_list_changed().await
                }
                () = watched.due() => {
                    let news = self.news_if_readable(&watched).await;
                    let mut told = Ok(());
                    for uri in news.updated {
                        told = told.and(sink.notify_resource_updated(uri).await);
                    }
                    if news.list_changed {
                        told = told.and(sink.notify_resource_list_changed().await);
                    }
                    told
                }
            };
            if told.is_err() {
                return Ok(());
            }
        }
    }

    async fn first_look(&self, accepted: &SubscriptionFilter) -> Result<Watched, Error> {
        let before = self.app.store.change_seq().await?;
        let mut seen = BTreeMap::new();
        for uri in accepted.resource_subscriptions.iter().flatten() {
            seen.insert(uri.clone(), self.look(uri).await?);
        }
        let mut listed = None;
        if accepted.resources_list_changed == Some(true) {
            listed = Some(self.look_at_list().await?);
        }
        if self.app.store.change_seq().await? != before {
            // The client was told already that it will be told: what changed since then may be in what was seen.
            seen.values_mut().for_each(|seen| *seen = seen.map(|seen| !seen));
            listed = listed.map(|listed| !listed);
        }
        Ok(Watched {
            seen: Mutex::new(seen),
            listed: Mutex::new(listed),
            seq: AtomicU64::new(before),
            more: Notify::new(),
        })
    }
}

/// Waits until the client has gone. The SDK does not say when, so it is asked from time to time.
async fn gone(peer: &Peer<RoleServer>) {
    while !peer.is_transport_closed() {
        tokio::time::sleep(GONE_LOOKED_FOR_EVERY).await;
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
