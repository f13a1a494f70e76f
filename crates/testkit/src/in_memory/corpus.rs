//! What a search index is made from, and what it found.

use async_trait::async_trait;
use memory_core::episode::Scope;
use memory_core::port::{Change, ChangeLog, ItemStore, Space, StoreError};
use memory_core::retrieve::document::{of_episode, of_note, of_pattern};
use memory_core::retrieve::{Found, Item};
use memory_core::search::{Corpus, Entry, Standing};

use super::notes::KeptNote;
use super::patterns::is_searchable;
use super::{InMemoryStore, State};

impl State {
    fn kept_note(&self, found: Found) -> Option<&KeptNote> {
        self.notes.iter().find(|kept| Found::Note(kept.note.id) == found)
    }

    pub(super) fn item(&self, found: Found) -> Option<Item> {
        match found {
            Found::Episode(id) => Some(Item::Episode(Box::new(self.episodes.get(&id)?.head.clone()))),
            Found::Pattern(id) => Some(Item::Pattern(self.pattern(id)?)),
            Found::Note(_) => Some(Item::Note(self.kept_note(found)?.note.clone())),
        }
    }

    fn entry(&self, found: Found, space: Option<&Space>) -> Option<Entry> {
        let (document, scope, at, outcome) = match self.item(found)? {
            Item::Episode(head) => {
                let steps = self.episodes.get(&head.id)?.steps.iter().map(|step| &step.call);
                let outcome = head.outcome();
                (of_episode(&head, steps), head.brief.scope, head.started_at, outcome)
            }
            Item::Pattern(pattern) => {
                if !is_searchable(&pattern) {
                    return None;
                }
                let document = of_pattern(&pattern);
                (document, Scope { domain: pattern.domain, project: None }, pattern.last_seen, None)
            }
            Item::Note(note) => (of_note(&note), note.scope, note.at, None),
        };
        let retired = self.kept_note(found).and_then(|kept| kept.superseded);
        let vectors = self.vectors(found, space, &document);
        Some(Entry { found, scope, at, outcome, retired, document, vectors })
    }

    fn everything(&self) -> Vec<Found> {
        let episodes = self.episodes.keys().map(|id| Found::Episode(*id));
        let patterns = self.patterns().into_iter().map(|pattern| Found::Pattern(pattern.id));
        let notes = self.notes.iter().map(|kept| Found::Note(kept.note.id));
        let mut all: Vec<Found> = episodes.chain(patterns).chain(notes).collect();
        all.sort();
        all
    }
}

#[async_trait]
impl Corpus for InMemoryStore {
    async fn standing(&self) -> Result<Standing, StoreError> {
        let state = self.state();
        Ok(Standing { seq: state.changes.len() as u64, space: state.serving().cloned() })
    }

    async fn changed_after(&self, seq: u64, max: usize) -> Result<Option<Vec<Change>>, StoreError> {
        self.changes_after(seq, max).await
    }

    async fn entries(&self, found: Vec<Found>, space: Option<Space>) -> Result<Vec<Entry>, StoreError> {
        let state = self.state();
        Ok(found.into_iter().filter_map(|found| state.entry(found, space.as_ref())).collect())
    }

    async fn page(
        &self,
        after: Option<Found>,
        max: usize,
        space: Option<Space>,
    ) -> Result<Vec<Entry>, StoreError> {
        let state = self.state();
        let rest = state.everything().into_iter().filter(|found| after.is_none_or(|after| *found > after));
        Ok(rest.filter_map(|found| state.entry(found, space.as_ref())).take(max).collect())
    }
}

#[async_trait]
impl ItemStore for InMemoryStore {
    async fn items(&self, found: Vec<Found>) -> Result<Vec<Item>, StoreError> {
        let state = self.state();
        Ok(found.into_iter().filter_map(|found| self.item(&state, found)).collect())
    }
}
