//! The queue of background jobs.

use std::cmp::Reverse;

use async_trait::async_trait;
use jiff::Timestamp;
use memory_core::id::{EpisodeId, JobId};
use memory_core::job::{Job, JobCounts, NewJob, Priority, Retry};
use memory_core::port::{JobStore, StoreError};

use super::{InMemoryStore, State};

#[derive(Debug)]
pub(super) struct KeptJob {
    job: Job,
    standing: Standing,
}

#[derive(Debug)]
enum Standing {
    Waiting { due: Timestamp },
    Held { until: Timestamp },
    Dead,
}

impl KeptJob {
    pub(super) fn id(&self) -> JobId {
        self.job.id
    }

    fn due(&self) -> Option<Timestamp> {
        match self.standing {
            Standing::Waiting { due } => Some(due),
            Standing::Held { until } => Some(until),
            Standing::Dead => None,
        }
    }
}

impl State {
    pub(super) fn queue(&mut self, new: NewJob, episode_id: EpisodeId, due: Timestamp) {
        let job = Job { id: new.id, episode_id, priority: Priority::of(new.weight), attempt: 0 };
        self.jobs.push(KeptJob { job, standing: Standing::Waiting { due } });
    }

    /// Takes all jobs of an episode out of the queue.
    pub(super) fn unqueue(&mut self, episode_id: EpisodeId) {
        self.jobs.retain(|kept| kept.job.episode_id != episode_id);
    }

    /// Whether an episode waits for being studied.
    pub(super) fn is_queued(&self, episode_id: EpisodeId) -> bool {
        let waits = |kept: &KeptJob| matches!(kept.standing, Standing::Waiting { .. });
        self.jobs.iter().any(|kept| kept.job.episode_id == episode_id && waits(kept))
    }
}

impl InMemoryStore {
    fn sees_job(&self, state: &State, kept: &KeptJob) -> bool {
        let episode = state.episodes.get(&kept.job.episode_id);
        self.access.is_everything() || episode.is_some_and(|episode| self.sees(episode.domain()))
    }
}

#[async_trait]
impl JobStore for InMemoryStore {
    async fn claim(
        &self,
        max: usize,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<Job>, StoreError> {
        let mut state = self.state();
        let is_due = |kept: &&mut KeptJob| kept.due().is_some_and(|due| due <= now);
        let mut due: Vec<&mut KeptJob> = state.jobs.iter_mut().filter(is_due).collect();
        due.sort_by_key(|kept| Reverse(kept.job.priority));
        let claimed = due.into_iter().take(max).map(|kept| {
            kept.job.attempt += 1;
            kept.standing = Standing::Held { until: lease_until };
            kept.job
        });
        Ok(claimed.collect())
    }

    async fn fail(&self, job: Job, _error: String, retry: Retry) -> Result<(), StoreError> {
        let mut state = self.state();
        // A holder that outlived its lease has no say in what the next one does.
        let held = |kept: &&mut KeptJob| kept.job == job && matches!(kept.standing, Standing::Held { .. });
        if let Some(kept) = state.jobs.iter_mut().find(held) {
            kept.standing = match retry {
                Retry::At(due) => Standing::Waiting { due },
                Retry::Never => Standing::Dead,
                Retry::Unbegun => {
                    kept.job.attempt -= 1;
                    Standing::Waiting { due: Timestamp::MIN }
                }
            };
        }
        Ok(())
    }

    async fn counts(&self) -> Result<JobCounts, StoreError> {
        let mut counts = JobCounts::default();
        let state = self.state();
        for kept in state.jobs.iter().filter(|kept| self.sees_job(&state, kept)) {
            *match kept.standing {
                Standing::Waiting { .. } => &mut counts.queued,
                Standing::Held { .. } => &mut counts.running,
                Standing::Dead => &mut counts.dead,
            } += 1;
        }
        Ok(counts)
    }

    async fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        let state = self.state();
        let waits = |kept: &&KeptJob| kept.due().is_some() && self.sees_job(&state, kept);
        Ok(state.jobs.iter().filter(waits).filter_map(|kept| kept.job.id.made_at()).min())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.state().jobs.iter().filter_map(KeptJob::due).min())
    }
}
