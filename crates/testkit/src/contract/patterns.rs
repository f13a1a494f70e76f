//! What was learned.

use std::collections::BTreeSet;

use memory_core::episode::{NewStep, Outcome, Scope};
use memory_core::extract::{Course, Experience, Finding, Teaching, attempt_keys};
use memory_core::id::{EpisodeId, PatternId};
use memory_core::job::{JobCounts, Retry};
use memory_core::memory::{NewEnding, NewEpisode};
use memory_core::pattern::{
    Fields, Measure, Mistake, Pattern, PatternBody, Tally, VERDICT_EPISODES_MIN, strength,
};
use memory_core::port::{Listing, Source, StoreError, Studied};
use memory_core::retrieve::{Found, Lesson, Lessons};

use super::{
    add, another_job, assert_tally, claim, claim_one, found, is_near, item, later, learn, pattern, record,
    recovery, sequence, study, taught, teaching, worth,
};
use crate::episode::{called, failed, finished, in_domain, named, numbered, ok, open};
use crate::{Stores, TestSource};

fn success() -> NewEpisode {
    finished("a task", Outcome::Success, vec![ok("a"), ok("b")])
}

fn base(measure: Measure, credit: f64) -> Finding {
    Finding { body: PatternBody::Base { measure }, credit, detail: None }
}

fn quoting(finding: Finding, text: &str) -> Finding {
    Finding { detail: Some(text.into()), ..finding }
}

fn custom(source: &str, text: &str) -> PatternBody {
    PatternBody::Custom { source: source.into(), text: text.into() }
}

async fn tally(stores: &Stores, id: PatternId) -> Tally {
    pattern(stores, id).await.expect("the pattern").tally
}

async fn lessons(stores: &Stores, episodes: &[EpisodeId], tasks: &[u64]) -> Lessons {
    stores.patterns.lessons(episodes.to_vec(), tasks.to_vec()).await.expect("lessons")
}

fn lesson(lessons: &Lessons, id: PatternId) -> &Lesson {
    lessons.lessons.iter().find(|lesson| lesson.pattern.id == id).expect("the lesson")
}

async fn list(stores: &Stores, domain: Option<&str>, kind: Option<&str>) -> Vec<Pattern> {
    let (domain, kind) = (domain.map(str::to_owned), kind.map(str::to_owned));
    stores.patterns.list(Listing { domain, kind, after: None, max: 1_000 }).await.expect("a list")
}

/// Stores a finished episode and records this of it.
async fn learn_all(stores: &Stores, source: &TestSource, new: NewEpisode, teaching: Teaching) -> EpisodeId {
    let id = add(stores, source, new).await;
    let job = claim_one(stores, source).await;
    study(stores, job, teaching).await;
    id
}

/// The first finding of a pattern stores it under the id that its domain and body make.
pub async fn a_finding_becomes_a_pattern(stores: Stores) {
    let source = TestSource::default();
    let id = add(&stores, &source, in_domain("coding", success())).await;
    let job = claim_one(&stores, &source).await;
    let finding = quoting(Finding { credit: 0.25, ..recovery("no route") }, "it's \"so\" 日本");
    let expected = Pattern {
        id: PatternId::of(Some("coding"), &finding.body),
        body: finding.body.clone(),
        domain: Some("coding".into()),
        // How a recovery went is seen in the steps, however far the outcome can be relied on.
        tally: Tally::one(0.25, 1.0, source.now()),
        feedback: Tally::default(),
        last_seen: source.now(),
        correction: None,
    };
    let seen = Teaching { reliance: 0.4, ..teaching(&source, 7, vec![finding.clone()]) };
    assert_eq!(study(&stores, job, seen).await, [expected.id]);
    assert_eq!(pattern(&stores, expected.id).await, Some(expected.clone()));
    let (_, recoveries) = learn(&stores, &source, success(), vec![recovery("socket hung up")]).await;
    assert_eq!(found(&stores, "hung socket").await, [Found::Pattern(recoveries[0])]);
    let lessons = lessons(&stores, &[id], &[]).await.lessons;
    assert_eq!(lessons.len(), 1);
    assert_eq!((&lessons[0].pattern, &lessons[0].shown_by), (&expected, &vec![id]));
    assert_eq!((&lessons[0].detail, lessons[0].own), (&finding.detail, Tally::default()));
}

