//! Which model this process is to use, as the files say at the moment.

use std::path::PathBuf;
use std::sync::Arc;

use memory_core::port::Embedder;

use crate::active::Active;
use crate::config::CONFIG_FILE;
use crate::endpoint::ApiKey;
use crate::fingerprint::Stamp;
use crate::library::Library;
use crate::manifest::Origin;
use crate::weights::WEIGHTS_FILE;

/// Gives the key of an embedding server by the name of the variable that holds it.
pub type KeySource = Arc<dyn Fn(&str) -> Option<ApiKey> + Send + Sync>;

/// A model as it was found. Another one, or one that became another, is not equal to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    active: Active,
    /// The files of a directory that a user named: nothing says what they must be, so they may change.
    files: [Option<Stamp>; 2],
}

impl Choice {
    pub(crate) fn new(active: Active) -> Self {
        let files = match &active {
            Active::Listed { .. } => [None, None],
            Active::Directory { dir, .. } => {
                [CONFIG_FILE, WEIGHTS_FILE].map(|name| Stamp::of(&dir.join(name)))
            }
        };
        Self { active, files }
    }

    pub(crate) fn name(&self) -> String {
        self.active.name()
    }

    /// Whether it is computed by a server.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(&self.active, Active::Listed { manifest, .. } if matches!(manifest.origin, Origin::Endpoint(_)))
    }
}

/// Where models come from. Every method may read files and hash them.
pub(crate) trait Models: Send + Sync {
    /// The model to use, if any; or why that cannot be told.
    fn chosen(&self) -> Result<Option<Choice>, String>;
    /// The model behind the port; or why not even its space can be told.
    fn open(&self, choice: &Choice) -> Result<Arc<dyn Embedder>, String>;
    /// All models that may have made the vectors that there are.
    fn all(&self) -> Vec<Choice>;
}

/// The models of a library, or those in a directory that a user named.
pub(crate) struct Shelf {
    pub(crate) library: Library,
    pub(crate) model_dir: Option<PathBuf>,
    pub(crate) key: KeySource,
}

impl Models for Shelf {
    fn chosen(&self) -> Result<Option<Choice>, String> {
        let active = Active::find(&self.library, self.model_dir.as_deref());
        active.map(|active| active.map(Choice::new)).map_err(|error| error.to_string())
    }

    fn open(&self, choice: &Choice) -> Result<Arc<dyn Embedder>, String> {
        choice.active.open(|name| (self.key)(name)).map_err(|error| error.to_string())
    }

    fn all(&self) -> Vec<Choice> {
        let elsewhere = self.model_dir.clone().map(Library::new);
        let mut all = Vec::new();
        for library in std::iter::once(self.library.clone()).chain(elsewhere) {
            // A library that cannot be read is told of by whoever uses a model of it.
            for manifest in library.list().unwrap_or_default() {
                all.push(Choice::new(Active::Listed { manifest, library: library.clone() }));
            }
        }
        all
    }
}
