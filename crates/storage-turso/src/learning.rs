//! Taking in what episodes teach, and taking it back.
//!
//! Several episodes are taken in at once, so that what many of them show is read and written once: the patterns, their support by
//! task, and the transitions are summed up in memory before they are written.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use libsql::params;
use memory_core::extract::{Experience, Finding, LEARNING_VERSION, Teaching};
use memory_core::id::PatternId;
use memory_core::job::IMPORT_WEIGHT;
use memory_core::pattern::{Measure, PatternBody, Tally, VERDICT_EPISODES_MIN, strength};
use memory_core::port::{StoreError, Studied};
use memory_core::retrieve::Found;

use crate::episodes::steps_of;
use crate::link::Link;
use crate::patterns::is_searchable;
use crate::row::{Columns, json};
use crate::{changes, jobs};

/// A hash as the integer that SQLite keeps of it.
pub(crate) fn stored(hash: u64) -> i64 {
    hash.cast_signed()
}

/// What a batch changes, summed up until it is written.
#[derive(Default)]
struct Batch {
    patterns: HashMap<PatternId, Row>,
    support: HashMap<(i64, i64), Tally>,
    transitions: BTreeMap<(String, String, String), i64>,
    domains: BTreeSet<String>,
}

/// A pattern as it will be.
struct Row {
    key: i64,
    tally: Tally,
    last_seen: i64,
    /// Whether it may be found otherwise than before.
    is_changed: bool,
    /// Whether it could be found and an episode that showed it does so no more.
    was_found: bool,
}

pub(crate) fn record(link: &Link, studied: &[Studied]) -> Result<Vec<Vec<PatternId>>, StoreError> {
    let mut batch = Batch::default();
    let mut supported = Vec::with_capacity(studied.len());
    let current = plugins(link)?;
    if studied.iter().filter_map(|one| one.teaching.as_ref()).any(|teaching| teaching.plugins != current) {
        return Err(StoreError::Conflict);
    }
    for Studied { job, teaching } in studied {
        let sql = "SELECT key, coalesce(domain, ''), revision FROM episode WHERE id = ?1";
        let episode = link.row(sql, [job.episode_id.to_string()], |row| {
            let mut columns = Columns::of(row);
            Ok((columns.integer()?, columns.text()?, columns.unsigned::<u64>()?))
        })?;
        // An episode deleted in the meantime is evidence of nothing, nor is one as it was before it was put right.
        supported.push(match (episode, teaching) {
            (Some((key, domain, revision)), Some(teaching)) if revision == teaching.revision => {
                batch.take_in(link, key, domain, teaching)?
            }
            _ => Vec::new(),
        });
        jobs::finish(link, job)?;
    }
    batch.write(link)?;
    Ok(supported)
}

/// Takes back everything that an episode taught, before it is deleted or put right.
pub(crate) fn unlearn(link: &Link, episode: i64) -> Result<(), StoreError> {
    let mut batch = Batch::default();
    let sql = "SELECT coalesce(e.domain, '') FROM learned l JOIN episode e ON e.key = l.episode WHERE l.episode = ?1";
    let Some(domain) = link.row(sql, [episode], |row| Columns::of(row).text())? else { return Ok(()) };
    batch.forget_findings(link, episode)?;
    // The steps of a completed episode never change, so they give again what was learned from them.
    let Experience { transitions, attempts } = Experience::of(&steps_of(link, episode)?);
    for transition in transitions {
        let key = (domain.clone(), transition.state, transition.tool);
        *batch.transitions.entry(key).or_default() -= i64::from(transition.times);
    }
    for attempt in attempts {
        let sql = "DELETE FROM attempt WHERE key = ?1 AND episode = ?2";
        link.execute(sql, params![stored(attempt.key), episode])?;
    }
    link.execute("DELETE FROM learned WHERE episode = ?1", [episode])?;
    batch.domains.insert(domain);
    batch.write(link)
}