/// Each episode is one observation; the pattern was last seen at the latest of them.
pub async fn a_second_episode_adds_to_the_tally(stores: Stores) {
    let source = TestSource::default();
    let start = source.now();
    let (_, first) = learn(&stores, &source, success(), vec![recovery("no solder")]).await;
    source.set(later(&source, 60));
    let late = source.now();
    let failed = Finding { credit: 0.0, ..recovery("no solder") };
    let (_, second) = learn(&stores, &source, success(), vec![failed]).await;
    assert_eq!(first, second);
    assert_eq!(pattern(&stores, first[0]).await.expect("the pattern").last_seen, late);
    // Now one from earlier, as an import brings it.
    let half = Finding { credit: 0.5, ..recovery("no solder") };
    let early = Teaching { at: start, ..teaching(&source, 9, vec![half]) };
    learn_all(&stores, &source, success(), early).await;
    let pattern = pattern(&stores, first[0]).await.expect("the pattern");
    assert_tally(&pattern.tally, &worth(&[1.0, 0.5], start).plus(&worth(&[0.0], late)));
    assert_eq!(pattern.last_seen, late);
    let entries = stores.corpus.entries(vec![Found::Pattern(first[0])], None).await.expect("a read");
    assert_eq!(entries.iter().map(|entry| entry.at).collect::<Vec<_>>(), [late]);
    assert_eq!(stores.health.counts().await.expect("counts").patterns, 1);
}

/// Ten runs of one task say less than one run each of ten. How far an outcome can be relied on says nothing of a recovery.
pub async fn the_runs_of_one_task_count_less_than_those_of_many(stores: Stores) {
    let source = TestSource::default();
    let findings = || vec![sequence(&["a", "b"], 1.0), recovery("no route")];
    let at = source.now();
    for (task, reliance) in [(u64::MAX, 1.0), (u64::MAX, 0.5), (3, 0.8), (u64::MAX, 1.0), (0, 1.0)] {
        let seen = Teaching { reliance, ..teaching(&source, task, findings()) };
        learn_all(&stores, &source, success(), seen).await;
    }
    let sum = |reliances: &[f64]| {
        let runs = reliances.iter().map(|reliance| Tally::one(1.0, *reliance, at));
        runs.fold(Tally::default(), |sum, run| sum.plus(&run)).clustered()
    };
    let [of_sequence, of_recovery] = findings()
        .try_into()
        .map(|two: [Finding; 2]| two.map(|f| PatternId::of(None, &f.body)))
        .expect("two");
    let expected = sum(&[1.0, 0.5, 1.0]).plus(&sum(&[0.8])).plus(&sum(&[1.0]));
    assert_eq!((expected.episodes, expected.families), (5, 3));
    assert_tally(&tally(&stores, of_sequence).await, &expected);
    let expected = sum(&[1.0, 1.0, 1.0]).plus(&sum(&[1.0])).plus(&sum(&[1.0]));
    assert_tally(&tally(&stores, of_recovery).await, &expected);
}

/// To study an episode twice teaches no more than to study it once; the second study counts.
pub async fn recording_again_replaces_the_evidence(stores: Stores) {
    let source = TestSource::default();
    let findings = vec![recovery("no ink"), recovery("no paper")];
    let first = PatternId::of(None, &findings[0].body);
    let (id, both) = learn(&stores, &source, success(), findings.clone()).await;
    let again = record(&stores, &source, another_job(&source, id), findings.clone()).await;
    assert_eq!(BTreeSet::from_iter(&again), BTreeSet::from_iter(&both));
    assert_tally(&tally(&stores, first).await, &worth(&[1.0], source.now()));
    let revised = quoting(Finding { credit: 0.0, ..recovery("no ink") }, "seen anew");
    source.set(later(&source, 60));
    let other_task = teaching(&source, 99, vec![revised]);
    assert_eq!(study(&stores, another_job(&source, id), other_task).await, [first]);
    assert_tally(&tally(&stores, first).await, &worth(&[0.0], source.now()));
    let lessons = lessons(&stores, &[id], &[99]).await.lessons;
    assert_eq!(lessons.len(), 1);
    assert_eq!(lessons[0].detail.as_deref(), Some("seen anew"));
    assert_tally(&lessons[0].own, &worth(&[0.0], source.now()));
    let earlier = Teaching { at: later(&source, -3_600), ..teaching(&source, 99, findings) };
    study(&stores, another_job(&source, id), earlier.clone()).await;
    assert_eq!(pattern(&stores, first).await.expect("the pattern").last_seen, earlier.at);
}

