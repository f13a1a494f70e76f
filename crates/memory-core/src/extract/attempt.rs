//! Which calls were tried, and how that went: what a warning before a call rests on.

use std::collections::BTreeMap;

use crate::command::ActionKey;
use crate::episode::{NewStep, Step};
use crate::hash::fnv_1a;
use crate::limits::COURSE_STEPS_MAX;

/// The calls of one kind in one episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The kind of call, see [`attempt_keys`].
    pub key: u64,
    /// How many failed.
    pub failed: u32,
    /// How many did not.
    pub succeeded: u32,
    /// The number of the first step that failed, or else of the first one.
    pub step: u32,
}

/// The kinds of a call, each as a hash: the very same call, and calls that differ in their particulars only. `None` where
/// only the name of a tool is known.
pub fn attempt_keys(call: &NewStep) -> Option<(u64, u64)> {
    let key = ActionKey::of(call)?;
    let exact = format!("exact\u{1f}{}\u{1f}{:x}", call.tool, key.exact);
    let shape = format!("shape\u{1f}{}\u{1f}{}", call.tool, key.shape);
    Some((fnv_1a(exact.into_bytes()), fnv_1a(shape.into_bytes())))
}

/// The attempts of an episode, sorted by their keys.
pub(super) fn attempts(steps: &[Step]) -> Vec<Attempt> {
    let mut attempts: BTreeMap<u64, Attempt> = BTreeMap::new();
    for step in &steps[..steps.len().min(COURSE_STEPS_MAX)] {
        let Some((exact, shape)) = attempt_keys(&step.call) else { continue };
        let has_failed = step.call.error().is_some();
        for key in [exact, shape] {
            let attempt =
                attempts.entry(key).or_insert(Attempt { key, failed: 0, succeeded: 0, step: step.number });
            if has_failed && attempt.failed == 0 {
                attempt.step = step.number;
            }
            attempt.failed += u32::from(has_failed);
            attempt.succeeded += u32::from(!has_failed);
        }
    }
    attempts.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::fixture::{failed, ok, steps};

    #[test]
    fn the_same_call_and_its_like_are_counted() {
        let call = |step: NewStep, args: &str| NewStep { args: Some(args.into()), ..step };
        let taken = steps(vec![
            call(ok("bash"), "pytest tests/test_a.py"),
            call(failed("bash", "1 failed"), "pytest  tests/test_a.py"),
            call(failed("bash", "1 failed"), "pytest tests/test_b.py"),
            ok("bash"),
        ]);
        let found = attempts(&taken);
        let of = |args: &str| attempt_keys(&call(ok("bash"), args)).unwrap();
        let find = |key: u64| found.iter().find(|attempt| attempt.key == key).copied();
        let (exact, shape) = of("pytest tests/test_a.py");
        assert_eq!(find(exact), Some(Attempt { key: exact, failed: 1, succeeded: 1, step: 2 }));
        assert_eq!(find(shape), Some(Attempt { key: shape, failed: 2, succeeded: 1, step: 2 }));
        assert_eq!(shape, of("pytest tests/test_c.py").1);
        assert_eq!(attempt_keys(&ok("bash")), None);
    }
}
