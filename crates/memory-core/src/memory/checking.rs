//! Whether a call has failed before.

use std::collections::BTreeMap;

use super::Memory;
use crate::episode::{NewStep, Scope, Step, StepResult};
use crate::error::Error;
use crate::extract::{attempt_keys, error_class};
use crate::id::EpisodeId;
use crate::limits::{ATTEMPTS_MAX, DETAIL_CHARS_MAX, RECOVERY_STEPS_MAX};
use crate::pattern::{Prior, Tally};
use crate::port::Attempted;
use crate::validate::{check, scrub};

/// The chance that a call fails again that failed whenever it was made. Of the repeated calls of two corpora 85 % did.
const EXACT_PRIOR: Prior = Prior { mean: 0.8, strength: 2.0 };
/// Chance of failure from which on the very same call is warned of.
const EXACT_GATE: f64 = 0.8;
/// How many calls the usual rate of failure is worth, for calls that differ in their particulars.
const SHAPE_STRENGTH: f64 = 2.0;
/// The usual rate of failure of a call.
const SHAPE_PRIOR: f64 = 0.1;
/// Chance of failure from which on such a call is warned of.
const SHAPE_GATE: f64 = 0.75;
/// Tasks that must have shown it.
const SHAPE_TASKS_MIN: u32 = 3;
/// Earlier failures that a warning names.
const PAST_MAX: usize = 3;
/// Episodes that are looked into for what was done about the failure.
const LOOKED_INTO_MAX: usize = 5;

/// A call about to be made.
#[derive(Clone, Debug, Default)]
pub struct Action {
    /// The command, or the arguments.
    pub action: String,
    /// The tool.
    pub tool: Option<String>,
    /// Where.
    pub scope: Scope,
}

/// An earlier failure of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// The episode.
    pub episode: EpisodeId,
    /// The number of the step.
    pub step: u32,
    /// The error without its particulars.
    pub error: String,
}

/// Why a call had better not be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning {
    /// Whether it is about the very same call, or about one of its kind.
    pub exact: bool,
    /// In how many episodes such a call failed.
    pub failed: usize,
    /// In how many it was made.
    pub made: usize,
    /// How likely it is to fail, 0 to 1.
    pub confidence: f64,
    /// The last failures.
    pub past: Vec<Past>,
    /// What was done after such a failure until the tool worked again: tools and quoted arguments.
    pub recovery: Vec<String>,
}

impl Memory {
    /// Whether a call has failed before, and what was done about it. Empty unless failure is likely.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::Store`].
    pub async fn check_action(&self, mut action: Action) -> Result<Vec<Warning>, Error> {
        check(&mut action, Vec::new())?;
        scrub(&mut action);
        let Action { action, tool, scope } = action;
        let tools = tool.map_or_else(guesses, |tool| vec![tool]);
        let keys = tools.iter().filter_map(|tool| attempt_keys(&call(tool, &action)));
        let (exact, shape): (Vec<u64>, Vec<u64>) = keys.unzip();
        for (exact, keys) in [(true, exact), (false, shape)] {
            let attempts = self.ports.experience.attempts(keys, scope.clone(), ATTEMPTS_MAX).await?;
            if let Some(confidence) = self.is_likely_to_fail(exact, &attempts) {
                return Ok(vec![self.warning(exact, confidence, &attempts).await?]);
            }
        }
        Ok(Vec::new())
    }

    /// The chance of failure if it passes the gate.
    fn is_likely_to_fail(&self, exact: bool, attempts: &[Attempted]) -> Option<f64> {
        let now = self.ports.source.now();
        let mut tasks: BTreeMap<u64, Tally> = BTreeMap::new();
        for Attempted { family, at, attempt, .. } in attempts {
            let made = f64::from(attempt.failed + attempt.succeeded);
            let observed = Tally::one(f64::from(attempt.failed) / made, 1.0, *at);
            let task = tasks.entry(*family).or_default();
            *task = task.plus(&observed);
        }
        let all = tasks.values().fold(Tally::default(), |sum, task| sum.plus(&task.clustered())).at(now);
        if all.credit <= 0.0 {
            return None;
        }
        let (prior, gate) = if exact {
            (EXACT_PRIOR, EXACT_GATE)
        } else {
            (Prior { mean: SHAPE_PRIOR, strength: SHAPE_STRENGTH }, SHAPE_GATE)
        };
        let confidence = prior.mean_with(&all);
        (confidence >= gate && (exact || all.families >= SHAPE_TASKS_MIN)).then_some(confidence)
    }

    async fn warning(&self, exact: bool, confidence: f64, attempts: &[Attempted]) -> Result<Warning, Error> {
        let failures: Vec<&Attempted> =
            attempts.iter().filter(|attempted| attempted.attempt.failed > 0).collect();
        let (mut past, mut recovery) = (Vec::new(), Vec::new());
        for Attempted { episode, attempt, .. } in failures.iter().take(LOOKED_INTO_MAX) {
            let Some(whole) = self.ports.episodes.get(*episode).await? else { continue };
            let Some(place) = whole.steps.iter().position(|step| step.number == attempt.step) else {
                continue;
            };
            if past.len() < PAST_MAX {
                let error = error_class(whole.steps[place].call.error().unwrap_or_default());
                past.push(Past { episode: *episode, step: attempt.step, error });
            }
            if recovery.is_empty() {
                recovery = done_about(&whole.steps[place..]);
            }
        }
        let (failed, made) = (failures.len(), attempts.len());
        Ok(Warning { exact, failed, made, confidence, past, recovery })
    }
}

/// The tools that a command may be meant for where none is named.
fn guesses() -> Vec<String> {
    ["Bash", "bash", "shell", "terminal"].map(str::to_owned).to_vec()
}

fn call(tool: &str, args: &str) -> NewStep {
    NewStep {
        external_id: None,
        tool: tool.to_owned(),
        action: None,
        args: Some(args.to_owned()),
        observation: None,
        result: StepResult::Succeeded,
        duration_ms: None,
    }
}

/// What was done after the first of these steps failed until its tool worked, that call included; empty if it never did.
fn done_about(steps: &[Step]) -> Vec<String> {
    let Some((failed, after)) = steps.split_first() else { return Vec::new() };
    let after = &after[..after.len().min(RECOVERY_STEPS_MAX)];
    let works = |step: &Step| step.call.tool == failed.call.tool && step.call.error().is_none();
    let Some(end) = after.iter().position(works) else { return Vec::new() };
    let told = |step: &Step| {
        let args = step.call.args.as_deref().or(step.call.action.as_deref()).unwrap_or_default();
        let args: String = args.chars().take(DETAIL_CHARS_MAX).collect();
        if args.is_empty() { step.call.tool.clone() } else { format!("{}: {args}", step.call.tool) }
    };
    after[..=end].iter().filter(|step| step.call.error().is_none()).map(told).collect()
}
