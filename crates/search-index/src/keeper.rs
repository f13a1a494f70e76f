//! The thread that keeps an index: makes it anew where that is needed, writes to files, merges.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use memory_core::port::StoreError;
use memory_core::search::{Entry, Standing};

use crate::entries::Entries;
use crate::layout::Unreadable;
use crate::limits::ENTRIES_PAGE_MAX;
use crate::merge::{Input, Merged};
use crate::place::{Listed, Lock, Manifest, Place, listed};
use crate::segment::Segment;
use crate::shared::{Activity, Shared, Wants};
use crate::state::{Dead, Slot, State, distinct};
use crate::write::Material;

/// How often the first build looks whether another process has finished writing.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// Why the keeper did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the store failed: {0}")]
    Corpus(#[from] StoreError),
    #[error("a segment is of no use: {0}")]
    Segment(#[from] Unreadable),
    #[error("the directory failed: {0}")]
    Directory(#[from] std::io::Error),
}

impl Failure {
    /// Whether it was told to give up.
    fn is_interruption(&self) -> bool {
        let (Self::Directory(error) | Self::Segment(Unreadable::Io(error))) = self else { return false };
        error.kind() == std::io::ErrorKind::Interrupted
    }

    /// Whether it is about what is there, and not about writing.
    fn is_damage(&self) -> bool {
        match self {
            Self::Segment(Unreadable::Io(error)) => error.kind() == std::io::ErrorKind::NotFound,
            Self::Segment(_) => true,
            Self::Corpus(_) | Self::Directory(_) => false,
        }
    }
}

/// Does what is asked until it is asked to end.
pub(crate) fn run(shared: &Shared) {
    loop {
        let wants = shared.asked();
        if wants.end {
            break;
        }
        let keeper = Keeper { shared };
        if catch_unwind(AssertUnwindSafe(|| keeper.work(wants))).is_err() {
            keeper.panicked();
        }
        shared.tell(|report| report.activity = Activity::Idle);
    }
    Keeper { shared }.close();
}

struct Keeper<'a> {
    shared: &'a Shared,
}

impl Keeper<'_> {
    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let _entered = self.shared.runtime.get().map(tokio::runtime::Handle::enter);
        futures::executor::block_on(future)
    }

    fn work(&self, wants: Wants) {
        if wants.build {
            self.build_if_needed();
        }
        self.tidy();
    }

    /// Only damage that nothing noticed could do this; from the store, the index is made right again.
    fn panicked(&self) {
        let reason = "the thread of the search index panicked; the message is in the log";
        self.shared.tell(|report| report.last_error = Some(reason.into()));
        self.shared.update(|state| State { is_ready: false, ..sealed(state, false) });
        self.shared.attempts.send_modify(|attempts| {
            attempts.count += 1;
            attempts.failure = Some(StoreError::Other(reason.into()));
        });
    }

    fn doing(&self, activity: Activity) {
        self.shared.tell(|report| report.activity = activity);
    }

    fn failed(&self, what: &'static str, failure: &Failure) {
        tracing::warn!(error = %failure, "the search index failed to {what}");
        self.shared.tell(|report| report.last_error = Some(format!("failed to {what}: {failure}")));
    }

    /// The directory, unless it could not be written a moment ago.
    fn writable(&self) -> Option<&Place> {
        let failed = self.shared.report().disk_failure;
        let is_recent = failed.is_some_and(|(at, _)| at.elapsed() < self.shared.limits.disk_retry);
        self.shared.place.as_ref().filter(|_| !is_recent)
    }

    fn disk_failed(&self, what: &'static str, failure: &Failure) {
        self.failed(what, failure);
        self.shared.tell(|report| report.disk_failure = Some((Instant::now(), failure.to_string())));
    }

    // Making it anew.

    fn build_if_needed(&self) {
        let result =
            self.block_on(self.shared.corpus.standing()).map_err(Failure::from).and_then(|standing| {
                let state = self.shared.state();
                if state.is_ready && state.space == standing.space { Ok(()) } else { self.build(&standing) }
            });
        if let Err(failure) = &result {
            self.failed("build", failure);
        }
        let failure = result.err().map(|failure| match failure {
            Failure::Corpus(error) => error,
            other => StoreError::Other(format!("the search index could not be made: {other}")),
        });
        self.shared.attempts.send_modify(|attempts| {
            attempts.count += 1;
            attempts.failure = failure;
        });
    }

    fn build(&self, standing: &Standing) -> Result<(), Failure> {
        let lock = match self.lock_for_build(standing) {
            Ok(Locked::Adopted) => return Ok(()),
            Ok(Locked::Mine(lock)) => Some(lock),
            Ok(Locked::Memory) => None,
            Err(failure) => {
                self.disk_failed("write", &failure);
                None
            }
        };
        let place = self.shared.place.as_ref().filter(|_| lock.is_some());
        let mut chunks = Chunks { keeper: self, place, slots: Vec::new(), entries: Vec::new(), terms: 0 };
        let (mut after, mut documents) = (None, 0);
        loop {
            self.doing(Activity::Building { documents });
            let page = self.shared.corpus.page(after, ENTRIES_PAGE_MAX, standing.space.clone());
            let page = self.block_on(page)?;
            let Some(last) = page.last() else { break };
            (after, documents) = (Some(last.found), documents + page.len() as u64);
            chunks.add(page, standing)?;
            if self.shared.is_ending() {
                return Err(std::io::Error::from(std::io::ErrorKind::Interrupted).into());
            }
        }
        let slots = chunks.finish(standing)?;
        let state = State {
            is_ready: true,
            seq: standing.seq,
            space: standing.space.clone(),
            slots,
            ..State::default()
        };
        self.built(state, lock.as_ref());
        Ok(())
    }

    /// Puts what was built in the state's place, and in the directory.
    fn built(&self, mut state: State, lock: Option<&Lock>) {
        let old = self.shared.state();
        state.filed_seq = state.seq;
        state.generation = old.generation;
        let published = match (&self.shared.place, lock) {
            (Some(place), Some(lock)) if state.slots.iter().all(|slot| slot.file.is_some()) => self
                .publish(place, lock, &state)
                .inspect_err(|failure| self.disk_failed("write", failure))
                .ok(),
            _ => None,
        };
        state.generation = published.unwrap_or(state.generation);
        // What was changed meanwhile is fetched again by the next search.
        let state = state.recounted();
        self.shared.update(|_| state.clone());
    }

    fn lock_for_build(&self, standing: &Standing) -> Result<Locked, Failure> {
        let Some(place) = self.writable() else { return Ok(Locked::Memory) };
        let until = Instant::now() + self.shared.limits.lock_wait;
        loop {
            let lock = place.lock()?;
            if let Ok(Some(manifest)) = place.manifest()
                && manifest.generation != self.shared.state().generation
                && manifest.space == standing.space
                && manifest.seq <= standing.seq
                && self.adopt(place, &manifest).is_ok()
            {
                return Ok(Locked::Adopted);
            }
            if let Some(lock) = lock {
                return Ok(Locked::Mine(lock));
            }
            if Instant::now() >= until || self.shared.is_ending() {
                return Ok(Locked::Memory);
            }
            self.doing(Activity::Waiting);
            thread::sleep(LOCK_POLL);
        }
    }

    /// Takes over what another process has written.
    fn adopt(&self, place: &Place, manifest: &Manifest) -> Result<(), Unreadable> {
        let state = open(place, manifest, &self.shared.state())?;
        self.shared.update(|_| state.clone());
        Ok(())
    }

    // Files.

    /// Writes a manifest of the segments in files; returns its generation.
    fn publish(&self, place: &Place, _lock: &Lock, state: &State) -> Result<u64, Failure> {
        let published = place.manifest().ok().flatten().map_or(0, |manifest| manifest.generation);
        let list = |slot: &Slot| {
            let dead = listed(&slot.dead.bits, slot.segment.documents());
            Some(Listed { number: slot.file?, crc: slot.segment.crc(), dead })
        };
        let manifest = Manifest {
            generation: published.max(state.generation) + 1,
            seq: state.filed_seq,
            space: state.space.clone(),
            segments: state.slots.iter().filter_map(list).collect(),
        };
        place.publish(&manifest)?;
        place.clean(&manifest.segments)?;
        self.shared.tell(|report| report.disk_failure = None);
        Ok(manifest.generation)
    }

    /// Writes what is in memory to a file if that is much, and merges what is of one size.
    fn tidy(&self) {
        let full = |state: &State| state.tail_documents() >= self.shared.limits.tail_documents_max;
        if !self.shared.state().is_ready || !full(&self.shared.state()) {
            return;
        }
        let Some(place) = self.writable() else { return self.tidy_memory() };
        match self.tidy_files(place) {
            Err(failure) if failure.is_interruption() => {}
            Err(failure) if failure.is_damage() => {
                self.failed("merge", &failure);
                self.shared.update(|state| State { is_ready: false, ..state.clone() });
            }
            Err(failure) => self.disk_failed("write", &failure),
            Ok(true) => {}
            // Another process writes, and may do so for long.
            Ok(false) => self.tidy_memory(),
        }
    }

    /// Returns whether nothing was left to do.
    fn tidy_files(&self, place: &Place) -> Result<bool, Failure> {
        let lock = place.lock()?;
        match place.manifest() {
            Ok(Some(manifest)) if manifest.generation == self.shared.state().generation => {}
            Ok(Some(manifest)) => {
                return match (self.adopt(place, &manifest), &lock) {
                    (Ok(()), _) => Ok(true),
                    // Its files may just have given way to others.
                    (Err(_), None) => Ok(false),
                    (Err(reason), Some(_)) => Err(reason.into()),
                };
            }
            // Somebody removed the files. They can be read for as long as they are mapped, but not be listed again.
            _ if self.shared.state().generation > 0 => return Err(Unreadable::Damaged.into()),
            _ => {}
        }
        let Some(lock) = lock else { return Ok(false) };
        self.flush(place, &lock, &self.shared.stop)?;
        while let Some(group) = self.of_one_size(|slot| slot.file.is_some()) {
            self.merge_files(place, &lock, &group)?;
        }
        Ok(true)
    }

    /// Writes what is in memory to a file.
    fn flush(&self, place: &Place, lock: &Lock, stop: &AtomicBool) -> Result<(), Failure> {
        self.doing(Activity::Flushing);
        let sealed = self.shared.update(|state| sealed(state, true));
        let result = self.flush_sealed(place, lock, stop, &sealed);
        if result.is_err() {
            self.shared.update(|state| self::sealed(state, false));
        }
        result
    }

    fn flush_sealed(
        &self,
        place: &Place,
        lock: &Lock,
        stop: &AtomicBool,
        sealed: &State,
    ) -> Result<(), Failure> {
        let tail: Vec<&Slot> = sealed.slots.iter().filter(|slot| slot.sealed).collect();
        let merged = Merged::new(inputs(&tail), sealed.space.clone(), stop);
        let mut filed = sealed.clone();
        filed.slots.retain(|slot| slot.file.is_some());
        filed.filed_seq = sealed.seq;
        let new = match merged.groups().is_empty() {
            true => None,
            false => {
                let number = place.free_number()?;
                Some(Slot::new(place.create(number, &merged, true)?, Some(number)))
            }
        };
        filed.slots.extend(new.clone());
        let generation = self.publish(place, lock, &filed)?;
        self.shared.update(|state| {
            let mut next = state.clone();
            next.slots.retain(|slot| !slot.sealed);
            (next.generation, next.filed_seq) = (generation, sealed.seq);
            insert(next, new.clone())
        });
        Ok(())
    }

    /// Slots that are to become one: as many of one order of magnitude as are not to be, or one that is mostly dead.
    fn of_one_size(&self, counts: impl Fn(&Slot) -> bool) -> Option<Vec<Arc<Segment>>> {
        let state = self.shared.state();
        let making = &self.shared.making;
        let slots = || state.slots.iter().filter(|slot| counts(slot) && !slot.sealed);
        let mostly_dead = |slot: &&Slot| slot.dead.totals.documents * 2 > u64::from(slot.segment.documents());
        if let Some(slot) = slots().find(mostly_dead) {
            return Some(vec![slot.segment.clone()]);
        }
        let level = |slot: &Slot| making.level(slot.segment.documents());
        let full = slots()
            .map(level)
            .find(|of| slots().filter(|slot| level(slot) == *of).count() >= making.merge_factor)?;
        Some(slots().filter(|slot| level(slot) == full).map(|slot| slot.segment.clone()).collect())
    }

    fn merge_files(&self, place: &Place, lock: &Lock, group: &[Arc<Segment>]) -> Result<(), Failure> {
        self.doing(Activity::Merging);
        // Otherwise damage would be made to last.
        if !group.iter().all(|segment| segment.is_intact()) {
            return Err(Unreadable::Damaged.into());
        }
        let state = self.shared.state();
        let is_old = |slot: &Slot| group.iter().any(|segment| Arc::ptr_eq(segment, &slot.segment));
        let old: Vec<&Slot> = state.slots.iter().filter(|slot| is_old(slot)).collect();
        let merged = Merged::new(inputs(&old), state.space.clone(), &self.shared.stop);
        let new = match merged.groups().is_empty() {
            true => None,
            false => {
                let number = place.free_number()?;
                Some(Slot::new(place.create(number, &merged, true)?, Some(number)))
            }
        };
        let mut filed = (*state).clone();
        filed.slots.retain(|slot| slot.file.is_some() && !is_old(slot));
        filed.slots.extend(new.clone());
        let generation = self.publish(place, lock, &filed)?;
        self.shared.update(|state| {
            let mut next = state.clone();
            next.slots.retain(|slot| !is_old(slot));
            next.generation = generation;
            insert(next, new.clone())
        });
        Ok(())
    }

    /// Merges in memory what is of one size, where there is no directory to write to.
    fn tidy_memory(&self) {
        while let Some(group) = self.of_one_size(|slot| slot.file.is_none()) {
            self.doing(Activity::Merging);
            if let Err(failure) = self.merge_memory(&group) {
                if !failure.is_interruption() {
                    self.failed("merge", &failure);
                }
                return;
            }
        }
    }

    fn merge_memory(&self, group: &[Arc<Segment>]) -> Result<(), Failure> {
        let is_old = |slot: &Slot| group.iter().any(|segment| Arc::ptr_eq(segment, &slot.segment));
        // Sealed, so that nobody else merges them meanwhile.
        let state = self.shared.update(|state| {
            let mut next = state.clone();
            next.slots.iter_mut().for_each(|slot| slot.sealed |= is_old(slot));
            next
        });
        let old: Vec<&Slot> = state.slots.iter().filter(|slot| is_old(slot)).collect();
        let merged = Merged::new(inputs(&old), state.space.clone(), &self.shared.stop);
        let segment = self.shared.making.segment(&merged);
        if segment.is_err() || old.len() < group.len() {
            self.shared.update(|state| sealed(state, false));
            return segment.map(|_| ()).map_err(Failure::from);
        }
        let mut new = Slot::new(segment?, None);
        new.gone = Arc::new(old.iter().flat_map(|slot| slot.gone.iter().copied()).collect());
        self.shared.update(|state| {
            let mut next = state.clone();
            // What was changed while this was merged is dead in the old ones.
            let mut new = new.clone();
            for slot in next.slots.iter().filter(|slot| is_old(slot)) {
                let dead = slot.dead.bits.within(0..slot.segment.documents());
                new.kill(
                    dead.map(|document| slot.segment.found(document))
                        .filter(|found| !lives(&next, *found, &is_old)),
                );
            }
            next.slots.retain(|slot| !is_old(slot));
            next.slots.push(new);
            next.recounted()
        });
        Ok(())
    }

    /// Writes what is in memory to a file if reading it again would take longer.
    fn close(&self) {
        let state = self.shared.state();
        let Some(place) = self.writable() else { return };
        if !state.is_ready || state.tail_documents() < self.shared.limits.closing_documents_min {
            return;
        }
        let flushed = place.lock().map_err(Failure::from).and_then(|lock| {
            let is_current = |manifest: &Manifest| manifest.generation == state.generation;
            let manifest = place.manifest().ok().flatten();
            match lock {
                Some(lock) if manifest.as_ref().is_none_or(is_current) => {
                    self.flush(place, &lock, &AtomicBool::new(false))
                }
                _ => Ok(()),
            }
        });
        if let Err(failure) = flushed {
            self.failed("write", &failure);
        }
    }
}

