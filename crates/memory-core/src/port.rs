//! The ports: what the domain needs from the outside, as small traits that adapters implement.
//!
//! Every method that changes something is one transaction, and returns only when the change is durable.
//!
//! Ports are made for one caller, see [`Gate`]: what its [`Access`] does not let it see does not exist for them, and what
//! it may not change they refuse.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::{Access, Refusal};
use crate::citation::{Citation, Citations, Fingerprint, Sight};
use crate::episode::{Brief, Completion, Episode, EpisodeHead, NewStep, Outcome, Scope, Step};
use crate::extract::{Attempt, Sighting, Teaching};
use crate::feedback::Feedback;
use crate::id::{EpisodeId, JobId, NoteId, PatternId};
use crate::job::{Job, JobCounts, JobState, NewJob, OpenJob, Retry};
use crate::limits::EPISODE_LINKS_MAX;
use crate::link::Link;
use crate::note::Note;
use crate::pattern::{Correction, Fields, Pattern, Tally};
use crate::retrieve::{Answer, Found, Item, Lessons};
use crate::search::SearchIndex;
use crate::vector::Vector;

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing has this id.
    #[error("nothing is stored under this id")]
    NotFound,
    /// The episode is completed.
    #[error("the episode is already completed")]
    Completed,
    /// The episode already holds as many steps as it can.
    #[error("the episode already holds {0} steps, the most it can")]
    TooManySteps(usize),
    /// The episode was to move to a domain in which its external id is that of another episode.
    #[error("the external id is taken in that domain by episode {0}")]
    NameTaken(EpisodeId),
    /// It would have more links than an episode can.
    #[error("has {EPISODE_LINKS_MAX} links, the most that an episode can: remove one of {0} first")]
    TooManyLinks(EpisodeId),
    /// The thing was changed since it was read; read it again.
    #[error("changed by another writer since it was read")]
    Conflict,
    /// No room is left.
    #[error("the disk is full; nothing was stored: free some space and repeat the call")]
    Full,
    /// The store cannot be written.
    #[error("the database is read-only; nothing was stored: make {0} writable and repeat the call")]
    ReadOnly(String),
    /// Other processes held the store for too long.
    #[error("the database was kept busy by other processes; nothing was stored: repeat the call")]
    Busy,
    /// The database was written by a newer version of the program.
    #[error(
        "the database {path} has schema version {found}, this program knows up to {known}: update memory-mcp"
    )]
    Newer {
        /// The database file.
        path: String,
        /// Its schema version.
        found: u32,
        /// The newest one known.
        known: u32,
    },
    /// The caller may not do this.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database does not make sense.
    #[error("the database is damaged: {0}; restore it from a copy, or move it away to start afresh")]
    Corrupt(String),
    /// Anything else.
    #[error("the database reported: {0}")]
    Other(String),
}

/// Where time and ids come from.
pub trait Source: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
    /// A new UUIDv7.
    fn id(&self) -> Uuid;
}

/// An episode to store, with everything that belongs to it.
#[derive(Clone, Debug)]
pub struct Insertion {
    /// The episode.
    pub episode: Episode,
    /// The job that a completed episode calls for.
    pub job: Option<NewJob>,
    /// What it cites; `None` where nobody looked.
    pub citations: Option<Citations>,
}

/// What became of an [`Insertion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is stored.
    New,
    /// Its external id is taken by this episode, which its caller may see; nothing was stored.
    Existing(EpisodeId),
}

/// What became of a [`StepInsertion`]: the step's number in its episode, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is stored.
    New(u32),
    /// The episode has a step of its external id; nothing was stored.
    Existing(u32),
}

/// A step to add.
#[derive(Clone, Debug)]
pub struct StepInsertion {
    /// The step.
    pub step: NewStep,
    /// When.
    pub at: Timestamp,
}

/// A completion to store.
#[derive(Clone, Debug)]
pub struct CompletionInsertion {
    /// The revision of the episode that it was computed from.
    pub revision: u64,
    /// The completion.
    pub completion: Completion,
    /// The job it calls for.
    pub job: NewJob,
    /// What the episode cites; `None` where nobody looked.
    pub citations: Option<Citations>,
}

