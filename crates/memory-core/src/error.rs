//! What can go wrong in a use case.

use crate::port::StoreError;

/// One thing wrong with what the caller gave, in words that say how to put it right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The argument, as a path: `steps[2].tool`.
    pub field: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` {}", self.field, self.problem)
    }
}

/// The error of every use case of [`Memory`](crate::memory::Memory).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input is refused; every violation found is listed.
    #[error("{}", join(.0))]
    Invalid(Vec<Violation>),
    /// Nothing has this id.
    #[error("no {what} has the id {id}: it was never stored, or it was deleted")]
    NotFound {
        /// What kind of thing was looked for, such as `episode`.
        what: &'static str,
        /// The id as the caller gave it.
        id: String,
    },
    /// No job has this id that the caller may see and that is not done.
    #[error("no job is left that has the id {0}: it is done, or there never was one")]
    NoJob(crate::id::JobId),
    /// The episode is completed; it takes no more steps and no second outcome.
    #[error("episode {0} is already completed: it takes no further steps or outcome; create a new episode")]
    AlreadyCompleted(crate::id::EpisodeId),
    /// The store refused or could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn join(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
