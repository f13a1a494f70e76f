//! What can be read off the steps of a finished episode. Nothing here is guessed: every statement is a count, a
//! quotation or an order of steps, and points at the steps that show it.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::command::{ActionKey, Check, CheckRun, check_runs, edits, label};
use crate::episode::Step;
use crate::extract::{error_class, tool_path};
use crate::limits::{
    LABEL_CHARS_MAX, QUOTATION_CHARS_MAX, REFLECTION_CHARS_MAX, STATEMENT_STEPS_MAX, STATEMENTS_MAX,
};

/// Tools named in the path of a reflection at the most.
const PATH_TOOLS_MAX: usize = 16;
/// Kinds of failure named in a reflection at the most.
const FAILURES_MAX: usize = 5;
/// Actions named between a failure and the success after it.
const BETWEEN_MAX: usize = 3;
/// Repeated calls of which it is looked for what worked in the end.
const REPEATS_MAX: usize = 20;
/// Times that one call is made before it counts as going in circles.
const LOOP_CALLS_MIN: usize = 3;

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

/// What a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StatementKind {
    /// What worked.
    Worked,
    /// What failed.
    Failed,
    /// What is to be done differently, as far as the record itself shows it.
    Differently,
}

impl StatementKind {
    /// All kinds, in the order of the enumeration.
    pub const ALL: [Self; 3] = [Self::Worked, Self::Failed, Self::Differently];

    /// The name used on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Worked => "worked",
            Self::Failed => "failed",
            Self::Differently => "differently",
        }
    }
}

/// One thing that the steps show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// What it is about.
    pub kind: StatementKind,
    /// The statement, made of recorded names and quotations.
    pub text: String,
    /// The numbers of steps that show it, in order, at most five.
    pub steps: Vec<u32>,
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
    /// What worked, what failed and what to do differently, at most five of each, the most telling first.
    #[serde(default)]
    pub statements: Vec<Statement>,
}

impl Reflection {
    /// Reads the steps.
    pub fn on(steps: &[Step]) -> Self {
        let tools = tool_path(steps);
        Self {
            path_cut: tools.len() > PATH_TOOLS_MAX,
            path: tools.into_iter().take(PATH_TOOLS_MAX).map(str::to_owned).collect(),
            failures: failures(steps),
            statements: Reading::of(steps).statements(),
        }
    }

    /// The reflection in words, at most about [`REFLECTION_CHARS_MAX`] characters: the path, and as many statements as
    /// fit; empty when there were no steps.
    pub fn text(&self) -> String {
        let mut parts = Vec::new();
        if !self.path.is_empty() {
            let more = if self.path_cut { " → …" } else { "" };
            parts.push(cut(&format!("Path: {}{more}.", self.path.join(" → ")), REFLECTION_CHARS_MAX / 2));
        }
        let mut left =
            REFLECTION_CHARS_MAX.saturating_sub(parts.iter().map(|part| part.chars().count()).sum());
        let mut told: Vec<(usize, String)> = Vec::new();
        for (index, statement) in self.by_weight() {
            let text = statement.told();
            if let Some(rest) = left.checked_sub(text.chars().count() + 1) {
                left = rest;
                told.push((index, text));
            }
        }
        told.sort_unstable();
        parts.extend(told.into_iter().map(|(_, text)| text));
        if self.statements.is_empty() {
            // Stored before there were statements.
            parts.extend(
                self.failures.iter().map(|failure| format!("{}.", failure.told(&named(&failure.tool)))),
            );
        }
        parts.join(" ")
    }

    /// The first statement of each kind, then the second of each, and so on, with their places.
    fn by_weight(&self) -> Vec<(usize, &Statement)> {
        let mut seen: BTreeMap<StatementKind, usize> = BTreeMap::new();
        let mut ranked: Vec<(usize, usize, &Statement)> = Vec::new();
        for (index, statement) in self.statements.iter().enumerate() {
            let rank = seen.entry(statement.kind).or_default();
            ranked.push((*rank, index, statement));
            *rank += 1;
        }
        ranked.sort_by_key(|(rank, index, _)| (*rank, *index));
        ranked.into_iter().map(|(_, index, statement)| (index, statement)).collect()
    }
}

impl Statement {
    fn new(kind: StatementKind, text: String, mut steps: Vec<u32>) -> Self {
        steps.sort_unstable();
        steps.dedup();
        if steps.len() > STATEMENT_STEPS_MAX {
            // The last one says how far it went.
            steps.drain(STATEMENT_STEPS_MAX - 1..steps.len() - 1);
        }
        Self { kind, text, steps }
    }

