//! A store and a clock for the tests of this crate.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
pub(crate) use futures::executor::block_on;
use jiff::{SignedDuration, Timestamp};
use memory_core::access::Access;
use memory_core::episode::{Brief, Episode, EpisodeHead, NewStep, Scope, Step, StepResult};
use memory_core::id::{EpisodeId, JobId};
use memory_core::job::NewJob;
use memory_core::memory::NewEnding;
use memory_core::port::{
    Appended, Change, ChangeLog, CompletionInsertion, EpisodeStore, Inserted, Insertion, Replacement, Source,
    StepInsertion, StoreError,
};
use memory_core::retrieve::Found;
use uuid::Uuid;

use crate::limits::Limits;
use crate::{Cache, CachedEpisodes};

pub(crate) const LIMITS: Limits = Limits {
    entries_max: 4,
    bytes_max: 100_000,
    value_bytes_max: 60_000,
    file_bytes_max: 2 << 20,
    page_cache_bytes_max: 1 << 20,
    changes_max: 8,
    answer_age_max: SignedDuration::from_mins(15),
};

/// A store, a clock, and a place for the cache.
pub(crate) struct Bench {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) store_id: Uuid,
    pub(crate) limits: Limits,
    pub(crate) path: PathBuf,
    _directory: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache").join("cache.redb");
        let (store, clock) = (Arc::default(), Arc::default());
        Self { store, clock, store_id: Uuid::from_u128(1), limits: LIMITS, path, _directory: directory }
    }

    /// As another process would open it; redb's lock holds within one process too.
    pub(crate) fn open(&self) -> Arc<Cache> {
        let (changes, source) = (self.store.clone(), self.clock.clone());
        Cache::open_within(self.limits, &self.path, self.store_id, changes, source)
    }

    fn episodes(&self, cache: &Arc<Cache>) -> CachedEpisodes {
        self.episodes_within(cache, Access::everything())
    }

    /// As another caller has them.
    pub(crate) fn episodes_within(&self, cache: &Arc<Cache>, access: Access) -> CachedEpisodes {
        cache.episodes(self.store.clone(), Arc::new(access))
    }

    pub(crate) fn get(&self, cache: &Arc<Cache>, id: EpisodeId) -> Option<Episode> {
        block_on(self.episodes(cache).get(id)).unwrap()
    }

    pub(crate) fn append(&self, cache: &Arc<Cache>, id: EpisodeId) -> Result<Appended, StoreError> {
        let step = StepInsertion { step: call(), at: Timestamp::UNIX_EPOCH };
        block_on(self.episodes(cache).append_step(id, step))
    }

    pub(crate) fn complete(&self, cache: &Arc<Cache>, id: EpisodeId) -> Result<(), StoreError> {
        let completion = NewEnding::default().conclude(&[], Timestamp::UNIX_EPOCH);
        let job = NewJob { id: JobId(Uuid::nil()), weight: 1.0 };
        let completion = CompletionInsertion { revision: 1, completion, job, citations: None };
        block_on(self.episodes(cache).complete(id, completion))
    }

    pub(crate) fn retitle(&self, cache: &Arc<Cache>, id: EpisodeId, task: &str) -> Result<(), StoreError> {
        let brief = Brief { task: task.into(), ..episode("").head.brief };
        let new = Replacement { revision: 1, brief, completion: None, job: None, citations: None };
        block_on(self.episodes(cache).replace(id, new))
    }
    pub(crate) fn delete(&self, cache: &Arc<Cache>, id: EpisodeId) -> Result<(), StoreError> {
        block_on(self.episodes(cache).delete(id))
    }
}

#[derive(Default)]
pub(crate) struct Clock(AtomicI64);

impl Clock {
    pub(crate) fn set(&self, second: i64) {
        self.0.store(second, SeqCst);
    }
}

impl Source for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(SeqCst)).unwrap()
    }
    fn id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

type Meanwhile = Box<dyn FnOnce() + Send>;

#[derive(Default)]
pub(crate) struct Store(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    episodes: BTreeMap<EpisodeId, Episode>,
    seq: u64,
    changes: Vec<Change>,
    forgets: bool,
    fails: bool,
    reads: u64,
    meanwhile: Option<Meanwhile>,
}

impl Store {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap()
    }
    pub(crate) fn add(&self, episode: Episode) -> EpisodeId {
        let id = episode.head.id;
        self.contents().change(id, |slot| *slot = Some(episode));
        id
    }
    pub(crate) fn retitle(&self, id: EpisodeId, task: &str) {
        self.contents().change(id, |slot| slot.as_mut().unwrap().head.brief.task = task.into());
    }
    /// As if another database had been put in place.
    pub(crate) fn replace(&self, id: EpisodeId, task: &str) {
        self.contents().episodes.get_mut(&id).unwrap().head.brief.task = task.into();
    }
    pub(crate) fn set_seq(&self, seq: u64) {
        self.contents().seq = seq;
        self.contents().changes.retain(|change| change.seq <= seq);
    }
    pub(crate) fn forget_changes(&self, forgets: bool) {
        self.contents().forgets = forgets;
    }
    pub(crate) fn fail_changes(&self, fails: bool) {
        self.contents().fails = fails;
    }
    pub(crate) fn now(&self, id: EpisodeId) -> Option<Episode> {
        self.contents().episodes.get(&id).cloned()
    }
    pub(crate) fn reads(&self) -> u64 {
        self.contents().reads
    }
    /// What happens between the moment the store is read and the moment the reader has the value.
    pub(crate) fn during_next_read(&self, meanwhile: impl FnOnce() + Send + 'static) {
        self.contents().meanwhile = Some(Box::new(meanwhile));
    }
}

