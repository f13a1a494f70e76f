//! The entries themselves: keys and values in redb, the least recently used going first, true up to one `change_seq`.

use std::collections::HashMap;

use redb::{
    Database, Durability, Error, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition,
    WriteTransaction,
};

use crate::file::Failure;
use crate::limits::Limits;

const ENTRIES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("entries");
/// For each entry: when it was used last (counted in uses, not in time) and its size in bytes.
const USES: TableDefinition<&[u8], (u64, u64)> = TableDefinition::new("uses");
/// The `change_seq` up to which the entries are true.
const SYNCED: TableDefinition<(), u64> = TableDefinition::new("synced");
/// Which store the entries were read from, and which program wrote them.
const STAMP: TableDefinition<(), &str> = TableDefinition::new("stamp");

/// Keys of answers begin with this byte. They are true for one `change_seq` only.
pub(crate) const ANSWER: u8 = b'a';
/// The key under which it is tried whether the cache works.
pub(crate) const PROBE: &[u8] = b"p";
/// Keys of episodes begin with this byte.
pub(crate) const EPISODE: u8 = b'e';

#[derive(Clone, Copy)]
struct Use {
    tick: u64,
    bytes: u64,
}

/// What a change log says about the entries.
pub(crate) enum Changed {
    /// The things behind these keys changed.
    Keys(Vec<Vec<u8>>),
    /// Anything may have.
    Anything,
}

pub(crate) struct Entries {
    db: Database,
    limits: Limits,
    uses: HashMap<Vec<u8>, Use>,
    bytes: u64,
    tick: u64,
    synced: u64,
}

impl Entries {
    /// Entries in `db`, to be taken over before use.
    pub(crate) fn new(db: Database, limits: Limits) -> Self {
        Self { db, limits, uses: HashMap::new(), bytes: 0, tick: 0, synced: 0 }
    }

    /// Takes over what the database holds, if it is sound and of this stamp; an empty one gets the stamp.
    pub(crate) fn take_over(&mut self, stamp: &str) -> Result<(), Failure> {
        // redb trusts its pages and aborts the whole process over some damaged ones, which nothing can catch. The
        // check takes about a millisecond a megabyte.
        if !self.db.check_integrity().map_err(Error::from)? {
            return Err(Failure::Damaged);
        }
        let read = self.db.begin_read().map_err(Error::from)?;
        if read.list_tables().map_err(Error::from)?.next().is_none() {
            return Ok(self.create(stamp)?);
        }
        if self.load(&read, stamp)? { Ok(()) } else { Err(Failure::Foreign) }
    }

    fn create(&self, stamp: &str) -> Result<(), Error> {
        let txn = self.db.begin_write()?;
        txn.open_table(STAMP)?.insert((), stamp)?;
        txn.open_table(SYNCED)?.insert((), 0)?;
        txn.open_table(ENTRIES)?;
        txn.open_table(USES)?;
        Ok(txn.commit()?)
    }

    fn load(&mut self, txn: &ReadTransaction, stamp: &str) -> Result<bool, Error> {
        if txn.open_table(STAMP)?.get(())?.is_none_or(|found| found.value() != stamp) {
            return Ok(false);
        }
        self.synced = txn.open_table(SYNCED)?.get(())?.map_or(0, |seq| seq.value());
        for row in txn.open_table(USES)?.iter()? {
            let (key, used) = row?;
            let (tick, bytes) = used.value();
            self.tick = self.tick.max(tick);
            self.bytes = self.bytes.saturating_add(bytes);
            self.uses.insert(key.value().to_vec(), Use { tick, bytes });
        }
        Ok(true)
    }

    /// The `change_seq` up to which the entries are true.
    pub(crate) fn synced(&self) -> u64 {
        self.synced
    }

    /// How many entries there are, and their bytes.
    pub(crate) fn size(&self) -> (usize, u64) {
        (self.uses.len(), self.bytes)
    }

