//! How often the tools were used.

use async_trait::async_trait;
use libsql::params;
use memory_core::port::{StoreError, UsageStore};

use crate::TursoStore;
use crate::link::Link;
use crate::row::{Columns, signed};

#[async_trait]
impl UsageStore for TursoStore {
    async fn count_calls(&self, calls: Vec<(String, u64)>) -> Result<Vec<(String, u64)>, StoreError> {
        if calls.is_empty() {
            return self.pool.read(counted).await;
        }
        let count = move |link: &Link| {
            let sql = "INSERT INTO tool_use (tool, calls) VALUES (?1, ?2)
                       ON CONFLICT (tool) DO UPDATE SET calls = calls + excluded.calls";
            for (tool, times) in &calls {
                link.execute(sql, params![tool.as_str(), signed(*times)])?;
            }
            counted(link)
        };
        self.pool.write(count).await
    }
}

fn counted(link: &Link) -> Result<Vec<(String, u64)>, StoreError> {
    link.rows("SELECT tool, calls FROM tool_use ORDER BY tool", (), |row| {
        let mut columns = Columns::of(row);
        Ok((columns.text()?, columns.unsigned()?))
    })
}
