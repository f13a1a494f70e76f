//! Notes.

use async_trait::async_trait;
use jiff::Timestamp;
use libsql::params;
use memory_core::citation::Citations;
use memory_core::id::NoteId;
use memory_core::note::Note;
use memory_core::port::{NoteStore, StoreError};
use memory_core::retrieve::Found;

use crate::allowed::{Allowed, is_allowed};
use crate::link::Link;
use crate::row::{Columns, json, note, note_columns};
use crate::{TursoStore, changes, citations};

#[async_trait]
impl NoteStore for TursoStore {
    async fn remember(
        &self,
        note: Note,
        supersedes: Vec<String>,
        citations: Option<Citations>,
    ) -> Result<(NoteId, Vec<NoteId>), StoreError> {
        let allowed = self.allowed.clone();
        self.pool.write(move |link| remember(link, &allowed, &note, &supersedes, citations.as_ref())).await
    }
}

impl TursoStore {
    /// Stores many notes that cite nothing in one transaction, each as [`NoteStore::remember`] does: a commit takes longer
    /// than a note.
    ///
    /// # Errors
    /// As [`NoteStore::remember`]; then none is stored.
    pub async fn remember_all(&self, notes: Vec<Note>) -> Result<(), StoreError> {
        let allowed = self.allowed.clone();
        let all = move |link: &Link| {
            notes.iter().try_for_each(|note| remember(link, &allowed, note, &[], None).map(drop))
        };
        self.pool.write(all).await
    }
}

fn remember(
    link: &Link,
    allowed: &Allowed,
    new: &Note,
    supersedes: &[String],
    cited: Option<&Citations>,
) -> Result<(NoteId, Vec<NoteId>), StoreError> {
    allowed.access().check_new(new.scope.domain.as_deref())?;
    let mut replaced = Vec::new();
    for name in supersedes {
        replaced.extend(current(link, allowed, name)?);
    }
    let same = said_before(link, allowed, new)?;
    let id = same.unwrap_or(new.id);
    if same.is_none()
        && let Some(external_id) = &new.external_id
    {
        replaced.extend(by_external_id(link, allowed, external_id)?);
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
    citations::replace(link, Found::Note(id), cited)?;
    Ok((id, replaced))
}

/// The current notes of this id or external id, of which each domain may have one; none if all were superseded before, which
/// is as good.
fn current(link: &Link, allowed: &Allowed, name: &str) -> Result<Vec<NoteId>, StoreError> {
    let sql = concat!(
        "SELECT id, superseded_by IS NULL FROM note WHERE (id = lower(?1) OR external_id = ?1) AND ",
        is_allowed!("domain", "?2")
    );
    let found = link.rows(sql, params![name, allowed.domains()], |row| {
        let mut columns = Columns::of(row);
        Ok((NoteId(columns.uuid()?), columns.integer()? != 0))
    })?;
    if found.is_empty() {
        return Err(StoreError::NotFound);
    }
    Ok(found.into_iter().filter(|(_, is_current)| *is_current).map(|(id, _)| id).collect())
}

fn by_external_id(link: &Link, allowed: &Allowed, external_id: &str) -> Result<Vec<NoteId>, StoreError> {
    let sql = concat!(
        "SELECT id FROM note WHERE external_id = ?1 AND superseded_by IS NULL AND ",
        is_allowed!("domain", "?2")
    );
    link.rows(sql, params![external_id, allowed.domains()], |row| Columns::of(row).uuid().map(NoteId))
}

/// The current note that says the same for the same purpose.
fn said_before(link: &Link, allowed: &Allowed, new: &Note) -> Result<Option<NoteId>, StoreError> {
    let sql = concat!(
        "SELECT ",
        note_columns!(),
        " FROM note WHERE substr(text, 1, 100) = substr(?1, 1, 100) AND text = ?1 AND superseded_by IS NULL AND ",
        is_allowed!("domain", "?2")
    );
    let alike =
        link.rows(sql, params![new.text.as_str(), allowed.domains()], |row| note(&mut Columns::of(row)))?;
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

#[cfg(test)]
mod tests {
    use memory_core::note::Layer;
    use memory_core::port::{ChangeLog, StoreHealth};
    use uuid::Uuid;

    use super::*;

    fn note(number: u128, external_id: &str) -> Note {
        Note {
            id: NoteId(Uuid::from_u128(number)),
            external_id: Some(external_id.into()),
            text: format!("note {number}"),
            scope: Default::default(),
            layer: Layer::LongTerm,
            tags: Vec::new(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[tokio::test]
    async fn many_notes_are_stored_as_if_one_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let store = TursoStore::open(&dir.path().join("memory.db")).await.unwrap();
        store.remember_all(vec![note(1, "a"), note(2, "b"), note(3, "a")]).await.unwrap();
        let counts = StoreHealth::counts(&store).await.unwrap();
        assert_eq!(
            (counts.notes, counts.superseded_notes),
            (2, 1),
            "the later one of a name is the current one"
        );
        assert_eq!(store.change_seq().await, Ok(4), "each is a change");
        let taken = store.remember_all(vec![note(4, "c"), note(1, "d")]).await;
        assert!(taken.is_err(), "an id is taken");
        assert_eq!(store.change_seq().await, Ok(4), "and none is stored");
    }
}
