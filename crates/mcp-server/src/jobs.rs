//! The command `jobs`: what is left to learn, and trying again what was given up.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Subcommand};
use memory_core::error::Error;
use memory_core::id::JobId;
use memory_core::job::{JobCounts, JobState};
use memory_core::limits::JOBS_PAGE_MAX;
use memory_core::memory::{JobPage, Memory};
use memory_core::port::{JobListing, JobStore};

use crate::config::reload::InEffect;
use crate::wire::job::{ListJobsResult, WireJob, WireJobState};
use crate::wiring::App;

#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    /// Only those in this state
    #[arg(long, value_enum)]
    state: Option<WireJobState>,
    /// Print the JSON that an agent gets from list_jobs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// Try again what was given up
    Retry {
        /// The id of a job, as `memory-mcp jobs` shows it
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<JobId>,
        /// All that were given up
        #[arg(long)]
        all: bool,
    },
}

/// Does what the command says.
pub(crate) async fn run(
    listing: JobsArgs,
    command: Option<JobsCommand>,
    settings: Arc<InEffect>,
) -> anyhow::Result<ExitCode> {
    let app = App::open(settings).await?;
    let done = match command {
        None => list(&app, listing).await,
        Some(JobsCommand::Retry { id, .. }) => retry(&app, id).await,
    };
    app.close().await;
    std::io::stdout().write_all(done?.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

async fn list(app: &App, JobsArgs { state, json }: JobsArgs) -> anyhow::Result<String> {
    let listing = JobListing { state: state.map(Into::into), after: None, max: JOBS_PAGE_MAX };
    let page = app.whole_memory.jobs(listing).await.context("failed to list the jobs")?;
    let result = ListJobsResult::from(page);
    if json {
        return Ok(serde_json::to_string(&result)? + "\n");
    }
    let mut text: String = result.jobs.iter().map(describe).collect();
    if result.next_cursor.is_some() {
        text.push_str("…\n");
    }
    Ok(text + &left(app).await?)
}

/// A job for a person to read.
fn describe(job: &WireJob) -> String {
    let WireJob { job_id, episode_id, state, priority, attempts, error, .. } = job;
    let state = JobState::from(*state).name();
    let error = error.as_ref().map(|error| format!("  {error}\n")).unwrap_or_default();
    format!(
        "{job_id} {state}, {priority}, {attempts} attempt(s), to learn from episode {episode_id}\n{error}"
    )
}

async fn left(app: &App) -> anyhow::Result<String> {
    let JobCounts { queued, running, dead } =
        JobStore::counts(&app.store).await.context("failed to count the jobs")?;
    Ok(format!("{queued} queued, {running} running, {dead} dead\n"))
}

/// Puts one job back into the queue, or all that were given up, and works until nothing is due.
async fn retry(app: &App, id: Option<JobId>) -> anyhow::Result<String> {
    let retried = match id {
        Some(id) => {
            let state = app.whole_memory.retry_job(id).await.context("failed to try the job again")?;
            format!("{id} is {}", state.name())
        }
        None => format!("{} put back into the queue", retry_all(&app.whole_memory).await?),
    };
    app.learn_all().await;
    Ok(format!("{retried}; what was due was tried: {}", left(app).await?))
}

async fn retry_all(memory: &Memory) -> anyhow::Result<usize> {
    let (mut after, mut retried) = (None, 0);
    loop {
        let listing = JobListing { state: Some(JobState::Dead), after, max: JOBS_PAGE_MAX };
        let JobPage { jobs, next } = memory.jobs(listing).await.context("failed to list the jobs")?;
        for job in jobs {
            match memory.retry_job(job.id).await {
                Ok(_) => retried += 1,
                // Its episode was deleted meanwhile.
                Err(Error::NoJob(_)) => {}
                Err(error) => return Err(error).context("failed to try a job again"),
            }
        }
        after = next;
        if after.is_none() {
            return Ok(retried);
        }
    }
}
