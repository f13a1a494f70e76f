//! Patterns: what identifies them, and the evidence that everything else about them is computed from.

use std::collections::{BTreeSet, HashSet};

use async_trait::async_trait;
use jiff::Timestamp;
use memory_core::extract::Finding;
use memory_core::id::{EpisodeId, PatternId};
use memory_core::job::Job;
use memory_core::pattern::{Pattern, PatternBody, Tally};
use memory_core::port::{PatternStore, StoreError};
use memory_core::retrieve::{Found, Lesson, Lessons};

use super::{InMemoryStore, State};

/// What makes two findings the same pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PatternKey {
    body: PatternBody,
    domain: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Evidence {
    credit: f64,
    detail: Option<String>,
    at: Timestamp,
}

impl State {
    /// The pattern, if there is evidence of it.
    pub(super) fn pattern(&self, id: PatternId) -> Option<Pattern> {
        let PatternKey { body, domain } = self.patterns.get(&id)?.clone();
        let mut tally = Tally::default();
        let mut last_seen = Timestamp::MIN;
        for (_, evidence) in self.evidence.iter().filter(|((pattern, _), _)| *pattern == id) {
            tally.add(evidence.credit);
            last_seen = last_seen.max(evidence.at);
        }
        (tally.episodes > 0).then_some(Pattern { id, body, domain, tally, last_seen })
    }

    /// Takes back what an episode was evidence of; returns the patterns.
    fn retract(&mut self, episode: EpisodeId) -> BTreeSet<PatternId> {
        let retracted: BTreeSet<PatternId> =
            self.evidence.keys().filter(|(_, of)| *of == episode).map(|(pattern, _)| *pattern).collect();
        self.evidence.retain(|(_, of), _| *of != episode);
        retracted
    }

    fn pattern_id(&mut self, key: PatternKey, new: PatternId) -> PatternId {
        let known = self.patterns.iter().find(|(_, known)| **known == key).map(|(id, _)| *id);
        known.unwrap_or_else(|| {
            self.patterns.insert(new, key);
            new
        })
    }

    fn lesson(&self, id: PatternId, episodes: &[EpisodeId]) -> Option<Lesson> {
        let shown_by: Vec<EpisodeId> =
            episodes.iter().copied().filter(|episode| self.evidence.contains_key(&(id, *episode))).collect();
        let detail = shown_by.iter().find_map(|episode| self.evidence[&(id, *episode)].detail.clone());
        (!shown_by.is_empty()).then_some(Lesson { pattern: self.pattern(id)?, shown_by, detail })
    }

    fn domain(&self, id: EpisodeId) -> Option<&Option<String>> {
        Some(&self.episodes.get(&id)?.head.brief.scope.domain)
    }
}

#[async_trait]
impl PatternStore for InMemoryStore {
    async fn record(
        &self,
        job: Job,
        findings: Vec<(PatternId, Finding)>,
        at: Timestamp,
    ) -> Result<Vec<PatternId>, StoreError> {
        let mut state = self.state();
        let mut touched = state.retract(job.episode_id);
        let mut supported = Vec::new();
        // What was deleted while it was studied must not teach anything.
        if let Some(domain) = state.domain(job.episode_id).cloned() {
            for (new, Finding { body, credit, detail }) in findings {
                let id = state.pattern_id(PatternKey { body, domain: domain.clone() }, new);
                state.evidence.insert((id, job.episode_id), Evidence { credit, detail, at });
                supported.push(id);
            }
        }
        touched.extend(&supported);
        for id in touched {
            if state.pattern(id).is_none() {
                state.patterns.remove(&id);
            }
            state.changed(Found::Pattern(id));
        }
        state.jobs.retain(|kept| kept.id() != job.id);
        Ok(supported)
    }

    async fn lessons(&self, episodes: Vec<EpisodeId>) -> Result<Lessons, StoreError> {
        let state = self.state();
        let domains: HashSet<&Option<String>> = episodes.iter().filter_map(|id| state.domain(*id)).collect();
        let mut base = Tally::default();
        for head in state.episodes.values().map(|episode| &episode.head) {
            if domains.contains(&head.brief.scope.domain)
                && let Some(credit) = head.outcome().and_then(|outcome| outcome.credit())
            {
                base.add(credit);
            }
        }
        Ok(Lessons {
            lessons: state.patterns.keys().filter_map(|id| state.lesson(*id, &episodes)).collect(),
            base,
        })
    }
}
