//! How often something held, and what rate that makes likely.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF};

use super::Verdict;

/// Probability left out at either end of a rate's bounds.
const TAIL: f64 = 0.05;
/// Days after which an observation counts half.
const HALF_LIFE_DAYS: f64 = 365.0;
/// The time at which the weight of an observation is 1 in the store, in seconds since 1970: 2020-01-01.
const LANDMARK_SECONDS: i64 = 1_577_836_800;
/// How much two episodes of one task are alike: the share of the variance between tasks in that of outcomes. The four
/// trials of a benchmark's tasks have .4 to .6.
const LIKENESS: f64 = 0.5;
/// The most that one observation is relied on, see [`Usefulness::Wrong`](crate::feedback::Usefulness::Wrong).
const RELIANCE_MAX: f64 = 2.0;
/// The least number of observations that a prior is worth.
const STRENGTH_MIN: f64 = 2.0;
/// The most.
const STRENGTH_MAX: f64 = 300.0;
/// Patterns that are needed to tell how much patterns differ.
const STRENGTH_PATTERNS_MIN: usize = 8;

/// Weighed observations, one for each distinct episode. Weights are those of forward decay (Cormode, Shkapenyuk,
/// Srivastava and Xu, *Forward Decay*, ICDE 2009): an observation's weight never changes, a later one simply weighs more, so
/// that sums can be kept; [`at`](Self::at) makes them worth what they are worth at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Sum of the weights.
    pub weight: f64,
    /// Sum of weight × credit (1 worked, 0 did not, between: partly).
    pub credit: f64,
    /// Distinct episodes.
    pub episodes: u32,
    /// Distinct tasks among them.
    pub families: u32,
}

impl Tally {
    /// One observation: its credit in 0..=1, how far it can be relied on (mostly 1), and when it was made.
    pub fn one(credit: f64, reliance: f64, at: Timestamp) -> Self {
        let weight = reliance * age_factor(at);
        Self { weight, credit: weight * credit, episodes: 1, families: 1 }
    }

    /// What the episodes of one task count together (this, summed up): less than as many of different tasks. The weight is
    /// divided by the design effect 1 + (n − 1)ρ of a cluster of n (Kish, *Survey Sampling*, 1965, section 5.4).
    pub fn clustered(&self) -> Self {
        let effect = 1.0 + LIKENESS * (f64::from(self.episodes.max(1)) - 1.0);
        Self {
            weight: self.weight / effect,
            credit: self.credit / effect,
            families: self.families.min(1),
            ..*self
        }
    }

    /// Both together.
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            weight: self.weight + other.weight,
            credit: self.credit + other.credit,
            episodes: self.episodes + other.episodes,
            families: self.families + other.families,
        }
    }

    /// This without a part of it.
    pub fn minus(&self, part: &Self) -> Self {
        Self {
            weight: (self.weight - part.weight).max(0.0),
            credit: (self.credit - part.credit).max(0.0),
            episodes: self.episodes.saturating_sub(part.episodes),
            families: self.families.saturating_sub(part.families),
        }
    }

    /// What it is worth at a time: a fresh observation weighs 1, older ones less. One from the future, which a clock that
    /// was set back makes of all of them, is fresh.
    pub fn at(&self, now: Timestamp) -> Self {
        let fresh = RELIANCE_MAX * f64::from(self.episodes);
        let factor = if self.weight > 0.0 { age_factor(now).max(self.weight / fresh) } else { 1.0 };
        Self { weight: self.weight / factor, credit: self.credit / factor, ..*self }
    }

    /// The observed rate, drawn towards ½ as if by one more episode of which nothing is known.
    pub fn share(&self) -> f64 {
        let episodes = f64::from(self.episodes);
        let observed = if self.weight > 0.0 { (self.credit / self.weight).clamp(0.0, 1.0) } else { 0.5 };
        (episodes * observed + 0.5) / (episodes + 1.0)
    }
}

/// The weight of an observation made at a time. Bounded, so that a wrong clock makes no infinities.
fn age_factor(at: Timestamp) -> f64 {
    let days = (at.as_second() - LANDMARK_SECONDS) as f64 / 86_400.0;
    (days / HALF_LIFE_DAYS).clamp(-200.0, 200.0).exp2()
}

