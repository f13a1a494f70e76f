//! The durable job table.

use async_trait::async_trait;
use jiff::Timestamp;
use libsql::params;
use memory_core::id::{EpisodeId, JobId};
use memory_core::job::{Job, JobCounts, JobState, NewJob, OpenJob, Priority, Retry};
use memory_core::port::{JobListing, JobStore, StoreError};

use crate::TursoStore;
use crate::allowed::{Allowed, is_allowed};
use crate::link::{Link, Read};
use crate::row::{Columns, signed};

/// SQL: whether a job is about an episode that may be seen; `$domains` is the parameter with the allowed domains.
macro_rules! is_of_allowed {
    ($domains:literal) => {
        concat!(
            "(",
            $domains,
            " IS NULL OR EXISTS (SELECT 1 FROM episode e WHERE e.id = job.episode AND ",
            is_allowed!("e.domain", $domains),
            "))"
        )
    };
}

/// Queues a job, due at once.
pub(crate) fn enqueue(
    link: &Link,
    episode: EpisodeId,
    job: &NewJob,
    at: Timestamp,
) -> Result<(), StoreError> {
    link.execute(
        "INSERT INTO job (id, episode, weight, state, attempt, due_at) VALUES (?1, ?2, ?3, 'queued', 0, ?4)",
        params![job.id.to_string(), episode.to_string(), job.weight, at.as_microsecond()],
    )?;
    Ok(())
}

/// Removes a job that is done.
pub(crate) fn finish(link: &Link, job: &Job) -> Result<(), StoreError> {
    link.execute("DELETE FROM job WHERE id = ?1", [job.id.to_string()])?;
    Ok(())
}

