//! The directory of the extractors: `NAME.js` is one, beside it `NAME.disabled` and `NAME.quarantined` say that it is not to
//! be used. Every process reads all of it from there, so they agree without talking to each other.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::interface::{NAME_RULE, is_name};
use crate::limits::{EXTRACTOR_BYTES_MAX, EXTRACTOR_MARK_BYTES_MAX, EXTRACTORS_MAX, FILE_SETTLED_AFTER};

/// The directory.
#[derive(Clone, Debug)]
pub(crate) struct Directory(PathBuf);

/// A file that is meant to be an extractor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// The name of the file without `.js`.
    pub(super) name: String,
    /// What it holds, or why that is not read.
    pub(super) source: Result<Source, String>,
    pub(super) mark: Option<Mark>,
}

/// What a file holds.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) code: Arc<str>,
    /// In hexadecimal digits.
    pub(super) sha256: String,
    /// Tells a changed file without reading it; `None` where it changed so lately that this is not sure.
    stamp: Option<Stamp>,
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    bytes: u64,
}

/// Why an extractor is not used.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mark {
    Disabled,
    Quarantined(Quarantine),
}

/// Why an extractor is quarantined. It holds for this content of the file alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Quarantine {
    pub(super) sha256: String,
    pub(super) reason: String,
}

impl Directory {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Whether there is anything to look at; mostly there is not.
    pub(super) fn is_there(&self) -> bool {
        self.0.symlink_metadata().is_ok()
    }

    fn file(&self, name: &str, extension: &str) -> PathBuf {
        self.0.join(format!("{name}.{extension}"))
    }

    /// The extractors in the order of their names. What is known and has not changed since is not read again.
    pub(super) fn scan(&self, known: &[Found]) -> io::Result<Vec<Found>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            names.extend(name.strip_suffix(".js").map(str::to_owned));
        }
        names.sort_unstable();
        let found = names.into_iter().enumerate().map(|(place, name)| {
            let known = known.iter().find(|known| known.name == name);
            let source = if place < EXTRACTORS_MAX {
                self.source(&name, known.and_then(|known| known.source.as_ref().ok()))
            } else {
                Err(format!("at most {EXTRACTORS_MAX} are looked at; remove some"))
            };
            let mark = source.is_ok().then(|| self.mark(&name)).flatten();
            Found { name, source, mark }
        });
        Ok(found.collect())
    }

    fn source(&self, name: &str, known: Option<&Source>) -> Result<Source, String> {
        if !is_name(name) {
            return Err(format!("the name of the file is not one of an extractor: {NAME_RULE}"));
        }
        let path = self.file(name, "js");
        let metadata = path.symlink_metadata().map_err(|error| error.to_string())?;
        if metadata.is_symlink() {
            return Err(
                "it is a symbolic link; put the file itself there, as `memory-mcp extractor add` does".into(),
            );
        }
        let modified = metadata.modified().map_err(|error| error.to_string())?;
        let stamp = Stamp { modified, bytes: metadata.len() };
        match known {
            Some(known) if known.stamp == Some(stamp) => return Ok(known.clone()),
            _ => {}
        }
        let is_settled = modified.elapsed().is_ok_and(|age| age > FILE_SETTLED_AFTER);
        let code = read(&path)?;
        let sha256 = sha256(&code);
        Ok(Source { code: code.into(), sha256, stamp: is_settled.then_some(stamp) })
    }

    fn mark(&self, name: &str) -> Option<Mark> {
        if self.file(name, "disabled").symlink_metadata().is_ok() {
            return Some(Mark::Disabled);
        }
        let file = File::open(self.file(name, "quarantined")).ok()?;
        let mut text = String::new();
        file.take(EXTRACTOR_MARK_BYTES_MAX).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok().map(Mark::Quarantined)
    }

    pub(super) fn quarantine(&self, name: &str, quarantine: &Quarantine) -> io::Result<()> {
        let text = serde_json::to_string(quarantine)?;
        self.write(&self.file(name, "quarantined"), &text)
    }

    /// Marks an extractor as one that is not to be used.
    pub(crate) fn disable(&self, name: &str) -> io::Result<()> {
        self.write(
            &self.file(name, "disabled"),
            "not to be used; memory-mcp extractor enable takes this back\n",
        )
    }

    /// Takes every mark off an extractor.
    pub(crate) fn enable(&self, name: &str) -> io::Result<()> {
        for extension in ["disabled", "quarantined"] {
            match fs::remove_file(self.file(name, extension)) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
        Ok(())
    }

    /// Puts an extractor into the directory, in place of one of its name; returns the file.
    pub(crate) fn add(&self, name: &str, code: &str) -> io::Result<PathBuf> {
        let file = self.file(name, "js");
        fs::create_dir_all(&self.0)?;
        self.write(&file, code)?;
        Ok(file)
    }

    /// Writes a file as a whole: nobody sees half of it.
    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }
}

