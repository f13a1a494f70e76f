//! What was learned.

use std::collections::BTreeSet;

use memory_core::episode::Outcome;
use memory_core::extract::Finding;
use memory_core::id::{EpisodeId, JobId, PatternId};
use memory_core::job::{Job, JobCounts, Priority};
use memory_core::memory::{NewEnding, NewEpisode};
use memory_core::pattern::{Pattern, PatternBody, Tally};
use memory_core::port::Source;
use memory_core::retrieve::{Found, Item, Lessons};

use super::{add, claim_one, found, item, later, learn, record, recovery, sequence};
use crate::episode::{finished, in_domain, ok, open};
use crate::{Stores, TestSource};

fn success() -> NewEpisode {
    finished("a task", Outcome::Success, vec![ok("a"), ok("b")])
}

/// A job to study an episode again, as one whose first worker lost its lease.
fn another_job(source: &TestSource, episode_id: EpisodeId) -> Job {
    Job { id: JobId(source.id()), episode_id, priority: Priority::Normal, attempt: 2 }
}

async fn pattern(stores: &Stores, id: PatternId) -> Option<Pattern> {
    match item(stores, Found::Pattern(id)).await {
        Some(Item::Pattern(pattern)) => Some(pattern),
        Some(other) => panic!("{other:?} is no pattern"),
        None => None,
    }
}

async fn tally(stores: &Stores, id: PatternId) -> Tally {
    pattern(stores, id).await.expect("the pattern").tally
}

async fn lessons(stores: &Stores, episodes: &[EpisodeId]) -> Lessons {
    stores.patterns.lessons(episodes.to_vec()).await.expect("lessons")
}

/// The first finding of a pattern stores it under the id that came with the finding.
pub async fn a_finding_becomes_a_pattern(stores: Stores) {
    let source = TestSource::default();
    let id = add(&stores, &source, in_domain("coding", success())).await;
    let job = claim_one(&stores, &source).await;
    let new = PatternId(source.id());
    let finding =
        Finding { detail: Some("it's \"so\" 日本".into()), ..sequence(&["fetch", "parse"], 0.25) };
    let recorded = stores.patterns.record(job, vec![(new, finding.clone())], source.now()).await;
    assert_eq!(recorded, Ok(vec![new]));
    let expected = Pattern {
        id: new,
        body: finding.body,
        domain: Some("coding".into()),
        tally: Tally { credit: 0.25, episodes: 1 },
        last_seen: source.now(),
    };
    assert_eq!(pattern(&stores, new).await, Some(expected.clone()));
    let (_, recoveries) = learn(&stores, &source, success(), vec![recovery("socket hung up")]).await;
    assert_eq!(found(&stores, "hung socket").await, [Found::Pattern(recoveries[0])]);
    let lessons = lessons(&stores, &[id]).await.lessons;
    assert_eq!(lessons.len(), 1);
    assert_eq!((&lessons[0].pattern, &lessons[0].shown_by), (&expected, &vec![id]));
    assert_eq!(lessons[0].detail, finding.detail);
}

/// Each episode is one observation; the pattern was last seen at the latest of them.
pub async fn a_second_episode_adds_to_the_tally(stores: Stores) {
    let source = TestSource::default();
    let start = source.now();
    let (_, first) = learn(&stores, &source, success(), vec![sequence(&["gather", "solder"], 1.0)]).await;
    source.set(later(&source, 60));
    let (_, second) = learn(&stores, &source, success(), vec![sequence(&["gather", "solder"], 0.0)]).await;
    assert_eq!(first, second);
    assert_eq!(pattern(&stores, first[0]).await.expect("the pattern").last_seen, source.now());
    // Now one from earlier, as an import brings it.
    let late = source.now();
    add(&stores, &source, success()).await;
    let job = claim_one(&stores, &source).await;
    let findings = vec![(PatternId(source.id()), sequence(&["gather", "solder"], 0.5))];
    assert_eq!(stores.patterns.record(job, findings, start).await, Ok(first.clone()));
    let pattern = pattern(&stores, first[0]).await.expect("the pattern");
    assert_eq!((pattern.tally, pattern.last_seen), (Tally { credit: 1.5, episodes: 3 }, late));
    let entries = stores.corpus.entries(vec![Found::Pattern(first[0])], None).await.expect("a read");
    assert_eq!(entries.iter().map(|entry| entry.at).collect::<Vec<_>>(), [late]);
    assert_eq!(stores.health.counts().await.expect("counts").patterns, 1);
}

