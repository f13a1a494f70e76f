//! The work tree in which the program was started: what its files hold, and which commit is checked out.

mod git;

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use memory_core::citation::{Fingerprint, Sight};
use memory_core::port::Workspace;
use sha2::{Digest, Sha256};

use crate::limits::{CITED_FILE_BYTES_MAX, FILE_SETTLED_AFTER, FILES_KNOWN_MAX, WORK_TREE_WAIT};

/// The name of what makes a directory the root of a work tree.
const GIT: &str = ".git";

/// The work tree, if there is one.
#[derive(Debug)]
pub(crate) struct WorkTree {
    tree: Option<Arc<Tree>>,
}

#[derive(Debug)]
struct Tree {
    /// Without symbolic links, so that a path is within it if it begins with it.
    root: PathBuf,
    known: Mutex<HashMap<PathBuf, (Stamp, Fingerprint)>>,
}

/// How a file looks from outside: when it differs, the contents may differ too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl WorkTree {
    /// The one around the current directory.
    pub(crate) fn here() -> Self {
        let home = directories::BaseDirs::new().and_then(|dirs| dirs.home_dir().canonicalize().ok());
        let current = std::env::current_dir().and_then(|dir| dir.canonicalize()).ok();
        Self::at(current.and_then(|dir| root_around(&dir, home.as_deref())))
    }

    fn at(root: Option<PathBuf>) -> Self {
        Self { tree: root.map(|root| Arc::new(Tree { root, known: Mutex::default() })) }
    }

    /// Looks at the tree on another thread; `None` if there is none, or it does not answer.
    async fn ask<T: Send + 'static>(&self, look: impl FnOnce(&Tree) -> T + Send + 'static) -> Option<T> {
        let tree = self.tree.clone()?;
        let looking = tokio::task::spawn_blocking(move || look(&tree));
        tokio::time::timeout(WORK_TREE_WAIT, looking).await.ok()?.ok()
    }
}

/// The root of the work tree around a directory: where git has its own, else the directory itself. A home directory or a
/// whole disk is none: a program that was started there was started nowhere in particular.
fn root_around(current: &Path, home: Option<&Path>) -> Option<PathBuf> {
    let of_git = current.ancestors().find(|dir| dir.join(GIT).exists());
    let is_somewhere = || Some(current) != home && current.parent().is_some();
    of_git.or_else(|| is_somewhere().then_some(current)).map(Path::to_owned)
}

#[async_trait]
impl Workspace for WorkTree {
    fn root(&self) -> Option<Fingerprint> {
        let tree = self.tree.as_ref()?;
        Some(Fingerprint(Sha256::digest(tree.root.as_os_str().as_encoded_bytes()).into()))
    }

    async fn look(&self, paths: Vec<String>) -> Vec<Sight> {
        let looked = self.ask(move |tree| paths.iter().map(|path| tree.look(path)).collect());
        looked.await.unwrap_or_default()
    }

    async fn head(&self) -> Option<String> {
        self.ask(|tree| git::head(&tree.root.join(GIT))).await?
    }
}

impl Tree {
    fn look(&self, path: &str) -> Sight {
        let Some(inside) = self.inside(path) else { return Sight::Unread };
        // Only now, as even to look whether a path outside exists may reach another machine.
        let real = match self.root.join(inside).canonicalize() {
            Ok(real) => real,
            Err(error) if is_absence(error.kind()) => return Sight::Absent,
            Err(_) => return Sight::Unread,
        };
        let content = |path: String| self.content(&real).map(|content| Sight::File { path, content });
        self.name(&real).and_then(content).unwrap_or(Sight::Unread)
    }

