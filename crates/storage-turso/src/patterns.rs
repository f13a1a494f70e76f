//! What was learned, and from which episodes.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use libsql::params;
use memory_core::extract::Finding;
use memory_core::id::{EpisodeId, PatternId};
use memory_core::job::Job;
use memory_core::pattern::Tally;
use memory_core::port::{PatternStore, StoreError};
use memory_core::retrieve::{Found, Lesson, Lessons};

use crate::episodes::snapshot;
use crate::link::Link;
use crate::row::{Columns, json, pattern, pattern_columns};
use crate::{TursoStore, changes, jobs};

/// Whether a pattern can be searched for. Most sequences of tools are seen once and never again.
macro_rules! is_searchable {
    () => {
        "(kind <> 'tool_sequence' OR episodes >= 2)"
    };
}
pub(crate) use is_searchable;

#[async_trait]
impl PatternStore for TursoStore {
    async fn record(
        &self,
        job: Job,
        findings: Vec<(PatternId, Finding)>,
        at: Timestamp,
    ) -> Result<Vec<PatternId>, StoreError> {
        self.pool.write(move |link| record(link, &job, &findings, at)).await
    }

    async fn lessons(&self, episodes: Vec<EpisodeId>) -> Result<Lessons, StoreError> {
        self.pool.read(move |link| snapshot(link, |link| lessons(link, &episodes))).await
    }
}

fn record(
    link: &Link,
    job: &Job,
    findings: &[(PatternId, Finding)],
    at: Timestamp,
) -> Result<Vec<PatternId>, StoreError> {
    let sql = "SELECT key, coalesce(domain, '') FROM episode WHERE id = ?1";
    let episode = link.row(sql, [job.episode_id.to_string()], |row| {
        let mut columns = Columns::of(row);
        Ok((columns.integer()?, columns.text()?))
    })?;
    let mut supported = Vec::with_capacity(findings.len());
    // An episode deleted in the meantime is evidence of nothing.
    if let Some((episode, domain)) = episode {
        let forgotten = forget(link, episode)?;
        let mut changed = Vec::new();
        for (id, finding) in findings {
            let (id, is_changed) = observe(link, *id, finding, episode, &domain, at)?;
            supported.push(id);
            changed.extend(is_changed.then_some(id));
        }
        changed.extend(drop_unsupported(link, &forgotten, &supported)?);
        if changed.is_empty() {
            // What answers tell of a pattern has changed, if not what it is found by.
            changed.extend(supported.first());
        }
        for id in changed {
            changes::record(link, Found::Pattern(id))?;
        }
    }
    jobs::finish(link, job)?;
    Ok(supported)
}

/// Takes back what an episode was evidence of; returns the keys of those patterns.
fn forget(link: &Link, episode: i64) -> Result<Vec<i64>, StoreError> {
    let sql = "DELETE FROM evidence WHERE episode = ?1 RETURNING pattern";
    let patterns = link.rows(sql, [episode], |row| Columns::of(row).integer())?;
    // Summed up anew: taking away what was added would leave the errors of both.
    let sql = "UPDATE pattern SET episodes = episodes - 1,
                   credit = (SELECT coalesce(sum(credit), 0.0) FROM evidence WHERE pattern = pattern.key)
               WHERE key IN (SELECT value FROM json_each(?1))";
    link.execute(sql, [json(&patterns)])?;
    Ok(patterns)
}

/// Adds one observation, and the pattern if it is new. Tells whether it is found otherwise than before.
fn observe(
    link: &Link,
    new_id: PatternId,
    finding: &Finding,
    episode: i64,
    domain: &str,
    at: Timestamp,
) -> Result<(PatternId, bool), StoreError> {
    let Finding { body, credit, detail } = finding;
    let sql = concat!(
        "INSERT INTO pattern (id, kind, domain, signature, credit, episodes, last_seen)
         VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6)
         ON CONFLICT (kind, domain, signature) DO UPDATE SET
             credit = credit + excluded.credit, episodes = episodes + 1, last_seen = max(last_seen, excluded.last_seen)
         RETURNING key, id, (episodes <= 2 OR last_seen = ?6) AND ",
        is_searchable!()
    );
    let params =
        params![new_id.to_string(), body.kind(), domain, body.signature(), *credit, at.as_microsecond()];
    let stored = link.row(sql, params, |row| {
        let mut columns = Columns::of(row);
        Ok((columns.integer()?, PatternId(columns.uuid()?), columns.integer()? != 0))
    })?;
    let (key, id, is_changed) = stored.ok_or_else(|| StoreError::Other("a pattern was not stored".into()))?;
    let sql = "INSERT INTO evidence (pattern, episode, credit, detail) VALUES (?1, ?2, ?3, ?4)";
    link.execute(sql, params![key, episode, *credit, detail.as_deref()])?;
    Ok((id, is_changed))
}

