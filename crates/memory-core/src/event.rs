//! What happens to episodes, for whoever wants to react: the background worker, the metrics.

use crate::episode::Outcome;
use crate::id::{EpisodeId, JobId, PatternId};

/// One change in the life of an episode. Emitted after the change is durable.
#[derive(Clone, Debug, PartialEq)]
pub enum EpisodeEvent {
    /// An episode was started.
    Created {
        /// Which.
        episode_id: EpisodeId,
    },
    /// A step was added.
    StepAdded {
        /// To which episode.
        episode_id: EpisodeId,
        /// The step's number, from 1.
        number: u32,
    },
    /// The episode ended.
    Completed {
        /// Which.
        episode_id: EpisodeId,
        /// How; `None` where that is unknown.
        outcome: Option<Outcome>,
        /// The extraction job that its completion queued.
        job_id: JobId,
    },
    /// What was recorded of a completed episode was put right, so that it is learned anew.
    Corrected {
        /// Which.
        episode_id: EpisodeId,
        /// The extraction job that its correction queued.
        job_id: JobId,
    },
    /// What can be read off the steps of a completed episode was written down.
    ReflectionGenerated {
        /// Of which episode.
        episode_id: EpisodeId,
    },
    /// The extraction job of an episode, which had been given up, was put back into the queue.
    Retried {
        /// The job.
        job_id: JobId,
    },
    /// Patterns were learned from a completed episode.
    PatternExtracted {
        /// From which episode.
        episode_id: EpisodeId,
        /// Which patterns now carry evidence from it.
        patterns: Vec<PatternId>,
    },
}

/// Reacts to [`EpisodeEvent`]s. Called on the path of a request: it must return at once and cannot fail; work
/// belongs behind a bounded channel or a wake-up.
pub trait EventHandler: Send + Sync {
    /// Called once for every event.
    fn handle(&self, event: &EpisodeEvent);
}
