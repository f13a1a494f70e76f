//! Patterns: what tends to work, what tends to fail, how a failure was recovered from.

mod body;
mod tally;

pub use body::{Measure, Mistake, PatternBody};
pub use tally::{Prior, Rate, Tally, strength};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::is_within;
use crate::id::PatternId;

/// Distinct episodes that must have shown a pattern before its rate says anything.
pub const VERDICT_EPISODES_MIN: u32 = 3;

/// What a pattern's rate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// It surely goes with success more often than is usual.
    Advice,
    /// It surely goes with success less often than is usual.
    Pitfall,
    /// Neither is sure.
    Neutral,
}

impl Verdict {
    /// All verdicts.
    pub const ALL: [Self; 3] = [Self::Advice, Self::Pitfall, Self::Neutral];

    /// The name used on the wire and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Advice => "advice",
            Self::Pitfall => "pitfall",
            Self::Neutral => "neutral",
        }
    }
}

impl std::str::FromStr for Verdict {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|verdict| verdict.name() == text).ok_or(())
    }
}

/// What a person or an agent said of a pattern, which counts more than its rate. Canonical: it is kept whatever becomes
/// of the evidence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Correction {
    /// What it is taken for.
    pub verdict: Option<Verdict>,
    /// What is to be told with it.
    pub note: Option<String>,
}

/// A stored pattern.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    /// Its id, the same wherever the same pattern is found, see [`PatternId::of`].
    pub id: PatternId,
    /// What it says.
    pub body: PatternBody,
    /// The domain of the episodes that it was seen in.
    pub domain: Option<String>,
    /// How often it held, by the episodes that show it.
    pub tally: Tally,
    /// How often it helped, by what was said after it had been shown.
    pub feedback: Tally,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// What was said of it.
    pub correction: Option<Correction>,
}

impl Pattern {
    /// Evidence and feedback, as much as they are worth at a time.
    pub fn evidence(&self, now: Timestamp) -> Tally {
        self.tally.plus(&self.feedback).at(now)
    }

    /// Its success rate.
    pub fn rate(&self, prior: &Prior, now: Timestamp) -> Rate {
        // What was said of it moves the rate, but is no episode.
        Rate { episodes: self.tally.episodes, ..prior.rate(&self.evidence(now)) }
    }

    /// What it is taken for: what was said of it, else what its rate says against the usual one.
    pub fn verdict(&self, prior: &Prior, now: Timestamp) -> Verdict {
        let said = self.correction.as_ref().and_then(|correction| correction.verdict);
        said.unwrap_or_else(|| match self.body.measure() {
            Measure::Outcome if self.tally.episodes >= VERDICT_EPISODES_MIN => {
                prior.verdict(&self.evidence(now))
            }
            Measure::Outcome | Measure::Success | Measure::Recovery => Verdict::Neutral,
        })
    }
}

/// The usual success of one domain by one measure, against which its patterns are judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// The domain.
    pub domain: Option<String>,
    /// What is measured.
    pub measure: Measure,
    /// All episodes of the domain.
    pub base: Tally,
    /// How much the patterns of the domain are alike, see [`strength`].
    pub strength: f64,
}

/// The usual success of several domains.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(pub Vec<Field>);

impl Fields {
    /// What to expect of a pattern of this domain before any evidence of its own.
    pub fn prior(&self, domain: Option<&str>, measure: Measure) -> Prior {
        let mut fields = self.0.iter().filter(|field| field.measure == measure);
        match fields.find(|field| field.domain.as_deref() == domain) {
            Some(field) => Prior { mean: field.base.share(), strength: field.strength },
            None => Prior::default(),
        }
    }

    /// The fields of a domain and those below it; all without one.
    pub fn of(&self, domain: Option<&str>) -> Self {
        let Some(domain) = domain else { return self.clone() };
        let is_below = |other: &str| is_within(other, domain);
        let fields = self.0.iter().filter(|field| field.domain.as_deref().is_some_and(is_below));
        Self(fields.cloned().collect())
    }

    /// The success of all of them together.
    pub fn base(&self, measure: Measure) -> Tally {
        let fields = self.0.iter().filter(|field| field.measure == measure);
        fields.fold(Tally::default(), |sum, field| sum.plus(&field.base))
    }
}
