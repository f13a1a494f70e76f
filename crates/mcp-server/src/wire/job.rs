//! Arguments and results of the tools about what is left to learn.

use clap::ValueEnum;
use memory_core::error::Error;
use memory_core::id::JobId;
use memory_core::job::{JobState, OpenJob};
use memory_core::limits::{JOBS_PAGE_DEFAULT, JOBS_PAGE_MAX};
use memory_core::memory::JobPage;
use memory_core::port::JobListing;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::to_the_second;
use super::excerpt;
use super::parse::{Violations, id};
use crate::limits::JOB_ERROR_CHARS;

/// Where a job stands that is not done.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(crate) enum WireJobState {
    /// Waits, or waits to be tried again.
    Queued,
    /// Is being worked on.
    Running,
    /// Was given up.
    Dead,
}

impl From<WireJobState> for JobState {
    fn from(state: WireJobState) -> Self {
        match state {
            WireJobState::Queued => Self::Queued,
            WireJobState::Running => Self::Running,
            WireJobState::Dead => Self::Dead,
        }
    }
}

impl From<JobState> for WireJobState {
    fn from(state: JobState) -> Self {
        match state {
            JobState::Queued => Self::Queued,
            JobState::Running => Self::Running,
            JobState::Dead => Self::Dead,
        }
    }
}

fn states(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "string", "enum": JobState::ALL.map(JobState::name)})
}

/// Arguments of `list_jobs`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListJobsArgs {
    #[serde(default)]
    #[schemars(schema_with = "states")]
    state: Option<WireJobState>,
    /// How many at most, default 20.
    #[schemars(range(min = 1, max = JOBS_PAGE_MAX))]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl ListJobsArgs {
    pub(crate) fn parse(self) -> Result<JobListing, Error> {
        let mut violations = Violations::default();
        let after = violations.cursor(self.cursor.as_deref(), |cursor| cursor.parse().ok());
        violations.finish()?;
        let max = self.limit.unwrap_or(JOBS_PAGE_DEFAULT);
        Ok(JobListing { state: self.state.map(Into::into), after, max })
    }
}

/// Result of `list_jobs`.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct ListJobsResult {
    /// What is left to learn, in the order of their ids.
    pub(crate) jobs: Vec<WireJob>,
    /// `cursor` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_cursor: Option<String>,
}

impl From<JobPage> for ListJobsResult {
    fn from(page: JobPage) -> Self {
        Self {
            jobs: page.jobs.into_iter().map(WireJob::from).collect(),
            next_cursor: page.next.map(|next| next.to_string()),
        }
    }
}

/// A job that is not done.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct WireJob {
    pub(crate) job_id: String,
    /// The finished episode to learn from.
    pub(crate) episode_id: String,
    /// queued: waits, or waits to be tried again; running: is being worked on; dead: was given up.
    pub(crate) state: WireJobState,
    /// critical, high, normal or low.
    pub(crate) priority: &'static str,
    /// How often it was begun.
    pub(crate) attempts: u32,
    /// Why the last attempt came to nothing; null where none did, and for who may not see everything.
    pub(crate) error: Option<String>,
    /// When it was queued, where that is known.
    created_at: Option<String>,
    /// From when on a queued one may be begun.
    pub(crate) due_at: Option<String>,
}

impl From<OpenJob> for WireJob {
    fn from(job: OpenJob) -> Self {
        let OpenJob { id, episode_id, state, priority, attempts, error, due_at } = job;
        Self {
            job_id: id.to_string(),
            episode_id: episode_id.to_string(),
            state: state.into(),
            priority: priority.name(),
            attempts,
            error: error.map(|error| excerpt(&error, JOB_ERROR_CHARS)),
            created_at: id.made_at().map(to_the_second),
            due_at: due_at.map(to_the_second),
        }
    }
}

/// Arguments of `retry_job`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryJobArgs {
    job_id: String,
}

impl RetryJobArgs {
    pub(crate) fn parse(self) -> Result<JobId, Error> {
        id("job_id", &self.job_id)
    }
}

/// Result of `retry_job`.
#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct RetryJobResult {
    job_id: String,
    /// queued or running: nothing had to be done for one that was that already.
    state: WireJobState,
}

impl RetryJobResult {
    pub(crate) fn new(id: JobId, state: JobState) -> Self {
        Self { job_id: id.to_string(), state: state.into() }
    }
}
