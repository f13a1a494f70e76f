//! A store of episodes that remembers those read before.

use std::sync::Arc;

use async_trait::async_trait;
use memory_core::episode::{Episode, EpisodeHead};
use memory_core::id::EpisodeId;
use memory_core::port::{CompletionInsertion, EpisodeStore, Inserted, Insertion, StepInsertion, StoreError};

use crate::Cache;
use crate::entries::EPISODE;

/// Serves whole episodes from a [`Cache`] and passes everything else to the store behind it.
///
/// A write goes to the store first; only its success is reported, and nothing that happens to the cache can make it
/// fail. What is read is never older than the last write that any process was told of.
pub struct CachedEpisodes {
    pub(crate) inner: Arc<dyn EpisodeStore>,
    pub(crate) cache: Arc<Cache>,
}

#[async_trait]
impl EpisodeStore for CachedEpisodes {
    async fn insert(&self, batch: Vec<Insertion>) -> Result<Vec<Inserted>, StoreError> {
        self.inner.insert(batch).await
    }

    async fn append_step(&self, id: EpisodeId, step: StepInsertion) -> Result<u32, StoreError> {
        let number = self.inner.append_step(id, step).await?;
        self.cache.evict(episode_key(id));
        Ok(number)
    }

    async fn complete(&self, id: EpisodeId, completion: CompletionInsertion) -> Result<(), StoreError> {
        self.inner.complete(id, completion).await?;
        self.cache.evict(episode_key(id));
        Ok(())
    }

    async fn get(&self, id: EpisodeId) -> Result<Option<Episode>, StoreError> {
        let key = episode_key(id);
        let Some(lookup) = self.cache.look_up(&key).await else { return self.inner.get(id).await };
        self.cache.counts.looked_up(lookup.value.is_some());
        if lookup.value.is_some() {
            return Ok(lookup.value);
        }
        let episode = self.inner.get(id).await?;
        if let Some(episode) = &episode {
            self.cache.keep(&key, episode, lookup.synced);
        }
        Ok(episode)
    }

    async fn heads(&self, ids: &[EpisodeId]) -> Result<Vec<EpisodeHead>, StoreError> {
        self.inner.heads(ids).await
    }
}

pub(crate) fn episode_key(id: EpisodeId) -> Vec<u8> {
    [&[EPISODE], id.0.as_bytes().as_slice()].concat()
}
