//! What is learned is the same in whatever order, in whatever batches and by however many processes it was recorded.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;

use jiff::SignedDuration;
use memory_core::episode::{EpisodeHead, NewStep, Outcome, Scope};
use memory_core::extract::{Course, Registry, attempt_keys};
use memory_core::id::{EpisodeId, JobId, PatternId};
use memory_core::job::{Job, NewJob, Priority};
use memory_core::memory::{NewEnding, NewEpisode};
use memory_core::pattern::{Fields, Pattern, Tally};
use memory_core::port::{
    Attempted, Choices, EpisodeStore, ExperienceStore, Insertion, Listing, PatternStore, Replacement, Source,
    StoreHealth, Studied,
};
use storage_turso::TursoStore;
use testkit::TestSource;
use testkit::episode::{called, failed, finished, in_domain, insertion, numbered, ok};

const EPISODES: usize = 300;
const BATCH: usize = 64;
const TOOLS: [&str; 4] = ["bash", "edit", "look", "pytest"];
const ARGS: [&str; 3] = ["pytest tests/test_a.py", "make all", "src/main.rs"];

fn pick<T: Copy>(dice: &mut fastrand::Rng, from: &[T]) -> T {
    from[dice.usize(..from.len())]
}

fn step(dice: &mut fastrand::Rng) -> NewStep {
    let tool = pick(dice, &TOOLS);
    let call = match dice.u8(..4) {
        0 => failed(tool, pick(dice, &["KeyError: 'a'", "no such file", "timed out"])),
        _ => ok(tool),
    };
    called(pick(dice, &ARGS), call)
}

/// Episodes of a few tasks in a few domains, spread over three years.
fn generated(source: &TestSource, count: usize, seed: u64) -> Vec<Insertion> {
    let mut dice = fastrand::Rng::with_seed(seed);
    let one = |_| {
        let steps = (0..dice.usize(..12)).map(|_| step(&mut dice)).collect();
        let task = format!("task {}", dice.usize(..count / 4));
        let new = finished(&task, pick(&mut dice, &Outcome::ALL), steps);
        let ago = SignedDuration::from_hours(dice.i64(0..3 * 365 * 24));
        let new = NewEpisode { started_at: Some(source.now() - ago), ..new };
        insertion(
            source,
            pick(&mut dice, &[None, Some("a"), Some("a.b"), Some("b")])
                .map_or(new.clone(), |domain| in_domain(domain, new)),
        )
    };
    (0..count).map(one).collect()
}

fn studied(source: &TestSource, insertion: &Insertion) -> Studied {
    let episode = &insertion.episode;
    let job =
        Job { id: JobId(source.id()), episode_id: episode.head.id, priority: Priority::Normal, attempt: 1 };
    Studied { job, teaching: Some(Registry::default().study(episode, source.now())) }
}

async fn open(path: &Path) -> TursoStore {
    TursoStore::open(path).await.expect("a database")
}

/// Everything that a store tells of what it learned.
struct Told {
    patterns: Vec<Pattern>,
    fields: Fields,
    choices: Vec<Vec<Choices>>,
    attempts: Vec<Attempted>,
}

impl Told {
    async fn by(store: &TursoStore) -> Self {
        let listing = Listing { max: 100_000, ..Listing::default() };
        let mut choices = Vec::new();
        for domain in [None, Some("a"), Some("a.b"), Some("b"), Some("c")] {
            let domain = domain.map(str::to_owned);
            choices.push(store.choices(domain, states()).await.expect("choices"));
        }
        let calls = ARGS.iter().flat_map(|args| TOOLS.map(|tool| called(args, ok(tool))));
        let keys =
            calls.filter_map(|call| attempt_keys(&call)).flat_map(|(exact, shape)| [exact, shape]).collect();
        Self {
            patterns: store.list(listing).await.expect("a list"),
            fields: store.fields().await.expect("fields"),
            choices,
            attempts: store.attempts(keys, Scope::default(), 100_000).await.expect("attempts"),
        }
    }

    #[track_caller]
    fn assert_is(&self, other: &Self) {
        let names = |told: &Self| told.patterns.iter().map(|pattern| pattern.id).collect::<Vec<PatternId>>();
        assert_eq!(names(self), names(other));
        for (one, other) in self.patterns.iter().zip(&other.patterns) {
            assert_eq!((&one.body, one.last_seen), (&other.body, other.last_seen));
            assert_tally(&one.tally, &other.tally);
        }
        assert_eq!(self.fields.0.len(), other.fields.0.len());
        for (one, other) in self.fields.0.iter().zip(&other.fields.0) {
            assert_eq!((&one.domain, one.measure), (&other.domain, other.measure));
            assert_tally(&one.base, &other.base);
            assert!(is_near(one.strength, other.strength), "{one:?} {other:?}");
        }
        assert_eq!(self.choices, other.choices);
        assert_eq!(self.attempts, other.attempts);
    }
}

