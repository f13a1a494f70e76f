//! The worker over a store in memory: what it learns, and what failures, crashes and shutdowns leave behind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use learning_queue::limits::{CLAIMS_MAX, LEASE_SECONDS, RECORDED_JOBS_MAX};
use learning_queue::{Error, Worker, WorkerHandle};
use memory_core::episode::{Episode, EpisodeHead, Outcome};
use memory_core::event::{EpisodeEvent, EventHandler};
use memory_core::extract::{Extractor, Finding, Registry, Sighting};
use memory_core::id::{EpisodeId, PatternId};
use memory_core::job::{Job, JobCounts, JobState, Retry};
use memory_core::limits::JOB_ATTEMPTS_MAX;
use memory_core::memory::{Memory, NewEpisode};
use memory_core::pattern::{Fields, Pattern};
use memory_core::port::{
    Appended, CompletionInsertion, EpisodeStore, Evidence, Inserted, Insertion, Listing, NoPlugins,
    PatternStore, PluginSet, Plugins, Replacement, Source, StepInsertion, StoreError, Studied,
};
use memory_core::retrieve::Lessons;
use testkit::episode::{failed, finished, named, ok};
use testkit::{FailingStore, InMemoryStore, Moment, Stores, TestSource};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

/// Ends a test that waits for what never comes; where time is paused, at once.
const PATIENCE: Duration = Duration::from_secs(120);

/// Notes from which episodes something was learned, in order.
#[derive(Default)]
struct Learned {
    episodes: Mutex<Vec<EpisodeId>>,
    more: Notify,
}

impl EventHandler for Learned {
    fn handle(&self, event: &EpisodeEvent) {
        if let EpisodeEvent::PatternExtracted { episode_id, patterns } = event {
            assert!(!patterns.is_empty());
            self.episodes.lock().unwrap().push(*episode_id);
            self.more.notify_one();
        }
    }
}

impl Learned {
    fn episodes(&self) -> Vec<EpisodeId> {
        self.episodes.lock().unwrap().clone()
    }

    async fn wait_for(&self, number: usize) {
        let all = async {
            while self.episodes().len() < number {
                self.more.notified().await;
            }
        };
        tokio::time::timeout(PATIENCE, all).await.unwrap();
    }
}

struct Scene {
    stores: Stores,
    source: Arc<TestSource>,
    learned: Arc<Learned>,
}

impl Scene {
    fn new() -> Self {
        Self { stores: InMemoryStore::stores(), source: Arc::default(), learned: Arc::default() }
    }

    fn worker(&self, stores: &Stores, registry: Registry) -> WorkerHandle {
        self.worker_with(stores, registry, Arc::new(NoPlugins))
    }

    fn worker_with(&self, stores: &Stores, registry: Registry, plugins: Arc<dyn Plugins>) -> WorkerHandle {
        Worker {
            jobs: stores.jobs.clone(),
            episodes: stores.episodes.clone(),
            patterns: stores.patterns.clone(),
            registry: Arc::new(registry),
            plugins,
            source: self.source.clone(),
            handlers: vec![self.learned.clone()],
        }
        .spawn()
    }

    fn memory(&self, handlers: Vec<Arc<dyn EventHandler>>) -> Memory {
        Memory::new(self.stores.ports(self.source.clone()), handlers)
    }

    async fn add(&self, new: NewEpisode) -> EpisodeId {
        self.memory(vec![]).create(new).await.unwrap().id
    }

    async fn counts(&self) -> JobCounts {
        self.stores.jobs.counts().await.unwrap()
    }

    async fn claim(&self) -> Vec<Job> {
        let now = self.source.now();
        self.stores.jobs.claim(100, now, now + SignedDuration::from_secs(LEASE_SECONDS)).await.unwrap()
    }

    fn pass(&self, seconds: i64) {
        self.source.advance(SignedDuration::from_secs(seconds));
    }

    async fn lessons(&self, id: EpisodeId) -> Lessons {
        self.stores.patterns.lessons(vec![id], Vec::new()).await.unwrap()
    }
}

/// It holds a recovery, which says something from the first episode on.
fn success() -> NewEpisode {
    let steps = vec![ok("look"), failed("build", "no"), ok("mend"), ok("build")];
    finished("build the thing", Outcome::Success, steps)
}

/// Panics on episodes whose task says so, and counts how often it was asked.
#[derive(Clone, Default)]
struct Touchy(Arc<AtomicUsize>);

