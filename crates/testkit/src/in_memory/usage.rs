//! How often the tools were used.

use async_trait::async_trait;
use memory_core::port::{StoreError, UsageStore};

use super::InMemoryStore;

#[async_trait]
impl UsageStore for InMemoryStore {
    async fn count_calls(
        &self,
        user: String,
        calls: Vec<(String, u64)>,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        let state = &mut self.state();
        let usage = state.usage.entry(user).or_default();
        for (tool, times) in calls {
            *usage.entry(tool).or_default() += times;
        }
        Ok(usage.iter().map(|(tool, times)| (tool.clone(), *times)).collect())
    }
}
