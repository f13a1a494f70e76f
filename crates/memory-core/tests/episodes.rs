//! The life of an episode as its caller sees it, and notes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use memory_core::episode::{Basis, Brief, Episode, EpisodeHead, Outcome, Scope};
use memory_core::error::Error;
use memory_core::event::{EpisodeEvent, EventHandler};
use memory_core::id::{EpisodeId, NoteId};
use memory_core::limits::{CONFLICT_RETRIES_MAX, EPISODE_LINKS_MAX};
use memory_core::link::{Link, Relation};
use memory_core::memory::{EpisodeCorrection, Memory, NewEnding, NewEpisode, NewNote, Updated};
use memory_core::note::Layer;
use memory_core::port::{
    Appended, CompletionInsertion, EpisodeStore, Inserted, Insertion, Replacement, Source, StepInsertion,
    StoreError,
};
use memory_core::retrieve::{Filter, Found, Item, query_terms};
use memory_core::search::Search;
use testkit::episode::{failed, finished, full_step, named, note, ok, open, step_insertion};
use testkit::{InMemoryStore, Stores, TestSource};

fn memory(stores: &Stores) -> Memory {
    Memory::new(stores.ports(Arc::new(TestSource::default())), Vec::new())
}

fn ending(outcome: Outcome) -> NewEnding {
    NewEnding { outcome: Some(outcome), ..NewEnding::default() }
}

#[tokio::test]
async fn an_episode_grows_step_by_step_and_ends_with_reward_and_reflection() {
    let stores = InMemoryStore::stores();
    let memory = memory(&stores);
    let created = memory.create(open("repair the build")).await.unwrap();
    assert_eq!((created.existing, created.job, created.head.completion.is_some()), (false, None, false));
    assert_eq!(memory.add_step(created.id, failed("build", "exit 1")).await.unwrap(), 1);
    assert_eq!(memory.add_step(created.id, ok("edit")).await.unwrap(), 2);
    assert_eq!(memory.add_step(created.id, ok("build")).await.unwrap(), 3);
    let (completion, job) = memory.complete(created.id, ending(Outcome::Success)).await.unwrap();
    let total = completion.reward.total.unwrap();
    // Nothing failed for good, and similar episodes there are none.
    assert!((total - 1.0).abs() < 1e-9, "{total}");
    assert_eq!((completion.basis, completion.disputed), (Basis::Claim, false));
    assert_eq!(completion.reward.parts.steps_ok, Some(2.0 / 3.0));
    assert_eq!(completion.reflection.path, ["build", "edit", "build"]);
    assert!(completion.reflection.failures[0].overcome);
    let episode = memory.episode(created.id).await.unwrap();
    assert_eq!(episode.steps.len(), 3);
    assert_eq!(episode.head.completion, Some(completion));
    let now = TestSource::default().now();
    let queued = stores.jobs.claim(10, now, now).await.unwrap();
    assert_eq!(queued.iter().map(|queued| queued.id).collect::<Vec<_>>(), [job]);
}

#[tokio::test]
async fn a_finished_episode_in_one_call_is_as_one_that_grew() {
    let steps = [failed("build", "exit 1"), ok("edit"), ok("build")];
    let stores = InMemoryStore::stores();
    let memory = memory(&stores);
    let whole = memory.create(finished("repair", Outcome::Partial, steps.to_vec())).await.unwrap();
    let grown = memory.create(open("repair")).await.unwrap();
    for step in steps {
        memory.add_step(grown.id, step).await.unwrap();
    }
    memory.complete(grown.id, ending(Outcome::Partial)).await.unwrap();
    assert!(whole.job.is_some());
    let (whole, grown) = (memory.episode(whole.id).await.unwrap(), memory.episode(grown.id).await.unwrap());
    assert_eq!((whole.steps, whole.head.completion), (grown.steps, grown.head.completion));
    assert_eq!(whole.head.step_count, grown.head.step_count);
}

/// A memory of unlike episodes, and successes at one task with these numbers of steps.
async fn with_successes(stores: &Stores, step_counts: &[usize]) -> Memory {
    let memory = memory(stores);
    for task in ["bake sourdough bread", "paint the garden fence", "tune an old piano", "file a tax return"] {
        memory.create(finished(task, Outcome::Success, vec![ok("t")])).await.unwrap();
    }
    for (number, steps) in step_counts.iter().enumerate() {
        let task = format!("cancel the flight reservation of passenger {number}");
        memory.create(finished(&task, Outcome::Success, vec![ok("t"); *steps])).await.unwrap();
    }
    memory
}