    /// The statement as a sentence that names its steps.
    fn told(&self) -> String {
        let numbers = self.steps.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let mut text = self.text.clone();
        if self.kind == StatementKind::Differently {
            text.insert_str(0, "Next time: ");
        }
        match self.steps.len() {
            0 => format!("{text}."),
            1 => format!("{text} (step {numbers})."),
            _ => format!("{text} (steps {numbers})."),
        }
    }
}

impl Failure {
    fn told(&self, name: &str) -> String {
        let end = if self.overcome { "a later call succeeded" } else { "no later call succeeded" };
        format!("{name} failed {}×{}; {end}", self.times, quoted(&self.error))
    }
}

/// The start of a text, with an ellipsis if it was cut.
fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
    }
}

fn failures(steps: &[Step]) -> Vec<Failure> {
    let mut kinds: BTreeMap<(&str, String), Failure> = BTreeMap::new();
    let mut succeeded_later = HashSet::new();
    for step in steps.iter().rev() {
        let tool = step.call.tool.as_str();
        let Some(error) = step.call.error() else {
            succeeded_later.insert(tool);
            continue;
        };
        let class = error_class(error);
        let failure = kinds.entry((tool, class.clone())).or_insert_with(|| Failure {
            tool: tool.to_owned(),
            error: class,
            times: 0,
            // Of the last of its kind, which comes first here.
            overcome: succeeded_later.contains(tool),
        });
        failure.times += 1;
    }
    let mut failures: Vec<Failure> = kinds.into_values().collect();
    failures.sort_by_key(|failure| std::cmp::Reverse(failure.times));
    failures.truncate(FAILURES_MAX);
    failures
}

/// A step as the statements see it.
struct Seen {
    number: u32,
    /// What it is called: the program in a shell, else the tool.
    label: String,
    /// The error without its particulars, if it failed.
    error: Option<String>,
    /// The same for the same call.
    exact: Option<u64>,
    /// Whether it changed a file.
    edited: bool,
}

/// A failure and the first success of the same afterwards.
struct Recovery {
    failed: usize,
    worked: usize,
    /// How often it had failed by then.
    times: usize,
}

/// The same call that failed with the same error, as indices of steps.
type Repeats = Vec<usize>;

struct Reading {
    seen: Vec<Seen>,
    runs: Vec<CheckRun>,
}

impl Reading {
    fn of(steps: &[Step]) -> Self {
        let see = |step: &Step| {
            let error = step.call.error().map(error_class);
            Seen {
                number: step.number,
                label: label(&step.call),
                exact: ActionKey::of(&step.call).map(|key| key.exact),
                edited: error.is_none() && edits(&step.call),
                error,
            }
        };
        Self { seen: steps.iter().map(see).collect(), runs: check_runs(steps) }
    }

    fn statements(&self) -> Vec<Statement> {
        let recoveries = self.recoveries();
        let repeats = self.repeats();
        let mut statements = Vec::new();
        for (kind, texts) in [
            (StatementKind::Worked, self.worked(&recoveries)),
            (StatementKind::Failed, self.failed(&recoveries, &repeats)),
            (StatementKind::Differently, self.differently(&repeats)),
        ] {
            let told = texts.into_iter().take(STATEMENTS_MAX);
            statements.extend(told.map(|(text, steps)| Statement::new(kind, text, steps)));
        }
        statements
    }

    fn number(&self, index: usize) -> u32 {
        self.seen[index].number
    }

    fn numbers(&self, indices: &[usize]) -> Vec<u32> {
        indices.iter().map(|index| self.number(*index)).collect()
    }

    fn quoted(&self, index: usize) -> String {
        quoted(self.seen[index].error.as_deref().unwrap_or_default())
    }

    fn name(&self, index: usize) -> String {
        named(&self.seen[index].label)
    }

    fn name_of_step(&self, step: u32) -> String {
        let seen = self.seen.iter().find(|seen| seen.number == step);
        seen.map_or_else(String::new, |seen| named(&seen.label))
    }

    /// Failures after which the same succeeded: those of checks first, then those after which something was done, and
    /// last the calls that were only made again.
    fn recoveries(&self) -> Vec<Recovery> {
        let mut open: HashMap<&str, (usize, usize)> = HashMap::new();
        let mut found = Vec::new();
        for (index, seen) in self.seen.iter().enumerate() {
            if seen.error.is_some() {
                let (last, times) = open.entry(&seen.label).or_insert((index, 0));
                (*last, *times) = (index, *times + 1);
            } else if let Some((failed, times)) = open.remove(seen.label.as_str()) {
                found.push(Recovery { failed, worked: index, times });
            }
        }
        let checked: HashSet<u32> = self.runs.iter().map(|run| run.step).collect();
        found.sort_by_key(|recovery| {
            let is_check = checked.contains(&self.number(recovery.worked));
            (!is_check, recovery.worked == recovery.failed + 1)
        });
        found
    }

