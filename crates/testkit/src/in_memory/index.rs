//! Search: every document that contains at least one term, the one that contains most of them first.

use std::cmp::Reverse;

use async_trait::async_trait;
use jiff::Timestamp;
use memory_core::episode::{Outcome, Scope};
use memory_core::port::{Index, StoreError};
use memory_core::retrieve::{Candidate, Candidates, Document, Filter, Found, Item, Kind, Search};

use super::{InMemoryStore, State};

/// What a filter looks at.
struct Subject {
    kind: Kind,
    scope: Scope,
    when: Timestamp,
    outcome: Option<Outcome>,
}

fn subject(item: &Item) -> Subject {
    match item {
        Item::Episode(head) => Subject {
            kind: Kind::Episode,
            scope: head.brief.scope.clone(),
            when: head.started_at,
            outcome: head.outcome(),
        },
        Item::Note(note) => {
            Subject { kind: Kind::Note, scope: note.scope.clone(), when: note.at, outcome: None }
        }
        Item::Pattern(pattern) => Subject {
            kind: Kind::Pattern,
            scope: Scope { domain: pattern.domain.clone(), project: None },
            when: pattern.last_seen,
            outcome: None,
        },
    }
}

fn admits(filter: &Filter, subject: &Subject) -> bool {
    let Filter { kinds, domain, project, since, until, outcome } = filter;
    (kinds.is_empty() || kinds.contains(&subject.kind))
        && domain.as_ref().is_none_or(|wanted| is_within(subject.scope.domain.as_deref(), wanted))
        && project.as_ref().is_none_or(|wanted| subject.scope.project.as_ref() == Some(wanted))
        && since.is_none_or(|since| subject.when >= since)
        && until.is_none_or(|until| subject.when < until)
        && outcome.is_none_or(|wanted| subject.outcome == Some(wanted))
}

/// Whether a domain is the wanted one or lies below it.
fn is_within(domain: Option<&str>, wanted: &str) -> bool {
    let rest = domain.and_then(|domain| domain.strip_prefix(wanted));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn contains(document: &Document, term: &String) -> bool {
    document.title.contains(term) || document.body.contains(term)
}

impl State {
    fn item(&self, found: Found) -> Option<Item> {
        match found {
            Found::Episode(id) => Some(Item::Episode(Box::new(self.episodes.get(&id)?.head.clone()))),
            Found::Pattern(id) => Some(Item::Pattern(self.pattern(id)?)),
            Found::Note(id) => {
                let kept = self.notes.iter().find(|kept| kept.note.id == id && !kept.superseded)?;
                Some(Item::Note(kept.note.clone()))
            }
        }
    }
}

#[async_trait]
impl Index for InMemoryStore {
    async fn candidates(&self, search: Search) -> Result<Candidates, StoreError> {
        let state = self.state();
        let Search { terms, filter, limit } = search;
        let frequency = |term: &String| {
            state.documents.values().filter(|document| contains(document, term)).count() as u64
        };
        let mut proposed = Vec::new();
        for (found, document) in &state.documents {
            let matches = terms.iter().filter(|term| contains(document, term)).count();
            let subject = subject(&state.item(*found).expect("a document stands for something"));
            if matches > 0 && admits(&filter, &subject) {
                let candidate =
                    Candidate { found: *found, when: subject.when, places: document.places(&terms) };
                proposed.push((matches, candidate));
            }
        }
        proposed.sort_by_key(|(matches, _)| Reverse(*matches));
        Ok(Candidates {
            documents: state.documents.len() as u64,
            frequencies: terms.iter().map(frequency).collect(),
            proposed: proposed.into_iter().take(limit).map(|(_, candidate)| candidate).collect(),
        })
    }

    async fn items(&self, found: Vec<Found>) -> Result<Vec<Item>, StoreError> {
        let state = self.state();
        Ok(found.into_iter().filter_map(|found| state.item(found)).collect())
    }
}
