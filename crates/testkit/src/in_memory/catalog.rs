//! What there is, for those who browse it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use memory_core::access::Access;
use memory_core::episode::{EpisodeHead, Outcome};
use memory_core::note::Note;
use memory_core::port::{CatalogStore, Endings, EpisodeListing, Naming, StoreError};

use super::{InMemoryStore, State, is_within};

impl State {
    fn current_notes<'a>(&'a self, access: &'a Access) -> impl DoubleEndedIterator<Item = &'a Note> {
        let notes = self.notes.iter().filter(|kept| kept.superseded.is_none()).map(|kept| &kept.note);
        notes.filter(|note| access.sees(note.scope.domain.as_deref()))
    }

    fn seen_episodes<'a>(&'a self, access: &'a Access) -> impl DoubleEndedIterator<Item = &'a EpisodeHead> {
        let heads = self.episodes.values().map(|episode| &episode.head);
        heads.filter(|head| access.sees(head.brief.scope.domain.as_deref()))
    }

    fn names(&self, access: &Access, naming: Naming) -> Vec<String> {
        match naming {
            Naming::Projects => {
                let of_episodes = self.seen_episodes(access).map(|head| &head.brief.scope.project);
                let of_notes = self.current_notes(access).map(|note| &note.scope.project);
                let names: BTreeSet<String> = of_episodes.chain(of_notes).flatten().cloned().collect();
                names.into_iter().collect()
            }
            Naming::Episodes => self.seen_episodes(access).rev().map(|head| head.id.to_string()).collect(),
            Naming::Patterns => {
                let patterns = self.patterns();
                let seen = patterns.iter().filter(|pattern| access.sees(pattern.domain.as_deref()));
                let mut ids: Vec<String> = seen.map(|pattern| pattern.id.to_string()).collect();
                ids.sort_unstable();
                ids
            }
        }
    }
}

#[async_trait]
impl CatalogStore for InMemoryStore {
    async fn episodes(&self, listing: EpisodeListing) -> Result<Vec<EpisodeHead>, StoreError> {
        let EpisodeListing { domain, project, completed, outcome, since, until, before, max } = listing;
        let state = self.state();
        let heads = state.seen_episodes(&self.access).rev();
        let heads = heads.filter(|head| before.is_none_or(|before| head.id < before));
        let heads = heads.filter(|head| {
            completed.is_none_or(|completed| completed == head.completion.is_some())
                && (outcome.is_none() || head.outcome() == outcome)
                && is_within(head.brief.scope.domain.as_deref(), domain.as_deref())
                && since.is_none_or(|since| head.started_at >= since)
                && until.is_none_or(|until| head.started_at < until)
        });
        let of_project = |head: &&EpisodeHead| project.is_none() || head.brief.scope.project == project;
        Ok(heads.filter(of_project).take(max).cloned().collect())
    }

    async fn notes(&self, project: String, max: usize) -> Result<Vec<Note>, StoreError> {
        let state = self.state();
        let mut notes: Vec<Note> = state
            .current_notes(&self.access)
            .filter(|note| note.scope.project.as_ref() == Some(&project))
            .cloned()
            .collect();
        notes.sort_by_key(|note| std::cmp::Reverse((note.at, note.id)));
        notes.truncate(max);
        Ok(notes)
    }

    async fn names(
        &self,
        naming: Naming,
        prefix: String,
        after: Option<String>,
        max: usize,
    ) -> Result<Vec<String>, StoreError> {
        let comes_after = |name: &String| {
            after.as_ref().is_none_or(|after| match naming {
                Naming::Projects | Naming::Patterns => name > after,
                Naming::Episodes => name < after,
            })
        };
        let names = self.state().names(&self.access, naming).into_iter();
        Ok(names.filter(|name| name.starts_with(&prefix) && comes_after(name)).take(max).collect())
    }

    async fn endings(&self, project: String) -> Result<Endings, StoreError> {
        let mut endings = Endings::default();
        for head in self.state().seen_episodes(&self.access) {
            if head.brief.scope.project.as_ref() != Some(&project) {
                continue;
            }
            let counted = match &head.completion {
                None => &mut endings.open,
                Some(completion) => match completion.outcome {
                    Some(Outcome::Success) => &mut endings.success,
                    Some(Outcome::Partial) => &mut endings.partial,
                    Some(Outcome::Failure) => &mut endings.failure,
                    Some(Outcome::Abandoned) => &mut endings.abandoned,
                    None => &mut endings.unknown,
                },
            };
            *counted += 1;
        }
        Ok(endings)
    }
}
