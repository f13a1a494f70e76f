//! The command lines in the steps of an episode, read by their structure: what a step ran, whether that was a test, a
//! build or a commit, which files it names, and what kind of action it was.

mod check;
mod json;
mod line;
mod shell;
mod wrapper;

pub use check::Check;

use std::collections::BTreeSet;

use crate::episode::{NewStep, Step};
use crate::limits::{COMMANDS_MAX, FILES_MAX, LABEL_CHARS_MAX, NAME_BYTES_MAX, SHAPE_CHARS_MAX};
use check::{best, check_of, has_subcommands, is_commit};
use json::Value;
use line::{is_shell, line, tool_name};
use shell::{Simple, Word, split};
use wrapper::{after_options, unwrap};

/// One command that a step ran, without what wraps it (`sudo`, `timeout 60`, `uv run`, `python -m`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program's name without its directory: `pytest`, `cargo`, `gradlew`, `python` for any version of it.
    pub program: String,
    /// What the program is told to do, where its first word says so: `test`, `run build`, `pr create`.
    pub subcommand: Option<String>,
    /// The words after the program, quotes taken away.
    pub words: Vec<String>,
    /// Whether the program was named by its place, as a script of the project is.
    by_path: bool,
}

impl Command {
    fn new(program: String, by_path: bool, words: Vec<String>) -> Self {
        let subcommand = subcommand(&program, &words);
        Self { program, subcommand, words, by_path }
    }
}

/// Tools that change a file, in lower case and with `_` for `-` and `.`.
const EDITORS: &[&str] = &[
    "edit",
    "write",
    "multiedit",
    "multi_edit",
    "notebookedit",
    "edit_file",
    "write_file",
    "create_file",
    "file_write",
    "file_edit",
    "sed_edit",
    "write_to_file",
    "replace_in_file",
    "insert_content",
    "search_and_replace",
    "apply_diff",
    "apply_patch",
    "str_replace",
    "str_replace_editor",
    "str_replace_based_edit_tool",
    "replace_string_in_file",
    "insert_edit_into_file",
    "replace",
    "search_replace",
    "patch",
];
/// Names of arguments that hold the path of a file.
const FILE_KEYS: &[&str] = &["file_path", "path", "filename", "file"];
/// How deep `bash -c "bash -c …"` is followed.
const NESTED_MAX: usize = 3;

/// The commands that the step ran, in order, at most [`COMMANDS_MAX`]; none if it is no command line.
pub fn commands(call: &NewStep) -> Vec<Command> {
    line(call).map(|line| simple(&line)).unwrap_or_default().iter().map(Run::command).collect()
}

/// What the step checked, if anything: tests before builds. It passed if the step has no error.
pub fn checks(call: &NewStep) -> Option<Check> {
    let by_name = match tool_name(call).to_lowercase().replace(['-', '.'], "_").as_str() {
        "test_run" | "run_tests" | "runtests" | "run_test" | "execute_tests" => Some(Check::Test),
        "build_run" | "run_build" | "build_project" => Some(Check::Build),
        _ => None,
    };
    by_name.or_else(|| best(commands(call).iter().map(check_of)))
}

/// Whether the step handed work over: `git commit`, `git push`, `gh pr create`, `gh pr merge`.
pub fn commits(call: &NewStep) -> bool {
    commands(call).iter().any(is_commit)
}

/// A check among the steps of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckRun {
    /// The number of the step.
    pub step: u32,
    /// What was checked.
    pub check: Check,
    /// Whether it passed.
    pub passed: bool,
}

/// All checks among these steps, in order. One whose program was not there checked nothing.
pub fn check_runs(steps: &[Step]) -> Vec<CheckRun> {
    let run = |step: &Step| {
        let check = checks(&step.call).filter(|_| !is_missing(&step.call))?;
        Some(CheckRun { step: step.number, check, passed: step.call.error().is_none() })
    };
    steps.iter().filter_map(run).collect()
}

