//! Reading what is measured with: JSON lines and JSON documents.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Every line of a file.
pub(crate) fn lines<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let text = read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("{}, line {}", path.display(), number + 1))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(parse).collect()
}

/// A file that is one JSON document.
pub(crate) fn document<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// JSON as text: a string as it is, nothing as no text, anything else as JSON.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The files of JSON lines in a folder, in the order of their names.
pub(crate) fn files(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("failed to read {}", dir.display()))?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    Ok(files)
}

/// The items by their key, both in the order in which they first come.
pub(crate) fn grouped<T>(items: Vec<T>, key: impl Fn(&T) -> &str) -> Vec<(String, Vec<T>)> {
    let mut groups: Vec<(String, Vec<T>)> = Vec::new();
    for item in items {
        match groups.iter_mut().find(|(name, _)| name == key(&item)) {
            Some((_, group)) => group.push(item),
            None => groups.push((key(&item).to_owned(), vec![item])),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("numbers.jsonl");
        std::fs::write(&path, "1\n\n2\n").unwrap();
        assert_eq!(lines::<u32>(&path).unwrap(), [1, 2]);
        std::fs::write(&path, "1\ntwo\n").unwrap();
        assert!(lines::<u32>(&path).unwrap_err().to_string().ends_with("numbers.jsonl, line 2"));
    }

    #[test]
    fn groups_and_their_members_keep_their_order() {
        let groups = grouped(vec!["b1", "a1", "b2"], |item| &item[..1]);
        assert_eq!(groups, [("b".to_owned(), vec!["b1", "b2"]), ("a".to_owned(), vec!["a1"])]);
    }

    #[test]
    fn only_files_of_lines_are_taken_in_the_order_of_their_names() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.jsonl", "a.jsonl", "README.md"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(files(dir.path()).unwrap(), [dir.path().join("a.jsonl"), dir.path().join("b.jsonl")]);
    }
}
