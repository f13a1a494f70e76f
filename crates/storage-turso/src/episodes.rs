//! Episodes and their steps.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use libsql::params;
use memory_core::episode::{Completion, Episode, EpisodeHead, NewStep, Step};
use memory_core::id::EpisodeId;
use memory_core::limits::EPISODE_STEPS_MAX;
use memory_core::port::{
    Appended, CompletionInsertion, EpisodeStore, Inserted, Insertion, Replacement, StepInsertion, StoreError,
};
use memory_core::retrieve::Found;

use crate::allowed::{Allowed, is_allowed};
use crate::link::Link;
use crate::row::{Columns, head, head_columns, json, signed, step, step_columns};
use crate::{TursoStore, changes, citations, jobs, learning};

impl TursoStore {
    /// The newest episode of this external id.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn episode_named(&self, external_id: String) -> Result<Option<EpisodeId>, StoreError> {
        let sql = "SELECT id FROM episode WHERE external_id = ?1 ORDER BY key DESC LIMIT 1";
        let read = move |link: &Link| link.row(sql, [external_id.as_str()], |row| Columns::of(row).uuid());
        Ok(self.pool.read(read).await?.map(EpisodeId))
    }
}

#[async_trait]
impl EpisodeStore for TursoStore {
    async fn insert(&self, batch: Vec<Insertion>) -> Result<Vec<Inserted>, StoreError> {
        let allowed = self.allowed.clone();
        let all =
            move |link: &Link| batch.iter().map(|insertion| insert(link, &allowed, insertion)).collect();
        self.pool.write(all).await
    }

    async fn append_step(&self, id: EpisodeId, step: StepInsertion) -> Result<Appended, StoreError> {
        let allowed = self.allowed.clone();
        self.pool.write(move |link| append(link, &allowed, id, &step)).await
    }

    async fn complete(&self, id: EpisodeId, completion: CompletionInsertion) -> Result<(), StoreError> {
        let allowed = self.allowed.clone();
        self.pool.write(move |link| complete(link, &allowed, id, &completion)).await
    }

    async fn replace(&self, id: EpisodeId, new: Replacement) -> Result<(), StoreError> {
        let allowed = self.allowed.clone();
        self.pool.write(move |link| replace(link, &allowed, id, &new)).await
    }

    async fn get(&self, id: EpisodeId) -> Result<Option<Episode>, StoreError> {
        let allowed = self.allowed.clone();
        self.pool.read(move |link| snapshot(link, |link| get(link, &allowed, id))).await
    }

    async fn delete(&self, id: EpisodeId) -> Result<(), StoreError> {
        let allowed = self.allowed.clone();
        self.pool.write(move |link| delete(link, &allowed, id)).await
    }

    async fn heads(&self, ids: &[EpisodeId]) -> Result<Vec<EpisodeHead>, StoreError> {
        let (ids, allowed) = (ids.to_vec(), self.allowed.clone());
        self.pool.read(move |link| heads(link, &allowed, &ids)).await
    }
}

/// Runs several reads on one state of the database.
pub(crate) fn snapshot<T>(
    link: &Link,
    reads: impl FnOnce(&Link) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    link.execute("BEGIN", ())?;
    let done = reads(link);
    link.roll_back();
    done
}

fn insert(link: &Link, allowed: &Allowed, insertion: &Insertion) -> Result<Inserted, StoreError> {
    let Insertion { episode: Episode { head, steps }, job, citations } = insertion;
    allowed.access().check_new(head.brief.scope.domain.as_deref())?;
    if let Some(external_id) = &head.external_id {
        let taken = concat!(
            "SELECT id FROM episode WHERE external_id = ?1 AND ",
            is_allowed!("domain", "?2"),
            // That of the same domain, of others the oldest.
            " ORDER BY domain IS ?3 DESC, key LIMIT 1"
        );
        let params = params![external_id.as_str(), allowed.domains(), head.brief.scope.domain.as_deref()];
        if let Some(id) = link.row(taken, params, |row| Columns::of(row).uuid())? {
            return Ok(Inserted::Existing(EpisodeId(id)));
        }
    }
    let id = head.id.to_string();
    let brief = &head.brief;
    link.execute(
        "INSERT INTO episode (id, external_id, task, domain, project, task_type, tags, context, started_at,
             revision, step_count)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            id.as_str(),
            head.external_id.as_deref(),
            brief.task.as_str(),
            brief.scope.domain.as_deref(),
            brief.scope.project.as_deref(),
            brief.task_type.as_deref(),
            json(&brief.tags),
            json(&brief.context),
            head.started_at.as_microsecond(),
            signed(head.revision),
            head.step_count
        ],
    )?;
    let key = link.last_key();
    for step in steps {
        insert_step(link, key, step.number, step.at, &step.call)?;
    }
    if let Some(completion) = &head.completion {
        store_completion(link, key, completion)?;
    }
    if let Some(job) = job {
        let due = head.completion.as_ref().map_or(head.started_at, |completion| completion.at);
        jobs::enqueue(link, head.id, job, due)?;
    }
    citations::replace(link, Found::Episode(head.id), citations.as_ref())?;
    changes::record(link, Found::Episode(head.id))?;
    Ok(Inserted::New)
}

