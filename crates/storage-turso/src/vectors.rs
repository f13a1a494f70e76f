//! Vectors and the spaces they lie in. All of it is derived: what is lost is made again.

use async_trait::async_trait;
use jiff::Timestamp;
use libsql::params;
use memory_core::port::{Embedded, Space, SpaceState, StoreError, VectorStore};
use memory_core::retrieve::{Found, Kind};
use memory_core::search::Document;
use memory_core::vector::Vector;
use uuid::Uuid;

use crate::limits::{EMBEDDINGS_DELETED_AT_ONCE, EMBEDDINGS_DELETED_PAUSE};
use crate::link::Link;
use crate::row::{Columns, kind_and_id, signed};
use crate::{TursoStore, changes};

/// The version of the format of the vectors of one thing: this byte, then postcard.
const FORMAT: u8 = 1;

/// The vector of each passage with the fingerprint of what was embedded.
type Vectors = Vec<Option<(u64, Vector)>>;

fn encode(vectors: &Vectors) -> Result<Vec<u8>, StoreError> {
    postcard::to_extend(vectors, vec![FORMAT])
        .map_err(|error| StoreError::Other(format!("vectors cannot be written: {error}")))
}

/// None at all from bytes of another format.
fn decode(bytes: &[u8]) -> Vectors {
    let vectors = bytes.strip_prefix(&[FORMAT]).and_then(|bytes| postcard::from_bytes(bytes).ok());
    vectors.unwrap_or_default()
}

/// The vector of each passage of a document, where the stored one is that of its text as it is now.
pub(crate) fn fitting(document: &Document, stored: Option<Vec<u8>>) -> Vec<Option<Vector>> {
    let mut stored = stored.map(|bytes| decode(&bytes)).unwrap_or_default().into_iter();
    let fitting = document.passages.iter().map(|passage| {
        let (fingerprint, vector) = stored.next().flatten()?;
        (passage.fingerprint() == Some(fingerprint)).then_some(vector)
    });
    fitting.collect()
}

/// A space that is not gone.
struct Known {
    key: i64,
    serves: bool,
}

fn find(link: &Link, space: &Space) -> Result<Option<Known>, StoreError> {
    let sql =
        "SELECT key, state = 'serving' FROM space WHERE name = ?1 AND dimensions = ?2 AND state <> 'gone'";
    link.row(sql, params![space.name.as_str(), signed(space.dimensions as u64)], |row| {
        let mut columns = Columns::of(row);
        Ok(Known { key: columns.integer()?, serves: columns.integer()? != 0 })
    })
}

fn find_or_add(link: &Link, space: &Space) -> Result<Known, StoreError> {
    if let Some(known) = find(link, space)? {
        return Ok(known);
    }
    let sql = "INSERT INTO space (name, dimensions, state) VALUES (?1, ?2, 'filling')";
    link.execute(sql, params![space.name.as_str(), signed(space.dimensions as u64)])?;
    Ok(Known { key: link.last_key(), serves: false })
}

/// The key of a space, if it is known.
pub(crate) fn key_of(link: &Link, space: Option<&Space>) -> Result<Option<i64>, StoreError> {
    let known = space.map(|space| find(link, space)).transpose()?.flatten();
    Ok(known.map(|known| known.key))
}

#[async_trait]
impl VectorStore for TursoStore {
    async fn spaces(&self) -> Result<Vec<SpaceState>, StoreError> {
        self.pool.read(spaces).await
    }

    async fn put_vectors(&self, space: Space, vectors: Vec<Embedded>) -> Result<(), StoreError> {
        // Written down before the write lock is held.
        let encoded = vectors.iter().map(|one| Ok((one.found, encode(&one.vectors)?)));
        let encoded = encoded.collect::<Result<Vec<_>, StoreError>>()?;
        self.pool.write(move |link| put(link, &space, &encoded)).await
    }

    async fn complete_space(&self, space: Space, seq: u64) -> Result<(), StoreError> {
        let is_litter_left = self.pool.write(move |link| complete(link, &space, seq)).await?;
        // What is gone is deleted a little at a time, so that nobody who writes waits for long. Whoever stops halfway
        // leaves the rest to the next one.
        let mut goes_on = is_litter_left;
        while goes_on {
            goes_on = self.pool.write(delete_some).await?;
            tokio::time::sleep(EMBEDDINGS_DELETED_PAUSE).await;
        }
        Ok(())
    }

    async fn hold_space(
        &self,
        space: Space,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        self.pool.write(move |link| hold(link, &space, holder, now, until)).await
    }
}

fn spaces(link: &Link) -> Result<Vec<SpaceState>, StoreError> {
    let sql = "SELECT name, dimensions, state = 'serving', seq FROM space WHERE state <> 'gone' ORDER BY key";
    link.rows(sql, (), |row| {
        let mut columns = Columns::of(row);
        let space = Space { name: columns.text()?, dimensions: columns.unsigned()? };
        let serves = columns.integer()? != 0;
        let seq = columns.optional_integer()?.and_then(|seq| u64::try_from(seq).ok());
        Ok(SpaceState { space, serves, seq })
    })
}

fn put(link: &Link, space: &Space, vectors: &[(Found, Vec<u8>)]) -> Result<(), StoreError> {
    let Known { key, serves } = find_or_add(link, space)?;
    for (found, vectors) in vectors {
        let (kind, id) = kind_and_id(*found);
        // Nothing happens where the thing is gone, or has these vectors.
        macro_rules! put {
            ($table:literal) => {
                concat!(
                    "INSERT INTO embedding (space, kind, id, vectors) SELECT ?1, '",
                    $table,
                    "', id, ?3 FROM ",
                    $table,
                    " WHERE id = ?2 ON CONFLICT (space, kind, id) DO UPDATE SET vectors = excluded.vectors
                      WHERE vectors <> excluded.vectors"
                )
            };
        }
        let sql = match kind {
            Kind::Episode => put!("episode"),
            Kind::Pattern => put!("pattern"),
            Kind::Note => put!("note"),
        };
        let changed = link.execute(sql, params![key, id, vectors.clone()])?;
        if serves && changed > 0 {
            changes::record(link, *found)?;
        }
    }
    Ok(())
}

