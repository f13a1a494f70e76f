//! The search index: one row of `document` for each searchable thing, its terms in the FTS5 table `search`.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use libsql::params;
use memory_core::episode::{EpisodeHead, Outcome, Scope};
use memory_core::id::EpisodeId;
use memory_core::limits::SEARCH_TERMS_MAX;
use memory_core::note::Note;
use memory_core::pattern::Pattern;
use memory_core::port::{Index, StoreError};
use memory_core::retrieve::{Candidate, Candidates, Document, Found, Item, Kind, Part, Search};

use crate::episodes::{heads, snapshot};
use crate::link::Link;
use crate::row::{Columns, document, json, kind_and_id, note, note_columns, pattern, pattern_columns};
use crate::{TursoStore, row};

/// What a filter can ask of a document.
pub(crate) struct Facts<'a> {
    scope: &'a Scope,
    at: Timestamp,
    outcome: Option<Outcome>,
}

impl<'a> Facts<'a> {
    pub(crate) fn of_episode(head: &'a EpisodeHead) -> Self {
        Self { scope: &head.brief.scope, at: head.started_at, outcome: head.outcome() }
    }

    pub(crate) fn of_note(note: &'a Note) -> Self {
        Self { scope: &note.scope, at: note.at, outcome: None }
    }
}

/// Adds a document to the index.
pub(crate) fn add(
    link: &Link,
    found: Found,
    document: &Document,
    facts: &Facts<'_>,
) -> Result<(), StoreError> {
    let (kind, id) = kind_and_id(found);
    link.execute(
        "INSERT INTO document (kind, id, domain, project, at, outcome) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            kind,
            id,
            facts.scope.domain.as_deref(),
            facts.scope.project.as_deref(),
            facts.at.as_microsecond(),
            facts.outcome.map(|outcome| outcome.name())
        ],
    )?;
    put_terms(link, link.last_key(), document)
}

/// Adds the document of a pattern. Its project is unknown: a pattern is learned from a whole domain.
pub(crate) fn add_pattern(link: &Link, pattern: &Pattern) -> Result<(), StoreError> {
    let scope = Scope { domain: pattern.domain.clone(), project: None };
    let facts = Facts { scope: &scope, at: pattern.last_seen, outcome: None };
    add(link, Found::Pattern(pattern.id), &Document::of_pattern(pattern), &facts)
}

/// Adds terms to the body of a document.
pub(crate) fn extend(link: &Link, found: Found, terms: &[String]) -> Result<(), StoreError> {
    let Some(key) = key_of(link, found)? else { return Ok(()) };
    let sql = "SELECT title, body FROM search WHERE rowid = ?1";
    let stored = link.row(sql, [key], |row| document(&mut Columns::of(row)))?.unwrap_or_default();
    let mut extended = stored.clone();
    extended.extend(terms.to_vec());
    if extended == stored {
        return Ok(());
    }
    link.execute("UPDATE search SET body = ?2 WHERE rowid = ?1", params![key, extended.body.join(" ")])?;
    Ok(())
}

/// Notes how an episode ended.
pub(crate) fn set_outcome(link: &Link, id: EpisodeId, outcome: Option<Outcome>) -> Result<(), StoreError> {
    let (kind, id) = kind_and_id(Found::Episode(id));
    let name = outcome.map(|outcome| outcome.name());
    link.execute("UPDATE document SET outcome = ?3 WHERE kind = ?1 AND id = ?2", params![kind, id, name])?;
    Ok(())
}

/// Takes a document out of the index.
pub(crate) fn remove(link: &Link, found: Found) -> Result<(), StoreError> {
    let Some(key) = key_of(link, found)? else { return Ok(()) };
    link.execute("DELETE FROM search WHERE rowid = ?1", [key])?;
    link.execute("DELETE FROM document WHERE key = ?1", [key])?;
    Ok(())
}

/// Notes that a pattern was seen at this time.
pub(crate) fn touch(link: &Link, found: Found, at: Timestamp) -> Result<(), StoreError> {
    let (kind, id) = kind_and_id(found);
    let sql = "UPDATE document SET at = max(at, ?3) WHERE kind = ?1 AND id = ?2";
    link.execute(sql, params![kind, id, at.as_microsecond()])?;
    Ok(())
}

fn key_of(link: &Link, found: Found) -> Result<Option<i64>, StoreError> {
    let (kind, id) = kind_and_id(found);
    let sql = "SELECT key FROM document WHERE kind = ?1 AND id = ?2";
    link.row(sql, params![kind, id], |row| Columns::of(row).integer())
}

fn put_terms(link: &Link, key: i64, document: &Document) -> Result<(), StoreError> {
    let sql = "INSERT INTO search (rowid, title, body) VALUES (?1, ?2, ?3)";
    link.execute(sql, params![key, document.title.join(" "), document.body.join(" ")])?;
    Ok(())
}

#[async_trait]
impl Index for TursoStore {
    async fn candidates(&self, search: Search) -> Result<Candidates, StoreError> {
        self.pool.read(move |link| snapshot(link, |link| candidates(link, &search))).await
    }

