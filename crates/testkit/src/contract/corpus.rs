//! What a search index is made from.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::episode::{Outcome, Scope};
use memory_core::extract::Finding;
use memory_core::feedback::{Feedback, Usefulness};
use memory_core::id::{EpisodeId, NoteId, PatternId};
use memory_core::limits::SEARCHED_STEPS_MAX;
use memory_core::memory::{NewEnding, NewEpisode};
use memory_core::note::Note;
use memory_core::pattern::{Correction, Measure, Mistake, Pattern, PatternBody, Tally, Verdict};
use memory_core::port::Source;
use memory_core::retrieve::Found;
use memory_core::retrieve::document::{of_episode, of_note, of_pattern};
use memory_core::search::{Entry, Standing};

use super::{
    add, another_job as again, at, everything, later, learn, note, one_of_each, record, recovery, remember,
    sequence,
};
use crate::episode::{
    completion_insertion, failed, finished, full_step, in_domain, ok, open, step_insertion,
};
use crate::{Stores, TestSource};

/// An entry of something without vectors.
async fn entry(stores: &Stores, found: Found) -> Entry {
    let mut entries = stores.corpus.entries(vec![found], None).await.expect("a read");
    assert_eq!(entries.len(), 1, "{found:?}");
    let entry = entries.remove(0);
    assert_eq!(entry.found, found);
    assert_eq!(entry.vectors, vec![None; entry.document.passages.len()]);
    entry
}

/// A fresh store has come nowhere.
pub async fn a_fresh_store_has_nothing_to_search(stores: Stores) {
    assert_eq!(stores.corpus.standing().await, Ok(Standing { seq: 0, space: None }));
    assert_eq!(stores.corpus.changed_after(0, 10).await, Ok(Some(vec![])));
    assert_eq!(stores.corpus.page(None, 10, None).await, Ok(vec![]));
    assert_eq!(stores.corpus.entries(vec![], None).await, Ok(vec![]));
}

/// The entry of an episode is made of all that is stored of it, at every stage of its life.
pub async fn the_entry_of_an_episode_grows_with_it(stores: Stores) {
    let source = TestSource::default();
    let mut new = in_domain("web", NewEpisode { steps: vec![full_step(1)], ..open("Fix the flaky login") });
    new.brief.scope.project = Some("acme/shop".into());
    new.brief.tags = vec!["urgent".into()];
    new.started_at = Some(at("1969-07-20T20:17:40.123456Z"));
    let (scope, started_at) = (new.brief.scope.clone(), new.started_at);
    let id = add(&stores, &source, new).await;
    let ending = NewEnding {
        outcome: Some(Outcome::Partial),
        summary: Some("replaced the hinge".into()),
        artifacts: vec!["door.rs".into()],
        ..NewEnding::default()
    };
    for stage in 0..3 {
        let episode = stores.episodes.get(id).await.expect("a read").expect("the episode");
        let now = entry(&stores, Found::Episode(id)).await;
        let document = of_episode(&episode.head, episode.steps.iter().map(|step| &step.call));
        assert_eq!(now.document, document, "at stage {stage}");
        assert_eq!((&now.scope, Some(now.at), now.retired), (&scope, started_at, None));
        assert_eq!(now.outcome, (stage == 2).then_some(Outcome::Partial));
        match stage {
            0 => {
                let step = step_insertion(&source, failed("hammer", "too soft"));
                stores.episodes.append_step(id, step).await.expect("a step");
            }
            _ if episode.head.completion.is_none() => {
                let end = completion_insertion(&source, &episode, ending.clone());
                stores.episodes.complete(id, end).await.expect("completed");
            }
            _ => {}
        }
    }
}

/// A very long episode is searched by its beginning.
pub async fn the_first_steps_of_a_long_episode_are_searched(stores: Stores) {
    let source = TestSource::default();
    let steps = (0..SEARCHED_STEPS_MAX + 20).map(|number| ok(&format!("tool{number}"))).collect::<Vec<_>>();
    let id = add(&stores, &source, NewEpisode { steps: steps.clone(), ..open("a long one") }).await;
    let head = stores.episodes.heads(&[id]).await.expect("heads").remove(0);
    assert_eq!(entry(&stores, Found::Episode(id)).await.document, of_episode(&head, &steps));
}

