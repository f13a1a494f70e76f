//! How long calls took.

use std::fmt::{self, Display};
use std::time::Duration;

use serde::Serialize;

/// The middle and the slow end of the times of some calls, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Latency {
    calls: usize,
    p50_ms: f64,
    p95_ms: f64,
}

impl Latency {
    pub(crate) fn of(times: &[Duration]) -> Self {
        let mut times = times.to_vec();
        times.sort();
        let at = |share: f64| {
            let place = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
            times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
        };
        Self { calls: times.len(), p50_ms: at(0.50), p95_ms: at(0.95) }
    }

    /// The middle, in milliseconds.
    pub(crate) fn middle_ms(&self) -> f64 {
        self.p50_ms
    }
}

impl Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:.2} ms, p95 {:.2} ms, {} calls", self.p50_ms, self.p95_ms, self.calls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slow_end_is_that_of_the_slowest_twentieth() {
        let times: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(Latency::of(&times).to_string(), "p50 51.00 ms, p95 96.00 ms, 100 calls");
        assert_eq!(Latency::of(&[]).to_string(), "p50 0.00 ms, p95 0.00 ms, 0 calls");
    }
}
