//! Which model is in use, and how it is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use memory_core::port::{Embedder, Space};

use crate::config::{CONFIG_FILE, Sizes};
use crate::endpoint::{ApiKey, Endpoint, EndpointEmbedder};
use crate::fingerprint::Fingerprints;
use crate::library::{Library, LibraryError, io_error};
use crate::local::{Files, LocalEmbedder};
use crate::manifest::{Manifest, Origin};
use crate::weights::WEIGHTS_FILE;

/// The model that is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Active {
    /// One of a library.
    Listed {
        /// What is known of it.
        manifest: Manifest,
        /// The library.
        library: Library,
    },
    /// A directory that a user named.
    Directory {
        /// The directory.
        dir: PathBuf,
        /// The library that remembers what is in it.
        library: Library,
    },
}

impl Active {
    /// The model in use: the one in `model_dir` if that is named and has a model's `config.json`; else the one in use
    /// in the library there, or the only one there; without `model_dir` the one in use in `library`.
    ///
    /// # Errors
    /// If the directory that was named holds no model or several of which none is in use, or something cannot be read.
    pub fn find(library: &Library, model_dir: Option<&Path>) -> Result<Option<Self>, LibraryError> {
        let Some(dir) = model_dir else { return listed(library, false) };
        if dir.join(CONFIG_FILE).exists() {
            return Ok(Some(Self::Directory { dir: dir.to_owned(), library: library.clone() }));
        }
        let there = Library::new(dir.to_owned());
        listed(&there, true)?.map(Some).ok_or_else(|| {
            LibraryError::Name(format!(
                "{} holds neither a model nor a library with one in use",
                dir.display()
            ))
        })
    }

    /// The model behind the port. Nothing is loaded and no connection is made until it is first used; what is wrong
    /// with it then shows in the errors of [`Embedder::embed`]. `key` is the key of an endpoint.
    ///
    /// # Errors
    /// If not even its vector space can be told.
    pub fn open(&self, key: impl FnOnce(&str) -> Option<ApiKey>) -> Result<Arc<dyn Embedder>, LibraryError> {
        match self {
            Self::Directory { dir, library } => open_directory(dir, library.fingerprints()),
            Self::Listed { manifest, library } => match &manifest.origin {
                Origin::Endpoint(endpoint) => {
                    let key = endpoint.key_env.as_deref().and_then(key);
                    Ok(Arc::new(open_endpoint(manifest, endpoint, key)))
                }
                Origin::Hub { .. } | Origin::Directory(_) => open_listed(manifest, library),
            },
        }
    }

    /// What it is called.
    pub fn name(&self) -> String {
        match self {
            Self::Listed { manifest, .. } => manifest.name.to_string(),
            Self::Directory { dir, .. } => directory_name(dir),
        }
    }
}

fn listed(library: &Library, only_one: bool) -> Result<Option<Active>, LibraryError> {
    let manifest = match library.in_use()? {
        Some(name) => Some(library.get(&name)?),
        None if only_one => <[Manifest; 1]>::try_from(library.list()?).ok().map(|[manifest]| manifest),
        None => None,
    };
    Ok(manifest.map(|manifest| Active::Listed { manifest, library: library.clone() }))
}

fn open_endpoint(manifest: &Manifest, endpoint: &Endpoint, key: Option<ApiKey>) -> EndpointEmbedder {
    EndpointEmbedder::new(manifest.name.as_ref(), endpoint.clone(), manifest.dimensions, key)
}

fn open_listed(manifest: &Manifest, library: &Library) -> Result<Arc<dyn Embedder>, LibraryError> {
    let dir = library.dir_of(&manifest.name);
    let weights = manifest.files.iter().find(|file| file.path == WEIGHTS_FILE);
    let damaged =
        || LibraryError::Damaged { path: dir.clone(), problem: "its manifest names no weights".into() };
    let sha256 = weights.ok_or_else(damaged)?.sha256.clone();
    Ok(open_local(dir, manifest.name.as_ref(), sha256, manifest.dimensions, library.fingerprints()))
}

fn open_directory(dir: &Path, fingerprints: Fingerprints) -> Result<Arc<dyn Embedder>, LibraryError> {
    let dimensions = Sizes::read(dir)?.hidden;
    let weights = dir.join(WEIGHTS_FILE);
    let sha256 = fingerprints.of(&weights).map_err(io_error(&weights))?;
    Ok(open_local(dir.to_owned(), &directory_name(dir), sha256, dimensions, fingerprints))
}

fn open_local(
    dir: PathBuf,
    name: &str,
    weights_sha256: String,
    dimensions: usize,
    fingerprints: Fingerprints,
) -> Arc<dyn Embedder> {
    // A manifest may have been edited.
    let version: String = weights_sha256.chars().take(8).collect();
    let space = Space { name: format!("{name}@{version}"), dimensions };
    Arc::new(LocalEmbedder::new(Files { dir, weights_sha256, fingerprints }, space))
}