/// A success rate with its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Expected value.
    pub mean: f64,
    /// 5 % of the probability lies below.
    pub low: f64,
    /// 5 % of the probability lies above.
    pub high: f64,
    /// Distinct episodes behind it.
    pub episodes: u32,
}

/// What to expect before any evidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    /// The expected rate.
    pub mean: f64,
    /// How many observations that is worth.
    pub strength: f64,
}

impl Default for Prior {
    /// Every rate is as likely.
    fn default() -> Self {
        Self { mean: 0.5, strength: STRENGTH_MIN }
    }
}

impl Prior {
    /// The rate that the evidence makes likely: mean and 5 % and 95 % quantiles of the posterior
    /// Beta(s·m + credit, s·(1 − m) + weight − credit) (Gelman et al., *Bayesian Data Analysis*, 3rd ed., section 2.4).
    pub fn rate(&self, evidence: &Tally) -> Rate {
        let (low, high) = match self.posterior(evidence) {
            Some(beta) => (beta.inverse_cdf(TAIL), beta.inverse_cdf(1.0 - TAIL)),
            None => (0.0, 1.0),
        };
        Rate { mean: self.mean_with(evidence), low, high, episodes: evidence.episodes }
    }

    /// The expected rate.
    pub fn mean_with(&self, evidence: &Tally) -> f64 {
        let (a, b) = self.parameters(evidence);
        a / (a + b)
    }

    /// Whether the lower bound of the rate lies above the prior mean, or the upper one below; cheaper than the bounds.
    pub fn verdict(&self, evidence: &Tally) -> Verdict {
        self.verdict_against(self.mean, evidence)
    }

    /// As [`verdict`](Self::verdict), against another rate.
    pub fn verdict_against(&self, usual: f64, evidence: &Tally) -> Verdict {
        let (a, b) = self.parameters(evidence);
        let mean = a / (a + b);
        let deviation = (mean * (1.0 - mean) / (a + b + 1.0)).sqrt();
        // Within one standard deviation more than 5 % lies beyond; most patterns need no further look.
        if (mean - usual).abs() < deviation {
            return Verdict::Neutral;
        }
        match self.posterior(evidence).map(|beta| beta.cdf(usual)) {
            Some(below) if below < TAIL => Verdict::Advice,
            Some(below) if below > 1.0 - TAIL => Verdict::Pitfall,
            _ => Verdict::Neutral,
        }
    }

    fn posterior(&self, evidence: &Tally) -> Option<Beta> {
        let (a, b) = self.parameters(evidence);
        Beta::new(a, b).ok()
    }

    fn parameters(&self, evidence: &Tally) -> (f64, f64) {
        let mean = self.mean.clamp(0.01, 0.99);
        let failures = (evidence.weight - evidence.credit).max(0.0);
        // Where everything succeeds, as little as half a failure is still to be expected, and the other way round.
        let (successes, failed) = (self.strength * mean, self.strength * (1.0 - mean));
        (successes.max(0.5) + evidence.credit.max(0.0), failed.max(0.5) + failures)
    }
}

