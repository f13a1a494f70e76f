//! What is in a file, as its SHA-256; remembered, because hashing the weights of a model takes longer than opening it.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::limits::FINGERPRINTS_MAX;
use crate::store_file::write_atomically;

/// The SHA-256 of a file, as 64 hexadecimal digits.
///
/// # Errors
/// If the file cannot be read to its end.
pub(crate) fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How a file looks from outside: when it differs, the contents may differ too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    bytes: u64,
    modified_nanos: u128,
}

impl Stamp {
    /// The stamp of a file; `None` if there is none.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(Self::new)
    }

    fn new(file: Metadata) -> Self {
        let modified = file.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self { bytes: file.len(), modified_nanos: modified.unwrap_or_default().as_nanos() }
    }
}

/// Fingerprints of files, remembered in a file beside the models. It may be deleted at any time.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprints {
    file: PathBuf,
}

#[derive(Clone, Serialize, Deserialize)]
struct Known {
    stamp: Stamp,
    sha256: String,
}

impl Fingerprints {
    pub(crate) fn in_dir(models: &Path) -> Self {
        Self { file: models.join("fingerprints.json") }
    }

    /// The SHA-256 of a file; hashed only if the file does not look as it did when it was last hashed.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn of(&self, path: &Path) -> io::Result<String> {
        let path = path.canonicalize()?;
        let key = path.to_string_lossy().into_owned();
        let stamp = Stamp::new(fs::metadata(&path)?);
        let known: Option<BTreeMap<String, Known>> =
            fs::read(&self.file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut known = known.unwrap_or_default();
        if let Some(known) = known.get(&key).filter(|known| known.stamp == stamp) {
            return Ok(known.sha256.clone());
        }
        let sha256 = sha256_of(&path)?;
        if known.len() >= FINGERPRINTS_MAX {
            known.clear();
        }
        known.insert(key, Known { stamp, sha256: sha256.clone() });
        // Only the time to hash it again is lost.
        let written = serde_json::to_vec(&known).map_err(io::Error::from);
        if let Err(error) = written.and_then(|bytes| write_atomically(&self.file, &bytes)) {
            tracing::debug!(%error, "failed to remember a fingerprint");
        }
        Ok(sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_follows_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("weights");
        fs::write(&file, "abc").unwrap();
        let prints = Fingerprints::in_dir(&dir.path().join("models"));
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(prints.of(&file).unwrap(), abc);
        assert_eq!(prints.of(&file).unwrap(), abc);
        fs::write(&file, "abcd").unwrap();
        assert_eq!(prints.of(&file).unwrap(), sha256_of(&file).unwrap());
        assert_ne!(prints.of(&file).unwrap(), abc);
        fs::write(&prints.file, "garbage").unwrap();
        assert_eq!(
            prints.of(&file).unwrap(),
            sha256_of(&file).unwrap(),
            "what was remembered may be damaged"
        );
        fs::remove_file(&file).unwrap();
        assert!(prints.of(&file).is_err());
    }

    #[test]
    fn what_is_remembered_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("weights");
        fs::write(&file, "abc").unwrap();
        let prints = Fingerprints::in_dir(dir.path());
        let first = prints.of(&file).unwrap();
        let planted = fs::read_to_string(&prints.file).unwrap().replace(&first, "planted");
        fs::write(&prints.file, planted).unwrap();
        assert_eq!(prints.of(&file).unwrap(), "planted");
    }
}
