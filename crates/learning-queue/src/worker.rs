//! The worker: takes due jobs, learns from their episodes, and sees to what fails.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use memory_core::episode::Episode;
use memory_core::event::{EpisodeEvent, EventHandler};
use memory_core::extract::{Registry, Teaching};
use memory_core::job::{Job, Priority, Retry};
use memory_core::limits::JOB_ATTEMPTS_MAX;
use memory_core::port::{
    EpisodeStore, JobStore, PatternStore, PluginSet, Plugins, Source, StoreError, Studied,
};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::lane::{self, LaneMetrics, LaneReceiver, LaneSender};
use crate::limits::{
    CLAIM_JOBS_MAX, CLAIMS_MAX, DRAINS_MAX, LANE_JOBS_MAX, LEASE_SECONDS, LOOK_MILLIS_MAX, LOOK_MILLIS_MIN,
    RECORDED_JOBS_MAX, WAKE_YIELDS,
};
use crate::retry::delay;

/// Why the worker could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The durable queue could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The worker is shut down.
    #[error("the background worker was shut down")]
    Stopped,
    /// The job in hand was not finished in time; it falls due again when its lease ends.
    #[error("the background worker did not finish its job within {0:?}")]
    Late(Duration),
}

/// What a worker works with.
pub struct Worker {
    /// The durable queue.
    pub jobs: Arc<dyn JobStore>,
    /// The episodes to learn from.
    pub episodes: Arc<dyn EpisodeStore>,
    /// Where what was learned goes.
    pub patterns: Arc<dyn PatternStore>,
    /// The extractors.
    pub registry: Arc<Registry>,
    /// Those that the user added.
    pub plugins: Arc<dyn Plugins>,
    /// Time and ids.
    pub source: Arc<dyn Source>,
    /// Told of what was learned.
    pub handlers: Vec<Arc<dyn EventHandler>>,
}

/// Counts of one worker since it was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerMetrics {
    /// Jobs that were finished.
    pub done: u64,
    /// Attempts that failed, the last ones of dead letters included.
    pub failed: u64,
    /// Jobs that were given up.
    pub dead: u64,
    /// Jobs that were given back: the worker was shut down before it could begin them, or the plugins changed under it.
    pub handed_back: u64,
    /// Jobs that were claimed and are not begun.
    pub waiting: u64,
    /// What has gone through each lane, the most urgent first.
    pub lanes: [(Priority, LaneMetrics); 4],
}

#[derive(Debug, Default)]
struct Counters {
    done: AtomicU64,
    failed: AtomicU64,
    dead: AtomicU64,
    handed_back: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Wakes a worker when there is something to do: an episode was completed, or one that was given up is to be tried again.
#[derive(Clone, Debug)]
pub struct Waker(Arc<Notify>);

impl EventHandler for Waker {
    fn handle(&self, event: &EpisodeEvent) {
        let is_work = matches!(
            event,
            EpisodeEvent::Completed { .. } | EpisodeEvent::Retried { .. } | EpisodeEvent::Corrected { .. }
        );
        if is_work {
            self.0.notify_one();
        }
    }
}

/// A running worker. Dropped, it lets the worker finish the job in hand and stop.
#[derive(Debug)]
pub struct WorkerHandle {
    task: JoinHandle<()>,
    stop: watch::Sender<()>,
    drains: mpsc::Sender<oneshot::Sender<Result<(), Error>>>,
    wake: Arc<Notify>,
    lanes: LaneSender,
    counters: Arc<Counters>,
}

impl WorkerHandle {
    /// What makes this worker look for jobs at once, to be given to the use cases as a handler.
    pub fn waker(&self) -> Waker {
        Waker(self.wake.clone())
    }

    /// The counts so far.
    pub fn metrics(&self) -> WorkerMetrics {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let lanes = self.lanes.metrics();
        WorkerMetrics {
            done: of(&self.counters.done),
            failed: of(&self.counters.failed),
            dead: of(&self.counters.dead),
            handed_back: of(&self.counters.handed_back),
            waiting: lanes.iter().map(|(_, lane)| lane.sent.saturating_sub(lane.received)).sum(),
            lanes,
        }
    }

    /// Works until no job is due. One that failed is due again later and not waited for.
    ///
    /// # Errors
    /// [`Error::Store`] if the queue cannot be read, [`Error::Stopped`].
    pub async fn drain(&self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.drains.send(reply).await.map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)?
    }

    /// Stops the worker: it claims nothing more, finishes the job in hand and hands the others back.
    ///
    /// # Errors
    /// [`Error::Late`] if that takes longer than `deadline`; the worker is stopped all the same.
    pub async fn shutdown(mut self, deadline: Duration) -> Result<(), Error> {
        // Fails only if the task has ended, which is what is wanted.
        let _ = self.stop.send(());
        match tokio::time::timeout(deadline, &mut self.task).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Error::Stopped),
            Err(_) => {
                self.task.abort();
                Err(Error::Late(deadline))
            }
        }
    }
}

