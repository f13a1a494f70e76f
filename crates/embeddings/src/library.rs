//! The models of one data directory: which there are, which one is in use, whether their files are whole.
//!
//! Each has a directory of its own with its files and a manifest. It appears there when it is complete and checked;
//! until then it is in a directory whose name begins with a dot.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::catalog::{FURTHER_FILES, KNOWN, NEEDED_FILES};
use crate::download::{Hub, OnProgress, Wanted};
use crate::endpoint::{ApiKey, Endpoint, discover_dimensions};
use crate::fingerprint::{Fingerprints, sha256_of};
use crate::manifest::{FileRecord, Manifest, ModelName, Origin};
use crate::model::{LocalModel, ModelError};
use crate::store_file::{create_private_dir, create_private_file, rename, write_atomically};

const MANIFEST_FILE: &str = "manifest.json";
/// Holds the name of the model in use.
const IN_USE_FILE: &str = "in-use";
const LOCK_FILE: &str = ".lock";
/// The branch that a repository has by default.
const BRANCH: &str = "main";

/// Why something could not be done with the models.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// No model has the name.
    #[error("there is no model {0}; `memory-mcp model list` shows those there are")]
    Unknown(ModelName),
    /// A model has the name already.
    #[error("there is another model {0} already; remove it first, or choose another name")]
    Taken(ModelName),
    /// The model is in use.
    #[error("the model {0} is in use; choose another with `memory-mcp model use`, or none")]
    InUse(ModelName),
    /// It is no name.
    #[error("{0}")]
    Name(String),
    /// Another process changes the library.
    #[error("another process changes the models at the moment; try again when it has ended")]
    Busy,
    /// A file could not be had.
    #[error("failed to download {url}: {problem}")]
    Download {
        /// Where it is.
        url: String,
        /// What went wrong.
        problem: String,
    },
    /// A file is not what it should be.
    #[error("{file} is not the file it should be (SHA-256 {found} instead of {expected}); nothing was added")]
    WrongContents {
        /// The file.
        file: String,
        /// Its SHA-256.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// The files are no model that can be used.
    #[error("the model cannot be used: {0}")]
    Model(#[from] ModelError),
    /// The server gave no vector.
    #[error(transparent)]
    Endpoint(#[from] memory_core::port::EmbedError),
    /// A file of the library does not make sense.
    #[error("{path} is damaged: {problem}; remove the model and add it again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// Says which file an error is about.
pub(crate) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> LibraryError {
    let path = path.to_owned();
    move |error| LibraryError::Io { path, error }
}

/// The models of one data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    dir: PathBuf,
}

/// What is wrong with a file of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file, within the model's directory.
    pub file: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Library {
    /// The library in this directory, which need not exist yet.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn fingerprints(&self) -> Fingerprints {
        Fingerprints::in_dir(&self.dir)
    }

    /// All models, in the order of their names.
    ///
    /// # Errors
    /// If the directory or a manifest cannot be read.
    pub fn list(&self) -> Result<Vec<Manifest>, LibraryError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io_error(&self.dir)(error)),
        };
        let mut models = Vec::new();
        for entry in entries {
            let name = entry.map_err(io_error(&self.dir))?.file_name();
            let name = name.to_str().and_then(|name| name.parse::<ModelName>().ok());
            if let Some(name) = name.filter(|name| self.dir_of(name).join(MANIFEST_FILE).exists()) {
                models.push(self.get(&name)?);
            }
        }
        models.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(models)
    }

    /// One model.
    ///
    /// # Errors
    /// If there is none of this name, or its manifest cannot be read.
    pub fn get(&self, name: &ModelName) -> Result<Manifest, LibraryError> {
        let path = self.dir_of(name).join(MANIFEST_FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(LibraryError::Unknown(name.clone()));
            }
            Err(error) => return Err(io_error(&path)(error)),
        };
        let damaged = |problem: String| LibraryError::Damaged { path: path.clone(), problem };
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if manifest.name != *name {
            return Err(damaged(format!("it is of the model {}", manifest.name)));
        }
        Ok(manifest)
    }

    /// The name of the model in use, if one is.
    ///
    /// # Errors
    /// If that cannot be read.
    pub fn in_use(&self) -> Result<Option<ModelName>, LibraryError> {
        let path = self.dir.join(IN_USE_FILE);
        match fs::read_to_string(&path) {
            Ok(name) => {
                let name = name.trim().parse();
                name.map(Some).map_err(|problem| LibraryError::Damaged { path, problem })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error(&path)(error)),
        }
    }

    /// Puts a model into use, or none.
    ///
    /// # Errors
    /// If there is no such model, or it cannot be written down.
    pub fn put_in_use(&self, name: Option<&ModelName>) -> Result<(), LibraryError> {
        if let Some(name) = name {
            self.get(name)?;
        }
        let _lock = self.lock()?;
        self.note_in_use(name)
    }

    fn note_in_use(&self, name: Option<&ModelName>) -> Result<(), LibraryError> {
        let path = self.dir.join(IN_USE_FILE);
        let done = match name {
            Some(name) => write_atomically(&path, name.as_ref().as_bytes()),
            None => if_there(fs::remove_file(&path)),
        };
        done.map_err(io_error(&path))
    }

    /// Pulls a model from a hub: one that the program knows by its name, or any `owner/name`. A known one must have the
    /// contents that the program was made with; another one is held to those that it had when it was first pulled.
    /// One that was cut is continued; one that is there is checked and mended.
    ///
    /// # Errors
    /// If not all of it is to be had, or it is not what it should be.
    pub fn pull(&self, model: &str, hub: &str, progress: OnProgress<'_>) -> Result<Manifest, LibraryError> {
        let known = KNOWN.iter().find(|known| known.name == model || known.repository == model);
        let (repository, revision) =
            known.map_or((model, BRANCH), |known| (known.repository, known.revision));
        let name = name_of_repository(repository)?;
        let _lock = self.lock()?;
        let existing = self.get(&name);
        let (revision, pinned) = match existing {
            Ok(Manifest { origin: Origin::Hub { repository: theirs, revision }, files, .. })
                if theirs == repository =>
            {
                (revision, Some(files))
            }
            Ok(_) => return Err(LibraryError::Taken(name)),
            // A damaged manifest is made anew.
            Err(LibraryError::Unknown(_) | LibraryError::Damaged { .. }) => {
                let pinned = known.map(|known| known.files.iter().map(pin).collect());
                (revision.to_owned(), pinned)
            }
            Err(error) => return Err(error),
        };
        let staging = self.staging(&name)?;
        let mut source = Hub::new(hub, repository, &revision);
        let files = match &pinned {
            Some(files) => self.fetch_pinned(&mut source, &name, files, &staging, progress)?,
            None => fetch_all(&mut source, &staging, progress)?,
        };
        let dimensions = try_out(&staging)?;
        let origin = Origin::Hub { repository: repository.to_owned(), revision: source.revision };
        self.publish(&staging, Manifest { name, dimensions, origin, files })
    }

    /// Brings the files that the model lacks or has in another form.
    fn fetch_pinned(
        &self,
        source: &mut Hub,
        name: &ModelName,
        files: &[FileRecord],
        staging: &Path,
        progress: OnProgress<'_>,
    ) -> Result<Vec<FileRecord>, LibraryError> {
        for file in files {
            let staged = staging.join(&file.path);
            if damage(staging, file).is_none() {
                continue;
            }
            if damage(&self.dir_of(name), file).is_none() {
                place(&self.dir_of(name).join(&file.path), &staged)?;
                continue;
            }
            let wanted = Wanted { path: &file.path, pinned: Some((file.bytes, &file.sha256)) };
            if source.fetch(wanted, staging, progress)?.is_none() {
                return Err(missing(source, &file.path));
            }
        }
        Ok(files.to_vec())
    }

    /// Copies the model in a directory into the library, after it has shown that it works. Where the file system can,
    /// the copy shares its blocks with the original.
    ///
    /// # Errors
    /// If the model does not work or cannot be copied, or the name is taken.
    pub fn add(&self, from: &Path, name: Option<ModelName>) -> Result<Manifest, LibraryError> {
        let from = from.canonicalize().map_err(io_error(from))?;
        let name = match name {
            Some(name) => name,
            None => {
                let name = from.file_name().unwrap_or_default().to_string_lossy();
                name.parse()
                    .map_err(|problem| LibraryError::Name(format!("{problem}; give it one with --name")))?
            }
        };
        let _lock = self.lock()?;
        self.must_be_free(&name)?;
        try_out(&from)?;
        let staging = self.staging(&name)?;
        let mut files = Vec::new();
        for path in NEEDED_FILES.iter().chain(&FURTHER_FILES).filter(|path| from.join(path).is_file()) {
            let copy = staging.join(path);
            place(&from.join(path), &copy)?;
            let sha256 = sha256_of(&copy).map_err(io_error(&copy))?;
            let bytes = fs::metadata(&copy).map_err(io_error(&copy))?.len();
            files.push(FileRecord { path: (*path).to_owned(), bytes, sha256 });
        }
        // The copy is what will be used; the original may have changed meanwhile.
        let dimensions = try_out(&staging)?;
        self.publish(&staging, Manifest { name, dimensions, origin: Origin::Directory(from), files })
    }

    /// Adds a server, after it has given a vector.
    ///
    /// # Errors
    /// If it gives none, or the name is taken.
    pub fn add_endpoint(
        &self,
        name: ModelName,
        endpoint: Endpoint,
        key: Option<ApiKey>,
    ) -> Result<Manifest, LibraryError> {
        let _lock = self.lock()?;
        self.must_be_free(&name)?;
        let dimensions = discover_dimensions(&endpoint, key)?;
        let staging = self.staging(&name)?;
        self.publish(
            &staging,
            Manifest { name, dimensions, origin: Origin::Endpoint(endpoint), files: Vec::new() },
        )
    }

    /// Removes a model. One that is in use is only removed if `force` is set, and then none is in use any more.
    ///
    /// # Errors
    /// If there is no such model, it is in use, or it cannot be removed.
    pub fn remove(&self, name: &ModelName, force: bool) -> Result<(), LibraryError> {
        let dir = self.dir_of(name);
        if !dir.join(MANIFEST_FILE).exists() {
            return Err(LibraryError::Unknown(name.clone()));
        }
        let _lock = self.lock()?;
        if self.in_use()?.as_ref() == Some(name) {
            if !force {
                return Err(LibraryError::InUse(name.clone()));
            }
            self.note_in_use(None)?;
        }
        // Gone at once; what the system then fails to delete is cleared away by the next pull.
        let trash = self.staging_dir(name);
        if_there(fs::remove_dir_all(&trash)).map_err(io_error(&trash))?;
        rename(&dir, &trash).map_err(io_error(&dir))?;
        fs::remove_dir_all(&trash).map_err(io_error(&trash))
    }

    /// Hashes the files of a model anew; returns those that are not as they must be.
    ///
    /// # Errors
    /// If there is no such model.
    pub fn verify(&self, name: &ModelName) -> Result<Vec<Damage>, LibraryError> {
        let dir = self.dir_of(name);
        let files = self.get(name)?.files;
        let damages = files
            .iter()
            .filter_map(|file| damage(&dir, file).map(|problem| Damage { file: file.path.clone(), problem }));
        Ok(damages.collect())
    }

    /// The directory of a model.
    pub(crate) fn dir_of(&self, name: &ModelName) -> PathBuf {
        self.dir.join(name.as_ref())
    }

    fn must_be_free(&self, name: &ModelName) -> Result<(), LibraryError> {
        if self.dir_of(name).exists() { Err(LibraryError::Taken(name.clone())) } else { Ok(()) }
    }

    /// One process at a time changes the library. The lock ends with the process, however it ends.
    fn lock(&self) -> Result<File, LibraryError> {
        create_private_dir(&self.dir).map_err(io_error(&self.dir))?;
        let path = self.dir.join(LOCK_FILE);
        let file = create_private_file(&path, true).map_err(io_error(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => Err(LibraryError::Busy),
            Err(fs::TryLockError::Error(error)) => Err(io_error(&path)(error)),
        }
    }

    fn staging_dir(&self, name: &ModelName) -> PathBuf {
        self.dir.join(format!(".{name}"))
    }

    fn staging(&self, name: &ModelName) -> Result<PathBuf, LibraryError> {
        let staging = self.staging_dir(name);
        create_private_dir(&staging).map_err(io_error(&staging))?;
        Ok(staging)
    }

    /// Makes what was staged the model of its name.
    fn publish(&self, staging: &Path, manifest: Manifest) -> Result<Manifest, LibraryError> {
        let text = serde_json::to_vec_pretty(&manifest).map_err(|error| io_error(staging)(error.into()))?;
        let dir = self.dir_of(&manifest.name);
        if dir.exists() {
            // Its files are held to the same contents: each that is mended replaces one that was damaged.
            for file in &manifest.files {
                let path = dir.join(&file.path);
                let parent = path.parent().unwrap_or(&dir);
                create_private_dir(parent).map_err(io_error(parent))?;
                rename(&staging.join(&file.path), &path).map_err(io_error(&path))?;
            }
            write_atomically(&dir.join(MANIFEST_FILE), &text).map_err(io_error(&dir))?;
            fs::remove_dir_all(staging).map_err(io_error(staging))?;
        } else {
            write_atomically(&staging.join(MANIFEST_FILE), &text).map_err(io_error(staging))?;
            rename(staging, &dir).map_err(io_error(&dir))?;
        }
        self.remember(&manifest);
        Ok(manifest)
    }

    /// Spares the first start the hashing of the weights.
    fn remember(&self, manifest: &Manifest) {
        for file in manifest.files.iter().filter(|file| file.path == crate::weights::WEIGHTS_FILE) {
            let _ = self.fingerprints().of(&self.dir_of(&manifest.name).join(&file.path));
        }
    }
}

