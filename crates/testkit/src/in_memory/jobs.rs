//! The queue of background jobs.

use std::cmp::Reverse;

use async_trait::async_trait;
use jiff::Timestamp;
use memory_core::id::{EpisodeId, JobId};
use memory_core::job::{Job, JobCounts, JobState, NewJob, OpenJob, Priority, Retry};
use memory_core::port::{JobListing, JobStore, StoreError};

use super::{InMemoryStore, State};

#[derive(Debug)]
pub(super) struct KeptJob {
    job: Job,
    standing: Standing,
    error: Option<String>,
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

    pub(super) fn state(&self) -> JobState {
        match self.standing {
            Standing::Waiting { .. } => JobState::Queued,
            Standing::Held { .. } => JobState::Running,
            Standing::Dead => JobState::Dead,
        }
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
        self.jobs.push(KeptJob { job, standing: Standing::Waiting { due }, error: None });
    }

    /// Takes all jobs of an episode out of the queue.
    pub(super) fn unqueue(&mut self, episode_id: EpisodeId) {
        self.jobs.retain(|kept| kept.job.episode_id != episode_id);
    }

    /// Whether an episode waits for being studied.
    pub(super) fn is_queued(&self, episode_id: EpisodeId) -> bool {
        self.jobs.iter().any(|kept| kept.job.episode_id == episode_id && kept.state() == JobState::Queued)
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

    async fn fail(&self, job: Job, error: String, retry: Retry) -> Result<(), StoreError> {
        let mut state = self.state();
        // A holder that outlived its lease has no say in what the next one does.
        let held = |kept: &&mut KeptJob| kept.job == job && matches!(kept.standing, Standing::Held { .. });
        if let Some(kept) = state.jobs.iter_mut().find(held) {
            kept.error = Some(error);
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

    async fn open_jobs(&self, listing: JobListing) -> Result<Vec<OpenJob>, StoreError> {
        let JobListing { state: asked, after, max } = listing;
        let state = self.state();
        let is_listed = |kept: &&KeptJob| {
            let of_state = asked.is_none_or(|asked| asked == kept.state());
            of_state && after.is_none_or(|after| kept.job.id > after) && self.sees_job(&state, kept)
        };
        let mut listed: Vec<&KeptJob> = state.jobs.iter().filter(is_listed).collect();
        listed.sort_by_key(|kept| kept.job.id);
        let open = listed.into_iter().take(max).map(|kept| OpenJob {
            id: kept.job.id,
            episode_id: kept.job.episode_id,
            state: kept.state(),
            priority: kept.job.priority,
            attempts: kept.job.attempt,
            error: kept.error.clone().filter(|_| self.access.is_everything()),
            due_at: kept.due().filter(|_| kept.state() == JobState::Queued),
        });
        Ok(open.collect())
    }

    async fn retry(&self, id: JobId, now: Timestamp) -> Result<JobState, StoreError> {
        self.access.check_change()?;
        let mut state = self.state();
        let place = state.jobs.iter().position(|kept| kept.job.id == id && self.sees_job(&state, kept));
        let kept = &mut state.jobs[place.ok_or(StoreError::NotFound)?];
        let before = kept.state();
        if before == JobState::Dead {
            kept.job.attempt = 0;
            (kept.standing, kept.error) = (Standing::Waiting { due: now }, None);
        }
        Ok(before)
    }

    async fn counts(&self) -> Result<JobCounts, StoreError> {
        let mut counts = JobCounts::default();
        let state = self.state();
        for kept in state.jobs.iter().filter(|kept| self.sees_job(&state, kept)) {
            *match kept.state() {
                JobState::Queued => &mut counts.queued,
                JobState::Running => &mut counts.running,
                JobState::Dead => &mut counts.dead,
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