/// Whether the step failed because one of its programs is not installed, in the words of shells and of Python.
fn is_missing(call: &NewStep) -> bool {
    let Some(error) = call.error() else { return false };
    commands(call).iter().any(|Command { program, .. }| {
        let told = [": command not found", ": not found", ": No such file or directory"];
        told.iter().any(|told| error.contains(&format!("{program}{told}")))
            || error.contains(&format!("No module named {program}"))
    })
}

/// What to call the step: in a shell the command that checks, or else the first that does something; any other tool by
/// its name.
pub fn label(call: &NewStep) -> String {
    let ran = if is_shell(call) { commands(call) } else { Vec::new() };
    let check = best(ran.iter().map(check_of));
    let telling = |command: &&Command| match check {
        Some(_) => check_of(command) == check,
        None => !matches!(command.program.as_str(), "cd" | "echo" | "export" | "source" | "set" | "mkdir"),
    };
    let Some(Command { program, subcommand, .. }) = ran.iter().find(telling).or(ran.first()) else {
        return call.tool.clone();
    };
    let label = subcommand.as_ref().map_or_else(|| program.clone(), |name| format!("{program} {name}"));
    label.chars().take(LABEL_CHARS_MAX).collect()
}

/// Whether the step changed a file of the work: an editing tool, `sed -i`, a patch, text put into a file. What goes to
/// `/tmp` is no part of the work.
pub fn edits(call: &NewStep) -> bool {
    let name = tool_name(call).to_lowercase().replace(['-', '.'], "_");
    if EDITORS.contains(&name.as_str()) {
        // Some editors show files too.
        let does = call.args.as_deref().and_then(json::object).into_iter().flatten();
        return !does
            .into_iter()
            .any(|(name, value)| name == "command" && value == Value::Text("view".into()));
    }
    let runs = line(call).map(|line| simple(&line)).unwrap_or_default();
    runs.iter().any(|Run { program, words, targets, .. }| match program.as_str() {
        "sed" | "perl" => words.iter().any(|word| word.text.starts_with("-i") || word.text == "--in-place"),
        "git" => words.first().is_some_and(|word| matches!(word.text.as_str(), "apply" | "am")),
        "patch" | "apply_patch" => true,
        "cat" | "echo" | "printf" => targets.iter().any(|file| is_kept(file)),
        "tee" => words.iter().any(|word| !word.text.starts_with('-') && is_kept(&word.text)),
        _ => false,
    })
}

fn is_kept(file: &str) -> bool {
    !["/tmp/", "/dev/"].iter().any(|place| file.starts_with(place))
}

/// What kind of action a step is, at two levels: the very same call, and one that differs in its particulars only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ActionKey {
    /// The whole call with its white space made even, as a hash (64-bit FNV-1a, which is the same in every build).
    pub exact: u64,
    /// Of commands the program, the subcommand, the names of its options in order, and its other words, with `*.rs` for
    /// a file and `#` for what holds a digit or was quoted; of another call the tool and the names of its arguments.
    pub shape: String,
}

impl ActionKey {
    /// The key of a step; `None` where only the name of a tool was recorded, which tells no call from another.
    pub fn of(call: &NewStep) -> Option<Self> {
        let given = call.args.as_deref().or(call.action.as_deref()).filter(|text| !text.trim().is_empty())?;
        let runs = line(call).map(|line| (simple(&line), line)).filter(|(runs, _)| !runs.is_empty());
        let (said, mut shape) = match runs {
            Some((runs, line)) => (line, shape(&runs)),
            None => {
                let mut names: Vec<String> =
                    json::object(given).unwrap_or_default().into_iter().map(|(name, _)| name).collect();
                names.sort_unstable();
                names.insert(0, call.tool.clone());
                (format!("{} {given}", call.tool), names.join(" "))
            }
        };
        if let Some((end, _)) = shape.char_indices().nth(SHAPE_CHARS_MAX) {
            shape.truncate(end);
        }
        Some(Self { exact: fnv_1a(said.split_whitespace()), shape })
    }
}

