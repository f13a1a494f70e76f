//! What the search index is made from. Documents are made here, from the rows that they stand for.

use async_trait::async_trait;
use jiff::Timestamp;
use libsql::params;
use memory_core::episode::{NewStep, Outcome, Scope, StepResult};
use memory_core::limits::SEARCHED_STEPS_MAX;
use memory_core::port::{Change, ChangeLog, Space, StoreError};
use memory_core::retrieve::document::{of_episode, of_note, of_pattern};
use memory_core::retrieve::{Found, Kind};
use memory_core::search::{Corpus, Document, Entry, Standing};

use crate::TursoStore;
use crate::episodes::snapshot;
use crate::link::{Link, Read};
use crate::patterns::is_searchable;
use crate::row::{
    Columns, head, head_columns, ids_of, json, kind_and_id, note, note_columns, pattern, pattern_columns,
    signed,
};
use crate::vectors;

#[async_trait]
impl Corpus for TursoStore {
    async fn standing(&self) -> Result<Standing, StoreError> {
        self.pool.read(standing).await
    }

    async fn changed_after(&self, seq: u64, max: usize) -> Result<Option<Vec<Change>>, StoreError> {
        self.changes_after(seq, max).await
    }

    async fn entries(&self, found: Vec<Found>, space: Option<Space>) -> Result<Vec<Entry>, StoreError> {
        let read = move |link: &Link| {
            let space = vectors::key_of(link, space.as_ref())?;
            let mut entries = Vec::with_capacity(found.len());
            for kind in Kind::ALL {
                entries.extend(of_kind(link, kind, &ids_of(kind, &found), space)?);
            }
            Ok(entries)
        };
        self.pool.read(move |link| snapshot(link, read)).await
    }

    async fn page(
        &self,
        after: Option<Found>,
        max: usize,
        space: Option<Space>,
    ) -> Result<Vec<Entry>, StoreError> {
        self.pool.read(move |link| snapshot(link, |link| page(link, after, max, space.as_ref()))).await
    }
}

fn standing(link: &Link) -> Result<Standing, StoreError> {
    let sql = "SELECT (SELECT coalesce(max(seq), 0) FROM change), s.name, s.dimensions
               FROM (SELECT 1) LEFT JOIN space s ON s.state = 'serving'";
    let standing = link.row(sql, (), |row| {
        let mut columns = Columns::of(row);
        let (seq, name) = (columns.unsigned()?, columns.optional_text()?);
        let space = name.map(|name| Ok::<_, libsql::Error>(Space { name, dimensions: columns.unsigned()? }));
        Ok(Standing { seq, space: space.transpose()? })
    })?;
    standing.ok_or_else(|| StoreError::Other("the store does not tell how far it has come".into()))
}

/// The order is that of [`Found`]: kind by kind, each by its ids, whose texts sort as they do.
fn page(
    link: &Link,
    after: Option<Found>,
    max: usize,
    space: Option<&Space>,
) -> Result<Vec<Entry>, StoreError> {
    let space = vectors::key_of(link, space)?;
    let (first, mut id) = after.map_or((Kind::Episode, String::new()), kind_and_id);
    let mut entries = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| *kind >= first) {
        let sql = match kind {
            Kind::Episode => "SELECT id FROM episode WHERE id > ?1 ORDER BY id LIMIT ?2",
            Kind::Pattern => concat!(
                "SELECT id FROM shown_pattern WHERE id > ?1 AND ",
                is_searchable!(),
                " ORDER BY id LIMIT ?2"
            ),
            Kind::Note => "SELECT id FROM note WHERE id > ?1 ORDER BY id LIMIT ?2",
        };
        let rest = signed(max.saturating_sub(entries.len()) as u64);
        let ids = link.rows(sql, params![std::mem::take(&mut id), rest], |row| Columns::of(row).text())?;
        if !ids.is_empty() {
            entries.extend(of_kind(link, kind, &json(&ids), space)?);
        }
    }
    Ok(entries)
}

/// The vectors of the row in the space with the key `?2`.
macro_rules! vectors_column {
    ($kind:literal, $id:literal) => {
        concat!(
            "(SELECT v.vectors FROM embedding v WHERE v.space = ?2 AND v.kind = '",
            $kind,
            "' AND v.id = ",
            $id,
            ")"
        )
    };
}

