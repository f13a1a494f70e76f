//! Every bound of the cache, with its unit in its name.

use jiff::SignedDuration;

/// The bounds that one cache keeps to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Most entries, episodes and answers together.
    pub(crate) entries_max: usize,
    /// Most bytes of keys and values together. It bounds the time to open a file, too.
    pub(crate) bytes_max: u64,
    /// Longest value, in bytes; a longer one is not kept, as it would displace many others.
    pub(crate) value_bytes_max: usize,
    /// Longest file, in bytes; one that has outgrown this is made anew, because redb's files do not shrink.
    pub(crate) file_bytes_max: u64,
    /// Memory that redb may use for pages, in bytes (its own default is 1 GiB).
    pub(crate) page_cache_bytes_max: usize,
    /// Most changes that are caught up with one by one; after more, emptying the cache is cheaper.
    pub(crate) changes_max: usize,
    /// How long an answer may be repeated.
    pub(crate) answer_age_max: SignedDuration,
}

impl Limits {
    /// What a running program keeps to.
    pub(crate) const STANDARD: Self = Self {
        entries_max: 1_000,
        bytes_max: 4 << 20,
        value_bytes_max: 512 << 10,
        file_bytes_max: 32 << 20,
        page_cache_bytes_max: 2 << 20,
        changes_max: 1_000,
        answer_age_max: SignedDuration::from_mins(15),
    };
}
