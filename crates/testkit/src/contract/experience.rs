//! What was done in all episodes.

use memory_core::episode::{Outcome, Scope};
use memory_core::extract::{Attempt, Experience, Teaching, Transition};
use memory_core::id::EpisodeId;
use memory_core::memory::NewEpisode;
use memory_core::port::{Attempted, Choices};

use super::{add, another_job, claim_one, later, study, teaching};
use crate::episode::{finished, in_domain};
use crate::{Stores, TestSource};

fn done() -> NewEpisode {
    finished("x", Outcome::Success, vec![])
}

fn followed(state: &str, tool: &str, times: u32) -> Transition {
    Transition { state: state.into(), tool: tool.into(), times }
}

fn attempt(key: u64, failed: u32, succeeded: u32) -> Attempt {
    Attempt { key, failed, succeeded, step: 3 }
}

fn did(source: &TestSource, transitions: Vec<Transition>, attempts: Vec<Attempt>) -> Teaching {
    Teaching { experience: Experience { transitions, attempts }, ..teaching(source, u64::MAX, vec![]) }
}

/// Stores a finished episode in which this was done.
async fn learn(stores: &Stores, source: &TestSource, new: NewEpisode, teaching: Teaching) -> EpisodeId {
    let id = add(stores, source, new).await;
    let job = claim_one(stores, source).await;
    study(stores, job, teaching).await;
    id
}

/// What followed these states, as one line each.
async fn choices(stores: &Stores, domains: &[&str], states: &[&str]) -> Vec<String> {
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let told = stores.experience.choices(texts(domains), texts(states)).await.expect("choices");
    let line = |Choices { state, tools }: Choices| {
        let tools: Vec<String> = tools.into_iter().map(|(tool, times)| format!("{tool} {times}")).collect();
        format!("{state}: {}", tools.join(", "))
    };
    told.into_iter().map(line).collect()
}

async fn attempts(stores: &Stores, keys: &[u64], scope: Scope, max: usize) -> Vec<Attempted> {
    stores.experience.attempts(keys.to_vec(), scope, max).await.expect("attempts")
}

/// A domain is asked for by its own name: what lies below it is asked for too where it is wanted.
pub async fn what_followed_a_state_is_counted_over_the_domains_asked_for(stores: Stores) {
    let source = TestSource::default();
    let separated = "next\u{1f}it's \"日本\"!\u{1f}^";
    for (new, transitions) in [
        (in_domain("a", done()), vec![followed("s", "x", 1), followed("s", "y", 2)]),
        (in_domain("a", done()), vec![followed("s", "x", 3), followed(separated, "z", 1)]),
        (in_domain("a.b", done()), vec![followed("s", "b", 2), followed("s", "a", 2), followed("s", "y", 2)]),
        (done(), vec![followed("s", "nowhere", 7)]),
    ] {
        learn(&stores, &source, new, did(&source, transitions, vec![])).await;
    }
    let of = async |domains| choices(&stores, domains, &["unseen", "s", separated]).await;
    let last = format!("{separated}: z 1");
    assert_eq!(of(&["a"]).await, ["unseen: ", "s: x 4, y 2", &last]);
    assert_eq!(of(&["a", "a.b"]).await, ["unseen: ", "s: x 4, y 4, a 2, b 2", &last]);
    assert_eq!(of(&[""]).await[1], "s: nowhere 7");
    assert_eq!(of(&["", "a.b", "unknown"]).await[1], "s: nowhere 7, a 2, b 2, y 2");
    assert_eq!(of(&[]).await[1], "s: ");
    assert_eq!(choices(&stores, &["a"], &[]).await, Vec::<String>::new());
}

