//! The use cases: start an episode, add a step, complete it, look at it, remember a note, recall.

mod browsing;
mod checking;
mod citing;
mod correcting;
mod queueing;
mod recommending;
mod reviewing;

pub use browsing::ProjectSummary;
pub use checking::{Action, Past, Warning};
pub use correcting::{EpisodeCorrection, Updated};
pub use queueing::JobPage;
pub use recommending::{Asked, Recommendation, WayOut};
pub use reviewing::{Explanation, PatternPage, Review};

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::access::Access;
use crate::basis::Record;
use crate::citation::Mentions;
use crate::episode::{Basis, Brief, Completion, Episode, EpisodeHead, NewStep, Outcome, Scope, Step};
use crate::error::{Error, Violation};
use crate::event::{EpisodeEvent, EventHandler};
use crate::extract::family;
use crate::feedback::score_factor;
use crate::id::{EpisodeId, JobId, NoteId};
use crate::job::{IMPORT_WEIGHT, LIVE_WEIGHT, NewJob};
use crate::limits::{CANDIDATES_MAX, CONFLICT_RETRIES_MAX, HITS_MAX, PEERS_MIN, SELECTED_MIN, SIMILAR_MAX};
use crate::note::{Layer, Note};
use crate::port::{
    AnswerKey, Appended, CompletionInsertion, Inserted, Insertion, Ports, StepInsertion, StoreError,
};
use crate::reflection::Reflection;
use crate::retrieve::{
    Advice, Answer, Filter, Found, Hit, Item, Kind, LeftOut, Period, Placed, Reason, Selection, Similar,
    compose, query_terms, rank, select,
};
use crate::reward::Reward;
use crate::search::Search;
use crate::validate::{check, scrub};

/// An episode as its caller gives it: open, or finished in one go.
#[derive(Clone, Debug)]
pub struct NewEpisode {
    /// The caller's own name for it. If it is taken, the episode of that name is returned and nothing is stored.
    pub external_id: Option<String>,
    /// What it is about.
    pub brief: Brief,
    /// When the work started; now, if not given.
    pub started_at: Option<Timestamp>,
    /// What was done so far.
    pub steps: Vec<NewStep>,
    /// How it ended, if it has.
    pub ending: Option<NewEnding>,
}

/// The end of an episode as its caller gives it.
#[derive(Clone, Debug, Default)]
pub struct NewEnding {
    /// How it ended; `None` only for imported runs whose result nobody recorded.
    pub outcome: Option<Outcome>,
    /// The agent's own account.
    pub summary: Option<String>,
    /// The caller's reward, 0..=1.
    pub reward: Option<f64>,
    /// What was produced.
    pub artifacts: Vec<String>,
    /// What the caller says that the outcome rests on.
    pub basis: Option<Basis>,
}

impl NewEnding {
    /// The completion of an episode with these steps. How it compares to others is not known here.
    pub fn conclude(self, steps: &[Step], at: Timestamp) -> Completion {
        let Self { outcome, summary, reward, artifacts, basis } = self;
        let record = Record::of(steps, &artifacts);
        Completion {
            outcome,
            basis: record.basis(outcome, basis),
            disputed: record.disputes(outcome),
            summary,
            artifacts,
            reward: Reward::compute(reward, outcome, steps),
            reflection: Reflection::on(steps),
            at,
        }
    }
}

/// A note as its caller gives it.
#[derive(Clone, Debug)]
pub struct NewNote {
    /// What is to be remembered.
    pub text: String,
    /// The caller's own name for it.
    pub external_id: Option<String>,
    /// Domain and project it holds for.
    pub scope: Scope,
    /// How long it is meant to live.
    pub layer: Layer,
    /// Free labels.
    pub tags: Vec<String>,
    /// Notes that it replaces, by id or external id.
    pub supersedes: Vec<String>,
}

/// What [`Memory::create`] did.
#[derive(Clone, Debug)]
pub struct Created {
    /// The episode's id.
    pub id: EpisodeId,
    /// Whether an episode of that external id was there already; nothing was stored then.
    pub existing: bool,
    /// The episode as stored.
    pub head: EpisodeHead,
    /// The extraction job of a finished episode.
    pub job: Option<JobId>,
    /// Earlier episodes like it.
    pub similar: Vec<Hit>,
}

