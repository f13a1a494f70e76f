//! Episodes and their steps.

use std::collections::BTreeMap;

use futures::future::join_all;
use memory_core::access::{Access, Refusal};
use memory_core::citation::{Citation, Citations, Fingerprint};
use memory_core::episode::{Basis, Brief, Episode, EpisodeHead, Outcome, Scope};
use memory_core::id::{EpisodeId, PatternId};
use memory_core::job::JobCounts;
use memory_core::limits::EPISODE_STEPS_MAX;
use memory_core::memory::{NewEnding, NewEpisode};
use memory_core::port::{Appended, Inserted, Replacement, Source, StoreError};
use memory_core::retrieve::Found;

use super::{add, assert_tally, at, claim_one, found, later, learn, pattern, recovery, sequence, worth};
use crate::episode::{
    brief, completion_insertion, failed, finished, full_step, in_domain, insertion, job, named, ok, open,
    step_insertion,
};
use crate::{Stores, TestSource};

fn full_brief() -> Brief {
    Brief {
        task: "Naïve café: \"quote\" it's 50 % \\ done; DROP TABLE episode; --\n日本語 🦀 \u{200b}end".into(),
        scope: Scope { domain: Some("coding.rust".into()), project: Some("acme/shop".into()) },
        task_type: Some("bug fix".into()),
        tags: vec!["b".into(), "a".into(), "ünïcode, with a comma".into()],
        context: BTreeMap::from([("branch".into(), "feat/\"x\"".into()), ("empty".into(), String::new())]),
    }
}

fn full_ending() -> NewEnding {
    NewEnding {
        outcome: Some(Outcome::Partial),
        summary: Some("half of it — 半分".into()),
        reward: Some(0.1 + 0.2),
        artifacts: vec!["src/lib.rs".into(), "https://example.com/pr/1?a=b&c='d'".into()],
        basis: Some(Basis::User),
    }
}

fn full_episode() -> NewEpisode {
    NewEpisode {
        external_id: Some("run/1 'quoted' ünïcode".into()),
        brief: full_brief(),
        started_at: Some(at("1969-07-20T20:17:40.123456Z")),
        steps: vec![full_step(1), failed("same", ""), ok("same"), full_step(4)],
        ending: Some(full_ending()),
    }
}

/// Nothing of an episode is lost, rounded or rewritten.
pub async fn an_episode_comes_back_with_every_field(stores: Stores) {
    let source = TestSource::at(at("2026-02-03T04:05:06.789012Z"));
    let insertion = insertion(&source, full_episode());
    let episode = insertion.episode.clone();
    assert_eq!(stores.episodes.insert(vec![insertion]).await, Ok(vec![Inserted::New]));
    assert_eq!(stores.episodes.heads(&[episode.head.id]).await, Ok(vec![episode.head.clone()]));
    assert_eq!(stores.episodes.get(episode.head.id).await, Ok(Some(episode)));
}

/// What is absent stays absent, and what is empty stays empty.
pub async fn an_episode_with_nothing_optional_comes_back(stores: Stores) {
    let source = TestSource::default();
    let mut blank = ok("t");
    (blank.args, blank.observation, blank.action) =
        (Some(String::new()), Some(String::new()), Some(String::new()));
    let ending = NewEnding { summary: Some(String::new()), ..NewEnding::default() };
    for new in [
        open("nothing but a task"),
        NewEpisode { steps: vec![blank, ok("t")], ending: Some(ending), ..open("empty strings") },
        NewEpisode { ending: Some(NewEnding::default()), ..open("no outcome") },
    ] {
        let insertion = insertion(&source, new);
        let episode = insertion.episode.clone();
        assert_eq!(stores.episodes.insert(vec![insertion]).await, Ok(vec![Inserted::New]));
        assert_eq!(stores.episodes.get(episode.head.id).await, Ok(Some(episode)));
    }
}

/// An episode may be as long as the limit says and no longer.
pub async fn a_long_episode_comes_back_in_order_and_takes_no_further_step(stores: Stores) {
    let source = TestSource::default();
    let steps = (0..EPISODE_STEPS_MAX).map(|number| ok(&format!("tool {number}"))).collect();
    let insertion = insertion(&source, NewEpisode { steps, ..open("a long one") });
    let episode = insertion.episode.clone();
    let id = episode.head.id;
    assert_eq!(stores.episodes.insert(vec![insertion]).await, Ok(vec![Inserted::New]));
    let refused = stores.episodes.append_step(id, step_insertion(&source, ok("one too many"))).await;
    assert_eq!(refused, Err(StoreError::TooManySteps(EPISODE_STEPS_MAX)));
    assert!(stores.episodes.get(id).await == Ok(Some(episode)), "the episode as it was");
}