enum Locked {
    Mine(Lock),
    Adopted,
    Memory,
}

/// Whether one of these slots has a living document of a thing.
fn lives(state: &State, found: memory_core::retrieve::Found, among: &impl Fn(&Slot) -> bool) -> bool {
    state
        .slots
        .iter()
        .filter(|slot| among(slot))
        .any(|slot| slot.segment.find(found).is_some_and(|document| !slot.dead.bits.has(document)))
}

fn inputs(slots: &[&Slot]) -> Vec<Input> {
    slots.iter().map(|slot| (slot.segment.clone(), slot.dead.bits.clone())).collect()
}

/// Marks what is in memory as being written, or no longer.
fn sealed(state: &State, is_sealed: bool) -> State {
    let mut next = state.clone();
    for slot in next.slots.iter_mut().filter(|slot| slot.file.is_none()) {
        slot.sealed = is_sealed;
    }
    next
}

/// Puts a new file before what is in memory; what that changed counts no longer in the file.
fn insert(mut state: State, new: Option<Slot>) -> State {
    if let Some(mut new) = new {
        for slot in state.slots.iter().filter(|slot| slot.file.is_none()) {
            new.kill(slot.touched());
        }
        let place = state.slots.iter().position(|slot| slot.file.is_none()).unwrap_or(state.slots.len());
        state.slots.insert(place, new);
    }
    state.recounted()
}

