//! Which tools follow which: the counts that the next tool is forecast from.

use std::collections::BTreeMap;

use super::error_recovery::{error_class, error_kind};
use crate::episode::Step;
use crate::limits::{COURSE_STEPS_MAX, RECOVERY_STEPS_MAX, STATE_TOOLS_MAX};

/// A state and what followed it in an episode. A state is a text that means the same in every episode of a domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Transition {
    /// The state, see [`Course`].
    pub state: String,
    /// The tool that followed.
    pub tool: String,
    /// How often.
    pub times: u32,
}

/// Separates the parts of a state.
const SEPARATOR: char = '\u{1f}';

/// The course of an episode so far: what states it is in.
#[derive(Clone, Copy, Debug)]
pub struct Course<'a>(pub &'a [Step]);

impl Course<'_> {
    /// The states in which the next tool is chosen, the widest first: nothing, the last tool, the last two … with whether
    /// each failed; at the start of an episode the start stands for a tool.
    pub fn states(&self) -> Vec<String> {
        let mut state = String::from("next");
        let mut states = vec![state.clone()];
        let entries = self.0.iter().rev().map(entry).chain(["^".to_owned()]);
        for entry in entries.take(STATE_TOOLS_MAX) {
            state.push(SEPARATOR);
            state.push_str(&entry);
            states.push(state.clone());
        }
        states
    }

    /// The states in which a way out of a failure is chosen, the widest first: any failure, that of the tool, after the tool
    /// before it, with that kind of error, with that very error; where it is not known what failed, any failure and any of that kind. Empty unless
    /// the last step failed or `error` is given.
    pub fn troubles(&self, error: Option<&str>) -> Vec<String> {
        let failed = self.0.last().filter(|last| error.is_some() || last.call.error().is_some());
        let Some(error) = error.or(failed.and_then(|last| last.call.error())) else { return Vec::new() };
        let kind = error_kind(error);
        let state = |parts: &[&str]| parts.join(&SEPARATOR.to_string());
        let Some(last) = failed else { return vec![state(&["recover"]), state(&["recover", "kind", &kind])] };
        let before = self.0.iter().rev().nth(1).map_or("^", |step| step.call.tool.as_str());
        let tool = last.call.tool.as_str();
        vec![
            state(&["recover"]),
            state(&["recover", "tool", tool]),
            state(&["recover", "after", tool, before]),
            state(&["recover", "error", tool, &kind]),
            state(&["recover", "class", tool, &error_class(error)]),
        ]
    }
}

fn entry(step: &Step) -> String {
    let failed = if step.call.error().is_some() { "!" } else { "" };
    format!("{}{failed}", step.call.tool)
}

/// The transitions of an episode, sorted.
pub(super) fn transitions(steps: &[Step]) -> Vec<Transition> {
    let steps = &steps[..steps.len().min(COURSE_STEPS_MAX)];
    let mut counts: BTreeMap<(String, String), u32> = BTreeMap::new();
    let mut count = |state: String, tool: &str| {
        *counts.entry((state, tool.to_owned())).or_default() += 1;
    };
    for (index, step) in steps.iter().enumerate() {
        for state in Course(&steps[..index]).states() {
            count(state, &step.call.tool);
        }
        let after = &steps[index + 1..steps.len().min(index + 1 + RECOVERY_STEPS_MAX)];
        let next_success = after.iter().find(|step| step.call.error().is_none());
        if let (Some(_), Some(next)) = (step.call.error(), next_success) {
            for state in Course(&steps[..=index]).troubles(None) {
                count(state, &next.call.tool);
            }
            for state in Course(&[]).troubles(step.call.error()).into_iter().skip(1) {
                count(state, &next.call.tool);
            }
        }
    }
    counts.into_iter().map(|((state, tool), times)| Transition { state, tool, times }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::fixture::{failed, ok, steps};

    fn shown(transitions: &[Transition]) -> Vec<String> {
        let show = |t: &Transition| format!("{} → {} ×{}", t.state.replace(SEPARATOR, "/"), t.tool, t.times);
        transitions.iter().map(show).collect()
    }

    #[test]
    fn every_step_follows_from_the_states_before_it() {
        let taken = steps(vec![ok("a"), ok("b"), ok("a")]);
        assert_eq!(
            shown(&transitions(&taken)),
            [
                "next → a ×2",
                "next → b ×1",
                "next/^ → a ×1",
                "next/a → b ×1",
                "next/a/^ → b ×1",
                "next/b → a ×1",
                "next/b/a → a ×1",
                "next/b/a/^ → a ×1",
            ]
        );
    }

    #[test]
    fn the_first_success_after_a_failure_is_the_way_out() {
        let taken =
            steps(vec![ok("edit"), failed("test", "KeyError: 'a'"), failed("test", "again"), ok("look")]);
        let recoveries: Vec<String> =
            shown(&transitions(&taken)).into_iter().filter(|text| text.starts_with("recover")).collect();
        assert!(recoveries.contains(&"recover/error/test/KeyError → look ×1".to_owned()), "{recoveries:?}");
        assert!(recoveries.contains(&"recover → look ×2".to_owned()), "{recoveries:?}");
        assert!(recoveries.contains(&"recover/after/test/edit → look ×1".to_owned()), "{recoveries:?}");
        assert!(recoveries.contains(&"recover/kind/KeyError → look ×1".to_owned()), "{recoveries:?}");
    }
}
