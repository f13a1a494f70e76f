//! The things behind the hits of a search.

use std::collections::HashMap;

use async_trait::async_trait;
use memory_core::id::EpisodeId;
use memory_core::port::{ItemStore, StoreError};
use memory_core::retrieve::{Found, Item, Kind};

use crate::TursoStore;
use crate::allowed::{Allowed, is_allowed};
use crate::episodes::{heads, snapshot};
use crate::link::Link;
use crate::row::{Columns, ids_of, note, note_columns, pattern, pattern_columns};

#[async_trait]
impl ItemStore for TursoStore {
    async fn items(&self, found: Vec<Found>) -> Result<Vec<Item>, StoreError> {
        let allowed = self.allowed.clone();
        self.pool.read(move |link| snapshot(link, |link| items(link, &allowed, &found))).await
    }
}

fn items(link: &Link, allowed: &Allowed, found: &[Found]) -> Result<Vec<Item>, StoreError> {
    let episodes: Vec<EpisodeId> = found
        .iter()
        .filter_map(|found| match found {
            Found::Episode(id) => Some(*id),
            Found::Pattern(_) | Found::Note(_) => None,
        })
        .collect();
    let mut all: Vec<Item> =
        heads(link, allowed, &episodes)?.into_iter().map(|head| Item::Episode(Box::new(head))).collect();
    let sql = concat!(
        "SELECT ",
        note_columns!(),
        " FROM note WHERE id IN (SELECT value FROM json_each(?1)) AND ",
        is_allowed!("domain", "?2")
    );
    let params = (ids_of(Kind::Note, found), allowed.domains());
    let notes = link.rows(sql, params, |row| note(&mut Columns::of(row)))?;
    all.extend(notes.into_iter().map(Item::Note));
    let sql = concat!(
        "SELECT ",
        pattern_columns!(),
        " FROM shown_pattern p WHERE p.id IN (SELECT value FROM json_each(?1)) AND ",
        is_allowed!("p.domain", "?2")
    );
    let params = (ids_of(Kind::Pattern, found), allowed.domains());
    let patterns = link.rows(sql, params, |row| pattern(&mut Columns::of(row)))?;
    all.extend(patterns.into_iter().map(Item::Pattern));
    let mut by_name: HashMap<Found, Item> = all.into_iter().map(|item| (item.found(), item)).collect();
    Ok(found.iter().filter_map(|found| by_name.remove(found)).collect())
}