impl Contents {
    fn change(&mut self, id: EpisodeId, change: impl FnOnce(&mut Option<Episode>)) {
        let mut slot = self.episodes.remove(&id);
        change(&mut slot);
        slot.map(|episode| self.episodes.insert(id, episode));
        self.seq += 1;
        self.changes.push(Change { seq: self.seq, found: Found::Episode(id) });
    }
}

#[async_trait]
impl EpisodeStore for Store {
    async fn insert(&self, batch: Vec<Insertion>) -> Result<Vec<Inserted>, StoreError> {
        Ok(batch
            .into_iter()
            .map(|insertion| {
                self.add(insertion.episode);
                Inserted::New
            })
            .collect())
    }
    async fn append_step(&self, id: EpisodeId, step: StepInsertion) -> Result<Appended, StoreError> {
        let mut contents = self.contents();
        if !contents.episodes.contains_key(&id) {
            return Err(StoreError::NotFound);
        }
        contents.change(id, |slot| {
            slot.as_mut().unwrap().steps.push(Step { number: 1, at: step.at, call: step.step });
        });
        Ok(Appended::New(1))
    }
    async fn complete(&self, id: EpisodeId, completion: CompletionInsertion) -> Result<(), StoreError> {
        let mut contents = self.contents();
        if !contents.episodes.contains_key(&id) {
            return Err(StoreError::NotFound);
        }
        contents.change(id, |slot| slot.as_mut().unwrap().head.completion = Some(completion.completion));
        Ok(())
    }
    async fn replace(&self, id: EpisodeId, new: Replacement) -> Result<(), StoreError> {
        let mut contents = self.contents();
        if !contents.episodes.contains_key(&id) {
            return Err(StoreError::NotFound);
        }
        contents.change(id, |slot| slot.as_mut().unwrap().head.brief = new.brief);
        Ok(())
    }
    async fn get(&self, id: EpisodeId) -> Result<Option<Episode>, StoreError> {
        self.contents().reads += 1;
        let episode = self.now(id);
        let meanwhile = self.contents().meanwhile.take();
        std::thread::yield_now();
        // On a thread of its own, as an executor does not run inside another one.
        if let Some(meanwhile) = meanwhile {
            std::thread::spawn(meanwhile).join().unwrap();
        }
        Ok(episode)
    }
    async fn delete(&self, id: EpisodeId) -> Result<(), StoreError> {
        let mut contents = self.contents();
        if !contents.episodes.contains_key(&id) {
            return Err(StoreError::NotFound);
        }
        contents.change(id, |slot| *slot = None);
        Ok(())
    }
    async fn heads(&self, ids: &[EpisodeId]) -> Result<Vec<EpisodeHead>, StoreError> {
        Ok(ids.iter().filter_map(|id| self.now(*id)).map(|episode| episode.head).collect())
    }
}

#[async_trait]
impl ChangeLog for Store {
    async fn change_seq(&self) -> Result<u64, StoreError> {
        let contents = self.contents();
        if contents.fails { Err(StoreError::Busy) } else { Ok(contents.seq) }
    }
    async fn changes_after(&self, seq: u64, max: usize) -> Result<Option<Vec<Change>>, StoreError> {
        let contents = self.contents();
        let after = contents.changes.iter().filter(|change| change.seq > seq);
        Ok((!contents.forgets).then(|| after.take(max).copied().collect()))
    }
}

pub(crate) fn call() -> NewStep {
    NewStep {
        external_id: None,
        tool: "shell".into(),
        action: Some("list the files".into()),
        args: Some("{\"command\":\"ls\"}".into()),
        observation: Some("README.md".into()),
        result: StepResult::Failed { error: "exit code 2".into() },
        duration_ms: Some(12),
    }
}

pub(crate) fn episode(task: &str) -> Episode {
    let brief = Brief {
        task: task.into(),
        scope: Scope { domain: Some("coding".into()), project: None },
        task_type: None,
        tags: vec!["tag".into()],
        context: BTreeMap::from([("branch".into(), "main".into())]),
    };
    let head = EpisodeHead {
        id: EpisodeId(Uuid::now_v7()),
        external_id: None,
        brief,
        started_at: Timestamp::UNIX_EPOCH,
        revision: 1,
        step_count: 0,
        completion: None,
    };
    Episode { head, steps: Vec::new() }
}
