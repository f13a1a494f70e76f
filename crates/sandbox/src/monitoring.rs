//! The sixth layer: what programs used is counted, and when several in a row go against their limits, no more are run for a while.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::report::{Reason, Report};

/// Violations within [`VIOLATIONS_WITHIN`] that close the sandbox.
pub const VIOLATIONS_MAX: usize = 10;
/// The time within which violations are counted together.
pub const VIOLATIONS_WITHIN: Duration = Duration::from_secs(60);
/// How long the sandbox stays closed.
pub const CLOSED_FOR: Duration = Duration::from_secs(10);

/// What was seen since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Programs that were run.
    pub runs: u64,
    /// Those that were stopped, by reason.
    pub stopped: Vec<(Reason, u64)>,
    /// Instructions of all.
    pub fuel: u64,
    /// Calls of functions of the host by all.
    pub host_calls: u64,
    /// Time that all ran.
    pub time: Duration,
    /// Largest memory of one, in bytes.
    pub memory_peak_bytes: usize,
    /// How often the sandbox was closed.
    pub closed: u64,
}

#[derive(Debug, Default)]
struct Seen {
    counts: Counts,
    violations: VecDeque<Instant>,
    closed_until: Option<Instant>,
}

/// Watches the runs.
#[derive(Debug, Default)]
pub(crate) struct Monitor(Mutex<Seen>);

impl Monitor {
    /// Notes a run that has ended.
    pub(crate) fn note(&self, report: &Report, now: Instant) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = &mut seen.counts;
        counts.runs += 1;
        counts.fuel = counts.fuel.saturating_add(report.usage.fuel);
        counts.host_calls += u64::from(report.usage.host_calls);
        counts.time += report.usage.time;
        counts.memory_peak_bytes = counts.memory_peak_bytes.max(report.usage.memory_peak_bytes);
        let Some(stopped) = &report.stopped else { return };
        match counts.stopped.iter_mut().find(|(reason, _)| *reason == stopped.reason) {
            Some((_, times)) => *times += 1,
            None => counts.stopped.push((stopped.reason, 1)),
        }
        if stopped.reason.is_violation() {
            seen.violate(now);
        }
    }

    /// How long no program is run, if that is so.
    pub(crate) fn closed_for(&self, now: Instant) -> Option<Duration> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.closed_until.and_then(|until| until.checked_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// What was seen since the start.
    pub(crate) fn counts(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).counts.clone()
    }
}

impl Seen {
    fn violate(&mut self, now: Instant) {
        while self.violations.front().is_some_and(|at| now.duration_since(*at) > VIOLATIONS_WITHIN) {
            self.violations.pop_front();
        }
        self.violations.push_back(now);
        if self.violations.len() >= VIOLATIONS_MAX {
            self.violations.clear();
            self.closed_until = Some(now + CLOSED_FOR);
            self.counts.closed += 1;
            tracing::warn!(
                "closed the sandbox for {CLOSED_FOR:?}: {VIOLATIONS_MAX} programs went against their limits"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{CLOSED_FOR, Monitor, VIOLATIONS_MAX, VIOLATIONS_WITHIN};
    use crate::report::{Reason, Refusal, Report, Stopped};
    use crate::sandbox::Layers;
    use crate::sandbox::tests::{only, value};

    const ALONE: Layers = Layers { monitoring: true, ..Layers::NONE };
    /// A function within functions until the stack of the engine is full, which it is without any limit.
    const OVERFLOW: &str = "let s = '('.repeat(200000) + '1' + ')'.repeat(200000); RegExp(s); eval(s)";

    #[tokio::test]
    async fn what_was_used_is_told() {
        let sandbox = only(ALONE);
        let little = sandbox.evaluate("1").await.unwrap().usage;
        let much = sandbox
            .evaluate("const a = []; for (let i = 0; i < 1e5; i++) a.push({i}); 1")
            .await
            .unwrap()
            .usage;
        assert!(little.fuel > 1_000 && much.fuel > 10 * little.fuel, "{little:?} {much:?}");
        assert!(much.memory_peak_bytes > little.memory_peak_bytes + 4_000_000, "{little:?} {much:?}");
        assert!(much.time > little.time, "{little:?} {much:?}");
        assert_eq!(sandbox.status().counts.runs, 2);
    }

    fn ended(reason: Reason) -> Report {
        Report { stopped: Some(Stopped::new(reason, "")), ..Report::default() }
    }

    #[test]
    fn repeated_violations_close_it_for_a_while() {
        let (monitor, start) = (Monitor::default(), Instant::now());
        for _ in 1..VIOLATIONS_MAX {
            monitor.note(&ended(Reason::Deadline), start);
            monitor.note(&ended(Reason::Exception), start);
            assert_eq!(monitor.closed_for(start), None);
        }
        monitor.note(&ended(Reason::Memory), start);
        assert_eq!(monitor.closed_for(start), Some(CLOSED_FOR));
        assert_eq!(monitor.closed_for(start + CLOSED_FOR), None);
        assert_eq!(monitor.counts().closed, 1);
    }

    #[test]
    fn violations_far_apart_do_not() {
        let (monitor, mut now) = (Monitor::default(), Instant::now());
        for _ in 0..5 * VIOLATIONS_MAX {
            now += VIOLATIONS_WITHIN / (VIOLATIONS_MAX as u32 - 1) + Duration::from_secs(1);
            monitor.note(&ended(Reason::Trap), now);
            assert_eq!(monitor.closed_for(now), None);
        }
    }

    #[tokio::test]
    async fn a_closed_sandbox_runs_nothing_and_says_for_how_long() {
        let sandbox = only(ALONE);
        for _ in 0..VIOLATIONS_MAX {
            sandbox.monitor().note(&ended(Reason::Deadline), Instant::now());
        }
        let refusal = sandbox.evaluate("1").await.unwrap_err();
        assert!(matches!(refusal, Refusal::Closed(1..=10)), "{refusal}");
    }

    #[tokio::test]
    async fn an_overflow_ends_in_good_order_without_any_limit() {
        let report = only(ALONE).evaluate(OVERFLOW).await.unwrap();
        assert!(report.stopped.is_some());
        assert_eq!(value(&only(ALONE), "1").await, "1");
    }
}