/// The state that a manifest describes. Segments that are open already are not opened again.
pub(crate) fn open(place: &Place, manifest: &Manifest, old: &State) -> Result<State, Unreadable> {
    let mut slots = Vec::new();
    for listed in &manifest.segments {
        let is_it = |slot: &&Slot| slot.file == Some(listed.number) && slot.segment.crc() == listed.crc;
        let segment = match old.slots.iter().find(is_it) {
            Some(slot) => slot.segment.clone(),
            None => place.open(listed)?,
        };
        let mut slot = Slot { dead: Dead::default(), ..Slot::new(segment, Some(listed.number)) };
        slot.kill_documents(&listed.dead);
        slots.push(slot);
    }
    let state = State {
        is_ready: true,
        seq: manifest.seq,
        filed_seq: manifest.seq,
        space: manifest.space.clone(),
        slots,
        generation: manifest.generation,
        ..State::default()
    };
    Ok(state.recounted())
}

/// Makes segments of entries as they come.
struct Chunks<'a> {
    keeper: &'a Keeper<'a>,
    /// Where to write; `None` once that failed.
    place: Option<&'a Place>,
    slots: Vec<Slot>,
    entries: Vec<Entry>,
    terms: usize,
}

impl Chunks<'_> {
    fn add(&mut self, entries: Vec<Entry>, standing: &Standing) -> Result<(), Failure> {
        let limits = &self.keeper.shared.limits;
        let passages = entries.iter().flat_map(|entry| &entry.document.passages);
        self.terms += passages.map(|passage| passage.terms.len()).sum::<usize>();
        self.entries.extend(entries);
        if self.entries.len() >= limits.chunk_documents || self.terms >= limits.chunk_terms {
            self.cut(standing, false)?;
        }
        Ok(())
    }

    fn cut(&mut self, standing: &Standing, is_last: bool) -> Result<(), Failure> {
        self.terms = 0;
        let entries = distinct(std::mem::take(&mut self.entries));
        if !entries.is_empty() {
            let slot = self.slot(&Entries::new(entries, standing.space.clone()), is_last)?;
            self.slots.push(slot);
        }
        Ok(())
    }

    /// All entries as one segment.
    fn finish(mut self, standing: &Standing) -> Result<Vec<Slot>, Failure> {
        let is_only = self.slots.is_empty();
        self.cut(standing, is_only)?;
        if self.slots.len() > 1 {
            self.keeper.doing(Activity::Merging);
            let slots: Vec<&Slot> = self.slots.iter().collect();
            let ending = AtomicBool::new(false);
            let merged = Merged::new(inputs(&slots), standing.space.clone(), &ending);
            let slot = self.slot(&merged, true)?;
            self.slots = vec![slot];
        }
        Ok(self.slots)
    }

    fn slot(&mut self, material: &dyn Material, lasting: bool) -> Result<Slot, Failure> {
        if let Some(place) = self.place {
            let created = place
                .free_number()
                .map_err(Unreadable::from)
                .and_then(|number| Ok(Slot::new(place.create(number, material, lasting)?, Some(number))));
            match created {
                Ok(slot) => return Ok(slot),
                Err(error) => {
                    self.keeper.disk_failed("write", &error.into());
                    self.place = None;
                }
            }
        }
        Ok(Slot::new(self.keeper.shared.making.segment(material)?, None))
    }
}

