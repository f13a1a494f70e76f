//! How episodes relate to each other.

use async_trait::async_trait;
use memory_core::access::Access;
use memory_core::id::EpisodeId;
use memory_core::limits::EPISODE_LINKS_MAX;
use memory_core::link::Link;
use memory_core::port::{LinkStore, StoreError};
use memory_core::retrieve::Found;

use super::{InMemoryStore, State};

impl State {
    fn links_of(&self, access: &Access, id: EpisodeId) -> Vec<Link> {
        let sees = |id| self.episodes.get(id).is_some_and(|episode| access.sees(episode.domain()));
        let links = self.links.iter().rev().filter(|link| [link.from, link.to].contains(&id));
        links.filter(|link| sees(&link.from) && sees(&link.to)).take(EPISODE_LINKS_MAX).copied().collect()
    }

    /// Both ends, if the caller may change them.
    fn check_ends(&mut self, access: &Access, link: Link) -> Result<(), StoreError> {
        [link.from, link.to].into_iter().try_for_each(|end| self.changeable(access, end).map(drop))
    }

    fn linked(&mut self, link: Link) {
        [link.from, link.to].into_iter().for_each(|end| self.changed(Found::Episode(end)));
    }
}

#[async_trait]
impl LinkStore for InMemoryStore {
    async fn link(&self, link: Link) -> Result<(), StoreError> {
        let mut state = self.state();
        state.check_ends(&self.access, link)?;
        if state.links.contains(&link) {
            return Ok(());
        }
        let is_full = |end: &EpisodeId| state.links_of(&self.access, *end).len() >= EPISODE_LINKS_MAX;
        if let Some(end) = [link.from, link.to].into_iter().find(is_full) {
            return Err(StoreError::TooManyLinks(end));
        }
        state.links.push(link);
        state.linked(link);
        Ok(())
    }

    async fn unlink(&self, link: Link) -> Result<(), StoreError> {
        let mut state = self.state();
        state.check_ends(&self.access, link)?;
        if state.links.contains(&link) {
            state.links.retain(|other| *other != link);
            state.linked(link);
        }
        Ok(())
    }

    async fn links(&self, id: EpisodeId) -> Result<Vec<Link>, StoreError> {
        Ok(self.state().links_of(&self.access, id))
    }
}
