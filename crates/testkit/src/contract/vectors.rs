//! Vectors and their spaces.

use memory_core::episode::Outcome;
use memory_core::id::NoteId;
use memory_core::memory::NewEnding;
use memory_core::port::{Embedded, Source, Space, SpaceState};
use memory_core::retrieve::Found;
use memory_core::search::{Entry, Standing};
use memory_core::vector::Vector;

use super::{add, later, note, one_of_each, remember};
use crate::episode::{completion_insertion, open};
use crate::{Stores, TestSource};

fn space(name: &str) -> Space {
    Space { name: name.into(), dimensions: 2 }
}

async fn entry(stores: &Stores, found: Found, space: Option<&Space>) -> Entry {
    let entries = stores.corpus.entries(vec![found], space.cloned()).await.expect("a read");
    entries.into_iter().next().expect("an entry")
}

/// Vectors for every passage of a thing that has a text, each different from the next.
async fn embed(stores: &Stores, found: Found, seed: f32) -> Embedded {
    let document = entry(stores, found, None).await.document;
    let vectors = document.passages.iter().zip(0_u8..).map(|(passage, n)| {
        let vector = Vector::new(&[seed, 1.0 + f32::from(n)]);
        passage.fingerprint().map(|fingerprint| (fingerprint, vector))
    });
    Embedded { found, vectors: vectors.collect() }
}

/// The vectors of something as they are to be read.
fn plain(embedded: &Embedded) -> Vec<Option<Vector>> {
    embedded.vectors.iter().map(|vector| vector.clone().map(|(_, vector)| vector)).collect()
}

async fn put(stores: &Stores, space: &Space, vectors: &[&Embedded]) {
    let vectors = vectors.iter().map(|embedded| (*embedded).clone()).collect();
    stores.vectors.put_vectors(space.clone(), vectors).await.expect("kept");
}

async fn complete(stores: &Stores, space: &Space, seq: u64) {
    stores.vectors.put_vectors(space.clone(), Vec::new()).await.expect("known");
    stores.vectors.complete_space(space.clone(), seq).await.expect("noted");
}

async fn states(stores: &Stores) -> Vec<SpaceState> {
    stores.vectors.spaces().await.expect("a read")
}

fn state(space: &Space, serves: bool, seq: Option<u64>) -> SpaceState {
    SpaceState { space: space.clone(), serves, seq }
}

async fn seq(stores: &Stores) -> u64 {
    stores.corpus.standing().await.expect("a read").seq
}

async fn remembered(stores: &Stores, source: &TestSource, text: &str) -> Found {
    let note = note(source, text);
    remember(stores, &note, &[]).await;
    Found::Note(note.id)
}

/// Vectors are given with the passages that they belong to, to those who ask for their space.
pub async fn vectors_come_back_with_their_passages(stores: Stores) {
    let source = TestSource::default();
    let one = one_of_each(&stores, &source, "d").await;
    let long = note(&source, &"One two three four five six seven eight nine ten. ".repeat(20));
    remember(&stores, &long, &[]).await;
    let unfinished = Found::Episode(add(&stores, &source, open("an open one")).await);
    let of_unfinished = embed(&stores, unfinished, 3.0).await;
    let (episode, long) = (Found::Episode(one.episode), Found::Note(long.id));
    let (of_episode, of_long) = (embed(&stores, episode, 1.0).await, embed(&stores, long, -2.0).await);
    let all = [&of_episode, &of_unfinished, &of_long];
    assert!(of_long.vectors.iter().flatten().count() > 2, "the case covers several passages");
    assert!(of_episode.vectors.iter().any(Option::is_none), "and one without a text");
    let a = space("a");
    put(&stores, &a, &all).await;
    for embedded in all {
        assert_eq!(entry(&stores, embedded.found, Some(&a)).await.vectors, plain(embedded));
        let none = vec![None; embedded.vectors.len()];
        let wider = Space { dimensions: 3, ..a.clone() };
        for other in [None, Some(space("b")), Some(wider)] {
            assert_eq!(entry(&stores, embedded.found, other.as_ref()).await.vectors, none, "{other:?}");
        }
    }
    for entry in stores.corpus.page(None, 100, Some(a)).await.expect("a page") {
        let stored = all.into_iter().find(|embedded| embedded.found == entry.found);
        let expected = stored.map_or(vec![None; entry.document.passages.len()], plain);
        assert_eq!(entry.vectors, expected, "{:?}", entry.found);
    }
}

