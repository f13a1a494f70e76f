//! What counting alone learns from the same episodes: the frequency of tools after tools, and of success.

use std::collections::HashMap;

use super::corpus::Episode;

/// Preceding calls that the next one is told from, at most.
const ORDER: usize = 3;
/// Stands before the first call; no tool has this name.
const START: &str = "";

/// Counts what followed in contexts, each given with all that it can fall back on, the most special first.
#[derive(Debug, Default)]
struct Backoff<'a> {
    /// What followed each context and how often, in the order in which it was first seen.
    followed: HashMap<Vec<&'a str>, Vec<(&'a str, usize)>>,
}

impl<'a> Backoff<'a> {
    fn learn(&mut self, contexts: impl Iterator<Item = Vec<&'a str>>, next: &'a str) {
        for context in contexts {
            let followed = self.followed.entry(context).or_default();
            match followed.iter_mut().find(|(seen, _)| *seen == next) {
                Some((_, count)) => *count += 1,
                None => followed.push((next, 1)),
            }
        }
    }

    /// What followed most often in the first context that was seen; of several, what was seen first.
    fn most_frequent<'b>(&self, mut contexts: impl Iterator<Item = Vec<&'b str>>) -> Option<&'a str> {
        let followed = contexts.find_map(|context| self.followed.get(context.as_slice()))?;
        // `max_by_key` takes the last of equals.
        followed.iter().rev().max_by_key(|(_, count)| *count).map(|(next, _)| *next)
    }
}

/// The last tools before a call, as many as count, then fewer and fewer.
fn preceding<'a>(history: &[&'a str]) -> impl Iterator<Item = Vec<&'a str>> {
    let begun: Vec<&str> = [START].into_iter().chain(history.iter().copied()).collect();
    (0..=ORDER.min(begun.len())).rev().map(move |length| begun[begun.len() - length..].to_vec())
}

/// The tool that failed with its kind of error, then without, then any failure.
fn failures<'a>(tool: &'a str, error_type: Option<&'a str>) -> impl Iterator<Item = Vec<&'a str>> {
    [vec![tool, error_type.unwrap_or_default()], vec![tool], Vec::new()].into_iter()
}

/// Everything that counting knows.
#[derive(Debug, Default)]
pub(crate) struct Baseline<'a> {
    next: Backoff<'a>,
    recoveries: Backoff<'a>,
    /// Successes and known outcomes of each domain.
    outcomes: HashMap<Option<&'a str>, (usize, usize)>,
}

impl<'a> Baseline<'a> {
    pub(crate) fn of(episodes: impl Iterator<Item = &'a Episode>) -> Self {
        let mut baseline = Self::default();
        for episode in episodes {
            let tools: Vec<&str> = episode.steps.iter().map(|step| step.tool.as_str()).collect();
            for (place, step) in episode.steps.iter().enumerate() {
                baseline.next.learn(preceding(&tools[..place]), &step.tool);
                if step.failure().is_some()
                    && let Some(recovery) = episode.recovery(place)
                {
                    let failed = failures(&step.tool, step.error_type.as_deref());
                    baseline.recoveries.learn(failed, recovery);
                }
            }
            if let Some(success) = episode.success {
                let (successes, known) = baseline.outcomes.entry(episode.domain.as_deref()).or_default();
                *successes += usize::from(success);
                *known += 1;
            }
        }
        baseline
    }

    /// The tool that most often came after these.
    pub(crate) fn next(&self, history: &[&str]) -> Option<&'a str> {
        self.next.most_frequent(preceding(history))
    }

    /// The tool that most often worked after such a failure.
    pub(crate) fn recovery(&self, tool: &str, error_type: Option<&str>) -> Option<&'a str> {
        self.recoveries.most_frequent(failures(tool, error_type))
    }

    /// The share of successes in the domain; in all of them where none is known, one half where none is known at all.
    pub(crate) fn success(&self, domain: Option<&str>) -> f64 {
        let add = |sum: (usize, usize), one: &(usize, usize)| (sum.0 + one.0, sum.1 + one.1);
        let all = || self.outcomes.values().fold((0, 0), add);
        let (successes, known) = self.outcomes.get(&domain).copied().unwrap_or_else(all);
        if known == 0 { 0.5 } else { successes as f64 / known as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call is a tool, or `tool!error_type` if it failed.
    fn episode(domain: Option<&str>, success: Option<bool>, calls: &str) -> Episode {
        let step = |call: &str| match call.split_once('!') {
            Some((tool, error_type)) => {
                serde_json::json!({"tool": tool, "ok": false, "error_type": error_type})
            }
            None => serde_json::json!({"tool": call, "ok": true}),
        };
        let steps: Vec<_> = calls.split_whitespace().map(step).collect();
        let line = serde_json::json!({
            "id": "1", "task_id": "t", "task": "?", "domain": domain, "success": success, "steps": steps,
        });
        serde_json::from_value(line).unwrap()
    }

    #[test]
    fn the_longest_context_that_was_seen_tells_the_next_tool() {
        let learned =
            [episode(None, None, "a b c d"), episode(None, None, "x b c e e"), episode(None, None, "a c e")];
        let baseline = Baseline::of(learned.iter());
        assert_eq!(baseline.next(&[]), Some("a"));
        assert_eq!(baseline.next(&["a", "b", "c"]), Some("d"));
        assert_eq!(baseline.next(&["q", "a", "b", "c"]), Some("d"));
        assert_eq!(baseline.next(&["x", "b", "c"]), Some("e"));
        // After `b c` both came once: the first seen. After `c`, `e` came more often.
        assert_eq!(baseline.next(&["q", "b", "c"]), Some("d"));
        assert_eq!(baseline.next(&["q", "q", "c"]), Some("e"));
        // The start is part of a context.
        assert_eq!(baseline.next(&["a"]), Some("b"));
        // Nothing like it: the most frequent tool of all, of two the first seen.
        assert_eq!(baseline.next(&["q"]), Some("c"));
        assert_eq!(Baseline::default().next(&["a"]), None);
    }

    #[test]
    fn a_recovery_falls_back_on_the_tool_and_then_on_all_failures() {
        let learned = [
            episode(None, None, "grep!rc_1 ls sed!rc_1 cat"),
            episode(None, None, "grep!timeout find grep!timeout find sed!rc_1 cat"),
            episode(None, None, "sed!rc_1 cat"),
        ];
        let baseline = Baseline::of(learned.iter());
        assert_eq!(baseline.recovery("grep", Some("rc_1")), Some("ls"));
        assert_eq!(baseline.recovery("grep", Some("other")), Some("find"));
        assert_eq!(baseline.recovery("make", Some("rc_1")), Some("cat"));
        assert_eq!(Baseline::default().recovery("grep", None), None);
    }

    #[test]
    fn success_is_as_frequent_as_in_the_domain_or_else_in_all() {
        let learned = [
            episode(Some("a"), Some(true), ""),
            episode(Some("b"), Some(true), ""),
            episode(Some("b"), Some(false), ""),
            episode(Some("b"), Some(false), ""),
            episode(Some("b"), None, ""),
        ];
        let baseline = Baseline::of(learned.iter());
        assert_eq!(
            [Some("a"), Some("b"), Some("c")].map(|domain| baseline.success(domain)),
            [1.0, 1.0 / 3.0, 0.5]
        );
        assert_eq!(Baseline::default().success(Some("a")), 0.5);
    }
}
