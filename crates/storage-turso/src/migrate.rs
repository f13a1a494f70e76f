//! The schema and its versions: numbered files in `migrations/`, applied forward only, each in a transaction.

use std::time::{Duration, Instant};

use memory_core::port::StoreError;

use crate::limits::{BUSY_PAUSE_MILLIS_MAX, BUSY_TIMEOUT};
use crate::link::Link;

/// The migrations in order; the schema version is how many were applied.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/0001_initial.sql"),
    include_str!("../../../migrations/0002_recall.sql"),
];

/// Brings the database up to the newest schema. Two processes may do this at the same time.
pub(crate) fn up(link: &Link, path: &str) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as u32;
    // Looked at first, so that a database of a newer version is left exactly as it is.
    refuse_newer(version(link)?, known, path)?;
    keep_log(link)?;
    while version(link)? < known {
        link.transaction(|link| {
            // Read again under the write lock: another process may have been faster.
            let applied = version(link)?;
            refuse_newer(applied, known, path)?;
            let Some(migration) = MIGRATIONS.get(applied as usize) else { return Ok(()) };
            link.batch(migration)?;
            link.batch(&format!("PRAGMA user_version = {}", applied + 1))
        })?;
    }
    Ok(())
}

/// Has SQLite keep a write-ahead log. Of several processes that ask for it on a new database at the same time only one
/// is let through; SQLite turns the others away without the wait that it was told of.
fn keep_log(link: &Link) -> Result<(), StoreError> {
    let begun = Instant::now();
    loop {
        match link.batch("PRAGMA journal_mode = WAL") {
            Err(StoreError::Busy) if begun.elapsed() < BUSY_TIMEOUT => {
                std::thread::sleep(Duration::from_millis(fastrand::u64(..BUSY_PAUSE_MILLIS_MAX)));
            }
            done => return done,
        }
    }
}

/// The schema version of the database; 0 for an empty one.
pub(crate) fn version(link: &Link) -> Result<u32, StoreError> {
    Ok(u32::try_from(link.number("PRAGMA user_version", ())?).unwrap_or(u32::MAX))
}

fn refuse_newer(found: u32, known: u32, path: &str) -> Result<(), StoreError> {
    if found > known { Err(StoreError::Newer { path: path.to_owned(), found, known }) } else { Ok(()) }
}