/// How many observations the usual rate of a domain is worth as a prior for its patterns: few where their rates differ by more
/// than chance would have it, many where they do not. By the method of moments for the beta-binomial distribution (Casella,
/// *An Introduction to Empirical Bayes Data Analysis*, 1985), each pattern weighed by the square root of its evidence.
pub fn strength(usual: f64, patterns: &[Tally]) -> f64 {
    let known: Vec<&Tally> = patterns.iter().filter(|tally| tally.weight > 0.0).collect();
    if known.len() < STRENGTH_PATTERNS_MIN {
        return STRENGTH_MIN;
    }
    let by_chance = usual * (1.0 - usual);
    let (mut excess, mut weights) = (0.0, 0.0);
    for tally in known {
        let weight = tally.weight.sqrt();
        let distance = tally.credit / tally.weight - usual;
        excess += weight * (distance * distance - by_chance / tally.weight);
        weights += weight;
    }
    let variance = excess / weights;
    if variance <= 0.0 {
        return STRENGTH_MAX;
    }
    (by_chance / variance - 1.0).clamp(STRENGTH_MIN, STRENGTH_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(credit: f64, episodes: u32) -> Tally {
        Tally { weight: f64::from(episodes), credit, episodes, families: episodes }
    }

    #[test]
    fn the_bounds_close_in_on_the_mean_as_episodes_come_in() {
        let prior = Prior::default();
        let (few, many) = (prior.rate(&tally(3.0, 4)), prior.rate(&tally(75.0, 100)));
        assert!(few.low < many.low && many.low < many.mean && many.mean < many.high && many.high < few.high);
    }

    #[test]
    fn a_verdict_is_what_the_bounds_say() {
        let prior = Prior { mean: 0.4, strength: 6.0 };
        for (credit, episodes) in [(9.0, 10), (5.0, 10), (0.0, 10), (2.0, 2), (0.0, 30)] {
            let rate = prior.rate(&tally(credit, episodes));
            let expected = match () {
                () if rate.low > 0.4 => Verdict::Advice,
                () if rate.high < 0.4 => Verdict::Pitfall,
                () => Verdict::Neutral,
            };
            assert_eq!(prior.verdict(&tally(credit, episodes)), expected, "{credit} of {episodes}");
        }
    }

    #[test]
    fn the_posterior_agrees_with_a_closed_form() {
        // Beta(n + 1, 1) has the distribution function x^(n+1).
        for episodes in 0..20u32 {
            let rate = Prior::default().rate(&tally(f64::from(episodes), episodes));
            let exact = 0.05f64.powf(1.0 / f64::from(episodes + 1));
            assert!((rate.low - exact).abs() < 1e-6, "{episodes}: {} {exact}", rate.low);
        }
    }

    #[test]
    fn where_all_succeed_nothing_stands_out() {
        let usual = Prior { mean: 0.96, strength: STRENGTH_MIN };
        assert_eq!(usual.verdict(&tally(12.0, 12)), Verdict::Neutral);
    }

    #[test]
    fn what_is_a_year_old_counts_half_and_old_evidence_lets_go_of_the_rate() {
        let then: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let later: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        let seen = Tally::one(1.0, 1.0, then);
        assert!((seen.at(then).weight - 1.0).abs() < 1e-9);
        assert!((seen.at(later).weight - 0.5).abs() < 1e-9);
        let prior = Prior::default();
        assert!(prior.mean_with(&seen.at(then)) > prior.mean_with(&seen.at(later)));
        for odd in [Timestamp::MIN, Timestamp::MAX] {
            let odd = Tally::one(1.0, 1.0, odd).at(later);
            assert!(odd.weight.is_finite() && prior.mean_with(&odd).is_finite());
        }
        let set_back = seen.at(Timestamp::UNIX_EPOCH);
        assert!(set_back.weight <= RELIANCE_MAX, "{set_back:?}");
        let rate = prior.rate(&Tally { credit: 0.0, ..set_back });
        assert!(rate.low <= rate.mean && rate.mean <= rate.high);
    }

    #[test]
    fn many_runs_of_one_task_count_less_than_runs_of_many() {
        let one_task = Tally { families: 1, ..tally(10.0, 10) }.clustered();
        let prior = Prior { mean: 0.5, strength: 4.0 };
        assert!(prior.mean_with(&one_task) < prior.mean_with(&tally(10.0, 10)));
        assert!(prior.mean_with(&one_task) > prior.mean_with(&tally(1.0, 1)));
        assert_eq!(tally(1.0, 1).clustered(), tally(1.0, 1));
    }

    #[test]
    fn where_patterns_differ_by_chance_alone_the_prior_is_strong() {
        let alike: Vec<Tally> = (0..40).map(|i| tally(f64::from(4 + i % 3), 10)).collect();
        let unlike: Vec<Tally> = (0..40).map(|i| tally(if i % 2 == 0 { 9.0 } else { 1.0 }, 10)).collect();
        assert!(strength(0.5, &alike) > 50.0);
        assert!(strength(0.5, &unlike) < 3.0);
        assert_eq!(strength(0.5, &alike[..3]), STRENGTH_MIN);
    }
}
