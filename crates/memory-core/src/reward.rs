//! The reward of a completed episode: one number in 0..=1 and the parts it is made of.

use serde::{Deserialize, Serialize};

use crate::episode::{NewStep, Outcome};

/// Share of the outcome in a computed reward; the rest is the share of steps that succeeded.
const OUTCOME_WEIGHT: f64 = 0.8;

/// How good an episode was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reward {
    /// 0 (worthless) to 1 (perfect); `None` where neither an outcome nor a reward is known.
    pub total: Option<f64>,
    /// What `total` was computed from.
    pub parts: RewardParts,
}

/// The parts of a [`Reward`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RewardParts {
    /// The reward that the caller gave, which then is the total.
    pub given: Option<f64>,
    /// 1 for success, ½ for partial, 0 for failure and abandoned.
    pub outcome: Option<f64>,
    /// Share of the steps that succeeded; `None` without steps.
    pub steps_ok: Option<f64>,
}

impl Reward {
    /// Computes the reward: the caller's own number if there is one; else 0.8 × outcome + 0.2 × the share of
    /// steps that succeeded (the outcome alone when there were no steps).
    pub fn compute<'a>(
        given: Option<f64>,
        outcome: Option<Outcome>,
        steps: impl IntoIterator<Item = &'a NewStep>,
    ) -> Self {
        let (mut all, mut succeeded) = (0u32, 0u32);
        for step in steps {
            all += 1;
            succeeded += u32::from(step.error().is_none());
        }
        let steps_ok = (all > 0).then(|| f64::from(succeeded) / f64::from(all));
        let worth = outcome.map(|outcome| outcome.credit().unwrap_or(0.0));
        let computed = worth.map(|worth| match steps_ok {
            Some(share) => OUTCOME_WEIGHT * worth + (1.0 - OUTCOME_WEIGHT) * share,
            None => worth,
        });
        Self { total: given.or(computed), parts: RewardParts { given, outcome: worth, steps_ok } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::fixture;

    fn step(ok: bool) -> NewStep {
        if ok { fixture::ok("t") } else { fixture::failed("t", "no") }
    }

    #[test]
    fn a_clean_success_is_worth_more_than_a_bumpy_one_and_both_more_than_failure() {
        let total = |outcome, steps: &[NewStep]| Reward::compute(None, Some(outcome), steps).total.unwrap();
        assert_eq!(total(Outcome::Success, &[]), 1.0);
        assert_eq!(total(Outcome::Success, &[step(true), step(false)]), 0.9);
        assert!(total(Outcome::Partial, &[step(true)]) > total(Outcome::Failure, &[step(true)]));
    }

    #[test]
    fn the_callers_reward_is_the_total_and_nothing_known_is_no_reward() {
        assert_eq!(Reward::compute(Some(0.25), Some(Outcome::Success), &[step(true)]).total, Some(0.25));
        assert_eq!(Reward::compute(None, None, &[step(true)]).total, None);
    }
}