impl Worker {
    /// Starts the worker as a task of the current runtime.
    pub fn spawn(self) -> WorkerHandle {
        let (stop, stopped) = watch::channel(());
        let (drains, drains_asked) = mpsc::channel(DRAINS_MAX);
        let (sender, receiver) = lane::open(LANE_JOBS_MAX);
        let (wake, counters) = (Arc::new(Notify::new()), Arc::new(Counters::default()));
        let task = Task {
            worker: self,
            sender: sender.clone(),
            receiver,
            stopped,
            drains: drains_asked,
            wake: wake.clone(),
            counters: counters.clone(),
            lost_looks: 0,
            learned_with: None,
        };
        WorkerHandle { task: tokio::spawn(task.run()), stop, drains, wake, lanes: sender, counters }
    }

    /// Finds out what one episode teaches.
    async fn study(&self, job: Job, plugins: &dyn PluginSet) -> Result<Studied, String> {
        if job.attempt > CLAIMS_MAX {
            return Err(format!("claimed {CLAIMS_MAX} times and never finished"));
        }
        let episode = self.episodes.get(job.episode_id).await.map_err(|error| error.to_string())?;
        let Some(episode) = episode else { return Ok(Studied { job, teaching: None }) };
        let mut teaching = self.teaching(&episode)?;
        if !plugins.version().is_empty() {
            let seen = plugins.extract(&episode).await?;
            teaching = teaching.with_plugins(plugins.version(), &episode, seen);
        }
        Ok(Studied { job, teaching: Some(teaching) })
    }

    fn teaching(&self, episode: &Episode) -> Result<Teaching, String> {
        let now = self.source.now();
        // An extractor gets the episode to read and keeps nothing, so there is nothing that a panic leaves half done.
        catch_unwind(AssertUnwindSafe(|| self.registry.study(episode, now)))
            .map_err(|panic| format!("an extractor panicked: {}", message(panic.as_ref())))
    }

