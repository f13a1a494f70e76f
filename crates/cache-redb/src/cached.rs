//! A store of episodes that remembers those read before.

use std::sync::Arc;

use async_trait::async_trait;
use memory_core::access::Access;
use memory_core::episode::{Episode, EpisodeHead};
use memory_core::id::EpisodeId;
use memory_core::port::{
    Appended, CompletionInsertion, EpisodeStore, Inserted, Insertion, Replacement, StepInsertion, StoreError,
};

use crate::entries::EPISODE;
use crate::{Cache, Lookup};

/// Serves whole episodes from a [`Cache`] and passes everything else to the store behind it.
///
/// A write goes to the store first; only its success is reported, and nothing that happens to the cache can make it
/// fail. What is read is never older than the last write that any process was told of. The copies are every caller's; who may
/// see one is asked whenever it is served.
pub struct CachedEpisodes {
    pub(crate) inner: Arc<dyn EpisodeStore>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) access: Arc<Access>,
}

#[async_trait]
impl EpisodeStore for CachedEpisodes {
    async fn insert(&self, batch: Vec<Insertion>) -> Result<Vec<Inserted>, StoreError> {
        self.inner.insert(batch).await
    }

    async fn append_step(&self, id: EpisodeId, step: StepInsertion) -> Result<Appended, StoreError> {
        let appended = self.inner.append_step(id, step).await?;
        self.cache.evict(&episode_key(id));
        Ok(appended)
    }

    async fn complete(&self, id: EpisodeId, completion: CompletionInsertion) -> Result<(), StoreError> {
        self.inner.complete(id, completion).await?;
        self.cache.evict(&episode_key(id));
        Ok(())
    }

    async fn replace(&self, id: EpisodeId, new: Replacement) -> Result<(), StoreError> {
        self.inner.replace(id, new).await?;
        self.cache.evict(&episode_key(id));
        Ok(())
    }

    async fn get(&self, id: EpisodeId) -> Result<Option<Episode>, StoreError> {
        let key = episode_key(id);
        let lookup = self.cache.look_up(&key).await;
        if let Some(Lookup::Hit(episode)) = lookup {
            self.cache.counts.looked_up(true);
            let may_be_seen = self.access.sees(Episode::domain(&episode));
            return Ok(may_be_seen.then_some(episode));
        }
        self.cache.counts.looked_up(false);
        let episode = self.inner.get(id).await?;
        if let (Some(Lookup::Miss { synced }), Some(episode)) = (lookup, &episode) {
            self.cache.keep(&key, episode, synced);
        }
        Ok(episode)
    }

    async fn delete(&self, id: EpisodeId) -> Result<(), StoreError> {
        self.inner.delete(id).await?;
        self.cache.evict(&episode_key(id));
        Ok(())
    }

    async fn heads(&self, ids: &[EpisodeId]) -> Result<Vec<EpisodeHead>, StoreError> {
        self.inner.heads(ids).await
    }
}

