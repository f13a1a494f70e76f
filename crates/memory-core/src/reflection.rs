//! What can be read off the steps of a finished episode. Nothing here is guessed: every statement is a count or a
//! quotation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::episode::Step;
use crate::extract::{error_class, tool_path};

/// Tools named in the path of a reflection at the most.
const PATH_TOOLS_MAX: usize = 16;
/// Kinds of failure named in a reflection at the most.
const FAILURES_MAX: usize = 5;

/// A kind of failure within one episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The tool that failed.
    pub tool: String,
    /// The error without its particulars.
    pub error: String,
    /// How often.
    pub times: u32,
    /// Whether a later call of the tool succeeded.
    pub overcome: bool,
}

/// What an episode's steps show.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reflection {
    /// The tools in the order of their use, repeats counted once, cut after sixteen.
    pub path: Vec<String>,
    /// Whether `path` was cut.
    pub path_cut: bool,
    /// The most frequent kinds of failure.
    pub failures: Vec<Failure>,
}

impl Reflection {
    /// Reads the steps.
    pub fn on(steps: &[Step]) -> Self {
        let tools = tool_path(steps);
        let mut kinds: BTreeMap<(&str, String), Failure> = BTreeMap::new();
        for (index, step) in steps.iter().enumerate() {
            let Some(error) = step.call.error() else { continue };
            let tool = step.call.tool.as_str();
            let class = error_class(error);
            let later = &steps[index + 1..];
            let failure = kinds.entry((tool, class.clone())).or_insert_with(|| Failure {
                tool: tool.to_owned(),
                error: class,
                times: 0,
                overcome: false,
            });
            failure.times += 1;
            failure.overcome = later.iter().any(|s| s.call.tool == tool && s.call.error().is_none());
        }
        let mut failures: Vec<Failure> = kinds.into_values().collect();
        failures.sort_by_key(|failure| std::cmp::Reverse(failure.times));
        failures.truncate(FAILURES_MAX);
        Self {
            path_cut: tools.len() > PATH_TOOLS_MAX,
            path: tools.into_iter().take(PATH_TOOLS_MAX).map(str::to_owned).collect(),
            failures,
        }
    }

    /// The reflection in words; empty when there were no steps.
    pub fn text(&self) -> String {
        let mut sentences = Vec::new();
        if !self.path.is_empty() {
            let more = if self.path_cut { " → …" } else { "" };
            sentences.push(format!("Path: {}{more}.", self.path.join(" → ")));
        }
        for Failure { tool, error, times, overcome } in &self.failures {
            let end = if *overcome { "a later call succeeded" } else { "no later call succeeded" };
            sentences.push(format!("{tool} failed {times}× with \"{error}\"; {end}."));
        }
        sentences.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::fixture::{failed, ok, steps};

    #[test]
    fn a_reflection_names_the_path_the_failures_and_whether_they_were_overcome() {
        let taken = steps(vec![
            ok("read"),
            ok("read"),
            failed("write", "disk 7 full"),
            ok("write"),
            failed("push", "no"),
        ]);
        let text = Reflection::on(&taken).text();
        assert_eq!(
            text,
            "Path: read → write → push. push failed 1× with \"no\"; no later call succeeded. \
             write failed 1× with \"disk # full\"; a later call succeeded."
        );
    }

    #[test]
    fn no_steps_give_nothing_to_reflect_on() {
        assert_eq!(Reflection::on(&[]).text(), "");
    }
}
