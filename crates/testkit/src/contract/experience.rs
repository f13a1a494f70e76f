//! What was done in all episodes.

use memory_core::episode::{NewStep, Outcome, Scope};
use memory_core::extract::{Attempt, Course, Teaching, attempt_keys};
use memory_core::id::EpisodeId;
use memory_core::limits::COMPARED_CHARS_MAX;
use memory_core::memory::NewEpisode;
use memory_core::port::{Attempted, Choices, Source};

use super::{add, another_job, claim_one, later, study, taught, teaching};
use crate::episode::{called, failed, finished, in_domain, numbered, ok};
use crate::{Stores, TestSource};

fn done(steps: Vec<NewStep>) -> NewEpisode {
    finished("x", Outcome::Success, steps)
}

/// The key of this very call, whatever came of it.
fn key_of(step: &NewStep) -> u64 {
    attempt_keys(step).expect("a call whose arguments are known").0
}

/// What a run of a task that nobody else ran teaches beside its experience.
fn nothing_else(source: &TestSource) -> Teaching {
    teaching(source, u64::MAX, vec![])
}

/// Stores a finished episode and records what was done in it.
async fn learn(stores: &Stores, source: &TestSource, new: NewEpisode, teaching: Teaching) -> EpisodeId {
    let id = add(stores, source, new).await;
    let job = claim_one(stores, source).await;
    study(stores, job, teaching).await;
    id
}

/// What followed these states, as one line each.
async fn choices(stores: &Stores, domain: Option<&str>, states: &[String]) -> Vec<String> {
    let told = stores.experience.choices(domain.map(str::to_owned), states.to_vec()).await.expect("choices");
    assert_eq!(
        told.iter().map(|choices| &choices.state).collect::<Vec<_>>(),
        states.iter().collect::<Vec<_>>()
    );
    let line = |Choices { tools, .. }: Choices| {
        let tools: Vec<String> = tools.into_iter().map(|(tool, times)| format!("{tool} {times}")).collect();
        tools.join(", ")
    };
    told.into_iter().map(line).collect()
}

/// The tools that were used in a domain and how often: what followed the state that is every one's.
async fn used(stores: &Stores, domain: Option<&str>) -> String {
    let widest = Course(&[]).states().remove(0);
    choices(stores, domain, &[widest]).await.remove(0)
}

async fn attempts(stores: &Stores, keys: &[u64], scope: Scope, max: usize) -> Vec<Attempted> {
    stores.experience.attempts(keys.to_vec(), scope, max).await.expect("attempts")
}

/// A domain includes those below it and no others; where none is asked for, all count.
pub async fn what_followed_a_state_is_counted_within_its_domain(stores: Stores) {
    let source = TestSource::default();
    let odd = failed("it's \"日本\"!", "no way");
    for (domain, steps) in [
        (Some("a"), vec![ok("x"), ok("y"), ok("y")]),
        (Some("a"), vec![ok("x"), ok("x"), ok("x"), odd.clone(), ok("z")]),
        (Some("a.b"), vec![ok("b"), ok("b"), ok("a"), ok("a"), ok("y"), ok("y")]),
        (Some("ab"), vec![ok("other")]),
        (Some("a_b"), vec![ok("other")]),
        (None, vec![ok("nowhere"); 7]),
    ] {
        let new = domain.map_or_else(|| done(steps.clone()), |domain| in_domain(domain, done(steps.clone())));
        learn(&stores, &source, new, nothing_else(&source)).await;
    }
    let taken = numbered(vec![ok("x"), odd]);
    let states = [
        Course(&taken[..1]).states().remove(1),
        "unseen".to_owned(),
        Course(&taken).states().remove(2),
        // The failure, its kind and the tool before it.
        Course(&taken).troubles(None).remove(4),
    ];
    let after_x = "x 2, it's \"日本\"! 1, y 1";
    assert_eq!(choices(&stores, Some("a"), &states).await, [after_x, "", "z 1", "z 1"]);
    assert_eq!(choices(&stores, Some("ab"), &states).await, [""; 4]);
    assert_eq!(used(&stores, Some("a")).await, "x 4, y 4, a 2, b 2, it's \"日本\"! 1, z 1");
    assert_eq!(used(&stores, Some("a.b")).await, "a 2, b 2, y 2");
    assert_eq!(used(&stores, Some("ab")).await, "other 1");
    assert_eq!(used(&stores, Some("b")).await, "");
    let everything = "nowhere 7, x 4, y 4, a 2, b 2, other 2, it's \"日本\"! 1, z 1";
    assert_eq!(used(&stores, None).await, everything);
    assert_eq!(choices(&stores, Some("a"), &[]).await, Vec::<String>::new());
}