/// An id that was never stored is no error to read.
pub async fn an_unknown_episode_is_none(stores: Stores) {
    let id = EpisodeId(TestSource::default().id());
    assert_eq!(stores.episodes.get(id).await, Ok(None));
    assert_eq!(stores.episodes.heads(&[id]).await, Ok(Vec::new()));
}

/// A second episode of a known external id is not stored, whatever else it says.
pub async fn an_external_id_names_one_episode(stores: Stores) {
    let source = TestSource::default();
    let first = add(&stores, &source, named("run", open("first words"))).await;
    let again = insertion(&source, named("run", finished("other text", Outcome::Success, vec![ok("t")])));
    let again_id = again.episode.head.id;
    let fresh = insertion(&source, named("run 2", open("another run")));
    let inserted = stores.episodes.insert(vec![again, fresh]).await;
    assert_eq!(inserted, Ok(vec![Inserted::Existing(first), Inserted::New]));
    assert_eq!(stores.episodes.get(again_id).await, Ok(None));
    assert_eq!(found(&stores, "other text").await, []);
    assert_eq!(stores.jobs.counts().await.expect("counts").queued, 0, "no job for what was not stored");
}

/// Within one batch the first of an external id wins.
pub async fn an_external_id_twice_in_a_batch_names_the_first(stores: Stores) {
    let source = TestSource::default();
    let batch: Vec<_> = [named("a", open("one")), named("b", open("two")), named("a", open("three"))]
        .into_iter()
        .map(|new| insertion(&source, new))
        .collect();
    let first = batch[0].episode.clone();
    let inserted = stores.episodes.insert(batch).await;
    assert_eq!(inserted, Ok(vec![Inserted::New, Inserted::New, Inserted::Existing(first.head.id)]));
    assert_eq!(stores.episodes.get(first.head.id).await, Ok(Some(first)));
    assert_eq!(stores.health.counts().await.expect("counts").episodes, 2);
}

/// If one episode of a batch cannot be stored, none is.
pub async fn a_batch_is_stored_whole_or_not_at_all(stores: Stores) {
    let source = TestSource::default();
    let taken = add(&stores, &source, open("it was here first")).await;
    let good = insertion(&source, finished("a good one", Outcome::Success, vec![ok("t")]));
    let good_id = good.episode.head.id;
    let mut bad = insertion(&source, open("a bad one"));
    bad.episode.head.id = taken;
    assert!(stores.episodes.insert(vec![good, bad]).await.is_err());
    assert_eq!(stores.episodes.get(good_id).await, Ok(None));
    assert_eq!(found(&stores, "good bad").await, []);
    assert_eq!(stores.jobs.counts().await.expect("counts").queued, 0);
}

/// Steps are kept in the order in which they came, each with all its fields and its time.
pub async fn steps_are_numbered_from_1_in_order(stores: Stores) {
    let source = TestSource::default();
    let id = add(&stores, &source, open("step by step")).await;
    let steps = [full_step(1), ok("same tool"), ok("same tool"), full_step(4)];
    let mut times = Vec::new();
    for (step, number) in steps.iter().zip(1..) {
        source.set(later(&source, 1));
        times.push(source.now());
        assert_eq!(
            stores.episodes.append_step(id, step_insertion(&source, step.clone())).await,
            Ok(Appended::New(number))
        );
    }
    let episode = stores.episodes.get(id).await.expect("a read").expect("the episode");
    assert_eq!(episode.head.step_count, 4);
    assert!(episode.head.revision > 1, "a step is a change");
    assert_eq!(stores.episodes.heads(&[id]).await, Ok(vec![episode.head.clone()]));
    let kept: Vec<_> = episode.steps.into_iter().map(|step| (step.number, step.at, step.call)).collect();
    let sent: Vec<_> = (1..).zip(times).zip(steps).map(|((number, at), call)| (number, at, call)).collect();
    assert_eq!(kept, sent);
}