/// A pattern lives as long as an episode shows it.
pub async fn a_pattern_without_evidence_vanishes(stores: Stores) {
    let source = TestSource::default();
    let (first, ids) = learn(&stores, &source, success(), vec![recovery("socket hung up")]).await;
    let failed = Finding { credit: 0.0, ..recovery("socket hung up") };
    let (second, _) = learn(&stores, &source, success(), vec![failed]).await;
    record(&stores, &source, another_job(&source, first), vec![]).await;
    assert_tally(&tally(&stores, ids[0]).await, &worth(&[0.0], source.now()));
    assert_eq!(found(&stores, "hung socket").await, [Found::Pattern(ids[0])]);
    record(&stores, &source, another_job(&source, second), vec![]).await;
    assert_eq!(pattern(&stores, ids[0]).await, None);
    assert_eq!(found(&stores, "hung socket").await, []);
    assert_eq!(lessons(&stores, &[first, second], &[]).await.lessons, []);
    assert_eq!(list(&stores, None, None).await, []);
    assert_eq!(stores.patterns.evidence(ids[0], 10).await, Ok(vec![]));
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
    let tally = tally(&stores, ids[0]).await;
    assert_eq!((tally.credit, tally.episodes, tally.families), (0.0, 2, 2));
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
    let decision = |after: Option<(&str, bool)>| PatternBody::DecisionPoint {
        after: after.map(|(tool, failed)| (tool.to_owned(), failed)),
        choice: "é\" 日本".into(),
    };
    let pitfall = |mistake, tool: &str, error: &str| PatternBody::Pitfall {
        mistake,
        tool: tool.into(),
        error: error.into(),
    };
    let bodies = [
        sequence(&["a", "b"], 1.0).body,
        sequence(&["a, b"], 1.0).body,
        sequence(&["b", "a"], 1.0).body,
        recovery("", &[]),
        recovery("\"é\" → 日本", &["pip", "py'test"]),
        recovery("\"é\" → 日本", &["pip"]),
        decision(None),
        decision(Some(("start", false))),
        decision(Some(("start", true))),
        PatternBody::Context { name: "context.it's".into(), value: "".into() },
        PatternBody::Context { name: "tool".into(), value: "start".into() },
        pitfall(Mistake::Failed, "a", "no"),
        pitfall(Mistake::Unresolved, "a", "no"),
        pitfall(Mistake::Repeated, "a", ""),
        pitfall(Mistake::Unchecked, "", ""),
        custom("a", "b é\" 日本"),
        custom("b", "b é\" 日本"),
    ];
    let finding = |body: &PatternBody| Finding { body: body.clone(), credit: 0.1 + 0.2, detail: None };
    let findings: Vec<Finding> = bodies.iter().map(finding).collect();
    let (_, ids) = learn(&stores, &source, success(), findings.clone()).await;
    let (_, again) = learn(&stores, &source, success(), findings).await;
    let expected: BTreeSet<PatternId> = bodies.iter().map(|body| PatternId::of(None, body)).collect();
    assert_eq!(expected.len(), bodies.len());
    assert_eq!(BTreeSet::from_iter(ids.clone()), expected);
    assert_eq!(BTreeSet::from_iter(again), expected);
    for body in bodies {
        let kept = pattern(&stores, PatternId::of(None, &body)).await.expect("the pattern");
        assert_eq!((kept.body, kept.tally.episodes), (body, 2));
    }
}

/// What is recorded need not be studied again; each episode of a batch gets its own answer.
pub async fn recording_finishes_the_jobs(stores: Stores) {
    let source = TestSource::default();
    let (_, recorded) = learn(&stores, &source, success(), vec![]).await;
    assert_eq!(recorded, []);
    for _ in 0..3 {
        add(&stores, &source, success()).await;
    }
    let jobs = claim(&stores, &source).await;
    let errors = [&["one", "both"][..], &[], &["both"]];
    let mut studied = Vec::new();
    for (job, errors) in jobs.iter().zip(errors) {
        let findings = errors.iter().map(|error| recovery(error)).collect();
        studied.push(taught(&stores, *job, teaching(&source, 1, findings)).await);
    }
    let recorded = stores.patterns.record(studied).await.expect("recorded");
    let expected = errors.map(|errors| {
        errors.iter().map(|error| PatternId::of(None, &recovery(error).body)).collect::<BTreeSet<_>>()
    });
    let recorded: Vec<BTreeSet<PatternId>> = recorded.into_iter().map(BTreeSet::from_iter).collect();
    assert_eq!(recorded, expected);
    assert_eq!(stores.jobs.counts().await, Ok(JobCounts::default()));
    assert_eq!(stores.jobs.next_due().await, Ok(None));
    assert_eq!(stores.patterns.record(vec![]).await, Ok(vec![]));
}

/// What was deleted while it was studied teaches nothing, and its job is done.
pub async fn recording_for_an_unknown_episode_finishes_the_job(stores: Stores) {
    let source = TestSource::default();
    let mut done = vec![another_job(&source, EpisodeId(source.id()))];
    let deleted = add(&stores, &source, success()).await;
    done.push(claim_one(&stores, &source).await);
    let steps = stores.episodes.get(deleted).await.expect("a read").expect("the episode").steps;
    stores.episodes.delete(deleted).await.expect("deleted");
    for job in done {
        let gone = Studied { job, teaching: None };
        assert_eq!(stores.patterns.record(vec![gone]).await, Ok(vec![vec![]]));
        let experience = Experience::of(&steps);
        let findings = vec![sequence(&["a", "b"], 1.0), base(Measure::Outcome, 1.0)];
        let late = Teaching { experience, ..teaching(&source, 1, findings) };
        let late = Studied { job, teaching: Some(late) };
        assert_eq!(stores.patterns.record(vec![late]).await, Ok(vec![vec![]]));
    }
    assert_eq!(stores.health.counts().await.expect("counts").patterns, 0);
    assert_eq!(stores.patterns.fields().await, Ok(Fields::default()));
    let choices = stores.experience.choices(None, Course(&[]).states()).await.expect("choices");
    assert!(choices.iter().all(|choices| choices.tools.is_empty()), "{choices:?}");
    assert_eq!(stores.jobs.counts().await, Ok(JobCounts::default()));
}