    /// The path from the root, unless it leads out on its face.
    fn inside<'p>(&self, path: &'p str) -> Option<&'p Path> {
        let path = Path::new(path);
        let path = if path.has_root() { path.strip_prefix(&self.root).ok()? } else { path };
        let stays = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        path.components().all(stays).then_some(path)
    }

    /// What a file without symbolic links in its path is called, if it belongs to the tree.
    fn name(&self, real: &Path) -> Option<String> {
        let parts = real.strip_prefix(&self.root).ok()?.components();
        let parts: Option<Vec<&str>> = parts.map(|part| part.as_os_str().to_str()).collect();
        // What git keeps for itself is not part of what it keeps.
        let parts = parts.filter(|parts| !parts.iter().any(|part| part.eq_ignore_ascii_case(GIT)))?;
        Some(parts.join("/"))
    }

    /// What a file holds; `None` for one that is not to be read.
    fn content(&self, real: &Path) -> Option<Fingerprint> {
        let readable = |file: &Metadata| file.is_file() && file.len() <= CITED_FILE_BYTES_MAX;
        // Before it is opened: to open a pipe would wait for its writer.
        let stamp = Stamp::of(&fs::metadata(real).ok().filter(readable)?);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, content)) = known().get(real).filter(|(seen, _)| *seen == stamp) {
            return Some(*content);
        }
        let mut bytes = Vec::new();
        let file = File::open(real).ok()?;
        file.take(CITED_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).ok()?;
        if bytes.len() as u64 > CITED_FILE_BYTES_MAX {
            return None;
        }
        let content = Fingerprint(Sha256::digest(&bytes).into());
        if stamp.is_settled() {
            let mut known = known();
            if known.len() >= FILES_KNOWN_MAX {
                known.clear();
            }
            known.insert(real.to_owned(), (stamp, content));
        }
        Some(content)
    }
}