/// All states of up to two steps, and all troubles.
fn states() -> Vec<String> {
    let calls = || TOOLS.into_iter().flat_map(|tool| [ok(tool), failed(tool, "KeyError: 'a'")]);
    let mut states = Vec::new();
    for first in calls() {
        for second in calls() {
            let taken = numbered(vec![first.clone(), second]);
            states.extend(Course(&taken).states());
            states.extend(Course(&taken).troubles(None));
        }
    }
    states.sort();
    states.dedup();
    states
}

fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
}

#[track_caller]
fn assert_tally(one: &Tally, other: &Tally) {
    let sums = is_near(one.weight, other.weight) && is_near(one.credit, other.credit);
    let counts = (one.episodes, one.families) == (other.episodes, other.families);
    assert!(sums && counts, "{one:?} is not {other:?}");
}

async fn insert(store: &TursoStore, episodes: &[Insertion]) {
    // Without their jobs: the tests study on their own.
    let batch = episodes.iter().map(|insertion| Insertion { job: None, ..insertion.clone() }).collect();
    store.insert(batch).await.expect("stored");
}

async fn delete(store: &TursoStore, id: EpisodeId) {
    store.delete(id).await.expect("deleted");
}

#[tokio::test]
async fn neither_order_nor_batches_change_what_is_learned() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let source = TestSource::default();
    let episodes = generated(&source, EPISODES, 7);
    let id = |place: usize| episodes[place].episode.head.id;
    let is_deleted = |place: usize| place % 7 == 3;
    let tame = open(&dir.path().join("tame.db")).await;
    insert(&tame, &episodes).await;
    for batch in episodes.chunks(BATCH) {
        // The first of each batch has two jobs.
        let twice = batch.iter().chain(batch.first()).map(|one| studied(&source, one));
        tame.record(twice.collect()).await.expect("recorded");
    }
    for place in (0..EPISODES).filter(|place| is_deleted(*place)) {
        delete(&tame, id(place)).await;
    }

    let wild = open(&dir.path().join("wild.db")).await;
    insert(&wild, &episodes).await;
    let mut dice = fastrand::Rng::with_seed(8);
    let mut order: Vec<usize> = (0..EPISODES).collect();
    dice.shuffle(&mut order);
    for place in order {
        if is_deleted(place) && dice.bool() {
            // Before anything was learned from it.
            delete(&wild, id(place)).await;
            continue;
        }
        for _ in 0..dice.usize(1..3) {
            wild.record(vec![studied(&source, &episodes[place])]).await.expect("recorded");
        }
        if is_deleted(place) {
            delete(&wild, id(place)).await;
        }
    }

    let (tame, wild) = (Told::by(&tame).await, Told::by(&wild).await);
    assert!(tame.patterns.len() > 300 && tame.fields.0.len() == 12, "{} patterns", tame.patterns.len());
    assert!(tame.attempts.len() > EPISODES && tame.choices[0].iter().any(|choices| choices.tools.len() > 2));
    assert_eq!(tame.choices[4].iter().map(|choices| choices.tools.len()).sum::<usize>(), 0);
    tame.assert_is(&wild);
}

