//! Where the settings come from: the command line, then the environment, then defaults.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// What the program needs to know before it can start.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The directory that holds everything stored.
    pub(crate) data_dir: PathBuf,
    /// A model, or a directory of models, that comes before what is chosen in the data directory.
    pub(crate) model_dir: Option<PathBuf>,
    /// Expected success rate from which on a pattern is called one of high success.
    pub(crate) high_success: f64,
}

impl Settings {
    /// The settings, with the platform's data directory where none is given.
    ///
    /// # Errors
    /// If no directory is given and the platform names none, as when there is no home directory.
    pub(crate) fn new(
        data_dir: Option<PathBuf>,
        model_dir: Option<PathBuf>,
        high_success: f64,
    ) -> anyhow::Result<Self> {
        // An empty variable is one that was not set: clients pass on what their configuration leaves blank.
        let named = |dir: &PathBuf| !dir.as_os_str().is_empty();
        let data_dir = match data_dir.filter(named) {
            Some(dir) => dir,
            None => directories::ProjectDirs::from("", "", "memory-mcp")
                .map(|dirs| dirs.data_dir().to_owned())
                .context("failed to find a home directory; name a data directory with --data-dir or MEMORY_MCP_DATA_DIR")?,
        };
        Ok(Self { data_dir, model_dir: model_dir.filter(named), high_success })
    }

    /// The database file.
    pub(crate) fn database(&self) -> PathBuf {
        self.data_dir.join("memory.db")
    }

    /// The cache file, which may be deleted at any time.
    pub(crate) fn cache(&self) -> PathBuf {
        self.data_dir.join("cache.redb")
    }

    /// The directory of the search index, which may be deleted at any time.
    pub(crate) fn index(&self) -> PathBuf {
        self.data_dir.join("index")
    }

    /// The directory of the models.
    pub(crate) fn models(&self) -> PathBuf {
        self.data_dir.join("models")
    }

    /// The directory of the extractors that the user adds.
    pub(crate) fn extractors(&self) -> PathBuf {
        self.data_dir.join("extractors")
    }

    /// Creates the data directory, for its owner's eyes only.
    ///
    /// # Errors
    /// If it cannot be created, or is no directory.
    pub(crate) fn create_data_dir(&self) -> anyhow::Result<()> {
        let shown = self.data_dir.display();
        let another = "choose another with --data-dir or MEMORY_MCP_DATA_DIR";
        // libsql takes nothing else.
        anyhow::ensure!(
            self.data_dir.to_str().is_some(),
            "the data directory {shown} is not UTF-8; {another}"
        );
        create_private(&self.data_dir)
            .with_context(|| format!("failed to create the data directory {shown}; {another}"))
    }
}

fn create_private(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}
