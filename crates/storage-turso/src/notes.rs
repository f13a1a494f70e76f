//! Notes.

use async_trait::async_trait;
use jiff::Timestamp;
use libsql::params;
use memory_core::id::NoteId;
use memory_core::note::Note;
use memory_core::port::{NoteStore, StoreError};
use memory_core::retrieve::Found;

use crate::link::Link;
use crate::row::{Columns, json, note, note_columns};
use crate::{TursoStore, changes};

#[async_trait]
impl NoteStore for TursoStore {
    async fn remember(
        &self,
        note: Note,
        supersedes: Vec<String>,
    ) -> Result<(NoteId, Vec<NoteId>), StoreError> {
        self.pool.write(move |link| remember(link, &note, &supersedes)).await
    }
}

fn remember(link: &Link, new: &Note, supersedes: &[String]) -> Result<(NoteId, Vec<NoteId>), StoreError> {
    let mut replaced = Vec::new();
    for name in supersedes {
        replaced.extend(current(link, name)?);
    }
    let same = said_before(link, new)?;
    let id = same.unwrap_or(new.id);
    if same.is_none()
        && let Some(external_id) = &new.external_id
    {
        replaced.extend(by_external_id(link, external_id)?);
    }
    replaced.sort();
    replaced.dedup();
    replaced.retain(|old| *old != id);
    for old in &replaced {
        supersede(link, *old, id, new.at)?;
    }
    if same.is_none() {
        store(link, new)?;
        changes::record(link, Found::Note(id))?;
    }
    Ok((id, replaced))
}

/// The current note of this id or external id; `None` if it was superseded before, which is as good.
fn current(link: &Link, name: &str) -> Result<Option<NoteId>, StoreError> {
    let sql = "SELECT id, superseded_by IS NULL FROM note WHERE id = lower(?1) OR external_id = ?1
               ORDER BY superseded_by IS NULL DESC LIMIT 1";
    let found = link.row(sql, [name], |row| {
        let mut columns = Columns::of(row);
        Ok((NoteId(columns.uuid()?), columns.integer()? != 0))
    })?;
    let (id, is_current) = found.ok_or(StoreError::NotFound)?;
    Ok(is_current.then_some(id))
}

fn by_external_id(link: &Link, external_id: &str) -> Result<Option<NoteId>, StoreError> {
    let sql = "SELECT id FROM note WHERE external_id = ?1 AND superseded_by IS NULL";
    link.row(sql, [external_id], |row| Columns::of(row).uuid().map(NoteId))
}

/// The current note that says the same for the same purpose.
fn said_before(link: &Link, new: &Note) -> Result<Option<NoteId>, StoreError> {
    let sql = concat!(
        "SELECT ",
        note_columns!(),
        " FROM note WHERE substr(text, 1, 100) = substr(?1, 1, 100) AND text = ?1 AND superseded_by IS NULL"
    );
    let alike = link.rows(sql, [new.text.as_str()], |row| note(&mut Columns::of(row)))?;
    let same = |stored: &Note| Note { id: new.id, at: new.at, ..stored.clone() } == *new;
    Ok(alike.iter().find(|stored| same(stored)).map(|stored| stored.id))
}

fn supersede(link: &Link, id: NoteId, by: NoteId, at: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE note SET superseded_by = ?2, superseded_at = ?3 WHERE id = ?1";
    link.execute(sql, params![id.to_string(), by.to_string(), at.as_microsecond()])?;
    changes::record(link, Found::Note(id))
}

fn store(link: &Link, note: &Note) -> Result<(), StoreError> {
    link.execute(
        "INSERT INTO note (id, external_id, text, domain, project, layer, tags, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            note.id.to_string(),
            note.external_id.as_deref(),
            note.text.as_str(),
            note.scope.domain.as_deref(),
            note.scope.project.as_deref(),
            note.layer.name(),
            json(&note.tags),
            note.at.as_microsecond()
        ],
    )?;
    Ok(())
}
