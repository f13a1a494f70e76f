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
                tracing::warn!(
                    from = state.seq,
                    now = standing.seq,
                    "the store is older than its search index"
                );
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

    async fn entries(&self, found: &HashSet<Found>, space: Option<&Space>) -> Result<Vec<Entry>, StoreError> {
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

#[cfg(test)]
mod tests {
    use memory_core::search::SearchIndex as _;

    use super::*;
    use crate::fixture::*;

    #[test]
    fn everything_committed_before_is_found_and_what_is_gone_is_not() {
        let bench = Bench::new();
        let (index, other) = (bench.open(), bench.open_in_memory());
        for index in [&index, &other] {
            bench.store.put(entry(1, "deploy the server"));
            bench.store.put(entry(2, "deploy the cache"));
            assert_eq!(ids(index, "deploy"), [1, 2]);
            bench.store.put(entry(2, "drop the cache"));
            assert_eq!(ids(index, "deploy"), [1]);
            bench.store.delete(note(1));
            assert_eq!(ids(index, "deploy"), [0; 0]);
            assert_eq!(ids(index, "drop"), [2]);
        }
    }

    #[test]
    fn a_failing_store_fails_the_search_and_nothing_else() {
        let bench = Bench::new();
        bench.store.put(entry(1, "deploy"));
        let index = bench.open();
        for _ in 0..2 {
            bench.store.contents().fails = true;
            assert_eq!(block_on(index.candidates(asked("deploy"))), Err(StoreError::Busy));
            bench.store.contents().fails = false;
            assert_eq!(ids(&index, "deploy"), [1]);
        }
    }

    #[test]
    fn many_changes_at_once_are_read_as_pages() {
        let bench = Bench::new();
        let index = bench.open();
        assert_eq!(ids(&index, "deploy"), [0; 0]);
        (1..=100).for_each(|id| bench.store.put(entry(id, "deploy")));
        let before = bench.store.contents().pages;
        assert_eq!(ask(&index, &asked("deploy")).documents, 100);
        assert!(bench.store.contents().pages > before);
    }

    #[test]
    fn a_new_space_serves_once_the_vectors_are_there() {
        let mut bench = Bench::new();
        bench.limits.inline_rebuild_documents_max = 3;
        let with_vector = |id: u128| {
            let mut entry = entry(id, "deploy");
            entry.vectors = vec![Some(vector([id as i8, 1, 0, 0]))];
            entry
        };
        (1..=20).for_each(|id| bench.store.put(with_vector(id)));
        let index = bench.open();
        let mut search = asked("deploy");
        search.vector = Some((space("one"), vector([1, 1, 0, 0])));
        let dense = || ask(&index, &search).proposed.iter().filter(|one| one.fit.dense.is_some()).count();
        assert_eq!(dense(), 0, "no space serves yet");
        bench.store.contents().space = Some(space("one"));
        assert_eq!(ask(&index, &search).documents, 20, "words are enough until then");
        settle(&index);
        assert!(dense() >= 10);
        bench.store.contents().space = Some(space("two"));
        assert_eq!(dense(), 0, "vectors of another space are not compared");
    }

    #[test]
    fn searches_at_once_see_the_same() {
        let bench = Bench::new();
        let index = bench.open();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for id in 1..=60 {
            bench.store.put(entry(id, "deploy"));
            let searches = (0..8).map(|_| index.candidates(asked("deploy")));
            let answers = runtime.block_on(futures::future::join_all(searches));
            answers.into_iter().for_each(|answer| assert_eq!(answer.unwrap().documents, id as u64));
        }
    }
}
