//! What is cited.

use memory_core::citation::{Citation, Citations, Fingerprint};
use memory_core::episode::Outcome;
use memory_core::id::PatternId;
use memory_core::memory::NewEnding;
use memory_core::port::{Inserted, Source, StoreError};
use memory_core::retrieve::Found;

use super::{add, note, remember};
use crate::episode::{completion_insertion, finished, insertion, open};
use crate::{Stores, TestSource};

const HERE: Fingerprint = Fingerprint([0x5c; 32]);
const THERE: Fingerprint = Fingerprint([0xc5; 32]);

fn file(path: &str, content: u8) -> Citation {
    Citation::File { path: path.into(), content: Fingerprint([content; 32]) }
}

fn commit() -> Citation {
    Citation::Commit { id: "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567".into() }
}

fn at(root: Fingerprint, cited: &[Citation]) -> Option<Citations> {
    Some(Citations { root, cited: cited.to_vec() })
}

async fn cited(stores: &Stores, found: &[Found], root: Fingerprint) -> Vec<(Found, Vec<Citation>)> {
    stores.citations.citations(found.to_vec(), root).await.expect("citations are read")
}

/// What is cited is known of a note, of an episode that was finished at once and of one that was completed, in order.
pub async fn what_a_note_and_an_episode_cite_comes_back(stores: Stores) {
    let source = TestSource::default();
    let new = note(&source, "a note");
    let noted = Found::Note(new.id);
    let given = at(HERE, &[file("src/b.rs", 2), commit(), file("grün/日本.rs", 1)]);
    stores.notes.remember(new, vec![], given).await.expect("stored");
    let mut done = insertion(&source, finished("done", Outcome::Success, vec![]));
    let done_id = Found::Episode(done.episode.head.id);
    done.citations = at(HERE, &[file("a.rs", 1)]);
    assert_eq!(stores.episodes.insert(vec![done]).await, Ok(vec![Inserted::New]));
    let id = add(&stores, &source, open("a task")).await;
    let episode = stores.episodes.get(id).await.expect("a read").expect("the episode");
    let mut end = completion_insertion(&source, &episode, NewEnding::default());
    end.citations = at(HERE, &[commit()]);
    stores.episodes.complete(id, end).await.expect("completed");
    let silent = note(&source, "cites nothing");
    remember(&stores, &silent, &[]).await;
    let pattern = Found::Pattern(PatternId(source.id()));
    let asked = [Found::Episode(id), Found::Note(silent.id), noted, pattern, done_id];
    let expected = [
        (Found::Episode(id), vec![commit()]),
        (noted, vec![commit(), file("grün/日本.rs", 1), file("src/b.rs", 2)]),
        (done_id, vec![file("a.rs", 1)]),
    ];
    assert_eq!(cited(&stores, &asked, HERE).await, expected);
    assert_eq!(cited(&stores, &[], HERE).await, []);
}

/// The same path is another file in another work tree.
pub async fn what_another_work_tree_holds_is_cited_apart(stores: Stores) {
    let source = TestSource::default();
    let new = note(&source, "a note");
    let found = [Found::Note(new.id)];
    stores.notes.remember(new.clone(), vec![], at(HERE, &[file("a.rs", 1)])).await.expect("stored");
    assert_eq!(cited(&stores, &found, THERE).await, []);
    stores.notes.remember(new, vec![], at(THERE, &[file("a.rs", 2)])).await.expect("said again");
    assert_eq!(cited(&stores, &found, HERE).await, [(found[0], vec![file("a.rs", 1)])]);
    assert_eq!(cited(&stores, &found, THERE).await, [(found[0], vec![file("a.rs", 2)])]);
}

/// A note that is said again is true of what is there now; it is no other note for that.
pub async fn who_says_it_again_cites_what_is_there_now(stores: Stores) {
    let source = TestSource::default();
    let first = note(&source, "a note");
    let found = [Found::Note(first.id)];
    let told = at(HERE, &[file("a.rs", 1), file("b.rs", 1)]);
    stores.notes.remember(first.clone(), vec![], told).await.expect("stored");
    let seq = stores.changes.change_seq().await;
    for (again, expected) in [
        (at(HERE, &[file("a.rs", 2)]), vec![(found[0], vec![file("a.rs", 2)])]),
        // Somebody who cannot see the files does not know better.
        (None, vec![(found[0], vec![file("a.rs", 2)])]),
        (at(HERE, &[]), vec![]),
    ] {
        let same = memory_core::note::Note { id: note(&source, "").id, ..first.clone() };
        let kept = stores.notes.remember(same, vec![], again).await.expect("said again");
        assert_eq!(kept, (first.id, vec![]));
        assert_eq!(cited(&stores, &found, HERE).await, expected);
    }
    assert_eq!(stores.changes.change_seq().await, seq);
}

/// What was not stored cites nothing.
pub async fn a_refused_change_cites_nothing(stores: Stores) {
    let source = TestSource::default();
    let new = note(&source, "a note");
    let noted = Found::Note(new.id);
    let refused = stores.notes.remember(new, vec!["unknown".into()], at(HERE, &[commit()])).await;
    assert_eq!(refused, Err(StoreError::NotFound));
    let id = add(&stores, &source, open("a task")).await;
    let episode = stores.episodes.get(id).await.expect("a read").expect("the episode");
    let mut end = completion_insertion(&source, &episode, NewEnding::default());
    (end.revision, end.citations) = (99, at(HERE, &[commit()]));
    assert_eq!(stores.episodes.complete(id, end).await, Err(StoreError::Conflict));
    assert_eq!(cited(&stores, &[noted, Found::Episode(id)], HERE).await, []);
}