/// A step that is sent again is stored once, even when its episode has ended since; another episode may have a step
/// of the same external id.
pub async fn a_step_of_a_known_external_id_is_that_step(stores: Stores) {
    let source = TestSource::default();
    let mut given = ok("given at the start");
    given.external_id = Some("call-0".into());
    let id = add(&stores, &source, NewEpisode { steps: vec![given.clone()], ..open("a task") }).await;
    let other = add(&stores, &source, open("another task")).await;
    let append = |id, step| stores.episodes.append_step(id, step_insertion(&source, step));
    assert_eq!(append(id, given.clone()).await, Ok(Appended::Existing(1)));
    assert_eq!(append(id, full_step(7)).await, Ok(Appended::New(2)));
    assert_eq!(append(id, ok("third")).await, Ok(Appended::New(3)));
    let mut changed = full_step(7);
    changed.tool = "not what it was".into();
    assert_eq!(append(id, changed).await, Ok(Appended::Existing(2)));
    assert_eq!(append(other, full_step(7)).await, Ok(Appended::New(1)));
    let episode = stores.episodes.get(id).await.expect("a read").expect("the episode");
    assert_eq!((episode.steps.len(), &episode.steps[1].call), (3, &full_step(7)));
    let end = completion_insertion(&source, &episode, NewEnding::default());
    assert_eq!(stores.episodes.complete(id, end).await, Ok(()));
    assert_eq!(append(id, full_step(7)).await, Ok(Appended::Existing(2)));
}

/// Where no step can be, none is stored.
pub async fn a_step_is_refused_by_an_unknown_and_by_a_completed_episode(stores: Stores) {
    let source = TestSource::default();
    let unknown = EpisodeId(source.id());
    let append = |id| stores.episodes.append_step(id, step_insertion(&source, full_step(1)));
    assert_eq!(append(unknown).await, Err(StoreError::NotFound));
    let id = add(&stores, &source, finished("done", Outcome::Success, vec![ok("t")])).await;
    let before = stores.episodes.get(id).await;
    assert_eq!(append(id).await, Err(StoreError::Completed));
    assert_eq!(stores.episodes.get(id).await, before);
}

/// No number is given twice and none is left out, however many write at the same time.
pub async fn steps_added_at_once_get_numbers_of_their_own(stores: Stores) {
    let source = TestSource::default();
    let id = add(&stores, &source, open("busy")).await;
    let steps = (0..20).map(|i| step_insertion(&source, ok(&format!("tool {i}"))));
    let appended = join_all(steps.map(|step| stores.episodes.append_step(id, step))).await;
    let number = |appended| match appended {
        Ok(Appended::New(number)) => number,
        other => panic!("{other:?}"),
    };
    let mut numbers: Vec<u32> = appended.into_iter().map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    let episode = stores.episodes.get(id).await.expect("a read").expect("the episode");
    assert!(episode.steps.iter().map(|step| step.number).eq(1..=20));
}

/// The end of an episode is kept with its computed parts.
pub async fn a_completion_comes_back_with_every_field(stores: Stores) {
    let source = TestSource::default();
    let steps = vec![failed("build", "exit 1"), ok("build")];
    let id = add(&stores, &source, NewEpisode { steps, ..open("a task") }).await;
    let mut episode = stores.episodes.get(id).await.expect("a read").expect("the episode");
    source.set(later(&source, 5));
    let end = completion_insertion(&source, &episode, full_ending());
    assert_eq!(end.completion.reflection.failures.len(), 1, "the case covers failures");
    assert_eq!(stores.episodes.complete(id, end.clone()).await, Ok(()));
    let kept = stores.episodes.get(id).await.expect("a read").expect("the episode");
    assert!(kept.head.revision > episode.head.revision, "a completion is a change");
    episode.head.completion = Some(end.completion);
    episode.head.revision = kept.head.revision;
    assert_eq!(kept, episode);
    assert_eq!(stores.episodes.heads(&[id]).await, Ok(vec![kept.head]));
}

/// Whatever an outcome rests on, and whether the record contradicts it.
pub async fn what_an_outcome_rests_on_comes_back(stores: Stores) {
    let source = TestSource::default();
    for basis in Basis::ALL {
        let ending =
            NewEnding { outcome: Some(Outcome::Success), basis: Some(basis), ..NewEnding::default() };
        let id = add(&stores, &source, NewEpisode { ending: Some(ending), ..open("a task") }).await;
        let head = stores.episodes.heads(&[id]).await.expect("a read").remove(0);
        let completion = head.completion.expect("its end");
        assert_eq!((completion.basis, completion.disputed), (basis, false));
    }
    let id = add(&stores, &source, finished("tested", Outcome::Success, vec![failed("pytest", "no")])).await;
    let head = stores.episodes.heads(&[id]).await.expect("a read").remove(0);
    assert!(head.completion.expect("its end").disputed);
}

