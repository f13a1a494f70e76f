//! Where the entries live: a file of their own, or memory where that cannot be had.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

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
    #[error("it is damaged")]
    Damaged,
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

impl Drop for Holding {
    fn drop(&mut self) {
        if let Some(entries) = self.entries.take() {
            close(entries);
        }
    }
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
        if let Some(entries) = failed.entries.take() {
            dispose(entries, reason);
        }
        if failed.backing.is_file()
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(%error, "failed to remove the failed cache file");
        }
        *failed = self.open_memory(Backing::Failed(reason.to_string()));
    }

    /// Starts a new file if the present one has outgrown its bound.
    pub(crate) fn bound(&self, holding: &mut Holding) {
        let outgrown = |file: fs::Metadata| file.len() > self.limits.file_bytes_max;
        if holding.backing.is_file() && fs::metadata(&self.path).is_ok_and(outgrown) {
            if let Some(entries) = holding.entries.take() {
                close(entries);
            }
            *holding = self.open();
        }
    }

    fn open_file(&self) -> Result<Entries, Failure> {
        let file = self.private_file()?;
        let builder = self.builder();
        let db = guarded(|| {
            builder.create_file(file).map_err(|error| match error {
                DatabaseError::DatabaseAlreadyOpen => Failure::Held,
                other => Failure::Redb(other.into()),
            })
        })?;
        // Only now: the length of a file that another process holds is that process's business.
        let length = fs::metadata(&self.path)?.len();
        if length > self.limits.file_bytes_max {
            close(db);
            return Err(Failure::Outgrown(length));
        }
        self.take_over(db)
    }

    fn take_over(&self, db: Database) -> Result<Entries, Failure> {
        let mut entries = Entries::new(db, self.limits);
        match guarded(|| entries.take_over(&self.stamp)) {
            Ok(()) => Ok(entries),
            Err(failure) => {
                dispose(entries, &failure);
                Err(failure)
            }
        }
    }

    fn builder(&self) -> redb::Builder {
        let mut builder = Database::builder();
        builder.set_cache_size(self.limits.page_cache_bytes_max);
        builder
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
        match backing {
            // Two editor windows are the normal case.
            Backing::Held => tracing::info!(path = %self.path.display(), %backing, "the cache opens"),
            _ => tracing::warn!(path = %self.path.display(), %backing, "the cache opens"),
        }
        let builder = self.builder();
        let memory = InMemoryBackend::new();
        let create = || Ok(builder.create_with_backend(memory).map_err(redb::Error::from)?);
        match guarded(create).and_then(|db| self.take_over(db)) {
            Ok(entries) => Holding { entries: Some(entries), backing },
            Err(error) => {
                tracing::error!(%error, "there is no cache");
                Holding { entries: None, backing: Backing::Off(error.to_string()) }
            }
        }
    }
}

/// redb writes when it closes, and may fail there too.
fn close(opened: impl Sized) {
    let close = || {
        drop(opened);
        Ok(())
    };
    if guarded(close).is_err() {
        tracing::warn!("redb panicked while it closed the cache; the next start makes the file anew");
    }
}

/// Gets rid of entries that failed. What redb left behind when it panicked is not even closed: a second panic there
/// would abort the process. It costs a little memory and a file handle, once in the life of a process.
fn dispose(entries: Entries, failure: &Failure) {
    match failure {
        Failure::Panicked => std::mem::forget(entries),
        _ => close(entries),
    }
}

