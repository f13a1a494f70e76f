//! The 1st, 2nd … nth operation of the store fails, until a run passes without: whatever was acknowledged is there,
//! and what failed can be repeated.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use memory_core::episode::{Episode, Outcome};
use memory_core::error::Error;
use memory_core::id::EpisodeId;
use memory_core::memory::{Action, Asked, Memory, NewEnding, Question};
use memory_core::port::Source;
use testkit::episode::{finished, full_step, named, ok, open};
use testkit::{FailingStore, InMemoryStore, Moment, Stores, TestSource};

/// Repeats a call that failed, as a client does.
async fn insist<T>(call: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
    match call().await {
        Err(Error::Store(_)) => call().await,
        other => other,
    }
}

struct Run {
    truth: Stores,
    memory: Memory,
}

impl Run {
    async fn kept(&self, id: EpisodeId) -> Episode {
        self.truth.episodes.get(id).await.unwrap().unwrap()
    }

    /// A day's work, in which every call is repeated if it fails.
    async fn work(&self) {
        let memory = &self.memory;
        let id = insist(async || memory.create(named("run", open("deploy service"))).await).await.unwrap().id;
        assert_eq!(self.kept(id).await.head.id, id);
        for number in 1..=2 {
            assert_eq!(insist(async || memory.add_step(id, full_step(number)).await).await.unwrap(), number);
            assert_eq!(self.kept(id).await.steps.len(), number as usize);
        }
        let ending = || NewEnding { outcome: Some(Outcome::Success), ..NewEnding::default() };
        match insist(async || memory.complete(id, ending()).await).await {
            // The first call did it, and its answer was lost.
            Ok(_) | Err(Error::AlreadyCompleted(_)) => {}
            Err(other) => panic!("{other}"),
        }
        let kept = self.kept(id).await;
        assert_eq!((kept.head.outcome(), kept.steps.len()), (Some(Outcome::Success), 2));
        let batch = || vec![named("old", finished("bake bread", Outcome::Failure, vec![ok("oven")]))];
        insist(async || memory.import(batch()).await).await.unwrap();
        let question = || Question { query: "deploy service".into(), limit: 5, ..Question::default() };
        let answer = insist(async || memory.recall(question()).await).await.unwrap();
        assert_eq!(answer.hits.len(), 1);
        assert_eq!(answer.advice.steps[0].evidence, [id]);
        let asked = || Asked { task: "deploy service".into(), ..Asked::default() };
        let recommended = insist(async || memory.recommend(asked()).await).await.unwrap();
        assert_eq!(recommended.evidence, [id]);
        let action = || Action { action: "rm -r build".into(), ..Action::default() };
        assert_eq!(insist(async || memory.check_action(action()).await).await.unwrap(), []);
        let mistake = || named("mistake", open("a mistake"));
        let unwanted = insist(async || memory.create(mistake()).await).await.unwrap().id;
        match insist(async || memory.delete_episode(unwanted).await).await {
            Ok(()) | Err(Error::NotFound { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn no_single_failure_loses_what_was_acknowledged_or_does_anything_twice() {
    for moment in [Moment::Before, Moment::After] {
        for nth in 1.. {
            let truth = InMemoryStore::stores();
            let failing = FailingStore::new(truth.clone(), nth, moment);
            let source = Arc::new(TestSource::default());
            let memory = Memory::new(failing.stores().ports(source.clone()), Vec::new());
            let run = Run { truth, memory };
            run.work().await;
            let counts = run.truth.health.counts().await.unwrap();
            let seen = (counts.episodes, counts.open_episodes, counts.steps);
            assert_eq!(seen, (2, 0, 3), "operation {nth} {moment:?}");
            let jobs = run.truth.jobs.claim(10, source.now(), source.now()).await.unwrap();
            assert_eq!(jobs.len(), 2, "one job each: operation {nth} {moment:?}");
            if !failing.has_failed() {
                assert!(nth > 12, "each of the operations has failed once");
                break;
            }
        }
    }
}