/// A vector of other words is none, whatever else was given with it.
pub async fn a_vector_of_other_words_is_not_given(stores: Stores) {
    let source = TestSource::default();
    let found = remembered(&stores, &source, "some words").await;
    let good = embed(&stores, found, 1.0).await;
    let a = space("a");
    let mut other = good.clone();
    let (fingerprint, vector) = other.vectors[0].clone().expect("a text");
    other.vectors[0] = Some((fingerprint ^ 1, vector.clone()));
    put(&stores, &a, &[&other]).await;
    assert_eq!(entry(&stores, found, Some(&a)).await.vectors, vec![None; good.vectors.len()]);
    let few = Embedded { found, vectors: vec![] };
    put(&stores, &a, &[&few]).await;
    assert_eq!(entry(&stores, found, Some(&a)).await.vectors, vec![None; good.vectors.len()]);
    let mut many = good.clone();
    many.vectors.extend([None, Some((fingerprint, vector))]);
    put(&stores, &a, &[&many]).await;
    assert_eq!(entry(&stores, found, Some(&a)).await.vectors, plain(&good), "those that fit are given");
}

/// What is said later needs a vector of its own; what was said before keeps it.
pub async fn a_changed_thing_keeps_the_vectors_that_still_fit(stores: Stores) {
    let source = TestSource::default();
    let id = add(&stores, &source, open("fix the login")).await;
    let a = space("a");
    let before = embed(&stores, Found::Episode(id), 1.0).await;
    put(&stores, &a, &[&before]).await;
    let episode = stores.episodes.get(id).await.expect("a read").expect("the episode");
    let summary = Some("the hinge was replaced".to_owned());
    let ending = NewEnding { outcome: Some(Outcome::Success), summary, ..NewEnding::default() };
    let end = completion_insertion(&source, &episode, ending);
    stores.episodes.complete(id, end).await.expect("completed");
    let now = entry(&stores, Found::Episode(id), Some(&a)).await;
    assert_eq!(now.vectors[..2], [plain(&before)[0].clone(), None]);
    assert!(now.document.passages[1].text.is_some(), "the summary is to be embedded");
}

/// A space serves once everything has been gone through, and its number only grows.
pub async fn a_space_serves_once_it_is_complete(stores: Stores) {
    let source = TestSource::default();
    let found = remembered(&stores, &source, "some words").await;
    let a = space("a");
    assert_eq!(states(&stores).await, []);
    put(&stores, &a, &[&embed(&stores, found, 1.0).await]).await;
    assert_eq!(states(&stores).await, [state(&a, false, None)]);
    assert_eq!(stores.corpus.standing().await, Ok(Standing { seq: 1, space: None }));
    for (told, kept) in [(0, 0), (1, 1), (1, 1), (0, 1), (7, 7)] {
        complete(&stores, &a, told).await;
        assert_eq!(states(&stores).await, [state(&a, true, Some(kept))]);
        assert_eq!(stores.corpus.standing().await, Ok(Standing { seq: 1, space: Some(a.clone()) }));
    }
}

/// Where nothing can be embedded, a space is complete without a vector.
pub async fn a_space_without_vectors_can_serve(stores: Stores) {
    let a = space("a");
    complete(&stores, &a, 0).await;
    assert_eq!(states(&stores).await, [state(&a, true, Some(0))]);
    assert_eq!(stores.corpus.standing().await, Ok(Standing { seq: 0, space: Some(a) }));
}

/// One space serves until another one is complete; then nothing is left of the first.
pub async fn the_next_space_takes_the_place_of_the_first(stores: Stores) {
    let source = TestSource::default();
    let found = remembered(&stores, &source, "some words").await;
    let (a, b, c) = (space("a"), space("b"), space("c"));
    let [of_a, of_b, of_c] = [
        embed(&stores, found, 1.0).await,
        embed(&stores, found, 2.0).await,
        embed(&stores, found, 3.0).await,
    ];
    put(&stores, &a, &[&of_a]).await;
    complete(&stores, &a, 1).await;
    put(&stores, &c, &[&of_c]).await;
    put(&stores, &b, &[&of_b]).await;
    assert_eq!(
        states(&stores).await,
        [state(&a, true, Some(1)), state(&c, false, None), state(&b, false, None)]
    );
    assert_eq!(stores.corpus.standing().await.expect("a read").space, Some(a.clone()));
    assert_eq!(entry(&stores, found, Some(&a)).await.vectors, plain(&of_a));
    assert_eq!(entry(&stores, found, Some(&b)).await.vectors, plain(&of_b), "before it serves");
    complete(&stores, &b, 1).await;
    assert_eq!(states(&stores).await, [state(&b, true, Some(1))]);
    assert_eq!(stores.corpus.standing().await.expect("a read").space, Some(b.clone()));
    assert_eq!(entry(&stores, found, Some(&b)).await.vectors, plain(&of_b));
    // Whoever comes back to the first one starts from nothing.
    put(&stores, &a, &[]).await;
    assert_eq!(states(&stores).await, [state(&b, true, Some(1)), state(&a, false, None)]);
    for gone in [&a, &c] {
        assert_eq!(entry(&stores, found, Some(gone)).await.vectors, vec![None; of_a.vectors.len()]);
    }
}