/// Notes and patterns are entries of their own.
pub async fn notes_and_patterns_are_entries(stores: Stores) {
    let source = TestSource::at(at("2026-02-03T04:05:06.789012Z"));
    let scope = Scope { domain: Some("coding.rust".into()), project: Some("acme/shop".into()) };
    let new = Note {
        scope: scope.clone(),
        external_id: Some("style".into()),
        tags: vec!["t".into()],
        ..note(&source, "Prefer tabs.")
    };
    remember(&stores, &new, &[]).await;
    let of_it = entry(&stores, Found::Note(new.id)).await;
    assert_eq!((&of_it.document, &of_it.scope, of_it.at), (&of_note(&new), &scope, new.at));
    assert_eq!((of_it.outcome, of_it.retired), (None, None));

    source.set(later(&source, 60));
    let episode = in_domain("web", finished("x", Outcome::Success, vec![]));
    let finding = recovery("socket hung up");
    let (_, ids) = learn(&stores, &source, episode, vec![finding.clone()]).await;
    let pattern = Pattern {
        id: ids[0],
        body: finding.body,
        domain: Some("web".into()),
        tally: Tally::one(1.0, 1.0, source.now()),
        feedback: Tally::default(),
        last_seen: source.now(),
        correction: None,
    };
    let of_it = entry(&stores, Found::Pattern(ids[0])).await;
    assert_eq!((&of_it.document, of_it.at), (&of_pattern(&pattern), pattern.last_seen));
    assert_eq!(of_it.scope, Scope { domain: pattern.domain, project: None });
    assert_eq!((of_it.outcome, of_it.retired), (None, None));
}

/// What follows which tool, under which condition, and what is usual is asked for by other ways than words. One episode
/// alone makes no habit of a sequence, nor a mistake of a failure.
pub async fn only_patterns_that_somebody_may_look_for_are_entries(stores: Stores) {
    let source = TestSource::default();
    let pitfall = PatternBody::Pitfall { mistake: Mistake::Failed, tool: "t".into(), error: "no".into() };
    let never = [
        PatternBody::DecisionPoint { after: None, choice: "t".into() },
        PatternBody::Context { name: "tool".into(), value: "t".into() },
        PatternBody::Base { measure: Measure::Outcome },
        PatternBody::Base { measure: Measure::Recovery },
    ];
    let others = [pitfall.clone()].into_iter().chain(never);
    let mut findings: Vec<Finding> = others.map(|body| Finding { body, credit: 1.0, detail: None }).collect();
    findings.extend([recovery("no"), sequence(&["a", "b"], 1.0)]);
    let entries = async || {
        let entries = everything(&stores).await.into_iter().map(|entry| entry.found);
        entries.filter(|found| matches!(found, Found::Pattern(_))).collect::<BTreeSet<Found>>()
    };
    let of = |body: &PatternBody| Found::Pattern(PatternId::of(None, body));
    let at_once = BTreeSet::from([of(&recovery("no").body)]);
    let done = || finished("x", Outcome::Success, vec![]);
    learn(&stores, &source, done(), findings.clone()).await;
    assert_eq!(entries().await, at_once);
    let (second, ids) = learn(&stores, &source, done(), findings).await;
    let more = [of(&pitfall), of(&sequence(&["a", "b"], 1.0).body)];
    assert_eq!(entries().await, at_once.iter().copied().chain(more).collect());
    let asked = ids.into_iter().map(Found::Pattern).collect();
    let named = stores.corpus.entries(asked, None).await.expect("a read");
    assert_eq!(named.into_iter().map(|entry| entry.found).collect::<BTreeSet<_>>(), entries().await);
    record(&stores, &source, again(&source, second), vec![]).await;
    assert_eq!(entries().await, at_once, "and again when one episode is left");
}

/// A superseded note can still be searched for; its entry says since when it does not hold.
pub async fn a_superseded_note_says_since_when(stores: Stores) {
    let source = TestSource::default();
    let first = note(&source, "deploy on monday");
    let second = Note { external_id: Some("day".into()), ..note(&source, "deploy on tuesday") };
    remember(&stores, &first, &[]).await;
    remember(&stores, &second, &[]).await;
    source.set(later(&source, 5));
    let third = Note { external_id: Some("day".into()), ..note(&source, "deploy on friday") };
    remember(&stores, &third, &[first.id.to_string()]).await;
    for (old, document) in [(&first, of_note(&first)), (&second, of_note(&second))] {
        let entry = entry(&stores, Found::Note(old.id)).await;
        assert_eq!((entry.document, entry.at, entry.retired), (document, old.at, Some(third.at)));
    }
    // To supersede again what is superseded changes nothing about it.
    source.set(later(&source, 5));
    let fourth = note(&source, "deploy on sunday");
    remember(&stores, &fourth, &[first.id.to_string(), third.id.to_string()]).await;
    assert_eq!(entry(&stores, Found::Note(first.id)).await.retired, Some(third.at));
    assert_eq!(entry(&stores, Found::Note(third.id)).await.retired, Some(fourth.at));
    // An older note that is said again supersedes at that time, not at its own.
    source.set(later(&source, 5));
    let again = Note { id: NoteId(source.id()), at: source.now(), ..fourth.clone() };
    let newer = note(&source, "deploy at night");
    remember(&stores, &newer, &[]).await;
    assert_eq!(remember(&stores, &again, &[newer.id.to_string()]).await, (fourth.id, vec![newer.id]));
    assert_eq!(entry(&stores, Found::Note(newer.id)).await.retired, Some(again.at));
}