fn is_absence(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self { bytes: file.len(), modified: file.modified().ok() }
    }

    /// Whether a later change would show.
    fn is_settled(&self) -> bool {
        let age = self.modified.and_then(|modified| modified.elapsed().ok());
        age.is_some_and(|age| age >= FILE_SETTLED_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A work tree with a file `src/a.rs` in a directory that holds other things too.
    fn tree() -> (TempDir, PathBuf, Tree) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap().join("shop");
        fs::create_dir_all(root.join(GIT)).unwrap();
        fs::create_dir(root.join("src")).unwrap();
        fs::write(root.join("src/a.rs"), "fn a() {}").unwrap();
        fs::write(root.join("../secret.txt"), "outside").unwrap();
        let tree = Tree { root: root.clone(), known: Mutex::default() };
        (dir, root, tree)
    }

    fn content(text: &str) -> Fingerprint {
        Fingerprint(Sha256::digest(text).into())
    }

    fn file(path: &str, text: &str) -> Sight {
        Sight::File { path: path.into(), content: content(text) }
    }

    #[test]
    fn a_file_is_seen_by_whatever_name_it_has_within_the_tree() {
        let (_dir, root, tree) = tree();
        let absolute = root.join("src/a.rs").to_str().unwrap().to_owned();
        for path in ["src/a.rs", "./src/a.rs", "src//./a.rs", &absolute] {
            assert_eq!(tree.look(path), file("src/a.rs", "fn a() {}"), "{path}");
        }
        for path in ["src/b.rs", "src/a.rs/c.rs", "nowhere/x", &format!("{absolute}x")] {
            assert_eq!(tree.look(path), Sight::Absent, "{path}");
        }
    }

    #[test]
    fn what_is_outside_or_no_file_is_not_read() {
        let (_dir, root, tree) = tree();
        fs::write(root.join(".git/config"), "[core]").unwrap();
        let large = File::create(root.join("large.bin")).unwrap();
        large.set_len(10 * 1024 * 1024).unwrap();
        let outside = root.join("../secret.txt").canonicalize().unwrap();
        let long = "x".repeat(10_000);
        let paths = [
            "../secret.txt",
            "src/../../secret.txt",
            "src/../src/a.rs",
            outside.to_str().unwrap(),
            "/etc/passwd",
            "/",
            "src",
            "src/",
            "",
            ".",
            "large.bin",
            ".git/config",
            "src/a\0.rs",
            &long,
        ];
        for path in paths {
            assert_eq!(tree.look(path), Sight::Unread, "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_out_is_not_followed() {
        let (_dir, root, tree) = tree();
        for (to, name) in
            [("../secret.txt", "file.txt"), ("..", "dir"), ("a.rs", "src/b.rs"), ("no", "dangling")]
        {
            std::os::unix::fs::symlink(to, root.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(".git", root.join("git")).unwrap();
        fs::write(root.join(".git/config"), "[core]").unwrap();
        for path in ["file.txt", "dir/secret.txt", "git/config"] {
            assert_eq!(tree.look(path), Sight::Unread, "{path}");
        }
        assert_eq!(tree.look("src/b.rs"), file("src/a.rs", "fn a() {}"), "one within leads to what it names");
        assert_eq!(tree.look("dangling"), Sight::Absent);
    }

    #[test]
    fn a_change_is_seen_at_once_and_what_has_settled_is_not_read_again() {
        let (_dir, root, tree) = tree();
        let path = root.join("src/a.rs");
        // Of one length, and within one tick of the clock of the file system.
        for text in ["fn a() {}", "fn b() {}", "fn a() {}"] {
            fs::write(&path, text).unwrap();
            assert_eq!(tree.look("src/a.rs"), file("src/a.rs", text));
        }
        let long_ago = SystemTime::now() - 2 * FILE_SETTLED_AFTER;
        let settle = || File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        settle();
        assert_eq!(tree.look("src/a.rs"), file("src/a.rs", "fn a() {}"));
        fs::write(&path, "fn c() {}").unwrap();
        settle();
        assert_eq!(
            tree.look("src/a.rs"),
            file("src/a.rs", "fn a() {}"),
            "looks the same, so it was not read"
        );
        fs::write(&path, "fn d() {}").unwrap();
        assert_eq!(tree.look("src/a.rs"), file("src/a.rs", "fn d() {}"));
    }

    #[test]
    fn only_so_many_files_are_remembered() {
        let (_dir, root, tree) = tree();
        let long_ago = SystemTime::now() - 2 * FILE_SETTLED_AFTER;
        for number in 0..FILES_KNOWN_MAX + 5 {
            let file = File::create(root.join(format!("{number}.txt"))).unwrap();
            file.set_modified(long_ago).unwrap();
            assert!(matches!(tree.look(&format!("{number}.txt")), Sight::File { .. }));
        }
        assert_eq!(tree.known.lock().unwrap().len(), 5);
    }

    #[test]
    fn the_root_is_where_git_is_and_never_a_home_or_a_disk() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        let deep = home.join("shop/src/parts");
        fs::create_dir_all(&deep).unwrap();
        let around = |current: &Path| root_around(current, Some(&home));
        // Where the temporary directory is itself in a work tree, nothing can be said of directories without git.
        if !home.ancestors().any(|dir| dir.join(GIT).exists()) {
            assert_eq!(around(&deep), Some(deep.clone()));
            assert_eq!(around(&home), None);
            assert_eq!(around(Path::new("/")), None);
        }
        fs::write(home.join("shop/.git"), "gitdir: elsewhere").unwrap();
        assert_eq!(around(&deep), Some(home.join("shop")));
        fs::create_dir(home.join("shop/src/.git")).unwrap();
        assert_eq!(around(&deep), Some(home.join("shop/src")), "the nearest");
    }

    #[tokio::test]
    async fn where_there_is_no_work_tree_nothing_is_seen() {
        let nowhere = WorkTree::at(None);
        assert_eq!(nowhere.root(), None);
        assert_eq!(nowhere.look(vec!["Cargo.toml".into()]).await, []);
        assert_eq!(nowhere.head().await, None);
    }

    #[tokio::test]
    async fn trees_in_different_places_are_different() {
        let ((_a, root_a, _), (_b, root_b, _)) = (tree(), tree());
        let [a, b] = [&root_a, &root_b].map(|root| WorkTree::at(Some(root.clone())));
        assert_ne!(a.root(), b.root());
        assert_eq!(a.root(), WorkTree::at(Some(root_a)).root());
        let paths = || vec!["src/a.rs".to_owned(), "none.rs".to_owned()];
        let seen = [file("src/a.rs", "fn a() {}"), Sight::Absent];
        assert_eq!((a.look(paths()).await, b.look(paths()).await), (seen.to_vec(), seen.to_vec()));
    }
}
