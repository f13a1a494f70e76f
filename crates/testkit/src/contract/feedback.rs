//! What was said of things after they had been shown.

use memory_core::episode::Outcome;
use memory_core::extract::Finding;
use memory_core::feedback::{Feedback, Usefulness};
use memory_core::id::{EpisodeId, NoteId, PatternId};
use memory_core::memory::NewEpisode;
use memory_core::pattern::{Correction, Measure, PatternBody, Tally, Verdict};
use memory_core::port::{Listing, Source, StoreError};
use memory_core::retrieve::Found;

use super::{
    another_job, assert_tally, everything, later, learn, one_of_each, pattern, record, recovery, sequence,
};
use crate::episode::finished;
use crate::{Stores, TestSource};

fn done() -> NewEpisode {
    finished("x", Outcome::Success, vec![])
}

fn feedback(source: &TestSource, about: &[Found], usefulness: Usefulness) -> Feedback {
    let comment = Some("it's \"so\" 日本".into());
    Feedback { about: about.to_vec(), usefulness, comment, at: source.now() }
}

async fn give(stores: &Stores, source: &TestSource, about: &[Found], usefulness: Usefulness) {
    stores.feedback.give(feedback(source, about, usefulness)).await.expect("feedback is noted");
}

async fn usefulness(stores: &Stores, found: &[Found]) -> Vec<(Found, Tally)> {
    let mut said = stores.feedback.usefulness(found.to_vec()).await.expect("a read");
    said.sort_by_key(|(found, _)| *found);
    said
}

async fn seq(stores: &Stores) -> u64 {
    stores.changes.change_seq().await.expect("a read")
}

fn correction(verdict: Option<Verdict>, note: Option<&str>) -> Correction {
    Correction { verdict, note: note.map(str::to_owned) }
}

/// Each feedback is an observation of its time, for each of the things that it is about.
pub async fn what_was_said_of_a_thing_adds_up(stores: Stores) {
    let source = TestSource::default();
    let one = one_of_each(&stores, &source, "d").await;
    let [episode, of_pattern, note] = one.all();
    assert_eq!(usefulness(&stores, &one.all()).await, []);
    let first = source.now();
    give(&stores, &source, &[of_pattern, note], Usefulness::Helped).await;
    source.set(later(&source, 100 * 86_400));
    give(&stores, &source, &[of_pattern], Usefulness::Wrong).await;
    give(&stores, &source, &[of_pattern], Usefulness::NoHelp).await;
    let observed = [
        Usefulness::Helped.observation(first),
        Usefulness::Wrong.observation(source.now()),
        Usefulness::NoHelp.observation(source.now()),
    ];
    let all = observed.iter().fold(Tally::default(), |sum, observed| sum.plus(observed));
    let said = usefulness(&stores, &[episode, note, of_pattern]).await;
    assert_eq!(said.iter().map(|(found, _)| *found).collect::<Vec<_>>(), [of_pattern, note]);
    assert_tally(&said[0].1, &all);
    assert_tally(&said[1].1, &observed[0]);
    let kept = pattern(&stores, one.pattern).await.expect("the pattern");
    assert_tally(&kept.feedback, &all);
    assert_eq!((kept.tally.episodes, kept.last_seen), (1, first), "it is no evidence");
    give(&stores, &source, &[episode], Usefulness::NoHelp).await;
    assert_eq!(usefulness(&stores, &[episode]).await.len(), 1);
    assert_eq!(usefulness(&stores, &[]).await, []);
}

/// If one of the things does not exist, nothing was said of any.
pub async fn feedback_on_something_unknown_leaves_no_trace(stores: Stores) {
    let source = TestSource::default();
    let one = one_of_each(&stores, &source, "d").await;
    let before = seq(&stores).await;
    for unknown in [
        Found::Episode(EpisodeId(source.id())),
        Found::Pattern(PatternId(source.id())),
        Found::Note(NoteId(source.id())),
        // The id of something else.
        Found::Pattern(PatternId(one.episode.0)),
    ] {
        let about = [Found::Episode(one.episode), unknown, Found::Note(one.note)];
        let given = stores.feedback.give(feedback(&source, &about, Usefulness::Helped)).await;
        assert_eq!(given, Err(StoreError::NotFound), "{unknown:?}");
    }
    assert_eq!(usefulness(&stores, &one.all()).await, []);
    assert_eq!(seq(&stores).await, before);
}

