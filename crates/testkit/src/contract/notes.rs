//! Notes and what they replace.

use memory_core::episode::Scope;
use memory_core::note::{Layer, Note};
use memory_core::port::{Source, StoreError};
use memory_core::retrieve::{Found, Item};

use super::{at, found, item, later, note, remember};
use crate::{Stores, TestSource};

fn full_note(source: &TestSource) -> Note {
    Note {
        external_id: Some("pref/'tabs' ünïcode".into()),
        scope: Scope { domain: Some("coding.rust".into()), project: Some("acme/shop".into()) },
        layer: Layer::ShortTerm,
        tags: vec!["b".into(), "a, with a comma".into()],
        ..note(source, "Prefer \"tabs\" – it's 日本語 🦀; DROP TABLE note; --")
    }
}

/// Nothing of a note is lost.
pub async fn a_note_comes_back_with_every_field(stores: Stores) {
    let source = TestSource::at(at("2026-02-03T04:05:06.789012Z"));
    for note in [full_note(&source), note(&source, "nothing but text")] {
        assert_eq!(remember(&stores, &note, &[]).await, (note.id, vec![]));
        assert_eq!(item(&stores, Found::Note(note.id)).await, Some(Item::Note(note)));
    }
}

/// What is superseded is no longer found.
pub async fn a_note_supersedes_by_id_and_by_external_id(stores: Stores) {
    let source = TestSource::default();
    let first = note(&source, "deploy on monday");
    let second = Note { external_id: Some("deploy day".into()), ..note(&source, "deploy on tuesday") };
    let third = note(&source, "deploy from main");
    for note in [&first, &second, &third] {
        remember(&stores, note, &[]).await;
    }
    let new = note(&source, "deploy on friday");
    let named = [first.id.to_string(), "deploy day".to_owned()];
    assert_eq!(remember(&stores, &new, &named).await, (new.id, vec![first.id, second.id]));
    let left = vec![Found::Note(third.id), Found::Note(new.id)];
    assert_eq!(found(&stores, "deploy").await, left);
    assert_eq!(found(&stores, "monday tuesday").await, []);
    // A superseded note is still known by its names: to supersede it again is no mistake.
    let newer = note(&source, "deploy on sunday");
    assert_eq!(remember(&stores, &newer, &[first.id.to_string(), new.id.to_string()]).await.0, newer.id);
}

/// A note replaces the current one of its own external id.
pub async fn a_note_supersedes_the_one_of_its_external_id(stores: Stores) {
    let source = TestSource::default();
    let old = Note { external_id: Some("style".into()), ..note(&source, "use tabs") };
    let other = Note { external_id: Some("styles".into()), ..note(&source, "use tables") };
    let new = Note { external_id: Some("style".into()), ..note(&source, "use spaces") };
    remember(&stores, &old, &[]).await;
    remember(&stores, &other, &[]).await;
    assert_eq!(remember(&stores, &new, &[]).await, (new.id, vec![old.id]));
    assert_eq!(found(&stores, "tabs").await, []);
    assert_eq!(found(&stores, "tables").await, [Found::Note(other.id)]);
    // What was superseded is no current note, so its words make a new one.
    let back = Note { id: note(&source, "").id, ..old.clone() };
    assert_eq!(remember(&stores, &back, &[]).await, (back.id, vec![new.id]));
}

/// To say the same thing again stores nothing.
pub async fn the_same_note_again_is_that_note(stores: Stores) {
    let source = TestSource::default();
    let gone = note(&source, "an older version");
    remember(&stores, &gone, &[]).await;
    for first in [full_note(&source), note(&source, "without a name")] {
        remember(&stores, &first, &[gone.id.to_string()]).await;
        source.set(later(&source, 1));
        let again = Note { id: note(&source, "").id, at: source.now(), ..first.clone() };
        // The repeat of a call whose answer got lost names what it has superseded.
        assert_eq!(remember(&stores, &again, &[gone.id.to_string()]).await.0, first.id);
        assert_eq!(item(&stores, Found::Note(again.id)).await, None);
        assert_eq!(item(&stores, Found::Note(first.id)).await, Some(Item::Note(first)));
    }
    assert_eq!(stores.health.counts().await.expect("counts").notes, 2);
}

/// A note of the same words for another purpose is kept beside the first.
pub async fn a_note_that_differs_in_anything_is_another_note(stores: Stores) {
    let source = TestSource::default();
    let same = |change: fn(&mut Note)| {
        let mut note = note(&source, "the same words");
        change(&mut note);
        note
    };
    let notes = [
        same(|_| ()),
        same(|note| note.external_id = Some("a name".into())),
        same(|note| note.text.push('!')),
        same(|note| note.scope.domain = Some("d".into())),
        same(|note| note.scope.project = Some("d".into())),
        same(|note| note.layer = Layer::ShortTerm),
        same(|note| note.tags = vec!["t".into()]),
    ];
    for note in &notes {
        assert_eq!(remember(&stores, note, &[]).await, (note.id, vec![]));
    }
    assert_eq!(found(&stores, "words").await.len(), notes.len());
}

/// A note that supersedes something unknown is refused with all it would have done.
pub async fn superseding_an_unknown_note_stores_nothing(stores: Stores) {
    let source = TestSource::default();
    let old = note(&source, "old wisdom");
    remember(&stores, &old, &[]).await;
    let new = note(&source, "new wisdom");
    for unknown in ["no such name".to_owned(), source.id().to_string()] {
        let supersedes = vec![old.id.to_string(), unknown];
        let refused = stores.notes.remember(new.clone(), supersedes, None).await;
        assert_eq!(refused, Err(StoreError::NotFound));
    }
    assert_eq!(found(&stores, "wisdom").await, [Found::Note(old.id)]);
}
