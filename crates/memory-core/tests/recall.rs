//! What a question is answered with.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use memory_core::episode::Outcome;
use memory_core::id::EpisodeId;
use memory_core::memory::{Memory, NewEpisode, Question};
use memory_core::port::{AnswerCache, AnswerKey, Index, Ports, StoreError};
use memory_core::retrieve::{Answer, Candidates, Filter, Found, Item, Kind, Search};
use testkit::episode::{finished, in_domain, note, ok, open};
use testkit::{InMemoryStore, Stores, TestSource};

fn memory(stores: &Stores) -> Memory {
    Memory::new(stores.ports(Arc::new(TestSource::default())), Vec::new())
}

fn question(query: &str) -> Question {
    Question { query: query.into(), filter: Filter::default(), limit: 5 }
}

fn found(answer: &Answer) -> Vec<Found> {
    answer.hits.iter().map(|hit| hit.item.found()).collect()
}

/// A memory of unrelated episodes, so that words have a rarity.
async fn furnished(stores: &Stores) -> Memory {
    let memory = memory(stores);
    let tasks = ["bake sourdough bread", "paint the garden fence", "tune an old piano", "file a tax return"];
    for task in tasks {
        memory.create(open(task)).await.unwrap();
    }
    memory
}

#[tokio::test]
async fn what_is_relevant_is_found_the_best_first_and_says_why() {
    let memory = furnished(&InMemoryStore::stores()).await;
    let login = memory.create(open("Fix the flaky login test in the web shop")).await.unwrap().id;
    let logout = memory.create(open("Add a logout button to the login page")).await.unwrap().id;
    let (hint, _) = memory.remember(note("The login test needs a fixed clock")).await.unwrap();
    let answer = memory.recall(question("why is the login test flaky?")).await.unwrap();
    assert!(answer.known);
    assert_eq!(found(&answer)[0], Found::Episode(login));
    assert!(found(&answer).contains(&Found::Note(hint)));
    assert!(!found(&answer).contains(&Found::Episode(logout)), "one common word is not relevance");
    assert_eq!(answer.hits[0].ranked.coverage, 1.0);
    assert_eq!(answer.hits[0].ranked.matched.len(), 3);
    assert!(matches!(&answer.hits[0].item, Item::Episode(head) if head.brief.task.contains("flaky")));
}

#[tokio::test]
async fn nothing_relevant_is_said_plainly() {
    let stores = InMemoryStore::stores();
    let nothing = Answer::default();
    assert_eq!(memory(&stores).recall(question("anything at all")).await.unwrap(), nothing);
    let memory = furnished(&stores).await;
    for query in
        ["kernel panic in the driver", "paint a kernel driver panic", "what should I do with it", "…?!"]
    {
        let answer = memory.recall(question(query)).await.unwrap();
        assert_eq!(answer, nothing, "{query}");
        assert!(!answer.known);
    }
}

#[tokio::test]
async fn a_question_in_another_form_of_the_words_finds_the_same() {
    let memory = furnished(&InMemoryStore::stores()).await;
    let id = memory.create(open("Cancelled the customer's reservations")).await.unwrap().id;
    for query in ["cancelling a reservation", "CANCEL RESERVATION", "reservation: cancel"] {
        assert_eq!(found(&memory.recall(question(query)).await.unwrap()), [Found::Episode(id)], "{query}");
    }
}

#[tokio::test]
async fn steps_and_summaries_can_be_asked_for_and_observations_cannot() {
    let memory = furnished(&InMemoryStore::stores()).await;
    let mut step = ok("kubectl");
    step.args = Some("rollout restart".into());
    step.observation = Some("zebra".into());
    let id = memory.create(finished("a task", Outcome::Success, vec![step])).await.unwrap().id;
    assert_eq!(found(&memory.recall(question("kubectl rollout")).await.unwrap()), [Found::Episode(id)]);
    assert_eq!(found(&memory.recall(question("zebra")).await.unwrap()), []);
}

#[tokio::test]
async fn a_filter_limits_what_is_found() {
    let memory = furnished(&InMemoryStore::stores()).await;
    let started_at = Some("2025-05-05T00:00:00Z".parse().unwrap());
    let old = NewEpisode { started_at, ..in_domain("web.shop", open("deploy service")) };
    let old = memory.create(old).await.unwrap().id;
    let done = finished("deploy service", Outcome::Failure, vec![]);
    let done = memory.create(in_domain("web", done)).await.unwrap().id;
    let (hint, _) = memory.remember(note("deploy service")).await.unwrap();
    let ask = async |filter| {
        let answer = memory.recall(Question { filter, ..question("deploy service") }).await.unwrap();
        let mut found = found(&answer);
        found.sort();
        found
    };
    let (old, done, hint) = (Found::Episode(old), Found::Episode(done), Found::Note(hint));
    assert_eq!(ask(Filter::default()).await, [old, done, hint]);
    let all = Filter::default;
    assert_eq!(ask(Filter { kinds: vec![Kind::Note], ..all() }).await, [hint]);
    assert_eq!(ask(Filter { domain: Some("web".into()), ..all() }).await, [old, done]);
    assert_eq!(ask(Filter { domain: Some("web.shop".into()), ..all() }).await, [old]);
    assert_eq!(ask(Filter { outcome: Some(Outcome::Failure), ..all() }).await, [done]);
    assert_eq!(ask(Filter { until: started_at, ..all() }).await, []);
    let until = Some("2025-12-31T00:00:00Z".parse().unwrap());
    assert_eq!(ask(Filter { since: started_at, until, ..all() }).await, [old], "when it happened");
    assert_eq!(ask(Filter { project: Some("none".into()), ..all() }).await, []);
}