/// What was answered before is not the answer any more.
pub async fn whatever_is_said_is_a_change(stores: Stores) {
    let source = TestSource::default();
    let one = one_of_each(&stores, &source, "d").await;
    let named_since = async |before: u64| {
        let changes = stores.changes.changes_after(before, 100).await.expect("a read").expect("known");
        let mut found: Vec<Found> = changes.into_iter().map(|change| change.found).collect();
        found.sort();
        found
    };
    let before = seq(&stores).await;
    give(&stores, &source, &one.all(), Usefulness::Helped).await;
    let mut all = one.all();
    all.sort();
    assert_eq!(named_since(before).await, all);
    let of_pattern = [Found::Pattern(one.pattern)];
    for said in [Some(correction(Some(Verdict::Advice), None)), None] {
        let before = seq(&stores).await;
        stores.feedback.correct(one.pattern, said, source.now()).await.expect("corrected");
        assert_eq!(named_since(before).await, of_pattern);
    }
    let before = seq(&stores).await;
    stores.feedback.delete_pattern(one.pattern, source.now()).await.expect("deleted");
    assert_eq!(named_since(before).await, of_pattern);
}

/// What was said last counts, however the evidence changes, until it is taken back.
pub async fn a_correction_is_told_with_its_pattern(stores: Stores) {
    let source = TestSource::default();
    let (episode, ids) = learn(&stores, &source, done(), vec![recovery("no route")]).await;
    let (_, others) = learn(&stores, &source, done(), vec![recovery("no way")]).await;
    let told = async || pattern(&stores, ids[0]).await.and_then(|pattern| pattern.correction);
    assert_eq!(told().await, None);
    for said in [
        correction(Some(Verdict::Advice), Some("it's \"good\" 日本")),
        correction(Some(Verdict::Neutral), None),
        correction(None, Some("mind the gap")),
        correction(Some(Verdict::Pitfall), Some("")),
    ] {
        stores.feedback.correct(ids[0], Some(said.clone()), source.now()).await.expect("corrected");
        assert_eq!(told().await, Some(said));
    }
    let last = Some(correction(Some(Verdict::Pitfall), Some("")));
    let listed = stores.patterns.list(Listing { max: 10, ..Listing::default() }).await.expect("a list");
    let listed = listed.into_iter().find(|pattern| pattern.id == ids[0]);
    assert_eq!(listed.and_then(|pattern| pattern.correction), last);
    let lessons = stores.patterns.lessons(vec![episode], vec![]).await.expect("lessons").lessons;
    assert_eq!(lessons[0].pattern.correction, last);
    record(&stores, &source, another_job(&source, episode), vec![]).await;
    assert_eq!(pattern(&stores, ids[0]).await, None);
    record(&stores, &source, another_job(&source, episode), vec![recovery("no route")]).await;
    assert_eq!(told().await, last, "it was said of the pattern, not of its evidence");
    assert_eq!(pattern(&stores, others[0]).await.and_then(|other| other.correction), None);
    stores.feedback.correct(ids[0], None, source.now()).await.expect("taken back");
    assert_eq!(told().await, None);
}

