//! How the servers that are measured are started.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::release_binary;

/// How servers are started.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) binary: PathBuf,
    /// The directory of the model; words only without.
    pub(crate) model: Option<PathBuf>,
}

impl Launch {
    /// The server that was named, or the release binary.
    pub(crate) fn new(server: Option<&Path>, model: Option<&Path>) -> anyhow::Result<Self> {
        let binary = server.map_or_else(release_binary, |server| Ok(server.to_owned()))?;
        Ok(Self { binary, model: model.map(Path::to_owned) })
    }

    pub(crate) fn command(&self, data: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        command.env("MEMORY_MCP_DATA_DIR", data).env_remove("MEMORY_MCP_MODEL_DIR");
        if let Some(model) = &self.model {
            command.env("MEMORY_MCP_MODEL_DIR", model);
        }
        command
    }
}
