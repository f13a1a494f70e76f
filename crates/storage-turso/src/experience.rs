//! What was done in all episodes: which tools follow which, and which calls fail.

use async_trait::async_trait;
use libsql::params;
use memory_core::episode::{Scope, Step};
use memory_core::extract::Attempt;
use memory_core::id::EpisodeId;
use memory_core::limits::{COMPARED_CHARS_MAX, COURSE_STEPS_MAX};
use memory_core::port::{Attempted, Choices, ExperienceStore, StoreError};

use crate::TursoStore;
use crate::allowed::{Allowed, is_allowed, is_within};
use crate::learning::stored;
use crate::link::Link;
use crate::row::{Columns, json, signed, step_of};

#[async_trait]
impl ExperienceStore for TursoStore {
    async fn choices(&self, domain: Option<String>, states: Vec<String>) -> Result<Vec<Choices>, StoreError> {
        let allowed = self.allowed.clone();
        self.pool.read(move |link| choices(link, &allowed, domain.as_deref(), states)).await
    }

    async fn courses(&self, episodes: Vec<EpisodeId>) -> Result<Vec<(EpisodeId, Vec<Step>)>, StoreError> {
        let allowed = self.allowed.clone();
        self.pool.read(move |link| courses(link, &allowed, &episodes)).await
    }

    async fn attempts(&self, keys: Vec<u64>, scope: Scope, max: usize) -> Result<Vec<Attempted>, StoreError> {
        let allowed = self.allowed.clone();
        self.pool.read(move |link| attempts(link, &allowed, &keys, &scope, max)).await
    }
}

fn choices(
    link: &Link,
    allowed: &Allowed,
    domain: Option<&str>,
    states: Vec<String>,
) -> Result<Vec<Choices>, StoreError> {
    let sql = concat!(
        "SELECT s.key, t.tool, sum(t.times)
               FROM json_each(?2) s CROSS JOIN transition t ON t.state = s.value
               WHERE (?1 IS NULL OR ",
        is_within!("t.domain", "?1"),
        ") AND ",
        is_allowed!("t.domain", "?3"),
        " GROUP BY s.key, t.tool ORDER BY s.key, sum(t.times) DESC, t.tool"
    );
    let rows = link.rows(sql, params![domain, json(&states), allowed.domains()], |row| {
        let mut columns = Columns::of(row);
        Ok((columns.unsigned::<usize>()?, columns.text()?, columns.unsigned::<u64>()?))
    })?;
    let mut choices: Vec<Choices> =
        states.into_iter().map(|state| Choices { state, tools: Vec::new() }).collect();
    for (place, tool, times) in rows {
        if let Some(state) = choices.get_mut(place) {
            state.tools.push((tool, times));
        }
    }
    Ok(choices)
}

fn courses(
    link: &Link,
    allowed: &Allowed,
    episodes: &[EpisodeId],
) -> Result<Vec<(EpisodeId, Vec<Step>)>, StoreError> {
    let names = json(&episodes.iter().map(ToString::to_string).collect::<Vec<_>>());
    // `typeof` needs the head of a row alone: an error stands behind what was returned, which is long.
    let sql = concat!(
        "SELECT asked.key, s.number, s.at, NULL, s.tool, substr(s.action, 1, ?2), substr(s.args, 1, ?2), NULL,
                   CASE typeof(s.error) WHEN 'null' THEN NULL ELSE '' END, NULL
               FROM json_each(?1) asked JOIN episode e ON e.id = asked.value
                   JOIN step s ON s.episode = e.key AND s.number <= ?3
               WHERE ",
        is_allowed!("e.domain", "?4"),
        " ORDER BY asked.key, s.number"
    );
    let bounds = (signed(COMPARED_CHARS_MAX as u64), signed(COURSE_STEPS_MAX as u64));
    let rows = link.rows(sql, params![names, bounds.0, bounds.1, allowed.domains()], |row| {
        let mut columns = Columns::of(row);
        Ok((columns.unsigned::<usize>()?, step_of(&mut columns)?))
    })?;
    let mut courses: Vec<(EpisodeId, Vec<Step>)> = episodes.iter().map(|id| (*id, Vec::new())).collect();
    for (place, step) in rows {
        if let Some((_, steps)) = courses.get_mut(place) {
            steps.push(step);
        }
    }
    courses.retain(|(_, steps)| !steps.is_empty());
    Ok(courses)
}

fn attempts(
    link: &Link,
    allowed: &Allowed,
    keys: &[u64],
    scope: &Scope,
    max: usize,
) -> Result<Vec<Attempted>, StoreError> {
    let keys = json(&keys.iter().map(|key| stored(*key)).collect::<Vec<_>>());
    let sql = concat!(
        "SELECT a.key, a.failed, a.succeeded, a.step, e.id, l.family, l.at
               FROM json_each(?1) asked JOIN attempt a ON a.key = asked.value
                   JOIN episode e ON e.key = a.episode JOIN learned l ON l.episode = a.episode
               WHERE (?2 IS NULL OR ",
        is_within!("e.domain", "?2"),
        ") AND (?3 IS NULL OR e.project = ?3) AND ",
        is_allowed!("e.domain", "?5"),
        " ORDER BY l.at DESC, e.id DESC, a.key LIMIT ?4"
    );
    let (domain, project) = (scope.domain.as_deref(), scope.project.as_deref());
    let params = params![keys, domain, project, signed(max as u64), allowed.domains()];
    link.rows(sql, params, |row| {
        let mut columns = Columns::of(row);
        let attempt = Attempt {
            key: columns.integer()?.cast_unsigned(),
            failed: columns.unsigned()?,
            succeeded: columns.unsigned()?,
            step: columns.unsigned()?,
        };
        let (episode, family) = (EpisodeId(columns.uuid()?), columns.integer()?.cast_unsigned());
        Ok(Attempted { episode, family, at: columns.time()?, attempt })
    })
}
