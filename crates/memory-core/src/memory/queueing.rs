//! What is left to learn: looking at it, and trying again what was given up.

use super::Memory;
use crate::error::{Error, Violation};
use crate::event::EpisodeEvent;
use crate::id::JobId;
use crate::job::{JobState, OpenJob};
use crate::limits::JOBS_PAGE_MAX;
use crate::port::{JobListing, StoreError};

/// A page of the jobs that are not done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<OpenJob>,
    /// After which job the next page begins; `None` after the last one.
    pub next: Option<JobId>,
}

impl Memory {
    /// A page of the jobs that are not done.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::Store`].
    pub async fn jobs(&self, listing: JobListing) -> Result<JobPage, Error> {
        let max = listing.max;
        if !(1..=JOBS_PAGE_MAX).contains(&max) {
            let problem = format!("is {max}; it must be between 1 and {JOBS_PAGE_MAX}");
            return Err(Error::Invalid(vec![Violation { field: "limit".into(), problem }]));
        }
        // One more, to know whether there is a next page.
        let mut jobs = self.ports.jobs.open_jobs(JobListing { max: max + 1, ..listing }).await?;
        let is_last = jobs.len() <= max;
        jobs.truncate(max);
        let next = jobs.last().filter(|_| !is_last).map(|job| job.id);
        Ok(JobPage { jobs, next })
    }

    /// Puts a job that was given up back into the queue. Returns the state in which the job is now: one that waits or runs stays as
    /// it is.
    ///
    /// # Errors
    /// [`Error::NoJob`] or [`Error::Store`].
    pub async fn retry_job(&self, id: JobId) -> Result<JobState, Error> {
        let before = self.ports.jobs.retry(id, self.ports.source.now()).await;
        match before {
            Ok(JobState::Dead) => {
                self.announce(&EpisodeEvent::Retried { job_id: id });
                Ok(JobState::Queued)
            }
            Ok(state) => Ok(state),
            Err(StoreError::NotFound) => Err(Error::NoJob(id)),
            Err(error) => Err(error.into()),
        }
    }
}
