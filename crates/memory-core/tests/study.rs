//! What holds for what an episode teaches, whatever the episode.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures::executor::block_on;
use jiff::Timestamp;
use memory_core::episode::{Basis, NewStep, Outcome, Scope};
use memory_core::extract::{Registry, Teaching, Transition};
use memory_core::forecast::Forecast;
use memory_core::limits::{COURSE_STEPS_MAX, DETAIL_CHARS_MAX, FINDINGS_MAX, STATE_TOOLS_MAX};
use memory_core::memory::{Asked, Memory, NewEnding, NewEpisode};
use memory_core::pattern::{PatternBody, Rate};
use memory_core::port::{Listing, Source, Studied};
use proptest::prelude::*;
use testkit::episode::{failed, finished, insertion, ok, open};
use testkit::{InMemoryStore, Stores, TestSource};

const EXTRACTORS: usize = 5;
const BASES: usize = 2;
/// Kinds of state: of the next step, and of the way out of a failure.
const STATES: usize = STATE_TOOLS_MAX + 1 + 5;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["read", "edit", "bash", "a b", "日本", "a\u{1f}b", " ", "\n", "\u{200b}"])
            .prop_map(str::to_owned),
        "\\PC{0,12}",
        "[\\x00-\\x7f]{0,12}",
    ]
}

fn error() -> impl Strategy<Value = String> {
    prop_oneof![
        text(),
        Just(String::new()),
        Just("Traceback (most recent call last):\n".to_owned()),
        Just("Traceback (most recent call last):\n  x\nKeyError: 'naïve\u{1f}'".to_owned()),
        Just("é\u{0}".repeat(5_000)),
        "(Error|fail|[0-9#]{1,3}| |\n){0,9}",
    ]
}