/// Deletes those of the patterns that no episode supports any more. Returns those that this episode does not.
fn drop_unsupported(
    link: &Link,
    keys: &[i64],
    supported: &[PatternId],
) -> Result<Vec<PatternId>, StoreError> {
    let keys = json(&keys);
    let sql = "SELECT id FROM pattern WHERE key IN (SELECT value FROM json_each(?1))";
    let mut lost = link.rows(sql, [keys.as_str()], |row| Ok(PatternId(Columns::of(row).uuid()?)))?;
    lost.retain(|id| !supported.contains(id));
    let sql =
        "DELETE FROM pattern WHERE episodes = 0 AND key IN (SELECT value FROM json_each(?1)) RETURNING id";
    let gone = link.rows(sql, [keys], |row| Columns::of(row).text())?;
    let sql = "DELETE FROM embedding WHERE space IN (SELECT key FROM space) AND kind = 'pattern'
                   AND id IN (SELECT value FROM json_each(?1))";
    link.execute(sql, [json(&gone)])?;
    Ok(lost)
}

fn lessons(link: &Link, episodes: &[EpisodeId]) -> Result<Lessons, StoreError> {
    let names = json(&episodes.iter().map(ToString::to_string).collect::<Vec<_>>());
    let sql = "SELECT v.pattern, asked.key, v.detail
         FROM json_each(?1) asked JOIN episode e ON e.id = asked.value JOIN evidence v ON v.episode = e.key
         ORDER BY asked.key";
    // Most patterns are shown by several of the episodes, so each is read once, after the evidence.
    let mut shown: HashMap<i64, (Vec<EpisodeId>, Option<String>)> = HashMap::new();
    link.rows(sql, [names.as_str()], |row| {
        let mut columns = Columns::of(row);
        let (key, asked): (i64, usize) = (columns.integer()?, columns.unsigned()?);
        let (shown_by, detail) = shown.entry(key).or_default();
        shown_by.extend(episodes.get(asked));
        if detail.is_none() {
            *detail = columns.optional_text()?;
        }
        Ok(())
    })?;
    let mut keys: Vec<i64> = shown.keys().copied().collect();
    keys.sort_unstable();
    let sql = concat!(
        "SELECT p.key, ",
        pattern_columns!(),
        " FROM json_each(?1) asked JOIN pattern p ON p.key = asked.value ORDER BY asked.key"
    );
    let lessons = link.rows(sql, [json(&keys)], |row| {
        let mut columns = Columns::of(row);
        let (shown_by, detail) = shown.remove(&columns.integer()?).unwrap_or_default();
        Ok(Lesson { pattern: pattern(&mut columns)?, shown_by, detail })
    })?;
    Ok(Lessons { lessons, base: base(link, &names)? })
}

/// The tally of all episodes with a known credit in the domains of these.
fn base(link: &Link, names: &str) -> Result<Tally, StoreError> {
    let sql = "SELECT coalesce(sum(CASE outcome WHEN 'success' THEN 1.0 WHEN 'partial' THEN 0.5 ELSE 0.0 END), 0.0),
                      count(*)
               FROM episode
               WHERE outcome IN ('success', 'partial', 'failure')
                 AND coalesce(domain, '') IN (SELECT coalesce(domain, '') FROM episode
                                              WHERE id IN (SELECT value FROM json_each(?1)))";
    let tally = link.row(sql, [names], |row| {
        let mut columns = Columns::of(row);
        Ok(Tally { credit: columns.real()?, episodes: columns.unsigned()? })
    })?;
    Ok(tally.unwrap_or_default())
}
