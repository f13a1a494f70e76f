//! Programs whose arguments are another command: what they run is what counts.

use super::program_name;
use super::shell::Word;

/// How to find the command behind a wrapper.
struct Wrapper {
    /// Its name, and the subcommand that runs something.
    name: &'static str,
    /// Options whose value is a word of its own.
    valued: &'static [&'static str],
    /// Words of its own before the command.
    operands: usize,
}

const fn wrapper(name: &'static str, valued: &'static [&'static str], operands: usize) -> Wrapper {
    Wrapper { name, valued, operands }
}

/// A name with a subcommand stands before the bare name, so that it is found first.
const WRAPPERS: &[Wrapper] = &[
    wrapper("sudo", &["-u", "-g", "-h", "-p", "-C", "-D"], 0),
    wrapper("doas", &["-u"], 0),
    wrapper("env", &["-u", "-C", "-S"], 0),
    wrapper("time", &["-f", "-o"], 0),
    wrapper("timeout", &["-s", "-k", "--signal", "--kill-after"], 1),
    wrapper("gtimeout", &["-s", "-k"], 1),
    wrapper("nice", &["-n"], 0),
    wrapper("ionice", &["-c", "-n"], 0),
    wrapper("nohup", &[], 0),
    wrapper("setsid", &[], 0),
    wrapper("stdbuf", &["-i", "-o", "-e"], 0),
    wrapper("unbuffer", &[], 0),
    wrapper("command", &[], 0),
    wrapper("builtin", &[], 0),
    wrapper("exec", &[], 0),
    wrapper("xvfb-run", &["-s", "-n", "-e"], 0),
    wrapper("strace", &["-e", "-o", "-p"], 0),
    wrapper("xargs", &["-n", "-I", "-P", "-L", "-d", "-a", "-s", "-E"], 0),
    wrapper("parallel", &["-j"], 0),
    wrapper("cross-env", &[], 0),
    wrapper("dotenv", &["-e", "-f"], 0),
    wrapper("npx", &["-p", "--package"], 0),
    wrapper("bunx", &[], 0),
    wrapper("uvx", &["--from", "--with", "-p", "--python"], 0),
    wrapper("npm exec", &["-p", "--package", "-w", "--workspace"], 0),
    wrapper("pnpm exec", &["-C", "--filter"], 0),
    wrapper("pnpm dlx", &[], 0),
    wrapper("yarn exec", &[], 0),
    wrapper("yarn dlx", &[], 0),
    wrapper(
        "uv run",
        &["--with", "-p", "--python", "--extra", "--group", "--package", "--project", "--directory"],
        0,
    ),
    wrapper("poetry run", &["-C"], 0),
    wrapper("pdm run", &["-p"], 0),
    wrapper("rye run", &[], 0),
    wrapper("hatch run", &["-e"], 0),
    wrapper("pipenv run", &[], 0),
    wrapper("pipx run", &["--spec"], 0),
    wrapper("bundle exec", &[], 0),
    wrapper("mise exec", &[], 0),
    wrapper("asdf exec", &[], 0),
    wrapper("direnv exec", &[], 1),
    wrapper("conda run", &["-n", "-p", "--name", "--prefix", "--cwd"], 0),
    wrapper("mamba run", &["-n", "-p", "--name", "--prefix"], 0),
    wrapper("micromamba run", &["-n", "-p", "--name", "--prefix"], 0),
    // Its `-m` is an option in front of what runs.
    wrapper("coverage run", &["--source", "--rcfile", "--omit", "--include", "--data-file"], 0),
    wrapper("docker exec", &["-w", "--workdir", "-e", "--env", "-u", "--user"], 1),
    wrapper("podman exec", &["-w", "--workdir", "-e", "--env", "-u", "--user"], 1),
];

/// Words that a shell's grammar puts before a command.
const LEADING: &[&str] = &["if", "then", "else", "elif", "while", "until", "do", "!", "{"];
/// Words after which there is no command.
const HEADERS: &[&str] = &["for", "case", "select", "function", "fi", "done", "esac", "}", "[[", "[", "in"];

/// The words of the command that is run in the end; empty if there is none.
pub(super) fn unwrap(mut words: &[Word]) -> &[Word] {
    loop {
        let Some((first, rest)) = words.split_first() else { return words };
        if HEADERS.contains(&first.text.as_str()) {
            return &[];
        }
        if LEADING.contains(&first.text.as_str()) || is_assignment(first) {
            words = rest;
            continue;
        }
        match wrapped(words) {
            Some(inner) if !inner.is_empty() => words = inner,
            _ => return words,
        }
    }
}

fn wrapped(words: &[Word]) -> Option<&[Word]> {
    let (first, rest) = words.split_first()?;
    let program = program_name(&first.text);
    if program == "python" {
        return module(rest);
    }
    let named = |wrapper: &&Wrapper| match wrapper.name.split_once(' ') {
        Some((name, subcommand)) => {
            program == name && rest.first().is_some_and(|word| word.text == subcommand)
        }
        None => program == wrapper.name,
    };
    let wrapper = WRAPPERS.iter().find(named)?;
    let rest = if wrapper.name.contains(' ') { &rest[1..] } else { rest };
    after_options(rest, wrapper.valued).get(wrapper.operands..)
}

/// What `python -m` runs.
fn module(mut words: &[Word]) -> Option<&[Word]> {
    loop {
        let (option, rest) = words.split_first()?;
        words = match option.text.as_str() {
            "-m" => return Some(rest),
            "-c" | "-" => return None,
            "-W" | "-X" => rest.get(1..)?,
            text if text.starts_with('-') => rest,
            _ => return None,
        };
    }
}

/// The words after the options that come first.
pub(super) fn after_options<'w>(mut words: &'w [Word], valued: &[&str]) -> &'w [Word] {
    while let Some((option, rest)) = words.split_first().filter(|(word, _)| word.text.starts_with('-')) {
        words = if valued.contains(&option.text.as_str()) { rest.get(1..).unwrap_or_default() } else { rest };
        if option.text == "--" {
            break;
        }
    }
    words
}

/// `NAME=value` before a command.
fn is_assignment(word: &Word) -> bool {
    let Some((name, _)) = word.text.split_once('=') else { return false };
    let name = name.trim_end_matches('+');
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