    /// The same call with the same error, at least twice, the most frequent first.
    fn repeats(&self) -> Vec<Repeats> {
        let mut kinds: BTreeMap<(u64, &str), Repeats> = BTreeMap::new();
        for (index, seen) in self.seen.iter().enumerate() {
            if let (Some(exact), Some(error)) = (seen.exact, &seen.error) {
                kinds.entry((exact, error)).or_default().push(index);
            }
        }
        let mut repeats: Vec<Repeats> = kinds.into_values().filter(|steps| steps.len() > 1).collect();
        repeats.sort_by_key(|steps| (std::cmp::Reverse(steps.len()), steps[0]));
        repeats
    }

    fn worked(&self, recoveries: &[Recovery]) -> Vec<(String, Vec<u32>)> {
        let mut worked = Vec::new();
        for check in [Check::Test, Check::Build] {
            let mut runs = self.runs.iter().filter(|run| run.check == check);
            let (Some(first), all) = (runs.clone().next(), runs.clone().all(|run| run.passed)) else {
                continue;
            };
            let Some(last) = runs.next_back().filter(|last| last.passed) else { continue };
            let (name, what) = (self.name_of_step(last.step), name_of(check));
            worked.push(if all {
                (format!("{name} passed at the first try"), vec![first.step, last.step])
            } else {
                (format!("the last {what} ({name}) passed"), vec![last.step])
            });
        }
        worked.extend(recoveries.iter().take(STATEMENTS_MAX).map(|Recovery { failed, worked, times }| {
            let name = self.name(*failed);
            let error = self.quoted(*failed);
            let times = match times {
                1 => String::new(),
                times if error.is_empty() => format!(" {times}×"),
                times => format!(" {times}×, last"),
            };
            let mut between: Vec<&str> = Vec::new();
            for seen in self.seen[failed + 1..*worked].iter().rev().filter(|seen| seen.error.is_none()) {
                if between.len() < BETWEEN_MAX && !between.contains(&seen.label.as_str()) {
                    between.push(&seen.label);
                }
            }
            let after = if between.is_empty() {
                "the next call of it succeeded".to_owned()
            } else {
                let between: Vec<String> = between.into_iter().rev().map(named).collect();
                format!("after {} it succeeded", between.join(", "))
            };
            let steps = vec![self.number(*failed), self.number(*worked)];
            (format!("{name} failed{times}{error}; {after}"), steps)
        }));
        worked
    }

    fn failed(&self, recoveries: &[Recovery], repeats: &[Repeats]) -> Vec<(String, Vec<u32>)> {
        let mut failed = Vec::new();
        let last_test = self.runs.iter().rfind(|run| run.check == Check::Test).filter(|last| !last.passed);
        let last_test = last_test.and_then(|last| self.seen.iter().position(|seen| seen.number == last.step));
        if let Some(index) = last_test {
            let (name, error) = (self.name(index), self.quoted(index));
            let text = format!("the last test run ({name}) failed{error}");
            failed.push((text, vec![self.number(index)]));
        }
        for steps in repeats {
            let (name, error) = (self.name(steps[0]), self.quoted(steps[0]));
            let text = format!("the same call of {name} failed {}×{error}", steps.len());
            failed.push((text, self.numbers(steps)));
        }
        let recovered = recoveries.iter().map(|recovery| recovery.failed);
        let told: HashSet<usize> =
            recovered.chain(repeats.iter().flatten().copied()).chain(last_test).collect();
        let mut kinds: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for (index, seen) in self.seen.iter().enumerate() {
            if let Some(error) = &seen.error {
                kinds.entry((&seen.label, error)).or_default().push(index);
            }
        }
        let mut kinds: Vec<(&str, &str, Vec<usize>)> = kinds
            .into_iter()
            .filter(|(_, steps)| !steps.iter().all(|index| told.contains(index)))
            .map(|((name, error), steps)| (name, error, steps))
            .collect();
        let last_success: HashMap<&str, usize> = self
            .seen
            .iter()
            .enumerate()
            .filter(|(_, seen)| seen.error.is_none())
            .map(|(i, seen)| (seen.label.as_str(), i))
            .collect();
        let is_overcome = |name: &str, steps: &[usize]| last_success.get(name) > steps.last();
        kinds.sort_by_key(|(name, _, steps)| {
            (is_overcome(name, steps), std::cmp::Reverse(steps.len()), steps[0])
        });
        failed.extend(kinds.into_iter().map(|(name, error, steps)| {
            let overcome = is_overcome(name, &steps);
            let failure =
                Failure { tool: String::new(), error: error.to_owned(), times: steps.len() as u32, overcome };
            (failure.told(&named(name)), self.numbers(&steps))
        }));
        failed.extend(self.circles().into_iter().map(|steps| {
            let name = self.name(steps[0]);
            let text = format!("the same call of {name} was made {}× with no edit in between", steps.len());
            (text, self.numbers(&steps))
        }));
        failed
    }