/// A completion that was computed before the last step is refused.
pub async fn completing_from_a_stale_revision_is_a_conflict(stores: Stores) {
    let source = TestSource::default();
    let id = add(&stores, &source, open("a task")).await;
    let read = stores.episodes.get(id).await.expect("a read").expect("the episode");
    let stale = completion_insertion(&source, &read, full_ending());
    assert_eq!(stores.episodes.append_step(id, step_insertion(&source, ok("t"))).await, Ok(Appended::New(1)));
    assert_eq!(stores.episodes.complete(id, stale).await, Err(StoreError::Conflict));
    let read = stores.episodes.get(id).await.expect("a read").expect("the episode");
    assert_eq!(read.head.completion, None);
    assert_eq!(stores.jobs.counts().await.expect("counts").queued, 0, "no job for what was refused");
    let current = completion_insertion(&source, &read, full_ending());
    assert_eq!(stores.episodes.complete(id, current).await, Ok(()));
}

/// What is completed, or was never there, cannot be completed.
pub async fn an_episode_is_completed_once(stores: Stores) {
    let source = TestSource::default();
    let id = add(&stores, &source, finished("done", Outcome::Success, vec![])).await;
    let done = stores.episodes.get(id).await.expect("a read").expect("the episode");
    let again = completion_insertion(&source, &done, full_ending());
    assert_eq!(stores.episodes.complete(id, again).await, Err(StoreError::Completed));
    assert_eq!(stores.episodes.get(id).await, Ok(Some(done.clone())));
    let unknown = EpisodeId(source.id());
    let end = completion_insertion(&source, &done, full_ending());
    assert_eq!(stores.episodes.complete(unknown, end).await, Err(StoreError::NotFound));
    assert_eq!(stores.jobs.counts().await.expect("counts").queued, 1);
}

/// Heads are given in the order of the question; what is unknown is left out.
pub async fn heads_come_in_the_order_asked_for(stores: Stores) {
    let source = TestSource::default();
    let mut ids = Vec::new();
    for task in ["one", "two", "three"] {
        let new = NewEpisode { brief: brief(task), ..full_episode() };
        ids.push(add(&stores, &source, named(task, new)).await);
    }
    let unknown = EpisodeId(source.id());
    let heads = stores.episodes.heads(&[ids[2], unknown, ids[0], ids[1]]).await.expect("heads");
    let tasks: Vec<&str> = heads.iter().map(|head| head.brief.task.as_str()).collect();
    assert_eq!(tasks, ["three", "one", "two"]);
    assert_eq!(stores.episodes.heads(&[]).await, Ok(Vec::new()));
}

/// An episode leaves with its steps, its name, its job, what it cites and what it alone taught. What others taught too
/// stays, without it.
pub async fn a_deleted_episode_is_gone_with_all_that_belongs_to_it(stores: Stores) {
    let source = TestSource::default();
    let root = Fingerprint([0x5c; 32]);
    let run = || named("run", finished("solder the wire", Outcome::Success, vec![full_step(1), ok("t")]));
    let mut first = insertion(&source, run());
    let id = first.episode.head.id;
    first.citations = Some(Citations { root, cited: vec![Citation::Commit { id: "0a1b2c3d".into() }] });
    stores.episodes.insert(vec![first]).await.expect("stored");
    let job = claim_one(&stores, &source).await;
    super::record(&stores, &source, job, vec![recovery("cold iron"), sequence(&["a", "b"], 0.0)]).await;
    let success = || finished("x", Outcome::Success, vec![]);
    let (other, ids) = learn(&stores, &source, success(), vec![sequence(&["a", "b"], 1.0)]).await;
    let before = stores.changes.change_seq().await.expect("a read");

    assert_eq!(stores.episodes.delete(id).await, Ok(()));
    assert_eq!(stores.episodes.get(id).await, Ok(None));
    assert_eq!(stores.episodes.heads(&[id, other]).await.expect("heads").len(), 1);
    assert_eq!(found(&stores, "solder wire cold iron").await, []);
    assert_eq!(stores.citations.citations(vec![Found::Episode(id)], root).await, Ok(vec![]));
    let counts = stores.health.counts().await.expect("counts");
    assert_eq!((counts.episodes, counts.steps, counts.patterns), (1, 0, 1));
    let shared = pattern(&stores, ids[0]).await.expect("what the other taught too");
    assert_tally(&shared.tally, &worth(&[1.0], source.now()));
    assert_eq!(stores.patterns.evidence(ids[0], 10).await.expect("evidence").len(), 1);
    let changes = stores.changes.changes_after(before, 100).await.expect("a read").expect("known");
    assert!(changes.iter().any(|change| change.found == Found::Episode(id)), "{changes:?}");

    assert_eq!(stores.episodes.delete(id).await, Err(StoreError::NotFound));
    let again = add(&stores, &source, run()).await;
    assert_ne!(again, id, "its name is free");
    assert_eq!(stores.episodes.delete(again).await, Ok(()));
    let open = add(&stores, &source, NewEpisode { steps: vec![ok("t")], ..open("an open one") }).await;
    assert_eq!(stores.episodes.delete(open).await, Ok(()));
    assert_eq!(stores.jobs.counts().await, Ok(JobCounts::default()), "nothing is left to study");
    assert_eq!(stores.jobs.next_due().await, Ok(None));
}

