//! A small store and models that do as they are told, for the tests of the service.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use memory_core::id::NoteId;
use memory_core::port::{
    Change, EmbedError, Embedded, Embedder, Purpose, Space, SpaceState, StoreError, VectorStore,
};
use memory_core::retrieve::Found;
use memory_core::search::{Corpus, Document, Entry, Passage, Standing};
use memory_core::vector::Vector;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::active::Active;
use crate::chosen::{Choice, Models};
use crate::endpoint::{Api, Endpoint};
use crate::library::Library;
use crate::manifest::{Manifest, Origin};

pub(crate) fn note(id: u128) -> Found {
    Found::Note(NoteId(Uuid::from_u128(id)))
}

/// Waits until something is so; a minute of no progress means that it never will be.
pub(crate) async fn until(so: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to be");
}

/// Lets pass the time in which everything happens that happens by itself.
pub(crate) async fn a_while() {
    tokio::time::sleep(Duration::from_secs(20)).await;
}

#[derive(Default)]
pub(crate) struct Store(Mutex<Contents>);

type Vectors = Vec<Option<(u64, Vector)>>;

#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) seq: u64,
    pub(crate) changes: Vec<Change>,
    pub(crate) things: BTreeMap<Found, Vec<String>>,
    pub(crate) vectors: HashMap<Space, BTreeMap<Found, Vectors>>,
    pub(crate) states: Vec<SpaceState>,
    leases: HashMap<Space, (Uuid, Timestamp)>,
    /// How many of ten calls fail, and what chooses them.
    pub(crate) fails: Option<(usize, fastrand::Rng)>,
    /// How often progress was written down.
    pub(crate) completions: usize,
}

impl Contents {
    fn change(&mut self, found: Found) {
        self.seq += 1;
        self.changes.push(Change { seq: self.seq, found });
    }

    fn entry(&self, found: Found, texts: &[String], space: Option<&Space>) -> Entry {
        let passage = |text: &String| Passage { text: Some(text.clone()), ..Passage::default() };
        let document = Document { passages: texts.iter().map(passage).collect() };
        let there = space.and_then(|space| self.vectors.get(space)?.get(&found));
        let vector = |(place, passage): (usize, &Passage)| {
            let (of, vector) = there?.get(place)?.as_ref()?;
            (Some(*of) == passage.fingerprint()).then(|| vector.clone())
        };
        let vectors = document.passages.iter().enumerate().map(vector).collect();
        let (scope, at) = (Default::default(), Timestamp::UNIX_EPOCH);
        Entry { found, scope, at, outcome: None, retired: None, document, vectors }
    }

    pub(crate) fn serving(&self) -> Option<Space> {
        self.states.iter().find(|state| state.serves).map(|state| state.space.clone())
    }
}

impl Store {
    pub(crate) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap()
    }

    fn called(&self) -> Result<MutexGuard<'_, Contents>, StoreError> {
        let mut contents = self.contents();
        if contents.fails.as_mut().is_some_and(|(in_ten, chance)| chance.usize(0..10) < *in_ten) {
            Err(StoreError::Busy)
        } else {
            Ok(contents)
        }
    }

    pub(crate) fn write(&self, id: u128, texts: &[&str]) -> Found {
        let mut contents = self.contents();
        contents.things.insert(note(id), texts.iter().map(|text| (*text).to_owned()).collect());
        contents.change(note(id));
        note(id)
    }

    /// Writes notes whose texts are "note 1" and so on.
    pub(crate) fn write_notes(&self, ids: impl IntoIterator<Item = u128>) {
        for id in ids {
            self.write(id, &[&format!("note {id}")]);
        }
    }

    pub(crate) fn delete(&self, id: u128) {
        let mut contents = self.contents();
        contents.things.remove(&note(id));
        contents.vectors.values_mut().for_each(|vectors| drop(vectors.remove(&note(id))));
        contents.change(note(id));
    }

    /// How many things lack a vector of the space that serves.
    pub(crate) fn lacking(&self) -> usize {
        let contents = self.contents();
        let space = contents.serving();
        let entries =
            contents.things.iter().map(|(found, texts)| contents.entry(*found, texts, space.as_ref()));
        entries.filter(|entry| entry.vectors.iter().any(Option::is_none)).count()
    }
}

#[async_trait]
impl Corpus for Store {
    async fn standing(&self) -> Result<Standing, StoreError> {
        let contents = self.called()?;
        Ok(Standing { seq: contents.seq, space: contents.serving() })
    }

    async fn changed_after(&self, seq: u64, max: usize) -> Result<Option<Vec<Change>>, StoreError> {
        let contents = self.called()?;
        let forgotten =
            contents.changes.first().is_none_or(|first| first.seq > seq + 1) && contents.seq > seq;
        let after = contents.changes.iter().filter(|change| change.seq > seq).take(max).copied();
        Ok((!forgotten).then(|| after.collect()))
    }

    async fn entries(&self, found: Vec<Found>, space: Option<Space>) -> Result<Vec<Entry>, StoreError> {
        let contents = self.called()?;
        let there = found.iter().filter_map(|found| contents.things.get_key_value(found));
        Ok(there.map(|(found, texts)| contents.entry(*found, texts, space.as_ref())).collect())
    }

    async fn page(
        &self,
        after: Option<Found>,
        max: usize,
        space: Option<Space>,
    ) -> Result<Vec<Entry>, StoreError> {
        let contents = self.called()?;
        let rest = contents.things.iter().filter(|(found, _)| after.is_none_or(|after| **found > after));
        Ok(rest.take(max).map(|(found, texts)| contents.entry(*found, texts, space.as_ref())).collect())
    }
}

