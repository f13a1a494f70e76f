//! Under which conditions episodes succeed.

use super::{Extractor, Finding, by_outcome};
use crate::episode::Episode;
use crate::limits::{CONDITION_CHARS_MAX, CONDITIONS_MAX};
use crate::pattern::PatternBody;

/// The conditions of an episode are the tools that it used and what its caller said of it: the project, the kind of task,
/// the tags, the named values of its context. Each is credited with the outcome.
pub struct Context;

impl Extractor for Context {
    fn name(&self) -> &'static str {
        "context"
    }

    fn extract(&self, episode: &Episode) -> Vec<Finding> {
        let brief = &episode.head.brief;
        let said = [("project", brief.scope.project.as_ref()), ("task_type", brief.task_type.as_ref())];
        let said = said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.clone())));
        let tags = brief.tags.iter().map(|tag| ("tag".to_owned(), tag.clone()));
        let named = brief.context.iter().map(|(name, value)| (format!("context.{name}"), value.clone()));
        // A long value is a text, which no other episode has.
        let is_short = |(_, value): &(String, String)| value.chars().count() <= CONDITION_CHARS_MAX;
        let given = said.chain(tags).chain(named).filter(is_short).take(CONDITIONS_MAX);
        let tools = episode.steps.iter().map(|step| ("tool".to_owned(), step.call.tool.clone()));
        by_outcome(episode, given.chain(tools).map(|(name, value)| PatternBody::Context { name, value }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::Outcome;
    use crate::episode::fixture::{completed, ok};

    #[test]
    fn conditions_are_what_was_said_and_what_was_used() {
        let mut episode = completed(vec![ok("a"), ok("b"), ok("a")], Some(Outcome::Failure));
        let brief = &mut episode.head.brief;
        brief.task_type = Some("bugfix".into());
        brief.tags = vec!["urgent".into()];
        brief.context = [("branch".into(), "main".into()), ("log".into(), "x".repeat(500))].into();
        let texts: Vec<String> =
            Context.extract(&episode).iter().map(|finding| finding.body.describe()).collect();
        assert_eq!(
            texts,
            ["task_type is bugfix", "tag is urgent", "context.branch is main", "a is used", "b is used"]
        );
    }
}