/// What is to be recorded of an episode in place of what was. Its steps stay as they are, and it stays open or completed.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// The revision of the episode that it was made from.
    pub revision: u64,
    /// What it was about.
    pub brief: Brief,
    /// How it ended; `None` for an open one.
    pub completion: Option<Completion>,
    /// The job that a completed one calls for.
    pub job: Option<NewJob>,
    /// What the episode cites; `None` where nobody looked.
    pub citations: Option<Citations>,
}

/// Stores episodes.
#[async_trait]
pub trait EpisodeStore: Send + Sync {
    /// Stores all of them, or none, in one transaction; one whose external id is taken is skipped. A name that is taken
    /// where the caller cannot see it is free.
    async fn insert(&self, batch: Vec<Insertion>) -> Result<Vec<Inserted>, StoreError>;
    /// Adds a step to an open episode. A step of a known external id is answered even by a completed one.
    async fn append_step(&self, id: EpisodeId, step: StepInsertion) -> Result<Appended, StoreError>;
    /// Completes an open episode that still has the given revision ([`StoreError::Conflict`] otherwise).
    async fn complete(&self, id: EpisodeId, completion: CompletionInsertion) -> Result<(), StoreError>;
    /// Replaces what is recorded of an episode that still has the given revision ([`StoreError::Conflict`] otherwise), and takes
    /// back what was learned from it: its job takes the place of all that it had. Where its domain changes, both must be the
    /// caller's, and its external id must be free there ([`StoreError::NameTaken`]).
    async fn replace(&self, id: EpisodeId, new: Replacement) -> Result<(), StoreError>;
    /// The whole episode.
    async fn get(&self, id: EpisodeId) -> Result<Option<Episode>, StoreError>;
    /// Deletes an episode and everything that was learned from it alone. [`StoreError::NotFound`] if there is none.
    async fn delete(&self, id: EpisodeId) -> Result<(), StoreError>;
    /// Episodes without their steps, in the order asked for; unknown ids are left out.
    async fn heads(&self, ids: &[EpisodeId]) -> Result<Vec<EpisodeHead>, StoreError>;
}

/// Keeps how episodes relate to each other. A link goes when one of its ends goes, and is there for who may see both.
#[async_trait]
pub trait LinkStore: Send + Sync {
    /// Makes a link; one that is there already changes nothing. [`StoreError::NotFound`] if one of its ends
    /// does not exist, [`StoreError::TooManyLinks`] if one of them has [`EPISODE_LINKS_MAX`] that the caller may see.
    async fn link(&self, link: Link) -> Result<(), StoreError>;
    /// Removes a link; one that is not there changes nothing. The ends must exist all the same.
    async fn unlink(&self, link: Link) -> Result<(), StoreError>;
    /// The links of an episode in either direction, those first that were made last, at most [`EPISODE_LINKS_MAX`].
    async fn links(&self, id: EpisodeId) -> Result<Vec<Link>, StoreError>;
}

/// Stores notes.
#[async_trait]
pub trait NoteStore: Send + Sync {
    /// Stores a note and supersedes others: those named in `supersedes` (by id or external id) and those with its own
    /// external id. A note with the external id, text, scope, layer and tags of a current one is that one. Returns the
    /// id it is stored under and the notes it superseded. What it cites replaces what it cited of that work tree before:
    /// who says a thing again says it of what is there now.
    /// [`StoreError::NotFound`] if `supersedes` names a note that does not exist.
    async fn remember(
        &self,
        note: Note,
        supersedes: Vec<String>,
        citations: Option<Citations>,
    ) -> Result<(NoteId, Vec<NoteId>), StoreError>;
}

/// Reads stored things by what a search found.
#[async_trait]
pub trait ItemStore: Send + Sync {
    /// The things behind hits, in the order asked for; what is gone is left out.
    async fn items(&self, found: Vec<Found>) -> Result<Vec<Item>, StoreError>;
}