#[async_trait]
impl JobStore for TursoStore {
    async fn claim(
        &self,
        max: usize,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Vec<Job>, StoreError> {
        let due = self
            .pool
            .read(move |link| {
                let sql =
                    "SELECT count(*) FROM (SELECT 1 FROM job WHERE state <> 'dead' AND due_at <= ?1 LIMIT 1)";
                link.number(sql, [now.as_microsecond()])
            })
            .await?;
        // Looking costs nothing; the write lock does.
        if due == 0 || max == 0 {
            return Ok(Vec::new());
        }
        self.pool.write(move |link| claim(link, max, now, lease_until)).await
    }

    async fn fail(&self, job: Job, error: String, retry: Retry) -> Result<(), StoreError> {
        self.pool
            .write(move |link| {
                let (state, due, attempts) = match retry {
                    Retry::At(time) => ("queued", time.as_microsecond(), job.attempt),
                    Retry::Never => ("dead", 0, job.attempt),
                    Retry::Unbegun => ("queued", 0, job.attempt - 1),
                };
                // Only if the attempt is still this one: a lease that ended may have gone to another worker.
                let sql = "UPDATE job SET state = ?2, due_at = ?3, error = ?4, attempt = ?6
                           WHERE id = ?1 AND state = 'running' AND attempt = ?5";
                let id = job.id.to_string();
                link.execute(sql, params![id, state, due, error.as_str(), job.attempt, attempts])?;
                Ok(())
            })
            .await
    }

    async fn open_jobs(&self, listing: JobListing) -> Result<Vec<OpenJob>, StoreError> {
        let sql = concat!(
            "SELECT id, episode, weight, attempt, state, due_at, CASE WHEN ?1 IS NULL THEN error END FROM job
             WHERE id > ?2 AND (?3 IS NULL OR state = ?3) AND ",
            is_of_allowed!("?1"),
            " ORDER BY id LIMIT ?4"
        );
        let JobListing { state, after, max } = listing;
        let after = after.map(|after| after.to_string()).unwrap_or_default();
        let allowed = self.allowed.clone();
        let read = move |link: &Link| {
            let given =
                params![allowed.domains(), after, state.map(|state| state.name()), signed(max as u64)];
            link.rows(sql, given, |row| open_job(&mut Columns::of(row)))
        };
        self.pool.read(read).await
    }

    async fn retry(&self, id: JobId, now: Timestamp) -> Result<JobState, StoreError> {
        let allowed = self.allowed.clone();
        self.pool.write(move |link| retry(link, &allowed, id, now)).await
    }

    async fn counts(&self) -> Result<JobCounts, StoreError> {
        let sql = concat!("SELECT state, count(*) FROM job WHERE ", is_of_allowed!("?1"), " GROUP BY state");
        let allowed = self.allowed.clone();
        let states = self
            .pool
            .read(move |link| {
                link.rows(sql, [allowed.domains()], |row| {
                    let mut columns = Columns::of(row);
                    Ok((columns.text()?, columns.unsigned::<u64>()?))
                })
            })
            .await?;
        let of = |name: &str| states.iter().find(|(state, _)| state == name).map_or(0, |(_, count)| *count);
        Ok(JobCounts { queued: of("queued"), running: of("running"), dead: of("dead") })
    }

    async fn oldest(&self) -> Result<Option<Timestamp>, StoreError> {
        // Ids sort by when they were made.
        let sql = concat!(
            "SELECT id FROM job WHERE state <> 'dead' AND ",
            is_of_allowed!("?1"),
            " ORDER BY id LIMIT 1"
        );
        let allowed = self.allowed.clone();
        let id = self
            .pool
            .read(move |link| link.row(sql, [allowed.domains()], |row| Ok(JobId(Columns::of(row).uuid()?))))
            .await?;
        Ok(id.and_then(JobId::made_at))
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.pool
            .read(|link| {
                let sql = "SELECT due_at FROM job WHERE state <> 'dead' ORDER BY due_at LIMIT 1";
                link.row(sql, (), |row| Columns::of(row).time())
            })
            .await
    }
}

fn open_job(columns: &mut Columns<'_>) -> Read<OpenJob> {
    let (id, episode_id) = (JobId(columns.uuid()?), EpisodeId(columns.uuid()?));
    let priority = Priority::of(columns.real()?);
    let attempts = columns.unsigned()?;
    let (state, due_at) = (columns.job_state()?, columns.time()?);
    let due_at = Some(due_at).filter(|_| state == JobState::Queued);
    Ok(OpenJob { id, episode_id, state, priority, attempts, error: columns.optional_text()?, due_at })
}

fn retry(link: &Link, allowed: &Allowed, id: JobId, now: Timestamp) -> Result<JobState, StoreError> {
    allowed.access().check_change()?;
    let sql = concat!("SELECT state FROM job WHERE id = ?1 AND ", is_of_allowed!("?2"));
    let given = params![id.to_string(), allowed.domains()];
    let state = link.row(sql, given, |row| Columns::of(row).job_state())?.ok_or(StoreError::NotFound)?;
    if state == JobState::Dead {
        let sql = "UPDATE job SET state = 'queued', attempt = 0, due_at = ?2, error = NULL WHERE id = ?1";
        link.execute(sql, params![id.to_string(), now.as_microsecond()])?;
    }
    Ok(state)
}

fn claim(link: &Link, max: usize, now: Timestamp, lease_until: Timestamp) -> Result<Vec<Job>, StoreError> {
    let sql = "SELECT id, episode, weight, attempt FROM job WHERE state <> 'dead' AND due_at <= ?1
               ORDER BY weight DESC, key LIMIT ?2";
    let jobs = link.rows(sql, params![now.as_microsecond(), signed(max as u64)], |row| {
        let mut columns = Columns::of(row);
        Ok(Job {
            id: JobId(columns.uuid()?),
            episode_id: EpisodeId(columns.uuid()?),
            priority: Priority::of(columns.real()?),
            attempt: columns.unsigned::<u32>()? + 1,
        })
    })?;
    for job in &jobs {
        let sql = "UPDATE job SET state = 'running', attempt = ?2, due_at = ?3 WHERE id = ?1";
        link.execute(sql, params![job.id.to_string(), job.attempt, lease_until.as_microsecond()])?;
    }
    Ok(jobs)
}
