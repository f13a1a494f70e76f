//! Patterns: what tends to work, what tends to fail, how a failure was recovered from.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF};

use crate::id::PatternId;

/// What a pattern says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PatternBody {
    /// Tools used one after the other; repeats of one tool count once.
    ToolSequence {
        /// The tools in order.
        tools: Vec<String>,
    },
    /// A tool failed in a certain way, and then this was done until the tool was called again.
    ErrorRecovery {
        /// The tool that failed.
        tool: String,
        /// The error without its particulars, see [`error_class`](crate::extract::error_class).
        error: String,
        /// The tools used up to and including the next call of the failed one; empty where it was not called again.
        recovery: Vec<String>,
    },
}

/// Separates the parts of a signature: the unit separator of ASCII, which no part may contain.
const SEPARATOR: char = '\u{1f}';

impl PatternBody {
    /// The name of its kind, on the wire and in the store.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ToolSequence { .. } => "tool_sequence",
            Self::ErrorRecovery { .. } => "error_recovery",
        }
    }

    /// Equal for two findings exactly when they are the same pattern. Together with kind and domain it is the
    /// pattern's identity, and [`parse`](Self::parse) reads it back.
    pub fn signature(&self) -> String {
        let parts: Vec<&String> = match self {
            Self::ToolSequence { tools } => tools.iter().collect(),
            Self::ErrorRecovery { tool, error, recovery } => {
                [tool, error].into_iter().chain(recovery).collect()
            }
        };
        let part = |part: &&String| part.replace(SEPARATOR, " ");
        parts.iter().map(part).collect::<Vec<_>>().join(&SEPARATOR.to_string())
    }

    /// The pattern of this kind and signature; `None` if it is none.
    pub fn parse(kind: &str, signature: &str) -> Option<Self> {
        let mut parts = signature.split(SEPARATOR).map(str::to_owned);
        match kind {
            "tool_sequence" => Some(Self::ToolSequence { tools: parts.collect() }),
            "error_recovery" => Some(Self::ErrorRecovery {
                tool: parts.next()?,
                error: parts.next()?,
                recovery: parts.collect(),
            }),
            _ => None,
        }
    }

    /// The pattern in words.
    pub fn describe(&self) -> String {
        match self {
            Self::ToolSequence { tools } => tools.join(" → "),
            Self::ErrorRecovery { tool, error, recovery } if recovery.is_empty() => {
                format!("{tool} failed with \"{error}\" and was not tried again")
            }
            Self::ErrorRecovery { tool, error, recovery } => {
                format!("after {tool} failed with \"{error}\": {}", recovery.join(" → "))
            }
        }
    }
}

/// Probability left out at either end of a rate's bounds.
const TAIL: f64 = 0.05;

/// How often a pattern held: one observation for each distinct episode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Sum of the episodes' credits (1 worked, 0 did not, between: partly).
    pub credit: f64,
    /// Distinct episodes observed.
    pub episodes: u32,
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

impl Tally {
    /// Adds one episode.
    pub fn add(&mut self, credit: f64) {
        self.credit += credit;
        self.episodes += 1;
    }

    /// The success rate: mean and 5 % and 95 % quantiles of its posterior.
    pub fn rate(&self) -> Rate {
        let (low, high) = match self.posterior() {
            Some(beta) => (beta.inverse_cdf(TAIL), beta.inverse_cdf(1.0 - TAIL)),
            None => (0.0, 1.0),
        };
        Rate { mean: self.mean(), low, high, episodes: self.episodes }
    }

    /// The expected success rate.
    pub fn mean(&self) -> f64 {
        let (a, b) = self.parameters();
        a / (a + b)
    }

    /// Whether the lower bound of the rate lies above `rate`; cheaper than the bound itself.
    pub fn is_above(&self, rate: f64) -> bool {
        self.posterior().is_some_and(|beta| beta.cdf(rate) < TAIL)
    }

    /// Whether the upper bound of the rate lies below `rate`.
    pub fn is_below(&self, rate: f64) -> bool {
        self.posterior().is_some_and(|beta| beta.cdf(rate) > 1.0 - TAIL)
    }

    /// The posterior from a uniform prior, Beta(1 + credit, 1 + episodes − credit) (Gelman et al., *Bayesian Data
    /// Analysis*, 3rd ed., section 2.4).
    fn posterior(&self) -> Option<Beta> {
        let (a, b) = self.parameters();
        Beta::new(a, b).ok()
    }

    fn parameters(&self) -> (f64, f64) {
        let failures = (f64::from(self.episodes) - self.credit).max(0.0);
        (1.0 + self.credit.max(0.0), 1.0 + failures)
    }
}

/// A stored pattern.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    /// Its id.
    pub id: PatternId,
    /// What it says.
    pub body: PatternBody,
    /// The domain of the episodes that it was seen in.
    pub domain: Option<String>,
    /// How often it held.
    pub tally: Tally,
    /// When it was last seen.
    pub last_seen: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_close_in_on_the_mean_as_episodes_come_in() {
        let few = Tally { credit: 3.0, episodes: 4 }.rate();
        let many = Tally { credit: 75.0, episodes: 100 }.rate();
        assert!(few.low < many.low && many.low < many.mean && many.mean < many.high && many.high < few.high);
    }

    #[test]
    fn a_rate_is_above_and_below_what_its_bounds_say() {
        let tally = Tally { credit: 9.5, episodes: 14 };
        let rate = tally.rate();
        assert!(tally.is_above(rate.low - 1e-6) && !tally.is_above(rate.low + 1e-6));
        assert!(tally.is_below(rate.high + 1e-6) && !tally.is_below(rate.high - 1e-6));
    }

    #[test]
    fn the_posterior_agrees_with_a_closed_form() {
        // Beta(n + 1, 1) has the distribution function x^(n+1).
        for episodes in 0..20u32 {
            let rate = Tally { credit: f64::from(episodes), episodes }.rate();
            let exact = 0.05f64.powf(1.0 / f64::from(episodes + 1));
            assert!((rate.low - exact).abs() < 1e-6, "{episodes}: {} {exact}", rate.low);
        }
    }

    #[test]
    fn a_signature_tells_patterns_apart_and_is_read_back() {
        let sequence = |tools: &[&str]| PatternBody::ToolSequence {
            tools: tools.iter().map(|t| t.to_string()).collect(),
        };
        assert_ne!(sequence(&["a", "b c"]).signature(), sequence(&["a b", "c"]).signature());
        let recovery = |tools: &[&str]| PatternBody::ErrorRecovery {
            tool: "a".into(),
            error: "it \"failed\"".into(),
            recovery: tools.iter().map(ToString::to_string).collect(),
        };
        for body in [sequence(&["a", "b"]), recovery(&[]), recovery(&["b"]), recovery(&["b", "a"])] {
            assert_eq!(PatternBody::parse(body.kind(), &body.signature()), Some(body));
        }
    }
}