/// Not even when more episodes show it, or when everything was learned anew.
pub async fn a_deleted_pattern_is_told_nowhere(stores: Stores) {
    let source = TestSource::default();
    let findings = || vec![recovery("no route"), recovery("no way")];
    let (first, _) = learn(&stores, &source, done(), findings()).await;
    let [deleted, kept] = ["no route", "no way"].map(|error| PatternId::of(None, &recovery(error).body));
    stores.feedback.delete_pattern(deleted, source.now()).await.expect("deleted");
    for stage in ["at once", "when it is seen again", "when it is learned anew"] {
        if stage == "when it is seen again" {
            learn(&stores, &source, done(), findings()).await;
        } else if stage == "when it is learned anew" {
            stores.patterns.relearn().await.expect("forgotten");
            for job in super::claim(&stores, &source).await {
                record(&stores, &source, job, findings()).await;
            }
        }
        assert_eq!(pattern(&stores, deleted).await, None, "{stage}");
        assert!(pattern(&stores, kept).await.is_some(), "{stage}");
        let listed = stores.patterns.list(Listing { max: 10, ..Listing::default() }).await.expect("a list");
        assert_eq!(listed.iter().map(|pattern| pattern.id).collect::<Vec<_>>(), [kept], "{stage}");
        let lessons = stores.patterns.lessons(vec![first], vec![]).await.expect("lessons").lessons;
        assert_eq!(lessons.iter().map(|lesson| lesson.pattern.id).collect::<Vec<_>>(), [kept], "{stage}");
        let entries = everything(&stores).await;
        assert!(entries.iter().all(|entry| entry.found != Found::Pattern(deleted)), "{stage}");
        let named = stores.corpus.entries(vec![Found::Pattern(deleted)], None).await;
        assert_eq!(named, Ok(vec![]), "{stage}");
        assert_eq!(stores.health.counts().await.expect("counts").patterns, 1, "{stage}");
    }
}

/// What is learned is derived and can be lost; what was said is not.
pub async fn what_was_said_outlives_what_was_learned(stores: Stores) {
    let source = TestSource::default();
    let (_, ids) = learn(&stores, &source, done(), vec![sequence(&["a", "b"], 1.0)]).await;
    let said = correction(Some(Verdict::Pitfall), Some("no"));
    stores.feedback.correct(ids[0], Some(said.clone()), source.now()).await.expect("corrected");
    give(&stores, &source, &[Found::Pattern(ids[0])], Usefulness::Wrong).await;
    stores.patterns.relearn().await.expect("forgotten");
    assert_eq!(pattern(&stores, ids[0]).await, None);
    let job = super::claim_one(&stores, &source).await;
    record(&stores, &source, job, vec![sequence(&["a", "b"], 1.0)]).await;
    let again = pattern(&stores, ids[0]).await.expect("the pattern");
    assert_eq!(again.correction, Some(said));
    assert_tally(&again.feedback, &Usefulness::Wrong.observation(source.now()));
}

/// Neither a pattern that was never seen, nor one that no episode shows any more, nor a deleted one, nor what is usual.
pub async fn what_is_not_there_is_neither_corrected_nor_deleted(stores: Stores) {
    let source = TestSource::default();
    let base = Finding { body: PatternBody::Base { measure: Measure::Outcome }, credit: 1.0, detail: None };
    let usual = PatternId::of(None, &base.body);
    learn(&stores, &source, done(), vec![base]).await;
    let (gone_from, gone) = learn(&stores, &source, done(), vec![recovery("gone")]).await;
    record(&stores, &source, another_job(&source, gone_from), vec![]).await;
    let (_, deleted) = learn(&stores, &source, done(), vec![recovery("deleted")]).await;
    stores.feedback.delete_pattern(deleted[0], source.now()).await.expect("deleted");
    let before = seq(&stores).await;
    for id in [PatternId(source.id()), usual, gone[0], deleted[0]] {
        let said = Some(correction(Some(Verdict::Advice), None));
        assert_eq!(stores.feedback.correct(id, said, source.now()).await, Err(StoreError::NotFound));
        assert_eq!(stores.feedback.correct(id, None, source.now()).await, Err(StoreError::NotFound));
        assert_eq!(stores.feedback.delete_pattern(id, source.now()).await, Err(StoreError::NotFound));
        let about = feedback(&source, &[Found::Pattern(id)], Usefulness::Wrong);
        assert_eq!(stores.feedback.give(about).await, Err(StoreError::NotFound));
    }
    assert_eq!(seq(&stores).await, before);
}
