//! Vectors and their spaces.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use memory_core::port::{Embedded, Space, SpaceState, StoreError, VectorStore};
use memory_core::retrieve::Found;
use memory_core::search::Document;
use memory_core::vector::Vector;
use uuid::Uuid;

use super::{InMemoryStore, State};

#[derive(Debug)]
pub(super) struct KeptSpace {
    state: SpaceState,
    held: Option<(Uuid, Timestamp)>,
    vectors: BTreeMap<Found, Vec<Option<(u64, Vector)>>>,
}

impl State {
    pub(super) fn serving(&self) -> Option<&Space> {
        self.spaces.iter().find(|kept| kept.state.serves).map(|kept| &kept.state.space)
    }

    /// The vector of each passage of a thing, in this space.
    pub(super) fn vectors(
        &self,
        found: Found,
        space: Option<&Space>,
        document: &Document,
    ) -> Vec<Option<Vector>> {
        let kept = self.spaces.iter().find(|kept| Some(&kept.state.space) == space);
        let stored = kept.and_then(|kept| kept.vectors.get(&found));
        let vector = |n: usize| stored?.get(n)?.as_ref();
        let fitting = document.passages.iter().enumerate().map(|(n, passage)| {
            let (fingerprint, vector) = vector(n)?;
            (passage.fingerprint() == Some(*fingerprint)).then(|| vector.clone())
        });
        fitting.collect()
    }

    /// Forgets the vectors of a thing, in every space.
    pub(super) fn drop_vectors(&mut self, found: Found) {
        for kept in &mut self.spaces {
            kept.vectors.remove(&found);
        }
    }

    fn space(&mut self, space: &Space) -> &mut KeptSpace {
        let known = self.spaces.iter().position(|kept| kept.state.space == *space);
        let place = known.unwrap_or_else(|| {
            let state = SpaceState { space: space.clone(), serves: false, seq: None };
            self.spaces.push(KeptSpace { state, held: None, vectors: BTreeMap::new() });
            self.spaces.len() - 1
        });
        &mut self.spaces[place]
    }
}

#[async_trait]
impl VectorStore for InMemoryStore {
    async fn spaces(&self) -> Result<Vec<SpaceState>, StoreError> {
        Ok(self.state().spaces.iter().map(|kept| kept.state.clone()).collect())
    }

    async fn put_vectors(&self, space: Space, vectors: Vec<Embedded>) -> Result<(), StoreError> {
        let mut state = self.state();
        state.space(&space);
        for Embedded { found, vectors } in vectors {
            if state.item(found).is_none() {
                continue;
            }
            let kept = state.space(&space);
            let serves = kept.state.serves;
            let before = kept.vectors.insert(found, vectors.clone());
            if serves && before != Some(vectors) {
                state.changed(found);
            }
        }
        Ok(())
    }

    async fn complete_space(&self, space: Space, seq: u64) -> Result<(), StoreError> {
        let mut state = self.state();
        let kept = state.spaces.iter_mut().find(|kept| kept.state.space == space);
        let kept = kept.ok_or(StoreError::NotFound)?;
        kept.state.seq = kept.state.seq.max(Some(seq));
        if !kept.state.serves {
            kept.state.serves = true;
            state.spaces.retain(|kept| kept.state.space == space);
        }
        Ok(())
    }

    async fn hold_space(
        &self,
        space: Space,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut state = self.state();
        let is_known = state.spaces.iter().any(|kept| kept.state.space == space);
        if until <= now && !is_known {
            return Ok(true);
        }
        let held = &mut state.space(&space).held;
        let is_free = held.is_none_or(|(by, until)| by == holder || until <= now);
        if is_free {
            *held = Some((holder, until));
        }
        Ok(is_free)
    }
}
