//! What was learned, and from which episodes.

use std::collections::HashMap;

use async_trait::async_trait;
use libsql::params;
use memory_core::id::{EpisodeId, PatternId};
use memory_core::pattern::{Field, Fields, Pattern, PatternBody, Tally, VERDICT_EPISODES_MIN};
use memory_core::port::{Evidence, Listing, PatternStore, StoreError, Studied};
use memory_core::retrieve::{Lesson, Lessons};

use crate::TursoStore;
use crate::allowed::{Allowed, is_allowed, is_within};
use crate::episodes::snapshot;
use crate::learning::{self, stored};
use crate::link::Link;
use crate::row::{Columns, json, pattern, pattern_columns, signed};

/// Whether a pattern can be searched for. Most of what tools were used after each other, and most mistakes, are seen once
/// and never again; decisions and conditions are for forecasts.
macro_rules! is_searchable {
    () => {
        "(kind = 'error_recovery' OR (kind IN ('tool_sequence', 'pitfall', 'custom') AND episodes >= 2))"
    };
}
pub(crate) use is_searchable;

#[async_trait]
impl PatternStore for TursoStore {
    async fn record(&self, studied: Vec<Studied>) -> Result<Vec<Vec<PatternId>>, StoreError> {
        let allowed = self.allowed.clone();
        let record = move |link: &Link| {
            allowed.access().check_everything()?;
            learning::record(link, &studied)
        };
        self.pool.write(record).await
    }

    async fn lessons(&self, episodes: Vec<EpisodeId>, tasks: Vec<u64>) -> Result<Lessons, StoreError> {
        let allowed = self.allowed.clone();
        let read = move |link: &Link| lessons(link, &allowed, &episodes, &tasks);
        self.pool.read(move |link| snapshot(link, read)).await
    }

    async fn fields(&self) -> Result<Fields, StoreError> {
        let allowed = self.allowed.clone();
        self.pool.read(move |link| fields(link, &allowed)).await
    }

    async fn list(&self, listing: Listing) -> Result<Vec<Pattern>, StoreError> {
        let allowed = self.allowed.clone();
        self.pool.read(move |link| list(link, &allowed, &listing)).await
    }

    async fn evidence(&self, id: PatternId, max: usize) -> Result<Vec<Evidence>, StoreError> {
        let allowed = self.allowed.clone();
        self.pool.read(move |link| evidence(link, &allowed, id, max)).await
    }

    async fn relearn(&self) -> Result<u64, StoreError> {
        self.allowed.access().check_everything()?;
        self.pool.write(learning::relearn).await
    }

    async fn learn_with(&self, plugins: String) -> Result<u64, StoreError> {
        // Mostly nothing has changed, and then nothing need be written.
        if self.pool.read(learning::plugins).await? == plugins {
            return Ok(0);
        }
        self.pool.write(move |link| learning::learn_with(link, &plugins)).await
    }
}

