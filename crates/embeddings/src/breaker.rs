//! A circuit breaker: what has failed again and again is left alone for a while, so that callers do not wait for it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counts failures in a row. After `failures_max` of them it opens and refuses at once; after `rest` it lets a single
/// attempt through, which closes it again or starts another rest.
#[derive(Debug)]
pub struct Breaker {
    failures_max: u32,
    rest: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        since: Instant,
    },
    /// One attempt is under way since then.
    Trying {
        since: Instant,
    },
}

/// What a [`Breaker`] is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Attempts are made.
    Closed,
    /// Attempts are refused.
    Open,
    /// One attempt decides.
    HalfOpen,
}

impl Breaker {
    /// A closed one.
    pub fn new(failures_max: u32, rest: Duration) -> Self {
        Self { failures_max, rest, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Whether an attempt may be made now. If so, [`Breaker::succeeded`] or [`Breaker::failed`] must tell what became
    /// of it; an attempt that is never told of counts as failed after another rest.
    pub fn admits(&self, now: Instant) -> bool {
        let mut state = self.state();
        match *state {
            State::Closed { .. } => true,
            State::Open { since } | State::Trying { since } => {
                let rested = now.saturating_duration_since(since) >= self.rest;
                if rested {
                    *state = State::Trying { since: now };
                }
                rested
            }
        }
    }

    /// An attempt succeeded.
    pub fn succeeded(&self) {
        *self.state() = State::Closed { failures: 0 };
    }

    /// An attempt failed.
    pub fn failed(&self, now: Instant) {
        let mut state = self.state();
        *state = match *state {
            State::Closed { failures } if failures + 1 < self.failures_max => {
                State::Closed { failures: failures + 1 }
            }
            _ => State::Open { since: now },
        };
    }

    /// What it is at.
    pub fn now_at(&self) -> BreakerState {
        match *self.state() {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::Trying { .. } => BreakerState::HalfOpen,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(30);

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_attempt_decide() {
        let start = Instant::now();
        let breaker = Breaker::new(2, REST);
        breaker.failed(start);
        breaker.succeeded();
        breaker.failed(start);
        assert!(breaker.admits(start), "a success in between counts");
        breaker.failed(start);
        assert!(!breaker.admits(start) && !breaker.admits(start + REST / 2));
        let rested = start + REST;
        assert!(breaker.admits(rested));
        assert!(!breaker.admits(rested), "one attempt at a time");
        breaker.failed(rested);
        assert!(!breaker.admits(rested + REST / 2));
        assert!(breaker.admits(rested + REST));
        breaker.succeeded();
        assert_eq!(breaker.now_at(), BreakerState::Closed);
        assert!(breaker.admits(rested + REST) && breaker.admits(rested + REST));
    }

    #[test]
    fn an_attempt_that_was_given_up_does_not_keep_it_open() {
        let start = Instant::now();
        let breaker = Breaker::new(1, REST);
        breaker.failed(start);
        assert!(breaker.admits(start + REST));
        assert!(breaker.admits(start + 2 * REST));
    }
}