#[tokio::test]
async fn a_reward_compares_the_steps_with_those_of_similar_successes() {
    let task = "cancel the flight reservation of a passenger";
    for (step_counts, expected) in [(&[2, 3, 3][..], Some(0.5)), (&[9, 9, 9], Some(1.0)), (&[2, 2], None)] {
        let stores = InMemoryStore::stores();
        let memory = with_successes(&stores, step_counts).await;
        let grown = memory.create(open(task)).await.unwrap();
        for _ in 0..6 {
            memory.add_step(grown.id, ok("t")).await.unwrap();
        }
        let (completion, _) = memory.complete(grown.id, ending(Outcome::Success)).await.unwrap();
        assert_eq!(completion.reward.parts.efficiency, expected, "{step_counts:?}");

        let memory = with_successes(&InMemoryStore::stores(), step_counts).await;
        let whole = memory.create(finished(task, Outcome::Success, vec![ok("t"); 6])).await.unwrap();
        assert_eq!(whole.head.completion.unwrap().reward, completion.reward, "as one that grew");
        let stored = memory.episode(whole.id).await.unwrap().head.completion.unwrap();
        assert_eq!(stored.reward, completion.reward);
    }
}

#[tokio::test]
async fn failures_unlike_tasks_and_imports_are_no_comparison() {
    let stores = InMemoryStore::stores();
    let memory = with_successes(&stores, &[2, 2, 2]).await;
    let efficiency =
        |created: memory_core::memory::Created| created.head.completion.unwrap().reward.parts.efficiency;
    let other = finished("write a compiler for prolog", Outcome::Success, vec![ok("t"); 6]);
    assert_eq!(efficiency(memory.create(other).await.unwrap()), None);
    let task = "cancel the flight reservation of a passenger";
    let failure = finished(task, Outcome::Failure, vec![ok("t"); 6]);
    assert_eq!(efficiency(memory.create(failure).await.unwrap()), None);
    let run = named("run", finished(task, Outcome::Success, vec![ok("t"); 6]));
    memory.import(vec![run.clone()]).await.unwrap();
    let imported = memory.create(run).await.unwrap();
    assert!(imported.existing);
    assert_eq!(efficiency(imported), None);
}

#[tokio::test]
async fn earlier_episodes_like_a_new_one_are_told() {
    let memory = memory(&InMemoryStore::stores());
    let first = memory.create(open("cancel the flight reservation")).await.unwrap();
    assert!(first.similar.is_empty());
    memory.create(open("bake bread")).await.unwrap();
    let second = memory.create(open("cancel a reservation for a flight")).await.unwrap();
    let similar: Vec<Found> = second.similar.iter().map(|hit| hit.item.found()).collect();
    assert_eq!(similar, [Found::Episode(first.id)]);
}

#[tokio::test]
async fn a_known_external_id_gives_the_episode_of_that_name_as_it_is() {
    let stores = InMemoryStore::stores();
    let memory = memory(&stores);
    let first = memory.create(named("run 1", open("the first words"))).await.unwrap();
    memory.add_step(first.id, ok("t")).await.unwrap();
    let again =
        memory.create(named("run 1", finished("the first words", Outcome::Failure, vec![]))).await.unwrap();
    assert_eq!((again.id, again.existing, again.job), (first.id, true, None));
    assert_eq!((again.head.step_count, again.head.completion), (1, None));
    assert!(again.similar.is_empty(), "an episode is not like itself");
    assert_eq!(stores.health.counts().await.unwrap().episodes, 1);
}

