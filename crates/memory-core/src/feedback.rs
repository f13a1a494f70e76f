//! What is said of things after they were shown.

use jiff::Timestamp;

use crate::pattern::Tally;
use crate::retrieve::Found;

/// What something was worth to whom it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Usefulness {
    /// It helped.
    Helped,
    /// It did not help.
    NoHelp,
    /// It was wrong.
    Wrong,
}

impl Usefulness {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Helped, Self::NoHelp, Self::Wrong];

    /// The name used on the wire and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Helped => "helped",
            Self::NoHelp => "no_help",
            Self::Wrong => "wrong",
        }
    }

    /// What it adds to the evidence, in episodes: a success, half a failure (it may have been of no use here alone), two
    /// failures.
    pub fn observation(self, at: Timestamp) -> Tally {
        match self {
            Self::Helped => Tally::one(1.0, 1.0, at),
            Self::NoHelp => Tally::one(0.0, 0.5, at),
            Self::Wrong => Tally::one(0.0, 2.0, at),
        }
    }
}

impl std::str::FromStr for Usefulness {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|usefulness| usefulness.name() == text).ok_or(())
    }
}

/// One feedback.
#[derive(Clone, Debug, PartialEq)]
pub struct Feedback {
    /// What it is about, each once.
    pub about: Vec<Found>,
    /// What they were worth.
    pub usefulness: Usefulness,
    /// Why, in words.
    pub comment: Option<String>,
    /// When it was given.
    pub at: Timestamp,
}

/// What a hit's score is multiplied by for what was said of it: 1 if nothing was, up to 2 for what always helped, towards 0 for
/// what was wrong. Twice the mean of the posterior from a uniform prior.
pub fn score_factor(said: &Tally, now: Timestamp) -> f64 {
    let said = said.at(now);
    2.0 * (1.0 + said.credit) / (2.0 + said.weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helped_goes_up_and_what_was_wrong_goes_down_and_both_fade() {
        let then: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let later: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let factor = |usefulness: Usefulness, now| score_factor(&usefulness.observation(then), now);
        assert_eq!(score_factor(&Tally::default(), then), 1.0);
        let [helped, no_help, wrong] = Usefulness::ALL.map(|usefulness| factor(usefulness, then));
        assert!(helped > 1.0 && 1.0 > no_help && no_help > wrong && wrong > 0.0);
        assert!(factor(Usefulness::Wrong, later) > wrong && factor(Usefulness::Wrong, later) < 1.0);
    }
}