fn insert_step(
    link: &Link,
    episode: i64,
    number: u32,
    at: Timestamp,
    call: &NewStep,
) -> Result<(), StoreError> {
    link.execute(
        "INSERT INTO step (episode, number, at, external_id, tool, action, args, observation, error, duration_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            episode,
            number,
            at.as_microsecond(),
            call.external_id.as_deref(),
            call.tool.as_str(),
            call.action.as_deref(),
            call.args.as_deref(),
            call.observation.as_deref(),
            call.error(),
            call.duration_ms.map(signed)
        ],
    )?;
    Ok(())
}

/// What a writer must know of an episode before it changes it.
pub(crate) struct State {
    pub(crate) key: i64,
    revision: u64,
    steps: u32,
    completed: bool,
}

/// What there is to change.
pub(crate) fn state(link: &Link, allowed: &Allowed, id: EpisodeId) -> Result<State, StoreError> {
    allowed.access().check_change()?;
    let sql = concat!(
        "SELECT key, revision, step_count, completed_at IS NOT NULL FROM episode WHERE id = ?1 AND ",
        is_allowed!("domain", "?2")
    );
    let found = link.row(sql, params![id.to_string(), allowed.domains()], |row| {
        let mut columns = Columns::of(row);
        Ok(State {
            key: columns.integer()?,
            revision: columns.unsigned()?,
            steps: columns.unsigned()?,
            completed: columns.integer()? != 0,
        })
    })?;
    found.ok_or(StoreError::NotFound)
}

fn append(
    link: &Link,
    allowed: &Allowed,
    id: EpisodeId,
    insertion: &StepInsertion,
) -> Result<Appended, StoreError> {
    let State { key, steps, completed, .. } = state(link, allowed, id)?;
    if let Some(external_id) = &insertion.step.external_id {
        let sql = "SELECT number FROM step WHERE episode = ?1 AND external_id = ?2";
        let same = link.row(sql, params![key, external_id.as_str()], |row| Columns::of(row).unsigned())?;
        if let Some(number) = same {
            return Ok(Appended::Existing(number));
        }
    }
    if completed {
        return Err(StoreError::Completed);
    }
    if steps as usize >= EPISODE_STEPS_MAX {
        return Err(StoreError::TooManySteps(EPISODE_STEPS_MAX));
    }
    let number = steps + 1;
    insert_step(link, key, number, insertion.at, &insertion.step)?;
    link.execute(
        "UPDATE episode SET step_count = ?2, revision = revision + 1 WHERE key = ?1",
        params![key, number],
    )?;
    changes::record(link, Found::Episode(id))?;
    Ok(Appended::New(number))
}

fn complete(
    link: &Link,
    allowed: &Allowed,
    id: EpisodeId,
    insertion: &CompletionInsertion,
) -> Result<(), StoreError> {
    let CompletionInsertion { revision, completion, job, citations } = insertion;
    let State { key, revision: current, completed, .. } = state(link, allowed, id)?;
    if completed {
        return Err(StoreError::Completed);
    }
    if current != *revision {
        return Err(StoreError::Conflict);
    }
    store_completion(link, key, completion)?;
    link.execute("UPDATE episode SET revision = revision + 1 WHERE key = ?1", [key])?;
    jobs::enqueue(link, id, job, completion.at)?;
    citations::replace(link, Found::Episode(id), citations.as_ref())?;
    changes::record(link, Found::Episode(id))
}

