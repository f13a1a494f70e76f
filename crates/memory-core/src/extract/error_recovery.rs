//! How a failure was recovered from.

use super::{Extractor, Finding, merge, tool_path};
use crate::episode::{Episode, Step};
use crate::limits::{DETAIL_CHARS_MAX, ERROR_CLASS_CHARS_MAX, FINDINGS_MAX, RECOVERY_STEPS_MAX};
use crate::pattern::PatternBody;

/// Words of an error that names no exception that tell its kind.
const ERROR_KIND_WORDS: usize = 3;

/// Looks at every failed step and at the next call of the same tool within [`RECOVERY_STEPS_MAX`] steps. What was
/// done in between, and that call, is the attempt to recover; it worked if the call succeeded. What the steps show
/// counts whatever became of the episode, so this extractor needs no outcome.
pub struct ErrorRecovery;

impl Extractor for ErrorRecovery {
    fn name(&self) -> &'static str {
        "error_recovery"
    }

    fn extract(&self, episode: &Episode) -> Vec<Finding> {
        let steps = &episode.steps;
        let failures =
            steps.iter().enumerate().filter_map(|(index, step)| Some((index, step, step.call.error()?)));
        let findings = failures.map(|(index, failed, error)| {
            let after = &steps[index + 1..steps.len().min(index + 1 + RECOVERY_STEPS_MAX)];
            let retry = after.iter().position(|step| step.call.tool == failed.call.tool);
            let attempt = retry.map_or(&after[..0], |place| &after[..=place]);
            finding(failed, error, attempt)
        });
        let mut merged = merge(findings);
        merged.truncate(FINDINGS_MAX);
        merged
    }
}

fn finding(failed: &Step, error: &str, attempt: &[Step]) -> Finding {
    let retry = attempt.last().map(|step| &step.call);
    let worked = retry.is_some_and(|call| call.error().is_none());
    let detail = retry.filter(|_| worked).and_then(|call| call.args.as_deref().or(call.action.as_deref()));
    Finding {
        body: PatternBody::ErrorRecovery {
            tool: failed.call.tool.clone(),
            error: error_class(error),
            recovery: tool_path(attempt).into_iter().map(str::to_owned).collect(),
        },
        credit: f64::from(u8::from(worked)),
        detail: detail.map(|text| text.chars().take(DETAIL_CHARS_MAX).collect()),
    }
}

/// The error without its particulars, so that two failures of one kind are recognized: its telling line (the last
/// one of a Python traceback, else the first that speaks of an error, else the first), every word with a digit as
/// `#`, cut at [`ERROR_CLASS_CHARS_MAX`] characters.
pub fn error_class(error: &str) -> String {
    let mut lines = error.lines().map(str::trim).filter(|line| !line.is_empty());
    let telling = if error.contains("Traceback (most recent call last)") {
        lines.next_back()
    } else {
        let says_so = |line: &&str| {
            let lower = line.to_lowercase();
            lower.contains("error") || lower.contains("fail") || lower.contains("exception")
        };
        lines.clone().find(says_so).or_else(|| lines.next())
    };
    let words = telling.unwrap_or("unknown error").split_whitespace().map(|word| {
        let core = word.trim_matches(|c: char| !c.is_alphanumeric());
        if core.chars().any(|c| c.is_ascii_digit()) { word.replace(core, "#") } else { word.to_owned() }
    });
    let mut class = words.collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = class.char_indices().nth(ERROR_CLASS_CHARS_MAX) {
        class.truncate(cut);
    }
    class
}

/// What kind of error it is, in one or a few words: the name of an exception where it names one (the last word of its kind
/// that stands before a colon or at the end of a line), else the first three words of its [class](error_class).
pub fn error_kind(error: &str) -> String {
    let class = error_class(error);
    let is_exception = |word: &&str| {
        let starts = word.chars().next().is_some_and(char::is_uppercase);
        starts
            && ["Error", "Exception", "Warning"]
                .iter()
                .any(|end| word.ends_with(end) && word.len() > end.len())
    };
    let mut words = class.split(|c: char| !c.is_alphanumeric() && c != '_');
    match words.find(is_exception) {
        Some(name) => name.to_owned(),
        None => class.split_whitespace().take(ERROR_KIND_WORDS).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::fixture::{completed, failed, ok};

    fn recoveries(steps: Vec<crate::episode::NewStep>) -> Vec<(Vec<String>, f64)> {
        let found = ErrorRecovery.extract(&completed(steps, None));
        let recovery = |body| match body {
            PatternBody::ErrorRecovery { recovery, .. } => recovery,
            other => unreachable!("{other:?} is no recovery"),
        };
        found.into_iter().map(|finding| (recovery(finding.body), finding.credit)).collect()
    }

    #[test]
    fn what_stands_between_a_failure_and_the_next_call_of_the_tool_is_the_recovery() {
        let found = recoveries(vec![failed("pytest", "ModuleNotFoundError: x"), ok("pip"), ok("pytest")]);
        assert_eq!(found, [(vec!["pip".to_owned(), "pytest".into()], 1.0)]);
    }

    #[test]
    fn a_repeat_that_fails_again_is_a_recovery_that_did_not_work() {
        let found = recoveries(vec![failed("pay", "sum is 3"), failed("pay", "sum is 4")]);
        assert_eq!(found, [(vec!["pay".to_owned()], 0.0), (vec![], 0.0)]);
    }

    #[test]
    fn errors_that_differ_in_numbers_are_one_class() {
        let class = error_class("Error: total price is 290, but paid 327");
        assert_eq!(class, "Error: total price is #, but paid #");
        assert_eq!(class, error_class("Error: total price is 1, but paid 99"));
        let traceback = "Traceback (most recent call last):\n  File \"a.py\", line 3\nKeyError: 'name'\n";
        assert_eq!(error_class(traceback), "KeyError: 'name'");
        assert_eq!(error_class(""), "unknown error");
    }

    #[test]
    fn the_kind_of_an_error_is_its_exception_or_its_first_words() {
        let traceback =
            "Traceback (most recent call last):\n  File \"a.py\", line 3\njson.JSONDecodeError: bad\n";
        assert_eq!(error_kind(traceback), "JSONDecodeError");
        assert_eq!(error_kind("Error: user 17 not found in the table"), "Error: user #");
    }
}
