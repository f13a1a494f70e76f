//! Patterns: each episode keeps what it teaches, and everything about a pattern is computed from that when it is asked for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;
use memory_core::extract::{Finding, Teaching};
use memory_core::id::{EpisodeId, JobId, PatternId};
use memory_core::job::{IMPORT_WEIGHT, JobState, NewJob};
use memory_core::pattern::{Field, Fields, Pattern, PatternBody, Tally, VERDICT_EPISODES_MIN, strength};
use memory_core::port::{Evidence, Listing, PatternStore, StoreError, Studied};
use memory_core::retrieve::{Found, Lesson, Lessons};
use uuid::Uuid;

use super::{InMemoryStore, State, is_within};
use memory_core::access::Access;

/// Episodes that must show a pattern before it is searched for, where one alone says little.
const SEARCHED_EPISODES_MIN: u32 = 2;

/// What an episode teaches.
#[derive(Debug)]
pub(super) struct Taught {
    pub(super) domain: Option<String>,
    pub(super) teaching: Teaching,
    /// The place of each pattern's finding. Kept because an id takes a hash to compute.
    places: BTreeMap<PatternId, usize>,
}

impl Taught {
    fn new(domain: Option<String>, teaching: Teaching) -> Self {
        let findings = teaching.findings.iter().enumerate();
        let places = findings
            .map(|(place, finding)| (PatternId::of(domain.as_deref(), &finding.body), place))
            .collect();
        Self { domain, teaching, places }
    }

    fn finding(&self, id: PatternId) -> Option<&Finding> {
        self.places.get(&id).map(|place| &self.teaching.findings[*place])
    }

    fn observed(&self, id: PatternId) -> Option<Tally> {
        self.finding(id).map(|finding| self.teaching.observation(finding))
    }
}

/// Whether a pattern is an entry of the corpus: those that nobody would look for are not.
pub(super) fn is_searchable(pattern: &Pattern) -> bool {
    match pattern.body {
        PatternBody::ErrorRecovery { .. } => true,
        PatternBody::ToolSequence { .. } | PatternBody::Pitfall { .. } | PatternBody::Custom { .. } => {
            pattern.tally.episodes >= SEARCHED_EPISODES_MIN
        }
        PatternBody::Base { .. } | PatternBody::DecisionPoint { .. } | PatternBody::Context { .. } => false,
    }
}

impl State {
    /// The episodes that show a pattern.
    fn showing(&self, id: PatternId) -> impl Iterator<Item = (EpisodeId, &Taught, &Finding)> {
        self.taught.iter().filter_map(move |(episode, taught)| Some((*episode, taught, taught.finding(id)?)))
    }

    /// What the episodes of each task add to a pattern.
    fn by_family(&self, id: PatternId) -> BTreeMap<u64, Tally> {
        let mut families: BTreeMap<u64, Tally> = BTreeMap::new();
        for (_, taught, finding) in self.showing(id) {
            let family = families.entry(taught.teaching.family).or_default();
            let observed = taught.teaching.observation(finding);
            // One task is one task however often it was run.
            *family = Tally { families: 1, ..family.plus(&observed) };
        }
        families
    }

    /// The pattern if an episode shows it, even if it is not to be told.
    fn learned(&self, id: PatternId) -> Option<Pattern> {
        let (_, taught, finding) = self.showing(id).next()?;
        let clustered = self.by_family(id).into_values().map(|family| family.clustered());
        Some(Pattern {
            id,
            body: finding.body.clone(),
            domain: taught.domain.clone(),
            tally: clustered.fold(Tally::default(), |sum, family| sum.plus(&family)),
            feedback: self.said_of(Found::Pattern(id)).unwrap_or_default(),
            last_seen: self.showing(id).map(|(_, taught, _)| taught.teaching.at).max()?,
            correction: self.corrections.get(&id).cloned(),
        })
    }

    fn all_learned(&self) -> Vec<Pattern> {
        let ids: BTreeSet<PatternId> =
            self.taught.values().flat_map(|taught| taught.places.keys().copied()).collect();
        ids.into_iter().filter_map(|id| self.learned(id)).collect()
    }