/// The files that the call names, each once, at most [`FILES_MAX`]: words of its commands that look like one, where
/// its commands are redirected, and the values of `file_path`, `path`, `filename` and `file`.
pub fn files(call: &NewStep) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    if let Some(line) = line(call) {
        for Run { program, words, targets, .. } in simple(&line) {
            // The quoted words of these are patterns.
            let takes_patterns =
                matches!(program.as_str(), "sed" | "awk" | "grep" | "rg" | "perl" | "echo" | "printf");
            let words = words.into_iter().filter(|word| program != "cd" && !(takes_patterns && word.quoted));
            found.extend(words.map(|word| word.text).chain(targets).filter_map(|word| path(&word)));
        }
    } else if let Some(args) = &call.args {
        match json::object(args) {
            Some(entries) => {
                let named = entries.into_iter().filter(|(name, _)| FILE_KEYS.contains(&name.as_str()));
                found.extend(named.filter_map(|(_, value)| match value {
                    Value::Text(text) if !text.is_empty() && text.len() <= NAME_BYTES_MAX => Some(text),
                    _ => None,
                }));
            }
            None => found.extend(path(args.trim())),
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|file| seen.insert(file.clone()));
    found.truncate(FILES_MAX);
    found
}

/// A command as it was run, with what its words were.
struct Run {
    program: String,
    by_path: bool,
    words: Vec<Word>,
    targets: Vec<String>,
}

impl Run {
    fn command(&self) -> Command {
        let words = self.words.iter().map(|word| word.text.clone()).collect();
        Command::new(self.program.clone(), self.by_path, words)
    }
}

/// The commands of a line, at most [`COMMANDS_MAX`].
fn simple(line: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    collect(line, 0, &mut runs);
    runs.truncate(COMMANDS_MAX);
    runs
}

fn collect(line: &str, depth: usize, runs: &mut Vec<Run>) {
    for Simple { words, targets } in split(line) {
        let Some((first, rest)) = unwrap(&words).split_first() else { continue };
        let program = program_name(&first.text);
        if depth < NESTED_MAX
            && let Some(inner) = shell_line(&program, rest)
        {
            collect(inner, depth + 1, runs);
        } else if !program.is_empty() {
            runs.push(Run { by_path: first.text.contains('/'), program, words: rest.to_vec(), targets });
        }
        if runs.len() >= COMMANDS_MAX {
            return;
        }
    }
}

/// The line that `bash -c` is given.
fn shell_line<'w>(program: &str, words: &'w [Word]) -> Option<&'w str> {
    if !matches!(program, "bash" | "sh" | "zsh" | "dash") {
        return None;
    }
    let is_c =
        |word: &Word| word.text.starts_with('-') && !word.text.starts_with("--") && word.text.contains('c');
    let place = words.iter().take_while(|word| word.text.starts_with('-')).position(is_c)?;
    Some(&words.get(place + 1)?.text)
}

/// The name of a program without its directory, its ending and the version of an interpreter.
fn program_name(word: &str) -> String {
    let name = word.rsplit(['/', '\\']).next().unwrap_or(word);
    let name = [".exe", ".cmd", ".bat"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if matches!(bare, "python" | "pip" | "pypy") { bare.to_owned() } else { name.to_owned() }
}

/// Options before the subcommand whose value is a word of its own.
fn options_with_value(program: &str) -> &'static [&'static str] {
    match program {
        "git" => &["-C", "-c", "--git-dir", "--work-tree"],
        "cargo" => &["--manifest-path", "--config", "-Z", "-C", "--color"],
        "make" | "gmake" => &["-C", "-f", "-I", "-o", "-l"],
        "npm" | "pnpm" | "yarn" | "bun" => {
            &["--prefix", "-C", "--filter", "-F", "--dir", "--cwd", "-w", "--workspace"]
        }
        "go" | "just" => &["-C", "-f", "-d", "--justfile"],
        "docker" | "podman" | "compose" => &["-H", "--context", "-f", "-p", "--file"],
        "gh" | "glab" => &["-R", "--repo"],
        "kubectl" | "helm" => &["-n", "--namespace", "--context"],
        _ => &[],
    }
}