    /// The same call again and again while no file changed; those that failed each time are told as repeats.
    fn circles(&self) -> Vec<Vec<usize>> {
        let mut open: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        let mut found: Vec<Vec<usize>> = Vec::new();
        let is_circle = |steps: &Vec<usize>| {
            steps.len() >= LOOP_CALLS_MIN && steps.iter().any(|index| self.seen[*index].error.is_none())
        };
        for (index, seen) in self.seen.iter().enumerate() {
            if seen.edited {
                found.extend(std::mem::take(&mut open).into_values().filter(is_circle));
            } else if let Some(exact) = seen.exact {
                open.entry(exact).or_default().push(index);
            }
        }
        found.extend(open.into_values().filter(is_circle));
        found.sort_by_key(|steps| (std::cmp::Reverse(steps.len()), steps[0]));
        found
    }

    fn differently(&self, repeats: &[Repeats]) -> Vec<(String, Vec<u32>)> {
        let mut differently = Vec::new();
        if let Some(edit) = self.seen.iter().rfind(|seen| seen.edited)
            && let Some(test) = self.runs.iter().rfind(|run| run.check == Check::Test)
            && test.step < edit.number
        {
            let text = format!(
                "the last edit (step {}) was not followed by a test run, though there were tests to run",
                edit.number
            );
            differently.push((text, vec![test.step, edit.number]));
        }
        // Bounded, because each looks through the rest of the steps.
        for steps in repeats.iter().take(REPEATS_MAX) {
            let last = steps[steps.len() - 1];
            let Seen { label, exact, .. } = &self.seen[last];
            let later = &self.seen[last + 1..];
            let Some(worked) = later.iter().find(|seen| seen.label == *label && seen.error.is_none()) else {
                continue;
            };
            let edit =
                later.iter().take_while(|seen| seen.number < worked.number).filter(|seen| seen.edited).last();
            let what_worked = match edit {
                Some(edit) if worked.exact == *exact => {
                    format!("it worked after {} at step {}", named(&edit.label), edit.number)
                }
                _ if worked.exact != *exact => {
                    format!("with other arguments it worked at step {}", worked.number)
                }
                _ => continue,
            };
            let times = steps.len();
            let text = format!(
                "{} was called {times}× with the same arguments and failed the same way; {what_worked}",
                named(label)
            );
            let mut numbers = vec![self.number(steps[0]), self.number(last), worked.number];
            numbers.extend(edit.map(|edit| edit.number));
            differently.push((text, numbers));
        }
        differently
    }
}

/// The error as it is put behind `failed`; nothing if it holds no word, as a bare exit code does.
fn quoted(error: &str) -> String {
    if error.chars().any(char::is_alphabetic) {
        format!(" with \"{}\"", cut(error, QUOTATION_CHARS_MAX))
    } else {
        String::new()
    }
}

/// What a step is called, in a statement.
fn named(label: &str) -> String {
    cut(label, LABEL_CHARS_MAX)
}

