//! What notes and episodes cite.

use async_trait::async_trait;
use memory_core::citation::{Citation, Citations, Fingerprint};
use memory_core::port::{CitationStore, StoreError};
use memory_core::retrieve::Found;

use super::{InMemoryStore, State};

impl State {
    pub(super) fn cite(&mut self, found: Found, citations: Option<Citations>) {
        if let Some(Citations { root, mut cited }) = citations {
            cited.sort();
            self.citations.insert((found, root), cited);
        }
    }
}

#[async_trait]
impl CitationStore for InMemoryStore {
    async fn citations(
        &self,
        found: Vec<Found>,
        root: Fingerprint,
    ) -> Result<Vec<(Found, Vec<Citation>)>, StoreError> {
        let state = self.state();
        let of = |found: Found| {
            self.item(&state, found)?;
            let cited = state.citations.get(&(found, root)).filter(|cited| !cited.is_empty())?;
            Some((found, cited.clone()))
        };
        Ok(found.into_iter().filter_map(of).collect())
    }
}
