//! What is searched: segments, and which of their documents count.

use std::collections::HashMap;
use std::sync::Arc;

use memory_core::port::Space;
use memory_core::retrieve::Found;
use memory_core::search::Entry;

use crate::bits::Bits;
use crate::entries::Entries;
use crate::layout::{Totals, Unreadable};
use crate::merge::Merged;
use crate::segment::Segment;
use crate::write::{Material, write};

/// The documents of a segment that were changed or deleted since it was written.
#[derive(Clone, Default)]
pub(crate) struct Dead {
    pub(crate) bits: Arc<Bits>,
    pub(crate) totals: Totals,
}

/// A segment in use. Never changed; what changes is which slots there are.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) segment: Arc<Segment>,
    pub(crate) dead: Dead,
    /// The number of its file; `None` while it is in memory only.
    pub(crate) file: Option<u64>,
    /// What was changed by the batch it was made from and is not in it: deleted things.
    pub(crate) gone: Arc<Vec<Found>>,
    /// Whether it is being written to a file, and must not be merged in memory meanwhile.
    pub(crate) sealed: bool,
}

impl Slot {
    /// A segment of which everything counts.
    pub(crate) fn new(segment: Arc<Segment>, file: Option<u64>) -> Self {
        Self { segment, dead: Dead::default(), file, gone: Arc::default(), sealed: false }
    }

    /// Sums over the documents that count.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = self.segment.totals();
        totals.subtract(&self.dead.totals);
        totals
    }

    /// Makes these things count no longer.
    pub(crate) fn kill(&mut self, found: impl Iterator<Item = Found>) {
        let documents: Vec<u32> = found.filter_map(|found| self.segment.find(found)).collect();
        self.kill_documents(&documents);
    }

    /// Makes these documents count no longer.
    pub(crate) fn kill_documents(&mut self, documents: &[u32]) {
        if documents.iter().all(|document| self.dead.bits.has(*document)) {
            return;
        }
        if self.dead.totals.documents == 0 {
            self.dead.bits = Arc::new(Bits::new(self.segment.documents()));
        }
        let bits = Arc::make_mut(&mut self.dead.bits);
        for document in documents {
            if bits.add(*document) {
                self.dead.totals.add(&self.segment.totals_of(*document));
            }
        }
    }

    /// Everything that this segment says something new about.
    pub(crate) fn touched(&self) -> impl Iterator<Item = Found> {
        (0..self.segment.documents())
            .map(|document| self.segment.found(document))
            .chain(self.gone.iter().copied())
    }
}

/// What a search sees: one moment of the store.
#[derive(Clone, Default)]
pub(crate) struct State {
    /// Whether it holds the whole store as of `seq`.
    pub(crate) is_ready: bool,
    /// The `change_seq` up to which it is true.
    pub(crate) seq: u64,
    /// The `change_seq` up to which the segments in files are true, but for what later changes made of no account.
    pub(crate) filed_seq: u64,
    /// The space whose vectors it was given.
    pub(crate) space: Option<Space>,
    /// The segments: those in files, then those in memory.
    pub(crate) slots: Vec<Slot>,
    /// The number of the manifest that lists those in files.
    pub(crate) generation: u64,
    /// Sums over what counts.
    pub(crate) totals: Totals,
}

impl State {
    /// Recounts after the slots were changed.
    pub(crate) fn recounted(mut self) -> Self {
        self.totals = Totals::default();
        for slot in &self.slots {
            self.totals.add(&slot.totals());
        }
        self
    }

    /// Documents that are in memory only, those that no longer count included: they take room too.
    pub(crate) fn tail_documents(&self) -> u64 {
        let tail = self.slots.iter().filter(|slot| slot.file.is_none());
        tail.map(|slot| u64::from(slot.segment.documents()).max(slot.gone.len() as u64)).sum()
    }

