//! What is told says which of the files and commits that it names are not what they were.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use memory_core::episode::Outcome;
use memory_core::limits::{CITATIONS_MAX, MENTIONS_MAX};
use memory_core::memory::{Memory, NewEnding, Question};
use memory_core::port::{Ports, Workspace};
use testkit::episode::{failed, finished, named, note, ok, open};
use testkit::{InMemoryStore, KeepingCache, NoWorkTree, Stores, TestSource, TestTree};

const ONE: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";
const TWO: &str = "1a1b2c3d4e5f60718293a4b5c6d7e8f901234567";

struct Scene {
    stores: Stores,
    source: Arc<TestSource>,
    cache: Arc<KeepingCache>,
    tree: Arc<TestTree>,
    memory: Memory,
}

impl Scene {
    fn new() -> Self {
        let (stores, source, cache) = (InMemoryStore::stores(), Arc::default(), Arc::default());
        let tree = Arc::new(TestTree::new("shop"));
        let memory = memory(&stores, &source, &cache, tree.clone());
        Self { stores, source, cache, tree, memory }
    }

    /// The same memory from elsewhere.
    fn from(&self, workspace: Arc<dyn Workspace>) -> Memory {
        memory(&self.stores, &self.source, &self.cache, workspace)
    }

    async fn stale(&self) -> Vec<String> {
        stale(&self.memory).await
    }
}

fn memory(
    stores: &Stores,
    source: &Arc<TestSource>,
    cache: &Arc<KeepingCache>,
    workspace: Arc<dyn Workspace>,
) -> Memory {
    let ports = Ports { answers: cache.clone(), workspace, ..stores.ports(source.clone()) };
    Memory::new(ports, Vec::new())
}

/// What is stale of the one thing that is known about clocks.
async fn stale(memory: &Memory) -> Vec<String> {
    let question = Question { query: "clock".into(), limit: 5, ..Question::default() };
    let mut hits = memory.recall(question).await.unwrap().hits;
    assert_eq!(hits.len(), 1, "{hits:?}");
    hits.remove(0).stale
}

#[tokio::test]
async fn a_note_is_stale_for_as_long_as_a_file_that_it_names_is_another_one() {
    let scene = Scene::new();
    scene.tree.write("src/a.rs", "a");
    scene.tree.write("b.toml", "b");
    scene
        .memory
        .remember(note("The clock is in src/a.rs:7, see `/shop/b.toml` and no/such.rs"))
        .await
        .unwrap();
    assert_eq!(scene.stale().await, [""; 0]);
    scene.tree.write("src/a.rs", "another");
    assert_eq!(scene.stale().await, ["src/a.rs changed"]);
    scene.tree.remove("b.toml");
    scene.tree.write("no/such.rs", "new");
    assert_eq!(scene.stale().await, ["b.toml is gone", "src/a.rs changed"]);
    scene.tree.write("src/a.rs", "a");
    assert_eq!(scene.stale().await, ["b.toml is gone"]);
    scene.tree.write("b.toml", "b");
    assert_eq!(scene.stale().await, [""; 0]);
    assert_eq!(scene.cache.questions().len(), 1, "all of it was one answer");
}

#[tokio::test]
async fn who_says_it_again_says_it_of_what_is_there_now() {
    let scene = Scene::new();
    let say = async || scene.memory.remember(note("The clock is in a.rs")).await.unwrap();
    scene.tree.write("a.rs", "a");
    say().await;
    scene.tree.write("a.rs", "another");
    assert_eq!(scene.stale().await, ["a.rs changed"]);
    say().await;
    assert_eq!(scene.stale().await, [""; 0]);
}

#[tokio::test]
async fn only_the_commit_that_was_checked_out_is_cited() {
    let scene = Scene::new();
    scene.tree.check_out(ONE);
    scene.memory.remember(note(&format!("The clock works since {}, not in {TWO}", &ONE[..7]))).await.unwrap();
    assert_eq!(scene.stale().await, [""; 0]);
    scene.tree.check_out(TWO);
    assert_eq!(scene.stale().await, ["commit 0a1b2c3 is not HEAD any more"]);
    scene.tree.check_out(ONE);
    assert_eq!(scene.stale().await, [""; 0]);
}

