//! Putting right what was recorded of an episode, and saying how episodes relate to each other.

use super::{Memory, NewEnding, of_episode, reward_violations};
use crate::citation::Mentions;
use crate::episode::{Completion, Episode, EpisodeHead, Outcome, Scope};
use crate::error::{Error, Violation};
use crate::event::EpisodeEvent;
use crate::id::{EpisodeId, JobId};
use crate::job::LIVE_WEIGHT;
use crate::limits::CONFLICT_RETRIES_MAX;
use crate::link::Link;
use crate::port::{Replacement, StoreError};
use crate::retrieve::Found;
use crate::validate::{check, scrub};

/// What is to be put right about an episode. What is `None` stays as it was; a blank text and an empty list take away what
/// was there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EpisodeCorrection {
    /// The task; it cannot be taken away.
    pub task: Option<String>,
    /// The field of work.
    pub domain: Option<String>,
    /// The repository or product.
    pub project: Option<String>,
    /// The kind of task.
    pub task_type: Option<String>,
    /// The labels, all of them.
    pub tags: Option<Vec<String>>,
    /// The agent's own account; of a completed episode only, as what follows.
    pub summary: Option<String>,
    /// How it ended. What the outcome rests on and the reward are computed anew with it, and a reward that was given for
    /// another outcome does not hold any more.
    pub outcome: Option<Outcome>,
    /// The caller's reward, 0..=1.
    pub reward: Option<f64>,
}

/// What [`Memory::update`] did.
#[derive(Clone, Debug, PartialEq)]
pub struct Updated {
    /// The fields that are others now, by their names in [`EpisodeCorrection`].
    pub changed: Vec<&'static str>,
    /// The job that learns anew from a completed episode; `None` if nothing is another one.
    pub job: Option<JobId>,
}

/// The fields that can be put right.
const FIELDS: &str = "task, domain, project, task_type, tags, summary, outcome, reward";

impl Memory {
    /// Puts right what was recorded of an episode. What was learned from it is taken back and learned anew, so that it is as
    /// if it had been recorded so from the start.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], or [`Error::Store`] if it could not be stored or may not be; then nothing was.
    pub async fn update(&self, id: EpisodeId, mut correction: EpisodeCorrection) -> Result<Updated, Error> {
        let mut violations = reward_violations(correction.reward);
        if correction == EpisodeCorrection::default() {
            let problem = format!("is all that is given; give what is to be put right: {FIELDS}");
            violations.push(Violation { field: "episode_id".into(), problem });
        }
        check(&mut correction, violations)?;
        scrub(&mut correction);
        self.access.check_change().map_err(StoreError::Refused)?;
        if let Some(domain) = correction.domain.take() {
            let mut scope = Scope { domain: named(domain), project: None };
            self.access.file(&mut scope).map_err(StoreError::Refused)?;
            correction.domain = Some(scope.domain.unwrap_or_default());
        }
        for _ in 0..CONFLICT_RETRIES_MAX {
            let episode = self.episode(id).await?;
            let head = self.corrected(&episode, &correction).await?;
            let changed = differences(&episode.head, &head);
            if changed.is_empty() {
                return Ok(Updated { changed, job: None });
            }
            let job = head.completion.is_some().then(|| self.new_job(LIVE_WEIGHT));
            // Who gives another account says it of what is there now.
            let citations = match &head.completion {
                Some(completion) if changed.contains(&"summary") => {
                    self.cited(Mentions::of_episode(&episode.steps, completion)).await
                }
                _ => None,
            };
            let EpisodeHead { revision, brief, completion, .. } = head;
            let new = Replacement { revision, brief, completion, job, citations };
            match self.ports.episodes.replace(id, new).await {
                Err(StoreError::Conflict) => {}
                Err(StoreError::NameTaken(other)) => return Err(taken(&episode.head, other)),
                Err(error) => return Err(of_episode(id, error)),
                Ok(()) => {
                    self.ports.semantics.written(Found::Episode(id));
                    let job = job.map(|job| job.id);
                    job.iter().for_each(|job_id| {
                        self.announce(&EpisodeEvent::Corrected { episode_id: id, job_id: *job_id });
                    });
                    return Ok(Updated { changed, job });
                }
            }
        }
        Err(Error::Store(StoreError::Busy))
    }