/// A lesson is about the episodes that were asked for; its tally is about all.
pub async fn a_lesson_names_the_asked_for_episodes_only(stores: Stores) {
    let source = TestSource::default();
    let both = |text: &str| quoting(recovery("no ink"), text);
    let (first, ids) = learn(&stores, &source, success(), vec![both("first")]).await;
    let two = vec![recovery("no ink"), recovery("no paper")];
    let (second, _) = learn(&stores, &source, success(), two).await;
    let (third, _) = learn(&stores, &source, success(), vec![both("third")]).await;
    assert_eq!(lessons(&stores, &[], &[]).await.lessons, []);
    let of_two = lessons(&stores, &[second], &[]).await.lessons;
    assert_eq!(of_two.len(), 2);
    assert!(of_two.iter().all(|lesson| lesson.shown_by == [second] && lesson.detail.is_none()));
    let unknown = EpisodeId(source.id());
    let asked = [unknown, third, second];
    let of_asked = lessons(&stores, &asked, &[]).await;
    let lesson_of_both = lesson(&of_asked, ids[0]);
    assert_tally(&lesson_of_both.pattern.tally, &worth(&[1.0; 3], source.now()));
    assert_eq!(BTreeSet::from_iter(&lesson_of_both.shown_by), BTreeSet::from([&second, &third]));
    assert_eq!(lesson_of_both.detail.as_deref(), Some("third"), "quoted from one that was asked for");
    for (asked, detail) in [([first, third], "first"), ([third, first], "third")] {
        let of_asked = lessons(&stores, &asked, &[]).await;
        assert_eq!(lesson(&of_asked, ids[0]).detail.as_deref(), Some(detail), "the first that was asked for");
    }
}

/// A sequence says nothing before three episodes have shown it.
pub async fn a_lesson_says_something(stores: Stores) {
    let source = TestSource::default();
    for expected in [0, 0, 1] {
        let (id, _) = learn(&stores, &source, success(), vec![sequence(&["a", "b"], 1.0)]).await;
        assert_eq!(lessons(&stores, &[id], &[]).await.lessons.len(), expected);
    }
}

/// All runs of those tasks count, whether their episodes were asked for or not, each in full.
pub async fn a_lesson_tells_the_runs_of_the_asked_for_tasks_apart(stores: Stores) {
    let source = TestSource::default();
    let (mine, other, high) = (5, 6, u64::MAX);
    let mut episodes = Vec::new();
    for (task, credit) in [(mine, 1.0), (mine, 0.0), (mine, 0.5), (other, 1.0), (high, 1.0)] {
        let findings = vec![sequence(&["a", "b"], credit)];
        let seen = Teaching { reliance: 0.5, ..teaching(&source, task, findings) };
        episodes.push(learn_all(&stores, &source, success(), seen).await);
    }
    let one = |credit| Tally::one(credit, 0.5, source.now());
    let id = PatternId::of(None, &sequence(&["a", "b"], 1.0).body);
    let of_mine = Tally { families: 1, ..one(1.0).plus(&one(0.0)).plus(&one(0.5)) };
    for (tasks, expected) in [
        (vec![], Tally::default()),
        (vec![7], Tally::default()),
        (vec![mine], of_mine),
        (vec![high, 7], one(1.0)),
        (vec![other, mine, high], of_mine.plus(&one(1.0)).plus(&one(1.0))),
    ] {
        let lessons = lessons(&stores, &[episodes[0], episodes[3]], &tasks).await;
        assert_eq!(lessons.lessons.len(), 1);
        assert_tally(&lesson(&lessons, id).own, &expected);
        assert_eq!(lesson(&lessons, id).pattern.tally.episodes, 5);
    }
}