#[async_trait]
impl VectorStore for Store {
    async fn spaces(&self) -> Result<Vec<SpaceState>, StoreError> {
        Ok(self.called()?.states.clone())
    }

    async fn put_vectors(&self, space: Space, vectors: Vec<Embedded>) -> Result<(), StoreError> {
        let mut contents = self.called()?;
        if !contents.states.iter().any(|state| state.space == space) {
            contents.states.push(SpaceState { space: space.clone(), serves: false, seq: None });
        }
        let serves = contents.serving().as_ref() == Some(&space);
        for Embedded { found, vectors } in vectors {
            if contents.things.contains_key(&found) {
                contents.vectors.entry(space.clone()).or_default().insert(found, vectors);
                if serves {
                    contents.change(found);
                }
            }
        }
        Ok(())
    }

    async fn complete_space(&self, space: Space, seq: u64) -> Result<(), StoreError> {
        let mut contents = self.called()?;
        if !contents.states.iter().any(|state| state.space == space) {
            return Err(StoreError::NotFound);
        }
        contents.completions += 1;
        contents.vectors.retain(|of, _| *of == space);
        contents.states = vec![SpaceState { space, serves: true, seq: Some(seq) }];
        Ok(())
    }

    async fn hold_space(
        &self,
        space: Space,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut contents = self.called()?;
        if contents.leases.get(&space).is_some_and(|(theirs, until)| *theirs != holder && *until > now) {
            return Ok(false);
        }
        contents.leases.insert(space, (holder, until));
        Ok(true)
    }
}

/// An embedder that embeds passages when it is let.
pub(crate) struct FakeEmbedder {
    space: Space,
    /// Calls with passages that may be answered.
    pub(crate) gate: Semaphore,
    /// The passages that were embedded, in order.
    pub(crate) seen: Mutex<Vec<String>>,
    /// Calls with passages that came.
    pub(crate) calls: AtomicU64,
    pub(crate) fails: Mutex<Option<EmbedError>>,
    /// A text that is refused.
    pub(crate) refuses: Mutex<Option<String>>,
}

pub(crate) const OPEN: usize = 1_000_000;

impl FakeEmbedder {
    pub(crate) fn open(&self) {
        self.gate.add_permits(OPEN);
    }

    pub(crate) fn close(&self) {
        self.gate.forget_permits(OPEN);
    }

    pub(crate) fn fail(&self, error: Option<EmbedError>) {
        *self.fails.lock().unwrap() = error;
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Embedder for FakeEmbedder {
    fn space(&self) -> &Space {
        &self.space
    }

    async fn embed(&self, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        if purpose == Purpose::Passage {
            self.calls.fetch_add(1, Ordering::SeqCst);
            self.gate.acquire().await.unwrap().forget();
            // Others have their turns meanwhile.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if let Some(error) = self.fails.lock().unwrap().clone() {
            return Err(error);
        }
        let refuses = self.refuses.lock().unwrap().clone();
        if refuses.is_some_and(|refused| texts.contains(&refused)) {
            return Err(EmbedError::Refused("too long".into()));
        }
        let vectors = texts.iter().map(|text| vec![1.0, text.len() as f32]).collect();
        if purpose == Purpose::Passage {
            self.seen.lock().unwrap().extend(texts);
        }
        Ok(vectors)
    }
}

/// The models of one process.
#[derive(Default)]
pub(crate) struct FakeModels {
    pub(crate) chosen: Mutex<Option<Choice>>,
    embedders: Mutex<Vec<(Choice, Arc<FakeEmbedder>)>>,
}

impl FakeModels {
    /// Adds a local model whose gate is open.
    pub(crate) fn add(&self, name: &str) -> Arc<FakeEmbedder> {
        self.add_from(name, Origin::Directory("/nowhere".into()))
    }

    pub(crate) fn add_remote(&self, name: &str) -> Arc<FakeEmbedder> {
        let (url, model) = ("http://nowhere".into(), name.into());
        self.add_from(name, Origin::Endpoint(Endpoint { url, api: Api::OpenAi, model, key_env: None }))
    }

    fn add_from(&self, name: &str, origin: Origin) -> Arc<FakeEmbedder> {
        let manifest = Manifest { name: name.parse().unwrap(), dimensions: 2, origin, files: Vec::new() };
        let choice = Choice::new(Active::Listed { manifest, library: Library::new("/nowhere".into()) });
        let embedder = Arc::new(FakeEmbedder {
            space: Space { name: format!("{name}@0"), dimensions: 2 },
            gate: Semaphore::new(OPEN),
            seen: Mutex::default(),
            calls: AtomicU64::default(),
            fails: Mutex::default(),
            refuses: Mutex::default(),
        });
        self.embedders.lock().unwrap().push((choice, embedder.clone()));
        embedder
    }

    pub(crate) fn put_in_use(&self, name: Option<&str>) {
        let named = |name: &str| {
            let embedders = self.embedders.lock().unwrap();
            embedders.iter().find(|(choice, _)| choice.name() == name).unwrap().0.clone()
        };
        *self.chosen.lock().unwrap() = name.map(named);
    }
}

impl Models for FakeModels {
    fn chosen(&self) -> Result<Option<Choice>, String> {
        Ok(self.chosen.lock().unwrap().clone())
    }

    fn open(&self, choice: &Choice) -> Result<Arc<dyn Embedder>, String> {
        let embedders = self.embedders.lock().unwrap();
        Ok(embedders.iter().find(|(of, _)| of == choice).unwrap().1.clone())
    }

    fn all(&self) -> Vec<Choice> {
        self.embedders.lock().unwrap().iter().map(|(choice, _)| choice.clone()).collect()
    }
}