/// A question to the memory.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The question or task, in words.
    pub query: String,
    /// What may be found.
    pub filter: Filter,
    /// How many hits at the most, 1..=[`HITS_MAX`].
    pub limit: usize,
    /// Whether to tell what was found and left out.
    pub explain: bool,
}

/// The memory: the use cases over the [`Ports`].
#[derive(Clone)]
pub struct Memory {
    ports: Ports,
    access: Arc<Access>,
    handlers: Vec<Arc<dyn EventHandler>>,
}

impl Memory {
    /// A memory over these ports, those of who may see and change everything, that tells these handlers what happens.
    pub fn new(ports: Ports, handlers: Vec<Arc<dyn EventHandler>>) -> Self {
        Self { ports, access: Arc::new(Access::everything()), handlers }
    }

    /// The same memory as another caller may use it. Cheap.
    #[must_use]
    pub fn for_access(&self, access: &Arc<Access>) -> Self {
        let ports = Arc::clone(&self.ports.gate).ports(access);
        Self { ports, access: access.clone(), handlers: self.handlers.clone() }
    }

    /// What its caller may see and change.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Stores an episode, open or finished, and finds earlier ones like it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for bad input, [`Error::Store`] if it could not be stored or may not be; then nothing was.
    pub async fn create(&self, new: NewEpisode) -> Result<Created, Error> {
        let mut insertion = self.prepare(new, LIVE_WEIGHT)?;
        let placed = self.like(&insertion.episode.head).await?;
        let Episode { head, steps } = &mut insertion.episode;
        if let Some(completion) = &mut head.completion {
            let peers = self.peers(&placed, None).await?;
            completion.reward.compare(&peers, steps.len());
            insertion.citations = self.cited(Mentions::of_episode(steps, completion)).await;
        }
        let head = insertion.episode.head.clone();
        let job = insertion.job.map(|job| job.id);
        let mut similar = self.choose(placed, SIMILAR_MAX).await?.hits;
        self.tell_stale(&mut similar).await?;
        let inserted = self.ports.episodes.insert(vec![insertion]).await?;
        if let Some(Inserted::Existing(id)) = inserted.into_iter().next() {
            let head = self.head(id).await?;
            let others = similar.into_iter().filter(|hit| hit.item.found() != Found::Episode(id)).collect();
            return Ok(Created { id, existing: true, head, job: None, similar: others });
        }
        self.ports.semantics.written(Found::Episode(head.id));
        self.announce_insertion(&head, job);
        Ok(Created { id: head.id, existing: false, head, job, similar })
    }

    /// Stores finished or open episodes in one transaction, skipping those whose external id is taken. The bad ones
    /// are reported one by one, in the order given; they do not keep the others from being stored. Their rewards are
    /// computed without a comparison to similar episodes: it would depend on the order in which they come.
    ///
    /// # Errors
    /// [`Error::Store`] if the batch could not be stored; then none of it was.
    pub async fn import(&self, batch: Vec<NewEpisode>) -> Result<Vec<Result<Inserted, Error>>, Error> {
        let mut results = Vec::with_capacity(batch.len());
        let mut insertions = Vec::with_capacity(batch.len());
        for new in batch {
            match self.prepare(new, IMPORT_WEIGHT) {
                Ok(insertion) => {
                    results.push(Ok(Inserted::New));
                    insertions.push(insertion);
                }
                Err(error) => results.push(Err(error)),
            }
        }
        let stored: Vec<_> =
            insertions.iter().map(|i| (i.episode.head.clone(), i.job.map(|job| job.id))).collect();
        let mut inserted = self.ports.episodes.insert(insertions).await?.into_iter().zip(stored);
        for result in results.iter_mut().flatten() {
            if let Some((outcome, (head, job))) = inserted.next() {
                *result = outcome;
                if outcome == Inserted::New {
                    self.announce_insertion(&head, job);
                }
            }
        }
        Ok(results)
    }

