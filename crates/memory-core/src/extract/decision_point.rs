//! What was chosen in which state, and how it went.

use super::{Extractor, Finding, by_outcome};
use crate::episode::Episode;
use crate::pattern::PatternBody;

/// The state before a step is the tool used before it and whether that failed, or the start; the choice is the tool. Each
/// pair is credited with the outcome of the episode. To go on with the same tool after it worked is no decision.
pub struct DecisionPoint;

impl Extractor for DecisionPoint {
    fn name(&self) -> &'static str {
        "decision_point"
    }

    fn extract(&self, episode: &Episode) -> Vec<Finding> {
        let steps = &episode.steps;
        let before = std::iter::once(None).chain(steps.iter().map(Some));
        let decisions = before.zip(steps).filter_map(|(before, step)| {
            let choice = step.call.tool.clone();
            let after = before.map(|step| (step.call.tool.clone(), step.call.error().is_some()));
            let goes_on = after.as_ref().is_some_and(|(tool, failed)| !failed && *tool == choice);
            (!goes_on).then_some(PatternBody::DecisionPoint { after, choice })
        });
        by_outcome(episode, decisions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::Outcome;
    use crate::episode::fixture::{completed, failed, ok};

    #[test]
    fn a_decision_is_told_with_its_state() {
        let steps = vec![ok("look"), ok("look"), failed("test", "no"), failed("test", "no"), ok("fix")];
        let found = DecisionPoint.extract(&completed(steps, Some(Outcome::Success)));
        let texts: Vec<String> = found.iter().map(|finding| finding.body.describe()).collect();
        assert_eq!(
            texts,
            ["look first", "after look: test", "after test failed: test", "after test failed: fix"]
        );
    }
}
