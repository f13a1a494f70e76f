//! What was done, counted over what the episodes teach.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use async_trait::async_trait;
use memory_core::episode::Scope;
use memory_core::port::{Attempted, Choices, ExperienceStore, StoreError};

use super::{InMemoryStore, State, is_within};

impl State {
    fn choices(&self, domain: Option<&str>, state: String) -> Choices {
        let taught = self.taught.values().filter(|taught| is_within(taught.domain.as_deref(), domain));
        let transitions = taught.flat_map(|taught| &taught.teaching.experience.transitions);
        let mut times: BTreeMap<&str, u64> = BTreeMap::new();
        for transition in transitions.filter(|transition| transition.state == state) {
            *times.entry(&transition.tool).or_default() += u64::from(transition.times);
        }
        let mut tools: Vec<(String, u64)> =
            times.into_iter().map(|(tool, times)| (tool.to_owned(), times)).collect();
        // Stable: those of one frequency stay in the order of their names.
        tools.sort_by_key(|(_, times)| Reverse(*times));
        Choices { state, tools }
    }
}

#[async_trait]
impl ExperienceStore for InMemoryStore {
    async fn choices(&self, domain: Option<String>, states: Vec<String>) -> Result<Vec<Choices>, StoreError> {
        let kept = self.state();
        Ok(states.into_iter().map(|state| kept.choices(domain.as_deref(), state)).collect())
    }

    async fn attempts(&self, keys: Vec<u64>, scope: Scope, max: usize) -> Result<Vec<Attempted>, StoreError> {
        let state = self.state();
        let mut attempts = Vec::new();
        for (episode, taught) in &state.taught {
            let project = state.episodes.get(episode).and_then(|of| of.head.brief.scope.project.as_ref());
            let is_in_project = scope.project.is_none() || scope.project.as_ref() == project;
            if !is_in_project || !is_within(taught.domain.as_deref(), scope.domain.as_deref()) {
                continue;
            }
            let (family, at) = (taught.teaching.family, taught.teaching.at);
            let tried = taught.teaching.experience.attempts.iter().copied();
            let asked = tried.filter(|attempt| keys.contains(&attempt.key));
            attempts.extend(asked.map(|attempt| Attempted { episode: *episode, family, at, attempt }));
        }
        attempts.sort_by_key(|attempted| Reverse((attempted.at, attempted.episode)));
        attempts.truncate(max);
        Ok(attempts)
    }
}
