//! Work trees without a disk.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use memory_core::citation::{Fingerprint, Sight};
use memory_core::port::Workspace;

/// The program runs in no work tree.
#[derive(Debug)]
pub struct NoWorkTree;

#[async_trait]
impl Workspace for NoWorkTree {
    fn root(&self) -> Option<Fingerprint> {
        None
    }

    async fn look(&self, _paths: Vec<String>) -> Vec<Sight> {
        Vec::new()
    }

    async fn head(&self) -> Option<String> {
        None
    }
}

/// A work tree in memory.
#[derive(Debug)]
pub struct TestTree {
    name: &'static str,
    contents: Mutex<Contents>,
}

#[derive(Debug, Default)]
struct Contents {
    files: BTreeMap<String, String>,
    head: Option<String>,
    looked: Vec<String>,
}

impl TestTree {
    /// An empty one; one of another name is another one.
    pub fn new(name: &'static str) -> Self {
        Self { name, contents: Mutex::default() }
    }

    /// Writes a file. What is at `/NAME/path` can be asked for by that name, too.
    pub fn write(&self, path: &str, text: &str) {
        self.contents().files.insert(path.into(), text.into());
    }

    /// Deletes a file.
    pub fn remove(&self, path: &str) {
        self.contents().files.remove(path);
    }

    /// Checks a commit out.
    pub fn check_out(&self, commit: &str) {
        self.contents().head = Some(commit.into());
    }

    /// What was looked at, in that order; forgets it.
    pub fn looked(&self) -> Vec<String> {
        std::mem::take(&mut self.contents().looked)
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().expect("no test panics while it holds the lock")
    }
}

/// As good as a SHA-256 for a handful of texts.
fn fingerprint(text: &str) -> Fingerprint {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&hasher.finish().to_le_bytes());
    Fingerprint(bytes)
}

#[async_trait]
impl Workspace for TestTree {
    fn root(&self) -> Option<Fingerprint> {
        Some(fingerprint(self.name))
    }

    async fn look(&self, paths: Vec<String>) -> Vec<Sight> {
        let mut contents = self.contents();
        contents.looked.extend(paths.iter().cloned());
        let prefix = format!("/{}/", self.name);
        let sight = |path: String| {
            let path = path.strip_prefix(&prefix).unwrap_or(&path);
            match contents.files.get(path) {
                Some(text) => Sight::File { path: path.into(), content: fingerprint(text) },
                None => Sight::Absent,
            }
        };
        paths.into_iter().map(sight).collect()
    }

    async fn head(&self) -> Option<String> {
        self.contents().head.clone()
    }
}
