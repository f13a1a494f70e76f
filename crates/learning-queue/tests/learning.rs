//! From finished episodes to advice: nothing before the worker ran, and with its evidence after.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use learning_queue::{Worker, WorkerHandle};
use memory_core::episode::{NewStep, Outcome};
use memory_core::extract::Registry;
use memory_core::id::EpisodeId;
use memory_core::memory::{Memory, NewEpisode, Question};
use memory_core::port::NoPlugins;
use memory_core::retrieve::{Advice, Filter, Item, Kind};
use testkit::episode::{failed, finished, in_domain, ok};
use testkit::{InMemoryStore, Stores, TestSource};

fn worker(stores: &Stores, source: &Arc<TestSource>) -> WorkerHandle {
    Worker {
        jobs: stores.jobs.clone(),
        episodes: stores.episodes.clone(),
        patterns: stores.patterns.clone(),
        registry: Arc::new(Registry::default()),
        plugins: Arc::new(NoPlugins),
        source: source.clone(),
        handlers: Vec::new(),
    }
    .spawn()
}

struct Scene {
    memory: Memory,
    worker: WorkerHandle,
}

impl Scene {
    fn new() -> Self {
        let (stores, source) = (InMemoryStore::stores(), Arc::default());
        let worker = worker(&stores, &source);
        Self { memory: Memory::new(stores.ports(source), vec![Arc::new(worker.waker())]), worker }
    }

    async fn add(&self, new: NewEpisode) -> EpisodeId {
        self.memory.create(new).await.unwrap().id
    }

    async fn advice(&self, query: &str) -> Advice {
        let question = Question { query: query.into(), limit: 5, ..Question::default() };
        self.memory.recall(question).await.unwrap().advice
    }
}

fn deploy(outcome: Outcome, steps: Vec<NewStep>) -> NewEpisode {
    in_domain("ops", finished("deploy the payment service", outcome, steps))
}

fn called(tool: &str, args: &str) -> NewStep {
    NewStep { args: Some(args.into()), ..ok(tool) }
}

#[tokio::test]
async fn what_worked_and_what_failed_becomes_advice_with_its_evidence() {
    let scene = Scene::new();
    let mut careful = Vec::new();
    let mut hasty = Vec::new();
    for _ in 0..9 {
        careful.push(scene.add(deploy(Outcome::Success, vec![ok("plan"), ok("stage"), ok("release")])).await);
        hasty.push(scene.add(deploy(Outcome::Failure, vec![ok("guess"), ok("force")])).await);
    }
    let before = scene.advice("deploy payment service").await;
    assert!(
        before.steps.iter().all(|item| item.rate.is_none()),
        "accounts of episodes, no patterns: {before:?}"
    );
    assert_eq!((&before.pitfalls, &before.recoveries), (&vec![], &vec![]));

    scene.worker.drain().await.unwrap();
    let advice = scene.advice("deploy payment service").await;
    let step =
        advice.steps.iter().find(|item| item.text == "plan → stage → release").expect("the way that worked");
    let rate = step.rate.unwrap();
    assert!(rate.low > 0.5 && rate.episodes == 9, "{rate:?}");
    assert!(!step.evidence.is_empty() && step.evidence.iter().all(|id| careful.contains(id)), "{step:?}");
    // As the sequence, or as the choice of the second tool after the first.
    let is_it = |text: &str| text == "guess → force" || text == "after guess: force";
    let pitfall = advice.pitfalls.iter().find(|item| is_it(&item.text)).expect("the way that failed");
    assert!(pitfall.rate.unwrap().high < 0.5);
    assert!(!pitfall.evidence.is_empty() && pitfall.evidence.iter().all(|id| hasty.contains(id)));
    assert_eq!(advice.success.unwrap().rate.episodes, 18);
}

#[tokio::test]
async fn a_recovery_is_told_with_the_call_that_worked() {
    let scene = Scene::new();
    let steps = vec![
        failed("migrate", "Error: lock held by 4711"),
        ok("wait"),
        called("migrate", "--lock-timeout 60"),
        failed("notify", "no route"),
    ];
    let id = scene.add(deploy(Outcome::Success, steps)).await;
    assert!(scene.advice("deploy payment service").await.recoveries.is_empty());
    scene.worker.drain().await.unwrap();
    let advice = scene.advice("deploy payment service").await;
    assert_eq!(advice.recoveries.len(), 1);
    let recovery = &advice.recoveries[0];
    assert_eq!(recovery.text, "after migrate failed with \"Error: lock held by #\": wait → migrate");
    assert_eq!(recovery.example.as_deref(), Some("--lock-timeout 60"));
    assert_eq!((recovery.evidence.as_slice(), recovery.rate.unwrap().episodes), (&[id][..], 1));
    let lost: Vec<&str> = advice.pitfalls.iter().map(|item| item.text.as_str()).collect();
    assert_eq!(lost, ["notify failed with \"no route\" in 1 similar episode(s)"]);
}

#[tokio::test]
async fn unlike_tasks_learn_nothing_from_each_other() {
    let scene = Scene::new();
    scene.add(deploy(Outcome::Success, vec![failed("migrate", "locked"), ok("wait"), ok("migrate")])).await;
    scene.worker.drain().await.unwrap();
    assert_eq!(scene.advice("bake bread with rye flour").await, Advice::default());
}

#[tokio::test]
async fn patterns_can_be_asked_for() {
    let scene = Scene::new();
    for _ in 0..2 {
        scene.add(deploy(Outcome::Success, vec![failed("migrate", "table locked"), ok("migrate")])).await;
    }
    let question = || Question {
        query: "table locked".into(),
        filter: Filter { kinds: vec![Kind::Pattern], ..Filter::default() },
        limit: 5,
        explain: false,
    };
    assert!(!scene.memory.recall(question()).await.unwrap().known);
    scene.worker.drain().await.unwrap();
    let hits = scene.memory.recall(question()).await.unwrap().hits;
    let mut kinds: Vec<&str> = hits
        .iter()
        .map(|hit| match &hit.item {
            Item::Pattern(pattern) => pattern.body.kind(),
            other => panic!("{other:?} is no pattern"),
        })
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["error_recovery", "pitfall"], "the failure, and the way out of it");
}
