//! The change log, and the counts.

use std::collections::BTreeSet;

use memory_core::episode::Outcome;
use memory_core::id::EpisodeId;
use memory_core::job::Retry;
use memory_core::memory::{NewEnding, NewEpisode};
use memory_core::note::Note;
use memory_core::port::{Change, Source, StoreCounts};
use memory_core::retrieve::Found;

use super::{add, claim_one, later, learn, note, record, remember, sequence};
use crate::episode::{completion_insertion, finished, full_step, insertion, named, ok, open, step_insertion};
use crate::{Stores, TestSource};

async fn seq(stores: &Stores) -> u64 {
    stores.changes.change_seq().await.expect("a read")
}

async fn after(stores: &Stores, seq: u64) -> Vec<Change> {
    stores.changes.changes_after(seq, 1_000).await.expect("a read").expect("recent changes are known")
}

/// What was changed since `before`, after a look at the numbers.
async fn named_since(stores: &Stores, before: u64) -> BTreeSet<Found> {
    let changes = after(stores, before).await;
    assert!(changes.iter().all(|change| change.seq > before));
    assert!(changes.is_sorted_by(|a, b| a.seq < b.seq), "{changes:?}");
    assert_eq!(changes.last().map(|change| change.seq), Some(seq(stores).await), "a change has a number");
    changes.into_iter().map(|change| change.found).collect()
}

/// The numbers start from nothing.
pub async fn a_fresh_store_has_no_changes(stores: Stores) {
    assert_eq!(seq(&stores).await, 0);
    assert_eq!(after(&stores, 0).await, []);
    assert_eq!(stores.health.counts().await.expect("counts").episodes, 0);
    assert_eq!(stores.health.check().await, Ok(vec![]));
}

/// Whatever a reader may have kept a copy of is named when it changes.
pub async fn every_change_is_named_and_numbered(stores: Stores) {
    let source = TestSource::default();
    let batch = ["one", "two"].map(|task| insertion(&source, open(task))).to_vec();
    let ids: Vec<EpisodeId> = batch.iter().map(|insertion| insertion.episode.head.id).collect();
    stores.episodes.insert(batch).await.expect("stored");
    let all = BTreeSet::from_iter(ids.iter().copied().map(Found::Episode));
    assert_eq!(named_since(&stores, 0).await, all);

    let id = ids[0];
    let before = seq(&stores).await;
    stores.episodes.append_step(id, step_insertion(&source, ok("t"))).await.expect("a step");
    assert_eq!(named_since(&stores, before).await, BTreeSet::from([Found::Episode(id)]));

    let before = seq(&stores).await;
    let episode = stores.episodes.get(id).await.expect("a read").expect("the episode");
    let end = completion_insertion(&source, &episode, NewEnding::default());
    stores.episodes.complete(id, end).await.expect("completed");
    assert_eq!(named_since(&stores, before).await, BTreeSet::from([Found::Episode(id)]));

    // Whether a store names the patterns or the episode that taught them, what was learned has a number.
    let before = seq(&stores).await;
    let job = claim_one(&stores, &source).await;
    record(&stores, &source, job, vec![sequence(&["a", "b"], 1.0), sequence(&["b", "c"], 1.0)]).await;
    assert!(!named_since(&stores, before).await.is_empty());

    let before = seq(&stores).await;
    record(&stores, &source, job, vec![]).await;
    assert!(!named_since(&stores, before).await.is_empty(), "what was forgotten has one too");

    let before = seq(&stores).await;
    let old = note(&source, "old");
    remember(&stores, &old, &[]).await;
    assert_eq!(named_since(&stores, before).await, BTreeSet::from([Found::Note(old.id)]));

    let before = seq(&stores).await;
    let new = note(&source, "new");
    remember(&stores, &new, &[old.id.to_string()]).await;
    let both = BTreeSet::from([Found::Note(old.id), Found::Note(new.id)]);
    assert_eq!(named_since(&stores, before).await, both, "the superseded note too");
}

/// A reader that takes a few at a time sees them all, each once.
pub async fn changes_are_read_in_pages(stores: Stores) {
    let source = TestSource::default();
    let batch = (0..5).map(|n| insertion(&source, open(&format!("task {n}")))).collect();
    stores.episodes.insert(batch).await.expect("stored");
    for n in 0..2 {
        remember(&stores, &note(&source, &format!("note {n}")), &[]).await;
    }
    let mut read = Vec::new();
    let mut upto = 0;
    loop {
        let page = stores.changes.changes_after(upto, 2).await.expect("a read").expect("known one by one");
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2);
        upto = last.seq;
        read.extend(page);
    }
    assert_eq!(read.len(), 7);
    assert_eq!(read, after(&stores, 0).await);
}