/// To study an episode twice teaches no more than to study it once; the second study counts.
pub async fn recording_again_replaces_the_evidence(stores: Stores) {
    let source = TestSource::default();
    let findings = vec![sequence(&["a", "b"], 1.0), sequence(&["b", "c"], 1.0)];
    let (id, both) = learn(&stores, &source, success(), findings.clone()).await;
    let again = record(&stores, &source, another_job(&source, id), findings).await;
    assert_eq!(BTreeSet::from_iter(&again), BTreeSet::from_iter(&both));
    assert_eq!(tally(&stores, both[0]).await, Tally { credit: 1.0, episodes: 1 });
    let revised = Finding { detail: Some("seen anew".into()), ..sequence(&["a", "b"], 0.0) };
    let revised = record(&stores, &source, another_job(&source, id), vec![revised]).await;
    assert_eq!(revised, [both[0]]);
    assert_eq!(tally(&stores, both[0]).await, Tally { credit: 0.0, episodes: 1 });
    let lessons = lessons(&stores, &[id]).await.lessons;
    assert_eq!(lessons.len(), 1);
    assert_eq!(lessons[0].detail.as_deref(), Some("seen anew"));
}

/// A pattern lives as long as an episode shows it.
pub async fn a_pattern_without_evidence_vanishes(stores: Stores) {
    let source = TestSource::default();
    let (first, ids) = learn(&stores, &source, success(), vec![recovery("socket hung up")]).await;
    let (second, _) =
        learn(&stores, &source, success(), vec![Finding { credit: 0.0, ..recovery("socket hung up") }]).await;
    record(&stores, &source, another_job(&source, first), vec![]).await;
    assert_eq!(tally(&stores, ids[0]).await, Tally { credit: 0.0, episodes: 1 });
    assert_eq!(found(&stores, "hung socket").await, [Found::Pattern(ids[0])]);
    record(&stores, &source, another_job(&source, second), vec![]).await;
    assert_eq!(pattern(&stores, ids[0]).await, None);
    assert_eq!(found(&stores, "hung socket").await, []);
    assert_eq!(lessons(&stores, &[first, second]).await.lessons, []);
    assert_eq!(stores.health.counts().await.expect("counts").patterns, 0);
}

/// However uneven the credits, their sum is that of the evidence there is: none is none.
pub async fn what_is_taken_back_leaves_nothing_behind(stores: Stores) {
    let source = TestSource::default();
    let (first, ids) = learn(&stores, &source, success(), vec![sequence(&["a", "b"], 0.1)]).await;
    let (second, _) = learn(&stores, &source, success(), vec![sequence(&["a", "b"], 0.2)]).await;
    for id in [first, second] {
        record(&stores, &source, another_job(&source, id), vec![sequence(&["a", "b"], 0.0)]).await;
    }
    assert_eq!(tally(&stores, ids[0]).await, Tally { credit: 0.0, episodes: 2 });
}

/// What holds in one domain says nothing about another, nor about what lies below it.
pub async fn a_domain_has_its_own_patterns(stores: Stores) {
    let source = TestSource::default();
    let mut ids = BTreeSet::new();
    for new in [success(), in_domain("a", success()), in_domain("a.b", success())] {
        let domain = new.brief.scope.domain.clone();
        let (_, recorded) = learn(&stores, &source, new, vec![sequence(&["a", "b"], 1.0)]).await;
        let pattern = pattern(&stores, recorded[0]).await.expect("the pattern");
        assert_eq!((pattern.domain, pattern.tally.episodes), (domain, 1));
        ids.extend(recorded);
    }
    assert_eq!(ids.len(), 3);
}

/// Every kind of pattern is stored in full, and findings that differ in anything are different patterns.
pub async fn bodies_of_every_kind_come_back(stores: Stores) {
    let source = TestSource::default();
    let recovery = |error: &str, tools: &[&str]| PatternBody::ErrorRecovery {
        tool: "py'test".into(),
        error: error.into(),
        recovery: tools.iter().map(ToString::to_string).collect(),
    };
    let bodies = [
        sequence(&["a", "b"], 1.0).body,
        sequence(&["a, b"], 1.0).body,
        sequence(&["b", "a"], 1.0).body,
        recovery("", &[]),
        recovery("\"é\" → 日本", &["pip", "py'test"]),
        recovery("\"é\" → 日本", &["pip"]),
    ];
    let finding = |body: &PatternBody| Finding { body: body.clone(), credit: 0.1 + 0.2, detail: None };
    let findings: Vec<Finding> = bodies.iter().map(finding).collect();
    let (_, ids) = learn(&stores, &source, success(), findings.clone()).await;
    let (_, again) = learn(&stores, &source, success(), findings).await;
    assert_eq!(ids.len(), bodies.len());
    assert_eq!(BTreeSet::from_iter(&ids), BTreeSet::from_iter(&again));
    let items = stores.items.items(ids.into_iter().map(Found::Pattern).collect()).await.expect("items");
    let kept: Vec<&PatternBody> = items
        .iter()
        .map(|item| match item {
            Item::Pattern(pattern) => &pattern.body,
            other => panic!("{other:?} is no pattern"),
        })
        .collect();
    assert_eq!(kept.len(), bodies.len());
    assert!(bodies.iter().all(|body| kept.contains(&body)), "{kept:?}");
}

