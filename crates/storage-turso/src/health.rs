//! What an operator wants to know of the database.

use async_trait::async_trait;
use memory_core::port::{StoreCounts, StoreError, StoreHealth};

use crate::TursoStore;
use crate::migrate::version;

#[async_trait]
impl StoreHealth for TursoStore {
    async fn counts(&self) -> Result<StoreCounts, StoreError> {
        self.pool
            .read(|link| {
                Ok(StoreCounts {
                    episodes: link.number("SELECT count(*) FROM episode", ())?,
                    open_episodes: link
                        .number("SELECT count(*) FROM episode WHERE completed_at IS NULL", ())?,
                    steps: link.number("SELECT coalesce(sum(step_count), 0) FROM episode", ())?,
                    notes: link.number("SELECT count(*) FROM note WHERE superseded_by IS NULL", ())?,
                    superseded_notes: link
                        .number("SELECT count(*) FROM note WHERE superseded_by IS NOT NULL", ())?,
                    patterns: link.number("SELECT count(*) FROM shown_pattern", ())?,
                    bytes: link.number("PRAGMA page_count", ())? * link.number("PRAGMA page_size", ())?,
                    schema_version: version(link)?,
                })
            })
            .await
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        let found = self
            .pool
            .read(|link| link.rows("PRAGMA integrity_check", (), |row| row.get::<String>(0)))
            .await?;
        Ok(found.into_iter().filter(|line| line != "ok").collect())
    }
}