/// However often an episode is studied, it was done once; a deleted one was never done.
pub async fn what_an_episode_did_counts_once(stores: Stores) {
    let source = TestSource::default();
    let first = || did(&source, vec![followed("s", "x", 2)], vec![attempt(7, 1, 0)]);
    let id = learn(&stores, &source, done(), first()).await;
    learn(&stores, &source, done(), did(&source, vec![followed("s", "y", 1)], vec![attempt(7, 0, 1)])).await;
    study(&stores, another_job(&source, id), first()).await;
    assert_eq!(choices(&stores, &[""], &["s"]).await, ["s: x 2, y 1"]);
    assert_eq!(attempts(&stores, &[7], Scope::default(), 10).await.len(), 2);
    let revised = did(&source, vec![followed("s", "z", 1)], vec![attempt(8, 1, 0)]);
    study(&stores, another_job(&source, id), revised).await;
    assert_eq!(choices(&stores, &[""], &["s"]).await, ["s: y 1, z 1"]);
    assert_eq!(attempts(&stores, &[7], Scope::default(), 10).await.len(), 1);
    stores.episodes.delete(id).await.expect("deleted");
    assert_eq!(choices(&stores, &[""], &["s"]).await, ["s: y 1"]);
    assert_eq!(attempts(&stores, &[8], Scope::default(), 10).await, []);
    stores.patterns.relearn().await.expect("forgotten");
    assert_eq!(choices(&stores, &[""], &["s"]).await, ["s: "]);
    assert_eq!(attempts(&stores, &[7, 8], Scope::default(), 10).await, []);
}

/// Attempts come back whole, those that happened last first, whenever they were recorded.
pub async fn attempts_are_told_the_newest_first(stores: Stores) {
    let source = TestSource::default();
    let key = u64::MAX - 1;
    let mut expected = Vec::new();
    for (seconds, attempt) in
        [(20, attempt(key, 1, 0)), (40, attempt(0, 0, 2)), (10, attempt(key, 2, 1)), (30, attempt(5, 1, 0))]
    {
        let at = later(&source, seconds);
        let teaching = Teaching { at, family: key, ..did(&source, vec![], vec![attempt]) };
        let episode = learn(&stores, &source, done(), teaching).await;
        expected.push(Attempted { episode, family: key, at, attempt });
    }
    expected.sort_by_key(|attempted| std::cmp::Reverse(attempted.at));
    let everywhere = Scope::default;
    assert_eq!(attempts(&stores, &[key, 5, 0], everywhere(), 10).await, expected);
    assert_eq!(attempts(&stores, &[key, 5, 0], everywhere(), 2).await, expected[..2]);
    assert_eq!(attempts(&stores, &[key, 1], everywhere(), 10).await, expected[2..]);
    assert_eq!(attempts(&stores, &[], everywhere(), 10).await, []);
    assert_eq!(attempts(&stores, &[1], everywhere(), 10).await, []);
}

/// A domain includes those below it and no others; a project is that one.
pub async fn attempts_are_told_within_their_scope(stores: Stores) {
    let source = TestSource::default();
    let scope = |domain: Option<&str>, project: Option<&str>| Scope {
        domain: domain.map(str::to_owned),
        project: project.map(str::to_owned),
    };
    let places = [
        scope(Some("a"), Some("p")),
        scope(Some("a.b"), Some("q")),
        scope(Some("ab"), None),
        scope(None, Some("p")),
        scope(Some("a_b"), None),
    ];
    let mut ids = Vec::new();
    for place in &places {
        let mut new = done();
        new.brief.scope = place.clone();
        ids.push(learn(&stores, &source, new, did(&source, vec![], vec![attempt(1, 1, 0)])).await);
    }
    for (asked, expected) in [
        (scope(None, None), &[0, 1, 2, 3, 4][..]),
        (scope(Some("a"), None), &[0, 1]),
        (scope(Some("a.b"), None), &[1]),
        (scope(Some("ab"), None), &[2]),
        (scope(None, Some("p")), &[0, 3]),
        (scope(Some("a"), Some("p")), &[0]),
        (scope(Some("b"), Some("p")), &[]),
    ] {
        let told = attempts(&stores, &[1], asked.clone(), 10).await;
        let mut told: Vec<EpisodeId> = told.iter().map(|attempted| attempted.episode).collect();
        told.sort();
        let expected: Vec<EpisodeId> = expected.iter().map(|place: &usize| ids[*place]).collect();
        assert_eq!(told, expected, "{asked:?}");
    }
}