/// The source of an extractor.
///
/// # Errors
/// Why that file can be none.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let metadata = path.metadata().map_err(|error| error.to_string())?;
    // Opening anything else may wait forever.
    if !metadata.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let max = EXTRACTOR_BYTES_MAX as u64;
    file.take(max + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > max {
        return Err(format!("it is {} bytes long; at most {max} are read", metadata.len()));
    }
    String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8: {error}"))
}

pub(super) fn sha256(code: &str) -> String {
    Sha256::digest(code.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(found: &[Found], name: &str) -> String {
        let found = found.iter().find(|found| found.name == name);
        found.and_then(|found| found.source.clone().err()).unwrap_or_else(|| panic!("{name} is fine"))
    }

    #[test]
    fn what_is_no_extractor_is_named_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::new(dir.path().join("extractors"));
        assert_eq!(directory.scan(&[]).unwrap(), [], "there is no such directory");
        directory.add("good", "1").unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("folder.js")).unwrap();
        fs::write(path("latin.js"), b"// \xe9").unwrap();
        fs::write(path("huge.js"), " ".repeat(EXTRACTOR_BYTES_MAX + 1)).unwrap();
        fs::write(path("Upper Case.js"), "1").unwrap();
        fs::write(path("notes.md"), "not one of them").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(path("good.js"), path("link.js")).unwrap();
        let found = directory.scan(&[]).unwrap();
        let good = found.iter().find(|found| found.name == "good").unwrap();
        assert_eq!((&*good.source.as_ref().unwrap().code, &good.mark), ("1", &None));
        assert!(problem(&found, "folder").contains("no regular file"));
        assert!(problem(&found, "latin").contains("not UTF-8"));
        assert!(problem(&found, "huge").contains("262145 bytes long"));
        assert!(problem(&found, "Upper Case").contains("lower-case"));
        #[cfg(unix)]
        assert!(problem(&found, "link").contains("symbolic link"));
        assert_eq!(found.len(), if cfg!(unix) { 6 } else { 5 });
    }

    #[test]
    fn no_more_than_there_is_room_for_are_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::new(dir.path().to_owned());
        for number in 0..=EXTRACTORS_MAX {
            directory.add(&format!("e{number:02}"), "1").unwrap();
        }
        let found = directory.scan(&[]).unwrap();
        assert_eq!(found.iter().filter(|found| found.source.is_ok()).count(), EXTRACTORS_MAX);
        assert!(problem(&found, "e16").contains("at most 16"));
    }

    #[test]
    fn marks_are_seen_and_taken_off() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::new(dir.path().to_owned());
        directory.add("a", "1").unwrap();
        let mark = |known: &[Found]| directory.scan(known).unwrap()[0].mark.clone();
        let quarantine = Quarantine { sha256: sha256("1"), reason: "it \"failed\"".into() };
        directory.quarantine("a", &quarantine).unwrap();
        assert_eq!(mark(&[]), Some(Mark::Quarantined(quarantine)));
        directory.disable("a").unwrap();
        assert_eq!(mark(&[]), Some(Mark::Disabled));
        directory.enable("a").unwrap();
        assert_eq!(mark(&[]), None);
    }

    #[test]
    fn a_change_is_seen_even_within_one_tick_of_the_clock() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::new(dir.path().to_owned());
        let mut known = Vec::new();
        for code in ["1", "2", "3"] {
            directory.add("a", code).unwrap();
            known = directory.scan(&known).unwrap();
            assert_eq!(&*known[0].source.as_ref().unwrap().code, code);
        }
    }
}