/// All of a domain's episodes make up what is usual there, in each measure apart. It is nothing to be told for itself.
pub async fn what_is_usual_in_a_domain_is_known_and_no_pattern(stores: Stores) {
    let source = TestSource::default();
    let at = source.now();
    assert_eq!(stores.patterns.fields().await, Ok(Fields::default()));
    for (task, domain, outcome, recovered) in
        [(1, "a", 1.0, Some(0.5)), (1, "a", 0.0, None), (2, "a", 0.5, Some(1.0)), (3, "b", 1.0, None)]
    {
        let mut findings = vec![base(Measure::Outcome, outcome)];
        findings.extend(recovered.map(|credit| base(Measure::Recovery, credit)));
        let seen = Teaching { reliance: 0.8, ..teaching(&source, task, findings) };
        learn_all(&stores, &source, in_domain(domain, success()), seen).await;
    }
    let (nowhere, _) = learn(&stores, &source, success(), vec![base(Measure::Outcome, 0.0)]).await;
    let one = |credit, reliance| Tally::one(credit, reliance, at);
    let twice = Tally { families: 1, ..one(1.0, 0.8).plus(&one(0.0, 0.8)) }.clustered();
    let expected = [
        (None, Measure::Outcome, one(0.0, 1.0)),
        (Some("a"), Measure::Outcome, twice.plus(&one(0.5, 0.8))),
        (Some("a"), Measure::Recovery, one(0.5, 1.0).plus(&one(1.0, 1.0))),
        (Some("b"), Measure::Outcome, one(1.0, 0.8)),
    ];
    let told = stores.patterns.fields().await.expect("fields");
    assert_eq!(told.0.len(), expected.len(), "{told:?}");
    for (domain, measure, tally) in &expected {
        let is_it = |field: &&memory_core::pattern::Field| {
            field.domain.as_deref() == *domain && field.measure == *measure
        };
        let field = told.0.iter().find(is_it).expect("the field");
        assert_tally(&field.base, tally);
        assert!(is_near(field.strength, strength(field.base.share(), &[])), "{field:?}");
    }
    for asked in [vec![], vec![nowhere]] {
        let with_lessons = lessons(&stores, &asked, &[]).await;
        assert_eq!(with_lessons.lessons, [], "no lesson of its own");
        assert_eq!(with_lessons.fields.0.len(), expected.len(), "whatever is asked for");
    }
    assert_eq!(list(&stores, None, None).await, []);
    assert_eq!(list(&stores, None, Some("base")).await, []);
    let id = PatternId::of(None, &base(Measure::Outcome, 0.0).body);
    assert_eq!(item(&stores, Found::Pattern(id)).await, None);
    assert_eq!(stores.health.counts().await.expect("counts").patterns, 0);
}

/// How much is expected of a pattern before its own evidence depends on how much the domain's patterns are alike, each as it
/// stood when it was last seen, and of those alone that enough episodes show.
pub async fn patterns_that_differ_are_taken_for_what_they_show(stores: Stores) {
    let source = TestSource::default();
    for episode in 0..VERDICT_EPISODES_MIN + 1 {
        source.set(later(&source, 30 * 86_400));
        let mut findings = vec![base(Measure::Outcome, f64::from(episode % 2)), base(Measure::Recovery, 1.0)];
        for n in 0..10 {
            let credit = if n % 3 == 0 { 1.0 } else { f64::from((n + episode) % 2) };
            findings.push(sequence(&["a", &n.to_string()], credit));
        }
        // Too seldom seen, of another measure, and of another domain.
        findings.push(sequence(&["rare", &episode.to_string()], 0.0));
        findings.push(recovery("no route"));
        learn(&stores, &source, in_domain("a", success()), findings).await;
        learn(&stores, &source, in_domain("b", success()), vec![sequence(&["x", "y"], 0.0)]).await;
    }
    let known = list(&stores, Some("a"), Some("tool_sequence")).await;
    let known: Vec<&Pattern> =
        known.iter().filter(|pattern| pattern.tally.episodes >= VERDICT_EPISODES_MIN).collect();
    assert_eq!(known.len(), 10);
    let tallies: Vec<Tally> = known.iter().map(|pattern| pattern.tally.at(pattern.last_seen)).collect();
    let fields = stores.patterns.fields().await.expect("fields");
    assert_eq!(fields.0.len(), 2, "nothing is usual in the other domain");
    for field in &fields.0 {
        let alike: &[Tally] = if field.measure == Measure::Outcome { &tallies } else { &[] };
        let expected = strength(field.base.share(), alike);
        assert!(is_near(field.strength, expected), "{field:?}: {expected}");
    }
    let usual = fields.prior(Some("a"), Measure::Outcome);
    assert!(!is_near(usual.strength, strength(usual.mean, &[])), "the case tells something");
    // Nobody wants to be told of it, which makes it no less of what was seen.
    stores.feedback.delete_pattern(known[0].id, source.now()).await.expect("deleted");
    assert_eq!(stores.patterns.fields().await, Ok(fields));
}