fn pin((path, bytes, sha256): &(&str, u64, &str)) -> FileRecord {
    FileRecord { path: (*path).to_owned(), bytes: *bytes, sha256: (*sha256).to_owned() }
}

/// `owner/name` gives `name`; a bare name must be one that the program knows.
fn name_of_repository(repository: &str) -> Result<ModelName, LibraryError> {
    let known = KNOWN.map(|known| known.name).join(", ");
    let parts = repository.split_once('/').and_then(|(owner, name)| {
        owner.parse::<ModelName>().ok()?;
        name.parse().ok()
    });
    parts.ok_or_else(|| {
        LibraryError::Name(format!(
            "{repository:?} names no model: it can be {known}, or owner/name on the model hub"
        ))
    })
}

/// Brings all files of a model whose contents are not known before.
fn fetch_all(
    source: &mut Hub,
    staging: &Path,
    progress: OnProgress<'_>,
) -> Result<Vec<FileRecord>, LibraryError> {
    let mut files = Vec::new();
    for path in NEEDED_FILES.iter().chain(&FURTHER_FILES) {
        match source.fetch(Wanted { path, pinned: None }, staging, progress)? {
            Some(file) => files.push(file),
            None if FURTHER_FILES.contains(path) => {}
            None => return Err(missing(source, path)),
        }
    }
    Ok(files)
}

