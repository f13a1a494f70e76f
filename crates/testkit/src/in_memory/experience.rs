//! What was done, counted over what the episodes teach.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use async_trait::async_trait;
use memory_core::access::Access;
use memory_core::episode::{Scope, Step, StepResult};
use memory_core::id::EpisodeId;
use memory_core::limits::{COMPARED_CHARS_MAX, COURSE_STEPS_MAX};
use memory_core::port::{Attempted, Choices, ExperienceStore, StoreError};

use super::{InMemoryStore, State, is_within};

impl State {
    fn choices(&self, access: &Access, domain: Option<&str>, state: String) -> Choices {
        let is_asked_for = |of: Option<&str>| access.sees(of) && is_within(of, domain);
        let taught = self.taught.values().filter(|taught| is_asked_for(taught.domain.as_deref()));
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
        Ok(states.into_iter().map(|state| kept.choices(&self.access, domain.as_deref(), state)).collect())
    }

    async fn courses(&self, episodes: Vec<EpisodeId>) -> Result<Vec<(EpisodeId, Vec<Step>)>, StoreError> {
        let state = self.state();
        let start = |text: &mut Option<String>| {
            if let Some(text) = text {
                *text = text.chars().take(COMPARED_CHARS_MAX).collect();
            }
        };
        let course = |id: EpisodeId| {
            let episode = state.episodes.get(&id).filter(|episode| self.sees(episode.domain()))?;
            let mut steps = episode.steps.clone();
            steps.truncate(COURSE_STEPS_MAX);
            for step in &mut steps {
                let call = &mut step.call;
                (call.external_id, call.observation, call.duration_ms) = (None, None, None);
                start(&mut call.action);
                start(&mut call.args);
                if let StepResult::Failed { error } = &mut call.result {
                    error.clear();
                }
            }
            (!steps.is_empty()).then_some((id, steps))
        };
        Ok(episodes.into_iter().filter_map(course).collect())
    }

    async fn attempts(&self, keys: Vec<u64>, scope: Scope, max: usize) -> Result<Vec<Attempted>, StoreError> {
        let state = self.state();
        let mut attempts = Vec::new();
        for (episode, taught) in &state.taught {
            let project = state.episodes.get(episode).and_then(|of| of.head.brief.scope.project.as_ref());
            let is_in_project = scope.project.is_none() || scope.project.as_ref() == project;
            let of = taught.domain.as_deref();
            if !is_in_project || !self.sees(of) || !is_within(of, scope.domain.as_deref()) {
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