/// Reads what stored things cite. It is stored with them, is no change of its own, and goes when they go.
#[async_trait]
pub trait CitationStore: Send + Sync {
    /// What each of these cites of a work tree, commits first, then files by their paths; what cites nothing of it is
    /// left out.
    async fn citations(
        &self,
        found: Vec<Found>,
        root: Fingerprint,
    ) -> Result<Vec<(Found, Vec<Citation>)>, StoreError>;
}

/// The work tree in which the program runs. Looking at it never fails: what cannot be seen is not told of.
#[async_trait]
pub trait Workspace: Send + Sync {
    /// Tells it from every other, by where it is; `None` where there is none.
    fn root(&self) -> Option<Fingerprint>;
    /// What is at each of these paths, in order; nothing at all where it cannot be looked at. Nothing outside of the work
    /// tree is read.
    async fn look(&self, paths: Vec<String>) -> Vec<Sight>;
    /// The id of the commit that is checked out, if there is one.
    async fn head(&self) -> Option<String>;
}

/// A job, and what its episode teaches.
#[derive(Clone, Debug)]
pub struct Studied {
    /// The job that is done with this.
    pub job: Job,
    /// What the episode teaches; `None` if it is gone.
    pub teaching: Option<Teaching>,
}

/// Which patterns to list. Those that more episodes show come first.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// This domain or one below it.
    pub domain: Option<String>,
    /// This kind, see [`PatternBody::kind`](crate::pattern::PatternBody::kind).
    pub kind: Option<String>,
    /// After the pattern with this number of episodes and this id.
    pub after: Option<(u32, PatternId)>,
    /// How many at the most.
    pub max: usize,
}

/// An episode that shows a pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The episode.
    pub episode: EpisodeId,
    /// The caller's own name for it.
    pub external_id: Option<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// What it adds to the pattern, before the runs of one task are counted together.
    pub observed: Tally,
    /// A quotation from it.
    pub detail: Option<String>,
}

/// Stores what was learned. It is derived: it can be thrown away and learned again, and is then the same.
#[async_trait]
pub trait PatternStore: Send + Sync {
    /// Replaces what each job's episode teaches and finishes the jobs, all in one transaction. To study an episode again
    /// changes nothing. What was studied of an earlier revision than the episode has now is passed over: its correction
    /// brought a job of its own. [`StoreError::Conflict`], and nothing is recorded, if one was studied with other plugins than
    /// [`learn_with`](Self::learn_with) named last. What was done in it is always [`Experience::of`](crate::extract::Experience::of) its steps, so a store
    /// may take that in once and work it out anew to take it back. Returns for each job the patterns that its episode now
    /// supports.
    async fn record(&self, studied: Vec<Studied>) -> Result<Vec<Vec<PatternId>>, StoreError>;
    /// What these episodes teach. Patterns that fewer than [`VERDICT_EPISODES_MIN`](crate::pattern::VERDICT_EPISODES_MIN)
    /// episodes show say nothing yet and are left out, but for recoveries and pitfalls. `tasks` are those whose own runs are
    /// told apart, see [`family`](crate::extract::family).
    async fn lessons(&self, episodes: Vec<EpisodeId>, tasks: Vec<u64>) -> Result<Lessons, StoreError>;
    /// What is usual in each domain.
    async fn fields(&self) -> Result<Fields, StoreError>;
    /// A page of the patterns. Neither what is usual in a domain nor deleted ones are listed.
    async fn list(&self, listing: Listing) -> Result<Vec<Pattern>, StoreError>;
    /// The episodes that show a pattern, the newest first, at most `max`.
    async fn evidence(&self, id: PatternId, max: usize) -> Result<Vec<Evidence>, StoreError>;
    /// Forgets all that was learned and queues every completed episode to be studied again. Returns how many.
    async fn relearn(&self) -> Result<u64, StoreError>;
    /// Names the plugins that everything is to be learned with, see [`PluginSet::version`]. If it was others, everything is
    /// learned anew, see [`relearn`](Self::relearn); returns how many episodes that are. A new store has none.
    async fn learn_with(&self, plugins: String) -> Result<u64, StoreError>;
}

