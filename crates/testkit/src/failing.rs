//! A store that fails once, at an operation of the test's choice: run a test with the 1st, 2nd … nth operation failing
//! until it passes without a failure, and every place where a failure can hurt has been visited.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use memory_core::episode::{Episode, EpisodeHead, Scope, Step};
use memory_core::feedback::Feedback;
use memory_core::id::{EpisodeId, JobId, PatternId};
use memory_core::job::{Job, JobCounts, JobState, OpenJob, Retry};
use memory_core::pattern::{Correction, Fields, Pattern, Tally};
use memory_core::port::{
    Appended, Attempted, Choices, CompletionInsertion, EpisodeStore, Evidence, ExperienceStore,
    FeedbackStore, Inserted, Insertion, JobListing, JobStore, Listing, PatternStore, Replacement,
    StepInsertion, StoreError, Studied,
};
use memory_core::retrieve::{Found, Lessons};

use crate::Stores;

/// Where in an operation the failure strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before anything was done.
    Before,
    /// After it was done and before anybody heard of it.
    After,
}

/// Passes everything on to a store, except for one operation that fails.
pub struct FailingStore {
    inner: Stores,
    moment: Moment,
    fails_at: u64,
    begun: AtomicU64,
}

impl FailingStore {
    /// Fails the operation number `nth`, from 1, over all of the ports together.
    pub fn new(inner: Stores, nth: u64, moment: Moment) -> Arc<Self> {
        Arc::new(Self { inner, moment, fails_at: nth, begun: AtomicU64::new(0) })
    }

    /// The ports of the store; episodes, jobs, and what is learned and said go through the failure.
    pub fn stores(self: &Arc<Self>) -> Stores {
        Stores {
            episodes: self.clone(),
            patterns: self.clone(),
            experience: self.clone(),
            feedback: self.clone(),
            jobs: self.clone(),
            ..self.inner.clone()
        }
    }

    /// Whether the failure has struck.
    pub fn has_failed(&self) -> bool {
        self.begun.load(Ordering::SeqCst) >= self.fails_at
    }

    async fn pass<T>(&self, operation: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let strikes = self.begun.fetch_add(1, Ordering::SeqCst) + 1 == self.fails_at;
        if !strikes {
            return operation.await;
        }
        if self.moment == Moment::After {
            operation.await?;
        }
        Err(StoreError::Other(format!("operation {} failed, as the test asked", self.fails_at)))
    }
}

#[async_trait]
impl EpisodeStore for FailingStore {
    async fn insert(&self, batch: Vec<Insertion>) -> Result<Vec<Inserted>, StoreError> {
        self.pass(self.inner.episodes.insert(batch)).await
    }

    async fn append_step(&self, id: EpisodeId, step: StepInsertion) -> Result<Appended, StoreError> {
        self.pass(self.inner.episodes.append_step(id, step)).await
    }

    async fn complete(&self, id: EpisodeId, completion: CompletionInsertion) -> Result<(), StoreError> {
        self.pass(self.inner.episodes.complete(id, completion)).await
    }

    async fn replace(&self, id: EpisodeId, new: Replacement) -> Result<(), StoreError> {
        self.pass(self.inner.episodes.replace(id, new)).await
    }

    async fn get(&self, id: EpisodeId) -> Result<Option<Episode>, StoreError> {
        self.pass(self.inner.episodes.get(id)).await
    }

    async fn delete(&self, id: EpisodeId) -> Result<(), StoreError> {
        self.pass(self.inner.episodes.delete(id)).await
    }

    async fn heads(&self, ids: &[EpisodeId]) -> Result<Vec<EpisodeHead>, StoreError> {
        self.pass(self.inner.episodes.heads(ids)).await
    }
}

#[async_trait]
impl PatternStore for FailingStore {
    async fn record(&self, studied: Vec<Studied>) -> Result<Vec<Vec<PatternId>>, StoreError> {
        self.pass(self.inner.patterns.record(studied)).await
    }

    async fn lessons(&self, episodes: Vec<EpisodeId>, tasks: Vec<u64>) -> Result<Lessons, StoreError> {
        self.pass(self.inner.patterns.lessons(episodes, tasks)).await
    }

    async fn fields(&self) -> Result<Fields, StoreError> {
        self.pass(self.inner.patterns.fields()).await
    }

    async fn list(&self, listing: Listing) -> Result<Vec<Pattern>, StoreError> {
        self.pass(self.inner.patterns.list(listing)).await
    }

    async fn evidence(&self, id: PatternId, max: usize) -> Result<Vec<Evidence>, StoreError> {
        self.pass(self.inner.patterns.evidence(id, max)).await
    }

    async fn relearn(&self) -> Result<u64, StoreError> {
        self.pass(self.inner.patterns.relearn()).await
    }

    async fn learn_with(&self, plugins: String) -> Result<u64, StoreError> {
        self.pass(self.inner.patterns.learn_with(plugins)).await
    }
}

#[async_trait]
impl ExperienceStore for FailingStore {
    async fn choices(&self, domain: Option<String>, states: Vec<String>) -> Result<Vec<Choices>, StoreError> {
        self.pass(self.inner.experience.choices(domain, states)).await
    }

    async fn courses(&self, episodes: Vec<EpisodeId>) -> Result<Vec<(EpisodeId, Vec<Step>)>, StoreError> {
        self.pass(self.inner.experience.courses(episodes)).await
    }

    async fn attempts(&self, keys: Vec<u64>, scope: Scope, max: usize) -> Result<Vec<Attempted>, StoreError> {
        self.pass(self.inner.experience.attempts(keys, scope, max)).await
    }
}

#[async_trait]
impl FeedbackStore for FailingStore {
    async fn give(&self, feedback: Feedback) -> Result<(), StoreError> {
        self.pass(self.inner.feedback.give(feedback)).await
    }

    async fn usefulness(&self, found: Vec<Found>) -> Result<Vec<(Found, Tally)>, StoreError> {
        self.pass(self.inner.feedback.usefulness(found)).await
    }

    async fn correct(
        &self,
        id: PatternId,
        correction: Option<Correction>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.pass(self.inner.feedback.correct(id, correction, at)).await
    }

    async fn delete_pattern(&self, id: PatternId, at: Timestamp) -> Result<(), StoreError> {
        self.pass(self.inner.feedback.delete_pattern(id, at)).await
    }
}

#[async_trait]
impl JobStore for FailingStore {
    async fn claim(
        &self,
        max: usize,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<Job>, StoreError> {
        self.pass(self.inner.jobs.claim(max, now, lease_until)).await
    }

    async fn fail(&self, job: Job, error: String, retry: Retry) -> Result<(), StoreError> {
        self.pass(self.inner.jobs.fail(job, error, retry)).await
    }

    async fn open_jobs(&self, listing: JobListing) -> Result<Vec<OpenJob>, StoreError> {
        self.pass(self.inner.jobs.open_jobs(listing)).await
    }

    async fn retry(&self, id: JobId, now: Timestamp) -> Result<JobState, StoreError> {
        self.pass(self.inner.jobs.retry(id, now)).await
    }

    async fn counts(&self) -> Result<JobCounts, StoreError> {
        self.pass(self.inner.jobs.counts()).await
    }

    async fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        self.pass(self.inner.jobs.oldest()).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.pass(self.inner.jobs.next_due()).await
    }
}
