//! The search index of the memory: inverted lists of terms and a scan over vectors of eight bits a number, in
//! memory-mapped files that are never changed, and a tail in memory.
//!
//! It is derived from the durable store, which it sees as a [`Corpus`], and may be deleted, damaged or held by another
//! process at any time; the worst that happens is that it is made anew. Before every search it learns what was
//! committed since, by whatever process, so a search finds everything that was committed before it.
//!
//! Changes go into small segments in memory, which are merged when there are many of one size; a few hundred documents
//! become a file; files are merged again. That, and making it anew, is the work of one thread, the keeper. Of several
//! processes on one directory one at a time writes; the others take its files over when their own tail grows.
//!
//! * What is there: `layout` (a segment's bytes), `segment` (reading them), `write` (writing them) from `entries` or,
//!   by `merge`, from other segments; `terms`, `postings`, `groups`, `sequence` (their parts); `place` (the directory).
//! * What is searched: `state` (segments and which documents count), `admit` (the filter), `lexical` and `spelling`
//!   (words), `dense`, `coarse` and `promising` (vectors), `best` (the best of them), `around` (neighbours), `query` (all of it together).
//! * What keeps it up to date: `catching_up` (before a search) and `keeper` (in the background), which share `shared`.

mod admit;
mod around;
mod best;
mod bits;
mod catching_up;
mod coarse;
mod coding;
mod dense;
mod entries;
#[cfg(test)]
mod fixture;
mod groups;
mod keeper;
mod layout;
mod lexical;
mod limits;
mod merge;
mod place;
mod postings;
mod promising;
mod query;
#[cfg(test)]
mod reference;
mod segment;
mod sequence;
mod shared;
mod spelling;
mod state;
mod terms;
mod write;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use memory_core::access::Access;
use memory_core::port::{Space, StoreError};
use memory_core::search::{Candidates, Corpus, Search};

use admit::MayFind;
use limits::Limits;
use place::Place;
pub use shared::Activity;
use shared::{Shared, Wants};
use state::{Making, State};

/// The search index. Dropping it ends its thread, which first writes what is worth it to the directory.
pub struct SearchIndex {
    shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
}

/// How the index is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexStatus {
    /// Where it is kept.
    pub backing: Backing,
    /// What it is doing besides answering.
    pub activity: Activity,
    /// Whether it holds the whole store as of `seq`; if not, the next search waits until it has been made anew.
    pub is_ready: bool,
    /// The `change_seq` up to which it is true.
    pub seq: u64,
    /// Documents.
    pub documents: u64,
    /// Their passages.
    pub passages: u64,
    /// Those of them that have a vector.
    pub vectors: u64,
    /// Segments, in files and in memory.
    pub segments: usize,
    /// Bytes of all files in its directory.
    pub disk_bytes: u64,
    /// Documents that are in memory only.
    pub tail_documents: u64,
    /// What failed last, if anything did.
    pub last_error: Option<String>,
}

/// Where an index is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backing {
    /// In files, but for the tail.
    Files,
    /// In memory, as was asked for.
    Memory,
    /// What is new is in memory: the directory cannot be written, for this reason. It is tried again now and then.
    Unwritable(String),
}

impl SearchIndex {
    /// Opens the index of the store named `store_id` in a directory, or one in memory. This never fails: files that
    /// are missing, damaged, of another store or of another version are passed over, the index is made anew from
    /// `corpus` by the first search, and where nothing can be written it is kept in memory. What happened is told by
    /// [`SearchIndex::status`] and in the log. Nothing else may live in the directory.
    ///
    /// `store_id` must change when the database behind `corpus` is exchanged for another one.
    pub fn open(directory: Option<PathBuf>, store_id: &str, corpus: Arc<dyn Corpus>) -> Self {
        Self::open_within(Limits::STANDARD, directory, store_id, corpus)
    }

    fn open_within(
        limits: Limits,
        directory: Option<PathBuf>,
        store_id: &str,
        corpus: Arc<dyn Corpus>,
    ) -> Self {
        let making = Making {
            store_id: store_id.into(),
            merge_factor: limits.merge_factor,
            small_documents_max: limits.tail_documents_max,
            coarse_vectors_min: limits.coarse_vectors_min,
        };
        let place = directory.map(|directory| Place::new(directory, making.clone()));
        let state = place.as_ref().map(opened).unwrap_or_default();
        let shared = Arc::new(Shared::new(corpus, limits, making, place, state));
        let keeping = shared.clone();
        let keeper = thread::Builder::new().name("search-index".into()).spawn(move || keeper::run(&keeping));
        if let Err(error) = &keeper {
            tracing::error!(%error, "the search index has no thread to be made and written on");
        }
        Self { shared, keeper: keeper.ok() }
    }

