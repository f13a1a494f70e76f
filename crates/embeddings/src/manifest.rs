//! What is known of one model of the library.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;
use crate::limits::NAME_BYTES_MAX;

/// The name of a model of the library, which is the name of its directory: letters, digits, `-`, `_` and `.`, the
/// first of which is a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName(String);

impl FromStr for ModelName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if !plain || !begins || name.len() > NAME_BYTES_MAX || name.eq_ignore_ascii_case("none") {
            return Err(format!(
                "{name:?} cannot name a model: up to {NAME_BYTES_MAX} letters, digits, - _ and . can, beginning with a \
                 letter or digit, and not \"none\""
            ));
        }
        Ok(Self(name.to_owned()))
    }
}

impl TryFrom<String> for ModelName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl From<ModelName> for String {
    fn from(ModelName(name): ModelName) -> Self {
        name
    }
}

impl AsRef<str> for ModelName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is known of one model of the library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its name.
    pub name: ModelName,
    /// Numbers in a vector.
    pub dimensions: usize,
    /// Where it comes from.
    pub origin: Origin,
    /// Its files; an endpoint has none.
    pub files: Vec<FileRecord>,
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The model hub.
    Hub {
        /// Owner and name there.
        repository: String,
        /// The commit, or the branch where the hub did not tell its commit.
        revision: String,
    },
    /// A directory that it was copied from.
    Directory(PathBuf),
    /// A server.
    Endpoint(Endpoint),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub { repository, .. } => f.write_str(repository),
            Self::Directory(dir) => write!(f, "copied from {}", dir.display()),
            Self::Endpoint(endpoint) => write!(f, "{} at {}", endpoint.model, endpoint.url),
        }
    }
}

/// A file of a model as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its path within the model's directory, with `/`.
    pub path: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its SHA-256, as 64 hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// Length of all its files, in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leaves_the_library() {
        for good in ["all-MiniLM-L6-v2", "a", "e5_small.v2"] {
            assert!(good.parse::<ModelName>().is_ok(), "{good}");
        }
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        for bad in
            ["", ".", "..", "../a", "a/b", "a\\b", ".hidden", "-x", "ä", "a b", "none", "a\0", "C:", &long]
        {
            assert!(bad.parse::<ModelName>().is_err(), "{bad:?}");
        }
        assert!(serde_json::from_str::<ModelName>("\"../a\"").is_err());
    }
}