/// Those that more episodes show come first, and pages of whatever size give each once.
pub async fn patterns_are_listed_in_pages(stores: Stores) {
    let source = TestSource::default();
    for episode in 0..4 {
        let mut findings: Vec<Finding> =
            (episode..8).map(|n| sequence(&["a", &n.to_string()], 1.0)).collect();
        findings.extend([recovery("no route"), base(Measure::Outcome, 1.0)]);
        let domain = ["a", "a", "a.b", "ab"][episode];
        learn(&stores, &source, in_domain(domain, success()), findings).await;
    }
    let whole = list(&stores, None, None).await;
    let place = |pattern: &Pattern| (std::cmp::Reverse(pattern.tally.episodes), pattern.id);
    assert!(whole.is_sorted_by(|a, b| place(a) < place(b)), "{whole:?}");
    assert_eq!(whole.len(), 9 + 7 + 6);
    assert_eq!(stores.health.counts().await.expect("counts").patterns, whole.len() as u64);
    let in_domains = |domains: &[&str], kind: Option<&str>| {
        let is_it = |pattern: &&Pattern| {
            domains.contains(&pattern.domain.as_deref().unwrap_or_default())
                && kind.is_none_or(|kind| kind == pattern.body.kind())
        };
        whole.iter().filter(is_it).cloned().collect::<Vec<Pattern>>()
    };
    assert_eq!(list(&stores, Some("a"), None).await, in_domains(&["a", "a.b"], None));
    assert_eq!(list(&stores, Some("a.b"), None).await, in_domains(&["a.b"], None));
    assert_eq!(list(&stores, Some("ab"), None).await, in_domains(&["ab"], None));
    let recoveries = Some("error_recovery");
    assert_eq!(list(&stores, Some("a"), recoveries).await, in_domains(&["a", "a.b"], recoveries));
    assert_eq!(list(&stores, Some("b"), None).await, []);
    for (domain, expected) in [(None, &whole), (Some("a"), &in_domains(&["a", "a.b"], None))] {
        for max in [1, 4, 7, 100] {
            let mut read: Vec<Pattern> = Vec::new();
            loop {
                let after = read.last().map(|last| (last.tally.episodes, last.id));
                let listing = Listing { domain: domain.map(str::to_owned), kind: None, after, max };
                let page = stores.patterns.list(listing).await.expect("a page");
                assert!(page.len() <= max && read.len() + page.len() <= expected.len());
                if page.is_empty() {
                    break;
                }
                read.extend(page);
            }
            assert_eq!(&read, expected, "{max} at a time");
        }
    }
}

/// What is told of a pattern's evidence is what each episode adds for itself.
pub async fn evidence_is_told_the_newest_first(stores: Stores) {
    let source = TestSource::default();
    let mut episodes = Vec::new();
    for (n, days) in [2, 5, 1, 5].into_iter().enumerate() {
        let at = later(&source, days * 86_400);
        let finding = quoting(sequence(&["a", "b"], f64::from(n as u8) / 4.0), &format!("run {n}"));
        let seen = Teaching { at, reliance: 0.8, ..teaching(&source, 1, vec![finding]) };
        let outcome = Outcome::ALL[n];
        let new = named(&format!("run {n}"), finished("x", outcome, vec![]));
        episodes.push((at, learn_all(&stores, &source, new, seen).await, n, outcome));
    }
    episodes.sort_by_key(|(at, id, ..)| std::cmp::Reverse((*at, *id)));
    let id = PatternId::of(None, &sequence(&["a", "b"], 1.0).body);
    for max in [0, 1, 3, 10] {
        let told = stores.patterns.evidence(id, max).await.expect("evidence");
        assert_eq!(told.len(), max.min(4));
        for (told, (at, id, n, outcome)) in told.iter().zip(&episodes) {
            assert_eq!((told.episode, told.outcome), (*id, Some(*outcome)));
            let name = Some(format!("run {n}"));
            assert_eq!((&told.external_id, &told.detail), (&name, &name));
            assert_tally(&told.observed, &Tally::one(*n as f64 / 4.0, 0.8, *at));
        }
    }
    assert_eq!(stores.patterns.evidence(PatternId(source.id()), 10).await, Ok(vec![]));
}