/// Extractors that the user added. They are not ours, may be slow or wrong, and change while the program runs.
#[async_trait]
pub trait Plugins: Send + Sync {
    /// Those that are in use now.
    async fn in_use(&self) -> Arc<dyn PluginSet>;
}

/// Extractors of the user that were in use at some time.
#[async_trait]
pub trait PluginSet: Send + Sync {
    /// Differs for sets of which one may see in an episode what the other does not; empty for the empty set.
    fn version(&self) -> &str;
    /// What they see in a finished episode. The same episode gives the same; one that fails sees nothing.
    ///
    /// # Errors
    /// Why it could not be found out now, though it may be later.
    async fn extract(&self, episode: &Episode) -> Result<Vec<Sighting>, String>;
}

/// No extractors of the user: the plugins of a memory without any, and the set of none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPlugins;

#[async_trait]
impl Plugins for NoPlugins {
    async fn in_use(&self) -> Arc<dyn PluginSet> {
        Arc::new(Self)
    }
}

#[async_trait]
impl PluginSet for NoPlugins {
    fn version(&self) -> &str {
        ""
    }

    async fn extract(&self, _episode: &Episode) -> Result<Vec<Sighting>, String> {
        Ok(Vec::new())
    }
}

/// What followed a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// The state, see [`Course`](crate::extract::Course).
    pub state: String,
    /// The tools that followed it and how often, the most frequent first.
    pub tools: Vec<(String, u64)>,
}

/// How calls of one kind went in one episode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attempted {
    /// The episode.
    pub episode: EpisodeId,
    /// Its task, see [`family`](crate::extract::family).
    pub family: u64,
    /// When it happened.
    pub at: Timestamp,
    /// How it went.
    pub attempt: Attempt,
}

/// Tells what was done in all episodes.
#[async_trait]
pub trait ExperienceStore: Send + Sync {
    /// What followed these states in a domain and those below it, or anywhere, in the order of the states; a state that was
    /// never seen has no tools.
    async fn choices(&self, domain: Option<String>, states: Vec<String>) -> Result<Vec<Choices>, StoreError>;
    /// What was done in these episodes, the first [`COURSE_STEPS_MAX`](crate::limits::COURSE_STEPS_MAX) steps of each with the
    /// start of their arguments, without what was returned and what an error said, in the order asked for; episodes that are
    /// gone or have no steps are left out.
    async fn courses(&self, episodes: Vec<EpisodeId>) -> Result<Vec<(EpisodeId, Vec<Step>)>, StoreError>;
    /// Attempts at calls of these kinds within a scope (a domain includes those below it), the newest first, at most `max`.
    async fn attempts(&self, keys: Vec<u64>, scope: Scope, max: usize) -> Result<Vec<Attempted>, StoreError>;
}

/// Keeps what was said of things after they had been shown. Canonical.
#[async_trait]
pub trait FeedbackStore: Send + Sync {
    /// Stores one feedback. [`StoreError::NotFound`] if one of the things does not exist; then nothing is stored.
    async fn give(&self, feedback: Feedback) -> Result<(), StoreError>;
    /// What was said of these things; those of which nothing was said are left out.
    async fn usefulness(&self, found: Vec<Found>) -> Result<Vec<(Found, Tally)>, StoreError>;
    /// Corrects a pattern, or takes the correction back. [`StoreError::NotFound`] if there is none of this id.
    async fn correct(
        &self,
        id: PatternId,
        correction: Option<Correction>,
        at: Timestamp,
    ) -> Result<(), StoreError>;
    /// Deletes a pattern for good: it is not told even if it is seen again. [`StoreError::NotFound`] if there is none.
    async fn delete_pattern(&self, id: PatternId, at: Timestamp) -> Result<(), StoreError>;
}

