//! What the record of an episode says about its outcome.

use crate::command::{Check, CheckRun, check_runs, commands, commits};
use crate::episode::{Basis, Outcome, Step};

/// What the steps and the artifacts of an episode show of how it ended.
pub(crate) struct Record {
    last_test: Option<bool>,
    last_build: Option<bool>,
    last_command: Option<bool>,
    /// Whether the last attempt to hand the work over went through.
    commit: Option<bool>,
}

impl Record {
    pub(crate) fn of(steps: &[Step], artifacts: &[String]) -> Self {
        let runs = check_runs(steps);
        let last = |check| runs.iter().rfind(|run: &&CheckRun| run.check == check).map(|run| run.passed);
        let passed = |step: &Step| step.call.error().is_none();
        let is_named = artifacts.iter().any(|artifact| names_commit(artifact));
        Self {
            last_test: last(Check::Test),
            last_build: last(Check::Build),
            last_command: steps.iter().rfind(|step| !commands(&step.call).is_empty()).map(passed),
            commit: is_named.then_some(true).or(steps.iter().rfind(|step| commits(&step.call)).map(passed)),
        }
    }

    /// What the outcome rests on, given what the caller says it does: the user's word as it is; another if the record
    /// does not show the contrary and shows nothing better; else the best that the record shows.
    pub(crate) fn basis(&self, outcome: Option<Outcome>, said: Option<Basis>) -> Basis {
        let shown = [Basis::Tests, Basis::Build, Basis::Commit, Basis::ExitCode]
            .into_iter()
            .find(|basis| self.confirms(*basis, outcome) == Some(true))
            .unwrap_or(Basis::Claim);
        let better = |said: &Basis| {
            let is_refuted = self.confirms(*said, outcome) == Some(false);
            !is_refuted && said.weight(false) >= shown.weight(false)
        };
        said.filter(better).unwrap_or(shown)
    }

    /// Whether the record contradicts the outcome.
    pub(crate) fn disputes(&self, outcome: Option<Outcome>) -> bool {
        outcome == Some(Outcome::Success) && self.last_test == Some(false)
    }

    /// Whether what is recorded of this kind agrees with the outcome; `None` if nothing is recorded, or it can say
    /// nothing about such an outcome. Nothing but a person can tell a part from the whole.
    fn confirms(&self, basis: Basis, outcome: Option<Outcome>) -> Option<bool> {
        let went_well = match basis {
            Basis::Tests => self.last_test,
            Basis::Build => self.last_build,
            Basis::ExitCode => self.last_command,
            Basis::Commit if outcome == Some(Outcome::Success) => self.commit,
            Basis::Commit | Basis::User | Basis::Claim => None,
        }?;
        match outcome? {
            Outcome::Success => Some(went_well),
            Outcome::Failure => Some(!went_well),
            Outcome::Partial | Outcome::Abandoned => None,
        }
    }
}

/// Whether an artifact is a commit's hash, or the address of a commit, a pull or a merge request.
fn names_commit(artifact: &str) -> bool {
    let artifact = artifact.trim().trim_end_matches('/');
    if let Some((_, rest)) = artifact.split_once("://") {
        let mut parts = rest.rsplit('/');
        let (Some(id), Some(kind)) = (parts.next(), parts.next()) else { return false };
        return match kind {
            "pull" | "pulls" | "pull-requests" | "merge_requests" => {
                !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())
            }
            "commit" | "commits" => is_hash(id),
            _ => false,
        };
    }
    is_hash(artifact)
}