/// Vectors change what is found only once their space serves, and only if they are others than before.
pub async fn vectors_are_changes_while_their_space_serves(stores: Stores) {
    let source = TestSource::default();
    let one = remembered(&stores, &source, "some words").await;
    let two = remembered(&stores, &source, "other words").await;
    let (a, b) = (space("a"), space("b"));
    let (of_one, of_two) = (embed(&stores, one, 1.0).await, embed(&stores, two, 1.0).await);
    put(&stores, &a, &[&of_one]).await;
    complete(&stores, &a, 2).await;
    put(&stores, &b, &[&of_one, &of_two]).await;
    assert_eq!(seq(&stores).await, 2, "nothing that a search could find has changed");
    put(&stores, &a, &[&of_one, &of_two]).await;
    let changes = stores.corpus.changed_after(2, 10).await.expect("a read").expect("known");
    assert_eq!(changes.iter().map(|change| (change.seq, change.found)).collect::<Vec<_>>(), [(3, two)]);
    put(&stores, &a, &[&embed(&stores, one, 2.0).await]).await;
    let changes = stores.changes.changes_after(3, 10).await.expect("a read").expect("known");
    assert_eq!(changes.iter().map(|change| change.found).collect::<Vec<_>>(), [one]);
}

/// What was deleted while it was embedded gets no vectors, and the others of the batch do.
pub async fn what_is_gone_gets_no_vectors(stores: Stores) {
    let source = TestSource::default();
    let found = remembered(&stores, &source, "some words").await;
    let a = space("a");
    complete(&stores, &a, 1).await;
    let good = embed(&stores, found, 1.0).await;
    let gone = Embedded { found: Found::Note(NoteId(source.id())), ..good.clone() };
    put(&stores, &a, &[&gone, &good]).await;
    assert_eq!(entry(&stores, found, Some(&a)).await.vectors, plain(&good));
    let changes = stores.corpus.changed_after(1, 10).await.expect("a read").expect("known");
    assert_eq!(changes.iter().map(|change| change.found).collect::<Vec<_>>(), [found]);
}

/// One process at a time fills a space.
pub async fn one_at_a_time_holds_a_space(stores: Stores) {
    let source = TestSource::default();
    let (one, two, a) = (source.id(), source.id(), space("a"));
    let hold = |space: &Space, holder, now, until| {
        let hold =
            stores.vectors.hold_space(space.clone(), holder, later(&source, now), later(&source, until));
        async { hold.await.expect("an answer") }
    };
    assert!(hold(&a, one, 0, 60).await);
    assert!(!hold(&a, two, 0, 60).await, "it is held");
    assert!(hold(&space("b"), two, 0, 60).await, "another one is not");
    assert!(hold(&a, one, 30, 90).await, "the holder goes on");
    assert!(!hold(&a, two, 89, 120).await, "and holds it longer");
    assert!(hold(&a, two, 90, 120).await, "its time is over");
    assert!(!hold(&a, one, 91, 120).await, "whoever was late has lost it");
    assert!(!hold(&a, one, 91, 0).await, "and cannot give it back");
    assert!(!hold(&a, one, 92, 120).await);
    assert!(hold(&a, two, 92, 91).await, "it is given back");
    assert!(hold(&a, one, 93, 120).await);
    put(&stores, &a, &[]).await;
    complete(&stores, &a, 0).await;
    assert!(!hold(&a, two, 94, 120).await, "what happens to the space does not let it go");
    assert!(hold(&space("b"), two, 94, 0).await, "to give back what is gone is no mistake");
    assert_eq!(states(&stores).await, [state(&a, true, Some(0))], "and does not bring it back");
}