fn directory_name(dir: &Path) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    dir.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use memory_core::port::{EmbedError, Purpose};

    use super::*;
    use crate::manifest::ModelName;

    struct Bench {
        dir: tempfile::TempDir,
        library: Library,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let library = Library::new(dir.path().join("models"));
            Self { dir, library }
        }

        fn model(&self, name: &str, seed: u64) -> PathBuf {
            let dir = self.dir.path().join(name);
            testkit::model::write(&dir, seed);
            dir
        }

        fn open(&self, model_dir: Option<&Path>) -> Option<Arc<dyn Embedder>> {
            let active = Active::find(&self.library, model_dir).unwrap();
            active.map(|active| active.open(|_| None).unwrap())
        }
    }

    async fn embed(embedder: &dyn Embedder, text: &str) -> Result<Vec<Vec<f32>>, EmbedError> {
        embedder.embed(vec![text.to_owned()], Purpose::Query).await
    }

    #[tokio::test]
    async fn what_is_in_use_is_opened() {
        let bench = Bench::new();
        assert!(bench.open(None).is_none());
        let tiny: ModelName = "tiny".parse().unwrap();
        bench.library.add(&bench.model("tiny", 1), None).unwrap();
        assert!(bench.open(None).is_none(), "what was not chosen is not used");
        bench.library.put_in_use(Some(&tiny)).unwrap();
        let embedder = bench.open(None).unwrap();
        assert!(
            embedder.space().name.starts_with("tiny@") && embedder.space().name.len() == "tiny@".len() + 8
        );
        let vectors = embed(embedder.as_ref(), "a text").await.unwrap();
        assert_eq!(vectors[0].len(), embedder.space().dimensions);
    }

    #[test]
    fn a_directory_that_is_named_comes_first() {
        let bench = Bench::new();
        bench.library.add(&bench.model("tiny", 1), None).unwrap();
        bench.library.put_in_use(Some(&"tiny".parse().unwrap())).unwrap();
        let chosen = bench.open(None).unwrap();
        let same = bench.open(Some(&bench.dir.path().join("tiny"))).unwrap();
        assert_eq!(same.space(), chosen.space(), "the same weights are the same space");
        let other = bench.open(Some(&bench.model("other", 2))).unwrap();
        assert!(other.space().name.starts_with("other@"));
        // A library elsewhere: the only model there, or the one in use.
        let elsewhere = Library::new(bench.dir.path().join("elsewhere"));
        assert!(Active::find(&bench.library, Some(elsewhere.dir())).is_err());
        elsewhere.add(&bench.model("third", 3), None).unwrap();
        assert!(bench.open(Some(elsewhere.dir())).unwrap().space().name.starts_with("third@"));
        elsewhere.add(&bench.model("fourth", 4), None).unwrap();
        assert!(Active::find(&bench.library, Some(elsewhere.dir())).is_err(), "which of the two?");
        elsewhere.put_in_use(Some(&"fourth".parse().unwrap())).unwrap();
        assert!(bench.open(Some(elsewhere.dir())).unwrap().space().name.starts_with("fourth@"));
    }

    #[tokio::test]
    async fn a_model_that_is_damaged_says_so_and_works_again_when_it_is_mended() {
        let bench = Bench::new();
        bench.library.add(&bench.model("tiny", 1), None).unwrap();
        bench.library.put_in_use(Some(&"tiny".parse().unwrap())).unwrap();
        let weights = bench.library.dir().join("tiny").join(WEIGHTS_FILE);
        let good = std::fs::read(&weights).unwrap();
        let embedder = bench.open(None).unwrap();
        let vectors = embed(embedder.as_ref(), "a text").await.unwrap();
        for bad in [&good[..good.len() / 2], b"", &good[8..]] {
            // Put in its place, as whoever mends or damages a file that is in use should.
            let new = weights.with_extension("new");
            std::fs::write(&new, bad).unwrap();
            std::fs::rename(&new, &weights).unwrap();
            let error = embed(embedder.as_ref(), "a text").await.unwrap_err();
            assert!(matches!(&error, EmbedError::Unusable(said) if said.contains(WEIGHTS_FILE)), "{error}");
            assert_eq!(
                embed(embedder.as_ref(), "a text").await.unwrap_err(),
                error,
                "it is not hashed again"
            );
            assert!(bench.open(None).is_some(), "a new start comes up all the same");
            std::fs::write(&new, &good).unwrap();
            std::fs::rename(&new, &weights).unwrap();
            assert_eq!(embed(embedder.as_ref(), "a text").await.unwrap(), vectors);
        }
        // The weights of another model would give vectors of another space.
        testkit::model::write(&bench.library.dir().join("tiny"), 2);
        assert!(matches!(embed(embedder.as_ref(), "a text").await, Err(EmbedError::Unusable(_))));
    }
}