/// Which jobs to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct JobListing {
    /// Only those in this state.
    pub state: Option<JobState>,
    /// Only those whose ids come after this one, which need not be there any more.
    pub after: Option<JobId>,
    /// How many at the most.
    pub max: usize,
}

/// The durable queue of background jobs. Jobs enter it with the change that calls for them.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Takes up to `max` due jobs, the most urgent first, and holds them until `lease_until`: a job whose holder died
    /// is due again after that.
    async fn claim(&self, max: usize, now: Timestamp, lease_until: Timestamp)
    -> Result<Vec<Job>, StoreError>;
    /// Notes that an attempt failed, and why. A holder whose lease has ended has no say any more: nothing happens.
    async fn fail(&self, job: Job, error: String, retry: Retry) -> Result<(), StoreError>;
    /// Jobs of episodes that the caller may see, in the order of their ids.
    async fn open_jobs(&self, listing: JobListing) -> Result<Vec<OpenJob>, StoreError>;
    /// Puts a job that was given up back into the queue, due at `now`, with no attempt begun. Nothing happens to one that is
    /// in another state. Returns the state in which it was; [`StoreError::NotFound`] if there is none that the caller may see.
    async fn retry(&self, id: JobId, now: Timestamp) -> Result<JobState, StoreError>;
    /// How many jobs there are, of episodes that the caller may see.
    async fn counts(&self) -> Result<JobCounts, StoreError>;
    /// When the job was made that waits longest, of episodes that the caller may see; those given up do not wait.
    async fn oldest(&self) -> Result<Option<Timestamp>, StoreError>;
    /// When the next waiting or held job falls due, if there is one.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;
}

/// One committed change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its place in the order of all changes.
    pub seq: u64,
    /// What was changed.
    pub found: Found,
}

/// Tells what was changed, by whatever process.
#[async_trait]
pub trait ChangeLog: Send + Sync {
    /// The `change_seq` of the last committed change; 0 before the first.
    async fn change_seq(&self) -> Result<u64, StoreError>;
    /// Changes after `seq`, oldest first, at most `max`; `None` if they are no longer known one by one.
    async fn changes_after(&self, seq: u64, max: usize) -> Result<Option<Vec<Change>>, StoreError>;
}

/// What a store holds of what its caller may see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// Episodes.
    pub episodes: u64,
    /// Those of them that are open.
    pub open_episodes: u64,
    /// Steps.
    pub steps: u64,
    /// Notes that are not superseded.
    pub notes: u64,
    /// Notes that are superseded.
    pub superseded_notes: u64,
    /// Patterns.
    pub patterns: u64,
    /// Size of the database in bytes, without its log; 0 for a caller who may not see everything in it.
    pub bytes: u64,
    /// Version of the schema.
    pub schema_version: u32,
}

/// Tells an operator about the store.
#[async_trait]
pub trait StoreHealth: Send + Sync {
    /// Counts.
    async fn counts(&self) -> Result<StoreCounts, StoreError>;
    /// Looks the whole database through for damage; takes time in proportion to its size. Returns what it found.
    async fn check(&self) -> Result<Vec<String>, StoreError>;
}

/// Keeps answers for as long as nothing changes. May forget at any time; must never return an answer given under
/// another `change_seq`.
#[async_trait]
pub trait AnswerCache: Send + Sync {
    /// The answer to the question `key` as of `seq`.
    async fn get(&self, key: &AnswerKey, seq: u64) -> Option<Answer>;
    /// Keeps an answer.
    async fn put(&self, key: &AnswerKey, seq: u64, answer: &Answer);
}

/// Everything that an answer depends on beside the store's contents.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct AnswerKey {
    /// The query, without secrets.
    pub query: String,
    /// What may be found.
    pub filter: crate::retrieve::Filter,
    /// How many hits at the most.
    pub limit: usize,
    /// The period that the query names, which depends on the day it is asked.
    pub period: Option<crate::retrieve::Period>,
    /// Whether what was left out is told.
    pub explain: bool,
    /// The space of the vectors that were searched.
    pub space: Option<Space>,
    /// The domains that the caller may see; `None` if all.
    pub domains: Option<Vec<String>>,
}

