//! How episodes relate to each other.

use async_trait::async_trait;
use libsql::params;
use memory_core::id::EpisodeId;
use memory_core::limits::EPISODE_LINKS_MAX;
use memory_core::link::Link as EpisodeLink;
use memory_core::port::{LinkStore, StoreError};
use memory_core::retrieve::Found;

use crate::allowed::{Allowed, is_allowed};
use crate::episodes::state;
use crate::link::Link;
use crate::row::{Columns, conversion, signed};
use crate::{TursoStore, changes};

#[async_trait]
impl LinkStore for TursoStore {
    async fn link(&self, new: EpisodeLink) -> Result<(), StoreError> {
        let allowed = self.allowed.clone();
        self.pool.write(move |link| put(link, &allowed, new)).await
    }

    async fn unlink(&self, old: EpisodeLink) -> Result<(), StoreError> {
        let allowed = self.allowed.clone();
        self.pool.write(move |link| remove(link, &allowed, old)).await
    }

    async fn links(&self, id: EpisodeId) -> Result<Vec<EpisodeLink>, StoreError> {
        let allowed = self.allowed.clone();
        self.pool.read(move |link| links(link, &allowed, id)).await
    }
}

fn put(link: &Link, allowed: &Allowed, new: EpisodeLink) -> Result<(), StoreError> {
    let EpisodeLink { from, to, relation } = new;
    let (source, target) = (state(link, allowed, from)?.key, state(link, allowed, to)?.key);
    let sql = "SELECT count(*) FROM link WHERE source = ?1 AND target = ?2 AND relation = ?3";
    if link.number(sql, params![source, target, relation.name()])? > 0 {
        return Ok(());
    }
    for end in [from, to] {
        // Of those alone that the caller may see, so that it is not told of others.
        if links(link, allowed, end)?.len() >= EPISODE_LINKS_MAX {
            return Err(StoreError::TooManyLinks(end));
        }
    }
    let sql = "INSERT INTO link (source, target, relation) VALUES (?1, ?2, ?3)";
    link.execute(sql, params![source, target, relation.name()])?;
    changed(link, new)
}

fn remove(link: &Link, allowed: &Allowed, old: EpisodeLink) -> Result<(), StoreError> {
    let EpisodeLink { from, to, relation } = old;
    let (source, target) = (state(link, allowed, from)?.key, state(link, allowed, to)?.key);
    let sql = "DELETE FROM link WHERE source = ?1 AND target = ?2 AND relation = ?3";
    match link.execute(sql, params![source, target, relation.name()])? {
        0 => Ok(()),
        _ => changed(link, old),
    }
}

/// What is told of both ends is another thing now.
fn changed(link: &Link, of: EpisodeLink) -> Result<(), StoreError> {
    [of.from, of.to].into_iter().try_for_each(|end| changes::record(link, Found::Episode(end)))
}

fn links(link: &Link, allowed: &Allowed, id: EpisodeId) -> Result<Vec<EpisodeLink>, StoreError> {
    // Each half follows an index; both ends must be such as may be seen.
    let sql = concat!(
        "WITH own AS (SELECT key FROM episode WHERE id = ?1 AND ",
        is_allowed!("domain", "?2"),
        "), found AS (
             SELECT l.key, l.source, l.target, l.relation FROM own JOIN link l ON l.source = own.key
             UNION ALL
             SELECT l.key, l.source, l.target, l.relation FROM own JOIN link l ON l.target = own.key)
         SELECT s.id, t.id, f.relation FROM found f
             JOIN episode s ON s.key = f.source JOIN episode t ON t.key = f.target
         WHERE ",
        is_allowed!("s.domain", "?2"),
        " AND ",
        is_allowed!("t.domain", "?2"),
        " ORDER BY f.key DESC LIMIT ?3"
    );
    let given = params![id.to_string(), allowed.domains(), signed(EPISODE_LINKS_MAX as u64)];
    link.rows(sql, given, |row| {
        let mut columns = Columns::of(row);
        let (from, to) = (EpisodeId(columns.uuid()?), EpisodeId(columns.uuid()?));
        let name = columns.text()?;
        let relation = name.parse().map_err(|()| conversion(format!("unknown relation {name}")))?;
        Ok(EpisodeLink { from, to, relation })
    })
}