impl Batch {
    /// Replaces what the episode with this key taught; returns the patterns that it supports.
    fn take_in(
        &mut self,
        link: &Link,
        episode: i64,
        domain: String,
        teaching: &Teaching,
    ) -> Result<Vec<PatternId>, StoreError> {
        let sql = "SELECT count(*) FROM learned WHERE episode = ?1";
        if link.number(sql, [episode])? > 0 {
            // What was summed up so far must be there to be summed up anew.
            self.flush(link)?;
            self.forget_findings(link, episode)?;
        } else {
            self.take_in_experience(link, episode, &domain, &teaching.experience)?;
        }
        let family = stored(teaching.family);
        let sql = "INSERT INTO learned (episode, family, at) VALUES (?1, ?2, ?3)
                   ON CONFLICT (episode) DO UPDATE SET family = excluded.family, at = excluded.at";
        link.execute(sql, params![episode, family, teaching.at.as_microsecond()])?;
        let mut supported = Vec::with_capacity(teaching.findings.len());
        for finding in &teaching.findings {
            supported.push(self.observe(link, finding, teaching, episode, &domain)?);
        }
        self.domains.insert(domain);
        Ok(supported)
    }

    fn take_in_experience(
        &mut self,
        link: &Link,
        episode: i64,
        domain: &str,
        experience: &Experience,
    ) -> Result<(), StoreError> {
        for transition in &experience.transitions {
            let key = (domain.to_owned(), transition.state.clone(), transition.tool.clone());
            *self.transitions.entry(key).or_default() += i64::from(transition.times);
        }
        for attempt in &experience.attempts {
            let sql =
                "INSERT INTO attempt (key, episode, failed, succeeded, step) VALUES (?1, ?2, ?3, ?4, ?5)";
            let key = stored(attempt.key);
            link.execute(sql, params![key, episode, attempt.failed, attempt.succeeded, attempt.step])?;
        }
        Ok(())
    }

    /// Adds one observation, and the pattern if it is new.
    fn observe(
        &mut self,
        link: &Link,
        finding: &Finding,
        teaching: &Teaching,
        episode: i64,
        domain: &str,
    ) -> Result<PatternId, StoreError> {
        let id = PatternId::of(Some(domain).filter(|domain| !domain.is_empty()), &finding.body);
        let observed = teaching.observation(finding);
        let family = stored(teaching.family);
        let key = self.row(link, id, &finding.body, domain)?.key;
        let support = self.support_of(link, key, family)?;
        let before = support.clustered();
        *support = Tally { families: 1, ..support.plus(&observed) };
        let after = support.clustered();
        let row = self.row(link, id, &finding.body, domain)?;
        row.tally = row.tally.minus(&before).plus(&after);
        let at = teaching.at.as_microsecond();
        row.is_changed |= row.tally.episodes <= 2 || at > row.last_seen;
        row.last_seen = row.last_seen.max(at);
        let sql =
            "INSERT INTO evidence (pattern, episode, weight, credit, detail) VALUES (?1, ?2, ?3, ?4, ?5)";
        let detail = finding.detail.as_deref();
        link.execute(sql, params![key, episode, observed.weight, observed.credit, detail])?;
        Ok(id)
    }