/// Names a vector space: vectors of different spaces cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Space {
    /// The model and the version of its weights, such as `all-MiniLM-L6-v2@53aa5117`.
    pub name: String,
    /// Numbers in a vector.
    pub dimensions: usize,
}

/// What a text is embedded for; some models treat the two differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// It is looked for.
    Query,
    /// It is to be found.
    Passage,
}

/// Why a text could not be embedded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    /// The model's files are missing or do not make sense; it stays so until somebody mends it.
    #[error("the model cannot be used: {0}")]
    Unusable(String),
    /// A server did not answer or was too busy; it may work later.
    #[error("the embedding server cannot be reached: {0}")]
    Unreachable(String),
    /// A server refused, or answered with something else than vectors.
    #[error("the embedding server refused: {0}")]
    Refused(String),
}

/// Turns texts into vectors of length 1 that lie close together where the texts mean the same.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// The space of the vectors.
    fn space(&self) -> &Space;
    /// One vector for each text, in order. A text longer than the model reads is cut.
    async fn embed(&self, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Vec<f32>>, EmbedError>;
}

/// The vectors of one stored thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedded {
    /// The thing.
    pub found: Found,
    /// For each of its passages, in order, the [fingerprint](crate::search::Passage::fingerprint) of the text that was
    /// embedded and the vector; `None` for a passage without a text.
    pub vectors: Vec<Option<(u64, Vector)>>,
}

/// How far the vectors of one space have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceState {
    /// The space.
    pub space: Space,
    /// Whether its vectors serve searches; at most one space's do.
    pub serves: bool,
    /// The `change_seq` up to which everything has its vectors; `None` until everything has been gone through once.
    pub seq: Option<u64>,
}

/// Keeps the vectors of what is stored. They are derived: whatever is lost is made again.
#[async_trait]
pub trait VectorStore: Send + Sync {
    /// The spaces that are known.
    async fn spaces(&self) -> Result<Vec<SpaceState>, StoreError>;
    /// Keeps vectors of a space, which is known from then on, in place of those that the things had in it. Each thing whose
    /// vectors are others now counts as changed if the space serves. Things that are gone are left out.
    async fn put_vectors(&self, space: Space, vectors: Vec<Embedded>) -> Result<(), StoreError>;
    /// Notes that everything that was changed up to `seq` has its vectors of this space, which is no change. From the first
    /// time on the space serves, and the vectors of all other spaces are gone; to delete very many takes a while.
    /// [`StoreError::NotFound`] if the space is not known (any more).
    async fn complete_space(&self, space: Space, seq: u64) -> Result<(), StoreError>;
    /// Takes the work of filling a space for one process until a time; `false` if another one has it. Who holds it already
    /// holds it longer. A time in the past gives it back.
    async fn hold_space(
        &self,
        space: Space,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError>;
}

/// What recall asks of the model in use, if any.
#[async_trait]
pub trait Semantics: Send + Sync {
    /// The space in which [`Semantics::query_vector`] would answer now; `None` where search is by words only.
    fn space(&self) -> Option<Space>;
    /// The vector of a query; `None` where no model is in use, none serves yet, or it cannot be had. Never fails: what
    /// is wrong is told to the operator.
    async fn query_vector(&self, query: &str) -> Option<(Space, Vector)>;
    /// Tells that this process has stored or changed a thing, which is to be found by its meaning soon.
    fn written(&self, found: Found);
    /// Waits until what was [`written`](Semantics::written) has its vectors; not for long, and not where that makes no
    /// progress.
    async fn settled(&self);
}

/// Makes ports for callers.
pub trait Gate: Send + Sync {
    /// Ports through which a caller reaches what it may and nothing else.
    fn ports(self: Arc<Self>, access: &Arc<Access>) -> Ports;
}

/// A store that can be had for one caller.
pub trait Guarded: Sized {
    /// The same store for a caller: what it may not see is not there, what it may not change is refused.
    #[must_use]
    fn within(&self, access: &Arc<Access>) -> Self;
}

/// All ports that the use cases need, made for one caller.
/// Which episodes to list, those first that were stored last.
#[derive(Clone, Debug, Default)]
pub struct EpisodeListing {
    /// This domain or one below it.
    pub domain: Option<String>,
    /// This project only.
    pub project: Option<String>,
    /// Only those that have ended, or only those that have not.
    pub completed: Option<bool>,
    /// Only those that ended so.
    pub outcome: Option<Outcome>,
    /// Only those that began at this time or later.
    pub since: Option<Timestamp>,
    /// Only those that began before this time.
    pub until: Option<Timestamp>,
    /// Only those that were stored before this one.
    pub before: Option<EpisodeId>,
    /// How many at the most.
    pub max: usize,
}

/// What is found by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// The projects of episodes and current notes, in the order of their names.
    Projects,
    /// The ids of episodes, those first that were stored last.
    Episodes,
    /// The ids of patterns, in their order.
    Patterns,
}