/// Everything that was derived is gone until it is derived again, from every completed episode: also from one that waits, from
/// one that was given up, and from one that is being studied, maybe by another version of the program.
pub async fn what_is_learned_anew_is_forgotten_first(stores: Stores) {
    let source = TestSource::default();
    let findings = || vec![recovery("no route"), base(Measure::Outcome, 1.0)];
    let (learned, _) = learn(&stores, &source, in_domain("a", success()), findings()).await;
    let known = PatternId::of(Some("a"), &recovery("no route").body);
    let hopeless = add(&stores, &source, success()).await;
    let job = claim_one(&stores, &source).await;
    stores.jobs.fail(job, "hopeless".into(), Retry::Never).await.expect("noted");
    let held = add(&stores, &source, success()).await;
    claim_one(&stores, &source).await;
    let no_outcome = NewEpisode { ending: Some(NewEnding::default()), ..open("imported") };
    let waiting = add(&stores, &source, no_outcome).await;
    add(&stores, &source, open("still open")).await;
    let before = stores.changes.change_seq().await.expect("a read");

    assert_eq!(stores.patterns.relearn().await, Ok(4));
    assert!(stores.changes.change_seq().await.expect("a read") > before, "it is a change");
    assert_eq!(pattern(&stores, known).await, None);
    assert_eq!(list(&stores, None, None).await, []);
    assert_eq!(found(&stores, "route").await, []);
    assert_eq!(lessons(&stores, &[learned], &[]).await, Lessons::default());
    assert_eq!(stores.patterns.evidence(known, 10).await, Ok(vec![]));
    assert_eq!(stores.health.counts().await.expect("counts").patterns, 0);
    assert_eq!(stores.episodes.get(learned).await.expect("a read").expect("there").steps.len(), 2);

    let jobs = claim(&stores, &source).await;
    let mut queued: Vec<EpisodeId> = jobs.iter().map(|job| job.episode_id).collect();
    queued.sort();
    assert_eq!(queued, [learned, hopeless, held, waiting], "each once");
    for job in jobs {
        record(&stores, &source, job, findings()).await;
    }
    assert_tally(&tally(&stores, known).await, &worth(&[1.0], source.now()));
    assert_eq!(list(&stores, None, None).await.len(), 2);
}

/// What was learned with some plugins is never mixed with what was learned with others.
pub async fn with_other_plugins_everything_is_learned_anew(stores: Stores) {
    let source = TestSource::default();
    let finding = || vec![Finding { body: custom("mine", "a way"), credit: 1.0, detail: None }];
    let (episode, ids) = learn(&stores, &source, success(), Vec::new()).await;
    assert_eq!(ids, []);
    assert_eq!(stores.patterns.learn_with(String::new()).await, Ok(0), "it is so from the beginning");
    let studied = |job, plugins: &str| {
        let teaching = Teaching { plugins: plugins.to_owned(), ..teaching(&source, 1, finding()) };
        taught(&stores, job, teaching)
    };
    let early = studied(another_job(&source, episode), "mine").await;
    assert_eq!(stores.patterns.record(vec![early]).await, Err(StoreError::Conflict));
    assert_eq!(stores.patterns.learn_with("mine".into()).await, Ok(1));
    assert_eq!(stores.patterns.learn_with("mine".into()).await, Ok(0), "only once");
    let job = claim_one(&stores, &source).await;
    let (late, right) = (studied(job, "").await, studied(job, "mine").await);
    let refused = stores.patterns.record(vec![right.clone(), late]).await;
    assert_eq!(refused, Err(StoreError::Conflict));
    assert_eq!(list(&stores, None, None).await, [], "neither was recorded");
    assert_eq!(stores.jobs.counts().await.expect("counts").running, 1);
    let id = PatternId::of(None, &custom("mine", "a way"));
    assert_eq!(stores.patterns.record(vec![right]).await, Ok(vec![vec![id]]));
    assert_eq!(list(&stores, None, Some("custom")).await.len(), 1);

    // An episode that is gone was studied with nothing.
    let gone = Studied { job: another_job(&source, EpisodeId(source.id())), teaching: None };
    assert_eq!(stores.patterns.record(vec![gone]).await, Ok(vec![vec![]]));
    assert_eq!(stores.patterns.learn_with(String::new()).await, Ok(1));
    assert_eq!(pattern(&stores, id).await, None, "taken back");
}

/// The patterns of plugins are rated as others of their domain are, and the others as if there were no plugins.
pub async fn what_plugins_see_moves_no_other_rate(stores: Stores) {
    let source = TestSource::default();
    for (task, credit) in [1.0, 0.0, 1.0, 0.0, 1.0].into_iter().enumerate() {
        let own =
            [sequence(&["a", "b"], credit), sequence(&["b", "c"], credit), base(Measure::Outcome, credit)];
        let seen = (0..30).map(|number| custom("mine", &number.to_string()));
        let seen = seen.map(|body| Finding { body, credit, detail: None });
        for (domain, findings) in [("a", own.to_vec()), ("b", own.iter().cloned().chain(seen).collect())] {
            add(&stores, &source, in_domain(domain, success())).await;
            let job = claim_one(&stores, &source).await;
            study(&stores, job, teaching(&source, task as u64, findings)).await;
        }
    }
    let fields = stores.patterns.fields().await.expect("a read");
    assert_eq!(fields.prior(Some("b"), Measure::Outcome), fields.prior(Some("a"), Measure::Outcome));
    assert_eq!(list(&stores, Some("b"), Some("custom")).await.len(), 30);
}

