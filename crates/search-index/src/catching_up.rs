//! Before a search: what was committed since the last one comes into the tail.
//!
//! No lock is held while the corpus is asked. Whoever has made the next state puts it in the place of the one it was
//! made from, or, if somebody else was quicker, starts over from there.

use std::collections::HashSet;
use std::sync::Arc;

use memory_core::port::{Space, StoreError};
use memory_core::retrieve::Found;
use memory_core::search::{Entry, Standing};

use crate::keeper;
use crate::limits::{CHANGES_PAGE_MAX, ENTRIES_PAGE_MAX};
use crate::shared::{Shared, Wants};
use crate::state::State;

impl Shared {
    /// A state that holds everything that is committed when this is called, and the space that serves now.
    pub(crate) async fn caught_up(
        &self,
        has_keeper: bool,
    ) -> Result<(Arc<State>, Option<Space>), StoreError> {
        if !has_keeper {
            return Err(StoreError::Other("the search index could not start a thread".into()));
        }
        loop {
            // Read before the store's: only then does a lower number there mean that the store went back.
            let state = self.state();
            let standing = self.corpus.standing().await?;
            if !state.is_ready {
                self.built().await?;
                continue;
            }
            if standing.seq < state.seq {
                tracing::warn!(from = state.seq, now = standing.seq, "the store is older than its search index");
                self.invalidate(&state);
                continue;
            }
            if standing.space != state.space && state.totals.documents > 0 {
                // Meanwhile words are enough, except where it would take no time.
                if state.totals.documents <= self.limits.inline_rebuild_documents_max {
                    self.built().await?;
                    continue;
                }
                self.ask(Wants { build: true, ..Wants::default() });
            }
            if state.seq >= standing.seq {
                return Ok((state, standing.space));
            }
            self.catch_up(&state, standing).await?;
        }
    }

    /// Takes a step towards the present.
    async fn catch_up(&self, state: &Arc<State>, standing: Standing) -> Result<(), StoreError> {
        let behind = standing.seq - state.seq;
        if behind > self.limits.changes_max && behind > state.totals.documents / 2 {
            self.invalidate(state);
            return Ok(());
        }
        let Some(changes) = self.corpus.changed_after(state.seq, CHANGES_PAGE_MAX).await? else {
            self.invalidate(state);
            return Ok(());
        };
        let last = changes.last().map_or(0, |change| change.seq);
        let seq = if changes.len() < CHANGES_PAGE_MAX { standing.seq.max(last) } else { last };
        let changed: HashSet<Found> = changes.into_iter().map(|change| change.found).collect();
        let entries = self.entries(&changed, standing.space.as_ref()).await?;
        let there: HashSet<Found> = entries.iter().map(|entry| entry.found).collect();
        let gone = changed.difference(&there).copied().collect();
        let next = state.changed(entries, gone, seq.max(state.seq + 1), standing.space, &self.making);
        let next = next.map_err(|error| StoreError::Other(format!("the search index failed: {error}")))?;
        let is_full = next.tail_documents() >= self.limits.tail_documents_max;
        if self.replace(state, Arc::new(next)) && is_full {
            keeper::tidy(self);
        }
        Ok(())
    }

    async fn entries(
        &self,
        found: &HashSet<Found>,
        space: Option<&Space>,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut found: Vec<Found> = found.iter().copied().collect();
        found.sort_unstable();
        let mut entries = Vec::new();
        for some in found.chunks(ENTRIES_PAGE_MAX) {
            entries.extend(self.corpus.entries(some.to_vec(), space.cloned()).await?);
        }
        Ok(entries)
    }

    /// Has the index made anew before the next search, unless that has happened since.
    pub(crate) fn invalidate(&self, state: &Arc<State>) {
        self.replace(state, Arc::new(State { is_ready: false, ..(**state).clone() }));
    }

    /// Waits until the index was made anew.
    async fn built(&self) -> Result<(), StoreError> {
        let mut attempts = self.attempts.subscribe();
        let before = attempts.borrow().count;
        self.ask(Wants { build: true, ..Wants::default() });
        let attempt = attempts.wait_for(|attempts| attempts.count > before).await;
        let failure = attempt.map_or(None, |attempts| attempts.failure.clone());
        failure.map_or(Ok(()), Err)
    }
}