/// How the episodes of a project ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endings {
    /// Not yet.
    pub open: u64,
    /// With success.
    pub success: u64,
    /// In part.
    pub partial: u64,
    /// With failure.
    pub failure: u64,
    /// Given up before it could be judged.
    pub abandoned: u64,
    /// Completed, but nobody knows how.
    pub unknown: u64,
}

/// Tells those who browse what there is.
#[async_trait]
pub trait CatalogStore: Send + Sync {
    /// Episodes without their steps.
    async fn episodes(&self, listing: EpisodeListing) -> Result<Vec<EpisodeHead>, StoreError>;
    /// The current notes of a project, the newest first, at most `max`.
    async fn notes(&self, project: String, max: usize) -> Result<Vec<Note>, StoreError>;
    /// The names that begin with `prefix` and, in the order of their kind, come after the name `after`; at most `max`.
    async fn names(
        &self,
        naming: Naming,
        prefix: String,
        after: Option<String>,
        max: usize,
    ) -> Result<Vec<String>, StoreError>;
    /// How the episodes of a project ended.
    async fn endings(&self, project: String) -> Result<Endings, StoreError>;
}

/// Keeps how often each user used the tools, by whatever process. Canonical; to count is no change of what is remembered.
#[async_trait]
pub trait UsageStore: Send + Sync {
    /// Counts a user's calls of tools, each by its name. Returns for every tool that the user ever called how often that was, in
    /// the order of their names.
    async fn count_calls(
        &self,
        user: String,
        calls: Vec<(String, u64)>,
    ) -> Result<Vec<(String, u64)>, StoreError>;
}

/// All ports that the use cases need.
#[derive(Clone)]
pub struct Ports {
    /// Episodes.
    pub episodes: Arc<dyn EpisodeStore>,
    /// How they relate to each other.
    pub links: Arc<dyn LinkStore>,
    /// Notes.
    pub notes: Arc<dyn NoteStore>,
    /// Search.
    pub index: Arc<dyn SearchIndex>,
    /// What a search found.
    pub items: Arc<dyn ItemStore>,
    /// What things cite.
    pub citations: Arc<dyn CitationStore>,
    /// The work tree.
    pub workspace: Arc<dyn Workspace>,
    /// The model.
    pub semantics: Arc<dyn Semantics>,
    /// What there is.
    pub catalog: Arc<dyn CatalogStore>,
    /// Patterns.
    pub patterns: Arc<dyn PatternStore>,
    /// What was done.
    pub experience: Arc<dyn ExperienceStore>,
    /// What was said of what was shown.
    pub feedback: Arc<dyn FeedbackStore>,
    /// What is left to learn.
    pub jobs: Arc<dyn JobStore>,
    /// The change log.
    pub changes: Arc<dyn ChangeLog>,
    /// Answers given before.
    pub answers: Arc<dyn AnswerCache>,
    /// Time and ids.
    pub source: Arc<dyn Source>,
    /// Where ports for other callers come from.
    pub gate: Arc<dyn Gate>,
}
