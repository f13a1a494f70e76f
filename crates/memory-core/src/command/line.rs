//! Where a step keeps its command line: in the arguments of a shell, or as those of a tool that is a program itself.

use super::check::{has_subcommands, is_known};
use super::json::{self, Value};
use super::{program_name, simple};
use crate::episode::NewStep;

/// Tools that run the command line they are given, in lower case and with `_` for `-`.
const SHELL_TOOLS: &[&str] = &[
    "bash",
    "sh",
    "zsh",
    "shell",
    "terminal",
    "console",
    "command",
    "cmd",
    "exec",
    "execute",
    "run",
    "run_command",
    "execute_command",
    "exec_command",
    "shell_command",
    "run_shell_command",
    "run_terminal_cmd",
    "local_shell",
    "run_terminal_command",
    "execute_bash",
    "run_bash",
    "bash_tool",
    "run_in_terminal",
    "execute_shell_command",
    "runcommand",
    "executecommand",
    "runinterminal",
    "shell_exec",
    "start_process",
];
/// Tools, or what stands before the dot in their names, that are a kind of command line, such as `test.run`.
const LINE_KINDS: &[&str] = &["test", "script", "file", "build", "shell", "command"];
/// Programs that are often the name of a tool, beside those that check the work.
const PROGRAMS: &[&str] = &[
    "cat", "nl", "head", "tail", "ls", "find", "grep", "rg", "sed", "awk", "python", "node", "ruby", "php",
    "perl", "rm", "cp", "mv", "mkdir", "touch", "chmod", "ln", "echo", "printf", "which", "diff", "patch",
    "sort", "uniq", "wc", "curl", "wget", "tar", "unzip", "ps", "kill", "env", "tree", "xargs", "ssh", "jq",
    "sqlite3", "psql", "pylint", "flake8", "ruff", "black", "eslint", "prettier", "bash", "sh",
];
/// What may stand behind the program in the name of a tool: `gradle_build`, `git.diff`.
const SUBCOMMANDS: &[&str] = &[
    "test", "tests", "build", "check", "clippy", "commit", "push", "run", "install", "lint", "vet",
    "compile", "package", "verify", "assemble", "diff", "status", "log", "checkout", "add", "fmt", "pull",
    "clone",
];
/// Names of arguments that hold a command line, the first that is there counts.
const LINE_KEYS: &[&str] = &["command", "cmd", "script", "commandline", "command_line"];

/// The command line of a step, if it has one.
pub(super) fn line(call: &NewStep) -> Option<String> {
    let name = tool_name(call);
    let given = given(call);
    if is_shell(call) {
        return given.filter(|line| !line.trim().is_empty());
    }
    if is_program(&program_name(name)) && !name.contains(' ') {
        return Some(completed(&program_name(name), None, given));
    }
    if name.contains(' ') {
        // The tool's name is itself the line.
        let starts = name.split(' ').next().is_some_and(|first| is_program(&program_name(first)));
        return starts.then(|| given.map_or_else(|| name.to_owned(), |args| format!("{name} {args}")));
    }
    if let Some((program, subcommand)) = name.split_once(['.', '_', ':'])
        && has_subcommands(program)
        && SUBCOMMANDS.contains(&subcommand)
    {
        return Some(completed(program, Some(subcommand), given));
    }
    let kind = name.split('.').next().unwrap_or(name);
    let line = given.filter(|_| LINE_KINDS.contains(&kind) || is_program(kind))?;
    let first = simple(&line).into_iter().next()?;
    (first.by_path || is_program(&first.program)).then_some(line)
}

/// The name of the tool without the server or the namespace it comes from.
pub(super) fn tool_name(call: &NewStep) -> &str {
    let name = call.tool.trim();
    let name = name.rsplit("__").next().unwrap_or(name);
    name.strip_prefix("functions.").unwrap_or(name)
}

/// Whether the step's tool runs the command line that it is given.
pub(super) fn is_shell(call: &NewStep) -> bool {
    SHELL_TOOLS.contains(&tool_name(call).to_lowercase().replace('-', "_").as_str())
}

fn is_program(name: &str) -> bool {
    PROGRAMS.contains(&name) || is_known(name)
}

/// What a step was given as text: the command among its arguments, its arguments where they are no JSON, or, where
/// there are none, what it set out to do if that begins with a program.
fn given(call: &NewStep) -> Option<String> {
    let Some(args) = call.args.as_deref().map(str::trim).filter(|args| !args.is_empty()) else {
        let action = call.action.as_deref()?.trim();
        let first = simple(action).into_iter().next()?;
        return is_program(&first.program).then(|| action.to_owned());
    };
    if let Some(mut entries) = json::object(args) {
        let place = LINE_KEYS.iter().find_map(|key| entries.iter().position(|(name, _)| name == key))?;
        return match entries.swap_remove(place).1 {
            Value::Text(text) => Some(text),
            Value::Words(words) => Some(quote(&words)),
            Value::Other => None,
        };
    }
    Some(json::words(args).map_or_else(|| args.to_owned(), |words| quote(&words)))
}

/// The line of a tool that is itself a program: what it was given, after the program unless that is in it.
fn completed(program: &str, subcommand: Option<&str>, given: Option<String>) -> String {
    let start = subcommand.map_or_else(|| program.to_owned(), |subcommand| format!("{program} {subcommand}"));
    let Some(given) = given else { return start };
    let runs = simple(&given);
    let names_it = runs.iter().any(|run| run.program == program);
    let names_another = !has_subcommands(program)
        && runs
            .first()
            .is_some_and(|first| PROGRAMS.contains(&first.program.as_str()) && !first.program.contains('.'));
    if names_it || names_another { given } else { format!("{start} {given}") }
}

/// Words as a line that a shell takes apart into the same words.
pub(super) fn quote(words: &[String]) -> String {
    let quoted = words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''")));
    quoted.collect::<Vec<_>>().join(" ")
}