fn lessons(
    link: &Link,
    allowed: &Allowed,
    episodes: &[EpisodeId],
    tasks: &[u64],
) -> Result<Lessons, StoreError> {
    let names = json(&episodes.iter().map(ToString::to_string).collect::<Vec<_>>());
    let sql = concat!(
        "SELECT v.pattern, asked.key, v.detail
         FROM json_each(?1) asked JOIN episode e ON e.id = asked.value CROSS JOIN evidence v ON v.episode = e.key
              CROSS JOIN pattern p ON p.key = v.pattern
         WHERE (p.episodes >= ?2 OR p.kind IN ('error_recovery', 'pitfall')) AND ",
        is_allowed!("p.domain", "?3"),
        " ORDER BY asked.key"
    );
    // Most patterns are shown by several of the episodes, so each is read once, after the evidence.
    let mut shown: HashMap<i64, (Vec<EpisodeId>, Option<String>)> = HashMap::new();
    link.rows(sql, params![names, VERDICT_EPISODES_MIN, allowed.domains()], |row| {
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
    let families = json(&tasks.iter().map(|family| stored(*family)).collect::<Vec<_>>());
    // Mostly the task was never run before.
    let sql = "SELECT DISTINCT l.family FROM json_each(?1) task JOIN learned l ON l.family = task.value";
    let families = json(&link.rows(sql, [families], |row| Columns::of(row).integer())?);
    let sql = "SELECT s.pattern, s.weight, s.credit, s.episodes, 1
               FROM json_each(?2) task CROSS JOIN json_each(?1) asked
               CROSS JOIN support s ON s.pattern = asked.value AND s.family = task.value";
    let mut own: HashMap<i64, Tally> = HashMap::new();
    link.rows(sql, params![json(&keys), families], |row| {
        let mut columns = Columns::of(row);
        let sum = own.entry(columns.integer()?).or_default();
        *sum = sum.plus(&columns.tally()?);
        Ok(())
    })?;
    let sql = concat!(
        "SELECT p.key, ",
        pattern_columns!(),
        " FROM json_each(?1) asked JOIN shown_pattern p ON p.key = asked.value ORDER BY asked.key"
    );
    let lessons = link.rows(sql, [json(&keys)], |row| {
        let mut columns = Columns::of(row);
        let key = columns.integer()?;
        let (shown_by, detail) = shown.remove(&key).unwrap_or_default();
        let own = own.remove(&key).unwrap_or_default();
        Ok(Lesson { pattern: pattern(&mut columns)?, own, shown_by, detail })
    })?;
    Ok(Lessons { lessons, fields: fields(link, allowed)? })
}

fn fields(link: &Link, allowed: &Allowed) -> Result<Fields, StoreError> {
    let sql = concat!(
        "SELECT domain, signature, weight, credit, episodes, families, coalesce(strength, 2.0)
         FROM pattern WHERE kind = 'base' AND ",
        is_allowed!("domain", "?1"),
        " ORDER BY domain, signature"
    );
    let fields = link.rows(sql, [allowed.domains()], |row| {
        let mut columns = Columns::of(row);
        let (domain, signature) = (columns.text()?, columns.text()?);
        let Some(PatternBody::Base { measure }) = PatternBody::parse("base", &signature) else {
            return Ok(None);
        };
        let domain = Some(domain).filter(|domain| !domain.is_empty());
        Ok(Some(Field { domain, measure, base: columns.tally()?, strength: columns.real()? }))
    })?;
    Ok(Fields(fields.into_iter().flatten().collect()))
}

fn list(link: &Link, allowed: &Allowed, listing: &Listing) -> Result<Vec<Pattern>, StoreError> {
    let Listing { domain, kind, after, max } = listing;
    let (episodes, id) = match after {
        Some((episodes, id)) => (i64::from(*episodes), id.to_string()),
        None => (i64::MAX, String::new()),
    };
    let sql = concat!(
        "SELECT ",
        pattern_columns!(),
        " FROM shown_pattern p
          WHERE (?1 IS NULL OR ",
        is_within!("p.domain", "?1"),
        ") AND (?2 IS NULL OR p.kind = ?2)
            AND (p.episodes < ?3 OR (p.episodes = ?3 AND p.id > ?4)) AND ",
        is_allowed!("p.domain", "?6"),
        " ORDER BY p.episodes DESC, p.id LIMIT ?5"
    );
    let (domain, max) = (domain.as_deref(), signed(*max as u64));
    let params = params![domain, kind.as_deref(), episodes, id, max, allowed.domains()];
    link.rows(sql, params, |row| pattern(&mut Columns::of(row)))
}

fn evidence(link: &Link, allowed: &Allowed, id: PatternId, max: usize) -> Result<Vec<Evidence>, StoreError> {
    let sql = concat!(
        "SELECT e.id, e.external_id, e.outcome, v.weight, v.credit, v.detail
               FROM shown_pattern p JOIN support s ON s.pattern = p.key JOIN learned l ON l.family = s.family
                   JOIN evidence v ON v.episode = l.episode AND v.pattern = p.key JOIN episode e ON e.key = v.episode
               WHERE p.id = ?1 AND ",
        is_allowed!("p.domain", "?3"),
        " ORDER BY l.at DESC, e.id DESC LIMIT ?2"
    );
    link.rows(sql, params![id.to_string(), signed(max as u64), allowed.domains()], |row| {
        let mut columns = Columns::of(row);
        Ok(Evidence {
            episode: EpisodeId(columns.uuid()?),
            external_id: columns.optional_text()?,
            outcome: columns.optional_text()?.and_then(|name| name.parse().ok()),
            observed: Tally { weight: columns.real()?, credit: columns.real()?, episodes: 1, families: 1 },
            detail: columns.optional_text()?,
        })
    })
}
