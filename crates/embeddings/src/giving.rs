//! Gives things their vectors: what this process wrote at once, the rest when nothing else is to be done, in one process
//! at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::SignedDuration;
use memory_core::port::{EmbedError, Space, StoreError};
use memory_core::search::Entry;
use tokio::time::Instant;
use uuid::Uuid;

use crate::batch::Batch;
use crate::limits::{LEASE_RENEWED_AFTER, LEASE_SECONDS};
use crate::looking::Shared;
use crate::opened::Opened;

/// Why something did not get its vectors.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Embed(#[from] EmbedError),
}

/// Embeds and puts.
pub(crate) struct Giver {
    shared: Arc<Shared>,
    /// What this process is called where it takes the work of filling a space.
    holder: Uuid,
    /// The space whose filling it has taken, and when it last said so.
    held: Option<(Space, Instant)>,
}

impl Giver {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let holder = shared.source.id();
        Self { shared, holder, held: None }
    }

    /// Takes or keeps the work of filling a space; `false` if another process has it.
    pub(crate) async fn hold(&mut self, space: &Space) -> Result<bool, StoreError> {
        let fresh = |(held, since): &(Space, Instant)| held == space && since.elapsed() < LEASE_RENEWED_AFTER;
        if self.held.as_ref().is_some_and(fresh) {
            return Ok(true);
        }
        let (since, now) = (Instant::now(), self.shared.source.now());
        let until = now + SignedDuration::from_secs(LEASE_SECONDS);
        let held = self.shared.vectors.hold_space(space.clone(), self.holder, now, until).await?;
        self.held = held.then(|| (space.clone(), since));
        Ok(held)
    }

    /// Gives back what it holds.
    pub(crate) async fn give_back(&mut self) -> Result<(), StoreError> {
        let Some((space, _)) = self.held.take() else { return Ok(()) };
        let now = self.shared.source.now();
        let past = now - SignedDuration::from_secs(1);
        self.shared.vectors.hold_space(space, self.holder, now, past).await.map(|_| ())
    }

    /// Embeds what is missing in entries; what was just written goes first. `false` if another process does it.
    pub(crate) async fn fill(&mut self, model: &Opened, entries: Vec<Entry>) -> Result<bool, Failure> {
        for mut batch in Batch::split(entries, model.batch_texts()) {
            if !self.hold(model.space()).await? {
                return Ok(false);
            }
            while self.embed(model, &mut batch).await? {
                while self.live(model).await? {}
            }
            self.put(model, batch).await?;
        }
        Ok(true)
    }

    /// Embeds some of what this process wrote, if the space serves; `false` if there is nothing.
    pub(crate) async fn live(&self, model: &Opened) -> Result<bool, Failure> {
        let things = {
            let known = self.shared.known();
            if known.serves() { known.live.some(model.batch_texts()) } else { Vec::new() }
        };
        if things.is_empty() {
            return Ok(false);
        }
        let found = things.iter().map(|(found, _)| *found).collect();
        let entries = self.shared.corpus.entries(found, Some(model.space().clone())).await?;
        for mut batch in Batch::split(entries, model.batch_texts()) {
            while self.embed(model, &mut batch).await? {}
            self.put(model, batch).await?;
        }
        self.shared.known().live.done(&things);
        self.shared.progress.notify_waiters();
        Ok(true)
    }

    /// Embeds a few texts; `false` if there are no more.
    async fn embed(&self, model: &Opened, batch: &mut Batch) -> Result<bool, EmbedError> {
        let embedded = batch.advance(model).await?;
        self.shared.embedded.fetch_add(embedded.unwrap_or(0) as u64, Ordering::Relaxed);
        Ok(embedded.is_some())
    }

    async fn put(&self, model: &Opened, batch: Batch) -> Result<(), StoreError> {
        let vectors = batch.finish();
        if vectors.is_empty() {
            return Ok(());
        }
        self.shared.vectors.put_vectors(model.space().clone(), vectors).await
    }
}