/// What the program is told to do, two words where the first only opens a group of them.
fn subcommand(program: &str, words: &[String]) -> Option<String> {
    if !has_subcommands(program) {
        return None;
    }
    // A toolchain stands before what it is to do, variables before a target of make, and its `-j` takes a number or none.
    let is_plain = |word: &&String| {
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        let is_variable = matches!(program, "make" | "gmake") && word.contains('=');
        !word.starts_with('+') && !is_number && !is_variable
    };
    let plain = words.iter().filter(is_plain).map(|word| Word { text: word.clone(), quoted: false });
    let plain: Vec<Word> = plain.collect();
    let (first, rest) = after_options(&plain, options_with_value(program)).split_first()?;
    let opens_group = match program {
        "gh" | "glab" | "aws" | "gcloud" => true,
        "docker" | "podman" => matches!(first.text.as_str(), "compose" | "buildx" | "image" | "container"),
        "npm" | "yarn" | "pnpm" | "bun" | "deno" => matches!(first.text.as_str(), "run" | "run-script"),
        _ => false,
    };
    let second = after_options(rest, options_with_value(&first.text)).first().filter(|_| opens_group);
    let name = if first.text == "run-script" { "run" } else { &first.text };
    Some(second.map_or_else(|| name.to_owned(), |second| format!("{name} {}", second.text)))
}

/// The word as the path of a file, if it looks like one: it has a directory or an ending of up to five letters, and is
/// no address, option, pattern or expression. A test or a line named in the file is left out.
fn path(word: &str) -> Option<String> {
    if word.contains("://")
        || word.starts_with('-')
        || word.len() > NAME_BYTES_MAX
        || word.starts_with("/dev/")
    {
        return None;
    }
    let word = word.split("::").next().unwrap_or(word);
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit()).strip_suffix(':').unwrap_or(word);
    let is_plain = |c: char| c.is_alphanumeric() || "_./\\@+-~:,#".contains(c);
    let name = word.rsplit(['/', '\\']).next().unwrap_or(word);
    let has_directory = word.contains('/') && word.chars().any(char::is_alphanumeric);
    (word.chars().all(is_plain) && (has_directory || extension(name).is_some())).then(|| word.to_owned())
}

/// The ending of a file's name, without its dot.
fn extension(name: &str) -> Option<&str> {
    let (stem, extension) = name.rsplit_once('.')?;
    let is_ending = (1..=5).contains(&extension.len())
        && extension.starts_with(|c: char| c.is_ascii_alphabetic())
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_ending && !stem.is_empty()).then_some(extension)
}

/// The kind of action of these commands; a change of directory is none.
fn shape(runs: &[Run]) -> String {
    let shapes = runs.iter().filter(|run| run.program != "cd").map(|run| {
        let Command { program, subcommand, .. } = run.command();
        let is_subcommand =
            |word: &&Word| subcommand.iter().flat_map(|name| name.split(' ')).any(|part| part == word.text);
        let options: BTreeSet<String> =
            run.words.iter().filter(|word| word.text.starts_with('-')).map(option_name).collect();
        let others = run
            .words
            .iter()
            .filter(|word| !word.text.starts_with('-') && !is_subcommand(word))
            .map(particular);
        let mut parts: Vec<String> =
            std::iter::once(program).chain(subcommand.clone()).chain(options).collect();
        for other in others {
            if parts.last() != Some(&other) {
                parts.push(other);
            }
        }
        parts.join(" ")
    });
    let mut shapes: Vec<String> = shapes.collect();
    shapes.dedup();
    shapes.join(" ; ")
}

fn option_name(word: &Word) -> String {
    let name = word.text.split('=').next().unwrap_or_default();
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit());
    if bare == "-" { "-#".to_owned() } else { bare.to_owned() }
}

/// A word without what is particular to it.
fn particular(word: &Word) -> String {
    let name = word.text.split("::").next().unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or(name);
    match extension(name) {
        Some(extension) if path(&word.text).is_some() => format!("*.{extension}"),
        _ if word.quoted || word.text.chars().any(|c| c.is_ascii_digit()) => "#".to_owned(),
        _ => word.text.clone(),
    }
}

/// Fowler, Noll and Vo's hash 1a of 64 bits over the words, one space between two.
fn fnv_1a<'a>(words: impl Iterator<Item = &'a str>) -> u64 {
    crate::hash::fnv_1a(words.flat_map(|word| word.bytes().chain([b' '])))
}

#[cfg(test)]
mod tests;