pub(crate) fn episode_key(id: EpisodeId) -> Vec<u8> {
    [&[EPISODE], id.0.as_bytes().as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;
    use crate::codec;
    use crate::fixture::{Bench, LIMITS, block_on, episode};

    #[test]
    fn a_second_read_does_not_ask_the_store() {
        let bench = Bench::new();
        let id = bench.store.add(episode("hot"));
        let cache = bench.open();
        assert_eq!(bench.get(&cache, id), bench.get(&cache, id));
        assert_eq!(bench.store.reads(), 1);
        let counts = cache.status().counts;
        assert_eq!((counts.hits, counts.misses, counts.failures), (1, 1, 0));
    }

    #[test]
    fn what_is_cached_for_one_is_not_served_to_who_may_not_see_it() {
        let bench = Bench::new();
        let id = bench.store.add(episode("of the domain coding"));
        let cache = bench.open();
        assert!(bench.get(&cache, id).is_some());
        let get = |domain: &str| {
            let access = Access::new(&[domain.to_owned()], true).unwrap();
            block_on(bench.episodes_within(&cache, access).get(id)).unwrap()
        };
        assert_eq!(get("cod"), None);
        assert_eq!(get("coding"), bench.store.now(id));
        assert_eq!(bench.store.reads(), 1, "all from the cache");
    }

    #[test]
    fn an_unknown_episode_is_unknown_until_it_is_stored() {
        let bench = Bench::new();
        let (cache, new) = (bench.open(), episode("late"));
        let id = new.head.id;
        assert_eq!(bench.get(&cache, id), None);
        bench.store.add(new);
        assert!(bench.get(&cache, id).is_some());
    }

    #[test]
    fn a_write_is_seen_by_the_next_read() {
        let bench = Bench::new();
        let id = bench.store.add(episode("growing"));
        let cache = bench.open();
        for steps in 1..4 {
            bench.get(&cache, id);
            bench.append(&cache, id).unwrap();
            assert_eq!(bench.get(&cache, id).map(|episode| episode.steps.len()), Some(steps));
        }
    }

    /// As a replica may, whose own change log lags behind what it was told to write.
    #[test]
    fn our_own_write_is_seen_even_before_the_change_log_tells_of_it() {
        let bench = Bench::new();
        let id = bench.store.add(episode("growing"));
        let cache = bench.open();
        bench.get(&cache, id);
        bench.append(&cache, id).unwrap();
        bench.store.set_seq(1);
        assert_eq!(bench.get(&cache, id), bench.store.now(id));
        bench.complete(&cache, id).unwrap();
        bench.store.set_seq(1);
        assert_eq!(bench.get(&cache, id), bench.store.now(id));
        bench.retitle(&cache, id, "put right").unwrap();
        bench.store.set_seq(1);
        assert_eq!(bench.get(&cache, id), bench.store.now(id));
        bench.delete(&cache, id).unwrap();
        bench.store.set_seq(1);
        assert_eq!(bench.get(&cache, id), None);
    }

    #[test]
    fn the_write_of_another_process_is_seen_by_the_next_read() {
        let bench = Bench::new();
        let (ours, other) = (bench.store.add(episode("ours")), bench.store.add(episode("other")));
        let (first, second) = (bench.open(), bench.open());
        for round in 1..4 {
            for cache in [&first, &second] {
                bench.get(cache, ours);
                bench.get(cache, other);
            }
            bench.append(if round % 2 == 0 { &first } else { &second }, ours).unwrap();
            for cache in [&first, &second] {
                assert_eq!(bench.get(cache, ours).map(|episode| episode.steps.len()), Some(round));
            }
        }
        let hits = first.status().counts.hits;
        bench.get(&first, other);
        assert_eq!(first.status().counts.hits, hits + 1, "what was not changed is still cached");
    }

    #[test]
    fn a_write_while_the_cache_was_closed_is_seen() {
        let bench = Bench::new();
        let id = bench.store.add(episode("before"));
        let cache = bench.open();
        bench.get(&cache, id);
        drop(cache);
        bench.store.retitle(id, "after");
        assert_eq!(bench.get(&bench.open(), id), bench.store.now(id));
    }

    /// The reader fetches, the writer changes and evicts, a third reader makes the cache catch up, and only then the
    /// first one puts what it fetched.
    #[test]
    fn a_value_that_was_overtaken_on_its_way_is_not_served() {
        for catches_up in [true, false] {
            let bench = Arc::new(Bench::new());
            let id = bench.store.add(episode("old"));
            let cache = bench.open();
            let (meanwhile, its_cache) = (bench.clone(), cache.clone());
            bench.store.during_next_read(move || {
                meanwhile.append(&its_cache, id).unwrap();
                if catches_up {
                    assert_eq!(meanwhile.get(&its_cache, id).unwrap().steps.len(), 1);
                }
            });
            assert_eq!(bench.get(&cache, id).unwrap().steps.len(), 0, "read before the write");
            assert_eq!(bench.get(&cache, id).unwrap().steps.len(), 1, "catches up: {catches_up}");
        }
    }

    #[test]
    fn no_thread_ever_reads_less_than_was_acknowledged() {
        let bench = Bench::new();
        let id = bench.store.add(episode("contended"));
        let caches = [bench.open(), bench.open()];
        let acknowledged = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for written in 1..=300 {
                    bench.append(&caches[written % 2], id).unwrap();
                    acknowledged.store(written, SeqCst);
                }
            });
            for cache in caches.iter().chain(&caches) {
                scope.spawn(|| {
                    while acknowledged.load(SeqCst) < 300 {
                        let least = acknowledged.load(SeqCst);
                        let read = bench.get(cache, id).unwrap().steps.len();
                        assert!(read >= least, "{read} steps after {least}");
                    }
                });
            }
        });
    }

    #[test]
    fn a_forgotten_or_long_change_log_empties_the_cache() {
        for (changes, known) in [(1, false), (LIMITS.changes_max + 2, true)] {
            let bench = Bench::new();
            let id = bench.store.add(episode("old"));
            let cache = bench.open();
            bench.get(&cache, id);
            bench.store.forget_changes(!known);
            for i in 1..changes {
                bench.store.add(episode(&i.to_string()));
            }
            bench.store.retitle(id, "new");
            assert_eq!(bench.get(&cache, id), bench.store.now(id), "{changes} changes");
        }
    }

    #[test]
    fn an_older_database_in_its_place_empties_the_cache() {
        let bench = Bench::new();
        let id = bench.store.add(episode("first"));
        bench.store.retitle(id, "second");
        let cache = bench.open();
        bench.get(&cache, id);
        bench.store.set_seq(1);
        bench.store.replace(id, "first");
        assert_eq!(bench.get(&cache, id), bench.store.now(id));
        bench.store.retitle(id, "another second");
        assert_eq!(bench.get(&cache, id), bench.store.now(id));
    }

    #[test]
    fn without_an_answer_from_the_change_log_the_store_is_read() {
        let bench = Bench::new();
        let id = bench.store.add(episode("old"));
        let cache = bench.open();
        bench.get(&cache, id);
        bench.store.replace(id, "new, and nobody can tell");
        bench.store.fail_changes(true);
        assert_eq!(bench.get(&cache, id), bench.store.now(id));
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let bench = Bench::new();
        let ids: Vec<_> =
            (0..LIMITS.entries_max + 1).map(|i| bench.store.add(episode(&i.to_string()))).collect();
        let cache = bench.open();
        ids[..LIMITS.entries_max].iter().for_each(|id| drop(bench.get(&cache, *id)));
        bench.get(&cache, ids[0]);
        cache.flush();
        drop(cache);
        let cache = bench.open();
        bench.get(&cache, ids[LIMITS.entries_max]);
        assert_eq!(cache.status().entries, LIMITS.entries_max);
        let reads = bench.store.reads();
        bench.get(&cache, ids[0]);
        assert_eq!(bench.store.reads(), reads, "the first was used again, and that outlived the restart");
        bench.get(&cache, ids[1]);
        assert_eq!(bench.store.reads(), reads + 1, "the second had to go");
    }

    #[test]
    fn the_bytes_are_bounded_too() {
        let bench = Bench::new();
        let cache = bench.open();
        for i in 0..30 {
            let id = bench.store.add(episode(&format!("{i} {}", "x".repeat(30_000))));
            bench.get(&cache, id);
            assert!(cache.status().bytes <= LIMITS.bytes_max);
        }
        assert!(cache.status().entries > 1);
        let entries = cache.status().entries;
        let id = bench.store.add(episode(&"x".repeat(LIMITS.value_bytes_max)));
        bench.get(&cache, id);
        assert_eq!(cache.status().entries, entries, "one too long to keep displaces none");
    }

    #[test]
    fn a_failed_write_is_reported_as_it_is() {
        let bench = Bench::new();
        let (cache, id) = (bench.open(), episode("never stored").head.id);
        assert_eq!(bench.append(&cache, id), Err(StoreError::NotFound));
        assert_eq!(bench.complete(&cache, id), Err(StoreError::NotFound));
        assert_eq!(bench.delete(&cache, id), Err(StoreError::NotFound));
    }

    #[test]
    fn an_undecodable_value_is_a_miss_and_evicted() {
        let bench = Bench::new();
        let id = bench.store.add(episode("good"));
        let good = codec::encode(&bench.store.now(id).unwrap()).unwrap();
        assert_eq!(codec::decode(&good), bench.store.now(id));
        let bad = [
            vec![],
            good[..4].to_vec(),
            good[..good.len() - 1].to_vec(),
            [good.as_slice(), &[0]].concat(),
            [&[codec::FORMAT + 1], &good[1..]].concat(),
            codec::encode(&"not an episode").unwrap(),
        ];
        for bad in bad {
            let cache = bench.open();
            let lookup = block_on(cache.look_up::<Episode>(&episode_key(id)));
            let Some(Lookup::Miss { synced }) = lookup else { panic!("the cache is empty") };
            cache.attempt(|entries| entries.put(&episode_key(id), &bad, synced)).unwrap();
            assert_eq!(bench.get(&cache, id), bench.store.now(id));
            assert_eq!(cache.status().counts.evictions, 1);
            assert_eq!(bench.get(&cache, id), bench.store.now(id));
            assert_eq!(cache.status().counts.hits, 1, "it was replaced by a good one");
            drop(cache);
            std::fs::remove_file(&bench.path).unwrap();
        }
    }
}