    /// Adds a step to an open episode and returns its number, from 1. A step of an external id that the episode
    /// already has is that step: nothing is stored, its number is returned.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::AlreadyCompleted`] or [`Error::Store`].
    pub async fn add_step(&self, id: EpisodeId, mut step: NewStep) -> Result<u32, Error> {
        check(&mut step, Vec::new())?;
        scrub(&mut step);
        let insertion = StepInsertion { step, at: self.ports.source.now() };
        let appended = self.ports.episodes.append_step(id, insertion).await;
        match appended.map_err(|error| of_episode(id, error))? {
            Appended::New(number) => {
                self.announce(&EpisodeEvent::StepAdded { episode_id: id, number });
                Ok(number)
            }
            Appended::Existing(number) => Ok(number),
        }
    }

    /// Completes an open episode: computes its reward, reflects on its steps and queues the extraction of patterns.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`], [`Error::AlreadyCompleted`] or [`Error::Store`].
    pub async fn complete(&self, id: EpisodeId, mut ending: NewEnding) -> Result<(Completion, JobId), Error> {
        let violations = reward_violations(ending.reward);
        check(&mut ending, violations)?;
        scrub(&mut ending);
        for _ in 0..CONFLICT_RETRIES_MAX {
            let episode = self.episode(id).await?;
            if episode.head.completion.is_some() {
                return Err(Error::AlreadyCompleted(id));
            }
            let mut completion = ending.clone().conclude(&episode.steps, self.ports.source.now());
            if completion.outcome.is_some() {
                // What cannot be searched for is not known; the episode ends all the same.
                let placed = self.like(&episode.head).await.unwrap_or_default();
                let peers = self.peers(&placed, Some(id)).await.unwrap_or_default();
                completion.reward.compare(&peers, episode.steps.len());
            }
            let job = self.new_job(LIVE_WEIGHT);
            let citations = self.cited(Mentions::of_episode(&episode.steps, &completion)).await;
            let insertion = CompletionInsertion {
                revision: episode.head.revision,
                completion: completion.clone(),
                job,
                citations,
            };
            match self.ports.episodes.complete(id, insertion).await {
                // A step came in between: reward and reflection must know of it.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(of_episode(id, error)),
                Ok(()) => {
                    self.ports.semantics.written(Found::Episode(id));
                    self.announce_completion(id, completion.outcome, job.id);
                    return Ok((completion, job.id));
                }
            }
        }
        Err(Error::Store(StoreError::Busy))
    }

    /// The whole episode.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Store`].
    pub async fn episode(&self, id: EpisodeId) -> Result<Episode, Error> {
        let episode = self.ports.episodes.get(id).await?;
        episode.ok_or_else(|| of_episode(id, StoreError::NotFound))
    }

    /// Deletes an episode for good, and with it everything that was learned from it alone.
    ///
    /// # Errors
    /// [`Error::NotFound`] or [`Error::Store`].
    pub async fn delete_episode(&self, id: EpisodeId) -> Result<(), Error> {
        self.ports.episodes.delete(id).await.map_err(|error| of_episode(id, error))
    }

    /// Stores a note; returns its id and the notes it superseded.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::NotFound`] if it supersedes a note that does not exist, [`Error::Store`].
    pub async fn remember(&self, mut new: NewNote) -> Result<(NoteId, Vec<NoteId>), Error> {
        check(&mut new, Vec::new())?;
        scrub(&mut new);
        let NewNote { text, external_id, mut scope, layer, tags, supersedes } = new;
        self.access.file(&mut scope).map_err(StoreError::Refused)?;
        let citations = self.cited(Mentions::of_text(&text)).await;
        let id = NoteId(self.ports.source.id());
        let note = Note { id, external_id, text, scope, layer, tags, at: self.ports.source.now() };
        let named = supersedes.join(" or ");
        let remembered = self.ports.notes.remember(note, supersedes, citations).await;
        let remembered = remembered.map_err(|error| match error {
            StoreError::NotFound => Error::NotFound { what: "note", id: named },
            other => other.into(),
        })?;
        self.ports.semantics.written(Found::Note(remembered.0));
        Ok(remembered)
    }