fn missing(source: &Hub, path: &str) -> LibraryError {
    LibraryError::Download {
        url: source.url(path),
        problem:
            "there is no such file; a BERT model with config.json, vocab.txt and model.safetensors is needed"
                .into(),
    }
}

/// What is wrong with a file, if anything is.
fn damage(dir: &Path, file: &FileRecord) -> Option<String> {
    let path = dir.join(&file.path);
    match fs::metadata(&path) {
        Ok(found) if found.len() != file.bytes => {
            return Some(format!("it has {} bytes instead of {}", found.len(), file.bytes));
        }
        Ok(_) => {}
        Err(error) => return Some(error.to_string()),
    }
    match sha256_of(&path) {
        Ok(sha256) if sha256 == file.sha256 => None,
        Ok(sha256) => Some(format!("its SHA-256 is {sha256} instead of {}", file.sha256)),
        Err(error) => Some(error.to_string()),
    }
}

/// Opens a model and embeds a sentence; returns the dimensions.
fn try_out(dir: &Path) -> Result<usize, LibraryError> {
    let mut model = LocalModel::open(dir)?;
    let vectors = model.encode(&["A first sentence shows whether it works.".to_owned()]);
    let length: f32 = vectors.iter().flatten().map(|x| x * x).sum();
    if (length - 1.0).abs() > 1e-3 || length.is_nan() {
        return Err(
            ModelError::new(crate::weights::WEIGHTS_FILE, "its numbers give no vectors of length 1").into()
        );
    }
    Ok(model.dimensions())
}

