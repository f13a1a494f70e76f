//! Which mistakes go with failure.

use std::collections::HashMap;

use super::{Extractor, Finding, by_outcome, error_class};
use crate::command::{ActionKey, check_runs, edits};
use crate::episode::{Episode, Step};
use crate::pattern::{Mistake, PatternBody};

/// Finds [mistakes](Mistake) in the course of an episode, each credited with its outcome: whether a mistake is a pitfall, the
/// rates of many episodes tell.
pub struct Pitfall;

impl Extractor for Pitfall {
    fn name(&self) -> &'static str {
        "pitfall"
    }

    fn extract(&self, episode: &Episode) -> Vec<Finding> {
        let steps = &episode.steps;
        let mut mistakes = failures(steps);
        mistakes.extend(repeats(steps));
        mistakes.extend(is_unchecked(steps).then(|| pitfall(Mistake::Unchecked, "", "")));
        by_outcome(episode, mistakes)
    }
}

fn pitfall(mistake: Mistake, tool: &str, error: &str) -> PatternBody {
    PatternBody::Pitfall { mistake, tool: tool.to_owned(), error: error.to_owned() }
}

/// The ways in which tools failed, and those of them that were never overcome.
fn failures(steps: &[Step]) -> Vec<PatternBody> {
    let mut last_success: HashMap<&str, u32> = HashMap::new();
    for step in steps.iter().filter(|step| step.call.error().is_none()) {
        last_success.insert(&step.call.tool, step.number);
    }
    let mut mistakes = Vec::new();
    for step in steps {
        let Some(error) = step.call.error() else { continue };
        let (tool, class) = (step.call.tool.as_str(), error_class(error));
        mistakes.push(pitfall(Mistake::Failed, tool, &class));
        if last_success.get(tool).is_none_or(|last| *last < step.number) {
            mistakes.push(pitfall(Mistake::Unresolved, tool, &class));
        }
    }
    mistakes
}

/// The tools of which a call failed, was made again as it was with nothing else in between, and failed again.
fn repeats(steps: &[Step]) -> Vec<PatternBody> {
    let is_repeat = |pair: &&[Step]| {
        let [first, second] = pair else { return false };
        let both_failed = first.call.error().is_some() && second.call.error().is_some();
        let key = |step: &Step| ActionKey::of(&step.call).map(|key| key.exact);
        both_failed
            && first.call.tool == second.call.tool
            && key(first).is_some()
            && key(first) == key(second)
    };
    steps
        .windows(2)
        .filter(is_repeat)
        .map(|pair| pitfall(Mistake::Repeated, &pair[0].call.tool, ""))
        .collect()
}

/// Whether checks were run and the last change of a file came after the last of them.
fn is_unchecked(steps: &[Step]) -> bool {
    let last_check = check_runs(steps).last().map(|run| run.step);
    let last_edit = steps.iter().rev().find(|step| edits(&step.call)).map(|step| step.number);
    last_check.zip(last_edit).is_some_and(|(check, edit)| check < edit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::fixture::{completed, failed, ok};
    use crate::episode::{NewStep, Outcome};

    fn with_args(step: NewStep, args: &str) -> NewStep {
        NewStep { args: Some(args.into()), ..step }
    }

    fn found(steps: Vec<NewStep>) -> Vec<String> {
        let found = Pitfall.extract(&completed(steps, Some(Outcome::Failure)));
        found.iter().map(|finding| finding.body.describe()).collect()
    }

    #[test]
    fn failures_are_told_and_those_never_overcome_twice() {
        let steps = vec![failed("pay", "no money"), ok("pay"), failed("ship", "no address")];
        assert_eq!(
            found(steps),
            [
                "pay fails with \"no money\"",
                "ship fails with \"no address\"",
                "ship fails with \"no address\" and never works afterwards"
            ]
        );
    }

    #[test]
    fn a_call_repeated_as_it_was_is_a_repeat_and_a_changed_one_is_not() {
        let call = |args: &str| with_args(failed("pay", "no money"), args);
        let says = |texts: Vec<String>| texts.iter().any(|text| text.contains("made again"));
        assert!(says(found(vec![call("{\"sum\": 1}"), call("{\"sum\":  1}")])));
        assert!(!says(found(vec![call("{\"sum\": 1}"), call("{\"sum\": 2}")])));
        assert!(!says(found(vec![call("{\"sum\": 1}"), ok("earn"), call("{\"sum\": 1}")])));
    }

    #[test]
    fn a_change_after_the_last_test_is_unchecked() {
        let test = || with_args(ok("bash"), "cargo test");
        let edit = || with_args(ok("edit_file"), "{\"path\": \"src/a.rs\", \"new_text\": \"x\"}");
        let says = |texts: Vec<String>| texts.iter().any(|text| text.contains("nothing is tested"));
        assert!(says(found(vec![test(), edit()])));
        assert!(!says(found(vec![edit(), test()])));
        assert!(!says(found(vec![edit()])));
    }
}