    /// The pattern as it is so far; made if it is new.
    fn row(
        &mut self,
        link: &Link,
        id: PatternId,
        body: &PatternBody,
        domain: &str,
    ) -> Result<&mut Row, StoreError> {
        match self.patterns.entry(id) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(new) => {
                let row = match read(link, id)? {
                    Some(row) => row,
                    None => create(link, id, body, domain)?,
                };
                Ok(new.insert(row))
            }
        }
    }

    fn support_of(&mut self, link: &Link, pattern: i64, family: i64) -> Result<&mut Tally, StoreError> {
        match self.support.entry((pattern, family)) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(new) => {
                let sql =
                    "SELECT weight, credit, episodes, 1 FROM support WHERE pattern = ?1 AND family = ?2";
                let stored = link.row(sql, params![pattern, family], |row| Columns::of(row).tally())?;
                Ok(new.insert(stored.unwrap_or_default()))
            }
        }
    }

    /// Takes back what an episode was evidence of. Everything that it was part of is summed up anew: taking away what was
    /// added would leave the errors of both.
    fn forget_findings(&mut self, link: &Link, episode: i64) -> Result<(), StoreError> {
        let sql = "DELETE FROM evidence WHERE episode = ?1 RETURNING pattern";
        let patterns = link.rows(sql, [episode], |row| Columns::of(row).integer())?;
        let family = link.row("SELECT family FROM learned WHERE episode = ?1", [episode], |row| {
            Columns::of(row).integer()
        })?;
        let Some(family) = family else { return Ok(()) };
        for pattern in patterns {
            let sql = "SELECT coalesce(sum(v.weight), 0.0), coalesce(sum(v.credit), 0.0), count(*), 1
                       FROM learned l JOIN evidence v ON v.episode = l.episode AND v.pattern = ?1
                       WHERE l.family = ?2";
            let sum =
                link.row(sql, params![pattern, family], |row| Columns::of(row).tally())?.unwrap_or_default();
            write_support(link, pattern, family, &sum)?;
            let sql = "SELECT weight, credit, episodes, 1 FROM support WHERE pattern = ?1 ORDER BY family";
            let all = link.rows(sql, [pattern], |row| Columns::of(row).tally())?;
            let tally = all.iter().fold(Tally::default(), |sum, task| sum.plus(&task.clustered()));
            self.reset(link, pattern, tally)?;
        }
        Ok(())
    }

    /// Makes a pattern what the evidence that is left of it says.
    fn reset(&mut self, link: &Link, key: i64, tally: Tally) -> Result<(), StoreError> {
        let sql = concat!(
            "SELECT p.id, (SELECT max(l.at) FROM support s JOIN learned l ON l.family = s.family
                               JOIN evidence v ON v.episode = l.episode AND v.pattern = s.pattern
                           WHERE s.pattern = p.key), ",
            is_searchable!(),
            " FROM pattern p WHERE p.key = ?1"
        );
        let kept = link.row(sql, [key], |row| {
            let mut columns = Columns::of(row);
            let id = PatternId(columns.uuid()?);
            let last_seen = columns.optional_time()?.unwrap_or(Timestamp::MIN).as_microsecond();
            Ok((id, Row { key, tally, last_seen, is_changed: true, was_found: columns.integer()? != 0 }))
        })?;
        if let Some((id, mut row)) = kept {
            row.was_found |= self.patterns.get(&id).is_some_and(|before| before.was_found);
            self.patterns.insert(id, row);
        }
        Ok(())
    }

    /// Writes the sums.
    fn flush(&mut self, link: &Link) -> Result<(), StoreError> {
        for ((pattern, family), tally) in self.support.drain() {
            write_support(link, pattern, family, &tally)?;
        }
        for ((domain, state, tool), times) in std::mem::take(&mut self.transitions) {
            let sql = "INSERT INTO transition (domain, state, tool, times) VALUES (?1, ?2, ?3, ?4)
                       ON CONFLICT (state, domain, tool) DO UPDATE SET times = times + excluded.times";
            link.execute(sql, params![domain.as_str(), state.as_str(), tool.as_str(), times])?;
            if times < 0 {
                let sql =
                    "DELETE FROM transition WHERE domain = ?1 AND state = ?2 AND tool = ?3 AND times <= 0";
                link.execute(sql, params![domain, state, tool])?;
            }
        }
        for row in self.patterns.values() {
            let Row { key, tally, last_seen, .. } = row;
            let sql =
                "UPDATE pattern SET weight = ?2, credit = ?3, episodes = ?4, families = ?5, last_seen = ?6
                       WHERE key = ?1";
            link.execute(
                sql,
                params![*key, tally.weight, tally.credit, tally.episodes, tally.families, *last_seen],
            )?;
        }
        Ok(())
    }

    fn write(mut self, link: &Link) -> Result<(), StoreError> {
        self.flush(link)?;
        let mut changed: Vec<PatternId> =
            self.patterns.iter().filter(|(_, row)| row.is_changed).map(|(id, _)| *id).collect();
        changed.sort_unstable();
        let names = json(&changed.iter().map(ToString::to_string).collect::<Vec<_>>());
        let sql = concat!(
            "SELECT id FROM pattern WHERE id IN (SELECT value FROM json_each(?1)) AND ",
            is_searchable!()
        );
        let found = link.rows(sql, [names], |row| Ok(PatternId(Columns::of(row).uuid()?)))?;
        let lost = self.patterns.iter().filter(|(_, row)| row.was_found).map(|(id, _)| *id);
        let found_otherwise: BTreeSet<PatternId> = found.into_iter().chain(lost).collect();
        // What answers tell of a pattern has changed in any case, if not what it is found by.
        let first = self.patterns.keys().min().copied().filter(|_| found_otherwise.is_empty());
        drop_unsupported(link, &self.patterns)?;
        for id in found_otherwise.into_iter().chain(first) {
            changes::record(link, Found::Pattern(id))?;
        }
        self.domains.iter().try_for_each(|domain| weigh_field(link, domain))
    }
}

