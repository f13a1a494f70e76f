//! The terms between the use cases and the search index: what it is made from, what it is asked, what it proposes.
//!
//! A stored thing is searched for as a [`Document`]: one or more [`Passage`]s, each matched by its words and, where a
//! model is in use, by its vector. The index counts and multiplies; what is relevant is decided in
//! [`retrieve`](crate::retrieve).

use async_trait::async_trait;
use jiff::Timestamp;

use crate::episode::{Outcome, Scope};
use crate::port::{Space, StoreError};
use crate::retrieve::{Filter, Found};
use crate::vector::Vector;

/// A part of a document that is matched as one: a paragraph, a few lines, a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Passage {
    /// Its distinct terms with the number of times each stands in it, in order of first appearance.
    pub terms: Vec<(String, u8)>,
    /// What a word's score counts here, 0..=1: 1 where the thing says what it is about, less where it only mentions.
    pub weight: f32,
    /// The text to embed; `None` if the passage is found by its words alone.
    pub text: Option<String>,
}

impl Passage {
    /// Tells texts apart: 64 bits of FNV-1a (Fowler, Noll and Vo) over the text to embed; `None` without one.
    pub fn fingerprint(&self) -> Option<u64> {
        self.text.as_ref().map(|text| crate::hash::fnv_1a(text.bytes()))
    }
}

/// A stored thing as it is searched for. Never without passages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// Its passages, in the order in which they are read.
    pub passages: Vec<Passage>,
}

/// Everything that the index knows of a stored thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The thing.
    pub found: Found,
    /// Domain and project.
    pub scope: Scope,
    /// When it happened.
    pub at: Timestamp,
    /// How it ended, if it is an episode and has.
    pub outcome: Option<Outcome>,
    /// When something newer took its place; `None` while it is current.
    pub retired: Option<Timestamp>,
    /// What it says.
    pub document: Document,
    /// The vector of each passage, in the space that was asked for; `None` where there is none (yet) of its text as it is.
    pub vectors: Vec<Option<Vector>>,
}

/// How far the store has come, read at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The `change_seq` of the last committed change.
    pub seq: u64,
    /// The space whose vectors serve searches; `None` while none does.
    pub space: Option<Space>,
}

/// What the index is made from: the durable store.
#[async_trait]
pub trait Corpus: Send + Sync {
    /// How far it has come. Asked before every search, so it must be cheap.
    async fn standing(&self) -> Result<Standing, StoreError>;
    /// What was changed after `seq`, oldest first, at most `max`; `None` if that is no longer known one by one.
    async fn changed_after(
        &self,
        seq: u64,
        max: usize,
    ) -> Result<Option<Vec<crate::port::Change>>, StoreError>;
    /// The entries of these things, in any order, with vectors of `space`; what is gone is left out.
    async fn entries(&self, found: Vec<Found>, space: Option<Space>) -> Result<Vec<Entry>, StoreError>;
    /// Everything that can be searched, in a fixed order, page by page: at most `max` entries after the thing `after`.
    async fn page(
        &self,
        after: Option<Found>,
        max: usize,
        space: Option<Space>,
    ) -> Result<Vec<Entry>, StoreError>;
}

/// What the index is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// Distinct terms of the query.
    pub terms: Vec<String>,
    /// How many of the last of them are guesses, such as two words written as one: they count where they are found, and
    /// are not taken for misspellings where they are not.
    pub guesses: usize,
    /// The query's vector and the space it lies in.
    pub vector: Option<(Space, Vector)>,
    /// What may be found. With `until`, what was retired only later may be found too: it was current then.
    pub filter: Filter,
    /// How many passages to propose by words and how many by vector, at the most.
    pub limit: usize,
}

/// How well a passage fits the search.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fit {
    /// Its BM25 score; 0 where it has none of the words.
    pub lexical: f32,
    /// The cosine of its vector and the query's, −1..=1; `None` where either is missing.
    pub dense: Option<f32>,
}

/// A passage that stands near a proposed one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// How many passages after (positive) or before (negative) the proposed one, within two.
    pub distance: i8,
    /// How well it fits.
    pub fit: Fit,
    /// How surely the two belong to one sequence, 0..=1: 1 within one document; else how much more alike
    /// neighbouring documents of their kind and scope are than any two of them.
    pub cohesion: f32,
}

/// One passage that the index proposes.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The thing it belongs to.
    pub found: Found,
    /// When that happened.
    pub when: Timestamp,
    /// When something newer took its place.
    pub retired: Option<Timestamp>,
    /// Its number within the document, from 0.
    pub passage: u32,
    /// How many passages the document has.
    pub passages: u32,
    /// How well the passage fits.
    pub fit: Fit,
    /// BM25 of the whole document: its passages as one text.
    pub whole: f32,
    /// Which of the search's terms stand in the document, by their place in [`Search::terms`], ascending.
    pub matched: Vec<u16>,
    /// What stands around it in the same document and, where documents follow one another, in the next ones.
    pub neighbours: Vec<Neighbour>,
    /// Its vector.
    pub vector: Option<Vector>,
}

/// What the index proposes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidates {
    /// Documents that the filter admits.
    pub documents: u64,
    /// In how many of them each of the search's terms stands. Of those that only mention it, in passages of less than
    /// half the full weight, ten count as one.
    pub frequencies: Vec<u64>,
    /// For a term that stands in none of them, the one that it seems to be a misspelling of and that was searched for
    /// in its place.
    pub spelled: Vec<Option<String>>,
    /// The proposed passages in no particular order: the best by their words, the best by their vectors, and what
    /// stands beside the best of either.
    pub proposed: Vec<Candidate>,
}

/// Finds passages.
#[async_trait]
pub trait SearchIndex: Send + Sync {
    /// Proposes candidates; everything that was committed before the call is searched.
    async fn candidates(&self, search: Search) -> Result<Candidates, StoreError>;
}

/// BM25's saturation: how soon another occurrence of a word counts for nothing.
pub const SATURATION: f32 = 0.9;
/// BM25's length normalization, 0..=1: how much a long text is held against its words.
pub const LENGTH_PENALTY: f32 = 0.4;

/// Inverse document frequency (Robertson and Spärck Jones, with the +1 that keeps it positive).
pub fn idf(documents: u64, frequency: u64) -> f32 {
    let (n, df) = (documents as f32, frequency.min(documents) as f32);
    (1.0 + (n - df + 0.5) / (df + 0.5)).ln()
}

/// What `occurrences` of a term of this `idf` are worth in a text of this length against the average length, both in
/// terms: BM25 (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework").
pub fn bm25(idf: f32, occurrences: f32, length: f32, average: f32) -> f32 {
    let norm = SATURATION * (1.0 - LENGTH_PENALTY + LENGTH_PENALTY * length / average.max(1.0));
    idf * occurrences * (SATURATION + 1.0) / (occurrences + norm)
}