#[tokio::test]
async fn an_import_stores_what_is_good_and_reports_what_is_not() {
    let memory = memory(&InMemoryStore::stores());
    let known = memory.create(named("known", open("it was here"))).await.unwrap().id;
    let no_outcome =
        NewEpisode { ending: Some(NewEnding::default()), ..open("nobody recorded how it ended") };
    let batch = vec![
        named("a", finished("fine", Outcome::Success, vec![])),
        open("  "),
        named("known", open("again")),
        no_outcome,
        named("a", open("twice in one file")),
        named("\0", open("bad name")),
    ];
    let results = memory.import(batch).await.unwrap();
    let refused = |place: usize| match &results[place] {
        Err(Error::Invalid(violations)) => violations[0].field.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((refused(1), refused(5)), ("task".into(), "external_id".into()));
    assert_eq!(results[0].as_ref().unwrap(), &Inserted::New);
    assert_eq!(results[2].as_ref().unwrap(), &Inserted::Existing(known));
    assert_eq!(results[3].as_ref().unwrap(), &Inserted::New);
    let first = memory.create(named("a", open("x"))).await.unwrap().id;
    assert_eq!(results[4].as_ref().unwrap(), &Inserted::Existing(first));
    assert!(memory.import(vec![]).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_completed_or_unknown_says_so() {
    let memory = memory(&InMemoryStore::stores());
    let done = memory.create(finished("done", Outcome::Success, vec![])).await.unwrap().id;
    let unknown: EpisodeId = "01890000-0000-7000-8000-000000000000".parse().unwrap();
    assert!(matches!(memory.add_step(done, ok("t")).await, Err(Error::AlreadyCompleted(id)) if id == done));
    let again = memory.complete(done, ending(Outcome::Failure)).await;
    assert!(matches!(again, Err(Error::AlreadyCompleted(id)) if id == done));
    let texts = [
        memory.add_step(unknown, ok("t")).await.unwrap_err().to_string(),
        memory.complete(unknown, ending(Outcome::Failure)).await.unwrap_err().to_string(),
        memory.episode(unknown).await.unwrap_err().to_string(),
    ];
    for text in texts {
        assert!(text.contains("no episode") && text.contains(&unknown.to_string()), "{text}");
    }
}

#[tokio::test]
async fn a_step_that_is_sent_twice_is_one_step() {
    let memory = memory(&InMemoryStore::stores());
    let id = memory.create(open("a task")).await.unwrap().id;
    for _ in 0..2 {
        assert_eq!(memory.add_step(id, full_step(1)).await.unwrap(), 1);
    }
    assert_eq!(memory.episode(id).await.unwrap().steps.len(), 1);
}

/// A store in which another process adds a step just before a completion or a correction, as often as it is told to.
struct Meddler {
    inner: Stores,
    source: TestSource,
    times: AtomicU32,
}

impl Meddler {
    async fn meddle(&self, id: EpisodeId) -> Result<(), StoreError> {
        let left = self.times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() {
            let step = step_insertion(&self.source, failed("meddle", "a late failure"));
            self.inner.episodes.append_step(id, step).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl EpisodeStore for Meddler {
    async fn insert(&self, batch: Vec<Insertion>) -> Result<Vec<Inserted>, StoreError> {
        self.inner.episodes.insert(batch).await
    }

    async fn append_step(&self, id: EpisodeId, step: StepInsertion) -> Result<Appended, StoreError> {
        self.inner.episodes.append_step(id, step).await
    }

    async fn complete(&self, id: EpisodeId, completion: CompletionInsertion) -> Result<(), StoreError> {
        self.meddle(id).await?;
        self.inner.episodes.complete(id, completion).await
    }

    async fn replace(&self, id: EpisodeId, new: Replacement) -> Result<(), StoreError> {
        self.meddle(id).await?;
        self.inner.episodes.replace(id, new).await
    }

    async fn get(&self, id: EpisodeId) -> Result<Option<Episode>, StoreError> {
        self.inner.episodes.get(id).await
    }

    async fn delete(&self, id: EpisodeId) -> Result<(), StoreError> {
        self.inner.episodes.delete(id).await
    }

    async fn heads(&self, ids: &[EpisodeId]) -> Result<Vec<EpisodeHead>, StoreError> {
        self.inner.episodes.heads(ids).await
    }
}

fn meddled(times: u32) -> Memory {
    let inner = InMemoryStore::stores();
    let meddler =
        Meddler { inner: inner.clone(), source: TestSource::default(), times: AtomicU32::new(times) };
    memory(&Stores { episodes: Arc::new(meddler), ..inner })
}

#[tokio::test]
async fn a_completion_counts_the_steps_that_came_in_between() {
    let memory = meddled(2);
    let id = memory.create(NewEpisode { steps: vec![ok("t")], ..open("a task") }).await.unwrap().id;
    let (completion, _) = memory.complete(id, ending(Outcome::Success)).await.unwrap();
    assert_eq!(completion.reward.parts.steps_ok, Some(1.0 / 3.0));
    assert_eq!(completion.reflection.failures[0].times, 2);
    assert_eq!(memory.episode(id).await.unwrap().head.completion, Some(completion));
}

#[tokio::test]
async fn an_episode_that_never_comes_to_rest_stays_open_and_says_so() {
    let memory = meddled(CONFLICT_RETRIES_MAX);
    let id = memory.create(open("a task")).await.unwrap().id;
    let refused = memory.complete(id, ending(Outcome::Success)).await.unwrap_err();
    assert!(refused.to_string().contains("repeat the call"), "{refused}");
    assert_eq!(memory.episode(id).await.unwrap().head.completion, None);
    memory.complete(id, ending(Outcome::Success)).await.unwrap();
}

#[tokio::test]
async fn a_correction_is_made_to_the_episode_as_it_is() {
    let memory = meddled(2);
    let id = memory.create(open("a tsak")).await.unwrap().id;
    let correction = EpisodeCorrection { task: Some("a task".into()), ..EpisodeCorrection::default() };
    let updated = memory.update(id, correction).await.unwrap();
    assert_eq!(updated, Updated { changed: vec!["task"], job: None }, "there is nothing to learn yet");
    let episode = memory.episode(id).await.unwrap();
    assert_eq!((episode.head.brief.task.as_str(), episode.steps.len()), ("a task", 2));
}

#[tokio::test]
async fn a_link_too_many_is_refused_at_the_end_that_has_no_room() {
    let memory = memory(&InMemoryStore::stores());
    let mut ids = Vec::new();
    for number in 0..EPISODE_LINKS_MAX + 2 {
        ids.push(memory.create(open(&format!("task {number}"))).await.unwrap().id);
    }
    let (hub, spokes) = (ids[0], &ids[1..]);
    let relates = |from, to| Link { from, to, relation: Relation::Relates };
    for spoke in &spokes[..EPISODE_LINKS_MAX] {
        memory.link_episodes(relates(*spoke, hub), true).await.unwrap();
    }
    let last = spokes[EPISODE_LINKS_MAX];
    for (link, field) in [(relates(last, hub), "to"), (relates(hub, last), "from")] {
        let Err(Error::Invalid(violations)) = memory.link_episodes(link, true).await else {
            panic!("refused")
        };
        assert_eq!(violations[0].field, field);
        assert!(violations[0].problem.contains("remove one"), "{violations:?}");
    }
    memory.link_episodes(relates(spokes[0], hub), false).await.unwrap();
    memory.link_episodes(relates(last, hub), true).await.unwrap();
    assert_eq!(memory.links(hub).await.unwrap().len(), EPISODE_LINKS_MAX);
}

#[tokio::test]
async fn a_corrected_outcome_has_the_reward_that_it_would_have_had() {
    let stores = InMemoryStore::stores();
    let memory = memory(&stores);
    for _ in 0..3 {
        let steps = vec![ok("build"); 2];
        memory.create(finished("repair the build", Outcome::Success, steps)).await.unwrap();
    }
    for unrelated in ["bake bread", "tune a piano", "mow the lawn", "paint the fence"] {
        memory.create(open(unrelated)).await.unwrap();
    }
    let ended = async |outcome, reward| {
        let steps = vec![failed("build", "exit 1"), ok("edit"), ok("edit"), failed("pytest", "1 failed")];
        let id = memory.create(NewEpisode { steps, ..open("repair the build") }).await.unwrap().id;
        let given = NewEnding {
            reward,
            summary: Some("as it was".into()),
            artifacts: vec!["a.rs".into()],
            basis: Some(Basis::User),
            ..ending(outcome)
        };
        (id, memory.complete(id, given).await.unwrap().0)
    };
    let (id, before) = ended(Outcome::Failure, Some(0.125)).await;
    let correction = EpisodeCorrection { outcome: Some(Outcome::Success), ..EpisodeCorrection::default() };
    let updated = memory.update(id, correction).await.unwrap();
    assert_eq!(updated.changed, ["outcome", "reward"]);
    let after = memory.episode(id).await.unwrap().head.completion.unwrap();
    memory.delete_episode(id).await.unwrap();
    let (_, expected) = ended(Outcome::Success, None).await;
    assert_eq!(after.reward, expected.reward);
    assert!(after.reward.parts.efficiency.is_some(), "{:?}", after.reward);
    assert_eq!((after.outcome, after.disputed), (Some(Outcome::Success), true), "its last tests failed");
    assert_eq!(after.basis, Basis::Claim, "what the other outcome rested on says nothing of this one");
    assert_eq!((after.summary, after.artifacts), (before.summary, before.artifacts));
    assert_eq!((after.at, after.reflection), (before.at, before.reflection));

    let (id, before) = ended(Outcome::Failure, None).await;
    let correction = EpisodeCorrection { reward: Some(0.75), ..EpisodeCorrection::default() };
    assert_eq!(memory.update(id, correction).await.unwrap().changed, ["reward"]);
    let after = memory.episode(id).await.unwrap().head.completion.unwrap();
    assert_eq!((after.reward.total, after.reward.computed), (Some(0.75), before.reward.computed));
    assert_eq!(after.basis, Basis::User);
}

/// Keeps events, and whether what they tell of could be read at that time.
#[derive(Default)]
struct Diary(Mutex<Vec<EpisodeEvent>>);

impl EventHandler for Diary {
    fn handle(&self, event: &EpisodeEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

#[tokio::test]
async fn every_event_is_told_in_order_and_only_after_it_happened() {
    let stores = InMemoryStore::stores();
    let diary = Arc::new(Diary::default());
    let memory = Memory::new(stores.ports(Arc::new(TestSource::default())), vec![diary.clone()]);
    let told = || std::mem::take(&mut *diary.0.lock().unwrap());
    let created = |episode_id| EpisodeEvent::Created { episode_id };
    let ended = |episode_id, outcome, job_id| {
        [
            EpisodeEvent::ReflectionGenerated { episode_id },
            EpisodeEvent::Completed { episode_id, outcome, job_id },
        ]
    };

    let id = memory.create(named("run", open("a task"))).await.unwrap().id;
    memory.add_step(id, ok("t")).await.unwrap();
    memory.add_step(id, ok("t")).await.unwrap();
    let (_, job) = memory.complete(id, ending(Outcome::Partial)).await.unwrap();
    let step = |number| EpisodeEvent::StepAdded { episode_id: id, number };
    let [reflected, completed] = ended(id, Some(Outcome::Partial), job);
    assert_eq!(told(), [created(id), step(1), step(2), reflected, completed]);

    let whole = memory.create(finished("another", Outcome::Success, vec![ok("t")])).await.unwrap();
    let [reflected, completed] = ended(whole.id, Some(Outcome::Success), whole.job.unwrap());
    assert_eq!(told(), [created(whole.id), reflected, completed]);

    memory.create(named("run", open("again"))).await.unwrap();
    memory.add_step(id, ok("t")).await.unwrap_err();
    memory.complete(id, ending(Outcome::Success)).await.unwrap_err();
    memory.create(open("")).await.unwrap_err();
    memory.import(vec![named("run", open("again")), open("")]).await.unwrap();
    assert_eq!(told(), [], "nothing happened");

    memory.import(vec![open("one"), finished("two", Outcome::Failure, vec![])]).await.unwrap();
    assert_eq!(told().len(), 4);
}

#[tokio::test]
async fn notes_replace_each_other_by_name() {
    let stores = InMemoryStore::stores();
    let memory = memory(&stores);
    let (first, superseded) = memory.remember(note("deploy on monday")).await.unwrap();
    assert_eq!(superseded, []);
    let second = NewNote {
        external_id: Some("deploy day".into()),
        tags: vec!["ops".into()],
        supersedes: vec![first.to_string()],
        ..note("deploy on tuesday")
    };
    let (second, superseded) = memory.remember(second).await.unwrap();
    assert_eq!(superseded, [first]);
    let third = NewNote { external_id: Some("deploy day".into()), ..note("deploy on friday") };
    let (third, superseded) = memory.remember(third).await.unwrap();
    assert_eq!(superseded, [second]);
    let items = stores.items.items(vec![Found::Note(third)]).await.unwrap();
    assert!(matches!(&items[0], Item::Note(kept) if kept.text == "deploy on friday"));
    let unknown = NewNote { supersedes: vec!["no such note".into()], ..note("x") };
    let refused = memory.remember(unknown).await.unwrap_err();
    assert!(refused.to_string().contains("no note has the id no such note"), "{refused}");
}

fn secret() -> String {
    // Put together here, so that no scanner takes this file for a leak.
    ["AKIA", "IOSFODNN", "7EXAMPLE"].concat()
}

/// An episode with the secret in every text that a caller can give.
fn leaky(secret: &str) -> NewEpisode {
    let text = |part: &str| format!("{part} {secret} {part}");
    let step = |result: memory_core::episode::NewStep| memory_core::episode::NewStep {
        external_id: Some(text("step")),
        action: Some(text("action")),
        args: Some(text("args")),
        observation: Some(text("observation")),
        ..result
    };
    NewEpisode {
        external_id: Some(text("name")),
        brief: Brief {
            task: text("task"),
            scope: Scope { domain: Some(text("domain")), project: Some(text("project")) },
            task_type: Some(text("type")),
            tags: vec![text("tag"), text("other")],
            context: BTreeMap::from([(text("key"), text("value"))]),
        },
        started_at: None,
        steps: vec![step(failed(&text("tool"), &text("error")))],
        ending: Some(NewEnding {
            outcome: Some(Outcome::Success),
            summary: Some(text("summary")),
            reward: None,
            artifacts: vec![text("artifact")],
            basis: None,
        }),
    }
}

#[tokio::test]
async fn no_field_keeps_a_secret() {
    let secret = secret();
    let stores = InMemoryStore::stores();
    let memory = memory(&stores);
    let whole = memory.create(leaky(&secret)).await.unwrap().id;
    let imported = NewEpisode { external_id: Some("import".into()), ..leaky(&secret) };
    memory.import(vec![imported]).await.unwrap();
    let imported = memory.create(named("import", open("x"))).await.unwrap().id;
    let NewEpisode { brief, mut steps, ending, .. } = leaky(&secret);
    let grown = memory.create(NewEpisode { brief, ..open("") }).await.unwrap().id;
    memory.add_step(grown, steps.remove(0)).await.unwrap();
    memory.complete(grown, ending.unwrap()).await.unwrap();
    let NewEpisode { brief, ending, .. } = leaky(&secret);
    let put_right = memory.create(finished("harmless", Outcome::Success, vec![])).await.unwrap().id;
    let correction = EpisodeCorrection {
        task: Some(brief.task),
        domain: brief.scope.domain,
        project: brief.scope.project,
        task_type: brief.task_type,
        tags: Some(brief.tags),
        summary: ending.unwrap().summary,
        outcome: None,
        reward: None,
    };
    let updated = memory.update(put_right, correction).await.unwrap();
    assert_eq!(updated.changed, ["task", "domain", "project", "task_type", "tags", "summary"]);
    for id in [whole, imported, grown] {
        let kept = format!("{:?}", memory.episode(id).await.unwrap());
        assert!(!kept.contains(&secret), "{kept}");
        // Every field but the counts: 12 of the episode and its end, 6 of the step and what is derived from them.
        let redacted = kept.matches("[redacted:aws-key]").count();
        assert!(redacted >= 17, "{redacted} in {kept}");
    }

    let kept = format!("{:?}", memory.episode(put_right).await.unwrap());
    assert!(!kept.contains(&secret) && kept.matches("[redacted:aws-key]").count() == 7, "{kept}");

    let text = format!("a key: {secret}");
    let leaky_note = NewNote {
        text: text.clone(),
        external_id: Some(text.clone()),
        scope: Scope { domain: Some(text.clone()), project: Some(text.clone()) },
        layer: Layer::LongTerm,
        tags: vec![text.clone()],
        supersedes: Vec::new(),
    };
    let (id, _): (NoteId, _) = memory.remember(leaky_note.clone()).await.unwrap();
    let kept = format!("{:?}", stores.items.items(vec![Found::Note(id)]).await.unwrap());
    assert!(!kept.contains(&secret) && kept.matches("[redacted:aws-key]").count() == 5, "{kept}");
    // The caller's own name leads to the note although it is kept in another form.
    let next = NewNote { external_id: None, supersedes: vec![text], ..leaky_note };
    assert_eq!(memory.remember(next).await.unwrap().1, [id]);

    let terms = query_terms(&secret).terms;
    let search = Search { terms, guesses: 0, vector: None, filter: Filter::default(), limit: 10 };
    let candidates = stores.ports(Arc::new(TestSource::default())).index.candidates(search).await.unwrap();
    assert!(candidates.frequencies.iter().all(|frequency| *frequency == 0), "the index has no secret either");
}

#[tokio::test]
async fn a_step_given_twice_at_once_is_one_step_as_when_given_one_by_one() {
    let stores = InMemoryStore::stores();
    let memory = memory(&stores);
    let steps = vec![full_step(1), full_step(1), ok("next")];
    let created = memory.create(NewEpisode { steps, ..open("a task") }).await.unwrap();
    let episode = memory.episode(created.id).await.unwrap();
    let tools: Vec<&str> = episode.steps.iter().map(|step| step.call.tool.as_str()).collect();
    assert_eq!((created.head.step_count, tools), (2, vec![full_step(1).tool.as_str(), "next"]));
}