    /// The episode as it is to be.
    async fn corrected(
        &self,
        episode: &Episode,
        correction: &EpisodeCorrection,
    ) -> Result<EpisodeHead, Error> {
        let mut head = episode.head.clone();
        let EpisodeCorrection { task, domain, project, task_type, tags, summary, outcome, reward } =
            correction.clone();
        let brief = &mut head.brief;
        replace(&mut brief.task, task);
        replace(&mut brief.scope.domain, domain.map(named));
        replace(&mut brief.scope.project, project.map(named));
        replace(&mut brief.task_type, task_type.map(named));
        replace(&mut brief.tags, tags);
        let Some(before) = head.completion.take() else {
            let given = [
                ("summary", summary.is_some()),
                ("outcome", outcome.is_some()),
                ("reward", reward.is_some()),
            ];
            let violations: Vec<Violation> =
                given.into_iter().filter(|(_, is_given)| *is_given).map(|(field, _)| open(field)).collect();
            return if violations.is_empty() { Ok(head) } else { Err(Error::Invalid(violations)) };
        };
        let mut completion = match outcome.filter(|outcome| before.outcome != Some(*outcome)) {
            None => before,
            Some(outcome) => self.ended(episode, &head, before, outcome).await,
        };
        replace(&mut completion.summary, summary.map(named));
        reward.into_iter().for_each(|reward| completion.reward.give(reward));
        head.completion = Some(completion);
        Ok(head)
    }

    /// The end of an episode as it is with another outcome.
    async fn ended(
        &self,
        episode: &Episode,
        head: &EpisodeHead,
        before: Completion,
        outcome: Outcome,
    ) -> Completion {
        let Completion { summary, artifacts, at, .. } = before;
        let ending = NewEnding { outcome: Some(outcome), summary, artifacts, reward: None, basis: None };
        let mut completion = ending.conclude(&episode.steps, at);
        // As where an episode ends: what cannot be searched for is not known.
        let placed = self.like(head).await.unwrap_or_default();
        let peers = self.peers(&placed, Some(head.id)).await.unwrap_or_default();
        completion.reward.compare(&peers, episode.steps.len());
        completion
    }

    /// Says that an episode relates to another, or takes that back. What is so already stays so.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a link of an episode to itself and for one too many, [`Error::NotFound`] if one of the two does not exist,
    /// [`Error::Store`] if it could not be stored or may not be.
    pub async fn link_episodes(&self, link: Link, is_linked: bool) -> Result<(), Error> {
        if link.from == link.to {
            let problem = "is the same episode as `from`; give another one".to_owned();
            return Err(Error::Invalid(vec![Violation { field: "to".into(), problem }]));
        }
        let links = &self.ports.links;
        let done = if is_linked { links.link(link).await } else { links.unlink(link).await };
        let Err(error) = done else { return Ok(()) };
        Err(match error {
            StoreError::NotFound => {
                // Which of the two it is that there is none of.
                let there = self.ports.episodes.heads(&[link.from]).await?;
                of_episode(if there.is_empty() { link.from } else { link.to }, error)
            }
            StoreError::TooManyLinks(end) => {
                let field = if end == link.from { "from" } else { "to" };
                Error::Invalid(vec![Violation { field: field.to_owned(), problem: error.to_string() }])
            }
            _ => error.into(),
        })
    }

    /// How an episode relates to others, what was said last first, at most
    /// [`EPISODE_LINKS_MAX`](crate::limits::EPISODE_LINKS_MAX) links.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn links(&self, id: EpisodeId) -> Result<Vec<Link>, Error> {
        Ok(self.ports.links.links(id).await?)
    }
}

/// A text that says nothing is no text.
fn named(text: String) -> Option<String> {
    Some(text).filter(|text| !text.trim().is_empty())
}

fn replace<T>(old: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *old = new;
    }
}

fn open(field: &str) -> Violation {
    let problem = "cannot be put right while the episode is open: give it to complete_episode".to_owned();
    Violation { field: field.to_owned(), problem }
}

fn taken(head: &EpisodeHead, other: EpisodeId) -> Error {
    let name = head.external_id.as_deref().unwrap_or_default();
    let problem =
        format!("already has an episode with the external id {name:?}: {other}; delete one of the two");
    Error::Invalid(vec![Violation { field: "domain".into(), problem }])
}

/// The names of the fields in which two states of an episode differ.
fn differences(before: &EpisodeHead, after: &EpisodeHead) -> Vec<&'static str> {
    let (a, b) = (&before.brief, &after.brief);
    let (from, to) = (before.completion.as_ref(), after.completion.as_ref());
    let summary = |completion: Option<&Completion>| completion.and_then(|one| one.summary.clone());
    let total = |completion: Option<&Completion>| completion.and_then(|one| one.reward.total);
    let given = |completion: Option<&Completion>| completion.and_then(|one| one.reward.parts.given);
    let differs = [
        ("task", a.task != b.task),
        ("domain", a.scope.domain != b.scope.domain),
        ("project", a.scope.project != b.scope.project),
        ("task_type", a.task_type != b.task_type),
        ("tags", a.tags != b.tags),
        ("summary", summary(from) != summary(to)),
        ("outcome", before.outcome() != after.outcome()),
        ("reward", (total(from), given(from)) != (total(to), given(to))),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}