    /// Answers a question: what is relevant, and what it teaches.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad question, [`Error::Store`] if the store cannot be read.
    pub async fn recall(&self, mut question: Question) -> Result<Answer, Error> {
        let violations = question_violations(&question);
        check(&mut question, violations)?;
        // What is stored has no secrets, so a question without them finds the same; and it is kept as a key.
        scrub(&mut question);
        let Question { query, filter, limit, explain } = question;
        let semantics = &self.ports.semantics;
        let period = Period::named(&query, self.ports.source.now());
        let domains = self.access.domains().map(<[String]>::to_vec);
        let key = AnswerKey { query, filter, limit, period, explain, space: semantics.space(), domains };
        let mut answer = self.kept_or_new(&key).await?;
        // Not part of what is kept: the work tree changes without the store.
        self.tell_stale(&mut answer.hits).await?;
        self.tell_stale_advice(&mut answer.advice).await?;
        Ok(answer)
    }

    async fn kept_or_new(&self, key: &AnswerKey) -> Result<Answer, Error> {
        let seq = self.ports.changes.change_seq().await?;
        if let Some(answer) = self.ports.answers.get(key, seq).await {
            return Ok(answer);
        }
        let answer = self.answer(key).await?;
        // Whatever was committed since `seq` was read makes the answer newer than its key says, never older. One for
        // which the model failed is not what the key says.
        let is_whole = answer.by_meaning == key.space.is_some();
        if is_whole && self.ports.changes.change_seq().await? == seq {
            self.ports.answers.put(key, seq, &answer).await;
        }
        Ok(answer)
    }

    async fn answer(&self, key: &AnswerKey) -> Result<Answer, Error> {
        let (placed, by_meaning) = self.search(&key.query, key.filter.clone(), key.period).await?;
        let advice = self.advise(&key.query, key.filter.domain.as_deref(), &placed).await?;
        let Selection { mut hits, mut left_out } = self.choose(placed, key.limit).await?;
        self.rate_patterns(&mut hits).await?;
        if key.explain {
            left_out.extend(self.superseded(key).await?);
            left_out.sort_by(|a, b| b.ranked.score.total_cmp(&a.ranked.score));
        } else {
            left_out.clear();
        }
        Ok(Answer { known: !hits.is_empty(), hits, advice, by_meaning, left_out })
    }

    async fn rate_patterns(&self, hits: &mut [Hit]) -> Result<(), Error> {
        if !hits.iter().any(|hit| matches!(hit.item, Item::Pattern(_))) {
            return Ok(());
        }
        let fields = self.ports.patterns.fields().await?;
        let now = self.ports.source.now();
        for Hit { item, rate, .. } in hits {
            if let Item::Pattern(pattern) = item {
                let prior = fields.prior(pattern.domain.as_deref(), pattern.body.measure());
                *rate = Some(pattern.rate(&prior, now));
            }
        }
        Ok(())
    }

    /// What would be told had it not been superseded.
    async fn superseded(&self, key: &AnswerKey) -> Result<Vec<LeftOut>, Error> {
        let filter = Filter { superseded: true, ..key.filter.clone() };
        if key.filter.superseded {
            return Ok(Vec::new());
        }
        let (mut placed, _) = self.search(&key.query, filter, key.period).await?;
        placed.truncate(key.limit);
        // What was retired only after `until` was current then, and is among the hits.
        let was_retired = |at: Timestamp| key.filter.until.is_none_or(|until| at < until);
        placed.retain(|placed| placed.ranked.retired.is_some_and(was_retired));
        let found = self.items(placed).await?.into_iter();
        let left_out = |(item, placed): (Item, Placed)| LeftOut {
            item,
            ranked: placed.ranked,
            reason: Reason::Superseded(None),
        };
        Ok(found.map(left_out).collect())
    }

