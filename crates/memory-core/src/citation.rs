//! What a note or an episode says about files and commits, so that it can be told when those are not what they were.

use std::collections::{HashMap, HashSet};

use crate::episode::{Completion, Step, StepResult};
use crate::limits::{
    COMMIT_DIGITS_MAX, COMMIT_DIGITS_MIN, EXTENSION_BYTES_MAX, MENTIONS_MAX, NAME_BYTES_MAX,
};

/// A SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// Something of a work tree as it was when a note or an episode that names it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Citation {
    /// The commit that was checked out.
    Commit {
        /// Its whole id, in hexadecimal digits.
        id: String,
    },
    /// A file.
    File {
        /// Where it is in the work tree, with `/` between the parts.
        path: String,
        /// What it held.
        content: Fingerprint,
    },
}

/// What one thing cites of one work tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citations {
    /// The [work tree](crate::port::Workspace::root): the same path means another file in another one.
    pub root: Fingerprint,
    /// What it cites, nothing twice.
    pub cited: Vec<Citation>,
}

/// What is to be seen at a path of a work tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// A file.
    File {
        /// The path from the root of the work tree, with `/` between the parts.
        path: String,
        /// What it holds.
        content: Fingerprint,
    },
    /// Nothing.
    Absent,
    /// Something that is not read: a directory, a file that is too large, a place outside of the work tree.
    Unread,
}

/// The words of a text that may name files or commits; what they name is known only by looking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// What looks like a path, each once, in the order of the text.
    pub paths: Vec<String>,
    /// What looks like the id of a commit or its beginning, each once, in the order of the text.
    pub commits: Vec<String>,
}

impl Mentions {
    /// Those of a text.
    pub fn of_text(text: &str) -> Self {
        Self::of([text])
    }

    /// Those of a finished episode: what it produced, what its author says of it, what its successful steps did.
    pub fn of_episode(steps: &[Step], completion: &Completion) -> Self {
        let told = completion.artifacts.iter().chain(&completion.summary);
        // What a failed step names may never have been there.
        let done = steps.iter().filter(|step| step.call.result == StepResult::Succeeded);
        let did = done.flat_map(|step| step.call.action.iter().chain(&step.call.args));
        Self::of(told.chain(did).map(String::as_str))
    }

    fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut mentions = Self::default();
        let mut seen = HashSet::new();
        for text in texts {
            for path in text.split(is_between_paths).filter_map(path_in) {
                if mentions.paths.len() < MENTIONS_MAX && seen.insert(path) {
                    mentions.paths.push(path.to_owned());
                }
            }
            for word in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| may_be_commit(word)) {
                if mentions.commits.len() < MENTIONS_MAX && seen.insert(word) {
                    mentions.commits.push(word.to_owned());
                }
            }
        }
        mentions
    }
}

/// What parts the words of a sentence, of a command or of JSON, whose escapes begin with a backslash.
fn is_between_paths(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "\"'`,;()<>|&=\\".contains(c)
}

/// The path in a word, if it looks like one.
fn path_in(word: &str) -> Option<&str> {
    // In links and between brackets.
    let word = word.trim_start_matches(['[', '{']);
    if word.contains("://") || word.contains(['*', '?']) {
        return None;
    }
    // What follows names a place in the file: a line, a test, a heading. The first colon of `C:/` does not.
    let end = word.char_indices().find(|(at, c)| *c == '#' || (*c == ':' && *at != 1));
    let path = end.map_or(word, |(at, _)| &word[..at]);
    let path = path.trim_end_matches(['.', ':', '!', ']', '}', '/', '…']);
    let looks_like_one = path.contains('/') || has_extension(path);
    (looks_like_one && path.len() <= NAME_BYTES_MAX).then_some(path)
}

fn has_extension(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| {
        extension.len() <= EXTENSION_BYTES_MAX
            && extension.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && extension.bytes().any(|byte| byte.is_ascii_alphabetic())
    })
}

fn may_be_commit(word: &str) -> bool {
    (COMMIT_DIGITS_MIN..=COMMIT_DIGITS_MAX).contains(&word.len())
        && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && word.bytes().any(|byte| byte.is_ascii_digit())
        && word.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// What is cited as it stands now.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// What is to be seen at the cited paths; where one is missing, nobody could look.
    pub sights: HashMap<String, Sight>,
    /// The commit that is checked out, if that is known.
    pub head: Option<String>,
}

