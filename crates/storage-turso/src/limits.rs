//! The bounds of this adapter.

use std::time::Duration;

/// Connections that read at the same time. SQLite has one writer at a time, so there is one more for writing.
pub(crate) const READERS_MAX: usize = 4;
/// How long SQLite itself waits for another process's lock.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a write waits that long before it gives up.
pub(crate) const BUSY_ATTEMPTS_MAX: u32 = 6;
/// Longest pause before the next attempt; the pause is random, so that two processes do not stay in step.
pub(crate) const BUSY_PAUSE_MILLIS_MAX: u64 = 50;
/// Memory that one connection may use for pages, in KiB.
pub(crate) const PAGE_CACHE_KIB: u32 = 2 * 1024;
/// Size of the write-ahead log from which on it is moved into the database, in bytes.
pub(crate) const LOG_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// How long that waits for other connections before it is put off.
pub(crate) const CHECKPOINT_WAIT: Duration = Duration::from_millis(50);
/// Changes that are kept one by one; a cache further behind than this starts afresh.
pub(crate) const CHANGES_KEPT: u64 = 100_000;
/// How often the older ones are removed, in changes.
pub(crate) const CHANGES_PRUNED_EVERY: u64 = 1_000;
/// Rows of vectors that are deleted in one transaction.
pub(crate) const EMBEDDINGS_DELETED_AT_ONCE: u64 = 500;
/// How long others may write before the next ones are.
pub(crate) const EMBEDDINGS_DELETED_PAUSE: Duration = Duration::from_millis(10);