/// Seven to forty hexadecimal digits, some of them decimal: words can be made of the others.
fn is_hash(text: &str) -> bool {
    (7..=40).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        && text.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::fixture::{failed, ok, steps};
    use crate::episode::{NewStep, StepResult};

    fn ran(line: &str, works: bool) -> NewStep {
        let result = if works { StepResult::Succeeded } else { StepResult::Failed { error: "no".into() } };
        NewStep { args: Some(line.into()), result, ..ok("bash") }
    }

    fn record(calls: &[NewStep]) -> Record {
        Record::of(&steps(calls.to_vec()), &[])
    }

    #[test]
    fn an_outcome_rests_on_the_best_that_the_record_shows() {
        let (tests, build) = (ran("pytest", true), ran("cargo build", true));
        for (calls, outcome, expected) in [
            (&[tests.clone(), build.clone(), ok("edit")][..], Outcome::Success, Basis::Tests),
            (&[ran("pytest", false), tests.clone()], Outcome::Success, Basis::Tests),
            (&[tests.clone(), ran("pytest", false)], Outcome::Failure, Basis::Tests),
            (&[ran("pytest", false), build.clone()], Outcome::Success, Basis::Build),
            (&[build.clone(), ran("cargo build", false)], Outcome::Failure, Basis::Build),
            (&[ran("git commit -m x", true), ran("ls", true)], Outcome::Success, Basis::Commit),
            (&[ran("git commit -m x", false), ran("ls", true)], Outcome::Success, Basis::ExitCode),
            (&[ran("git push", true), ran("ls", false)], Outcome::Failure, Basis::ExitCode),
            (&[ran("ls", false)], Outcome::Success, Basis::Claim),
            (&[ok("edit"), failed("search", "none")], Outcome::Failure, Basis::Claim),
            (std::slice::from_ref(&tests), Outcome::Partial, Basis::Claim),
            (std::slice::from_ref(&tests), Outcome::Abandoned, Basis::Claim),
            (&[], Outcome::Success, Basis::Claim),
        ] {
            assert_eq!(record(calls).basis(Some(outcome), None), expected, "{outcome:?} {calls:?}");
        }
        assert_eq!(record(&[tests]).basis(None, None), Basis::Claim);
    }

    #[test]
    fn the_callers_word_counts_unless_the_record_shows_the_contrary_or_something_better() {
        let success = Some(Outcome::Success);
        let (passing, failing) = (record(&[ran("pytest", true)]), record(&[ran("pytest", false)]));
        assert_eq!(record(&[]).basis(success, Some(Basis::Tests)), Basis::Tests);
        assert_eq!(failing.basis(success, Some(Basis::Tests)), Basis::Claim);
        assert_eq!(failing.basis(success, Some(Basis::User)), Basis::User);
        assert_eq!(passing.basis(success, Some(Basis::User)), Basis::User);
        assert_eq!(passing.basis(success, Some(Basis::Claim)), Basis::Tests);
        assert_eq!(passing.basis(None, Some(Basis::User)), Basis::User);
    }

    #[test]
    fn a_success_after_a_failing_test_run_is_disputed() {
        let success = Some(Outcome::Success);
        assert!(record(&[ran("pytest", true), ran("pytest", false), ok("edit")]).disputes(success));
        assert!(!record(&[ran("pytest", false), ran("pytest", true)]).disputes(success));
        assert!(!record(&[ran("pytest", false)]).disputes(Some(Outcome::Failure)));
        assert!(!record(&[ran("ls", false)]).disputes(success));
        let not_there = NewStep {
            result: StepResult::Failed { error: "bash: line 1: pytest: command not found".into() },
            ..ran("pytest", false)
        };
        assert!(!record(&[not_there]).disputes(success), "nothing was tested");
    }

    #[test]
    fn artifacts_can_name_a_commit() {
        for (artifact, expected) in [
            ("8f3c2a1", true),
            ("0123456789abcdef0123456789abcdef01234567", true),
            ("https://github.com/acme/shop/pull/12", true),
            ("https://gitlab.com/acme/shop/-/merge_requests/3/", true),
            ("https://github.com/acme/shop/commit/8f3c2a1", true),
            ("https://github.com/acme/shop/pull/new", false),
            ("https://example.com/a", false),
            ("src/lib.rs", false),
            ("defaced", false),
            ("12", false),
            ("", false),
        ] {
            assert_eq!(names_commit(artifact), expected, "{artifact}");
        }
        let named = Record::of(&[], &["src/lib.rs".into(), "8f3c2a1".into()]);
        assert_eq!(named.basis(Some(Outcome::Success), None), Basis::Commit);
        assert_eq!(named.basis(Some(Outcome::Failure), None), Basis::Claim);
    }

    #[test]
    fn names_are_read_back_and_a_disputed_outcome_weighs_half() {
        for basis in Basis::ALL {
            assert_eq!(basis.name().parse(), Ok(basis));
            assert!((0.4..=1.0).contains(&basis.weight(true)) || basis.weight(true) == 0.4);
            assert_eq!(basis.weight(true), basis.weight(false) / 2.0);
            assert!(basis.weight(false) >= Basis::Claim.weight(false));
        }
        assert_eq!("nobody".parse::<Basis>(), Err(()));
    }
}
