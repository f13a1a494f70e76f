//! How often the tools were used.

use async_trait::async_trait;
use libsql::params;
use memory_core::port::{StoreError, UsageStore};

use crate::TursoStore;
use crate::link::Link;
use crate::row::{Columns, signed};

#[async_trait]
impl UsageStore for TursoStore {
    async fn count_calls(
        &self,
        user: String,
        calls: Vec<(String, u64)>,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        if calls.is_empty() {
            return self.pool.read(move |link| counted(link, &user)).await;
        }
        let count = move |link: &Link| {
            let sql = "INSERT INTO tool_use (user, tool, calls) VALUES (?1, ?2, ?3)
                       ON CONFLICT (user, tool) DO UPDATE SET calls = calls + excluded.calls";
            for (tool, times) in &calls {
                link.execute(sql, params![user.as_str(), tool.as_str(), signed(*times)])?;
            }
            counted(link, &user)
        };
        self.pool.write(count).await
    }
}

fn counted(link: &Link, user: &str) -> Result<Vec<(String, u64)>, StoreError> {
    link.rows("SELECT tool, calls FROM tool_use WHERE user = ?1 ORDER BY tool", params![user], |row| {
        let mut columns = Columns::of(row);
        Ok((columns.text()?, columns.unsigned()?))
    })
}
