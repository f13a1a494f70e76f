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
use memory_core::port::{
    CatalogStore, ChangeLog, CitationStore, EpisodeStore, ExperienceStore, FeedbackStore, ItemStore,
    JobStore, NoteStore, PatternStore, Ports, Source, StoreHealth, UsageStore, VectorStore,
};
use memory_core::retrieve::Filter;
use memory_core::search::{Corpus, Search, SearchIndex as _};
use search_index::SearchIndex;

/// All ports of one store.
#[derive(Clone)]
pub struct Stores {
    /// Episodes.
    pub episodes: Arc<dyn EpisodeStore>,
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
}

impl Stores {
    /// All ports of a store that implements every one; `keep` is dropped with it.
    pub fn of<T>(store: Arc<T>, keep: Option<Arc<dyn Any + Send + Sync>>) -> Self
    where
        T: EpisodeStore
            + NoteStore
            + Corpus
            + ItemStore
            + CitationStore
            + VectorStore
            + CatalogStore
            + UsageStore,
        T: PatternStore + ExperienceStore + FeedbackStore + JobStore + ChangeLog + StoreHealth + 'static,
    {
        Self {
            episodes: store.clone(),
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

    /// The ports of the use cases, with a search index in memory, no model, no work tree, and an answer cache that keeps nothing.
    pub fn ports(&self, source: Arc<dyn Source>) -> Ports {
        Ports {
            episodes: self.episodes.clone(),
            notes: self.notes.clone(),
            index: index(self.corpus.clone()),
            items: self.items.clone(),
            citations: self.citations.clone(),
            workspace: Arc::new(NoWorkTree),
            semantics: Arc::new(NoSemantics),
            catalog: self.catalog.clone(),
            patterns: self.patterns.clone(),
            experience: self.experience.clone(),
            feedback: self.feedback.clone(),
            changes: self.changes.clone(),
            answers: Arc::new(ForgetfulCache),
            source,
        }
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
