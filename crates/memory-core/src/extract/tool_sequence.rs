//! Which tools, used one after the other, go with success.

use super::{Extractor, Finding, by_outcome, tool_path};
use crate::episode::Episode;
use crate::limits::SEQUENCE_TOOLS_MAX;
use crate::pattern::PatternBody;

/// Finds every run of 2 to [`SEQUENCE_TOOLS_MAX`] tools, short runs first, credited with the outcome of the episode.
pub struct ToolSequence;

impl Extractor for ToolSequence {
    fn name(&self) -> &'static str {
        "tool_sequence"
    }

    fn extract(&self, episode: &Episode) -> Vec<Finding> {
        let path = tool_path(&episode.steps);
        let runs = (2..=SEQUENCE_TOOLS_MAX).flat_map(|length| path.windows(length));
        let sequence = |tools: &[&str]| PatternBody::ToolSequence {
            tools: tools.iter().map(ToString::to_string).collect(),
        };
        by_outcome(episode, runs.map(sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::Outcome;
    use crate::episode::fixture::{completed, ok};

    #[test]
    fn runs_of_two_and_three_are_found_once_each_and_an_abandoned_episode_teaches_none() {
        let steps = || ["a", "b", "b", "a", "b", "c"].map(ok).to_vec();
        let found = ToolSequence.extract(&completed(steps(), Some(Outcome::Partial)));
        let texts: Vec<String> = found.iter().map(|finding| finding.body.describe()).collect();
        assert_eq!(texts, ["a → b", "b → a", "b → c", "a → b → a", "b → a → b", "a → b → c"]);
        assert!(found.iter().all(|finding| finding.credit == 0.5));
        for outcome in [None, Some(Outcome::Abandoned)] {
            assert_eq!(ToolSequence.extract(&completed(steps(), outcome)), []);
        }
    }
}
