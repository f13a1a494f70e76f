//! Which tools, used one after the other, go with success.

use std::collections::HashSet;

use super::{Extractor, Finding, tool_path};
use crate::episode::Episode;
use crate::limits::{FINDINGS_MAX, SEQUENCE_TOOLS_MAX};
use crate::pattern::PatternBody;

/// Finds every run of 2 to [`SEQUENCE_TOOLS_MAX`] tools, short runs first, credited with the outcome of the episode.
/// An episode that was abandoned, or whose outcome is unknown, teaches no sequence.
pub struct ToolSequence;

impl Extractor for ToolSequence {
    fn name(&self) -> &'static str {
        "tool_sequence"
    }

    fn extract(&self, episode: &Episode) -> Vec<Finding> {
        let Some(credit) = episode.head.outcome().and_then(|outcome| outcome.credit()) else {
            return Vec::new();
        };
        let path = tool_path(&episode.steps);
        let mut seen = HashSet::new();
        (2..=SEQUENCE_TOOLS_MAX)
            .flat_map(|length| path.windows(length))
            .filter(|tools| seen.insert(*tools))
            .take(FINDINGS_MAX)
            .map(|tools| Finding {
                body: PatternBody::ToolSequence { tools: tools.iter().map(ToString::to_string).collect() },
                credit,
                detail: None,
            })
            .collect()
    }
}