/// Returns whether vectors of other spaces are left to be deleted.
fn complete(link: &Link, space: &Space, seq: u64) -> Result<bool, StoreError> {
    let Known { key, serves } = find(link, space)?.ok_or(StoreError::NotFound)?;
    if !serves {
        link.execute("UPDATE space SET state = 'gone' WHERE key <> ?1", [key])?;
        link.execute("UPDATE space SET state = 'serving' WHERE key = ?1", [key])?;
    }
    let sql = "UPDATE space SET seq = ?2 WHERE key = ?1 AND coalesce(seq, -1) < ?2";
    link.execute(sql, params![key, signed(seq)])?;
    Ok(gone(link)?.is_some())
}

fn gone(link: &Link) -> Result<Option<i64>, StoreError> {
    link.row("SELECT key FROM space WHERE state = 'gone' LIMIT 1", (), |row| Columns::of(row).integer())
}

/// Deletes some vectors of a space that is gone, and the space after the last of them; returns whether there was one.
fn delete_some(link: &Link) -> Result<bool, StoreError> {
    let Some(space) = gone(link)? else { return Ok(false) };
    let sql = "DELETE FROM embedding WHERE key IN (SELECT key FROM embedding WHERE space = ?1 LIMIT ?2)";
    if link.execute(sql, params![space, signed(EMBEDDINGS_DELETED_AT_ONCE)])? == 0 {
        link.execute("DELETE FROM space WHERE key = ?1", [space])?;
    }
    Ok(true)
}

fn hold(
    link: &Link,
    space: &Space,
    holder: Uuid,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let is_handed_back = until <= now;
    // A space that is gone does not come back by being let go.
    if is_handed_back && find(link, space)?.is_none() {
        return Ok(true);
    }
    let key = find_or_add(link, space)?.key;
    let sql = "UPDATE space SET holder = ?2, held_until = ?4
               WHERE key = ?1 AND (holder IS NULL OR holder = ?2 OR held_until <= ?3)";
    let params = params![key, holder.to_string(), now.as_microsecond(), until.as_microsecond()];
    Ok(link.execute(sql, params)? > 0)
}

#[cfg(test)]
mod tests {
    use memory_core::id::NoteId;
    use memory_core::note::{Layer, Note};
    use memory_core::port::NoteStore;

    use super::*;

    /// What is stored stays readable: this is what the first version wrote.
    #[test]
    fn the_format_is_what_it_was() {
        let vector = Vector { scale: 0.5, values: vec![-128, 0, 127] };
        let vectors = vec![Some((300, vector)), None];
        let bytes = [1, 2, 1, 0xac, 2, 0, 0, 0, 0x3f, 3, 0x80, 0, 0x7f, 0];
        assert_eq!(encode(&vectors).unwrap(), bytes);
        assert_eq!(decode(&bytes), vectors);
    }

    #[test]
    fn bytes_that_make_no_sense_are_no_vectors() {
        for bytes in [&[][..], &[2, 0], &[1], &[1, 2, 1, 0xac], &[1, 1, 7]] {
            assert_eq!(decode(bytes), [], "{bytes:?}");
        }
    }

    async fn embedded(store: &TursoStore) -> u64 {
        store.pool.read(|link| link.number("SELECT count(*) FROM embedding", ())).await.unwrap()
    }

    #[tokio::test]
    async fn a_clean_up_that_was_cut_short_is_finished_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let store = TursoStore::open(&dir.path().join("memory.db")).await.unwrap();
        let number = EMBEDDINGS_DELETED_AT_ONCE + 1;
        let [a, b] = ["a", "b"].map(|name| Space { name: name.into(), dimensions: 1 });
        let mut vectors = Vec::new();
        for n in 0..number {
            let note = Note {
                id: NoteId(Uuid::from_u128(u128::from(n))),
                external_id: None,
                text: format!("note {n}"),
                scope: Default::default(),
                layer: Layer::LongTerm,
                tags: Vec::new(),
                at: Timestamp::UNIX_EPOCH,
            };
            vectors.push(Embedded { found: Found::Note(note.id), vectors: vec![] });
            store.remember(note, vec![], None).await.unwrap();
        }
        store.put_vectors(a.clone(), vectors.clone()).await.unwrap();
        store.put_vectors(b.clone(), vectors).await.unwrap();
        // As of a process that dies after the switch.
        let space = b.clone();
        store.pool.write(move |link| complete(link, &space, number)).await.unwrap();
        let state = || SpaceState { space: b.clone(), serves: true, seq: Some(number) };
        assert_eq!(store.spaces().await, Ok(vec![state()]), "the switch is whole");
        assert_eq!(embedded(&store).await, 2 * number, "the case covers vectors left over");
        // Somebody starts the old space again meanwhile: its new vectors are not mistaken for those left over.
        let note = Found::Note(NoteId(Uuid::nil()));
        store.put_vectors(a.clone(), vec![Embedded { found: note, vectors: vec![] }]).await.unwrap();
        store.complete_space(b.clone(), number).await.unwrap();
        assert_eq!(embedded(&store).await, number + 1);
        let begun = SpaceState { space: a, serves: false, seq: None };
        assert_eq!(store.spaces().await, Ok(vec![state(), begun]));
    }
}
