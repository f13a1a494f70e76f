//! What notes and episodes cite of a work tree.

use async_trait::async_trait;
use libsql::params;
use memory_core::citation::{Citation, Citations, Fingerprint};
use memory_core::port::{CitationStore, StoreError};
use memory_core::retrieve::Found;

use crate::TursoStore;
use crate::link::{Link, Read};
use crate::row::{Columns, conversion, json, kind_and_id};

/// The join is crossed, so that each name is looked up and nothing else is read.
const LOOK_UP: &str = "SELECT c.kind, c.id, c.path, c.state FROM json_each(?1) name CROSS JOIN citation c
    ON c.kind = json_extract(name.value, '$[0]') AND c.id = json_extract(name.value, '$[1]') AND c.root = ?2
    ORDER BY name.key, c.path";

#[async_trait]
impl CitationStore for TursoStore {
    async fn citations(
        &self,
        found: Vec<Found>,
        root: Fingerprint,
    ) -> Result<Vec<(Found, Vec<Citation>)>, StoreError> {
        let allowed = self.allowed.clone();
        self.pool.read(move |link| citations(link, &allowed.visible(link, found)?, root)).await
    }
}

/// Keeps what something cites, in place of what it cited of that work tree before.
pub(crate) fn replace(link: &Link, found: Found, new: Option<&Citations>) -> Result<(), StoreError> {
    let Some(Citations { root, cited }) = new else { return Ok(()) };
    let (kind, id) = kind_and_id(found);
    link.execute(
        "DELETE FROM citation WHERE kind = ?1 AND id = ?2 AND root = ?3",
        params![kind.name(), id.as_str(), root.0.to_vec()],
    )?;
    for citation in cited {
        let (path, state) = match citation {
            Citation::Commit { id } => ("", id.as_bytes()),
            Citation::File { path, content } => (path.as_str(), &content.0[..]),
        };
        link.execute(
            "INSERT INTO citation (kind, id, root, path, state) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![kind.name(), id.as_str(), root.0.to_vec(), path, state.to_vec()],
        )?;
    }
    Ok(())
}

fn citations(
    link: &Link,
    found: &[Found],
    root: Fingerprint,
) -> Result<Vec<(Found, Vec<Citation>)>, StoreError> {
    let names: Vec<(&str, String)> = found
        .iter()
        .map(|found| {
            let (kind, id) = kind_and_id(*found);
            (kind.name(), id)
        })
        .collect();
    let rows = link.rows(LOOK_UP, params![json(&names), root.0.to_vec()], |row| {
        let mut columns = Columns::of(row);
        Ok((columns.found()?, citation(&mut columns)?))
    })?;
    let mut all: Vec<(Found, Vec<Citation>)> = Vec::new();
    for (found, citation) in rows {
        match all.last_mut() {
            Some((last, cited)) if *last == found => cited.push(citation),
            _ => all.push((found, vec![citation])),
        }
    }
    Ok(all)
}

fn citation(columns: &mut Columns<'_>) -> Read<Citation> {
    let path = columns.text()?;
    let state = columns.blob()?;
    if path.is_empty() {
        let id = String::from_utf8(state).map_err(|error| conversion(error.to_string()))?;
        return Ok(Citation::Commit { id });
    }
    let content = state.try_into().map_err(|_| conversion("a fingerprint of another length".into()))?;
    Ok(Citation::File { path, content: Fingerprint(content) })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const ROOT: Fingerprint = Fingerprint([7; 32]);

    fn link(path: &Path) -> Link {
        Link::open(&path.to_string_lossy(), true).unwrap()
    }

    #[tokio::test]
    async fn what_a_thing_cites_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("memory.db");
        TursoStore::open(&path).await.unwrap().close().await;
        let link = link(&path);
        let id = "00000000-0000-7000-8000-00000000000a".parse().unwrap();
        let (note, episode) =
            (Found::Note(memory_core::id::NoteId(id)), Found::Episode(memory_core::id::EpisodeId(id)));
        let insertions = format!(
            "INSERT INTO note (id, text, layer, tags, at) VALUES ('{id}', 'a note', 'long_term', '[]', 1);
             INSERT INTO episode (id, task, tags, context, started_at, revision, step_count)
             VALUES ('{id}', 'a task', '[]', '{{}}', 1, 1, 0)"
        );
        link.batch(&insertions).unwrap();
        let cited = vec![Citation::File { path: "a.rs".into(), content: Fingerprint([1; 32]) }];
        let new = Citations { root: ROOT, cited };
        for found in [note, episode] {
            replace(&link, found, Some(&new)).unwrap();
        }
        let left = |link: &Link| {
            let cited = citations(link, &[note, episode], ROOT).unwrap();
            cited.into_iter().map(|(found, _)| found).collect::<Vec<_>>()
        };
        assert_eq!(left(&link), [note, episode]);
        link.batch("DELETE FROM note").unwrap();
        assert_eq!(left(&link), [episode]);
        link.batch("DELETE FROM episode").unwrap();
        assert_eq!(left(&link), []);
    }

    #[tokio::test]
    async fn citations_are_looked_up_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("memory.db");
        TursoStore::open(&path).await.unwrap().close().await;
        let sql: &'static str = format!("EXPLAIN QUERY PLAN {LOOK_UP}").leak();
        let plan = link(&path).rows(sql, ("[]", "root"), |row| row.get::<String>(3)).unwrap().join("; ");
        assert!(plan.contains("SEARCH c USING PRIMARY KEY (kind=? AND id=? AND root=?)"), "{plan}");
    }
}