    fn is_told(&self, pattern: &Pattern) -> bool {
        !matches!(pattern.body, PatternBody::Base { .. }) && !self.deleted.contains(&pattern.id)
    }

    /// The pattern, if there is evidence of it and it is to be told.
    pub(super) fn pattern(&self, id: PatternId) -> Option<Pattern> {
        self.learned(id).filter(|pattern| self.is_told(pattern))
    }

    /// All patterns that are to be told.
    pub(super) fn patterns(&self) -> Vec<Pattern> {
        self.all_learned().into_iter().filter(|pattern| self.is_told(pattern)).collect()
    }

    /// Takes back what an episode taught; returns the patterns.
    pub(super) fn forget(&mut self, episode: EpisodeId) -> BTreeSet<PatternId> {
        let taught = self.taught.remove(&episode);
        taught.into_iter().flat_map(|taught| taught.places.into_keys()).collect()
    }

    /// Replaces what an episode teaches; returns the patterns that it supports now.
    fn teach(&mut self, episode: EpisodeId, teaching: Option<Teaching>) -> Vec<PatternId> {
        // What was deleted or put right while it was studied must not teach anything.
        let revision = self.episodes.get(&episode).map(|episode| episode.head.revision);
        if teaching.as_ref().is_some_and(|teaching| Some(teaching.revision) != revision) {
            return Vec::new();
        }
        let mut touched = self.forget(episode);
        let mut supported = Vec::new();
        if let (Some(episode), Some(teaching)) = (self.episodes.get(&episode), teaching) {
            let taught = Taught::new(episode.head.brief.scope.domain.clone(), teaching);
            supported.extend(taught.places.keys());
            touched.extend(&supported);
            self.taught.insert(episode.head.id, taught);
        }
        for id in touched {
            self.changed(Found::Pattern(id));
        }
        supported
    }

    fn relearn(&mut self) -> u64 {
        let taught: Vec<EpisodeId> = self.taught.keys().copied().collect();
        for episode in taught {
            self.teach(episode, None);
        }
        self.jobs.retain(|kept| kept.state() != JobState::Dead);
        let ends = self.episodes.values().filter_map(|episode| {
            let completion = episode.head.completion.as_ref()?;
            Some((episode.head.id, completion.at))
        });
        let ends: Vec<(EpisodeId, Timestamp)> = ends.collect();
        for (episode, due) in &ends {
            if !self.is_queued(*episode) {
                // No other id is so small.
                self.requeued += 1;
                let id = JobId(Uuid::from_u128(self.requeued));
                self.queue(NewJob { id, weight: IMPORT_WEIGHT }, *episode, *due);
            }
        }
        ends.len() as u64
    }

    fn lesson(&self, id: PatternId, episodes: &[EpisodeId], tasks: &[u64]) -> Option<Lesson> {
        let shows = |episode: &EpisodeId| self.taught.get(episode).and_then(|taught| taught.finding(id));
        let shown_by: Vec<EpisodeId> =
            episodes.iter().copied().filter(|episode| shows(episode).is_some()).collect();
        let detail = shown_by.iter().find_map(|episode| shows(episode)?.detail.clone());
        let own = self.by_family(id).into_iter().filter(|(family, _)| tasks.contains(family));
        let own = own.fold(Tally::default(), |sum, (_, family)| sum.plus(&family));
        let pattern = self.pattern(id)?;
        let is_account =
            matches!(pattern.body, PatternBody::ErrorRecovery { .. } | PatternBody::Pitfall { .. });
        let says_something = is_account || pattern.tally.episodes >= VERDICT_EPISODES_MIN;
        says_something.then_some(Lesson { pattern, own, shown_by, detail })
    }

