//! Episodes: one task each, with the steps that were taken and how it ended.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::EpisodeId;
use crate::reflection::Reflection;
use crate::reward::Reward;

/// Where something belongs. Both parts are optional; a domain may have parts separated by dots, and a filter on
/// `customer_service` finds `customer_service.airline` too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scope {
    /// The field of work, such as `coding.python`.
    pub domain: Option<String>,
    /// The repository or product, such as `acme/shop`.
    pub project: Option<String>,
}

/// What an episode was about, as known when it starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Brief {
    /// The task in the words it was given in.
    pub task: String,
    /// Domain and project.
    pub scope: Scope,
    /// The kind of task, such as `bugfix`; free text.
    pub task_type: Option<String>,
    /// Free labels.
    pub tags: Vec<String>,
    /// Anything else worth knowing, by name: branch, language, model.
    pub context: BTreeMap<String, String>,
}

/// How an episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// The task was done.
    Success,
    /// Part of the task was done.
    Partial,
    /// The task was tried and not done.
    Failure,
    /// The task was given up before it could be judged.
    Abandoned,
}

impl Outcome {
    /// All outcomes, in the order of the enumeration.
    pub const ALL: [Self; 4] = [Self::Success, Self::Partial, Self::Failure, Self::Abandoned];

    /// The name used on the wire and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Partial => "partial",
            Self::Failure => "failure",
            Self::Abandoned => "abandoned",
        }
    }

    /// What the episode adds to a success rate: 1, ½ or 0. An abandoned one says nothing about what works.
    pub fn credit(self) -> Option<f64> {
        match self {
            Self::Success => Some(1.0),
            Self::Partial => Some(0.5),
            Self::Failure => Some(0.0),
            Self::Abandoned => None,
        }
    }
}

impl std::str::FromStr for Outcome {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == text).ok_or(())
    }
}

/// What an outcome rests on: how anybody knows that the episode ended so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Basis {
    /// The last test run among the steps says the same.
    Tests,
    /// The last build says the same.
    Build,
    /// The last command's exit code says the same.
    ExitCode,
    /// The work was handed over: committed, pushed, or a pull request made of it.
    Commit,
    /// The user said so.
    User,
    /// The agent says so, and nothing else does.
    #[default]
    Claim,
}

impl Basis {
    /// All bases, in the order of the enumeration.
    pub const ALL: [Self; 6] =
        [Self::Tests, Self::Build, Self::ExitCode, Self::Commit, Self::User, Self::Claim];
    /// Share of its weight that an outcome keeps which the record contradicts: either may be wrong.
    const DISPUTED: f64 = 0.5;

    /// The name used on the wire and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tests => "tests",
            Self::Build => "build",
            Self::ExitCode => "exit_code",
            Self::Commit => "commit",
            Self::User => "user",
            Self::Claim => "claim",
        }
    }

    /// How much the outcome counts as evidence, against an agent's own word, which counts 1. A judgement in round numbers,
    /// not a measurement, of how likely it is that the task really ended so. Tests and the user decide whether a task is
    /// done. A build says that the code holds together and not that it does what was asked; what was committed was found
    /// good enough to keep. The exit code of some last command says little about the task. An agent's word is mostly true,
    /// and errs towards success. The steps between them are small, so that many weak outcomes outweigh one strong one.
    pub fn weight(self, disputed: bool) -> f64 {
        let weight = match self {
            Self::Tests | Self::User => 1.25,
            Self::Build | Self::Commit => 1.1,
            Self::ExitCode => 1.05,
            Self::Claim => 1.0,
        };
        if disputed { weight * Self::DISPUTED } else { weight }
    }
}

impl std::str::FromStr for Basis {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|basis| basis.name() == text).ok_or(())
    }
}

/// How one step went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepResult {
    /// The tool did what it was asked.
    Succeeded,
    /// The tool failed.
    Failed {
        /// The error as the tool gave it; may be empty.
        error: String,
    },
}