/// The entries of one kind with these ids, a JSON array, in the order of their ids.
fn of_kind(link: &Link, kind: Kind, ids: &str, space: Option<i64>) -> Result<Vec<Entry>, StoreError> {
    match kind {
        Kind::Episode => episodes(link, ids, space),
        Kind::Pattern => {
            let sql = concat!(
                "SELECT ",
                pattern_columns!(),
                ", ",
                vectors_column!("pattern", "p.id"),
                " FROM shown_pattern p WHERE p.id IN (SELECT value FROM json_each(?1)) AND ",
                is_searchable!(),
                " ORDER BY p.id"
            );
            link.rows(sql, params![ids, space], |row| pattern_entry(&mut Columns::of(row)))
        }
        Kind::Note => {
            let sql = concat!(
                "SELECT ",
                note_columns!(),
                ", superseded_at, ",
                vectors_column!("note", "note.id"),
                " FROM note WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id"
            );
            link.rows(sql, params![ids, space], |row| note_entry(&mut Columns::of(row)))
        }
    }
}

fn episodes(link: &Link, ids: &str, space: Option<i64>) -> Result<Vec<Entry>, StoreError> {
    let sql = concat!(
        "SELECT key, ",
        vectors_column!("episode", "episode.id"),
        ", ",
        head_columns!(),
        " FROM episode WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id"
    );
    let rows = link.rows(sql, params![ids, space], |row| {
        let mut columns = Columns::of(row);
        Ok((columns.integer()?, columns.optional_blob()?, head(&mut columns)?))
    })?;
    let mut entries = Vec::with_capacity(rows.len());
    for (key, stored, head) in rows {
        // One episode at a time: the steps of many are too much to hold.
        let document = of_episode(&head, &steps(link, key)?);
        let facts = Facts {
            found: Found::Episode(head.id),
            outcome: head.outcome(),
            scope: head.brief.scope,
            at: head.started_at,
            retired: None,
        };
        entries.push(facts.entry(document, stored));
    }
    Ok(entries)
}

/// What is searched of the steps of an episode.
fn steps(link: &Link, episode: i64) -> Result<Vec<NewStep>, StoreError> {
    let sql = "SELECT tool, action, args, error FROM step WHERE episode = ?1 ORDER BY number LIMIT ?2";
    link.rows(sql, params![episode, signed(SEARCHED_STEPS_MAX as u64)], |row| {
        let mut columns = Columns::of(row);
        Ok(NewStep {
            external_id: None,
            tool: columns.text()?,
            action: columns.optional_text()?,
            args: columns.optional_text()?,
            observation: None,
            result: match columns.optional_text()? {
                None => StepResult::Succeeded,
                Some(error) => StepResult::Failed { error },
            },
            duration_ms: None,
        })
    })
}

fn pattern_entry(columns: &mut Columns<'_>) -> Read<Entry> {
    let pattern = pattern(columns)?;
    let document = of_pattern(&pattern);
    // Its project is unknown: a pattern is learned from a whole domain.
    let scope = Scope { domain: pattern.domain, project: None };
    let (found, at) = (Found::Pattern(pattern.id), pattern.last_seen);
    Ok(Facts { found, scope, at, outcome: None, retired: None }.entry(document, columns.optional_blob()?))
}

fn note_entry(columns: &mut Columns<'_>) -> Read<Entry> {
    let (note, retired) = (note(columns)?, columns.optional_time()?);
    let document = of_note(&note);
    let (found, scope, at) = (Found::Note(note.id), note.scope, note.at);
    Ok(Facts { found, scope, at, outcome: None, retired }.entry(document, columns.optional_blob()?))
}

/// What a filter can ask of a thing.
struct Facts {
    found: Found,
    scope: Scope,
    at: Timestamp,
    outcome: Option<Outcome>,
    retired: Option<Timestamp>,
}

impl Facts {
    fn entry(self, document: Document, stored: Option<Vec<u8>>) -> Entry {
        let Self { found, scope, at, outcome, retired } = self;
        let vectors = vectors::fitting(&document, stored);
        Entry { found, scope, at, outcome, retired, document, vectors }
    }
}