    fn fields(&self, access: &Access) -> Fields {
        let (bases, others): (Vec<Pattern>, Vec<Pattern>) = self
            .all_learned()
            .into_iter()
            .filter(|pattern| access.sees(pattern.domain.as_deref()))
            .partition(|pattern| matches!(pattern.body, PatternBody::Base { .. }));
        let field = |base: Pattern| {
            let measure = base.body.measure();
            let alike = others.iter().filter(|other| {
                (&other.domain, other.body.measure()) == (&base.domain, measure)
                    && other.body.source().is_none()
                    && other.tally.episodes >= VERDICT_EPISODES_MIN
            });
            let alike: Vec<Tally> = alike.map(|other| other.tally.at(other.last_seen)).collect();
            let strength = strength(base.tally.share(), &alike);
            Field { domain: base.domain, measure, base: base.tally, strength }
        };
        Fields(bases.into_iter().map(field).collect())
    }
}

#[async_trait]
impl PatternStore for InMemoryStore {
    async fn record(&self, studied: Vec<Studied>) -> Result<Vec<Vec<PatternId>>, StoreError> {
        self.access.check_everything()?;
        let mut state = self.state();
        let teachings = studied.iter().filter_map(|one| one.teaching.as_ref());
        if teachings.clone().any(|teaching| teaching.plugins != state.plugins) {
            return Err(StoreError::Conflict);
        }
        let mut supported = Vec::with_capacity(studied.len());
        for Studied { job, teaching } in studied {
            supported.push(state.teach(job.episode_id, teaching));
            state.jobs.retain(|kept| kept.id() != job.id);
        }
        Ok(supported)
    }

    async fn lessons(&self, episodes: Vec<EpisodeId>, tasks: Vec<u64>) -> Result<Lessons, StoreError> {
        let state = self.state();
        let asked = episodes.iter().filter_map(|episode| state.taught.get(episode));
        let asked = asked.filter(|taught| self.sees(taught.domain.as_deref()));
        let shown: BTreeSet<PatternId> = asked.flat_map(|taught| taught.places.keys().copied()).collect();
        let lessons = shown.into_iter().filter_map(|id| state.lesson(id, &episodes, &tasks)).collect();
        Ok(Lessons { lessons, fields: state.fields(&self.access) })
    }

    async fn fields(&self) -> Result<Fields, StoreError> {
        Ok(self.state().fields(&self.access))
    }

    async fn list(&self, listing: Listing) -> Result<Vec<Pattern>, StoreError> {
        let Listing { domain, kind, after, max } = listing;
        let place = |episodes: u32, id: PatternId| (Reverse(episodes), id);
        let mut patterns = self.state().patterns();
        patterns.retain(|pattern| {
            self.sees(pattern.domain.as_deref())
                && is_within(pattern.domain.as_deref(), domain.as_deref())
                && kind.as_deref().is_none_or(|kind| kind == pattern.body.kind())
                && after.is_none_or(|(episodes, id)| {
                    place(pattern.tally.episodes, pattern.id) > place(episodes, id)
                })
        });
        patterns.sort_by_key(|pattern| place(pattern.tally.episodes, pattern.id));
        patterns.truncate(max);
        Ok(patterns)
    }

    async fn evidence(&self, id: PatternId, max: usize) -> Result<Vec<Evidence>, StoreError> {
        let state = self.state();
        let seen = state.showing(id).filter(|(_, taught, _)| self.sees(taught.domain.as_deref()));
        let mut showing: Vec<(Timestamp, EpisodeId)> =
            seen.map(|(episode, taught, _)| (taught.teaching.at, episode)).collect();
        showing.sort_by_key(|place| Reverse(*place));
        let evidence = |(_, episode): (Timestamp, EpisodeId)| {
            let (head, taught) = (&state.episodes.get(&episode)?.head, state.taught.get(&episode)?);
            Some(Evidence {
                episode,
                external_id: head.external_id.clone(),
                outcome: head.outcome(),
                observed: taught.observed(id)?,
                detail: taught.finding(id)?.detail.clone(),
            })
        };
        Ok(showing.into_iter().take(max).filter_map(evidence).collect())
    }

    async fn relearn(&self) -> Result<u64, StoreError> {
        self.access.check_everything()?;
        Ok(self.state().relearn())
    }

    async fn learn_with(&self, plugins: String) -> Result<u64, StoreError> {
        let mut state = self.state();
        if state.plugins == plugins {
            return Ok(0);
        }
        state.plugins = plugins;
        Ok(state.relearn())
    }
}
