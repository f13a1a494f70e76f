//! The log of changes that caches follow.

use async_trait::async_trait;
use libsql::params;
use memory_core::port::{Change, ChangeLog, StoreError};
use memory_core::retrieve::Found;

use crate::TursoStore;
use crate::episodes::snapshot;
use crate::limits::{CHANGES_KEPT, CHANGES_PRUNED_EVERY};
use crate::link::Link;
use crate::row::{Columns, kind_and_id, signed};

/// Logs a change as part of the transaction that makes it.
pub(crate) fn record(link: &Link, found: Found) -> Result<(), StoreError> {
    let (kind, id) = kind_and_id(found);
    link.execute("INSERT INTO change (kind, id) VALUES (?1, ?2)", params![kind.name(), id])?;
    let seq = u64::try_from(link.last_key()).unwrap_or(0);
    if seq.is_multiple_of(CHANGES_PRUNED_EVERY) {
        link.execute("DELETE FROM change WHERE seq <= ?1", [signed(seq.saturating_sub(CHANGES_KEPT))])?;
    }
    Ok(())
}

fn last(link: &Link) -> Result<u64, StoreError> {
    link.number("SELECT coalesce(max(seq), 0) FROM change", ())
}

#[async_trait]
impl ChangeLog for TursoStore {
    async fn change_seq(&self) -> Result<u64, StoreError> {
        self.pool.read(last).await
    }

    async fn changes_after(&self, seq: u64, max: usize) -> Result<Option<Vec<Change>>, StoreError> {
        self.pool
            .read(move |link| {
                snapshot(link, |link| {
                    let sql = "SELECT seq, kind, id FROM change WHERE seq > ?1 ORDER BY seq LIMIT ?2";
                    let changes = link.rows(sql, params![signed(seq), signed(max as u64)], |row| {
                        let mut columns = Columns::of(row);
                        Ok(Change { seq: columns.unsigned()?, found: columns.found()? })
                    })?;
                    // One after the other without a gap, or some were pruned (or this is another database).
                    let whole = match changes.first() {
                        Some(first) => first.seq == seq + 1,
                        None => last(link)? == seq,
                    };
                    Ok(whole.then_some(changes))
                })
            })
            .await
    }
}
