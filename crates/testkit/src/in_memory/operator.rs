//! What was changed, and what there is.

use async_trait::async_trait;
use memory_core::port::{Change, ChangeLog, StoreCounts, StoreError, StoreHealth};

use super::InMemoryStore;

#[async_trait]
impl ChangeLog for InMemoryStore {
    async fn change_seq(&self) -> Result<u64, StoreError> {
        Ok(self.state().changes.len() as u64)
    }

    async fn changes_after(&self, seq: u64, max: usize) -> Result<Option<Vec<Change>>, StoreError> {
        let state = self.state();
        Ok(Some(state.changes.iter().filter(|change| change.seq > seq).take(max).copied().collect()))
    }
}

#[async_trait]
impl StoreHealth for InMemoryStore {
    async fn counts(&self) -> Result<StoreCounts, StoreError> {
        let state = self.state();
        let episodes = || state.episodes.values().filter(|episode| self.sees(episode.domain()));
        let notes = || state.notes.iter().filter(|kept| self.sees(kept.note.scope.domain.as_deref()));
        let patterns = state.patterns();
        let patterns = patterns.iter().filter(|pattern| self.sees(pattern.domain.as_deref()));
        Ok(StoreCounts {
            episodes: episodes().count() as u64,
            open_episodes: episodes().filter(|e| e.head.completion.is_none()).count() as u64,
            steps: episodes().map(|e| e.steps.len() as u64).sum(),
            notes: notes().filter(|kept| kept.superseded.is_none()).count() as u64,
            superseded_notes: notes().filter(|kept| kept.superseded.is_some()).count() as u64,
            patterns: patterns.count() as u64,
            bytes: 0,
            schema_version: 0,
        })
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }
}