/// Copies a file; the copy is private and on disk when this returns.
fn place(from: &Path, to: &Path) -> Result<(), LibraryError> {
    let parent = to.parent().unwrap_or(to);
    create_private_dir(parent).map_err(io_error(parent))?;
    let mut source = File::open(from).map_err(io_error(from))?;
    let mut copy = create_private_file(to, false).map_err(io_error(to))?;
    // On Linux the kernel copies, sharing the blocks where the file system can.
    io::copy(&mut source, &mut copy).and_then(|_| copy.sync_all()).map_err(io_error(to))
}

/// What is not there need not be removed.
fn if_there(removed: io::Result<()>) -> io::Result<()> {
    removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use testkit::http::{HttpServer, Request, reply, reply_file};

    use super::*;
    use crate::weights::WEIGHTS_FILE;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn name(text: &str) -> ModelName {
        text.parse().unwrap()
    }

    fn library() -> (tempfile::TempDir, Library) {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::new(dir.path().join("data/models"));
        (dir, library)
    }

    fn tiny_model(dir: &Path, seed: u64) -> PathBuf {
        let model = dir.join(format!("tiny{seed}"));
        testkit::model::write(&model, seed);
        model
    }

    /// A hub with the files of a directory as the repository `owner/tiny`.
    fn hub(files: PathBuf, cut: impl Fn(&str) -> Option<usize> + Send + Sync + 'static) -> HttpServer {
        HttpServer::start(move |request: &Request| {
            let path = request.line.strip_prefix("GET /owner/tiny/resolve/").unwrap_or_default();
            let Some((revision, path)) = path.split_once('/') else { return reply(404, &[], b"") };
            match fs::read(files.join(path)) {
                Ok(_) if revision != "main" && revision != COMMIT => reply(404, &[], b""),
                Ok(bytes) if path == "config.json" => {
                    reply(200, &[("X-Repo-Commit", COMMIT.to_owned())], &bytes)
                }
                Ok(bytes) => reply_file(request, &bytes, cut(path)),
                Err(_) => reply(404, &[], b""),
            }
        })
    }

    fn quiet() -> impl FnMut(crate::download::Progress<'_>) {
        |_| {}
    }

    #[test]
    fn a_model_is_pulled_pinned_and_used() {
        let (dir, library) = library();
        let hub = hub(tiny_model(dir.path(), 1), |_| None);
        let mut seen = Vec::new();
        let manifest = library
            .pull("owner/tiny", &hub.url(), &mut |progress| {
                seen.push((progress.file.to_owned(), progress.bytes))
            })
            .unwrap();
        assert_eq!(manifest.dimensions, testkit::model::DIMENSIONS);
        assert_eq!(manifest.files.len(), 3, "files that are optional may be missing");
        let revision = COMMIT.to_owned();
        assert_eq!(manifest.origin, Origin::Hub { repository: "owner/tiny".into(), revision });
        assert!(seen.contains(&(WEIGHTS_FILE.to_owned(), manifest.files[2].bytes)), "{seen:?}");
        assert_eq!(library.list().unwrap(), [manifest]);
        assert_eq!(library.verify(&name("tiny")).unwrap(), []);
        assert_eq!(library.in_use().unwrap(), None);
        library.put_in_use(Some(&name("tiny"))).unwrap();
        assert_eq!(library.in_use().unwrap(), Some(name("tiny")));
        let requests = hub.seen();
        assert!(requests[1..].iter().all(|request| request.line.contains(COMMIT)), "{requests:?}");
    }

    #[test]
    fn a_download_that_is_cut_goes_on_where_it_was_cut() {
        let (dir, library) = library();
        let cuts = AtomicUsize::new(0);
        let hub = hub(tiny_model(dir.path(), 1), move |path| {
            (path == WEIGHTS_FILE && cuts.fetch_add(1, SeqCst) < 2).then_some(10_000)
        });
        let manifest = library.pull("owner/tiny", &hub.url(), &mut quiet()).unwrap();
        let ranges: Vec<String> =
            hub.seen().iter().filter_map(|request| request.header("range").map(str::to_owned)).collect();
        assert_eq!(ranges, ["bytes=10000-", "bytes=20000-"]);
        assert_eq!(library.verify(&manifest.name).unwrap(), []);
    }

    #[test]
    fn nothing_shows_of_a_model_that_is_not_complete() {
        let (dir, library) = library();
        let hub = hub(tiny_model(dir.path(), 1), |path| (path == WEIGHTS_FILE).then_some(100));
        let error = library.pull("owner/tiny", &hub.url(), &mut quiet()).unwrap_err().to_string();
        assert!(error.contains(WEIGHTS_FILE), "{error}");
        assert_eq!(library.list().unwrap(), []);
        assert!(matches!(library.put_in_use(Some(&name("tiny"))), Err(LibraryError::Unknown(_))));
        drop(hub);
        // The next pull, of another process, needs only the rest.
        let hub = self::hub(dir.path().join("tiny1"), |_| None);
        library.pull("owner/tiny", &hub.url(), &mut quiet()).unwrap();
        assert!(hub.seen().iter().any(|request| request.header("range") == Some("bytes=400-")));
    }

    #[test]
    fn another_content_is_refused_until_the_model_is_removed() {
        let (dir, library) = library();
        let first = hub(tiny_model(dir.path(), 1), |_| None);
        library.pull("owner/tiny", &first.url(), &mut quiet()).unwrap();
        let other = hub(tiny_model(dir.path(), 2), |_| None);
        library.pull("owner/tiny", &other.url(), &mut quiet()).unwrap();
        assert!(other.seen().is_empty(), "nothing is missing");
        let weights = library.dir_of(&name("tiny")).join(WEIGHTS_FILE);
        let mut bytes = fs::read(&weights).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&weights, &bytes).unwrap();
        let damages = library.verify(&name("tiny")).unwrap();
        assert_eq!(damages[0].file, WEIGHTS_FILE);
        let refused = library.pull("owner/tiny", &other.url(), &mut quiet());
        assert!(matches!(refused, Err(LibraryError::WrongContents { .. })), "{refused:?}");
        assert_eq!(library.list().unwrap().len(), 1, "what was there stays");
        library.pull("owner/tiny", &first.url(), &mut quiet()).unwrap();
        assert_eq!(library.verify(&name("tiny")).unwrap(), [], "it is mended");
        library.remove(&name("tiny"), false).unwrap();
        library.pull("owner/tiny", &other.url(), &mut quiet()).unwrap();
    }

    #[test]
    fn a_known_model_must_have_the_contents_that_are_known() {
        let (_dir, library) = library();
        let hub = HttpServer::start(|request| {
            assert!(request.line.starts_with("GET /sentence-transformers/all-MiniLM-L6-v2/resolve/"));
            let length = KNOWN[0].files[0].1 as usize;
            reply(200, &[], &vec![b' '; length])
        });
        for model in ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"] {
            let error = library.pull(model, &hub.url(), &mut quiet()).unwrap_err();
            assert!(matches!(error, LibraryError::WrongContents { .. }), "{error}");
        }
        assert_eq!(library.list().unwrap(), []);
    }

    #[test]
    fn what_a_hub_says_instead_of_a_file_is_an_error() {
        let (_dir, library) = library();
        for (status, body) in [(200, &b"<html>"[..]), (200, b""), (404, b""), (401, b"")] {
            let hub = HttpServer::start(move |_| reply(status, &[], body));
            let error = library.pull("owner/tiny", &hub.url(), &mut quiet()).unwrap_err();
            assert!(
                matches!(error, LibraryError::Model(_) | LibraryError::Download { .. }),
                "{status} {error}"
            );
        }
        for bad in ["unknown", "owner/../x", "a/b/c", "/x", "x/", "", "owner/.x", "https://host/x"] {
            assert!(
                matches!(library.pull(bad, "http://[", &mut quiet()), Err(LibraryError::Name(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_directory_is_copied_after_it_has_shown_that_it_works() {
        let (dir, library) = library();
        let from = tiny_model(dir.path(), 1);
        let manifest = library.add(&from, None).unwrap();
        assert_eq!(manifest.name, name("tiny1"));
        assert!(matches!(library.add(&from, None), Err(LibraryError::Taken(_))));
        let named = library.add(&from, Some(name("other"))).unwrap();
        fs::remove_dir_all(&from).unwrap();
        assert_eq!(library.verify(&named.name).unwrap(), [], "it is a copy");
        let broken = tiny_model(dir.path(), 2);
        fs::write(broken.join(WEIGHTS_FILE), "x").unwrap();
        assert!(matches!(library.add(&broken, None), Err(LibraryError::Model(_))));
        assert_eq!(library.list().unwrap().len(), 2);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(library.dir()), 0o700);
            assert_eq!(mode(&library.dir_of(&named.name).join(WEIGHTS_FILE)), 0o600);
        }
    }

    #[test]
    fn the_model_in_use_is_not_removed_by_accident() {
        let (dir, library) = library();
        library.add(&tiny_model(dir.path(), 1), None).unwrap();
        let tiny = name("tiny1");
        library.put_in_use(Some(&tiny)).unwrap();
        assert!(matches!(library.remove(&tiny, false), Err(LibraryError::InUse(_))));
        library.remove(&tiny, true).unwrap();
        assert_eq!((library.in_use().unwrap(), library.list().unwrap().len()), (None, 0));
        assert!(matches!(library.remove(&tiny, true), Err(LibraryError::Unknown(_))));
    }

    #[test]
    fn one_process_at_a_time_changes_it() {
        let (dir, library) = library();
        let held = library.lock().unwrap();
        assert!(matches!(library.add(&tiny_model(dir.path(), 1), None), Err(LibraryError::Busy)));
        drop(held);
        library.add(&tiny_model(dir.path(), 1), None).unwrap();
    }
}
