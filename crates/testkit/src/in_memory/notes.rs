//! Notes.

use async_trait::async_trait;
use jiff::Timestamp;
use memory_core::citation::Citations;
use memory_core::id::NoteId;
use memory_core::note::Note;
use memory_core::port::{NoteStore, StoreError};
use memory_core::retrieve::Found;

use super::{InMemoryStore, State};

#[derive(Debug)]
pub(super) struct KeptNote {
    pub(super) note: Note,
    pub(super) superseded: Option<Timestamp>,
}

fn is_called(note: &Note, name: &str) -> bool {
    note.id.to_string() == name || note.external_id.as_deref() == Some(name)
}

/// Whether remembering `new` would say nothing that `old` does not.
fn says_the_same(old: &Note, new: &Note) -> bool {
    let parts = |note: &Note| {
        let Note { id: _, external_id, text, scope, layer, tags, at: _ } = note.clone();
        (external_id, text, scope, layer, tags)
    };
    parts(old) == parts(new)
}

impl State {
    fn supersede(&mut self, by: NoteId, at: Timestamp, called: impl Fn(&Note) -> bool) -> Vec<NoteId> {
        let mut superseded = Vec::new();
        for kept in &mut self.notes {
            if kept.superseded.is_none() && kept.note.id != by && called(&kept.note) {
                kept.superseded = Some(at);
                superseded.push(kept.note.id);
            }
        }
        for id in &superseded {
            self.changed(Found::Note(*id));
        }
        superseded
    }
}

#[async_trait]
impl NoteStore for InMemoryStore {
    async fn remember(
        &self,
        note: Note,
        supersedes: Vec<String>,
        citations: Option<Citations>,
    ) -> Result<(NoteId, Vec<NoteId>), StoreError> {
        self.access.check_new(note.scope.domain.as_deref())?;
        let mut state = self.state();
        let is_seen = |note: &Note| self.sees(note.scope.domain.as_deref());
        let seen = state.notes.iter().filter(|kept| is_seen(&kept.note));
        let exists = |name: &String| seen.clone().any(|kept| is_called(&kept.note, name));
        if !supersedes.iter().all(exists) {
            return Err(StoreError::NotFound);
        }
        let current = state.notes.iter().filter(|kept| kept.superseded.is_none());
        let same = current.map(|kept| &kept.note).find(|old| says_the_same(old, &note)).map(|old| old.id);
        let id = same.unwrap_or(note.id);
        let external_id = note.external_id.clone();
        let superseded = state.supersede(id, note.at, |old| {
            let is_named = supersedes.iter().any(|name| is_called(old, name));
            is_seen(old) && (is_named || (external_id.is_some() && old.external_id == external_id))
        });
        if same.is_none() {
            state.notes.push(KeptNote { note, superseded: None });
            state.changed(Found::Note(id));
        }
        state.cite(Found::Note(id), citations);
        Ok((id, superseded))
    }
}