/// To delete nothing changes nothing.
pub async fn what_was_never_there_cannot_be_deleted(stores: Stores) {
    let source = TestSource::default();
    add(&stores, &source, open("a task")).await;
    let before = stores.changes.change_seq().await;
    assert_eq!(stores.episodes.delete(EpisodeId(source.id())).await, Err(StoreError::NotFound));
    assert_eq!(stores.changes.change_seq().await, before);
    assert_eq!(stores.health.counts().await.expect("counts").episodes, 1);
}

/// What is recorded of an episode in its place, from this state of it on.
fn replacement(source: &TestSource, read: &Episode, brief: Brief, outcome: Option<Outcome>) -> Replacement {
    let completion = outcome.map(|outcome| {
        let ending = NewEnding { outcome: Some(outcome), ..full_ending() };
        ending.conclude(&read.steps, source.now())
    });
    let job = completion.is_some().then(|| job(source, 1.0));
    Replacement { revision: read.head.revision, brief, completion, job, citations: None }
}

async fn read(stores: &Stores, id: EpisodeId) -> Episode {
    stores.episodes.get(id).await.expect("a read").expect("the episode")
}

/// Whatever was replaced is what is read and searched, open or completed; the steps stay.
pub async fn what_is_put_right_comes_back(stores: Stores) {
    let source = TestSource::default();
    let done = add(&stores, &source, full_episode()).await;
    let steps = vec![full_step(1)];
    let running = add(&stores, &source, NewEpisode { steps, ..open("solder the wire") }).await;
    for (id, outcome) in [(done, Some(Outcome::Failure)), (running, None)] {
        let before = read(&stores, id).await;
        let new = replacement(&source, &before, brief("glue the pipe"), outcome);
        let stale = Replacement { revision: before.head.revision + 1, ..new.clone() };
        assert_eq!(stores.episodes.replace(id, stale).await, Err(StoreError::Conflict));
        let (completion, of_other_state) = match outcome {
            Some(_) => (new.completion.clone(), Replacement { completion: None, job: None, ..new.clone() }),
            None => (None, replacement(&source, &before, brief("x"), Some(Outcome::Success))),
        };
        assert_eq!(stores.episodes.replace(id, of_other_state).await, Err(StoreError::Conflict));
        let seq = stores.changes.change_seq().await.expect("a read");
        assert_eq!(stores.episodes.replace(id, new.clone()).await, Ok(()));
        let revision = before.head.revision + 1;
        let head = EpisodeHead { brief: brief("glue the pipe"), completion, revision, ..before.head };
        assert_eq!(read(&stores, id).await, Episode { head, steps: before.steps });
        let changes = stores.changes.changes_after(seq, 100).await.expect("a read").expect("known");
        assert!(changes.iter().any(|change| change.found == Found::Episode(id)), "{changes:?}");
        assert!(found(&stores, "glue").await.contains(&Found::Episode(id)));
        assert_eq!(stores.episodes.replace(id, new).await, Err(StoreError::Conflict), "once");
    }
    assert_eq!(found(&stores, "solder").await, []);
    let unknown = replacement(&source, &read(&stores, done).await, brief("x"), Some(Outcome::Success));
    let replaced = stores.episodes.replace(EpisodeId(source.id()), unknown).await;
    assert_eq!(replaced, Err(StoreError::NotFound));
}