fn name_of(check: Check) -> &'static str {
    match check {
        Check::Test => "test run",
        Check::Build => "build",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::NewStep;
    use crate::episode::fixture::{failed, ok, steps};

    fn with(args: &str, call: NewStep) -> NewStep {
        NewStep { args: Some(args.into()), ..call }
    }

    /// The statements as `kind: text [steps]`.
    fn told(calls: Vec<NewStep>) -> Vec<String> {
        let tell = |Statement { kind, text, steps }| format!("{}: {text} {steps:?}", kind.name());
        Reflection::on(&steps(calls)).statements.into_iter().map(tell).collect()
    }

    #[test]
    fn a_reflection_names_the_path_the_failures_and_whether_they_were_overcome() {
        let taken = steps(vec![
            ok("read"),
            ok("read"),
            failed("write", "disk 7 full"),
            ok("write"),
            failed("push", "no"),
        ]);
        assert_eq!(
            Reflection::on(&taken).text(),
            "Path: read → write → push. write failed with \"disk # full\"; the next call of it succeeded (steps 3, 4). \
             push failed 1× with \"no\"; no later call succeeded (step 5)."
        );
    }

    #[test]
    fn a_check_that_failed_and_passed_is_told_with_what_was_done_in_between() {
        let calls = vec![
            with("pytest -x", failed("bash", "KeyError: 'a'")),
            with("cat a.py", ok("bash")),
            with("sed -i s/a/b/ a.py", ok("bash")),
            with("pytest -x 2>&1", ok("bash")),
        ];
        let expected = [
            "worked: the last test run (pytest) passed [4]",
            "worked: pytest failed with \"KeyError: 'a'\"; after cat, sed it succeeded [1, 4]",
        ];
        assert_eq!(told(calls), expected);
        assert_eq!(told(vec![ok("edit"), ok("pytest")]), ["worked: pytest passed at the first try [2]"]);
    }

    #[test]
    fn the_same_call_that_keeps_failing_is_told_with_what_worked_in_the_end() {
        let pay = |sum: &str, call| with(&format!("{{\"sum\": {sum}}}"), call);
        let no = || failed("pay", "Error: sum is 3");
        let calls = vec![pay("3", no()), pay("3", no()), ok("think"), pay("3", no()), pay("4", ok("pay"))];
        assert_eq!(
            told(calls),
            [
                "worked: pay failed 3×, last with \"Error: sum is #\"; the next call of it succeeded [4, 5]",
                "failed: the same call of pay failed 3× with \"Error: sum is #\" [1, 2, 4]",
                "differently: pay was called 3× with the same arguments and failed the same way; with other arguments \
                 it worked at step 5 [1, 4, 5]",
            ]
        );
        let run = || with("-x", failed("pytest", "E"));
        let calls = vec![run(), run(), ok("edit"), with("-x", ok("pytest"))];
        assert!(told(calls).contains(
            &"differently: pytest was called 2× with the same arguments and failed the same way; it worked after edit \
              at step 3 [1, 2, 3, 4]"
                .to_owned()
        ));
    }

    #[test]
    fn an_untested_last_edit_and_a_failing_last_test_are_told() {
        let calls = vec![ok("pytest"), ok("edit"), failed("pytest", "1 failed"), ok("edit")];
        assert_eq!(
            told(calls),
            [
                "failed: the last test run (pytest) failed with \"# failed\" [3]",
                "differently: the last edit (step 4) was not followed by a test run, though there were tests to run \
                 [3, 4]",
            ]
        );
        let untested = told(vec![ok("read"), ok("edit")]);
        assert!(untested.is_empty(), "nothing says that there are tests: {untested:?}");
    }

    #[test]
    fn going_in_circles_is_told_and_running_tests_after_each_edit_is_not_that() {
        let look = || with("{\"id\": 1}", ok("look"));
        let circle = "failed: the same call of look was made 3× with no edit in between [1, 2, 4]";
        assert_eq!(told(vec![look(), look(), ok("think"), look()]), [circle]);
        let test = || with("tests", ok("pytest"));
        let calls = vec![test(), ok("edit"), test(), ok("edit"), test()];
        assert_eq!(told(calls), ["worked: pytest passed at the first try [1, 5]"]);
    }

    #[test]
    fn a_long_episode_gives_a_short_text() {
        let tool = |i: usize| format!("a_tool_with_a_long_name_{i}");
        let calls = (0..500)
            .map(|i| with(&i.to_string(), failed(&tool(i % 40), &"very long error ".repeat(i))))
            .collect();
        let reflection = Reflection::on(&steps(calls));
        assert!(reflection.text().chars().count() <= REFLECTION_CHARS_MAX + 10, "{}", reflection.text());
        assert!(reflection.statements.iter().all(|statement| statement.steps.len() <= STATEMENT_STEPS_MAX));
        assert_eq!(reflection.statements.len(), STATEMENTS_MAX);
        let [.., last] = reflection.statements[0].steps[..] else { panic!() };
        assert!(last > 400, "the last step of many is kept");
    }

    #[test]
    fn no_steps_give_nothing_to_reflect_on_and_what_was_stored_before_statements_is_told() {
        assert_eq!(Reflection::on(&[]).text(), "");
        let failure = Failure { tool: "push".into(), error: "no".into(), times: 2, overcome: false };
        let stored =
            Reflection { path: vec!["push".into()], failures: vec![failure], ..Reflection::default() };
        assert_eq!(stored.text(), "Path: push. push failed 2× with \"no\"; no later call succeeded.");
    }
}
