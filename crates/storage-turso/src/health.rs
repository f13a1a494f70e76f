//! What an operator wants to know of the database.

use async_trait::async_trait;
use memory_core::port::{StoreCounts, StoreError, StoreHealth};

use crate::TursoStore;
use crate::allowed::is_allowed;
use crate::migrate::version;

/// A number of what may be seen in a table.
macro_rules! counted {
    ($what:literal, $table:literal, $condition:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM ",
            $table,
            " WHERE ",
            $condition,
            " AND ",
            is_allowed!("domain", "?1")
        )
    };
}

#[async_trait]
impl StoreHealth for TursoStore {
    async fn counts(&self) -> Result<StoreCounts, StoreError> {
        let allowed = self.allowed.clone();
        self.pool
            .read(move |link| {
                let own = || [allowed.domains()];
                Ok(StoreCounts {
                    episodes: link.number(counted!("count(*)", "episode", "1"), own())?,
                    open_episodes: link
                        .number(counted!("count(*)", "episode", "completed_at IS NULL"), own())?,
                    steps: link.number(counted!("coalesce(sum(step_count), 0)", "episode", "1"), own())?,
                    notes: link.number(counted!("count(*)", "note", "superseded_by IS NULL"), own())?,
                    superseded_notes: link
                        .number(counted!("count(*)", "note", "superseded_by IS NOT NULL"), own())?,
                    patterns: link.number(counted!("count(*)", "shown_pattern", "1"), own())?,
                    // It tells how much others have stored.
                    bytes: if allowed.access().is_everything() {
                        link.number("PRAGMA page_count", ())? * link.number("PRAGMA page_size", ())?
                    } else {
                        0
                    },
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