/// What is not there has no entry.
pub async fn what_is_gone_has_no_entry(stores: Stores) {
    let source = TestSource::default();
    let one = one_of_each(&stores, &source, "d").await;
    record(&stores, &source, again(&source, one.episode), vec![]).await;
    let unknown = vec![
        Found::Episode(EpisodeId(source.id())),
        Found::Pattern(PatternId(source.id())),
        Found::Note(NoteId(source.id())),
        Found::Pattern(one.pattern),
    ];
    assert_eq!(stores.corpus.entries(unknown.clone(), None).await, Ok(vec![]));
    let some = [unknown, vec![Found::Note(one.note)]].concat();
    let entries = stores.corpus.entries(some, None).await.expect("a read");
    assert_eq!(entries.iter().map(|entry| entry.found).collect::<Vec<_>>(), [Found::Note(one.note)]);
}

/// Pages of whatever size give every entry once, in one order.
pub async fn pages_give_everything_once(stores: Stores) {
    let source = TestSource::default();
    let mut all = BTreeSet::new();
    for n in 0..4 {
        all.extend(one_of_each(&stores, &source, &format!("d{n}")).await.all());
    }
    let newer = note(&source, "newer");
    let oldest = all.iter().copied().find_map(|found| match found {
        Found::Note(id) => Some(id.to_string()),
        _ => None,
    });
    remember(&stores, &newer, &[oldest.expect("a note")]).await;
    all.insert(Found::Note(newer.id));
    let whole = everything(&stores).await;
    let order: Vec<Found> = whole.iter().map(|entry| entry.found).collect();
    assert_eq!((BTreeSet::from_iter(order.clone()), order.len()), (all.clone(), all.len()));
    for max in [1, 2, 3, 5, 12, 13, 14] {
        let mut read = Vec::new();
        loop {
            let after = read.last().map(|entry: &Entry| entry.found);
            let page = stores.corpus.page(after, max, None).await.expect("a page");
            assert!(page.len() == max || read.len() + page.len() == all.len(), "a short page is the last");
            if page.is_empty() {
                break;
            }
            read.extend(page);
            assert!(read.len() <= all.len(), "some come twice");
        }
        assert_eq!(read, whole, "{max} at a time");
    }
    let mut named = stores.corpus.entries(order.clone(), None).await.expect("a read");
    named.sort_by_key(|entry| order.iter().position(|found| *found == entry.found));
    assert_eq!(named, whole, "entries are the same however they are asked for");
}

/// A reader that has lost the thing it stopped at goes on from where it would be.
pub async fn a_page_goes_on_after_what_is_gone(stores: Stores) {
    let source = TestSource::default();
    let mut domains = ["d", "e"];
    // The pattern that is lost is the one that is read first.
    domains.sort_by_key(|domain| PatternId::of(Some(*domain), &recovery("common").body));
    let one = one_of_each(&stores, &source, domains[0]).await;
    let two = one_of_each(&stores, &source, domains[1]).await;
    record(&stores, &source, again(&source, one.episode), vec![]).await;
    let page = stores.corpus.page(Some(Found::Pattern(one.pattern)), 10, None).await.expect("a page");
    let found: BTreeSet<Found> = page.iter().map(|entry| entry.found).collect();
    let rest = [Found::Pattern(two.pattern), Found::Note(one.note), Found::Note(two.note)];
    assert_eq!(found, BTreeSet::from(rest));
}