/// Some before they were learned from, some after, one of them twice: nothing tells that it was ever otherwise.
#[tokio::test]
async fn what_was_put_right_is_learned_as_if_it_had_been_recorded_so_from_the_start() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let source = TestSource::default();
    let before = generated(&source, EPISODES, 11);
    // What it says of another one, with steps of its own.
    let others = generated(&source, EPISODES, 12);
    let is_corrected = |place: usize| place % 3 == 1;
    let mut after = before.clone();
    for (place, (one, other)) in after.iter_mut().zip(&others).enumerate().filter(|(n, _)| is_corrected(*n)) {
        let head = &mut one.episode.head;
        head.brief = other.episode.head.brief.clone();
        head.brief.tags = vec![format!("put-right-{}", place % 5)];
        let outcome = other.episode.head.outcome();
        head.completion =
            Some(NewEnding { outcome, ..NewEnding::default() }.conclude(&one.episode.steps, source.now()));
    }

    let store = open(&dir.path().join("corrected.db")).await;
    insert(&store, &before).await;
    for (place, batch) in before.chunks(BATCH).enumerate() {
        let early = batch.iter().enumerate().filter(|(n, _)| (place + n) % 4 > 0).map(|(_, one)| one);
        store.record(early.map(|one| studied(&source, one)).collect()).await.expect("recorded");
    }
    let correct = async |place: usize, to: &Insertion| {
        let id = to.episode.head.id;
        let read = store.get(id).await.expect("a read").expect("the episode");
        let EpisodeHead { brief, completion, .. } = to.episode.head.clone();
        let job = Some(NewJob { id: JobId(source.id()), weight: 0.5 });
        let new = Replacement { revision: read.head.revision, brief, completion, job, citations: None };
        store.replace(id, new).await.expect("replaced");
        // What was studied of it as it was comes too late.
        store.record(vec![studied(&source, &before[place])]).await.expect("recorded");
    };
    for place in (0..EPISODES).filter(|place| is_corrected(*place)) {
        if place % 2 == 0 {
            correct(place, &before[place]).await;
        }
        correct(place, &after[place]).await;
    }
    // As a worker does that knows nothing of all this.
    for one in &before {
        let episode = store.get(one.episode.head.id).await.expect("a read").expect("the episode");
        let current = Insertion { episode, ..one.clone() };
        store.record(vec![studied(&source, &current)]).await.expect("recorded");
    }
    let late =
        (0..EPISODES).filter(|place| is_corrected(*place)).map(|place| studied(&source, &before[place]));
    store.record(late.collect()).await.expect("recorded");
    let expected = open(&dir.path().join("expected.db")).await;
    insert(&expected, &after).await;
    expected.record(after.iter().map(|one| studied(&source, one)).collect()).await.expect("recorded");
    let told = Told::by(&store).await;
    assert!(told.patterns.len() > 300, "{} patterns", told.patterns.len());
    told.assert_is(&Told::by(&expected).await);
    assert_eq!(store.check().await, Ok(vec![]));
}

/// Beside an episode from the far future, as a clock that was wrong makes it, all others together weigh nothing.
#[tokio::test]
async fn what_outweighed_everything_is_taken_back_without_a_rest() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let source = TestSource::default();
    let now = source.now();
    let store = open(&dir.path().join("memory.db")).await;
    let mut episodes = generated(&source, 60, 9);
    insert(&store, &episodes).await;
    source.set(now + SignedDuration::from_hours(24 * 365 * 150));
    let (wrong, right) = episodes.split_at_mut(5);
    for one in &mut *wrong {
        one.episode.head.started_at = source.now();
    }
    let outweighing = wrong.iter().map(|one| studied(&source, one)).collect::<Vec<_>>();
    source.set(now);
    let ordinary: Vec<Studied> = right.iter().map(|one| studied(&source, one)).collect();
    store.record([&ordinary[..20], &outweighing, &ordinary[20..]].concat()).await.expect("recorded");
    for one in &*wrong {
        delete(&store, one.episode.head.id).await;
    }
    let expected = open(&dir.path().join("right.db")).await;
    insert(&expected, right).await;
    expected.record(ordinary).await.expect("recorded");
    Told::by(&store).await.assert_is(&Told::by(&expected).await);
    for one in &*right {
        delete(&store, one.episode.head.id).await;
    }
    let told = Told::by(&store).await;
    assert_eq!((told.patterns, told.fields, told.attempts), (Vec::new(), Fields::default(), Vec::new()));
    assert!(told.choices.concat().iter().all(|choices| choices.tools.is_empty()));
}

#[tokio::test]
async fn stores_that_record_at_once_lose_nothing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let source = TestSource::default();
    let (alone, shared) = (dir.path().join("alone.db"), dir.path().join("shared.db"));
    let episodes = generated(&source, 96, 10);
    let alone = open(&alone).await;
    insert(&alone, &episodes).await;
    alone.record(episodes.iter().map(|one| studied(&source, one)).collect()).await.expect("recorded");

    let stores = [open(&shared).await, open(&shared).await];
    insert(&stores[0], &episodes).await;
    let mut writers = Vec::new();
    for (place, batch) in episodes.chunks(4).enumerate() {
        let (store, batch) =
            (stores[place % 2].clone(), batch.iter().map(|one| studied(&source, one)).collect());
        writers.push(tokio::spawn(async move { store.record(batch).await }));
    }
    for writer in writers {
        writer.await.expect("no panic").expect("recorded");
    }
    let expected = Told::by(&alone).await;
    for store in &stores {
        Told::by(store).await.assert_is(&expected);
        assert_eq!(store.check().await, Ok(vec![]));
    }
}