    fn announce(&self, event: &EpisodeEvent) {
        for handler in &self.handlers {
            handler.handle(event);
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("for no stated reason")
}

/// Why a job is given back that was studied with other plugins than those in use.
const OUTDATED: &str = "studied with extractors that are not in use any more";

/// The task of a worker.
struct Task {
    worker: Worker,
    sender: LaneSender,
    receiver: LaneReceiver,
    stopped: watch::Receiver<()>,
    drains: mpsc::Receiver<oneshot::Sender<Result<(), Error>>>,
    wake: Arc<Notify>,
    counters: Arc<Counters>,
    /// Looks in a row that failed.
    lost_looks: u32,
    /// The plugins that the store was last told of.
    learned_with: Option<String>,
}

impl Task {
    async fn run(mut self) {
        let mut next_look = Instant::now();
        loop {
            tokio::select! {
                biased;
                // Told to stop, or the handle is gone.
                _ = self.stopped.changed() => break,
                Some(reply) = self.drains.recv() => {
                    let drained = self.drain().await;
                    // Whoever asked may have gone.
                    let _ = reply.send(drained);
                    next_look = Instant::now();
                }
                () = self.wake.notified() => {
                    // Whoever completed an episode hears of it first.
                    for _ in 0..WAKE_YIELDS {
                        tokio::task::yield_now().await;
                    }
                    next_look = self.look().await;
                }
                Some(job) = self.receiver.pop() => {
                    self.attempt(job).await;
                    if self.receiver.is_empty() {
                        next_look = Instant::now();
                    }
                }
                () = tokio::time::sleep_until(next_look) => next_look = self.look().await,
            }
        }
        self.hand_back().await;
    }

    fn is_stopping(&self) -> bool {
        self.stopped.has_changed().unwrap_or(true)
    }

    /// Takes due jobs into the lanes; returns when to look again.
    async fn look(&mut self) -> Instant {
        let wait = match self.claim().await {
            Ok(0) => self.until_next().await,
            // The lanes are looked after when they are empty, at the latest then.
            Ok(_) => Ok(Duration::from_millis(LOOK_MILLIS_MAX)),
            Err(error) => Err(error),
        };
        Instant::now()
            + match wait {
                Ok(wait) => {
                    self.lost_looks = 0;
                    wait
                }
                Err(error) => {
                    self.lost_looks = self.lost_looks.saturating_add(1);
                    tracing::warn!(%error, times = self.lost_looks, "failed to look for background jobs");
                    delay(self.lost_looks)
                }
            }
    }

    /// Claims as many jobs as are sure to find room, and returns how many.
    async fn claim(&mut self) -> Result<usize, StoreError> {
        // Also where there is nothing to do: what other plugins saw must go.
        self.plugins().await?;
        let max = self.sender.room().min(CLAIM_JOBS_MAX);
        if max == 0 {
            return Ok(0);
        }
        let now = self.worker.source.now();
        let lease_until = now + SignedDuration::from_secs(LEASE_SECONDS);
        let jobs = self.worker.jobs.claim(max, now, lease_until).await?;
        let claimed = jobs.len();
        for job in jobs {
            if let Err(job) = self.sender.try_push(job) {
                self.give_back(job, "not begun: there was no room").await;
            }
        }
        Ok(claimed)
    }

    /// The plugins in use, after the store was told of them: if they are others than before, everything is learned anew.
    async fn plugins(&mut self) -> Result<Arc<dyn PluginSet>, StoreError> {
        let plugins = self.worker.plugins.in_use().await;
        if self.learned_with.as_deref() != Some(plugins.version()) {
            let episodes = self.worker.patterns.learn_with(plugins.version().to_owned()).await?;
            if episodes > 0 {
                tracing::info!(episodes, "learning everything anew: other extractors are in use");
            }
            self.learned_with = Some(plugins.version().to_owned());
        }
        Ok(plugins)
    }

    async fn until_next(&self) -> Result<Duration, StoreError> {
        let bounds = (Duration::from_millis(LOOK_MILLIS_MIN), Duration::from_millis(LOOK_MILLIS_MAX));
        let Some(due) = self.worker.jobs.next_due().await? else { return Ok(bounds.1) };
        let wait = Duration::try_from(due.duration_since(self.worker.source.now())).unwrap_or_default();
        Ok(wait.clamp(bounds.0, bounds.1))
    }

    async fn drain(&mut self) -> Result<(), Error> {
        loop {
            while let Some(job) = self.receiver.try_pop() {
                self.attempt(job).await;
                if self.is_stopping() {
                    return Err(Error::Stopped);
                }
            }
            if self.claim().await? == 0 {
                return Ok(());
            }
        }
    }

    /// Makes one attempt at this job and at those that wait behind it, as many as are recorded together, and notes how each went.
    async fn attempt(&mut self, first: Job) {
        let plugins = match self.plugins().await {
            Ok(plugins) => plugins,
            Err(error) => return self.fail(first, error.to_string()).await,
        };
        let mut studied = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            match self.worker.study(job, plugins.as_ref()).await {
                Ok(one) => studied.push(one),
                Err(error) => self.fail(job, error).await,
            }
            // The requests of the agent go first.
            tokio::task::yield_now().await;
            next = if studied.len() < RECORDED_JOBS_MAX && !self.is_stopping() {
                self.receiver.try_pop()
            } else {
                None
            };
        }
        // One of the plugins may have been found unfit meanwhile. What it saw is not recorded, so that the queue is never
        // empty while something is left to be learned anew.
        if !plugins.version().is_empty()
            && self.plugins().await.is_ok_and(|now| now.version() != plugins.version())
        {
            for one in studied {
                self.give_back(one.job, OUTDATED).await;
            }
            return;
        }
        if studied.len() > 1 && self.record(&studied).await.is_ok() {
            return;
        }
        // One by one, so that what cannot be recorded keeps nothing else from being recorded.
        for one in studied {
            let job = one.job;
            match self.record(&[one]).await {
                Ok(()) => {}
                // Another process noticed first that the plugins changed; they are looked at again before anything else.
                Err(StoreError::Conflict) => {
                    self.learned_with = None;
                    self.give_back(job, OUTDATED).await;
                }
                Err(error) => self.fail(job, error.to_string()).await,
            }
        }
    }

    async fn record(&self, studied: &[Studied]) -> Result<(), StoreError> {
        let supported = self.worker.patterns.record(studied.to_vec()).await?;
        for (Studied { job, .. }, patterns) in studied.iter().zip(supported) {
            count(&self.counters.done);
            tracing::debug!(job = %job.id, episode = %job.episode_id, patterns = patterns.len(), "learned");
            if !patterns.is_empty() {
                let episode_id = job.episode_id;
                self.worker.announce(&EpisodeEvent::PatternExtracted { episode_id, patterns });
            }
        }
        Ok(())
    }

    async fn fail(&self, job: Job, error: String) {
        count(&self.counters.failed);
        let retry = if job.attempt >= JOB_ATTEMPTS_MAX {
            count(&self.counters.dead);
            tracing::error!(job = %job.id, episode = %job.episode_id, error, "gave up learning");
            Retry::Never
        } else {
            tracing::warn!(job = %job.id, episode = %job.episode_id, attempt = job.attempt, error, "failed to learn");
            Retry::At(self.later(delay(job.attempt)))
        };
        if let Err(error) = self.worker.jobs.fail(job, error, retry).await {
            tracing::warn!(job = %job.id, %error, "failed to note a failure; the job is due again after its lease");
        }
    }

    fn later(&self, wait: Duration) -> Timestamp {
        self.worker.source.now() + SignedDuration::try_from(wait).unwrap_or_default()
    }

    /// Gives back what was claimed and not begun.
    async fn hand_back(&mut self) {
        while let Some(job) = self.receiver.try_pop() {
            self.give_back(job, "not begun: the worker was shut down").await;
        }
    }

    async fn give_back(&self, job: Job, reason: &str) {
        count(&self.counters.handed_back);
        if let Err(error) = self.worker.jobs.fail(job, reason.to_owned(), Retry::Unbegun).await {
            tracing::warn!(job = %job.id, %error, "failed to hand a job back; it is due again after its lease");
        }
    }
}