    /// The state after these changes: `entries` replace what there was of them, `gone` is no more.
    pub(crate) fn changed(
        &self,
        entries: Vec<Entry>,
        gone: Vec<Found>,
        seq: u64,
        space: Option<Space>,
        making: &Making,
    ) -> Result<Self, Unreadable> {
        let mut next = self.clone();
        next.seq = next.seq.max(seq);
        if next.totals.documents == 0 {
            next.space = space.clone();
        }
        let touched: Vec<Found> =
            entries.iter().map(|entry| entry.found).chain(gone.iter().copied()).collect();
        for slot in &mut next.slots {
            slot.kill(touched.iter().copied());
        }
        // What was never in a file leaves no trace when all of it is dead.
        let is_of_use = |slot: &Slot| {
            slot.file.is_some() || slot.sealed || !slot.gone.is_empty() || slot.totals().documents > 0
        };
        if !touched.is_empty() {
            let segment = making.segment(&Entries::new(distinct(entries), space))?;
            let mut slot = Slot::new(segment, None);
            slot.gone = Arc::new(gone);
            next.slots.push(slot);
        }
        next.slots.retain(is_of_use);
        next.compact(making)?;
        Ok(next.recounted())
    }

    /// Merges small segments in memory, so that there are a few of each order of magnitude.
    fn compact(&mut self, making: &Making) -> Result<(), Unreadable> {
        loop {
            let small = |slot: &Slot| {
                slot.file.is_none()
                    && !slot.sealed
                    && u64::from(slot.segment.documents()) < making.small_documents_max
            };
            let mut levels: HashMap<u32, Vec<usize>> = HashMap::new();
            for (place, slot) in self.slots.iter().enumerate().filter(|(_, slot)| small(slot)) {
                levels.entry(making.level(slot.segment.documents())).or_default().push(place);
            }
            let full = levels.into_values().find(|places| places.len() >= making.merge_factor);
            let Some(places) = full else { return Ok(()) };
            self.merge_in_memory(&places, making)?;
        }
    }

    fn merge_in_memory(&mut self, places: &[usize], making: &Making) -> Result<(), Unreadable> {
        let parts: Vec<&Slot> = places.iter().map(|place| &self.slots[*place]).collect();
        let inputs = parts.iter().map(|slot| (slot.segment.clone(), slot.dead.bits.clone())).collect();
        let gone: Vec<Found> = parts.iter().flat_map(|slot| slot.gone.iter().copied()).collect();
        let never = std::sync::atomic::AtomicBool::new(false);
        let mut merged = Slot::new(making.segment(&Merged::new(inputs, self.space.clone(), &never))?, None);
        merged.gone = Arc::new(gone);
        for place in places.iter().rev() {
            self.slots.remove(*place);
        }
        self.slots.push(merged);
        Ok(())
    }
}

/// The last of each thing.
pub(crate) fn distinct(entries: Vec<Entry>) -> Vec<Entry> {
    let last: HashMap<Found, Entry> = entries.into_iter().map(|entry| (entry.found, entry)).collect();
    last.into_values().collect()
}

/// How segments are made.
#[derive(Clone, Debug)]
pub(crate) struct Making {
    pub(crate) store_id: Arc<str>,
    /// How many segments of about one size are merged into one.
    pub(crate) merge_factor: usize,
    /// Segments of fewer documents are merged by whoever adds to them.
    pub(crate) small_documents_max: u64,
    /// A segment of so many vectors has codes of them, too.
    pub(crate) coarse_vectors_min: usize,
}

impl Making {
    /// The order of magnitude of a segment.
    pub(crate) fn level(&self, documents: u32) -> u32 {
        u64::from(documents.max(1)).ilog(self.merge_factor.max(2) as u64)
    }

    /// A segment in memory.
    pub(crate) fn segment(&self, material: &dyn Material) -> Result<Arc<Segment>, Unreadable> {
        let mut bytes = Vec::new();
        write(material, self, &mut bytes)?;
        Segment::in_memory(bytes, &self.store_id).map(Arc::new)
    }
}
