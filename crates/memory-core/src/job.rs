//! Background jobs: what is left to do after an acknowledgement.

use jiff::Timestamp;

use crate::id::{EpisodeId, JobId};

/// The importance of a job, in four lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Below 0.4.
    Low,
    /// From 0.4.
    Normal,
    /// From 0.6.
    High,
    /// From 0.8.
    Critical,
}

impl Priority {
    /// All priorities, the most urgent first.
    pub const DESCENDING: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// The lane of a weight in 0..=1.
    pub fn of(weight: f64) -> Self {
        match weight {
            w if w >= 0.8 => Self::Critical,
            w if w >= 0.6 => Self::High,
            w if w >= 0.4 => Self::Normal,
            _ => Self::Low,
        }
    }

    /// The name shown to an operator.
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

/// Weight of the job for an episode that an agent has just finished: somebody may ask about it next.
pub const LIVE_WEIGHT: f64 = 0.8;
/// Weight of the job for an imported episode.
pub const IMPORT_WEIGHT: f64 = 0.2;

/// A job to be stored with the change that calls for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// Its weight in 0..=1, see [`Priority::of`].
    pub weight: f64,
}

/// A job that a worker holds: learn from this episode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// The completed episode to learn from.
    pub episode_id: EpisodeId,
    /// Its lane.
    pub priority: Priority,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// What becomes of a job whose attempt failed.
#[derive(Clone, Debug, PartialEq)]
pub enum Retry {
    /// Try again, not before this time.
    At(Timestamp),
    /// Give up; the job stays as a dead letter for an operator.
    Never,
    /// It was not begun: it is due again at once, and the attempt does not count.
    Unbegun,
}

/// Where a job stands that is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Waiting, or waiting to be tried again.
    Queued,
    /// Held by a worker.
    Running,
    /// Given up.
    Dead,
}

impl JobState {
    /// All states, in the order in which a job goes through them.
    pub const ALL: [Self; 3] = [Self::Queued, Self::Running, Self::Dead];

    /// The name shown to an operator.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Dead => "dead",
        }
    }

    /// The state of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A job that is not done, for who looks at what is left.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenJob {
    /// Its id.
    pub id: JobId,
    /// The completed episode to learn from.
    pub episode_id: EpisodeId,
    /// Where it stands.
    pub state: JobState,
    /// Its lane.
    pub priority: Priority,
    /// Attempts that were begun.
    pub attempts: u32,
    /// Why the last one came to nothing. Only for who may see everything: it may name files.
    pub error: Option<String>,
    /// When a waiting one is due.
    pub due_at: Option<Timestamp>,
}

/// How many jobs are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Waiting, or waiting to be tried again.
    pub queued: u64,
    /// Held by a worker.
    pub running: u64,
    /// Given up.
    pub dead: u64,
}

#[cfg(test)]
mod tests {
    use super::Priority;

    #[test]
    fn weights_fall_into_the_four_lanes_at_their_bounds() {
        let lanes = [(1.0, Priority::Critical), (0.8, Priority::Critical), (0.79, Priority::High)];
        let lower =
            [(0.6, Priority::High), (0.4, Priority::Normal), (0.39, Priority::Low), (0.0, Priority::Low)];
        for (weight, lane) in lanes.into_iter().chain(lower) {
            assert_eq!(Priority::of(weight), lane, "{weight}");
        }
    }
}