/// One tool call and what came of it, before it has a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewStep {
    /// The caller's own name for the step; a second step of that name in the episode is the same step.
    pub external_id: Option<String>,
    /// The tool's name.
    pub tool: String,
    /// What the step set out to do, in words.
    pub action: Option<String>,
    /// The arguments of the call as text (JSON stays JSON).
    pub args: Option<String>,
    /// What the tool returned.
    pub observation: Option<String>,
    /// Whether it worked.
    pub result: StepResult,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
}

/// A stored step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its place in the episode, from 1.
    pub number: u32,
    /// When it was stored.
    pub at: Timestamp,
    /// The step itself.
    pub call: NewStep,
}

impl NewStep {
    /// The error, if the step failed.
    pub fn error(&self) -> Option<&str> {
        match &self.result {
            StepResult::Succeeded => None,
            StepResult::Failed { error } => Some(error),
        }
    }
}

/// The end of an episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// How it ended; `None` for an imported run whose result nobody recorded.
    pub outcome: Option<Outcome>,
    /// What the outcome rests on.
    pub basis: Basis,
    /// Whether the record contradicts the outcome: a success whose last test run failed.
    pub disputed: bool,
    /// The agent's own account.
    pub summary: Option<String>,
    /// What it produced: files, pull requests, links.
    pub artifacts: Vec<String>,
    /// How good the episode was.
    pub reward: Reward,
    /// What can be read off its steps.
    pub reflection: Reflection,
    /// When it was completed.
    pub at: Timestamp,
}

/// An episode without its steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpisodeHead {
    /// Its id.
    pub id: EpisodeId,
    /// The caller's own name for it, unique in its domain, and among all that whoever gave it could see.
    pub external_id: Option<String>,
    /// What it was about.
    pub brief: Brief,
    /// When the work started (not when it was stored).
    pub started_at: Timestamp,
    /// Counts the changes made to the episode, from 1; a writer that read an older one must read again.
    pub revision: u64,
    /// How many steps it has.
    pub step_count: u32,
    /// Its end; `None` while it is open.
    pub completion: Option<Completion>,
}

impl EpisodeHead {
    /// The outcome, once there is one.
    pub fn outcome(&self) -> Option<Outcome> {
        self.completion.as_ref().and_then(|completion| completion.outcome)
    }
}

/// A whole episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// Everything but the steps.
    pub head: EpisodeHead,
    /// The steps in order; step `n` stands at index `n - 1`.
    pub steps: Vec<Step>,
}

impl Episode {
    /// The domain that it belongs to.
    pub fn domain(&self) -> Option<&str> {
        self.head.brief.scope.domain.as_deref()
    }
}

/// Short ways to write episodes, for the unit tests of this crate.
#[cfg(test)]
pub(crate) mod fixture {
    use super::*;
    use crate::memory::NewEnding;

    fn call(tool: &str, result: StepResult) -> NewStep {
        NewStep {
            external_id: None,
            tool: tool.into(),
            action: None,
            args: None,
            observation: None,
            result,
            duration_ms: None,
        }
    }

    pub(crate) fn ok(tool: &str) -> NewStep {
        call(tool, StepResult::Succeeded)
    }

    pub(crate) fn failed(tool: &str, error: &str) -> NewStep {
        call(tool, StepResult::Failed { error: error.into() })
    }

    pub(crate) fn steps(calls: Vec<NewStep>) -> Vec<Step> {
        let number = |(call, number)| Step { number, at: Timestamp::UNIX_EPOCH, call };
        calls.into_iter().zip(1..).map(number).collect()
    }

    pub(crate) fn completed(calls: Vec<NewStep>, outcome: Option<Outcome>) -> Episode {
        let steps = steps(calls);
        let ending = NewEnding { outcome, ..NewEnding::default() };
        let completion = ending.conclude(&steps, Timestamp::UNIX_EPOCH);
        let head = EpisodeHead {
            id: EpisodeId(uuid::Uuid::nil()),
            external_id: None,
            brief: Brief {
                task: "a task".into(),
                scope: Scope::default(),
                task_type: None,
                tags: Vec::new(),
                context: BTreeMap::new(),
            },
            started_at: Timestamp::UNIX_EPOCH,
            revision: 1,
            step_count: steps.len() as u32,
            completion: Some(completion),
        };
        Episode { head, steps }
    }
}