fn replace(link: &Link, allowed: &Allowed, id: EpisodeId, new: &Replacement) -> Result<(), StoreError> {
    let Replacement { revision, brief, completion, job, citations } = new;
    let State { key, revision: current, completed, .. } = state(link, allowed, id)?;
    if current != *revision || completed != completion.is_some() {
        return Err(StoreError::Conflict);
    }
    let domain = brief.scope.domain.as_deref();
    allowed.access().check_new(domain)?;
    let sql = "SELECT other.id FROM episode own JOIN episode other ON other.external_id = own.external_id
               WHERE own.key = ?1 AND other.key <> ?1 AND other.domain IS ?2";
    if let Some(other) = link.row(sql, params![key, domain], |row| Columns::of(row).uuid())? {
        return Err(StoreError::NameTaken(EpisodeId(other)));
    }
    // While it still stands where it was learned from.
    learning::unlearn(link, key)?;
    link.execute(
        "UPDATE episode SET task = ?2, domain = ?3, project = ?4, task_type = ?5, tags = ?6, context = ?7,
             revision = revision + 1 WHERE key = ?1",
        params![
            key,
            brief.task.as_str(),
            domain,
            brief.scope.project.as_deref(),
            brief.task_type.as_deref(),
            json(&brief.tags),
            json(&brief.context)
        ],
    )?;
    if let Some(completion) = completion {
        store_completion(link, key, completion)?;
    }
    if let Some((job, completion)) = job.as_ref().zip(completion.as_ref()) {
        link.execute("DELETE FROM job WHERE episode = ?1", [id.to_string()])?;
        jobs::enqueue(link, id, job, completion.at)?;
    }
    citations::replace(link, Found::Episode(id), citations.as_ref())?;
    changes::record(link, Found::Episode(id))
}

fn store_completion(link: &Link, key: i64, completion: &Completion) -> Result<(), StoreError> {
    link.execute(
        "UPDATE episode SET completed_at = ?2, outcome = ?3, summary = ?4, artifacts = ?5, reward = ?6,
             reflection = ?7, basis = ?8, disputed = ?9 WHERE key = ?1",
        params![
            key,
            completion.at.as_microsecond(),
            completion.outcome.map(|outcome| outcome.name()),
            completion.summary.as_deref(),
            json(&completion.artifacts),
            json(&completion.reward),
            json(&completion.reflection),
            completion.basis.name(),
            i64::from(completion.disputed)
        ],
    )?;
    Ok(())
}

fn delete(link: &Link, allowed: &Allowed, id: EpisodeId) -> Result<(), StoreError> {
    let State { key, .. } = state(link, allowed, id)?;
    learning::unlearn(link, key)?;
    link.execute("DELETE FROM job WHERE episode = ?1", [id.to_string()])?;
    link.execute("DELETE FROM feedback WHERE kind = 'episode' AND id = ?1", [id.to_string()])?;
    let sql = "DELETE FROM embedding WHERE space IN (SELECT key FROM space) AND kind = 'episode' AND id = ?1";
    link.execute(sql, [id.to_string()])?;
    link.execute("DELETE FROM episode WHERE key = ?1", [key])?;
    changes::record(link, Found::Episode(id))
}

/// The steps of an episode, in order.
pub(crate) fn steps_of(link: &Link, episode: i64) -> Result<Vec<Step>, StoreError> {
    let sql = concat!("SELECT ", step_columns!(), " FROM step WHERE episode = ?1 ORDER BY number");
    link.rows(sql, [episode], step)
}

fn get(link: &Link, allowed: &Allowed, id: EpisodeId) -> Result<Option<Episode>, StoreError> {
    let Some(head) = heads(link, allowed, &[id])?.into_iter().next() else { return Ok(None) };
    let sql = concat!(
        "SELECT ",
        step_columns!(),
        " FROM step WHERE episode = (SELECT key FROM episode WHERE id = ?1) ORDER BY number"
    );
    let steps = link.rows(sql, [id.to_string()], step)?;
    Ok(Some(Episode { head, steps }))
}

pub(crate) fn heads(
    link: &Link,
    allowed: &Allowed,
    ids: &[EpisodeId],
) -> Result<Vec<EpisodeHead>, StoreError> {
    let sql = concat!(
        "SELECT ",
        head_columns!(),
        " FROM episode WHERE id IN (SELECT value FROM json_each(?1)) AND ",
        is_allowed!("domain", "?2")
    );
    let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let found =
        link.rows(sql, params![json(&names), allowed.domains()], |row| head(&mut Columns::of(row)))?;
    let mut by_id: HashMap<EpisodeId, EpisodeHead> = found.into_iter().map(|head| (head.id, head)).collect();
    Ok(ids.iter().filter_map(|id| by_id.remove(id)).collect())
}