fn read(link: &Link, id: PatternId) -> Result<Option<Row>, StoreError> {
    let sql = "SELECT key, weight, credit, episodes, families, last_seen FROM pattern WHERE id = ?1";
    link.row(sql, [id.to_string()], |row| {
        let mut columns = Columns::of(row);
        Ok(Row {
            key: columns.integer()?,
            tally: columns.tally()?,
            last_seen: columns.integer()?,
            is_changed: false,
            was_found: false,
        })
    })
}

/// A pattern without evidence; what was said of it earlier is still so.
fn create(link: &Link, id: PatternId, body: &PatternBody, domain: &str) -> Result<Row, StoreError> {
    let said = crate::feedback::said_of(link, Found::Pattern(id))?;
    let sql =
        "INSERT INTO pattern (id, kind, domain, signature, weight, credit, episodes, families, last_seen,
                   feedback_weight, feedback_credit, feedback_times)
               VALUES (?1, ?2, ?3, ?4, 0.0, 0.0, 0, 0, ?5, ?6, ?7, ?8)";
    let never = Timestamp::MIN.as_microsecond();
    let name = id.to_string();
    link.execute(
        sql,
        params![name, body.kind(), domain, body.signature(), never, said.weight, said.credit, said.episodes],
    )?;
    let key = link.last_key();
    Ok(Row { key, tally: Tally::default(), last_seen: never, is_changed: true, was_found: false })
}

fn write_support(link: &Link, pattern: i64, family: i64, tally: &Tally) -> Result<(), StoreError> {
    if tally.episodes == 0 {
        link.execute("DELETE FROM support WHERE pattern = ?1 AND family = ?2", params![pattern, family])?;
        return Ok(());
    }
    let sql = "INSERT INTO support (pattern, family, weight, credit, episodes) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (pattern, family) DO UPDATE SET weight = excluded.weight, credit = excluded.credit,
                   episodes = excluded.episodes";
    link.execute(sql, params![pattern, family, tally.weight, tally.credit, tally.episodes])?;
    Ok(())
}

/// Deletes those of the patterns that no episode supports any more.
fn drop_unsupported(link: &Link, patterns: &HashMap<PatternId, Row>) -> Result<(), StoreError> {
    let gone: Vec<i64> = patterns.values().filter(|row| row.tally.episodes == 0).map(|row| row.key).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let sql = "DELETE FROM pattern WHERE key IN (SELECT value FROM json_each(?1)) RETURNING id";
    let names = link.rows(sql, [json(&gone)], |row| Columns::of(row).text())?;
    let sql = "DELETE FROM embedding WHERE space IN (SELECT key FROM space) AND kind = 'pattern'
                   AND id IN (SELECT value FROM json_each(?1))";
    link.execute(sql, [json(&names)])?;
    Ok(())
}