    /// Things in the order of relevance, and whether the meaning of the query counted.
    async fn search(
        &self,
        query: &str,
        filter: Filter,
        period: Option<Period>,
    ) -> Result<(Vec<Placed>, bool), Error> {
        self.ports.semantics.settled().await;
        let asked = query_terms(query);
        let vector = self.ports.semantics.query_vector(query).await;
        let by_meaning = vector.is_some();
        if asked.terms.is_empty() && !by_meaning {
            return Ok((Vec::new(), false));
        }
        let (terms, guesses) = (asked.terms.clone(), asked.guesses);
        let search = Search { terms, guesses, vector, filter, limit: CANDIDATES_MAX };
        let candidates = self.ports.index.candidates(search).await?;
        let mut placed = rank(&asked, &candidates, period);
        self.weigh_feedback(&mut placed).await?;
        Ok((placed, by_meaning))
    }

    /// Moves what helped up and what was wrong down.
    async fn weigh_feedback(&self, placed: &mut [Placed]) -> Result<(), Error> {
        let found = placed.iter().map(|placed| placed.ranked.found).collect();
        let said = self.ports.feedback.usefulness(found).await?;
        if said.is_empty() {
            return Ok(());
        }
        let now = self.ports.source.now();
        for (found, said) in said {
            for placed in placed.iter_mut().filter(|placed| placed.ranked.found == found) {
                placed.ranked.score *= score_factor(&said, now);
            }
        }
        placed.sort_by(|a, b| b.ranked.score.total_cmp(&a.ranked.score));
        Ok(())
    }

    /// The hits among what was found.
    async fn choose(&self, mut placed: Vec<Placed>, limit: usize) -> Result<Selection, Error> {
        // Enough to see what supersedes what, and to fill the places of what is left out.
        placed.truncate((2 * limit).max(SELECTED_MIN));
        Ok(select(self.items(placed).await?, limit))
    }

    /// The things themselves. What was deleted between the two reads is left out.
    async fn items(&self, placed: Vec<Placed>) -> Result<Vec<(Item, Placed)>, Error> {
        let found = placed.iter().map(|placed| placed.ranked.found).collect();
        let mut items = self.ports.items.items(found).await?.into_iter().peekable();
        let with_item =
            |placed: Placed| Some((items.next_if(|item| item.found() == placed.ranked.found)?, placed));
        Ok(placed.into_iter().filter_map(with_item).collect())
    }

    async fn advise(&self, task: &str, domain: Option<&str>, placed: &[Placed]) -> Result<Advice, Error> {
        let advisers = crate::retrieve::advisers(placed);
        if advisers.is_empty() {
            return Ok(Advice::default());
        }
        let similar = Similar::to(task, self.ports.episodes.heads(&advisers).await?);
        self.advice_of(task, domain, &similar).await
    }

    /// What these episodes teach about the task.
    async fn advice_of(
        &self,
        task: &str,
        domain: Option<&str>,
        similar: &[Similar],
    ) -> Result<Advice, Error> {
        let same = similar.iter().filter(|similar| similar.is_same_task());
        let families = same.map(|similar| family(&similar.head.brief.task)).chain([family(task)]);
        let families: BTreeSet<u64> = families.collect();
        let episodes = similar.iter().map(|similar| similar.head.id).collect();
        let lessons = self.ports.patterns.lessons(episodes, families.into_iter().collect()).await?;
        Ok(compose(similar, &lessons, domain, self.ports.source.now()))
    }

    /// Episodes like this one, the most similar first.
    async fn like(&self, head: &EpisodeHead) -> Result<Vec<Placed>, Error> {
        let filter = Filter { kinds: vec![Kind::Episode], ..Filter::default() };
        Ok(self.search(&head.brief.task, filter, None).await?.0)
    }

    /// How many steps the successes took that are similar enough to learn from.
    async fn peers(&self, placed: &[Placed], but: Option<EpisodeId>) -> Result<Vec<u32>, Error> {
        let mut similar = crate::retrieve::advisers(placed);
        similar.retain(|id| Some(*id) != but);
        if similar.len() < PEERS_MIN {
            return Ok(Vec::new());
        }
        let heads = self.ports.episodes.heads(&similar).await?;
        let successes = heads.iter().filter(|head| head.outcome() == Some(Outcome::Success));
        Ok(successes.map(|head| head.step_count).filter(|steps| *steps > 0).collect())
    }

