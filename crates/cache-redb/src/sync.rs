//! Keeping up with the store: before every read the cache learns what was committed since, by whatever process.

use memory_core::port::{Change, StoreError};
use memory_core::retrieve::Found;

use crate::Cache;
use crate::cached::episode_key;
use crate::entries::Changed;

impl Cache {
    /// Makes the entries true for everything that is committed when this is called; `None` if that failed and they must
    /// not be used.
    pub(crate) async fn catch_up(&self) -> Option<()> {
        // Read before the store's: only then does a lower one in the store mean another database, and not that another
        // task was quicker than this one.
        let from = self.attempt(|entries| Ok(entries.synced()))?;
        let now = self.told(self.changes.change_seq().await)?;
        if now < from {
            tracing::warn!(from, now, "the database is older than its cache, which is emptied");
            let evicted = self.attempt(|entries| entries.reset(now))?;
            self.counts.evicted(evicted);
        } else if now > from {
            let changes_max = self.place.limits.changes_max;
            let changes = self.told(self.changes.changes_after(from, changes_max + 1).await)?;
            let changes = changes.filter(|changes| changes.len() <= changes_max);
            // Changes may have been committed since `now` was read.
            let last = changes.as_ref().and_then(|changes| changes.last()).map_or(now, |last| last.seq);
            let changed = changes.map_or(Changed::Anything, |changes| Changed::Keys(episode_keys(&changes)));
            let evicted = self.attempt(|entries| entries.advance(from, now.max(last), changed))?;
            self.counts.evicted(evicted);
        }
        Some(())
    }

    fn told<T>(&self, answer: Result<T, StoreError>) -> Option<T> {
        answer.inspect_err(|error| tracing::debug!(%error, "the cache could not ask what changed")).ok()
    }
}

fn episode_keys(changes: &[Change]) -> Vec<Vec<u8>> {
    let episodes = changes.iter().filter_map(|change| match change.found {
        Found::Episode(id) => Some(episode_key(id)),
        Found::Pattern(_) | Found::Note(_) => None,
    });
    episodes.collect()
}
