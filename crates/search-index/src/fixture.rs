//! A store for the tests of this crate, and short ways to write what it holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
pub(crate) use futures::executor::block_on;
use jiff::Timestamp;
use memory_core::access::Access;
use memory_core::episode::Scope;
use memory_core::id::NoteId;
use memory_core::port::{Change, Space, StoreError};
use memory_core::retrieve::{Filter, Found};
use memory_core::search::{Candidates, Corpus, Document, Entry, Passage, Search, SearchIndex as _, Standing};
use memory_core::vector::Vector;
use uuid::Uuid;

use crate::SearchIndex;
use crate::limits::Limits;

/// Bounds that a few documents reach.
pub(crate) const LIMITS: Limits = Limits {
    tail_documents_max: 8,
    closing_documents_min: 2,
    chunk_documents: 5,
    chunk_terms: 30,
    merge_factor: 3,
    changes_max: 30,
    inline_passages_max: 2_000,
    inline_rebuild_documents_max: 1_000,
    coarse_vectors_min: 100,
    parallel_vector_bytes: 64,
    lock_wait: Duration::from_secs(30),
    disk_retry: Duration::from_secs(60),
};

/// A store whose entries are given directly.
#[derive(Default)]
pub(crate) struct Store(Mutex<Contents>);

#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) entries: BTreeMap<Found, Entry>,
    pub(crate) space: Option<Space>,
    seq: u64,
    changes: Vec<Change>,
    /// Whether single changes are not known.
    pub(crate) forgets: bool,
    pub(crate) fails: bool,
    /// Pages that were read.
    pub(crate) pages: u64,
}

impl Store {
    pub(crate) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap()
    }
    pub(crate) fn put(&self, entry: Entry) {
        let mut contents = self.contents();
        let found = entry.found;
        contents.entries.insert(found, entry);
        contents.change(found);
    }
    pub(crate) fn delete(&self, found: Found) {
        let mut contents = self.contents();
        contents.entries.remove(&found);
        contents.change(found);
    }
    pub(crate) fn seq(&self) -> u64 {
        self.contents().seq
    }
    pub(crate) fn set_seq(&self, seq: u64) {
        self.contents().seq = seq;
    }
}

impl Contents {
    fn change(&mut self, found: Found) {
        self.seq += 1;
        self.changes.push(Change { seq: self.seq, found });
    }
    fn entry(&self, entry: &Entry, space: Option<&Space>) -> Entry {
        let mut entry = entry.clone();
        if space.is_none() || space != self.space.as_ref() {
            entry.vectors = vec![None; entry.vectors.len()];
        }
        entry
    }
    fn told<T>(&self, value: T) -> Result<T, StoreError> {
        if self.fails { Err(StoreError::Busy) } else { Ok(value) }
    }
}

#[async_trait]
impl Corpus for Store {
    async fn standing(&self) -> Result<Standing, StoreError> {
        let contents = self.contents();
        contents.told(Standing { seq: contents.seq, space: contents.space.clone() })
    }
    async fn changed_after(&self, seq: u64, max: usize) -> Result<Option<Vec<Change>>, StoreError> {
        let contents = self.contents();
        let after = contents.changes.iter().filter(|change| change.seq > seq).take(max).copied();
        contents.told((!contents.forgets).then(|| after.collect()))
    }
    async fn entries(&self, found: Vec<Found>, space: Option<Space>) -> Result<Vec<Entry>, StoreError> {
        let contents = self.contents();
        let there = found.iter().filter_map(|found| contents.entries.get(found));
        contents.told(there.map(|entry| contents.entry(entry, space.as_ref())).collect())
    }
    async fn page(
        &self,
        after: Option<Found>,
        max: usize,
        space: Option<Space>,
    ) -> Result<Vec<Entry>, StoreError> {
        self.contents().pages += 1;
        let contents = self.contents();
        let rest = contents.entries.values().filter(|entry| after.is_none_or(|after| entry.found > after));
        contents.told(rest.take(max).map(|entry| contents.entry(entry, space.as_ref())).collect())
    }
}

/// A store and a place for its index.
pub(crate) struct Bench {
    pub(crate) store: Arc<Store>,
    pub(crate) limits: Limits,
    directory: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { store: Arc::default(), limits: LIMITS, directory: tempfile::tempdir().unwrap() }
    }
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("index")
    }
    pub(crate) fn open(&self) -> SearchIndex {
        SearchIndex::open_within(self.limits, Some(self.path()), "store", self.store.clone())
    }
    pub(crate) fn open_in_memory(&self) -> SearchIndex {
        SearchIndex::open_within(self.limits, None, "store", self.store.clone())
    }
    /// The names of the segment files.
    pub(crate) fn segments(&self) -> Vec<PathBuf> {
        let files = std::fs::read_dir(self.path()).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<PathBuf> = files.filter(|path| is_segment(path)).collect();
        files.sort();
        files
    }
}

fn is_segment(path: &Path) -> bool {
    path.file_name().unwrap().to_string_lossy().starts_with("seg-")
}

/// Waits until the keeper has nothing to do.
pub(crate) fn settle(index: &SearchIndex) {
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while !index.is_idle() {
        assert!(std::time::Instant::now() < until, "the keeper does not come to an end");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn note(id: u128) -> Found {
    Found::Note(NoteId(Uuid::from_u128(id)))
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A passage of these words, with its vector where one follows.
pub(crate) fn passage(words: &str) -> Passage {
    let mut terms: Vec<(String, u8)> = Vec::new();
    for word in words.split_whitespace() {
        match terms.iter_mut().find(|(term, _)| term == word) {
            Some((_, times)) => *times += 1,
            None => terms.push((word.into(), 1)),
        }
    }
    Passage { terms, weight: 1.0, text: None }
}

/// A note of one passage that happened at the second of its id.
pub(crate) fn entry(id: u128, words: &str) -> Entry {
    Entry {
        found: note(id),
        scope: Scope { domain: Some("coding.rust".into()), project: Some("acme/shop".into()) },
        at: at(id as i64),
        outcome: None,
        retired: None,
        document: Document { passages: vec![passage(words)] },
        vectors: vec![None],
    }
}

pub(crate) fn space(name: &str) -> Space {
    Space { name: name.into(), dimensions: 4 }
}

pub(crate) fn vector(numbers: [i8; 4]) -> Vector {
    Vector::new(&numbers.map(f32::from))
}

pub(crate) fn asked(words: &str) -> Search {
    let terms = words.split_whitespace().map(String::from).collect();
    Search { terms, guesses: 0, vector: None, filter: Filter::default(), limit: 10 }
}

pub(crate) fn ask(index: &SearchIndex, search: &Search) -> Candidates {
    block_on(index.candidates(search.clone())).unwrap()
}

/// As a caller asks who may see this domain and those below it; in an order that does not depend on segments.
pub(crate) fn ask_within(index: &SearchIndex, domain: &str, search: &Search) -> Candidates {
    let access = Arc::new(Access::new(&[domain.to_owned()], true).unwrap());
    let mut candidates = block_on(index.candidates_within(search.clone(), Some(access))).unwrap();
    candidates.proposed.sort_by_key(|candidate| (candidate.found, candidate.passage));
    candidates
}

/// The ids of the notes that have one of these words.
pub(crate) fn ids(index: &SearchIndex, words: &str) -> Vec<u128> {
    let candidates = ask(index, &asked(words));
    let with_words = candidates.proposed.iter().filter(|candidate| candidate.fit.lexical > 0.0);
    let mut ids: Vec<u128> = with_words.map(|candidate| crate::segment::split(candidate.found).1).collect();
    ids.sort_unstable();
    ids
}
