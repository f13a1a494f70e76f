//! How often the tools were used.

use async_trait::async_trait;
use memory_core::port::{StoreError, UsageStore};

use super::InMemoryStore;

#[async_trait]
impl UsageStore for InMemoryStore {
    async fn count_calls(&self, calls: Vec<(String, u64)>) -> Result<Vec<(String, u64)>, StoreError> {
        let usage = &mut self.state().usage;
        for (tool, times) in calls {
            *usage.entry(tool).or_default() += times;
        }
        Ok(usage.iter().map(|(tool, times)| (tool.clone(), *times)).collect())
    }
}
