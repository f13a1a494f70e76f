//! What a model in use adds to recall: what is found by its meaning, when, and what happens where the model fails.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use memory_core::episode::Outcome;
use memory_core::memory::{Memory, NewEnding, Question};
use memory_core::port::{Embedded, Ports, Semantics, Space};
use memory_core::retrieve::{Answer, Found};
use memory_core::vector::Vector;
use testkit::episode::{finished, note, open};
use testkit::{InMemoryStore, KeepingCache, Stores, TestSource};

/// What the texts of these tests may be about.
const TOPICS: [&[&str]; 3] = [&["postgres", "database"], &["holiday", "vacation"], &["tls", "certificate"]];

/// A model to which texts mean the same if they are of one topic. It gives what was written its vectors when it is
/// waited for, and not before.
struct Topics {
    stores: Stores,
    written: Mutex<BTreeSet<Found>>,
    is_broken: AtomicBool,
}

fn space() -> Space {
    Space { name: "topics".into(), dimensions: TOPICS.len() + 1 }
}

fn meaning(text: &str) -> Vector {
    let text = text.to_lowercase();
    let about = TOPICS.map(|words| f32::from(u8::from(words.iter().any(|word| text.contains(word)))));
    let about_nothing = f32::from(u8::from(about == [0.0; TOPICS.len()]));
    Vector::new(&[&about[..], &[about_nothing]].concat())
}

impl Topics {
    fn over(stores: &Stores) -> Arc<Self> {
        Arc::new(Self {
            stores: stores.clone(),
            written: Mutex::default(),
            is_broken: AtomicBool::new(false),
        })
    }
}

#[async_trait]
impl Semantics for Topics {
    fn space(&self) -> Option<Space> {
        Some(space())
    }

    async fn query_vector(&self, query: &str) -> Option<(Space, Vector)> {
        (!self.is_broken.load(SeqCst)).then(|| (space(), meaning(query)))
    }

    fn written(&self, found: Found) {
        self.written.lock().unwrap().insert(found);
    }

    async fn settled(&self) {
        let written = std::mem::take(&mut *self.written.lock().unwrap());
        let entries = self.stores.corpus.entries(written.into_iter().collect(), None).await.unwrap();
        let embedded = entries.into_iter().map(|entry| {
            let passages = entry.document.passages.iter();
            let vectors =
                passages.map(|passage| Some((passage.fingerprint()?, meaning(passage.text.as_ref()?))));
            Embedded { found: entry.found, vectors: vectors.collect() }
        });
        self.stores.vectors.put_vectors(space(), embedded.collect()).await.unwrap();
        let seq = self.stores.changes.change_seq().await.unwrap();
        let is_new = self.stores.vectors.spaces().await.unwrap().iter().all(|state| state.seq != Some(seq));
        if is_new {
            self.stores.vectors.complete_space(space(), seq).await.unwrap();
        }
    }
}

struct Scene {
    memory: Memory,
    model: Arc<Topics>,
    answers: Arc<KeepingCache>,
}

impl Scene {
    fn new() -> Self {
        let stores = InMemoryStore::stores();
        let (model, answers) = (Topics::over(&stores), Arc::new(KeepingCache::default()));
        let ports = stores.ports(Arc::new(TestSource::default()));
        let ports = Ports { semantics: model.clone(), answers: answers.clone(), ..ports };
        Self { memory: Memory::new(ports, Vec::new()), model, answers }
    }

    async fn ask(&self, query: &str) -> Answer {
        let question = Question { query: query.into(), limit: 5, ..Question::default() };
        self.memory.recall(question).await.unwrap()
    }

    async fn found(&self, query: &str) -> Vec<Found> {
        self.ask(query).await.hits.iter().map(|hit| hit.item.found()).collect()
    }
}

#[tokio::test]
async fn what_was_just_remembered_is_found_by_its_meaning_by_the_next_question() {
    let scene = Scene::new();
    let (leave, _) = scene.memory.remember(note("Anna is on vacation in June")).await.unwrap();
    assert_eq!(scene.found("who takes holidays").await, [Found::Note(leave)]);
    let (wal, _) = scene.memory.remember(note("Postgres writes ahead")).await.unwrap();
    let answer = scene.ask("which database is durable").await;
    assert_eq!(answer.hits[0].item.found(), Found::Note(wal));
    assert!(answer.by_meaning && answer.hits[0].ranked.evidence.matched.is_empty());
    assert!(answer.hits[0].ranked.evidence.meaning.unwrap() > 0.9);
}

#[tokio::test]
async fn an_episode_is_found_by_the_meaning_of_its_task_and_once_it_is_completed_of_its_summary() {
    let scene = Scene::new();
    let whole =
        scene.memory.create(finished("Renew the certificate", Outcome::Success, vec![])).await.unwrap();
    assert_eq!(scene.found("tls trouble").await, [Found::Episode(whole.id)]);
    let grown = scene.memory.create(open("Slow page")).await.unwrap();
    assert_eq!(scene.found("database").await, []);
    let summary = Some("An index was missing in postgres".into());
    scene.memory.complete(grown.id, NewEnding { summary, ..NewEnding::default() }).await.unwrap();
    assert_eq!(scene.found("database").await, [Found::Episode(grown.id)]);
}

#[tokio::test]
async fn a_new_episode_is_told_of_those_that_mean_the_same() {
    let scene = Scene::new();
    let earlier = scene.memory.create(open("Tune postgres")).await.unwrap();
    let later = scene.memory.create(open("Make our database faster")).await.unwrap();
    assert_eq!(later.similar[0].item.found(), Found::Episode(earlier.id));
}

#[tokio::test]
async fn an_answer_without_the_model_that_is_in_use_is_given_and_not_kept() {
    let scene = Scene::new();
    let (wal, _) = scene.memory.remember(note("Postgres writes ahead")).await.unwrap();
    scene.model.is_broken.store(true, SeqCst);
    let by_words = scene.ask("postgres").await;
    assert!(!by_words.by_meaning && by_words.known);
    assert!(!scene.ask("which database").await.known);
    assert_eq!(scene.answers.questions(), []);
    scene.model.is_broken.store(false, SeqCst);
    assert_eq!(scene.found("which database").await, [Found::Note(wal)]);
    assert_eq!(scene.found("which database").await, [Found::Note(wal)]);
    assert_eq!(scene.answers.questions().len(), 1);
}
