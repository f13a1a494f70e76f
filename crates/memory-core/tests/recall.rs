//! What a question is answered with.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{Timestamp, ToSpan};
use memory_core::episode::{Outcome, Scope};
use memory_core::id::NoteId;
use memory_core::memory::{Memory, NewEpisode, NewNote, Question};
use memory_core::port::{Ports, StoreError};
use memory_core::retrieve::{Answer, Filter, Found, Item, Kind, LeftOut, Reason};
use memory_core::search::{Candidates, Search, SearchIndex};
use testkit::episode::{finished, in_domain, note, ok, open};
use testkit::{InMemoryStore, KeepingCache, Stores, TestSource};

fn memory(stores: &Stores) -> Memory {
    Memory::new(stores.ports(Arc::new(TestSource::default())), Vec::new())
}

fn question(query: &str) -> Question {
    Question { query: query.into(), filter: Filter::default(), limit: 5, explain: false }
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
    assert_eq!(answer.hits[0].ranked.evidence.matched.len(), 3);
    assert!(matches!(&answer.hits[0].item, Item::Episode(head) if head.brief.task.contains("flaky")));
}

#[tokio::test]
async fn nothing_relevant_is_said_plainly() {
    let stores = InMemoryStore::stores();
    let nothing = Answer::default();
    assert_eq!(memory(&stores).recall(question("anything at all")).await.unwrap(), nothing);
    let memory = furnished(&stores).await;
    for query in ["kernel panic in the driver", "what should I do with it", "…?!"] {
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

fn cached(stores: &Stores, keeper: &Arc<KeepingCache>) -> Memory {
    let ports = stores.ports(Arc::new(TestSource::default()));
    Memory::new(Ports { answers: keeper.clone(), ..ports }, Vec::new())
}

#[tokio::test]
async fn an_answer_is_kept_until_something_changes() {
    let stores = InMemoryStore::stores();
    let keeper = Arc::new(KeepingCache::default());
    let memory = cached(&stores, &keeper);
    let one = memory.create(open("deploy service")).await.unwrap().id;
    let kept = || keeper.questions().len();
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
    let keeper = Arc::new(KeepingCache::default());
    let secret = ["AKIA", "IOSFODNN", "7EXAMPLE"].concat();
    let memory = cached(&InMemoryStore::stores(), &keeper);
    memory.recall(question(&format!("deploy with {secret}"))).await.unwrap();
    let kept = format!("{:?}", keeper.questions());
    assert!(kept.contains("deploy with") && !kept.contains(&secret), "{kept}");
}

/// An index during whose search another process stores an episode.
struct Busy {
    inner: Arc<dyn SearchIndex>,
    other: Memory,
}

#[async_trait]
impl SearchIndex for Busy {
    async fn candidates(&self, search: Search) -> Result<Candidates, StoreError> {
        let candidates = self.inner.candidates(search).await;
        self.other.create(open("deploy service")).await.unwrap();
        candidates
    }
}

#[tokio::test]
async fn an_answer_overtaken_by_a_change_is_not_kept() {
    let stores = InMemoryStore::stores();
    let ports = stores.ports(Arc::new(TestSource::default()));
    let keeper = Arc::new(KeepingCache::default());
    let busy = Busy { inner: ports.index.clone(), other: memory(&stores) };
    let memory = Memory::new(Ports { index: Arc::new(busy), answers: keeper.clone(), ..ports }, Vec::new());
    memory.recall(question("deploy service")).await.unwrap();
    assert!(keeper.questions().is_empty());
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
    assert_eq!(advice.success, None, "the episode was not studied yet");
    for task in ["trace the kernel", "write a driver", "tune the scheduler", "find the deadlock"] {
        memory.create(open(task)).await.unwrap();
    }
    let query = "test the kernel driver for a scheduler deadlock";
    let unlike = memory.recall(question(query)).await.unwrap();
    assert_eq!(unlike.advice, Default::default());
}

/// A memory whose time can be set.
fn timed(stores: &Stores) -> (Memory, Arc<TestSource>) {
    let source = Arc::new(TestSource::default());
    (Memory::new(stores.ports(source.clone()), Vec::new()), source)
}

fn at(source: &TestSource, time: &str) -> Timestamp {
    let time = time.parse().unwrap();
    source.set(time);
    time
}

fn replacing(id: NoteId, text: &str) -> NewNote {
    NewNote { supersedes: vec![id.to_string()], ..note(text) }
}

#[tokio::test]
async fn what_was_superseded_is_told_only_for_the_time_when_it_was_current() {
    let (memory, source) = timed(&InMemoryStore::stores());
    let first_day = at(&source, "2026-03-01T12:00:00Z");
    let (old, _) = memory.remember(note("Releases happen on Tuesday")).await.unwrap();
    let between = at(&source, "2026-03-05T12:00:00Z");
    let second_day = at(&source, "2026-03-09T12:00:00Z");
    let (new, _) = memory.remember(replacing(old, "Releases were moved to Friday")).await.unwrap();
    let ask = async |until| {
        let filter = Filter { until, ..Filter::default() };
        memory.recall(Question { filter, ..question("when do releases happen") }).await.unwrap()
    };
    let now = ask(None).await;
    assert_eq!(found(&now), [Found::Note(new)]);
    assert_eq!(now.hits[0].ranked.retired, None);
    let then = ask(Some(between)).await;
    assert_eq!(found(&then), [Found::Note(old)]);
    assert_eq!(then.hits[0].ranked.retired, Some(second_day), "and since when it holds no longer");
    assert!(!ask(Some(first_day)).await.known, "nothing was known before");
    assert_eq!(found(&ask(Some(second_day + 1.second())).await), [Found::Note(new)]);
}

#[tokio::test]
async fn explain_tells_what_was_left_out_and_why() {
    let (memory, source) = timed(&InMemoryStore::stores());
    let remember = async |new: NewNote| {
        source.advance(jiff::SignedDuration::from_secs(60));
        Found::Note(memory.remember(new).await.unwrap().0)
    };
    for n in 0..30 {
        // In a scope of their own, as notes of one scope may be a sequence.
        let scope = Scope { domain: Some("handbook".into()), project: None };
        let chapter = note(&format!("Chapter {n} of the handbook is about some server"));
        remember(NewNote { scope, ..chapter }).await;
    }
    let Found::Note(stored) = remember(note("The staging server was a laptop")).await else { panic!() };
    let successor = remember(replacing(stored, "The staging server runs in a rack")).await;
    let outdated = remember(note("The port of the staging server is 8080")).await;
    let port = remember(note("The port of the staging server is 9090")).await;
    let told = remember(note("The staging server needs the VPN.")).await;
    let again = remember(note("the staging server needs a VPN")).await;
    let ask = async |limit, explain| {
        memory.recall(Question { limit, explain, ..question("staging server") }).await.unwrap()
    };
    let plain = ask(5, false).await;
    assert_eq!(plain.left_out, []);
    let explained = ask(5, true).await;
    assert_eq!(found(&plain), found(&explained), "explaining changes no hit");
    let reason = |answer: &Answer, found: Found| {
        let left_out = answer.left_out.iter().find(|left_out| left_out.item.found() == found);
        left_out.map(|left_out| left_out.reason)
    };
    assert_eq!(reason(&explained, Found::Note(stored)), Some(Reason::Superseded(None)));
    assert_eq!(reason(&explained, outdated), Some(Reason::Superseded(Some(port))));
    let scores: Vec<f64> = explained.left_out.iter().map(|left_out| left_out.ranked.score).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "the best first: {scores:?}");
    let (kept, repeated) = if found(&explained).contains(&told) { (told, again) } else { (again, told) };
    assert_eq!(reason(&explained, repeated), Some(Reason::Duplicate(kept)));
    let is_weak =
        |left_out: &LeftOut| matches!(&left_out.item, Item::Note(note) if note.text.starts_with("Chapter"));
    assert!(explained.left_out.iter().any(|left_out| is_weak(left_out) && left_out.reason == Reason::Weak));
    let mut hits = found(&explained);
    hits.sort();
    let mut expected = vec![successor, port, kept];
    expected.sort();
    assert_eq!(hits, expected);
    let short = ask(1, true).await;
    assert_eq!(short.hits.len(), 1);
    assert_eq!(short.left_out.iter().filter(|left_out| left_out.reason == Reason::Limit).count(), 2);
}

#[tokio::test]
async fn what_was_current_then_is_not_told_as_left_out_too() {
    let (memory, source) = timed(&InMemoryStore::stores());
    let mut kept = Vec::new();
    for (day, text) in
        [(1, "Releases happen on Tuesday"), (3, "Releases happen on Monday"), (5, "Releases stopped")]
    {
        at(&source, &format!("2026-03-0{day}T12:00:00Z"));
        let supersedes = kept.last().map(NoteId::to_string).into_iter().collect();
        kept.push(memory.remember(NewNote { supersedes, ..note(text) }).await.unwrap().0);
    }
    let filter = Filter { until: Some("2026-03-04T12:00:00Z".parse().unwrap()), ..Filter::default() };
    let question = Question { filter, explain: true, ..question("when do releases happen") };
    let answer = memory.recall(question).await.unwrap();
    assert_eq!(found(&answer), [Found::Note(kept[1])]);
    let left_out: Vec<Found> = answer.left_out.iter().map(|left_out| left_out.item.found()).collect();
    assert_eq!(left_out, [Found::Note(kept[0])]);
}

#[tokio::test]
async fn the_day_that_is_named_counts_and_does_not_cut_off_the_others() {
    let (memory, source) = timed(&InMemoryStore::stores());
    let mut days = Vec::new();
    for day in 1..=5 {
        at(&source, &format!("2026-05-0{day}T09:00:00Z"));
        days.push(memory.create(open("deploy of the shop failed")).await.unwrap().id);
    }
    at(&source, "2026-05-06T18:00:00Z");
    let ask = async |query: &str| found(&memory.recall(question(query)).await.unwrap());
    for (query, first) in [
        ("which deploy failed yesterday", days[4]),
        ("which deploy failed on 2026-05-02", days[1]),
        ("the deploy that failed 3 days ago", days[2]),
    ] {
        let found = ask(query).await;
        assert_eq!((found[0], found.len()), (Found::Episode(first), 5), "{query}");
    }
}

#[tokio::test]
async fn yesterday_is_another_day_tomorrow() {
    let stores = InMemoryStore::stores();
    let (source, answers) = (Arc::new(TestSource::default()), Arc::new(KeepingCache::default()));
    let ports = Ports { answers: answers.clone(), ..stores.ports(source.clone()) };
    let memory = Memory::new(ports, Vec::new());
    let mut days = Vec::new();
    for day in 1..=3 {
        at(&source, &format!("2026-05-0{day}T09:00:00Z"));
        days.push(Found::Episode(memory.create(open("deploy of the shop failed")).await.unwrap().id));
    }
    let ask = async || found(&memory.recall(question("which deploy failed yesterday")).await.unwrap())[0];
    assert_eq!(ask().await, days[1]);
    at(&source, "2026-05-03T23:00:00Z");
    assert_eq!(ask().await, days[1]);
    assert_eq!(answers.questions().len(), 1, "on one day it is one question");
    at(&source, "2026-05-04T00:30:00Z");
    assert_eq!(ask().await, days[2]);
}
