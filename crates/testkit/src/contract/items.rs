//! Reading what a search found.

use memory_core::id::{EpisodeId, NoteId, PatternId};
use memory_core::port::Source;
use memory_core::retrieve::{Found, Item};

use super::{item, later, note, one_of_each, remember};
use crate::{Stores, TestSource};

/// Items are given in the order of the question; what is unknown is left out.
pub async fn items_come_in_the_order_asked_for(stores: Stores) {
    let source = TestSource::default();
    let one = one_of_each(&stores, &source, "d").await;
    source.set(later(&source, 1));
    let two = one_of_each(&stores, &source, "e").await;
    let asked = vec![
        Found::Note(two.note),
        Found::Episode(EpisodeId(source.id())),
        Found::Episode(one.episode),
        Found::Pattern(two.pattern),
        Found::Note(NoteId(source.id())),
        Found::Pattern(PatternId(source.id())),
        Found::Episode(two.episode),
        Found::Note(one.note),
        Found::Pattern(one.pattern),
    ];
    let items = stores.items.items(asked.clone()).await.expect("items");
    let given: Vec<Found> = items.iter().map(Item::found).collect();
    let known: Vec<Found> = [0, 2, 3, 6, 7, 8].map(|place: usize| asked[place]).to_vec();
    assert_eq!(given, known);
    let head = stores.episodes.heads(&[one.episode]).await.expect("heads").remove(0);
    assert_eq!(item(&stores, Found::Episode(one.episode)).await, Some(Item::Episode(Box::new(head))));
}

/// What is superseded can still be found, so it can be read.
pub async fn a_superseded_note_can_be_read(stores: Stores) {
    let source = TestSource::default();
    let old = note(&source, "old");
    remember(&stores, &old, &[]).await;
    remember(&stores, &note(&source, "new"), &[old.id.to_string()]).await;
    assert_eq!(item(&stores, Found::Note(old.id)).await, Some(Item::Note(old)));
}