impl Extractor for Touchy {
    fn name(&self) -> &'static str {
        "touchy"
    }

    fn extract(&self, episode: &Episode) -> Vec<Finding> {
        self.0.fetch_add(1, Ordering::SeqCst);
        assert!(!episode.head.brief.task.contains("boom"), "this one is too much");
        memory_core::extract::ToolSequence.extract(episode)
    }
}

fn touchy(asked: &Touchy) -> Registry {
    Registry::new(vec![Box::new(asked.clone())])
}

/// The plugins of a user who changes them: of this version, they see this in every episode; without a text they cannot be asked.
#[derive(Default)]
struct Changing(std::sync::Mutex<Seer>);

#[derive(Clone, Default)]
struct Seer {
    version: &'static str,
    text: Option<&'static str>,
}

impl Changing {
    fn now(&self, version: &'static str, text: Option<&'static str>) {
        *self.0.lock().unwrap() = Seer { version, text };
    }
}

#[async_trait]
impl Plugins for Changing {
    async fn in_use(&self) -> Arc<dyn PluginSet> {
        Arc::new(self.0.lock().unwrap().clone())
    }
}

#[async_trait]
impl PluginSet for Seer {
    fn version(&self) -> &str {
        self.version
    }

    async fn extract(&self, _episode: &Episode) -> Result<Vec<Sighting>, String> {
        let text = self.text.ok_or("not now")?;
        Ok(vec![Sighting::new(self.version, text, None)?])
    }
}

impl Scene {
    /// What the plugins saw, and in how many episodes.
    async fn seen(&self) -> Vec<(String, u32)> {
        let listing = Listing { kind: Some("custom".into()), max: 10, ..Listing::default() };
        let patterns = self.stores.patterns.list(listing).await.unwrap();
        patterns.iter().map(|pattern| (pattern.body.describe(), pattern.tally.episodes)).collect()
    }
}

/// A store of patterns that lets each record through only with a permit.
struct Gate {
    inner: Arc<dyn PatternStore>,
    reached: Notify,
    permits: Semaphore,
}

#[async_trait]
impl PatternStore for Gate {
    async fn record(&self, studied: Vec<Studied>) -> Result<Vec<Vec<PatternId>>, StoreError> {
        self.reached.notify_one();
        self.permits.acquire().await.unwrap().forget();
        self.inner.record(studied).await
    }

    async fn lessons(&self, episodes: Vec<EpisodeId>, tasks: Vec<u64>) -> Result<Lessons, StoreError> {
        self.inner.lessons(episodes, tasks).await
    }

    async fn fields(&self) -> Result<Fields, StoreError> {
        self.inner.fields().await
    }

    async fn list(&self, listing: Listing) -> Result<Vec<Pattern>, StoreError> {
        self.inner.list(listing).await
    }

    async fn evidence(&self, id: PatternId, max: usize) -> Result<Vec<Evidence>, StoreError> {
        self.inner.evidence(id, max).await
    }

    async fn relearn(&self) -> Result<u64, StoreError> {
        self.inner.relearn().await
    }

    async fn learn_with(&self, plugins: String) -> Result<u64, StoreError> {
        self.inner.learn_with(plugins).await
    }
}

impl Gate {
    async fn reached(&self) {
        tokio::time::timeout(PATIENCE, self.reached.notified()).await.unwrap();
    }
}

impl Scene {
    fn gate(&self) -> (Arc<Gate>, Stores) {
        let inner = self.stores.patterns.clone();
        let gate = Arc::new(Gate { inner, reached: Notify::new(), permits: Semaphore::new(0) });
        (gate.clone(), Stores { patterns: gate, ..self.stores.clone() })
    }
}