/// Computes anew how much the patterns of a domain are alike. What plugins see does not count, so that they move no rate but
/// those of their own patterns.
fn weigh_field(link: &Link, domain: &str) -> Result<(), StoreError> {
    for measure in [Measure::Outcome, Measure::Recovery] {
        let body = PatternBody::Base { measure };
        let sql = "SELECT key, weight, credit, episodes, families FROM pattern
                   WHERE domain = ?1 AND kind = 'base' AND signature = ?2";
        let base = link.row(sql, params![domain, body.signature()], |row| {
            let mut columns = Columns::of(row);
            Ok((columns.integer()?, columns.tally()?))
        })?;
        let Some((key, base)) = base else { continue };
        let sql = "SELECT weight, credit, episodes, families, last_seen FROM pattern
                   WHERE domain = ?1 AND kind NOT IN ('base', 'custom') AND (kind = 'error_recovery') = ?2
                       AND episodes >= ?3";
        let is_recovery = i64::from(measure == Measure::Recovery);
        let tallies = link.rows(sql, params![domain, is_recovery, VERDICT_EPISODES_MIN], |row| {
            let mut columns = Columns::of(row);
            Ok((columns.tally()?, columns.time()?))
        })?;
        let tallies: Vec<Tally> = tallies.into_iter().map(|(tally, last_seen)| tally.at(last_seen)).collect();
        let sql = "UPDATE pattern SET strength = ?2 WHERE key = ?1";
        link.execute(sql, params![key, strength(base.share(), &tallies)])?;
    }
    Ok(())
}

/// Has everything learned anew that was learned by another version of the program.
pub(crate) fn bring_up_to_date(link: &Link) -> Result<(), StoreError> {
    let is_current = |link: &Link| {
        let version = link.number("SELECT version FROM learning", ())?;
        Ok::<_, StoreError>(version == u64::from(LEARNING_VERSION))
    };
    if is_current(link)? {
        return Ok(());
    }
    link.transaction(|link| {
        // Read again under the write lock: another process may have been faster.
        if !is_current(link)? {
            relearn(link)?;
            link.execute("UPDATE learning SET version = ?1", [LEARNING_VERSION])?;
        }
        Ok(())
    })
}

/// The plugins that everything is learned with.
pub(crate) fn plugins(link: &Link) -> Result<String, StoreError> {
    let version = link.row("SELECT extractors FROM learning", (), |row| Columns::of(row).text())?;
    Ok(version.unwrap_or_default())
}

/// Has everything learned anew that was learned with other plugins; returns how many episodes.
pub(crate) fn learn_with(link: &Link, version: &str) -> Result<u64, StoreError> {
    if plugins(link)? == version {
        return Ok(0);
    }
    let episodes = relearn(link)?;
    link.execute("UPDATE learning SET extractors = ?1", [version])?;
    Ok(episodes)
}

/// Forgets what was learned and queues every completed episode, also those that were given up; returns how many there are.
pub(crate) fn relearn(link: &Link) -> Result<u64, StoreError> {
    link.batch(
        "INSERT INTO change (kind, id) SELECT 'pattern', id FROM pattern;
         DELETE FROM embedding WHERE kind = 'pattern';
         DELETE FROM evidence; DELETE FROM support; DELETE FROM pattern; DELETE FROM transition;
         DELETE FROM attempt; DELETE FROM learned; DELETE FROM job WHERE state = 'dead';",
    )?;
    // A UUID of version 8, which says nothing but that it is one.
    let sql = "INSERT INTO job (id, episode, weight, state, attempt, due_at)
               SELECT lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-8' || substr(hex(randomblob(2)), 2)
                            || '-8' || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))),
                      e.id, ?1, 'queued', 0, e.completed_at
               FROM episode e
               WHERE e.completed_at IS NOT NULL
                 AND e.id NOT IN (SELECT episode FROM job WHERE state = 'queued')
               ORDER BY e.key";
    link.execute(sql, [IMPORT_WEIGHT])?;
    link.number("SELECT count(*) FROM episode WHERE completed_at IS NOT NULL", ())
}