/// Whoever follows the changes knows of every entry that is not what it was.
pub async fn every_change_of_an_entry_is_logged(stores: Stores) {
    let source = TestSource::default();
    let mut follower = Follower::default();
    let one = one_of_each(&stores, &source, "d").await;
    follower.follow(&stores, "three new things").await;
    let id = add(&stores, &source, open("a task")).await;
    follower.follow(&stores, "an open episode").await;
    stores.episodes.append_step(id, step_insertion(&source, ok("hammer"))).await.expect("a step");
    follower.follow(&stores, "a step").await;
    let episode = stores.episodes.get(id).await.expect("a read").expect("the episode");
    let ending = NewEnding { outcome: Some(Outcome::Failure), ..NewEnding::default() };
    let end = completion_insertion(&source, &episode, ending);
    stores.episodes.complete(id, end).await.expect("completed");
    follower.follow(&stores, "an end").await;
    let job = super::claim_one(&stores, &source).await;
    record(&stores, &source, job, vec![sequence(&["gather", "solder"], 1.0), recovery("no route")]).await;
    follower.follow(&stores, "two patterns").await;
    let early = source.now();
    let done = || finished("x", Outcome::Success, vec![]);
    for times in ["twice", "three times"] {
        source.set(later(&source, 60));
        let findings = vec![sequence(&["look", times], 1.0), recovery("no route")];
        learn(&stores, &source, done(), findings).await;
        follower.follow(&stores, &format!("a pattern seen {times}")).await;
    }
    let (late, _) = learn(&stores, &source, done(), vec![sequence(&["gather", "solder"], 0.0)]).await;
    follower.follow(&stores, "a sequence seen twice").await;
    let findings = || vec![recovery("no route"), sequence(&["bend", "weld"], 0.0)];
    let (first, _) = learn(&stores, &source, done(), findings()).await;
    follower.follow(&stores, "a sequence seen once").await;
    let now = source.now();
    source.set(early);
    learn(&stores, &source, done(), findings()).await;
    source.set(now);
    follower.follow(&stores, "an earlier episode").await;
    record(&stores, &source, again(&source, first), vec![sequence(&["weld", "bend"], 1.0)]).await;
    follower.follow(&stores, "another study").await;
    record(&stores, &source, again(&source, late), vec![]).await;
    follower.follow(&stores, "a sequence that one episode shows").await;
    record(&stores, &source, again(&source, id), vec![]).await;
    record(&stores, &source, again(&source, one.episode), vec![]).await;
    follower.follow(&stores, "patterns without evidence").await;
    let spoken_of = learn(&stores, &source, done(), vec![recovery("no route"), recovery("no way")]).await;
    follower.follow(&stores, "patterns that come back").await;
    let [deleted, corrected] = ["no route", "no way"].map(|error| PatternId::of(None, &recovery(error).body));
    let correction = Correction { verdict: Some(Verdict::Pitfall), note: Some("never".into()) };
    stores.feedback.correct(corrected, Some(correction), source.now()).await.expect("corrected");
    follower.follow(&stores, "a correction").await;
    stores.feedback.delete_pattern(deleted, source.now()).await.expect("deleted");
    follower.follow(&stores, "a pattern deleted").await;
    let about = vec![Found::Pattern(corrected), Found::Episode(spoken_of.0)];
    let feedback = Feedback { about, usefulness: Usefulness::Helped, comment: None, at: source.now() };
    stores.feedback.give(feedback).await.expect("noted");
    follower.follow(&stores, "feedback").await;
    stores.episodes.delete(spoken_of.0).await.expect("deleted");
    follower.follow(&stores, "an episode deleted").await;
    stores.patterns.relearn().await.expect("forgotten");
    follower.follow(&stores, "everything forgotten").await;
    remember(&stores, &note(&source, "newer"), &[one.note.to_string()]).await;
    follower.follow(&stores, "a note superseded").await;
}

/// Keeps a copy of all entries by following the changes.
#[derive(Default)]
struct Follower {
    seq: u64,
    copy: BTreeMap<Found, Entry>,
}

impl Follower {
    async fn follow(&mut self, stores: &Stores, after: &str) {
        let standing = stores.corpus.standing().await.expect("a read");
        assert!(standing.seq > self.seq, "{after} is a change");
        let changes = stores.corpus.changed_after(self.seq, 1_000).await.expect("a read").expect("known");
        assert_eq!(changes.last().map(|change| change.seq), Some(standing.seq), "{after}");
        let changed: BTreeSet<Found> = changes.into_iter().map(|change| change.found).collect();
        self.copy.retain(|found, _| !changed.contains(found));
        let entries = stores.corpus.entries(changed.into_iter().collect(), None).await.expect("a read");
        self.copy.extend(entries.into_iter().map(|entry| (entry.found, entry)));
        self.seq = standing.seq;
        let now: BTreeMap<Found, Entry> =
            everything(stores).await.into_iter().map(|entry| (entry.found, entry)).collect();
        assert_eq!(self.copy, now, "after {after}");
    }
}