/// Nothing is left of what it taught, and one job is there to learn it anew, whatever jobs it had.
pub async fn what_is_put_right_takes_back_what_it_taught(stores: Stores) {
    let source = TestSource::default();
    let new = in_domain("a", finished("solder", Outcome::Success, vec![full_step(1), ok("t")]));
    let findings = vec![recovery("cold iron"), sequence(&["a", "b"], 1.0)];
    let [alone, together] = [0, 1].map(|place: usize| PatternId::of(Some("a"), &findings[place].body));
    let (id, _) = learn(&stores, &source, new, findings).await;
    let other = in_domain("a", finished("x", Outcome::Success, vec![]));
    learn(&stores, &source, other, vec![sequence(&["a", "b"], 1.0)]).await;
    for queued in 0..2 {
        assert_eq!(stores.jobs.counts().await.expect("counts").queued, queued);
        let before = read(&stores, id).await;
        let moved = in_domain("b", finished("solder", Outcome::Success, vec![])).brief;
        let new = replacement(&source, &before, moved, Some(Outcome::Failure));
        let its_job = new.job.expect("a job").id;
        assert_eq!(stores.episodes.replace(id, new).await, Ok(()));
        assert_eq!(pattern(&stores, alone).await, None);
        let shared = pattern(&stores, together).await.expect("what the other taught too");
        assert_tally(&shared.tally, &worth(&[1.0], source.now()));
        let expected = JobCounts { queued: 1, ..JobCounts::default() };
        assert_eq!(stores.jobs.counts().await, Ok(expected), "that of the last state alone");
        if queued == 1 {
            assert_eq!(claim_one(&stores, &source).await.id, its_job);
        }
    }
}

/// Who studied it as it was before comes too late, whoever studies it as it is.
pub async fn what_was_studied_before_it_was_put_right_teaches_nothing(stores: Stores) {
    let source = TestSource::default();
    let id = add(&stores, &source, finished("solder", Outcome::Success, vec![ok("a"), ok("b")])).await;
    let late = claim_one(&stores, &source).await;
    let studied = super::taught(&stores, late, super::teaching(&source, 1, vec![recovery("x")])).await;
    let new = replacement(&source, &read(&stores, id).await, brief("glue"), Some(Outcome::Failure));
    assert_eq!(stores.episodes.replace(id, new).await, Ok(()));
    let record = async || stores.patterns.record(vec![studied.clone()]).await;
    assert_eq!(record().await, Ok(vec![vec![]]));
    assert_eq!(stores.jobs.counts().await.expect("counts").queued, 1, "it is still to be studied as it is");
    let job = claim_one(&stores, &source).await;
    let learned = super::record(&stores, &source, job, vec![recovery("y")]).await;
    assert_eq!(record().await, Ok(vec![vec![]]));
    assert!(pattern(&stores, learned[0]).await.is_some());
    assert_eq!(stores.health.counts().await.expect("counts").patterns, 1);
}

/// Within a domain a name is that of one episode, and a domain must be the caller's own.
pub async fn an_episode_moves_where_its_name_is_free(stores: Stores) {
    let source = TestSource::default();
    let called = |domain| named("run", in_domain(domain, open("a task")));
    let id = add(&stores, &source, called("a")).await;
    let other = add(&stores, &source, in_domain("b", open("a task"))).await;
    let seen = stores.within(&Access::new(&["b".to_owned()], true).expect("domains"));
    let taken = insertion(&source, called("b"));
    let taken_id = taken.episode.head.id;
    seen.episodes.insert(vec![taken]).await.expect("it is free in its own domain");
    let to = async |id, domain: &str| {
        let brief = in_domain(domain, open("a task")).brief;
        replacement(&source, &read(&stores, id).await, brief, None)
    };
    let before = read(&stores, id).await;
    let refused = stores.episodes.replace(id, to(id, "b").await).await;
    assert_eq!(refused, Err(StoreError::NameTaken(taken_id)));
    assert_eq!(read(&stores, id).await, before);
    assert_eq!(stores.episodes.replace(id, to(id, "b.c").await).await, Ok(()));
    assert_eq!(stores.episodes.replace(id, to(id, "a").await).await, Ok(()));
    // One without a name moves anywhere, but not out of the domains of who moves it.
    assert_eq!(seen.episodes.replace(id, to(id, "b").await).await, Err(StoreError::NotFound));
    let outside = Refusal::Outside { domain: "a".into(), allowed: vec!["b".into()] };
    let moved = seen.episodes.replace(other, to(other, "a").await).await;
    assert_eq!(moved, Err(StoreError::Refused(outside)));
    assert_eq!(stores.episodes.replace(other, to(other, "a").await).await, Ok(()));
}
