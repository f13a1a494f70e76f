//! A store that keeps everything in memory and does all that the ports promise: a fake, not a mock.

mod catalog;
mod citations;
mod corpus;
mod episodes;
mod experience;
mod feedback;
mod jobs;
mod links;
mod notes;
mod operator;
mod patterns;
mod usage;
mod vectors;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use memory_core::access::{self, Access};
use memory_core::citation::{Citation, Fingerprint};
use memory_core::episode::Episode;
use memory_core::feedback::Feedback;
use memory_core::id::{EpisodeId, PatternId};
use memory_core::link::Link;
use memory_core::pattern::Correction;
use memory_core::port::{AnswerCache, AnswerKey, Change, Guarded, Semantics, Space};
use memory_core::retrieve::{Answer, Found, Item};
use memory_core::vector::Vector;

use crate::Stores;
use jobs::KeptJob;
use notes::KeptNote;
use patterns::Taught;
use vectors::KeptSpace;

/// Keeps everything in memory, behind one lock. Every change is checked before it is begun, so that a refused one
/// leaves no trace.
#[derive(Debug)]
pub struct InMemoryStore {
    state: Arc<Mutex<State>>,
    access: Arc<Access>,
}

impl Default for InMemoryStore {
    fn default() -> Self {
        Self { state: Arc::default(), access: Arc::new(Access::everything()) }
    }
}

impl Guarded for InMemoryStore {
    fn within(&self, access: &Arc<Access>) -> Self {
        Self { state: self.state.clone(), access: access.clone() }
    }
}

#[derive(Debug, Default)]
struct State {
    episodes: BTreeMap<EpisodeId, Episode>,
    links: Vec<Link>,
    notes: Vec<KeptNote>,
    citations: BTreeMap<(Found, Fingerprint), Vec<Citation>>,
    taught: BTreeMap<EpisodeId, Taught>,
    corrections: BTreeMap<PatternId, Correction>,
    deleted: BTreeSet<PatternId>,
    feedback: Vec<Feedback>,
    spaces: Vec<KeptSpace>,
    jobs: Vec<KeptJob>,
    requeued: u128,
    plugins: String,
    changes: Vec<Change>,
    usage: BTreeMap<String, BTreeMap<String, u64>>,
}

impl InMemoryStore {
    /// The ports of a new, empty store.
    pub fn stores() -> Stores {
        Stores::of(Arc::new(Self::default()), None)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the lock")
    }

    /// Whether the caller may see a domain.
    fn sees(&self, domain: Option<&str>) -> bool {
        self.access.sees(domain)
    }

    /// The thing, if the caller may see it.
    fn item(&self, state: &State, found: Found) -> Option<Item> {
        let item = state.item(found)?;
        let domain = match &item {
            Item::Episode(head) => &head.brief.scope.domain,
            Item::Pattern(pattern) => &pattern.domain,
            Item::Note(note) => &note.scope.domain,
        };
        self.sees(domain.as_deref()).then_some(item)
    }
}

impl State {
    fn changed(&mut self, found: Found) {
        let seq = self.changes.len() as u64 + 1;
        self.changes.push(Change { seq, found });
    }
}

/// Whether a domain is the one asked for or lies below it; any is where none is asked for.
fn is_within(domain: Option<&str>, asked: Option<&str>) -> bool {
    asked.is_none_or(|asked| domain.is_some_and(|domain| access::is_within(domain, asked)))
}

/// An answer cache that forgets at once.
#[derive(Debug)]
pub struct ForgetfulCache;

#[async_trait]
impl AnswerCache for ForgetfulCache {
    async fn get(&self, _key: &AnswerKey, _seq: u64) -> Option<Answer> {
        None
    }

    async fn put(&self, _key: &AnswerKey, _seq: u64, _answer: &Answer) {}
}

/// An answer cache that never forgets, for the tests that look into it.
#[derive(Debug, Default)]
pub struct KeepingCache {
    kept: Mutex<Vec<(AnswerKey, u64, Answer)>>,
}

impl KeepingCache {
    /// The questions whose answers it keeps, in the order in which they came.
    pub fn questions(&self) -> Vec<AnswerKey> {
        self.kept().iter().map(|(key, ..)| key.clone()).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(AnswerKey, u64, Answer)>> {
        self.kept.lock().expect("no test panics while it holds the lock")
    }
}

#[async_trait]
impl AnswerCache for KeepingCache {
    async fn get(&self, key: &AnswerKey, seq: u64) -> Option<Answer> {
        let is_it = |kept: &&(AnswerKey, u64, Answer)| kept.0 == *key && kept.1 == seq;
        self.kept().iter().find(is_it).map(|(.., answer)| answer.clone())
    }

    async fn put(&self, key: &AnswerKey, seq: u64, answer: &Answer) {
        self.kept().push((key.clone(), seq, answer.clone()));
    }
}

/// No model is in use.
#[derive(Debug)]
pub struct NoSemantics;

#[async_trait]
impl Semantics for NoSemantics {
    fn space(&self) -> Option<Space> {
        None
    }

    async fn query_vector(&self, _query: &str) -> Option<(Space, Vector)> {
        None
    }

    fn written(&self, _found: Found) {}

    async fn settled(&self) {}
}

#[cfg(test)]
mod tests {
    async fn fresh() -> crate::Stores {
        super::InMemoryStore::stores()
    }

    crate::contract!(fresh);
}