/// What is recorded need not be studied again.
pub async fn recording_finishes_the_job(stores: Stores) {
    let source = TestSource::default();
    let (_, recorded) = learn(&stores, &source, success(), vec![]).await;
    assert_eq!(recorded, []);
    assert_eq!(stores.jobs.counts().await, Ok(JobCounts::default()));
    assert_eq!(stores.jobs.next_due().await, Ok(None));
}

/// What was deleted while it was studied teaches nothing, and its job is done.
pub async fn recording_for_an_unknown_episode_finishes_the_job(stores: Stores) {
    let source = TestSource::default();
    let job = another_job(&source, EpisodeId(source.id()));
    assert_eq!(record(&stores, &source, job, vec![]).await, []);
    assert_eq!(record(&stores, &source, job, vec![sequence(&["a", "b"], 1.0)]).await, []);
    assert_eq!(stores.health.counts().await.expect("counts").patterns, 0);
}

/// A lesson is about the episodes that were asked for; its tally is about all.
pub async fn a_lesson_names_the_asked_for_episodes_only(stores: Stores) {
    let source = TestSource::default();
    let quoting = |text: &str| Finding { detail: Some(text.into()), ..sequence(&["a", "b"], 1.0) };
    let (first, ids) = learn(&stores, &source, success(), vec![quoting("first")]).await;
    let (second, _) =
        learn(&stores, &source, success(), vec![sequence(&["a", "b"], 1.0), sequence(&["c", "d"], 1.0)])
            .await;
    let (third, _) = learn(&stores, &source, success(), vec![quoting("third")]).await;
    assert_eq!(lessons(&stores, &[]).await, Lessons::default());
    let of_two = lessons(&stores, &[second]).await.lessons;
    assert_eq!(of_two.len(), 2);
    assert!(of_two.iter().all(|lesson| lesson.shown_by == [second] && lesson.detail.is_none()));
    let unknown = EpisodeId(source.id());
    let lessons = lessons(&stores, &[unknown, third, second]).await.lessons;
    let lesson = lessons.iter().find(|lesson| lesson.pattern.id == ids[0]).expect("the lesson");
    assert_eq!(lesson.pattern.tally, Tally { credit: 3.0, episodes: 3 });
    assert_eq!(BTreeSet::from_iter(&lesson.shown_by), BTreeSet::from([&second, &third]));
    assert_eq!(lesson.detail.as_deref(), Some("third"), "a quotation from an episode that was asked for");
    assert!(!lesson.shown_by.contains(&first));
}

/// Advice has to beat what is usual in the domains of the episodes it comes from.
pub async fn the_base_tally_covers_the_domains_asked_for(stores: Stores) {
    let source = TestSource::default();
    let of = |outcome, domain: Option<&str>| {
        let mut new = finished("x", outcome, vec![]);
        new.brief.scope.domain = domain.map(str::to_owned);
        new
    };
    let in_a = add(&stores, &source, of(Outcome::Success, Some("a"))).await;
    let also_in_a = add(&stores, &source, of(Outcome::Partial, Some("a"))).await;
    add(&stores, &source, of(Outcome::Failure, Some("a"))).await;
    add(&stores, &source, of(Outcome::Abandoned, Some("a"))).await;
    add(&stores, &source, in_domain("a", open("still open"))).await;
    let no_outcome = NewEpisode { ending: Some(NewEnding::default()), ..open("unknown") };
    add(&stores, &source, in_domain("a", no_outcome)).await;
    let in_b = add(&stores, &source, of(Outcome::Success, Some("b"))).await;
    let nowhere = add(&stores, &source, of(Outcome::Failure, None)).await;
    for (asked, credit, episodes) in [
        (vec![in_a], 1.5, 3),
        (vec![in_a, also_in_a], 1.5, 3),
        (vec![in_b], 1.0, 1),
        (vec![in_a, in_b], 2.5, 4),
        (vec![nowhere], 0.0, 1),
        (vec![nowhere, in_b], 1.0, 2),
        (vec![EpisodeId(source.id())], 0.0, 0),
    ] {
        assert_eq!(lessons(&stores, &asked).await.base, Tally { credit, episodes }, "{asked:?}");
    }
}