    async fn items(&self, found: Vec<Found>) -> Result<Vec<Item>, StoreError> {
        self.pool.read(move |link| snapshot(link, |link| items(link, &found))).await
    }
}

fn candidates(link: &Link, search: &Search) -> Result<Candidates, StoreError> {
    let documents = link.number("SELECT count(*) FROM document", ())?;
    let frequency = |term: &String| {
        link.number("SELECT coalesce(max(doc), 0) FROM search_terms WHERE term = ?1", [term.as_str()])
    };
    let frequencies = search.terms.iter().map(frequency).collect::<Result<Vec<u64>, _>>()?;
    let mut known: Vec<(u64, &String)> =
        frequencies.iter().copied().zip(&search.terms).filter(|(frequency, _)| *frequency > 0).collect();
    // The rarest terms find what the common ones only repeat.
    known.sort();
    known.truncate(SEARCH_TERMS_MAX);
    let proposed = match known.as_slice() {
        [] => Vec::new(),
        known => propose(link, known, search)?,
    };
    Ok(Candidates { documents, frequencies, proposed })
}

fn propose(link: &Link, known: &[(u64, &String)], search: &Search) -> Result<Vec<Candidate>, StoreError> {
    // Terms are words of letters and digits; the quotes keep those that look like operators from being ones.
    let any = known.iter().map(|(_, term)| format!("\"{term}\"")).collect::<Vec<_>>().join(" OR ");
    let filter = &search.filter;
    let kinds = if filter.kinds.is_empty() { Kind::ALL.as_slice() } else { &filter.kinds };
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    // The inner query sorts keys alone; the terms are read of those that are left.
    let sql = "SELECT d.kind, d.id, d.at, s.title, s.body
         FROM (SELECT search.rowid AS key, bm25(search, 3.0, 1.0) AS badness
               FROM search JOIN document f ON f.key = search.rowid
               WHERE search MATCH ?1
                 AND f.kind IN (SELECT value FROM json_each(?2))
                 AND (?3 IS NULL OR f.domain = ?3 OR substr(f.domain, 1, length(?3) + 1) = ?3 || '.')
                 AND (?4 IS NULL OR f.project = ?4)
                 AND (?5 IS NULL OR f.at >= ?5)
                 AND (?6 IS NULL OR f.at < ?6)
                 AND (?7 IS NULL OR f.outcome = ?7)
               ORDER BY badness LIMIT ?8) best
         JOIN document d ON d.key = best.key
         JOIN search s ON s.rowid = best.key
         ORDER BY best.badness, best.key";
    let params = params![
        any,
        json(&kinds),
        filter.domain.as_deref(),
        filter.project.as_deref(),
        filter.since.map(Timestamp::as_microsecond),
        filter.until.map(Timestamp::as_microsecond),
        filter.outcome.map(Outcome::name),
        row::signed(search.limit as u64)
    ];
    let asked: HashMap<&str, usize> = search.terms.iter().map(String::as_str).zip(0..).collect();
    link.rows(sql, params, |row| {
        let mut columns = Columns::of(row);
        let (found, when) = (columns.found()?, columns.time()?);
        let mut places = vec![None; search.terms.len()];
        // The body repeats nothing of the title.
        for part in [Part::Title, Part::Body] {
            let words = columns.text()?;
            for index in words.split(' ').filter_map(|word| asked.get(word)) {
                places[*index] = Some(part);
            }
        }
        Ok(Candidate { found, when, places })
    })
}

fn items(link: &Link, found: &[Found]) -> Result<Vec<Item>, StoreError> {
    let episodes: Vec<EpisodeId> = found
        .iter()
        .filter_map(|found| match found {
            Found::Episode(id) => Some(*id),
            Found::Pattern(_) | Found::Note(_) => None,
        })
        .collect();
    let mut all: Vec<Item> =
        heads(link, &episodes)?.into_iter().map(|head| Item::Episode(Box::new(head))).collect();
    let names = |kind: Kind| {
        let named = found.iter().map(|found| kind_and_id(*found)).filter(|(name, _)| *name == kind.name());
        json(&named.map(|(_, id)| id).collect::<Vec<_>>())
    };
    let sql = concat!("SELECT ", note_columns!(), " FROM note WHERE id IN (SELECT value FROM json_each(?1))");
    all.extend(link.rows(sql, [names(Kind::Note)], note)?.into_iter().map(Item::Note));
    let sql = concat!(
        "SELECT ",
        pattern_columns!(),
        " FROM pattern p WHERE p.id IN (SELECT value FROM json_each(?1))"
    );
    let patterns = link.rows(sql, [names(Kind::Pattern)], |row| pattern(&mut Columns::of(row)))?;
    all.extend(patterns.into_iter().map(Item::Pattern));
    let mut by_name: HashMap<Found, Item> = all.into_iter().map(|item| (item.found(), item)).collect();
    Ok(found.iter().filter_map(|found| by_name.remove(found)).collect())
}