/// Runs redb code. On a damaged file it may panic where it relies on what it once wrote.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Failure::Panicked))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Bench, LIMITS, episode};

    /// Opens what `spoil` made of a good file, reads through it, writes to it, and opens it once more.
    fn after(spoil: impl FnOnce(&std::path::Path)) -> Backing {
        let bench = Bench::new();
        let id = bench.store.add(episode("warm"));
        let cache = bench.open();
        bench.get(&cache, id);
        drop(cache);
        spoil(&bench.path);
        let cache = bench.open();
        assert_eq!(
            bench.get(&cache, id),
            bench.store.now(id),
            "the read is right whatever became of the file"
        );
        let backing = cache.status().backing;
        bench.get(&cache, id);
        assert_eq!(cache.status().counts.hits, if backing == Backing::Kept { 2 } else { 1 });
        drop(cache);
        let again = if backing.is_file() { Backing::Kept } else { backing.clone() };
        assert_eq!(bench.open().status().backing, again, "what was made anew is good");
        backing
    }

    #[test]
    fn a_file_survives_a_restart() {
        assert_eq!(after(|_| {}), Backing::Kept);
    }

    #[test]
    fn a_deleted_file_is_created() {
        assert_eq!(after(|path| fs::remove_file(path).unwrap()), Backing::Created);
        assert_eq!(after(|path| fs::remove_dir_all(path.parent().unwrap()).unwrap()), Backing::Created);
        assert_eq!(after(|path| fs::write(path, []).unwrap()), Backing::Created);
    }

    #[test]
    fn a_useless_file_is_made_anew() {
        let noise: Vec<u8> = (0..200_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let cut = |path: &std::path::Path, bytes: u64| {
            OpenOptions::new().write(true).open(path).unwrap().set_len(bytes).unwrap();
        };
        let spoils: [&dyn Fn(&std::path::Path); 6] = [
            &|path| fs::write(path, &noise).unwrap(),
            &|path| fs::write(path, b"SQLite format 3\0").unwrap(),
            &|path| cut(path, 100),
            &|path| cut(path, 6_000),
            &|path| cut(path, fs::metadata(path).unwrap().len() / 2),
            &|path| cut(path, 2 * LIMITS.file_bytes_max),
        ];
        for (number, spoil) in spoils.into_iter().enumerate() {
            let backing = after(spoil);
            assert!(matches!(backing, Backing::Recreated(_)), "spoil {number}: {backing:?}");
        }
    }

    /// redb's header: 9 bytes of magic number, flags, padding, and at 64 and 192 two commit slots that begin with the
    /// version of the file format.
    #[test]
    fn a_file_of_another_redb_version_is_made_anew() {
        for version in [2, 200] {
            let backing = after(|path| {
                let mut bytes = fs::read(path).unwrap();
                assert_eq!((bytes[64], bytes[192]), (3, 3), "the version of redb 4");
                (bytes[64], bytes[192]) = (version, version);
                fs::write(path, bytes).unwrap();
            });
            assert!(matches!(backing, Backing::Recreated(_)), "{version}: {backing:?}");
        }
    }

    #[test]
    fn damage_anywhere_in_the_file_never_shows() {
        let bench = Bench::new();
        let ids: Vec<_> = (0..LIMITS.entries_max)
            .map(|i| bench.store.add(episode(&format!("task {i}").repeat(200))))
            .collect();
        let cache = bench.open();
        ids.iter().for_each(|id| drop(bench.get(&cache, *id)));
        drop(cache);
        let good = fs::read(&bench.path).unwrap();
        let used: Vec<_> = (0..good.len()).filter(|at| good[*at] != 0).collect();
        for at in used.iter().copied().step_by(used.len() / 100) {
            let mut bad = good.clone();
            bad[at..good.len().min(at + 3)].iter_mut().for_each(|byte| *byte ^= 1);
            fs::write(&bench.path, bad).unwrap();
            let cache = bench.open();
            for id in &ids {
                assert_eq!(bench.get(&cache, *id), bench.store.now(*id), "byte {at}");
            }
            cache.flush();
        }
    }

    #[test]
    fn a_file_held_by_another_process_is_left_to_it() {
        let bench = Bench::new();
        let id = bench.store.add(episode("shared"));
        let (first, second) = (bench.open(), bench.open());
        assert_eq!(second.status().backing, Backing::Held);
        for cache in [&first, &second, &first, &second] {
            bench.get(cache, id);
        }
        assert_eq!((first.status().counts.hits, second.status().counts.hits), (1, 1), "both cache");
        drop(second);
        drop(first);
        assert_eq!(bench.open().status().backing, Backing::Kept);
    }

    #[test]
    fn without_a_writable_place_memory_serves() {
        let mut bench = Bench::new();
        let id = bench.store.add(episode("homeless"));
        fs::create_dir_all(bench.path.parent().unwrap()).unwrap();
        fs::write(&bench.path, "a file where a directory is needed").unwrap();
        bench.path.push("cache.redb");
        let cache = bench.open();
        assert!(matches!(cache.status().backing, Backing::Unwritable(_)));
        bench.get(&cache, id);
        bench.get(&cache, id);
        assert_eq!(cache.status().counts.hits, 1);
    }

    #[test]
    fn a_crash_leaves_what_was_flushed() {
        let bench = Bench::new();
        let (kept, lost) = (bench.store.add(episode("kept")), bench.store.add(episode("lost")));
        let cache = bench.open();
        bench.get(&cache, kept);
        cache.flush();
        bench.store.retitle(kept, "changed after the flush");
        bench.get(&cache, kept);
        bench.get(&cache, lost);
        let mut crashed = Bench::new();
        crashed.store = bench.store.clone();
        crashed.path = bench.path.with_extension("crashed");
        fs::copy(&bench.path, &crashed.path).unwrap();
        let cache = crashed.open();
        assert_eq!(cache.status().backing, Backing::Kept);
        assert_eq!(cache.status().entries, 1);
        assert_eq!(crashed.get(&cache, kept), crashed.store.now(kept), "not the one that was flushed");
    }

    #[test]
    fn the_cache_of_another_store_is_not_used() {
        let mut bench = Bench::new();
        let id = bench.store.add(episode("ours"));
        let cache = bench.open();
        bench.get(&cache, id);
        drop(cache);
        bench.store_id = uuid::Uuid::from_u128(2);
        bench.store.replace(id, "theirs, under the same id and change_seq");
        let cache = bench.open();
        assert!(matches!(cache.status().backing, Backing::Recreated(_)));
        assert_eq!(bench.get(&cache, id), bench.store.now(id));
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_the_file() {
        let bench = Bench::new();
        let _cache = bench.open();
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&bench.path).unwrap().permissions());
        assert_eq!(mode & 0o077, 0);
    }

    #[test]
    fn a_file_that_outgrows_its_bound_starts_again() {
        let mut bench = Bench::new();
        bench.limits.bytes_max = u64::MAX;
        bench.limits.entries_max = usize::MAX;
        let cache = bench.open();
        let mut longest = 0;
        for i in 0..120 {
            let id = bench.store.add(episode(&format!("{i} {}", "x".repeat(20_000))));
            assert_eq!(bench.get(&cache, id), bench.store.now(id));
            longest = longest.max(fs::metadata(&bench.path).unwrap().len());
        }
        assert!(longest <= LIMITS.file_bytes_max, "{longest} bytes");
        assert!(matches!(cache.status().backing, Backing::Recreated(_)));
    }

    #[test]
    fn a_failing_file_gives_way_to_memory() {
        let bench = Bench::new();
        let id = bench.store.add(episode("before"));
        let cache = bench.open();
        bench.get(&cache, id);
        let failed: Option<()> = cache.attempt(|_| panic!("as redb does on a damaged page"));
        assert_eq!(failed, None);
        assert!(matches!(cache.status().backing, Backing::Failed(_)));
        assert!(!bench.path.exists(), "a file that failed is not opened again");
        assert_eq!(bench.get(&cache, id), bench.store.now(id));
        bench.get(&cache, id);
        assert_eq!((cache.status().counts.failures, cache.status().counts.hits), (1, 1));
    }
}
