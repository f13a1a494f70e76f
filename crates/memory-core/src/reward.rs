//! The reward of a completed episode: one number in 0..=1 and the parts it is made of.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::command::{Check, check_runs, label};
use crate::episode::{Outcome, Step};
use crate::limits::PEERS_MIN;

/// Weight of the outcome in a computed reward. Whether the task was done comes before all else: the other parts
/// together never make a failure worth as much as a partial success.
const OUTCOME_WEIGHT: f64 = 0.7;
/// Weights of the state of the checks, the efficiency and the recoveries, each. They order episodes that ended alike.
const PART_WEIGHT: f64 = 0.1;

/// How good an episode was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reward {
    /// 0 (worthless) to 1 (perfect): the caller's own number if there is one, else `computed`; `None` where neither an
    /// outcome nor a reward is known.
    pub total: Option<f64>,
    /// What the parts make, whatever the caller says: the mean of those that are known, the outcome with weight 0.7,
    /// the others with 0.1 each. `None` without an outcome.
    #[serde(default)]
    pub computed: Option<f64>,
    /// What `computed` was computed from, and what the caller gave.
    pub parts: RewardParts,
}

/// The parts of a [`Reward`], each 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RewardParts {
    /// The reward that the caller gave, which then is the total.
    pub given: Option<f64>,
    /// 1 for success, ½ for partial, 0 for failure and abandoned.
    pub outcome: Option<f64>,
    /// How the last test run and the last build ended: the share of them that passed; `None` where nothing was checked.
    #[serde(default)]
    pub checks: Option<f64>,
    /// The median number of steps of similar earlier successes by the own number, at most 1; `None` where fewer than
    /// three of them are known, and for what was not done: to give up soon is not efficient.
    #[serde(default)]
    pub efficiency: Option<f64>,
    /// The share of failed steps after which the same was done with success; `None` without failures.
    #[serde(default)]
    pub recoveries: Option<f64>,
    /// Share of the steps that succeeded, for information only; `None` without steps.
    pub steps_ok: Option<f64>,
}

impl Reward {
    /// Computes the reward from what the episode itself shows.
    pub fn compute(given: Option<f64>, outcome: Option<Outcome>, steps: &[Step]) -> Self {
        let succeeded = steps.iter().filter(|step| step.call.error().is_none()).count();
        let parts = RewardParts {
            given,
            outcome: outcome.map(|outcome| outcome.credit().unwrap_or(0.0)),
            checks: checks(steps),
            efficiency: None,
            recoveries: recoveries(steps),
            steps_ok: share(succeeded, steps.len()),
        };
        let mut reward = Self { total: None, computed: None, parts };
        reward.add_up();
        reward
    }

    /// Takes the caller's reward, which then is the total.
    pub fn give(&mut self, reward: f64) {
        self.parts.given = Some(reward);
        self.add_up();
    }

    /// Adds how an episode of `steps` steps compares to similar successes with these numbers of steps.
    pub fn compare(&mut self, peers: &[u32], steps: usize) {
        let was_done = self.parts.outcome.is_some_and(|outcome| outcome > 0.0);
        if peers.len() < PEERS_MIN || steps == 0 || !was_done {
            return;
        }
        self.parts.efficiency = Some((median(peers) / steps as f64).min(1.0));
        self.add_up();
    }

    fn add_up(&mut self) {
        let RewardParts { given, outcome, checks, efficiency, recoveries, .. } = self.parts;
        self.computed = outcome.map(|outcome| {
            let (mut sum, mut weights) = (OUTCOME_WEIGHT * outcome, OUTCOME_WEIGHT);
            for part in [checks, efficiency, recoveries].into_iter().flatten() {
                sum += PART_WEIGHT * part;
                weights += PART_WEIGHT;
            }
            (sum / weights).clamp(0.0, 1.0)
        });
        self.total = given.or(self.computed);
    }
}

/// The share of the kinds of check whose last run passed.
fn checks(steps: &[Step]) -> Option<f64> {
    let runs = check_runs(steps);
    let last = |check| runs.iter().rfind(|run| run.check == check).map(|run| run.passed);
    let lasts: Vec<bool> = [Check::Test, Check::Build].into_iter().filter_map(last).collect();
    share(lasts.iter().filter(|passed| **passed).count(), lasts.len())
}