fn step() -> impl Strategy<Value = NewStep> {
    let args = prop_oneof![
        text(),
        Just("cargo test && git commit -m 'x".to_owned()),
        Just("{\"path\": \"a.rs\", \"new_text\": \"\\ud83d\"".to_owned()),
    ];
    (text(), prop::option::of(error()), prop::option::of(args), prop::option::of(text())).prop_map(
        |(tool, error, args, action)| {
            let step = error.map_or_else(|| ok(&tool), |error| failed(&tool, &error));
            NewStep { args, action, ..step }
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<NewStep>> {
    // A long one is a short one over and over.
    (prop::collection::vec(step(), 0..12), prop::sample::select(vec![1, 1, 1, 7, 200]))
        .prop_map(|(steps, times)| vec![steps; times].concat())
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        Just("-009998-01-01T00:00:00Z".parse().unwrap()),
        Just("9999-01-01T00:00:00Z".parse().unwrap()),
        Just(Timestamp::UNIX_EPOCH),
        (1_400_000_000_i64..2_000_000_000).prop_map(|seconds| Timestamp::from_second(seconds).unwrap()),
    ]
}

/// An episode of a few tasks and domains, so that they meet; its outcome may be unknown or contradict what was done.
fn episode() -> impl Strategy<Value = NewEpisode> {
    let task = prop::sample::select(vec!["fix the login test", "Fix the login-test!", "…", "bake bread"]);
    let domain = prop::option::of(prop::sample::select(vec!["a", "a.b"]));
    let outcome = prop::option::of(prop::sample::select(Outcome::ALL.to_vec()));
    let basis = prop::option::of(prop::sample::select(Basis::ALL.to_vec()));
    let context = prop::collection::btree_map(text(), text(), 0..4);
    let parts = (task, domain, prop::option::of(text()), prop::collection::vec(text(), 0..3), context);
    (parts, steps(), outcome, basis, prop::option::of(time())).prop_map(
        |((task, domain, task_type, tags, context), steps, outcome, basis, started_at)| {
            let mut new = NewEpisode { steps, started_at, ..open(task) };
            let scope = Scope { domain: domain.map(str::to_owned), project: task_type.clone() };
            new.brief = memory_core::episode::Brief { scope, task_type, tags, context, ..new.brief };
            new.ending = Some(NewEnding { outcome, basis, ..NewEnding::default() });
            new
        },
    )
}

fn is_share(number: f64) -> bool {
    (0.0..=1.0).contains(&number)
}

fn check(teaching: &Teaching, now: Timestamp) -> Result<(), TestCaseError> {
    let Teaching { reliance, at, findings, experience, .. } = teaching;
    prop_assert!((0.0..=1.25).contains(reliance) && *at <= now);
    prop_assert!(findings.len() <= BASES + EXTRACTORS * FINDINGS_MAX, "{}", findings.len());
    let bodies: HashSet<&PatternBody> = findings.iter().map(|finding| &finding.body).collect();
    prop_assert_eq!(bodies.len(), findings.len());
    let names: HashSet<(&str, String)> =
        findings.iter().map(|finding| (finding.body.kind(), finding.body.signature())).collect();
    prop_assert_eq!(names.len(), findings.len(), "different patterns have different names");
    for finding in findings {
        prop_assert!(is_share(finding.credit));
        let length = finding.detail.as_ref().map_or(0, |detail| detail.chars().count());
        prop_assert!(length <= DETAIL_CHARS_MAX);
        let observed = teaching.observation(finding);
        prop_assert!(observed.weight.is_finite() && observed.credit <= observed.weight);
        let kept = PatternBody::parse(finding.body.kind(), &finding.body.signature()).unwrap();
        prop_assert_eq!(kept.signature(), finding.body.signature());
    }
    let mut pairs = BTreeMap::new();
    for Transition { state, tool, times } in &experience.transitions {
        prop_assert!(*times > 0 && *times as usize <= COURSE_STEPS_MAX);
        prop_assert!(pairs.insert((state, tool), times).is_none(), "each pair once");
    }
    prop_assert!(pairs.len() <= STATES * COURSE_STEPS_MAX);
    prop_assert!(experience.attempts.len() <= 2 * COURSE_STEPS_MAX);
    prop_assert!(experience.attempts.is_sorted_by(|a, b| a.key < b.key), "each key once");
    prop_assert!(experience.attempts.iter().all(|attempt| attempt.failed + attempt.succeeded > 0));
    Ok(())
}

fn check_rate(rate: &Rate) -> Result<(), TestCaseError> {
    let Rate { mean, low, high, .. } = rate;
    prop_assert!(is_share(*low) && low <= mean && mean <= high && is_share(*high), "{:?}", rate);
    Ok(())
}

/// Stores the episodes and studies them all.
async fn learn(stores: &Stores, source: &TestSource, episodes: Vec<NewEpisode>) {
    let insertions = episodes.into_iter().map(|new| insertion(source, new)).collect();
    stores.episodes.insert(insertions).await.unwrap();
    let jobs = stores.jobs.claim(1_000, Timestamp::MAX, Timestamp::MAX).await.unwrap();
    for job in jobs {
        let episode = stores.episodes.get(job.episode_id).await.unwrap().unwrap();
        let teaching = Some(Registry::default().study(&episode, source.now()));
        stores.patterns.record(vec![Studied { job, teaching }]).await.unwrap();
    }
}

/// Everything that is told at this time of what was learned.
async fn told(stores: &Stores, source: &Arc<TestSource>) -> (Vec<Rate>, Vec<f64>) {
    let memory = Memory::new(stores.ports(source.clone()), Vec::new());
    let (mut rates, mut shares) = (Vec::new(), Vec::new());
    let page = memory.patterns(Listing { max: 200, ..Listing::default() }, None).await.unwrap();
    for review in page.patterns {
        rates.push(review.rate);
        shares.push(review.prior.mean);
    }
    for domain in [None, Some("a".to_owned())] {
        let scope = Scope { domain, project: None };
        let asked = Asked { task: "fix the login test".into(), scope, ..Asked::default() };
        let recommended =
            memory.recommend(Asked { error: Some("KeyError: x".into()), ..asked }).await.unwrap();
        let advice = recommended.advice;
        let items = advice.steps.into_iter().chain(advice.pitfalls).chain(advice.recoveries);
        rates.extend(items.filter_map(|item| item.rate));
        rates.extend(advice.success.map(|Forecast { rate, .. }| rate));
        let ways_out = recommended.ways_out.into_iter().map(|way_out| way_out.likely);
        shares.extend(recommended.next.into_iter().chain(ways_out).map(|likely| likely.probability));
    }
    (rates, shares)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_episode_teaches_the_same_each_time_and_within_bounds(new in episode(), now in time()) {
        let source = TestSource::default();
        let episode = insertion(&source, new).episode;
        let teaching = Registry::default().study(&episode, now);
        check(&teaching, now)?;
        prop_assert_eq!(&teaching, &Registry::default().study(&episode, now));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_rate_is_a_share_between_its_bounds(
        episodes in prop::collection::vec(episode(), 0..6), repeated in prop::bool::ANY, later in time()
    ) {
        let (stores, source) = (InMemoryStore::stores(), Arc::new(TestSource::default()));
        let background = ["bake bread", "paint a fence"].map(|task| finished(task, Outcome::Partial, vec![]));
        let again = if repeated { episodes.clone() } else { Vec::new() };
        let all = episodes.into_iter().chain(background).chain(again).collect();
        block_on(learn(&stores, &source, all));
        for now in [source.now(), later] {
            source.set(now);
            let (rates, shares) = block_on(told(&stores, &source));
            for rate in &rates {
                check_rate(rate)?;
            }
            prop_assert!(shares.iter().all(|share| is_share(*share)), "{:?}", shares);
        }
    }
}
