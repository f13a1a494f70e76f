//! What the tests of the other crates share: an [`InMemoryStore`], the [contract](mod@contract) that it and every other store
//! must keep, a [`FailingStore`], a [`TestSource`] of time and ids, a [`TestTree`] of files, [builders](episode) for episodes, a tiny
//! [sentence encoder](model) and an [HTTP server](http) on 127.0.0.1.
#![expect(clippy::expect_used, reason = "a library for tests: a panic is how they fail")]

pub mod contract;
pub mod episode;
mod failing;
pub mod http;
mod in_memory;
pub mod model;
mod source;
mod work_tree;

pub use failing::{FailingStore, Moment};
pub use in_memory::{ForgetfulCache, InMemoryStore, KeepingCache, NoSemantics};
pub use source::TestSource;
pub use work_tree::{NoWorkTree, TestTree};

use std::any::Any;
use std::sync::Arc;
use std::thread;

use futures::executor::block_on;
use memory_core::access::Access;
use memory_core::port::{
    CatalogStore, ChangeLog, CitationStore, EpisodeStore, ExperienceStore, FeedbackStore, Gate, Guarded,
    ItemStore, JobStore, LinkStore, NoteStore, PatternStore, Ports, Source, StoreHealth, UsageStore,
    VectorStore,
};
use memory_core::retrieve::Filter;
use memory_core::search::{Corpus, Search, SearchIndex as _};
use search_index::SearchIndex;

/// Gives the ports of a store for a caller.
pub type Within = dyn Fn(&Arc<Access>) -> Stores + Send + Sync;

/// All ports of one store, for one caller.
#[derive(Clone)]
pub struct Stores {
    /// Episodes.
    pub episodes: Arc<dyn EpisodeStore>,
    /// How they relate to each other.
    pub links: Arc<dyn LinkStore>,
    /// Notes.
    pub notes: Arc<dyn NoteStore>,
    /// What a search index is made from.
    pub corpus: Arc<dyn Corpus>,
    /// What a search found.
    pub items: Arc<dyn ItemStore>,
    /// What things cite.
    pub citations: Arc<dyn CitationStore>,
    /// Vectors.
    pub vectors: Arc<dyn VectorStore>,
    /// What there is.
    pub catalog: Arc<dyn CatalogStore>,
    /// How often the tools were used.
    pub usage: Arc<dyn UsageStore>,
    /// Patterns.
    pub patterns: Arc<dyn PatternStore>,
    /// What was done.
    pub experience: Arc<dyn ExperienceStore>,
    /// What was said of what was shown.
    pub feedback: Arc<dyn FeedbackStore>,
    /// Background jobs.
    pub jobs: Arc<dyn JobStore>,
    /// The change log.
    pub changes: Arc<dyn ChangeLog>,
    /// Counts and checks.
    pub health: Arc<dyn StoreHealth>,
    /// Whatever must live as long as the store, such as its temporary directory.
    pub keep: Option<Arc<dyn Any + Send + Sync>>,
    /// The same store for other callers.
    pub within: Arc<Within>,
}

impl Stores {
    /// All ports of a store that implements every one; `keep` is dropped with it.
    pub fn of<T>(store: Arc<T>, keep: Option<Arc<dyn Any + Send + Sync>>) -> Self
    where
        T: EpisodeStore
            + LinkStore
            + NoteStore
            + Corpus
            + ItemStore
            + CitationStore
            + VectorStore
            + CatalogStore
            + UsageStore,
        T: PatternStore + ExperienceStore + FeedbackStore + JobStore + ChangeLog + StoreHealth,
        T: Guarded + 'static,
    {
        let (whole, kept) = (store.clone(), keep.clone());
        let within = move |access: &Arc<Access>| Self::of(Arc::new(whole.within(access)), kept.clone());
        Self {
            within: Arc::new(within),
            episodes: store.clone(),
            links: store.clone(),
            notes: store.clone(),
            corpus: store.clone(),
            items: store.clone(),
            citations: store.clone(),
            vectors: store.clone(),
            catalog: store.clone(),
            usage: store.clone(),
            patterns: store.clone(),
            experience: store.clone(),
            feedback: store.clone(),
            jobs: store.clone(),
            changes: store.clone(),
            health: store,
            keep,
        }
    }

    /// The same store for another caller.
    #[must_use]
    pub fn within(&self, access: &Access) -> Self {
        (self.within)(&Arc::new(access.clone()))
    }

    /// The ports of the use cases, with a search index in memory, no model, no work tree, and an answer cache that keeps nothing.
    pub fn ports(&self, source: Arc<dyn Source>) -> Ports {
        let index = index(self.corpus.clone());
        let callers =
            Arc::new(Callers { stores: self.clone(), index: index.clone(), source: source.clone() });
        self.ports_with(index, source, callers)
    }

    fn ports_with(
        &self,
        index: Arc<dyn memory_core::search::SearchIndex>,
        source: Arc<dyn Source>,
        gate: Arc<dyn Gate>,
    ) -> Ports {
        Ports {
            episodes: self.episodes.clone(),
            links: self.links.clone(),
            notes: self.notes.clone(),
            index,
            items: self.items.clone(),
            citations: self.citations.clone(),
            workspace: Arc::new(NoWorkTree),
            semantics: Arc::new(NoSemantics),
            catalog: self.catalog.clone(),
            patterns: self.patterns.clone(),
            experience: self.experience.clone(),
            feedback: self.feedback.clone(),
            jobs: self.jobs.clone(),
            changes: self.changes.clone(),
            answers: Arc::new(ForgetfulCache),
            source,
            gate,
        }
    }
}

/// What the callers of one store share.
struct Callers {
    stores: Stores,
    index: Arc<SearchIndex>,
    source: Arc<dyn Source>,
}

impl Gate for Callers {
    fn ports(self: Arc<Self>, access: &Arc<Access>) -> Ports {
        let index = self.index.within(access);
        self.stores.within(access).ports_with(index, self.source.clone(), self)
    }
}

/// A search index in memory that is ready: a search that waited for its thread would let a paused clock run on.
fn index(corpus: Arc<dyn Corpus>) -> Arc<SearchIndex> {
    let index = Arc::new(SearchIndex::open(None, "a store of a test", corpus));
    let made = index.clone();
    // On a thread of its own, as an executor does not run inside another one.
    let search = Search { terms: Vec::new(), guesses: 0, vector: None, filter: Filter::default(), limit: 1 };
    thread::spawn(move || block_on(made.candidates(search))).join().expect("a search").expect("an index");
    index
}