/// A generator of its own, so that every store sees the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn teaching(&mut self, source: &TestSource) -> Teaching {
        let mut findings = vec![base(Measure::Outcome, self.credit())];
        for n in 0..6 {
            if self.below(2) == 0 {
                findings.push(sequence(&["a", &n.to_string()], self.credit()));
            }
        }
        if self.below(2) == 0 {
            findings.push(Finding { credit: self.credit(), ..recovery("no route") });
        }
        let at = later(source, self.below(1_000) as i64 * 86_400);
        let reliance = [0.4, 0.8, 1.0][self.below(3) as usize];
        Teaching { at, reliance, ..teaching(source, self.below(3), findings) }
    }

    fn steps(&mut self) -> Vec<NewStep> {
        let count = 1 + self.below(4);
        let calls = (0..count).map(|_| {
            let tool = format!("t{}", self.below(2));
            let step = if self.below(3) == 0 { failed(&tool, "no") } else { ok(&tool) };
            called(["one", "two", "three"][self.below(3) as usize], step)
        });
        calls.collect()
    }

    fn credit(&mut self) -> f64 {
        [0.0, 1.0 / 3.0, 0.5, 1.0][self.below(4) as usize]
    }
}

/// In one domain episodes are recorded out of order, some twice, some with something else first, and some are deleted; in the
/// other those that are left are recorded once. Both know the same.
pub async fn neither_order_nor_repetition_changes_what_is_learned(stores: Stores) {
    let source = TestSource::default();
    for round in 0..4 {
        let mut dice = Dice(round);
        let (wild, tame) = (format!("wild{round}"), format!("tame{round}"));
        let taught: Vec<Teaching> = (0..8).map(|_| dice.teaching(&source)).collect();
        let done: Vec<NewEpisode> =
            (0..8).map(|_| finished("a task", Outcome::Success, dice.steps())).collect();
        let mut ids = Vec::new();
        for new in &done {
            ids.push(add(&stores, &source, in_domain(&wild, new.clone())).await);
        }
        claim(&stores, &source).await;
        let mut order: Vec<usize> = (0..8).chain((0..4).map(|_| dice.below(8) as usize)).collect();
        for place in 0..order.len() {
            order.swap(place, dice.below(12) as usize);
        }
        for place in order {
            if dice.below(3) == 0 {
                let other = dice.teaching(&source);
                study(&stores, another_job(&source, ids[place]), other).await;
            }
            study(&stores, another_job(&source, ids[place]), taught[place].clone()).await;
        }
        for place in 0..8 {
            if place % 4 == 1 {
                stores.episodes.delete(ids[place]).await.expect("deleted");
            } else {
                let id = add(&stores, &source, in_domain(&tame, done[place].clone())).await;
                study(&stores, another_job(&source, id), taught[place].clone()).await;
            }
        }
        assert_alike(&stores, &wild, &tame).await;
    }
}

async fn assert_alike(stores: &Stores, one: &str, other: &str) {
    let patterns = async |domain: &str| {
        let mut patterns = list(stores, Some(domain), None).await;
        patterns.sort_by_key(|pattern| pattern.body.signature());
        patterns
    };
    let (first, second) = (patterns(one).await, patterns(other).await);
    assert_eq!(first.len(), second.len());
    for (first, second) in first.iter().zip(&second) {
        assert_eq!((&first.body, first.last_seen), (&second.body, second.last_seen));
        assert_tally(&first.tally, &second.tally);
    }
    let fields = stores.patterns.fields().await.expect("fields");
    let of = |domain: &str| {
        let fields = fields.0.iter().filter(|field| field.domain.as_deref() == Some(domain));
        fields.map(|field| (field.base, field.strength)).collect::<Vec<_>>()
    };
    assert_eq!((of(one).len(), of(other).len()), (1, 1));
    assert_tally(&of(one)[0].0, &of(other)[0].0);
    assert!(is_near(of(one)[0].1, of(other)[0].1), "{:?} {:?}", of(one), of(other));
    let made = numbered(vec![failed("t0", "no"), ok("t1")]);
    let mut states = Course(&made).states();
    states.extend(Course(&made[..1]).states());
    states.extend(Course(&made[..1]).troubles(None));
    let choices = async |domain: &str| {
        stores.experience.choices(Some(domain.into()), states.clone()).await.expect("choices")
    };
    assert_eq!(choices(one).await, choices(other).await);
    let calls =
        ["t0", "t1"].into_iter().flat_map(|tool| ["one", "two", "three"].map(|args| called(args, ok(tool))));
    let keys: Vec<u64> =
        calls.filter_map(|call| attempt_keys(&call)).flat_map(|(exact, shape)| [exact, shape]).collect();
    let attempts = async |domain: &str| {
        let scope = Scope { domain: Some(domain.into()), project: None };
        let told = stores.experience.attempts(keys.clone(), scope, 1_000).await.expect("attempts");
        let mut told: Vec<_> = told
            .into_iter()
            .map(|told| (told.at, told.family, told.attempt.key, told.attempt.failed, told.attempt.succeeded))
            .collect();
        told.sort();
        told
    };
    let (first, second) = (attempts(one).await, attempts(other).await);
    assert!(!first.is_empty());
    assert_eq!(first, second);
}