    /// How the index is doing.
    pub fn status(&self) -> IndexStatus {
        let (state, report) = (self.shared.state(), self.shared.report());
        let backing = match (&self.shared.place, report.disk_failure) {
            (None, _) => Backing::Memory,
            (Some(_), Some((_, reason))) => Backing::Unwritable(reason),
            (Some(_), None) => Backing::Files,
        };
        IndexStatus {
            backing,
            activity: report.activity,
            is_ready: state.is_ready,
            seq: state.seq,
            documents: state.totals.documents,
            passages: state.totals.passages,
            vectors: state.totals.vectors,
            segments: state.slots.len(),
            disk_bytes: self.shared.place.as_ref().map_or(0, Place::bytes),
            tail_documents: state.tail_documents(),
            last_error: report.last_error,
        }
    }

    /// Whether nothing is left to do in the background.
    pub fn is_idle(&self) -> bool {
        self.shared.is_idle()
    }

    /// The same index for a caller: what it may not see is not there, and nothing that is counted counts it.
    pub fn within(self: &Arc<Self>, access: &Arc<Access>) -> Arc<dyn memory_core::search::SearchIndex> {
        if access.is_everything() {
            return self.clone();
        }
        Arc::new(Within { index: self.clone(), access: access.clone() })
    }

    async fn candidates_within(
        &self,
        search: Search,
        access: Option<Arc<Access>>,
    ) -> Result<Candidates, StoreError> {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.shared.runtime.get_or_init(|| runtime);
        }
        let (state, serving) = self.shared.caught_up(self.keeper.is_some()).await?;
        self.search(state, search, serving, access).await
    }

    async fn search(
        &self,
        state: Arc<State>,
        search: Search,
        serving: Option<Space>,
        access: Option<Arc<Access>>,
    ) -> Result<Candidates, StoreError> {
        let limits = self.shared.limits;
        let searched = state.clone();
        let work = move || {
            let may_find = MayFind { filter: &search.filter, access: access.as_deref() };
            let answer = || {
                query::candidates(
                    &searched,
                    &search,
                    may_find,
                    serving.as_ref(),
                    limits.parallel_vector_bytes,
                )
            };
            catch_unwind(AssertUnwindSafe(answer)).ok()
        };
        let is_small = state.totals.passages <= limits.inline_passages_max;
        let candidates = match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !is_small => runtime.spawn_blocking(work).await.ok().flatten(),
            _ => work(),
        };
        candidates.ok_or_else(|| {
            // Only damage that nothing noticed could do this; from the store, it is made right again.
            self.shared.invalidate(&state);
            StoreError::Other("the search index failed and is made anew: repeat the call".into())
        })
    }
}

#[async_trait]
impl memory_core::search::SearchIndex for SearchIndex {
    async fn candidates(&self, search: Search) -> Result<Candidates, StoreError> {
        self.candidates_within(search, None).await
    }
}

/// An index for a caller who may not see everything.
struct Within {
    index: Arc<SearchIndex>,
    access: Arc<Access>,
}

#[async_trait]
impl memory_core::search::SearchIndex for Within {
    async fn candidates(&self, search: Search) -> Result<Candidates, StoreError> {
        self.index.candidates_within(search, Some(self.access.clone())).await
    }
}

impl Drop for SearchIndex {
    fn drop(&mut self) {
        self.shared.ask(Wants { end: true, ..Wants::default() });
        if let Some(keeper) = self.keeper.take()
            && keeper.join().is_err()
        {
            tracing::error!("the thread of the search index panicked");
        }
    }
}

/// The state of the files in a directory; one that is not ready if they are of no use.
fn opened(place: &Place) -> State {
    let opened = place.manifest().and_then(|manifest| {
        manifest.map(|manifest| keeper::open(place, &manifest, &State::default())).transpose()
    });
    match opened {
        Ok(state) => state.unwrap_or_default(),
        Err(reason) => {
            let directory = place.directory().display();
            tracing::warn!(%directory, %reason, "the search index is of no use and is made anew");
            State::default()
        }
    }
}
