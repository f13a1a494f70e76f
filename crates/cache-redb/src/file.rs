//! Where the entries live: a file of their own, or memory where that cannot be had.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError};

use crate::entries::Entries;
use crate::limits::Limits;

/// What holds the cache, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backing {
    /// The file that was there already.
    Kept,
    /// A new file; there was none.
    Created,
    /// A new file in place of one that was no use, for this reason.
    Recreated(String),
    /// Memory: another process holds the file.
    Held,
    /// Memory: no file can be written, for this reason.
    Unwritable(String),
    /// Memory: the file failed while it was in use, for this reason. It was removed.
    Failed(String),
    /// Nothing, for this reason. Every read goes to the store.
    Off(String),
}

impl Backing {
    /// Whether what is cached now can outlive the process.
    pub fn is_file(&self) -> bool {
        matches!(self, Self::Kept | Self::Created | Self::Recreated(_))
    }
}

impl fmt::Display for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("file"),
            Self::Created => f.write_str("file, created at start"),
            Self::Recreated(reason) => write!(f, "file, made anew: {reason}"),
            Self::Held => f.write_str("memory: another process holds the file"),
            Self::Unwritable(reason) => write!(f, "memory: the file cannot be written: {reason}"),
            Self::Failed(reason) => write!(f, "memory: the file failed and was removed: {reason}"),
            Self::Off(reason) => write!(f, "off: {reason}"),
        }
    }
}

/// Why a file is no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("another process holds it")]
    Held,
    #[error("it was written for another store or by another version of the program")]
    Foreign,
    #[error("it had grown to {0} bytes")]
    Outgrown(u64),
    #[error("redb panicked; the message is in the log")]
    Panicked,
    #[error("redb reported: {0}")]
    Redb(#[from] redb::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What is needed to open the entries again.
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) stamp: String,
    pub(crate) limits: Limits,
}

/// The entries and what holds them.
pub(crate) struct Holding {
    pub(crate) entries: Option<Entries>,
    pub(crate) backing: Backing,
}

impl Place {
    /// Opens the entries, in the file if that can be had at once. Whatever else is at the path is removed.
    pub(crate) fn open(&self) -> Holding {
        let existed = fs::metadata(&self.path).is_ok_and(|file| file.len() > 0);
        let useless = match self.open_file() {
            Ok(entries) => {
                let backing = if existed { Backing::Kept } else { Backing::Created };
                return Holding { entries: Some(entries), backing };
            }
            Err(Failure::Held) => return self.open_memory(Backing::Held),
            Err(useless) => useless,
        };
        // Should another process have put its own new file here since, it goes on with that one, now nameless, and
        // loses a derived copy when it ends. Emptying the file instead would pull it from under that process.
        match fs::remove_file(&self.path).map_err(Failure::from).and_then(|()| self.open_file()) {
            Ok(entries) => {
                tracing::warn!(path = %self.path.display(), reason = %useless, "the cache file was made anew");
                Holding { entries: Some(entries), backing: Backing::Recreated(useless.to_string()) }
            }
            Err(Failure::Held) => self.open_memory(Backing::Held),
            Err(_) => self.open_memory(Backing::Unwritable(useless.to_string())),
        }
    }

    /// Replaces entries that failed by empty ones in memory. They do not go back to a file: it would only fail again.
    pub(crate) fn replace(&self, failed: &mut Holding, reason: &Failure) {
        self.close(failed);
        let was_file = failed.backing.is_file();
        if was_file && let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "failed to remove the failed cache file");
        }
        *failed = self.open_memory(Backing::Failed(reason.to_string()));
    }

    /// Starts a new file if the present one has outgrown its bound.
    pub(crate) fn bound(&self, holding: &mut Holding) {
        let outgrown = |file: fs::Metadata| file.len() > self.limits.file_bytes_max;
        if holding.backing.is_file() && fs::metadata(&self.path).is_ok_and(outgrown) {
            self.close(holding);
            *holding = self.open();
        }
    }

    fn close(&self, holding: &mut Holding) {
        // redb writes when it closes, and what made it fail before can make it panic now.
        let entries = holding.entries.take();
        if guarded(|| {
            drop(entries);
            Ok(())
        })
        .is_err()
        {
            tracing::debug!("redb panicked on close");
        }
    }

    fn open_file(&self) -> Result<Entries, Failure> {
        let file = self.private_file()?;
        let opened = guarded(|| {
            let db = Database::builder()
                .set_cache_size(self.limits.page_cache_bytes_max)
                .create_file(file)
                .map_err(|error| match error {
                DatabaseError::DatabaseAlreadyOpen => Failure::Held,
                other => Failure::Redb(other.into()),
            })?;
            // Only now: the length of a file that another process holds is that process's business.
            let length = fs::metadata(&self.path)?.len();
            if length > self.limits.file_bytes_max {
                return Err(Failure::Outgrown(length));
            }
            Ok(Entries::open(db, &self.stamp, self.limits, self.limits.file_entries_bytes_max)?)
        });
        opened?.ok_or(Failure::Foreign)
    }

    /// The cache repeats what the store holds, so nobody else may read it either.
    fn private_file(&self) -> io::Result<File> {
        if let Some(parent) = self.path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.path)
    }

    fn open_memory(&self, backing: Backing) -> Holding {
        tracing::info!(path = %self.path.display(), %backing, "the cache is kept in memory");
        let opened = guarded(|| {
            let db = Database::builder()
                .set_cache_size(self.limits.page_cache_bytes_max)
                .create_with_backend(InMemoryBackend::new())
                .map_err(redb::Error::from)?;
            Ok(Entries::open(db, &self.stamp, self.limits, self.limits.memory_entries_bytes_max)?)
        });
        match opened.and_then(|entries| entries.ok_or(Failure::Foreign)) {
            Ok(entries) => Holding { entries: Some(entries), backing },
            Err(error) => {
                tracing::error!(%error, "there is no cache");
                Holding { entries: None, backing: Backing::Off(error.to_string()) }
            }
        }
    }
}

/// Runs redb code. On a damaged file it may panic where it relies on what it once wrote.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Failure::Panicked))
}