#[tokio::test]
async fn no_more_is_given_than_was_asked_for() {
    let memory = memory(&InMemoryStore::stores());
    for _ in 0..10 {
        memory.create(open("deploy service")).await.unwrap();
    }
    for limit in [1, 7] {
        let answer = memory.recall(Question { limit, ..question("deploy service") }).await.unwrap();
        assert_eq!(answer.hits.len(), limit);
    }
}

#[tokio::test]
async fn the_same_question_has_the_same_answer_in_the_same_order() {
    let memory = memory(&InMemoryStore::stores());
    for _ in 0..10 {
        memory.create(open("deploy service")).await.unwrap();
    }
    let first = memory.recall(question("deploy service")).await.unwrap();
    assert_eq!(memory.recall(question("deploy service")).await.unwrap(), first);
}

/// Keeps every answer, and what it was asked.
#[derive(Default)]
struct Keeper(Mutex<Vec<(AnswerKey, u64, Answer)>>);

#[async_trait]
impl AnswerCache for Keeper {
    async fn get(&self, key: &AnswerKey, seq: u64) -> Option<Answer> {
        let kept = self.0.lock().unwrap();
        kept.iter().find(|(of, at, _)| of == key && *at == seq).map(|(_, _, answer)| answer.clone())
    }

    async fn put(&self, key: &AnswerKey, seq: u64, answer: &Answer) {
        self.0.lock().unwrap().push((key.clone(), seq, answer.clone()));
    }
}

fn cached(stores: &Stores, keeper: &Arc<Keeper>) -> Memory {
    let ports = stores.ports(Arc::new(TestSource::default()));
    Memory::new(Ports { answers: keeper.clone(), ..ports }, Vec::new())
}

#[tokio::test]
async fn an_answer_is_kept_until_something_changes() {
    let stores = InMemoryStore::stores();
    let keeper = Arc::new(Keeper::default());
    let memory = cached(&stores, &keeper);
    let one = memory.create(open("deploy service")).await.unwrap().id;
    let kept = || keeper.0.lock().unwrap().len();
    for _ in 0..3 {
        assert_eq!(found(&memory.recall(question("deploy service")).await.unwrap()), [Found::Episode(one)]);
        assert_eq!(kept(), 1);
    }
    let filter = Filter { outcome: Some(Outcome::Success), ..Filter::default() };
    let other = Question { filter, ..question("deploy service") };
    assert_eq!(found(&memory.recall(other).await.unwrap()), [], "another question");
    let two = memory.create(open("deploy service")).await.unwrap().id;
    let mut found = found(&memory.recall(question("deploy service")).await.unwrap());
    found.sort();
    assert_eq!(found, [one, two].map(Found::Episode), "the store changed");
}

#[tokio::test]
async fn a_secret_in_a_question_is_not_kept() {
    let keeper = Arc::new(Keeper::default());
    let secret = ["AKIA", "IOSFODNN", "7EXAMPLE"].concat();
    let memory = cached(&InMemoryStore::stores(), &keeper);
    memory.recall(question(&format!("deploy with {secret}"))).await.unwrap();
    let kept = format!("{:?}", keeper.0.lock().unwrap());
    assert!(kept.contains("deploy with") && !kept.contains(&secret), "{kept}");
}

/// An index during whose search another process stores an episode.
struct Busy {
    inner: Arc<dyn Index>,
    other: Memory,
    stored: Mutex<Vec<EpisodeId>>,
}

#[async_trait]
impl Index for Busy {
    async fn candidates(&self, search: Search) -> Result<Candidates, StoreError> {
        let candidates = self.inner.candidates(search).await;
        let created = self.other.create(open("deploy service")).await.unwrap();
        self.stored.lock().unwrap().push(created.id);
        candidates
    }

    async fn items(&self, found: Vec<Found>) -> Result<Vec<Item>, StoreError> {
        self.inner.items(found).await
    }
}

#[tokio::test]
async fn an_answer_overtaken_by_a_change_is_not_kept() {
    let stores = InMemoryStore::stores();
    let busy = Busy { inner: stores.index.clone(), other: memory(&stores), stored: Mutex::default() };
    let keeper = Arc::new(Keeper::default());
    let memory = cached(&Stores { index: Arc::new(busy), ..stores }, &keeper);
    memory.recall(question("deploy service")).await.unwrap();
    assert!(keeper.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_way_of_a_similar_success_is_told_and_unlike_tasks_give_no_advice() {
    let memory = furnished(&InMemoryStore::stores()).await;
    let steps = vec![ok("look"), ok("patch"), ok("test")];
    let done = finished("fix the flaky login test", Outcome::Success, steps);
    let id = memory.create(done).await.unwrap().id;
    let advice = memory.recall(question("flaky login test")).await.unwrap().advice;
    assert_eq!(advice.steps[0].text, "in a similar success: look → patch → test");
    assert_eq!(advice.steps[0].evidence, [id]);
    let rate = advice.success_rate.unwrap();
    assert!(rate.episodes == 1 && rate.low < 0.5 && rate.high > 0.9, "{rate:?}");
    let query = "login test driver kernel scheduler deadlock interrupt";
    let unlike = memory.recall(question(query)).await.unwrap();
    assert_eq!(unlike.advice, Default::default());
}