#[tokio::test(start_paused = true)]
async fn a_completed_episode_is_learned_from_at_once() {
    let scene = Scene::new();
    let worker = scene.worker(&scene.stores, Registry::default());
    worker.drain().await.unwrap();
    let memory = scene.memory(vec![Arc::new(worker.waker())]);
    let before = Instant::now();
    let id = memory.create(success()).await.unwrap().id;
    scene.learned.wait_for(1).await;
    assert_eq!(before.elapsed(), Duration::ZERO, "it did not wait for its timer");
    assert_eq!(scene.learned.episodes(), [id]);
    let lessons = scene.lessons(id).await.lessons;
    assert!(!lessons.is_empty() && lessons.iter().all(|lesson| lesson.shown_by == [id]), "{lessons:?}");
    assert_eq!(scene.counts().await, JobCounts::default());
    assert_eq!((worker.metrics().done, worker.metrics().waiting), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_is_put_back_is_learned_from_at_once() {
    let scene = Scene::new();
    let id = scene.add(success()).await;
    let job = scene.claim().await.remove(0);
    scene.stores.jobs.fail(job, "no".into(), Retry::Never).await.unwrap();
    let worker = scene.worker(&scene.stores, Registry::default());
    worker.drain().await.unwrap();
    assert_eq!(scene.learned.episodes(), []);
    let memory = scene.memory(vec![Arc::new(worker.waker())]);
    let before = Instant::now();
    assert_eq!(memory.retry_job(job.id).await.unwrap(), JobState::Queued);
    scene.learned.wait_for(1).await;
    assert_eq!(before.elapsed(), Duration::ZERO, "it did not wait for its timer");
    assert_eq!((scene.learned.episodes(), scene.counts().await), (vec![id], JobCounts::default()));
    let done = memory.retry_job(job.id).await.unwrap_err();
    assert!(done.to_string().contains("it is done"), "{done}");
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_open_episodes_does_not_wake_it() {
    let scene = Scene::new();
    let worker = scene.worker(&scene.stores, Registry::default());
    worker.drain().await.unwrap();
    scene.add(success()).await;
    let memory = scene.memory(vec![Arc::new(worker.waker())]);
    let id = memory.create(testkit::episode::open("still at it")).await.unwrap().id;
    memory.add_step(id, ok("t")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(scene.counts().await.queued, 1, "nobody said that anything was completed");
}

#[tokio::test(start_paused = true)]
async fn jobs_of_a_process_that_crashed_are_found_without_being_told() {
    let scene = Scene::new();
    let id = scene.add(success()).await;
    assert_eq!(scene.claim().await.len(), 1, "another process takes it and dies");
    let worker = scene.worker(&scene.stores, Registry::default());
    worker.drain().await.unwrap();
    assert_eq!(scene.learned.episodes(), [], "it may still be alive");
    scene.pass(LEASE_SECONDS);
    scene.learned.wait_for(1).await;
    assert_eq!(scene.learned.episodes(), [id]);
    assert_eq!(scene.counts().await, JobCounts::default());
}

#[tokio::test]
async fn a_pattern_was_seen_when_its_episode_happened() {
    let scene = Scene::new();
    let started_at: Timestamp = "2020-02-02T02:02:02Z".parse().unwrap();
    let id = scene.add(NewEpisode { started_at: Some(started_at), ..success() }).await;
    scene.worker(&scene.stores, Registry::default()).drain().await.unwrap();
    assert_eq!(scene.lessons(id).await.lessons[0].pattern.last_seen, started_at);
}

#[tokio::test]
async fn an_extractor_that_panics_is_a_failed_attempt_and_at_last_a_dead_letter() {
    let scene = Scene::new();
    scene.add(finished("boom", Outcome::Success, vec![ok("look"), ok("build")])).await;
    let good = scene.add(success()).await;
    let asked = Touchy::default();
    let worker = scene.worker(&scene.stores, touchy(&asked));
    worker.drain().await.unwrap();
    assert_eq!(scene.learned.episodes(), [good], "the others are learned from all the same");
    assert_eq!(scene.counts().await, JobCounts { queued: 1, ..JobCounts::default() });
    worker.drain().await.unwrap();
    assert_eq!(worker.metrics().failed, 1, "no second attempt before its time");
    for _ in 1..JOB_ATTEMPTS_MAX {
        scene.pass(2 * 60);
        worker.drain().await.unwrap();
    }
    assert_eq!(scene.counts().await, JobCounts { dead: 1, ..JobCounts::default() });
    let metrics = worker.metrics();
    assert_eq!((metrics.done, metrics.failed, metrics.dead), (1, u64::from(JOB_ATTEMPTS_MAX), 1));
    assert_eq!(asked.0.load(Ordering::SeqCst), 1 + JOB_ATTEMPTS_MAX as usize);
}

#[tokio::test]
async fn the_waits_between_attempts_grow() {
    let scene = Scene::new();
    scene.add(finished("boom", Outcome::Success, vec![ok("look"), ok("build")])).await;
    let worker = scene.worker(&scene.stores, touchy(&Touchy::default()));
    for nominal in [1.0, 2.0, 4.0, 8.0] {
        worker.drain().await.unwrap();
        let due = scene.stores.jobs.next_due().await.unwrap().unwrap();
        let wait = due.duration_since(scene.source.now()).as_secs_f64() / nominal;
        assert!((0.5..=1.5).contains(&wait), "{wait} of {nominal} s");
        scene.source.set(due);
    }
}

#[tokio::test]
async fn a_job_that_kills_its_workers_is_given_up_unseen() {
    let scene = Scene::new();
    scene.add(success()).await;
    for _ in 0..CLAIMS_MAX {
        assert_eq!(scene.claim().await.len(), 1, "a process takes it and dies");
        scene.pass(LEASE_SECONDS);
    }
    let asked = Touchy::default();
    let worker = scene.worker(&scene.stores, touchy(&asked));
    worker.drain().await.unwrap();
    assert_eq!(scene.counts().await, JobCounts { dead: 1, ..JobCounts::default() });
    assert_eq!(asked.0.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_is_tried_again() {
    let scene = Scene::new();
    let failing = FailingStore::new(scene.stores.clone(), 1, Moment::Before);
    let id = scene.add(success()).await;
    let _worker = scene.worker(&failing.stores(), Registry::default());
    scene.learned.wait_for(1).await;
    assert!(failing.has_failed());
    assert_eq!(scene.learned.episodes(), [id]);
}

#[tokio::test]
async fn draining_says_that_the_store_cannot_be_read() {
    let scene = Scene::new();
    let failing = FailingStore::new(scene.stores.clone(), 1, Moment::Before);
    let worker = scene.worker(&failing.stores(), Registry::default());
    // The request is there before the task first runs, so its claim is the first operation.
    assert!(matches!(worker.drain().await, Err(Error::Store(_))));
    worker.drain().await.unwrap();
}

/// Whatever operation fails, before or after it was done: what was completed is learned from, once.
#[tokio::test]
async fn no_single_failure_loses_or_doubles_what_is_learned() {
    for moment in [Moment::Before, Moment::After] {
        for nth in 1.. {
            let scene = Scene::new();
            let ids = [scene.add(success()).await, scene.add(success()).await];
            let failing = FailingStore::new(scene.stores.clone(), nth, moment);
            let worker = scene.worker(&failing.stores(), Registry::default());
            let mut drained = worker.drain().await.is_ok();
            while !drained || scene.counts().await != JobCounts::default() {
                scene.pass(2 * LEASE_SECONDS);
                drained = worker.drain().await.is_ok();
                assert!(scene.counts().await.dead == 0, "operation {nth} {moment:?}");
            }
            let lessons = scene.stores.patterns.lessons(ids.to_vec(), vec![]).await.unwrap().lessons;
            assert!(!lessons.is_empty(), "operation {nth} {moment:?}");
            for lesson in lessons {
                assert_eq!(lesson.shown_by, ids, "operation {nth} {moment:?}");
                assert_eq!(lesson.pattern.tally.episodes, 2);
            }
            if !failing.has_failed() {
                assert!(nth > 4, "each of the operations has failed once");
                break;
            }
        }
    }
}

#[tokio::test]
async fn two_workers_share_the_work() {
    let scene = Scene::new();
    for number in 0..50 {
        scene.add(named(&format!("run {number}"), success())).await;
    }
    let workers = [(), ()].map(|()| scene.worker(&scene.stores, Registry::default()));
    for worker in &workers {
        worker.drain().await.unwrap();
    }
    for worker in &workers {
        worker.drain().await.unwrap();
    }
    assert_eq!(scene.counts().await, JobCounts::default());
    let mut episodes = scene.learned.episodes();
    episodes.sort();
    episodes.dedup();
    assert_eq!((episodes.len(), scene.learned.episodes().len()), (50, 50), "each once");
    assert_eq!(workers.iter().map(|worker| worker.metrics().done).sum::<u64>(), 50);
}

/// More than the lanes hold is worked off by and by, and what an agent has just finished goes first.
#[tokio::test]
async fn an_urgent_job_overtakes_a_backlog() {
    let scene = Scene::new();
    let (gate, stores) = scene.gate();
    let backlog = (0..200).map(|number| named(&format!("run {number}"), success())).collect();
    scene.memory(vec![]).import(backlog).await.unwrap();
    let worker = scene.worker(&stores, Registry::default());
    gate.reached().await;
    let memory = scene.memory(vec![Arc::new(worker.waker())]);
    let urgent = memory.create(named("live", success())).await.unwrap().id;
    gate.permits.add_permits(1_000);
    scene.learned.wait_for(201).await;
    let place = scene.learned.episodes().iter().position(|id| *id == urgent);
    assert_eq!(place, Some(RECORDED_JOBS_MAX), "right after the jobs in hand");
    let full: u64 = worker.metrics().lanes.iter().map(|(_, lane)| lane.full).sum();
    assert_eq!((worker.metrics().done, full), (201, 0), "no more was claimed than there was room for");
}

#[tokio::test]
async fn a_shutdown_finishes_the_job_in_hand_and_hands_the_others_back() {
    let scene = Scene::new();
    let (gate, stores) = scene.gate();
    let mut ids = Vec::new();
    for number in 0..RECORDED_JOBS_MAX + 4 {
        ids.push(scene.add(named(&format!("run {number}"), success())).await);
    }
    let worker = scene.worker(&stores, Registry::default());
    gate.reached().await;
    assert_eq!((scene.counts().await.running, worker.metrics().waiting), (RECORDED_JOBS_MAX as u64 + 4, 4));
    let stopping = tokio::spawn(worker.shutdown(Duration::from_secs(600)));
    tokio::task::yield_now().await;
    gate.permits.add_permits(1_000);
    stopping.await.unwrap().unwrap();
    assert_eq!(scene.learned.episodes(), ids[..RECORDED_JOBS_MAX]);
    assert_eq!(scene.counts().await, JobCounts { queued: 4, ..JobCounts::default() });
    let next = scene.worker(&scene.stores, Registry::default());
    next.drain().await.unwrap();
    assert_eq!(scene.learned.episodes().len(), ids.len(), "another process has them at once");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_ever() {
    let scene = Scene::new();
    let (gate, stores) = scene.gate();
    scene.add(success()).await;
    let worker = scene.worker(&stores, Registry::default());
    gate.reached().await;
    let stopped = worker.shutdown(Duration::from_secs(3)).await;
    assert!(matches!(stopped, Err(Error::Late(_))));
    gate.permits.add_permits(1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(scene.counts().await, JobCounts { running: 1, ..JobCounts::default() }, "it is stopped");
    scene.pass(LEASE_SECONDS);
    scene.worker(&scene.stores, Registry::default()).drain().await.unwrap();
    assert_eq!(scene.counts().await, JobCounts::default(), "its job was not lost");
}

/// A drain that is given up by its caller, as an import that was interrupted, does not hold up a shutdown.
#[tokio::test]
async fn a_shutdown_cuts_a_drain_short() {
    let scene = Scene::new();
    let (gate, stores) = scene.gate();
    for number in 0..RECORDED_JOBS_MAX + 2 {
        scene.add(named(&format!("run {number}"), success())).await;
    }
    let worker = scene.worker(&stores, Registry::default());
    tokio::select! {
        biased;
        drained = worker.drain() => panic!("the gate is closed: {drained:?}"),
        () = gate.reached() => {}
    }
    let stopping = tokio::spawn(worker.shutdown(Duration::from_secs(600)));
    tokio::task::yield_now().await;
    gate.permits.add_permits(1_000);
    stopping.await.unwrap().unwrap();
    assert_eq!(scene.learned.episodes().len(), RECORDED_JOBS_MAX);
    assert_eq!(scene.counts().await, JobCounts { queued: 2, ..JobCounts::default() });
}

#[tokio::test]
async fn a_worker_whose_handle_is_dropped_stops() {
    let scene = Scene::new();
    let (gate, stores) = scene.gate();
    for number in 0..=RECORDED_JOBS_MAX {
        scene.add(named(&format!("run {number}"), success())).await;
    }
    let worker = scene.worker(&stores, Registry::default());
    gate.reached().await;
    drop(worker);
    gate.permits.add_permits(1_000);
    scene.learned.wait_for(RECORDED_JOBS_MAX).await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.counts().await, JobCounts { queued: 1, ..JobCounts::default() });
}

/// A store whose episodes are gone.
struct Gone(Stores);

#[async_trait]
impl EpisodeStore for Gone {
    async fn insert(&self, batch: Vec<Insertion>) -> Result<Vec<Inserted>, StoreError> {
        self.0.episodes.insert(batch).await
    }
    async fn append_step(&self, id: EpisodeId, step: StepInsertion) -> Result<Appended, StoreError> {
        self.0.episodes.append_step(id, step).await
    }
    async fn complete(&self, id: EpisodeId, completion: CompletionInsertion) -> Result<(), StoreError> {
        self.0.episodes.complete(id, completion).await
    }
    async fn replace(&self, id: EpisodeId, new: Replacement) -> Result<(), StoreError> {
        self.0.episodes.replace(id, new).await
    }
    async fn get(&self, _id: EpisodeId) -> Result<Option<Episode>, StoreError> {
        Ok(None)
    }
    async fn delete(&self, id: EpisodeId) -> Result<(), StoreError> {
        self.0.episodes.delete(id).await
    }
    async fn heads(&self, ids: &[EpisodeId]) -> Result<Vec<EpisodeHead>, StoreError> {
        self.0.episodes.heads(ids).await
    }
}

#[tokio::test]
async fn an_episode_that_is_gone_teaches_nothing_and_its_job_is_done() {
    let scene = Scene::new();
    scene.add(success()).await;
    let stores = Stores { episodes: Arc::new(Gone(scene.stores.clone())), ..scene.stores.clone() };
    let worker = scene.worker(&stores, Registry::default());
    worker.drain().await.unwrap();
    assert_eq!(scene.counts().await, JobCounts::default());
    assert_eq!(scene.learned.episodes(), []);
    assert_eq!(worker.metrics().done, 1);
}

#[tokio::test(start_paused = true)]
async fn with_other_plugins_everything_is_learned_anew() {
    let scene = Scene::new();
    scene.add(success()).await;
    scene.add(success()).await;
    let plugins = Arc::new(Changing::default());
    let worker = scene.worker_with(&scene.stores, Registry::default(), plugins.clone());
    worker.drain().await.unwrap();
    assert_eq!((scene.seen().await, worker.metrics().done), (vec![], 2));
    for (version, text) in [("a", "this"), ("b", "that")] {
        plugins.now(version, Some(text));
        worker.drain().await.unwrap();
        assert_eq!(scene.seen().await, [(format!("{version}: {text}"), 2)]);
    }
    worker.drain().await.unwrap();
    assert_eq!(worker.metrics().done, 6, "only when they change");
    plugins.now("", None);
    scene.learned.wait_for(8).await;
    assert_eq!(scene.seen().await, [], "it is noticed though nothing is to be done");
}

#[tokio::test(start_paused = true)]
async fn an_episode_whose_plugins_cannot_be_asked_is_studied_later() {
    let scene = Scene::new();
    scene.add(success()).await;
    let plugins = Arc::new(Changing::default());
    plugins.now("a", None);
    let worker = scene.worker_with(&scene.stores, Registry::default(), plugins.clone());
    worker.drain().await.unwrap();
    assert_eq!((worker.metrics().failed, scene.learned.episodes()), (1, vec![]), "not without what they see");
    plugins.now("a", Some("this"));
    scene.pass(60);
    worker.drain().await.unwrap();
    assert_eq!(scene.seen().await, [("a: this".to_owned(), 1)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_with_plugins_that_another_process_replaced_is_not_recorded() {
    let scene = Scene::new();
    let (gate, stores) = scene.gate();
    let plugins = Arc::new(Changing::default());
    plugins.now("a", Some("this"));
    let worker = Arc::new(scene.worker_with(&stores, Registry::default(), plugins.clone()));
    for _ in 0..2 {
        scene.add(success()).await;
    }
    let drained = tokio::spawn({
        let worker = worker.clone();
        async move { worker.drain().await }
    });
    gate.reached().await;
    plugins.now("b", Some("that"));
    assert_eq!(scene.stores.patterns.learn_with("b".into()).await, Ok(2), "says another process");
    gate.permits.add_permits(100);
    drained.await.unwrap().unwrap();
    assert_eq!(scene.seen().await, [("b: that".to_owned(), 2)]);
    let metrics = worker.metrics();
    assert_eq!((metrics.failed, metrics.handed_back), (0, 2), "nobody failed");
    assert_eq!(scene.stores.patterns.learn_with("c".into()).await, Ok(2), "says one that looked too early");
    worker.drain().await.unwrap();
    assert_eq!(scene.seen().await, [("b: that".to_owned(), 2)], "what is there now is what counts");
    assert_eq!(scene.counts().await, JobCounts::default());
}