/// The share of failed steps after which the same tool, or in a shell the same program, succeeded.
fn recoveries(steps: &[Step]) -> Option<f64> {
    let mut succeeded_later = HashSet::new();
    let (mut failures, mut overcome) = (0, 0);
    for step in steps.iter().rev() {
        let label = label(&step.call);
        if step.call.error().is_none() {
            succeeded_later.insert(label);
        } else {
            failures += 1;
            overcome += usize::from(succeeded_later.contains(&label));
        }
    }
    share(overcome, failures)
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn median(numbers: &[u32]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        f64::from(sorted[middle])
    } else {
        f64::midpoint(f64::from(sorted[middle - 1]), f64::from(sorted[middle]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::NewStep;
    use crate::episode::fixture::{failed, ok, steps};

    fn reward(outcome: Outcome, calls: Vec<NewStep>) -> Reward {
        Reward::compute(None, Some(outcome), &steps(calls))
    }

    fn close(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found - expected).abs() < 1e-9), "{found:?}, not {expected}");
    }

    #[test]
    fn the_parts_that_are_known_make_the_reward() {
        close(reward(Outcome::Success, vec![]).total, 1.0);
        close(reward(Outcome::Partial, vec![ok("t")]).total, 0.5);
        close(reward(Outcome::Success, vec![ok("t"), failed("t", "no")]).total, 0.7 / 0.8);
        // Tests pass in the end, the build does not; one of two failures was overcome.
        let calls = vec![failed("pytest", "1 failed"), ok("edit"), ok("pytest"), failed("make", "no")];
        let rewarded = reward(Outcome::Success, calls);
        let RewardParts { checks, recoveries, steps_ok, .. } = rewarded.parts;
        assert_eq!((checks, recoveries, steps_ok), (Some(0.5), Some(0.5), Some(0.5)));
        close(rewarded.total, (0.7 + 0.05 + 0.05) / 0.9);
    }

    #[test]
    fn a_failure_is_never_worth_as_much_as_a_partial_success() {
        let mut failure = reward(Outcome::Failure, vec![failed("pytest", "no"), ok("pytest"), ok("make")]);
        failure.compare(&[3, 3, 3], 3);
        let partial = reward(Outcome::Partial, vec![failed("pytest", "no"), failed("make", "no")]);
        assert!(failure.total < partial.total, "{failure:?} {partial:?}");
        assert_eq!(failure.parts.efficiency, None);
    }

    #[test]
    fn more_steps_than_similar_successes_took_cost_something() {
        let taken = || vec![ok("t"); 8];
        for (peers, efficiency) in [
            (&[4, 100, 2][..], Some(0.5)),
            (&[2, 4, 8, 100], Some(0.75)),
            (&[9, 9, 9], Some(1.0)),
            (&[4, 4], None),
            (&[], None),
        ] {
            let mut rewarded = reward(Outcome::Success, taken());
            rewarded.compare(peers, 8);
            assert_eq!(rewarded.parts.efficiency, efficiency, "{peers:?}");
            close(rewarded.total, efficiency.map_or(1.0, |share| (0.7 + 0.1 * share) / 0.8));
        }
        let mut idle = reward(Outcome::Success, vec![]);
        idle.compare(&[1, 1, 1], 0);
        assert_eq!(idle.parts.efficiency, None);
    }

    #[test]
    fn the_callers_reward_is_the_total_and_does_not_replace_the_computed_one() {
        let mut given = Reward::compute(Some(0.25), Some(Outcome::Success), &steps(vec![ok("t")]));
        assert_eq!((given.total, given.computed), (Some(0.25), Some(1.0)));
        given.compare(&[1, 1, 1], 2);
        assert_eq!(given.total, Some(0.25));
        close(given.computed, (0.7 + 0.05) / 0.8);
    }

    #[test]
    fn nothing_known_is_no_reward() {
        let unknown = Reward::compute(None, None, &steps(vec![ok("pytest")]));
        assert_eq!((unknown.total, unknown.computed, unknown.parts.checks), (None, None, Some(1.0)));
        assert_eq!(Reward::compute(Some(0.5), None, &[]).total, Some(0.5));
    }

    #[test]
    fn in_a_shell_only_the_same_program_overcomes_a_failure() {
        let shell = |line: &str, call: NewStep| NewStep { args: Some(line.into()), ..call };
        let calls = |last| vec![shell("pytest -x", failed("bash", "1 failed")), shell(last, ok("bash"))];
        assert_eq!(reward(Outcome::Success, calls("ls")).parts.recoveries, Some(0.0));
        assert_eq!(reward(Outcome::Success, calls("cd a && pytest")).parts.recoveries, Some(1.0));
    }
}
