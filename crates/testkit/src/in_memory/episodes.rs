//! Episodes and their steps.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use jiff::Timestamp;
use memory_core::access::Access;
use memory_core::episode::{Episode, EpisodeHead, Step};
use memory_core::id::EpisodeId;
use memory_core::limits::EPISODE_STEPS_MAX;
use memory_core::port::{
    Appended, CompletionInsertion, EpisodeStore, Inserted, Insertion, Replacement, StepInsertion, StoreError,
};
use memory_core::retrieve::Found;

use super::{InMemoryStore, State};

impl State {
    /// What is to become of each insertion.
    fn plan(&self, access: &Access, batch: &[Insertion]) -> Result<Vec<Inserted>, StoreError> {
        let mut ids: HashSet<EpisodeId> = self.episodes.keys().copied().collect();
        let mut names: HashMap<&str, Vec<&EpisodeHead>> = HashMap::new();
        for episode in self.episodes.values().filter(|episode| access.sees(episode.domain())) {
            let head = &episode.head;
            head.external_id.iter().for_each(|name| names.entry(name).or_default().push(head));
        }
        let mut plan = Vec::with_capacity(batch.len());
        for head in batch.iter().map(|insertion| &insertion.episode.head) {
            let domain = &head.brief.scope.domain;
            access.check_new(domain.as_deref())?;
            let name = head.external_id.as_deref();
            if let Some(existing) = name.and_then(|name| names.get(name)) {
                // That of the same domain, of others the oldest.
                let same = existing.iter().find(|taken| taken.brief.scope.domain == *domain);
                plan.push(Inserted::Existing(same.unwrap_or(&existing[0]).id));
                continue;
            }
            if !ids.insert(head.id) {
                return Err(StoreError::Other(format!("the id {} is taken", head.id)));
            }
            name.into_iter().for_each(|name| names.entry(name).or_default().push(head));
            plan.push(Inserted::New);
        }
        Ok(plan)
    }

    /// The episode, if the caller may change it.
    pub(super) fn changeable(&mut self, access: &Access, id: EpisodeId) -> Result<&mut Episode, StoreError> {
        access.check_change()?;
        let episode = self.episodes.get_mut(&id).filter(|episode| access.sees(episode.domain()));
        episode.ok_or(StoreError::NotFound)
    }

    fn open_episode(&mut self, access: &Access, id: EpisodeId) -> Result<&mut Episode, StoreError> {
        let episode = self.changeable(access, id)?;
        if episode.head.completion.is_some() { Err(StoreError::Completed) } else { Ok(episode) }
    }
}

#[async_trait]
impl EpisodeStore for InMemoryStore {
    async fn insert(&self, batch: Vec<Insertion>) -> Result<Vec<Inserted>, StoreError> {
        let mut state = self.state();
        let plan = state.plan(&self.access, &batch)?;
        for (Insertion { episode, job, citations }, inserted) in batch.into_iter().zip(&plan) {
            if *inserted != Inserted::New {
                continue;
            }
            let id = episode.head.id;
            let due = episode.head.completion.as_ref().map_or(Timestamp::UNIX_EPOCH, |c| c.at);
            state.episodes.insert(id, episode);
            if let Some(job) = job {
                state.queue(job, id, due);
            }
            state.cite(Found::Episode(id), citations);
            state.changed(Found::Episode(id));
        }
        Ok(plan)
    }

    async fn append_step(&self, id: EpisodeId, step: StepInsertion) -> Result<Appended, StoreError> {
        let mut state = self.state();
        let StepInsertion { step: call, at } = step;
        // A caller that repeats a step because it never heard of its success is answered even after the end.
        let steps = &state.changeable(&self.access, id)?.steps;
        let known =
            steps.iter().find(|s| call.external_id.is_some() && s.call.external_id == call.external_id);
        if let Some(known) = known {
            return Ok(Appended::Existing(known.number));
        }
        let episode = state.open_episode(&self.access, id)?;
        if episode.steps.len() >= EPISODE_STEPS_MAX {
            return Err(StoreError::TooManySteps(EPISODE_STEPS_MAX));
        }
        let number = episode.head.step_count + 1;
        episode.head.step_count = number;
        episode.head.revision += 1;
        episode.steps.push(Step { number, at, call });
        state.changed(Found::Episode(id));
        Ok(Appended::New(number))
    }

    async fn complete(&self, id: EpisodeId, completion: CompletionInsertion) -> Result<(), StoreError> {
        let mut state = self.state();
        let CompletionInsertion { revision, completion, job, citations } = completion;
        let episode = state.open_episode(&self.access, id)?;
        if episode.head.revision != revision {
            return Err(StoreError::Conflict);
        }
        let due = completion.at;
        episode.head.revision += 1;
        episode.head.completion = Some(completion);
        state.queue(job, id, due);
        state.cite(Found::Episode(id), citations);
        state.changed(Found::Episode(id));
        Ok(())
    }

    async fn replace(&self, id: EpisodeId, new: Replacement) -> Result<(), StoreError> {
        let mut state = self.state();
        let Replacement { revision, brief, completion, job, citations } = new;
        let head = &state.changeable(&self.access, id)?.head;
        if head.revision != revision || head.completion.is_some() != completion.is_some() {
            return Err(StoreError::Conflict);
        }
        self.access.check_new(brief.scope.domain.as_deref())?;
        let name = head.external_id.clone();
        let is_taken = |other: &&Episode| {
            let other = &other.head;
            other.id != id && other.external_id == name && other.brief.scope.domain == brief.scope.domain
        };
        if let Some(other) = state.episodes.values().filter(|_| name.is_some()).find(is_taken) {
            return Err(StoreError::NameTaken(other.head.id));
        }
        for pattern in state.forget(id) {
            state.changed(Found::Pattern(pattern));
        }
        if let Some((job, completion)) = job.zip(completion.as_ref()) {
            state.unqueue(id);
            state.queue(job, id, completion.at);
        }
        let head = &mut state.changeable(&self.access, id)?.head;
        head.revision += 1;
        (head.brief, head.completion) = (brief, completion);
        state.cite(Found::Episode(id), citations);
        state.changed(Found::Episode(id));
        Ok(())
    }

    async fn get(&self, id: EpisodeId) -> Result<Option<Episode>, StoreError> {
        Ok(self.state().episodes.get(&id).filter(|episode| self.sees(episode.domain())).cloned())
    }

    async fn delete(&self, id: EpisodeId) -> Result<(), StoreError> {
        let mut state = self.state();
        state.changeable(&self.access, id)?;
        state.episodes.remove(&id);
        for pattern in state.forget(id) {
            state.changed(Found::Pattern(pattern));
        }
        state.unqueue(id);
        state.links.retain(|link| ![link.from, link.to].contains(&id));
        state.citations.retain(|(found, _), _| *found != Found::Episode(id));
        state.unsay(Found::Episode(id));
        state.drop_vectors(Found::Episode(id));
        state.changed(Found::Episode(id));
        Ok(())
    }

    async fn heads(&self, ids: &[EpisodeId]) -> Result<Vec<EpisodeHead>, StoreError> {
        let state = self.state();
        let episodes = ids.iter().filter_map(|id| state.episodes.get(id));
        Ok(episodes
            .filter(|episode| self.sees(episode.domain()))
            .map(|episode| episode.head.clone())
            .collect())
    }
}