/// However often an episode is studied, it was done once; a deleted one was never done.
pub async fn what_an_episode_did_counts_once(stores: Stores) {
    let source = TestSource::default();
    let (broken, fixed) = (failed("x", "no"), ok("y"));
    let [broken, fixed] = [broken, fixed].map(|step| called("make all", step));
    let key = key_of(&broken);
    assert_ne!(key, key_of(&fixed));
    let id = learn(&stores, &source, done(vec![broken.clone(), broken.clone()]), nothing_else(&source)).await;
    let other = learn(&stores, &source, done(vec![fixed, broken]), nothing_else(&source)).await;
    source.set(later(&source, 60));
    let again = Teaching { family: 9, ..nothing_else(&source) };
    study(&stores, another_job(&source, id), again.clone()).await;
    let mut twice = Vec::new();
    for _ in 0..2 {
        twice.push(taught(&stores, another_job(&source, id), again.clone()).await);
    }
    stores.patterns.record(twice).await.expect("recorded");
    assert_eq!(used(&stores, None).await, "x 3, y 1");
    let told = attempts(&stores, &[key], Scope::default(), 10).await;
    assert_eq!(told.iter().map(|told| told.episode).collect::<Vec<_>>(), [id, other]);
    assert_eq!((told[0].family, told[0].at), (9, source.now()), "as it was studied last");
    assert_eq!(told[0].attempt, Attempt { key, failed: 2, succeeded: 0, step: 1 });
    stores.episodes.delete(id).await.expect("deleted");
    assert_eq!(used(&stores, None).await, "x 1, y 1");
    let told = attempts(&stores, &[key], Scope::default(), 10).await;
    assert_eq!(told.iter().map(|told| told.episode).collect::<Vec<_>>(), [other]);
    stores.patterns.relearn().await.expect("forgotten");
    assert_eq!(used(&stores, None).await, "");
    assert_eq!(attempts(&stores, &[key], Scope::default(), 10).await, []);
}

/// Attempts come back whole, those that happened last first, whenever they were recorded.
pub async fn attempts_are_told_the_newest_first(stores: Stores) {
    let source = TestSource::default();
    // A key that is no signed number.
    let high =
        (0..).map(|n| format!("make high{n}")).find(|args| key_of(&called(args, ok("bash"))) > 1 << 63);
    let [high, make, test] =
        [high.expect("one of many").as_str(), "make all", "cargo test"].map(str::to_owned);
    let [key, of_make, of_test] = [&high, &make, &test].map(|args| key_of(&called(args, ok("bash"))));
    let mut expected = Vec::new();
    for (seconds, args, errors, expected_attempt) in [
        (20, &high, &[true][..], Attempt { key, failed: 1, succeeded: 0, step: 2 }),
        (40, &make, &[false, false], Attempt { key: of_make, failed: 0, succeeded: 2, step: 2 }),
        (10, &high, &[false, true, true], Attempt { key, failed: 2, succeeded: 1, step: 3 }),
        (30, &test, &[true, false], Attempt { key: of_test, failed: 1, succeeded: 1, step: 2 }),
    ] {
        let (at, family) = (later(&source, seconds), u64::MAX - 1);
        let calls = errors.iter().map(|fails| if *fails { failed("bash", "no") } else { ok("bash") });
        let steps = [ok("look")].into_iter().chain(calls.map(|step| called(args, step))).collect();
        let teaching = Teaching { at, family, ..nothing_else(&source) };
        let episode = learn(&stores, &source, done(steps), teaching).await;
        expected.push(Attempted { episode, family, at, attempt: expected_attempt });
    }
    expected.sort_by_key(|attempted| std::cmp::Reverse(attempted.at));
    let everywhere = Scope::default;
    assert_eq!(attempts(&stores, &[key, of_test, of_make], everywhere(), 10).await, expected);
    assert_eq!(attempts(&stores, &[key, of_test, of_make], everywhere(), 2).await, expected[..2]);
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
    let call = called("make all", failed("bash", "no"));
    let mut ids = Vec::new();
    for place in &places {
        let mut new = done(vec![call.clone()]);
        new.brief.scope = place.clone();
        ids.push(learn(&stores, &source, new, nothing_else(&source)).await);
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
        let told = attempts(&stores, &[key_of(&call)], asked.clone(), 10).await;
        let mut told: Vec<EpisodeId> = told.iter().map(|attempted| attempted.episode).collect();
        told.sort();
        let expected: Vec<EpisodeId> = expected.iter().map(|place: &usize| ids[*place]).collect();
        assert_eq!(told, expected, "{asked:?}");
    }
}

/// A course has the start of what was done and nothing of what came back.
pub async fn courses_are_told_in_the_order_asked_for(stores: Stores) {
    let source = TestSource::default();
    let long = "é".repeat(COMPARED_CHARS_MAX + 7);
    let step = NewStep {
        observation: Some("much".into()),
        external_id: Some("s1".into()),
        duration_ms: Some(3),
        ..called(&long, failed("bash", &long))
    };
    let first = add(&stores, &source, done(vec![step.clone(), ok("look")])).await;
    let second = add(&stores, &source, done(vec![ok("build")])).await;
    let empty = add(&stores, &source, done(vec![])).await;
    let unknown = EpisodeId(source.id());
    let courses = stores.experience.courses(vec![second, unknown, empty, first]).await.expect("courses");
    assert_eq!(
        courses.iter().map(|(id, steps)| (*id, steps.len())).collect::<Vec<_>>(),
        [(second, 1), (first, 2)]
    );
    let told = &courses[1].1[0];
    let start = long.chars().take(COMPARED_CHARS_MAX).collect::<String>();
    assert_eq!((told.number, told.call.tool.as_str()), (1, "bash"));
    assert_eq!((told.call.args.as_deref(), told.call.error()), (Some(start.as_str()), Some("")));
    assert_eq!((&told.call.observation, &told.call.external_id), (&None, &None));
    assert_eq!(stores.experience.courses(vec![]).await, Ok(vec![]));
}