    async fn head(&self, id: EpisodeId) -> Result<EpisodeHead, Error> {
        let heads = self.ports.episodes.heads(&[id]).await?;
        heads.into_iter().next().ok_or_else(|| of_episode(id, StoreError::NotFound))
    }

    fn new_job(&self, weight: f64) -> NewJob {
        NewJob { id: JobId(self.ports.source.id()), weight }
    }

    fn prepare(&self, mut new: NewEpisode, weight: f64) -> Result<Insertion, Error> {
        let violations = reward_violations(new.ending.as_ref().and_then(|ending| ending.reward));
        check(&mut new, violations)?;
        scrub(&mut new);
        let NewEpisode { external_id, mut brief, started_at, mut steps, ending } = new;
        self.access.file(&mut brief.scope).map_err(StoreError::Refused)?;
        // As when they are added one by one: a second step of one external id is the same step.
        let mut named = HashSet::new();
        steps.retain(|step| step.external_id.as_ref().is_none_or(|name| named.insert(name.clone())));
        let now = self.ports.source.now();
        let numbered = steps.into_iter().zip(1..).map(|(call, number)| Step { number, at: now, call });
        let steps: Vec<Step> = numbered.collect();
        let completion = ending.map(|ending| ending.conclude(&steps, now));
        let head = EpisodeHead {
            id: EpisodeId(self.ports.source.id()),
            external_id,
            brief,
            started_at: started_at.unwrap_or(now),
            revision: 1,
            step_count: steps.len() as u32,
            completion,
        };
        let job = head.completion.is_some().then(|| self.new_job(weight));
        Ok(Insertion { episode: Episode { head, steps }, job, citations: None })
    }

    fn announce(&self, event: &EpisodeEvent) {
        for handler in &self.handlers {
            handler.handle(event);
        }
    }

    fn announce_insertion(&self, head: &EpisodeHead, job: Option<JobId>) {
        self.announce(&EpisodeEvent::Created { episode_id: head.id });
        if let Some(job_id) = job {
            self.announce_completion(head.id, head.outcome(), job_id);
        }
    }

    fn announce_completion(&self, episode_id: EpisodeId, outcome: Option<Outcome>, job_id: JobId) {
        self.announce(&EpisodeEvent::ReflectionGenerated { episode_id });
        self.announce(&EpisodeEvent::Completed { episode_id, outcome, job_id });
    }
}

impl Item {
    /// The name of the thing.
    pub fn found(&self) -> Found {
        match self {
            Self::Episode(head) => Found::Episode(head.id),
            Self::Pattern(pattern) => Found::Pattern(pattern.id),
            Self::Note(note) => Found::Note(note.id),
        }
    }
}

fn reward_violations(reward: Option<f64>) -> Vec<Violation> {
    let out_of_range = reward.filter(|reward| !(0.0..=1.0).contains(reward));
    let violation = |reward| Violation {
        field: "reward".into(),
        problem: format!("is {reward}; it must be between 0 (worthless) and 1 (perfect)"),
    };
    out_of_range.map(violation).into_iter().collect()
}

fn question_violations(question: &Question) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut refuse =
        |field: &str, problem: String| violations.push(Violation { field: field.into(), problem });
    if !(1..=HITS_MAX).contains(&question.limit) {
        refuse("limit", format!("is {}; it must be between 1 and {HITS_MAX}", question.limit));
    }
    violations.extend(period_violation(question.filter.since, question.filter.until));
    violations
}

fn period_violation(since: Option<Timestamp>, until: Option<Timestamp>) -> Option<Violation> {
    let (since, until) = since.zip(until).filter(|(since, until)| since >= until)?;
    let problem = format!("is {since}, which is not before `until` ({until})");
    Some(Violation { field: "since".into(), problem })
}

/// Puts an error of the store in terms of the episode it is about.
fn of_episode(id: EpisodeId, error: StoreError) -> Error {
    match error {
        StoreError::NotFound => Error::NotFound { what: "episode", id: id.to_string() },
        StoreError::Completed => Error::AlreadyCompleted(id),
        other => other.into(),
    }
}