impl Standing {
    /// Says in a few words how what was cited is another one now; `None` if it is not, or nobody knows.
    pub fn change(&self, citation: &Citation) -> Option<String> {
        match citation {
            Citation::Commit { id } => {
                let short = id.get(..COMMIT_DIGITS_MIN).unwrap_or(id);
                let moved = self.head.as_ref().is_some_and(|head| head != id);
                moved.then(|| format!("commit {short} is not HEAD any more"))
            }
            Citation::File { path, content } => match self.sights.get(path)? {
                Sight::File { content: now, .. } if now == content => None,
                Sight::File { .. } | Sight::Unread => Some(format!("{path} changed")),
                Sight::Absent => Some(format!("{path} is gone")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::episode::Outcome;
    use crate::episode::fixture::{completed, failed, ok};

    fn paths(text: &str) -> Vec<String> {
        Mentions::of_text(text).paths
    }

    #[test]
    fn paths_are_found_in_sentences_commands_links_and_json() {
        let cases: [(&str, &[&str]); 15] = [
            ("The clock is in src/clock.rs.", &["src/clock.rs"]),
            ("see `src/a.rs:88:14`, src/b.rs:3 and \"c.toml\"!", &["src/a.rs", "src/b.rs", "c.toml"]),
            ("pytest tests/test_a.py::test_x -k 'not slow'", &["tests/test_a.py"]),
            ("error at src/a.rs:10: expected `;`", &["src/a.rs"]),
            (r#"{"cmd":"cat src/a.rs\nwc b.txt","n":3}"#, &["src/a.rs", "b.txt"]),
            ("[the guide](docs/guide.md#setup)", &["docs/guide.md"]),
            ("--config=conf/app.toml; ./run.sh&&rm x.log", &["conf/app.toml", "./run.sh", "x.log"]),
            ("app/[id]/page.tsx", &["app/[id]/page.tsx"]),
            ("/home/me/shop/src/a.rs (C:/shop/a.rs)", &["/home/me/shop/src/a.rs", "C:/shop/a.rs"]),
            ("grün/straße.md und 日本/語.txt", &["grün/straße.md", "日本/語.txt"]),
            ("src/a.rs and again src/a.rs", &["src/a.rs"]),
            ("https://example.org/a.rs src/*.rs lib?.rs", &[]),
            ("v2.14.3 took 3.5 s… Done. And 1/2?", &[]),
            ("", &[]),
            ("keep .gitignore, not src/", &[".gitignore", "src"][..1]),
        ];
        for (text, expected) in cases {
            assert_eq!(paths(text), expected, "{text}");
        }
    }

    #[test]
    fn commits_have_digits_and_letters_and_are_not_too_short() {
        let whole = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";
        let text = format!("1a2b3c4..{whole} not 1234567, deadbeef, 1A2B3C4D, 1a2b3c, {whole}8 or x1a2b3c4");
        assert_eq!(Mentions::of_text(&text).commits, ["1a2b3c4", whole]);
    }

    #[test]
    fn an_episode_mentions_what_it_made_and_what_it_did() {
        let with_args = |args: &str, mut call: crate::episode::NewStep| {
            call.args = Some(args.into());
            call.observation = Some("seen/only.rs".into());
            call
        };
        let mut calls = vec![
            with_args(r#"{"path":"did/a.rs"}"#, ok("edit")),
            with_args("tried/b.rs", failed("edit", "there is no error/c.rs")),
        ];
        calls[0].action = Some("meant/d.rs".into());
        let mut episode = completed(calls, Some(Outcome::Success));
        episode.head.brief.task = "asked/e.rs".into();
        let mut completion = episode.head.completion.take().unwrap();
        completion.summary = Some("told/f.rs at 1a2b3c4".into());
        completion.artifacts = vec!["made/g.rs".into()];
        completion.at = Timestamp::UNIX_EPOCH;
        let mentions = Mentions::of_episode(&episode.steps, &completion);
        assert_eq!(mentions.paths, ["made/g.rs", "told/f.rs", "meant/d.rs", "did/a.rs"]);
        assert_eq!(mentions.commits, ["1a2b3c4"]);
    }

    #[test]
    fn no_more_is_looked_for_than_is_bounded() {
        let many: String = (0..MENTIONS_MAX + 9).map(|number| format!("src/{number}.rs ")).collect();
        assert_eq!(paths(&many).len(), MENTIONS_MAX);
        assert_eq!(paths(&format!("src/{}.rs", "x".repeat(NAME_BYTES_MAX))), [""; 0]);
    }
}