/// A copy stays good while nothing is changed: a repeated call, a claimed job and a failed attempt change nothing.
pub async fn what_changes_nothing_has_no_number(stores: Stores) {
    let source = TestSource::default();
    let steps = vec![full_step(1)];
    let new = named("run", NewEpisode { steps, ..finished("a task", Outcome::Success, vec![]) });
    let (id, _) = learn(&stores, &source, new.clone(), vec![sequence(&["a", "b"], 1.0)]).await;
    let kept = note(&source, "kept");
    remember(&stores, &kept, &[]).await;
    add(&stores, &source, finished("another", Outcome::Failure, vec![])).await;
    let before = seq(&stores).await;
    stores.episodes.insert(vec![insertion(&source, new)]).await.expect("there already");
    stores.episodes.append_step(id, step_insertion(&source, full_step(1))).await.expect("there already");
    let again = Note { id: note(&source, "").id, ..kept };
    remember(&stores, &again, &[]).await;
    let job = claim_one(&stores, &source).await;
    stores.jobs.fail(job, "no".into(), Retry::At(later(&source, 5))).await.expect("noted");
    stores.episodes.insert(vec![]).await.expect("nothing");
    assert_eq!(seq(&stores).await, before);
    assert_eq!(after(&stores, before).await, []);
}

/// A refused change is as if it had never been tried.
pub async fn a_refused_change_leaves_no_trace(stores: Stores) {
    let source = TestSource::default();
    let open_id = add(&stores, &source, open("a task")).await;
    let done_id = add(&stores, &source, finished("done", Outcome::Success, vec![])).await;
    let before =
        (seq(&stores).await, stores.health.counts().await.expect("counts"), stores.jobs.counts().await);
    let stale = stores.episodes.get(done_id).await.expect("a read").expect("the episode");
    let mut end = completion_insertion(&source, &stale, NewEnding::default());
    stores.episodes.complete(done_id, end.clone()).await.expect_err("completed");
    stores.episodes.complete(EpisodeId(source.id()), end.clone()).await.expect_err("unknown");
    end.revision = 99;
    stores.episodes.complete(open_id, end).await.expect_err("stale");
    let step = || step_insertion(&source, full_step(1));
    stores.episodes.append_step(done_id, step()).await.expect_err("completed");
    stores.episodes.append_step(EpisodeId(source.id()), step()).await.expect_err("unknown");
    let new = note(&source, "a note");
    let unknown = vec!["unknown".to_owned()];
    stores.notes.remember(new.clone(), unknown, None).await.expect_err("unknown");
    let mut taken = insertion(&source, open("taken"));
    taken.episode.head.id = open_id;
    let fresh = insertion(&source, open("fresh"));
    stores.episodes.insert(vec![fresh, taken]).await.expect_err("the id is taken");
    let now = (seq(&stores).await, stores.health.counts().await.expect("counts"), stores.jobs.counts().await);
    assert_eq!(now, before);
    // The store is as usable as before, and gives the next numbers.
    add(&stores, &source, open("the next")).await;
    assert!(seq(&stores).await > before.0);
}

/// The counts are those of what can be read.
pub async fn counts_tell_what_the_store_holds(stores: Stores) {
    let source = TestSource::default();
    add(&stores, &source, NewEpisode { steps: vec![ok("a"), ok("b")], ..open("open") }).await;
    let findings = vec![sequence(&["a", "b"], 1.0)];
    learn(&stores, &source, finished("done", Outcome::Success, vec![ok("a")]), findings).await;
    let old = note(&source, "old");
    remember(&stores, &old, &[]).await;
    let new = note(&source, "new");
    remember(&stores, &new, &[old.id.to_string()]).await;
    remember(&stores, &note(&source, "newer"), &[new.id.to_string()]).await;
    let counts = stores.health.counts().await.expect("counts");
    let expected = StoreCounts {
        episodes: 2,
        open_episodes: 1,
        steps: 3,
        notes: 1,
        superseded_notes: 2,
        patterns: 1,
        bytes: counts.bytes,
        schema_version: counts.schema_version,
    };
    assert_eq!(counts, expected);
}