#[tokio::test]
async fn an_episode_cites_what_it_did_and_made_when_it_ended() {
    for at_once in [true, false] {
        let scene = Scene::new();
        for path in ["did.rs", "tried.rs", "told.rs", "made.rs"] {
            scene.tree.write(path, "before");
        }
        let (mut did, mut tried) = (ok("edit"), failed("edit", "no"));
        did.args = Some(r#"{"path":"did.rs"}"#.into());
        tried.args = Some(r#"{"path":"tried.rs"}"#.into());
        let ending = NewEnding {
            outcome: Some(Outcome::Success),
            summary: Some("The clock is told in told.rs".into()),
            artifacts: vec!["made.rs".into()],
            ..NewEnding::default()
        };
        let mut whole = finished("mend the clock", Outcome::Success, vec![did.clone(), tried.clone()]);
        if at_once {
            whole.ending = Some(ending);
            scene.memory.create(whole).await.unwrap();
        } else {
            let id = scene.memory.create(open("mend the clock")).await.unwrap().id;
            for step in [did, tried] {
                scene.memory.add_step(id, step).await.unwrap();
            }
            scene.tree.write("did.rs", "at the end");
            scene.memory.complete(id, ending).await.unwrap();
        }
        assert_eq!(scene.stale().await, [""; 0]);
        for path in ["did.rs", "tried.rs", "told.rs", "made.rs"] {
            scene.tree.write(path, "after");
        }
        assert_eq!(scene.stale().await, ["did.rs changed", "made.rs changed", "told.rs changed"]);
        let similar = scene.memory.create(open("mend the clock again")).await.unwrap().similar;
        assert_eq!(similar[0].stale.len(), 3, "told where the next one begins, too");
    }
}

#[tokio::test]
async fn elsewhere_nothing_is_said_and_what_came_from_elsewhere_cites_nothing() {
    let scene = Scene::new();
    scene.tree.write("a.rs", "a");
    scene.memory.remember(note("The clock is in a.rs")).await.unwrap();
    scene.tree.remove("a.rs");
    let other = Arc::new(TestTree::new("another"));
    other.write("a.rs", "another");
    assert_eq!(stale(&scene.from(other.clone())).await, [""; 0]);
    assert_eq!(other.looked(), [""; 0], "not even looked at");
    assert_eq!(stale(&scene.from(Arc::new(NoWorkTree))).await, [""; 0]);
    assert_eq!(scene.stale().await, ["a.rs is gone"]);

    let scene = Scene::new();
    scene.tree.write("a.rs", "a");
    let mut step = ok("edit");
    step.args = Some("a.rs".into());
    let old = named("old", finished("mend the clock", Outcome::Success, vec![step]));
    scene.memory.import(vec![old]).await.unwrap();
    scene.tree.remove("a.rs");
    assert_eq!(scene.stale().await, [""; 0]);
    scene.from(Arc::new(NoWorkTree)).remember(note("no work tree, no citation: b.rs")).await.unwrap();
}

#[tokio::test]
async fn what_cites_nothing_is_told_without_a_look_at_the_work_tree() {
    let scene = Scene::new();
    scene.memory.remember(note("The clock is a piece of work of 1/2 a day, e.g. on Monday")).await.unwrap();
    scene.tree.looked();
    assert_eq!(scene.stale().await, [""; 0]);
    assert_eq!(scene.tree.looked(), [""; 0]);
}

#[tokio::test]
async fn what_is_cited_is_bounded_and_found_among_words_that_name_nothing() {
    let scene = Scene::new();
    let words: String = (0..MENTIONS_MAX - 1).map(|number| format!("no/{number} ")).collect();
    scene.tree.write("last.rs", "a");
    scene.memory.remember(note(&format!("The clock: {words} last.rs"))).await.unwrap();
    scene.tree.write("last.rs", "b");
    assert_eq!(scene.stale().await, ["last.rs changed"]);

    let scene = Scene::new();
    let paths: Vec<String> = (0..3 * CITATIONS_MAX).map(|number| format!("{number}.rs")).collect();
    paths.iter().for_each(|path| scene.tree.write(path, "a"));
    scene.memory.remember(note(&format!("The clock: {}", paths.join(", ")))).await.unwrap();
    paths.iter().for_each(|path| scene.tree.remove(path));
    assert_eq!(scene.stale().await.len(), CITATIONS_MAX);
}

#[tokio::test]
async fn a_secret_is_never_part_of_what_is_cited() {
    let scene = Scene::new();
    let secret = ["AKIA", "IOSFODNN", "7EXAMPLE"].concat();
    let path = format!("keys/{secret}.txt");
    scene.tree.write(&path, "a");
    scene.memory.remember(note(&format!("The clock's key is in {path}"))).await.unwrap();
    assert!(scene.tree.looked().iter().all(|path| !path.contains(&secret)));
    scene.tree.remove(&path);
    assert_eq!(scene.stale().await, [""; 0]);
}
