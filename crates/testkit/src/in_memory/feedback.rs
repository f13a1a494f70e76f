//! What was said of things.

use async_trait::async_trait;
use jiff::Timestamp;
use memory_core::feedback::Feedback;
use memory_core::id::PatternId;
use memory_core::pattern::{Correction, Tally};
use memory_core::port::{FeedbackStore, StoreError};
use memory_core::retrieve::Found;

use super::{InMemoryStore, State};

impl State {
    /// What was said of a thing, if anything was.
    pub(super) fn said_of(&self, found: Found) -> Option<Tally> {
        let said = self.feedback.iter().filter(|feedback| feedback.about.contains(&found));
        let observed = said.map(|feedback| feedback.usefulness.observation(feedback.at));
        observed.reduce(|sum, observed| sum.plus(&observed))
    }

    /// Takes back all that was said of a thing.
    pub(super) fn unsay(&mut self, found: Found) {
        for feedback in &mut self.feedback {
            feedback.about.retain(|about| *about != found);
        }
        self.feedback.retain(|feedback| !feedback.about.is_empty());
    }
}

#[async_trait]
impl FeedbackStore for InMemoryStore {
    async fn give(&self, feedback: Feedback) -> Result<(), StoreError> {
        self.access.check_change()?;
        let mut state = self.state();
        if !feedback.about.iter().all(|found| self.item(&state, *found).is_some()) {
            return Err(StoreError::NotFound);
        }
        // An answer that was kept before is in another order now.
        for found in &feedback.about {
            state.changed(*found);
        }
        state.feedback.push(feedback);
        Ok(())
    }

    async fn usefulness(&self, found: Vec<Found>) -> Result<Vec<(Found, Tally)>, StoreError> {
        let state = self.state();
        let seen = found.into_iter().filter(|found| self.item(&state, *found).is_some());
        Ok(seen.filter_map(|found| Some((found, state.said_of(found)?))).collect())
    }

    async fn correct(
        &self,
        id: PatternId,
        correction: Option<Correction>,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        self.access.check_change()?;
        let mut state = self.state();
        self.item(&state, Found::Pattern(id)).ok_or(StoreError::NotFound)?;
        match correction {
            Some(correction) => state.corrections.insert(id, correction),
            None => state.corrections.remove(&id),
        };
        state.changed(Found::Pattern(id));
        Ok(())
    }

    async fn delete_pattern(&self, id: PatternId, _at: Timestamp) -> Result<(), StoreError> {
        self.access.check_change()?;
        let mut state = self.state();
        self.item(&state, Found::Pattern(id)).ok_or(StoreError::NotFound)?;
        state.deleted.insert(id);
        state.changed(Found::Pattern(id));
        Ok(())
    }
}
