//! Which commit is checked out, read from git's own files: no program of another's is run, and one small question needs no
//! library.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::limits::{GIT_FILE_BYTES_MAX, GIT_REFERENCES_MAX};

/// The id of the commit that is checked out; `None` where there is none yet, or git keeps it in another way.
///
/// `dot_git` is the directory of git, or a file that names it, as in a linked work tree or a submodule.
pub(super) fn head(dot_git: &Path) -> Option<String> {
    let own = if dot_git.is_dir() { dot_git.to_owned() } else { named_by(dot_git)? };
    // A linked work tree has a HEAD of its own and shares its branches.
    let shared = match read(&own.join("commondir")) {
        Some(path) => own.join(path.trim_end()),
        None => own.clone(),
    };
    let mut at = read(&own.join("HEAD"))?;
    for _ in 0..GIT_REFERENCES_MAX {
        let Some(name) = at.strip_prefix("ref:") else { break };
        let name = reference(name.trim())?;
        let loose = [&own, &shared].into_iter().find_map(|dir| read(&dir.join(name)));
        at = loose.or_else(|| packed(&shared, name))?;
    }
    let id = at.trim();
    is_id(id).then(|| id.to_owned())
}

fn named_by(file: &Path) -> Option<PathBuf> {
    let text = read(file)?;
    // Relative to the directory that the file is in.
    Some(file.parent()?.join(text.strip_prefix("gitdir:")?.trim()))
}

/// The name of a reference, which is a path below git's directory.
fn reference(name: &str) -> Option<&str> {
    let mut parts = name.split('/');
    let is_one = parts.next() == Some("refs") && parts.all(|part| !part.is_empty() && !part.starts_with('.'));
    is_one.then_some(name)
}

/// The commit of a reference that has no file of its own.
fn packed(shared: &Path, name: &str) -> Option<String> {
    let all = read(&shared.join("packed-refs"))?;
    let ids = all.lines().filter_map(|line| line.split_once(' ')).filter(|(_, packed)| *packed == name);
    ids.map(|(id, _)| id.to_owned()).next()
}

/// Hexadecimal digits of a SHA-1 or a SHA-256.
fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn read(path: &Path) -> Option<String> {
    let is_readable = fs::metadata(path).ok()?;
    if !is_readable.is_file() || is_readable.len() > GIT_FILE_BYTES_MAX {
        return None;
    }
    let mut text = String::new();
    File::open(path).ok()?.take(GIT_FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";
    const TWO: &str = "1a1b2c3d4e5f60718293a4b5c6d7e8f901234567";

    /// Git's directory with these files.
    fn git(dir: &Path, files: &[(&str, &str)]) -> PathBuf {
        let git = dir.join(".git");
        for (name, text) in files {
            let path = git.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        git
    }

    fn head_of(files: &[(&str, &str)]) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        head(&git(dir.path(), files))
    }

    #[test]
    fn a_commit_is_found_through_whatever_git_keeps_it_in() {
        let on_main = ("HEAD", "ref: refs/heads/main\n");
        let (one, two) = (format!("{ONE}\n"), format!("{TWO}\n"));
        let packed =
            format!("# pack-refs with: peeled\n{TWO} refs/heads/main2\n{ONE} refs/heads/main\n^{TWO}\n");
        let cases: [&[(&str, &str)]; 5] = [
            &[("HEAD", &one)],
            &[on_main, ("refs/heads/main", &one)],
            &[on_main, ("packed-refs", &packed)],
            &[on_main, ("refs/heads/main", "ref: refs/heads/f/x"), ("refs/heads/f/x", &one)],
            &[on_main, ("refs/heads/main", &one), ("packed-refs", &packed.replace(ONE, &two))],
        ];
        for files in cases {
            assert_eq!(head_of(files).as_deref(), Some(ONE), "{files:?}");
        }
    }

    #[test]
    fn where_there_is_no_commit_none_is_told() {
        let on = |name: &str| format!("ref: {name}\n");
        let one = format!("{ONE}\n");
        let loop_of_two = [("HEAD", on("refs/a")), ("refs/a", on("refs/b")), ("refs/b", on("refs/a"))];
        let looped: Vec<(&str, &str)> =
            loop_of_two.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let cases: [&[(&str, &str)]; 7] = [
            &[],
            &[("config", "")],
            &[("HEAD", "ref: refs/heads/main\n")],
            &[("HEAD", "ref: refs/heads/.invalid\n"), ("refs/heads/.invalid", &one)],
            &[("HEAD", "ref: refs/../../secret\n"), ("../secret", &one)],
            &[("HEAD", "0a1b2c3\n")],
            &looped,
        ];
        for files in cases {
            assert_eq!(head_of(files), None, "{files:?}");
        }
    }

    #[test]
    fn a_linked_work_tree_has_a_head_of_its_own_and_shares_its_branches() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (format!("{ONE}\n"), format!("{TWO}\n"));
        git(
            dir.path(),
            &[
                ("HEAD", "ref: refs/heads/main\n"),
                ("refs/heads/main", &two),
                ("refs/heads/side", &one),
                ("worktrees/side/HEAD", "ref: refs/heads/side\n"),
                ("worktrees/side/commondir", "../..\n"),
            ],
        );
        let side = dir.path().join("side");
        fs::create_dir(&side).unwrap();
        fs::write(side.join(".git"), "gitdir: ../.git/worktrees/side\n").unwrap();
        assert_eq!(head(&side.join(".git")).as_deref(), Some(ONE));
        let absolute = format!("gitdir: {}\n", dir.path().join(".git/worktrees/side").display());
        fs::write(side.join(".git"), absolute).unwrap();
        assert_eq!(head(&side.join(".git")).as_deref(), Some(ONE));
        assert_eq!(head(&dir.path().join(".git")).as_deref(), Some(TWO));
    }
}