    /// The value under a key, which counts as a use.
    pub(crate) fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let Some(used) = self.uses.get_mut(key) else { return Ok(None) };
        self.tick += 1;
        used.tick = self.tick;
        let table = self.db.begin_read()?.open_table(ENTRIES)?;
        Ok(table.get(key)?.map(|value| value.value().to_vec()))
    }

    /// Keeps a value that was read from the store after the entries had been true up to `synced`, and returns how many
    /// others had to go. If the entries have moved on since, the value may have been overtaken: it is not kept.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8], synced: u64) -> Result<u64, Error> {
        let bytes = (key.len() + value.len()) as u64;
        if synced != self.synced || value.len() > self.limits.value_bytes_max || bytes > self.limits.bytes_max
        {
            return Ok(0);
        }
        let txn = self.begin()?;
        self.remove(&txn, key)?;
        let mut evicted = 0;
        while self.uses.len() >= self.limits.entries_max || self.bytes + bytes > self.limits.bytes_max {
            let Some(oldest) = self.uses.iter().min_by_key(|(_, used)| used.tick) else { break };
            let oldest = oldest.0.clone();
            self.remove(&txn, &oldest)?;
            evicted += 1;
        }
        self.tick += 1;
        txn.open_table(ENTRIES)?.insert(key, value)?;
        txn.open_table(USES)?.insert(key, (self.tick, bytes))?;
        txn.commit()?;
        self.uses.insert(key.to_vec(), Use { tick: self.tick, bytes });
        self.bytes += bytes;
        Ok(evicted)
    }

    /// Removes an entry and returns how many there were, one or none.
    pub(crate) fn evict(&mut self, key: &[u8]) -> Result<u64, Error> {
        if !self.uses.contains_key(key) {
            return Ok(0);
        }
        let txn = self.begin()?;
        self.remove(&txn, key)?;
        txn.commit()?;
        Ok(1)
    }

    /// Makes the entries true up to `to`, given what changed after `from`, and returns how many had to go.
    pub(crate) fn advance(&mut self, from: u64, to: u64, changed: Changed) -> Result<u64, Error> {
        if self.synced >= to {
            // Another task was quicker, and has seen these changes.
            return Ok(0);
        }
        match changed {
            Changed::Keys(mut keys) if from <= self.synced => {
                keys.extend(self.uses.keys().filter(|key| key.first() == Some(&ANSWER)).cloned());
                self.drop_and_mark(&keys, to)
            }
            Changed::Keys(_) | Changed::Anything => self.reset(to),
        }
    }

    /// Removes everything; what is kept from now on is true up to `to`. Returns how many entries had to go.
    pub(crate) fn reset(&mut self, to: u64) -> Result<u64, Error> {
        let all: Vec<_> = self.uses.keys().cloned().collect();
        self.drop_and_mark(&all, to)
    }

    /// Makes everything durable, the order of use too.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        let txn = self.db.begin_write()?;
        let mut table = txn.open_table(USES)?;
        for (key, used) in &self.uses {
            table.insert(key.as_slice(), (used.tick, used.bytes))?;
        }
        drop(table);
        Ok(txn.commit()?)
    }

    /// One transaction for both: entries that are gone and a mark that is still old would be harmless, but a new mark
    /// over old entries would make them look true.
    fn drop_and_mark(&mut self, keys: &[Vec<u8>], to: u64) -> Result<u64, Error> {
        let txn = self.begin()?;
        let before = self.uses.len();
        keys.iter().try_for_each(|key| self.remove(&txn, key))?;
        txn.open_table(SYNCED)?.insert((), to)?;
        txn.commit()?;
        self.synced = to;
        Ok((before - self.uses.len()) as u64)
    }

    fn remove(&mut self, txn: &WriteTransaction, key: &[u8]) -> Result<(), Error> {
        if let Some(used) = self.uses.remove(key) {
            self.bytes = self.bytes.saturating_sub(used.bytes);
            txn.open_table(ENTRIES)?.remove(key)?;
            txn.open_table(USES)?.remove(key)?;
        }
        Ok(())
    }

    /// A transaction that is durable with the next [`Self::flush`]: a crash takes the file back to the last one, and
    /// with it the mark up to which it is true.
    fn begin(&self) -> Result<WriteTransaction, Error> {
        let mut txn = self.db.begin_write()?;
        txn.set_durability(Durability::None)?;
        Ok(txn)
    }
}