/// Asks for what a larger tail calls for.
pub(crate) fn tidy(shared: &Shared) {
    shared.ask(Wants { tidy: true, ..Wants::default() });
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use memory_core::search::{Search, SearchIndex as _};

    use super::*;
    use crate::fixture::*;
    use crate::{Backing, SearchIndex, reference};

    const WORDS: &str = "deploy server cache index";

    fn filled(documents: u128) -> Bench {
        let bench = Bench::new();
        (1..=documents).for_each(|id| bench.store.put(entry(id, &format!("deploy server number{id}"))));
        bench
    }

    fn is_right(bench: &Bench, index: &SearchIndex) {
        for search in [asked(WORDS), Search { limit: 50, ..asked("number3 server") }] {
            let candidates = ask(index, &search);
            reference::check(&bench.store.contents(), &search, &candidates);
        }
    }

    /// As if the process had ended there and then.
    fn copied(bench: &Bench) -> Vec<(std::path::PathBuf, Vec<u8>)> {
        let files = fs::read_dir(bench.path()).unwrap().map(|file| file.unwrap().path());
        // The keeper may remove one meanwhile.
        files.filter_map(|path| Some((path.clone(), fs::read(path).ok()?))).collect()
    }

    #[test]
    fn what_was_written_is_opened_and_not_made_anew() {
        let bench = filled(40);
        is_right(&bench, &bench.open());
        let pages = bench.store.contents().pages;
        bench.store.put(entry(41, "deploy once more"));
        let index = bench.open();
        is_right(&bench, &index);
        assert_eq!(bench.store.contents().pages, pages);
        assert_eq!(index.status().documents, 41);
        assert_eq!(index.status().backing, Backing::Files);
    }

    #[test]
    fn many_changes_leave_few_segments_and_no_other_files() {
        let bench = Bench::new();
        let index = bench.open();
        for id in 1..=200 {
            bench.store.put(entry(1 + id % 150, &format!("deploy server number{id}")));
            is_right(&bench, &index);
        }
        settle(&index);
        let status = index.status();
        assert!(status.segments < 14, "{} segments", status.segments);
        assert!(status.tail_documents < 3 * LIMITS.tail_documents_max, "{status:?}");
        assert!(bench.segments().len() < 9, "{:?}", bench.segments());
        assert_eq!(status.last_error, None);
    }

    #[test]
    fn at_whatever_point_a_process_ends_another_goes_on() {
        let bench = filled(30);
        let index = bench.open();
        let mut images = Vec::new();
        for id in 31..=90 {
            bench.store.put(entry(id % 70, &format!("deploy server number{id}")));
            ask(&index, &asked(WORDS));
            if id % 10 == 0 {
                settle(&index);
            }
            images.push(copied(&bench));
        }
        drop(index);
        for image in images {
            fs::remove_dir_all(bench.path()).unwrap();
            fs::create_dir(bench.path()).unwrap();
            fs::write(bench.path().join("seg-1-00000000000000ff"), "left behind").unwrap();
            fs::write(bench.path().join("seg-1-00000000000000fe.unfinished"), "left behind").unwrap();
            image.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
            is_right(&bench, &bench.open());
        }
    }

    #[test]
    fn leftovers_are_removed_by_the_next_to_write() {
        let bench = filled(30);
        is_right(&bench, &bench.open());
        for name in ["seg-1-00000000000000ff", "seg-1-00000000000000fe.unfinished", "manifest-1.unfinished"] {
            fs::write(bench.path().join(name), "left behind").unwrap();
        }
        let index = bench.open();
        (100..110).for_each(|id| bench.store.put(entry(id, "deploy")));
        is_right(&bench, &index);
        settle(&index);
        let listed = index.shared.state().slots.iter().filter(|slot| slot.file.is_some()).count();
        assert_eq!(bench.segments().len(), listed);
        assert!(!bench.path().join("manifest-1.unfinished").exists());
    }

    #[test]
    fn damage_anywhere_is_survived() {
        let bench = filled(24);
        is_right(&bench, &bench.open());
        let image = copied(&bench);
        let damaged = |damage: &dyn Fn(&Path, &mut Vec<u8>)| {
            for (path, bytes) in &image {
                let mut bytes = bytes.clone();
                damage(path, &mut bytes);
                // As a new file: the old one may be mapped.
                fs::remove_file(path).ok();
                fs::write(path, bytes).unwrap();
            }
            let index = bench.open();
            let mut search = asked("deploy server number3 nomber4 number");
            search.vector = Some((space("one"), vector([1, 2, 3, 4])));
            // Wrong candidates may come of it, no failure and no panic.
            block_on(index.candidates(search)).unwrap();
            (100..109).for_each(|id| bench.store.put(entry(id, "deploy")));
            block_on(index.candidates(asked(WORDS))).unwrap();
            settle(&index);
        };
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..150 {
            let (place, change) = (random.usize(..), random.u8(1..));
            damaged(&|_, bytes| {
                if !bytes.is_empty() {
                    let place = place % bytes.len();
                    bytes[place] ^= change;
                }
            });
        }
        for _ in 0..30 {
            let length = random.usize(..);
            damaged(&|_, bytes| bytes.truncate(length % (bytes.len() + 1)));
        }
        let is_segment = |path: &Path| path.to_string_lossy().contains("seg-");
        damaged(&|path, bytes| {
            if is_segment(path) {
                bytes.clear()
            }
        });
        damaged(&|path, bytes| {
            if !is_segment(path) {
                bytes.clear()
            }
        });
    }

    #[test]
    fn what_is_damaged_is_not_merged_but_made_anew() {
        let bench = filled(24);
        is_right(&bench, &bench.open());
        let path = &bench.segments()[0];
        let mut bytes = fs::read(path).unwrap();
        let word = bytes.windows(6).position(|bytes| bytes == b"server").unwrap();
        bytes[word] = b'S';
        fs::remove_file(path).unwrap();
        fs::write(path, bytes).unwrap();
        let index = bench.open();
        // Most of that segment is replaced, so that it is to be written again.
        (1..=20).for_each(|id| bench.store.put(entry(id, "deploy server")));
        ask(&index, &asked(WORDS));
        settle(&index);
        is_right(&bench, &index);
    }

    #[test]
    fn another_stores_files_are_not_believed() {
        let bench = filled(20);
        is_right(&bench, &bench.open());
        let other = filled(3);
        let index = SearchIndex::open_within(LIMITS, Some(bench.path()), "other", other.store.clone());
        is_right(&other, &index);
        drop(index);
        is_right(&bench, &bench.open());
    }

    #[test]
    fn two_processes_share_the_files() {
        let bench = filled(20);
        let (one, two) = (bench.open(), bench.open());
        is_right(&bench, &one);
        is_right(&bench, &two);
        assert!(two.shared.state().slots.iter().all(|slot| slot.file.is_some()));
        let pages = bench.store.contents().pages;
        for id in 21..=80 {
            bench.store.put(entry(id, &format!("deploy server number{id}")));
            is_right(&bench, &one);
            if id % 3 == 0 {
                is_right(&bench, &two);
            }
        }
        settle(&one);
        settle(&two);
        is_right(&bench, &one);
        is_right(&bench, &two);
        assert_eq!(bench.store.contents().pages, pages, "neither was made anew");
        assert_eq!((one.status().last_error, two.status().last_error), (None, None));
    }

    #[test]
    fn while_another_process_writes_the_tail_stays_in_memory() {
        let bench = filled(20);
        let index = bench.open();
        is_right(&bench, &index);
        let place = Place::new(bench.path(), index.shared.making.clone());
        let lock = place.lock().unwrap().unwrap();
        for id in 21..=60 {
            bench.store.put(entry(id, "deploy"));
            is_right(&bench, &index);
        }
        settle(&index);
        assert!(index.status().tail_documents >= 40);
        assert!(index.status().segments < 12, "{:?}", index.status());
        drop(lock);
        bench.store.put(entry(61, "deploy"));
        is_right(&bench, &index);
        settle(&index);
        assert!(index.status().tail_documents < LIMITS.tail_documents_max, "{:?}", index.status());
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_done_without() {
        let bench = filled(30);
        fs::write(bench.path(), "a file where the directory should be").unwrap();
        let index = bench.open();
        is_right(&bench, &index);
        for id in 31..=80 {
            bench.store.put(entry(id, "deploy"));
            is_right(&bench, &index);
        }
        settle(&index);
        assert!(matches!(index.status().backing, Backing::Unwritable(_)), "{:?}", index.status());
        assert!(index.status().last_error.is_some());
        assert!(index.status().segments < 12, "{:?}", index.status());
    }

    #[test]
    fn removed_files_are_made_again() {
        let bench = filled(30);
        let index = bench.open();
        is_right(&bench, &index);
        fs::remove_dir_all(bench.path()).unwrap();
        (31..=40).for_each(|id| bench.store.put(entry(id, "deploy")));
        is_right(&bench, &index);
        settle(&index);
        is_right(&bench, &index);
        settle(&index);
        drop(index);
        let pages = bench.store.contents().pages;
        is_right(&bench, &bench.open());
        assert_eq!(bench.store.contents().pages, pages);
    }

    #[test]
    fn closing_keeps_a_tail_that_is_worth_it() {
        let bench = filled(20);
        let index = bench.open();
        is_right(&bench, &index);
        (21..=24).for_each(|id| bench.store.put(entry(id, "deploy")));
        is_right(&bench, &index);
        drop(index);
        let index = bench.open();
        assert_eq!((index.status().seq, index.status().documents), (24, 24));
    }
}
