//! A derived copy of what is read most, on redb: whole episodes and answers to queries.
//!
//! The store behind it is canonical; this copy may be deleted, damaged or held by another process at any time, and
//! the worst that happens is a slower read. It is never wrong: each read first compares the `change_seq` up to which
//! the copy is true with the store's own and drops what was changed since, by whatever process.

mod answers;
mod cached;
mod codec;
mod entries;
mod file;
#[cfg(test)]
mod fixture;
mod limits;
mod sync;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memory_core::access::Access;
use memory_core::port::{ChangeLog, EpisodeStore, Source};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub use cached::CachedEpisodes;
use entries::{Entries, PROBE};
pub use file::Backing;
use file::{Holding, Place, guarded};
use limits::Limits;

/// The cache. It implements [`AnswerCache`](memory_core::port::AnswerCache) itself and [`EpisodeStore`] through
/// [`Cache::episodes`].
pub struct Cache {
    place: Place,
    /// Never held across an await; redb's calls take microseconds.
    holding: Mutex<Holding>,
    changes: Arc<dyn ChangeLog>,
    source: Arc<dyn Source>,
    counts: Counts,
}

/// What a look into the cache gave.
enum Lookup<T> {
    /// The value as it is in the store.
    Hit(T),
    /// Nothing. What the store gives now can be kept under this `change_seq`.
    Miss { synced: u64 },
}

/// How the cache is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheStatus {
    /// What holds it.
    pub backing: Backing,
    /// Entries, episodes and answers together.
    pub entries: usize,
    /// Their keys and values in bytes.
    pub bytes: u64,
    /// The `change_seq` up to which they are true.
    pub synced: u64,
    /// What happened since the cache was opened.
    pub counts: CacheCounts,
}

/// Counts since the cache was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Reads served from the cache.
    pub hits: u64,
    /// Reads that the cache could not serve.
    pub misses: u64,
    /// Entries dropped: overtaken by a change, displaced by others, or unreadable.
    pub evictions: u64,
    /// Operations of redb that failed. Each emptied the cache.
    pub failures: u64,
}

#[derive(Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
    failures: AtomicU64,
}

impl Counts {
    fn looked_up(&self, found: bool) {
        if found { &self.hits } else { &self.misses }.fetch_add(1, Relaxed);
    }

    fn evicted(&self, entries: u64) {
        self.evictions.fetch_add(entries, Relaxed);
    }
}

impl Cache {
    /// Opens the cache of the store named `store_id` in the file `path`. This never fails and never waits: a file that
    /// is missing is created, one that is damaged, too large, or not the cache of this store is removed and created
    /// anew (so nothing else may live at `path`), and where no file can be had, memory takes its place. Which of these
    /// it was is in [`Cache::status`] and in the log.
    ///
    /// `store_id` must change when the database behind it is exchanged for another one.
    pub fn open(
        path: &Path,
        store_id: Uuid,
        changes: Arc<dyn ChangeLog>,
        source: Arc<dyn Source>,
    ) -> Arc<Self> {
        Self::open_within(Limits::STANDARD, path, store_id, changes, source)
    }

    fn open_within(
        limits: Limits,
        path: &Path,
        store_id: Uuid,
        changes: Arc<dyn ChangeLog>,
        source: Arc<dyn Source>,
    ) -> Arc<Self> {
        // The cached types may have changed with the version of the program.
        let stamp = format!("{} {} {store_id}", codec::FORMAT, env!("CARGO_PKG_VERSION"));
        let place = Place { path: path.to_owned(), stamp, limits };
        let holding = Mutex::new(place.open());
        Arc::new(Self { place, holding, changes, source, counts: Counts::default() })
    }

    /// The episodes of `inner`, read through this cache. `inner` must be the store whose changes the cache was opened
    /// with, as the caller of this access has it.
    pub fn episodes(self: &Arc<Self>, inner: Arc<dyn EpisodeStore>, access: Arc<Access>) -> CachedEpisodes {
        CachedEpisodes { inner, cache: self.clone(), access }
    }

    /// How the cache is doing.
    pub fn status(&self) -> CacheStatus {
        let holding = self.holding();
        let ((entries, bytes), synced) =
            holding.entries.as_ref().map_or(((0, 0), 0), |entries| (entries.size(), entries.synced()));
        let counts = CacheCounts {
            hits: self.counts.hits.load(Relaxed),
            misses: self.counts.misses.load(Relaxed),
            evictions: self.counts.evictions.load(Relaxed),
            failures: self.counts.failures.load(Relaxed),
        };
        CacheStatus { backing: holding.backing.clone(), entries, bytes, synced, counts }
    }

    /// Whether what is put into the cache can be got from it, tried now. Nothing of it stays.
    pub fn probe(&self) -> bool {
        let tried = self.attempt(|entries| {
            entries.put(PROBE, PROBE, entries.synced())?;
            let got = entries.get(PROBE)?;
            entries.evict(PROBE)?;
            Ok(got.as_deref() == Some(PROBE))
        });
        tried == Some(true)
    }

    /// Writes to disk what is cached now, so that a crash after this does not lose it. Takes milliseconds.
    pub fn flush(&self) {
        self.attempt(Entries::flush);
        self.place.bound(&mut self.holding());
    }

    /// Looks a key up after catching up with the store; `None` if the cache cannot be used.
    async fn look_up<T: DeserializeOwned>(&self, key: &[u8]) -> Option<Lookup<T>> {
        self.catch_up().await?;
        let (bytes, synced) = self.attempt(|entries| Ok((entries.get(key)?, entries.synced())))?;
        let Some(bytes) = bytes else { return Some(Lookup::Miss { synced }) };
        if let Some(value) = codec::decode(&bytes) {
            return Some(Lookup::Hit(value));
        }
        self.evict(key);
        Some(Lookup::Miss { synced })
    }

    /// Keeps a value that was read from the store after a look into the cache had missed at `synced`.
    fn keep<T: Serialize>(&self, key: &[u8], value: &T, synced: u64) {
        let Some(bytes) = codec::encode(value) else { return };
        if let Some(evicted) = self.attempt(|entries| entries.put(key, &bytes, synced)) {
            self.counts.evicted(evicted);
            self.place.bound(&mut self.holding());
        }
    }

    fn evict(&self, key: &[u8]) {
        if let Some(evicted) = self.attempt(|entries| entries.evict(key)) {
            self.counts.evicted(evicted);
        }
    }

    /// Does something with the entries. If redb fails or panics, they are replaced by empty ones.
    fn attempt<T>(&self, work: impl FnOnce(&mut Entries) -> Result<T, redb::Error>) -> Option<T> {
        let mut holding = self.holding();
        let entries = holding.entries.as_mut()?;
        match guarded(|| Ok(work(entries)?)) {
            Ok(done) => Some(done),
            Err(failure) => {
                self.counts.failures.fetch_add(1, Relaxed);
                tracing::warn!(reason = %failure, "the cache failed and is emptied");
                self.place.replace(&mut holding, &failure);
                None
            }
        }
    }

    fn holding(&self) -> MutexGuard<'_, Holding> {
        self.holding.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
