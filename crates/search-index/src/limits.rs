//! Every bound of the search index, with its unit in its name.

use std::time::Duration;

use memory_core::limits::{GUESSES_MAX, QUERY_TERMS_MAX};

/// The bounds that one index keeps to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Documents in memory after which they are written to a file.
    pub(crate) tail_documents_max: u64,
    /// Documents in memory from which on closing writes them to a file; fewer are read again sooner than that.
    pub(crate) closing_documents_min: u64,
    /// Documents that are made into one segment at a time when the index is made anew.
    pub(crate) chunk_documents: usize,
    /// Distinct terms of their passages of which the same holds.
    pub(crate) chunk_terms: usize,
    /// How many segments of about one size there may be; that many are merged into one.
    pub(crate) merge_factor: usize,
    /// Changes that are caught up with one by one, whatever the index holds. With more than this and more than half as
    /// many as there are documents, making it anew is cheaper.
    pub(crate) changes_max: u64,
    /// Passages up to which a search runs at once on the caller's thread: less work than to wake another one.
    pub(crate) inline_passages_max: u64,
    /// Documents up to which an index of another vector space is made anew before the search is answered.
    pub(crate) inline_rebuild_documents_max: u64,
    /// Vectors in a segment from which on they are looked through by codes of two bits a number first.
    pub(crate) coarse_vectors_min: usize,
    /// Bytes of vectors from which on they are compared on a thread of their own, beside the words.
    pub(crate) parallel_vector_bytes: usize,
    /// How long the first build waits for another process that is writing to the directory.
    pub(crate) lock_wait: Duration,
    /// How long a directory that could not be written is left alone.
    pub(crate) disk_retry: Duration,
}

impl Limits {
    /// What a running program keeps to.
    pub(crate) const STANDARD: Self = Self {
        tail_documents_max: 512,
        closing_documents_min: 64,
        chunk_documents: 4_096,
        chunk_terms: 131_072,
        merge_factor: 8,
        changes_max: 8_192,
        inline_passages_max: 2_000,
        inline_rebuild_documents_max: 4_096,
        coarse_vectors_min: 1 << 16,
        parallel_vector_bytes: 8 << 20,
        lock_wait: Duration::from_secs(30),
        disk_retry: Duration::from_secs(60),
    };
}

/// Entries that are fetched from the corpus at a time.
pub(crate) const ENTRIES_PAGE_MAX: usize = 64;
/// Changes that are fetched at a time.
pub(crate) const CHANGES_PAGE_MAX: usize = 1_024;
/// Most passages proposed by words and by vectors, each.
pub(crate) const PROPOSED_PASSAGES_MAX: usize = 4_096;
/// Passages of one document among the best by words, and among the best by vectors.
pub(crate) const DOCUMENT_PASSAGES_MAX: usize = 3;
/// Best passages of either kind whose neighbours are proposed too.
pub(crate) const NEIGHBOURED_PASSAGES_MAX: usize = 20;
/// How far neighbours are from each other, in passages.
pub(crate) const NEIGHBOUR_DISTANCE_MAX: i8 = 2;
/// Shortest term that is taken for a misspelling when nothing has it, in characters.
pub(crate) const MISSPELLED_CHARS_MIN: usize = 5;
/// How much longer or shorter than the term a word may be that has it as its beginning or is its beginning, in
/// characters.
pub(crate) const PREFIX_CHARS_DIFFERENCE_MAX: usize = 2;
/// Documents that only mention a term in passing which count as one that says it.
pub(crate) const MENTIONS_AS_SAID: u64 = 10;
/// Terms of a search that are looked for: all that a query has.
pub(crate) const TERMS_MAX: usize = QUERY_TERMS_MAX + GUESSES_MAX;
/// Pairs of notes that are compared at each distance, and at random, to see whether a group of them is a sequence.
pub(crate) const SEQUENCE_PAIRS_MAX: usize = 256;
/// Notes that a group needs before it can be a sequence.
pub(crate) const SEQUENCE_NOTES_MIN: u64 = 16;
/// Terms of a document kept for such comparisons.
pub(crate) const SKETCH_TERMS_MAX: usize = 48;
/// Documents that a merge reads between two looks at whether it is to stop.
pub(crate) const STOP_CHECK_TERMS: usize = 1_024;
/// Longest term that is indexed, in bytes; a longer one is cut there by whoever makes the documents.
pub(crate) const TERM_BYTES_MAX: usize = 1_024;
