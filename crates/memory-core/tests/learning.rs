//! The whole loop: episodes end, are studied, and teach what to do, what to leave, and what to expect.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use jiff::SignedDuration;
use memory_core::episode::{Basis, NewStep, Outcome, Scope};
use memory_core::error::Error;
use memory_core::extract::Registry;
use memory_core::feedback::Usefulness;
use memory_core::id::{EpisodeId, PatternId};
use memory_core::memory::{
    Action, Asked, EpisodeCorrection, Memory, NewEnding, NewEpisode, Question, Recommendation, Updated,
    Warning,
};
use memory_core::pattern::{Correction, Mistake, Pattern, PatternBody, Verdict};
use memory_core::port::{Listing, Ports, Source, Studied};
use memory_core::retrieve::{Advice, AdviceItem, Answer, Found};
use testkit::episode::{failed, finished, in_domain, note, ok, open};
use testkit::{InMemoryStore, KeepingCache, Stores, TestSource};

const DOMAIN: &str = "coding";
/// What the tasks of a test are about; no two are the same task.
const PARTS: [&str; 12] = [
    "login", "logout", "search", "basket", "payment", "profile", "invoice", "shipping", "voucher", "refund",
    "wishlist", "review",
];

/// A memory, and who studies what was done.
struct School {
    stores: Stores,
    source: Arc<TestSource>,
    memory: Memory,
}

impl School {
    fn new() -> Self {
        let (stores, source) = (InMemoryStore::stores(), Arc::new(TestSource::default()));
        let answers = Arc::new(KeepingCache::default());
        let ports = Ports { answers, ..stores.ports(source.clone()) };
        Self { memory: Memory::new(ports, Vec::new()), stores, source }
    }

    /// One with episodes of other tasks, so that words have a rarity: some of another domain, some that never ended.
    async fn furnished() -> Self {
        let school = Self::new();
        for task in
            ["bake bread", "paint the fence", "tune a piano", "file taxes", "mow the lawn", "tie knots"]
        {
            school.done(in_domain("home", finished(task, Outcome::Success, vec![ok("hands")]))).await;
            for part in ["compiler", "kernel", "driver"] {
                school.done(in_domain(DOMAIN, open(&format!("{task} with a {part}")))).await;
            }
        }
        school
    }

    async fn done(&self, new: NewEpisode) -> EpisodeId {
        self.memory.create(new).await.unwrap().id
    }

    /// Studies what was done so far, as the worker does.
    async fn study(&self) {
        let now = self.source.now();
        loop {
            let jobs = self.stores.jobs.claim(10, now, now + SignedDuration::from_mins(1)).await.unwrap();
            if jobs.is_empty() {
                return;
            }
            let mut studied = Vec::new();
            for job in jobs {
                let episode = self.stores.episodes.get(job.episode_id).await.unwrap();
                let teaching = episode.map(|episode| Registry::default().study(&episode, now));
                studied.push(Studied { job, teaching });
            }
            self.stores.patterns.record(studied).await.unwrap();
        }
    }

    async fn recall(&self, query: &str) -> Answer {
        let question = Question { query: query.into(), limit: 10, ..Question::default() };
        self.memory.recall(question).await.unwrap()
    }

    async fn recommend(&self, asked: Asked) -> Recommendation {
        self.memory.recommend(asked).await.unwrap()
    }

    async fn check(&self, action: &str) -> Vec<Warning> {
        let tool = Some("bash".to_owned());
        let scope = Scope { domain: Some(DOMAIN.into()), project: None };
        self.memory.check_action(Action { action: action.into(), tool, scope }).await.unwrap()
    }

    async fn patterns(&self) -> Vec<Pattern> {
        self.stores.patterns.list(Listing { max: 10_000, ..Listing::default() }).await.unwrap()
    }
}

fn asked(task: &str) -> Asked {
    let scope = Scope { domain: Some(DOMAIN.into()), project: None };
    Asked { task: task.into(), scope, ..Asked::default() }
}

fn flaky(part: &str) -> String {
    format!("fix the flaky {part} test of the shop")
}

/// An episode whose outcome the user confirmed.
fn judged(task: &str, outcome: Outcome, steps: Vec<NewStep>) -> NewEpisode {
    let ending = NewEnding { outcome: Some(outcome), basis: Some(Basis::User), ..NewEnding::default() };
    in_domain(DOMAIN, NewEpisode { steps, ending: Some(ending), ..open(task) })
}

fn with_args(step: NewStep, args: &str) -> NewStep {
    NewStep { args: Some(args.into()), ..step }
}

fn sequence(tools: &[&str]) -> PatternId {
    let tools = tools.iter().map(ToString::to_string).collect();
    PatternId::of(Some(DOMAIN), &PatternBody::ToolSequence { tools })
}

fn place(items: &[AdviceItem], id: PatternId) -> Option<usize> {
    items.iter().position(|item| item.pattern == Some(id))
}

/// Whoever measured first succeeded, whoever guessed failed.
async fn lessons() -> School {
    let school = School::furnished().await;
    for (n, part) in PARTS.into_iter().enumerate() {
        let (outcome, first) =
            if n % 2 == 0 { (Outcome::Success, "measure") } else { (Outcome::Failure, "guess") };
        let mut new = judged(&flaky(part), outcome, vec![ok("look"), ok(first), ok("patch")]);
        new.brief.task_type = (n % 2 == 0).then(|| "planned".into());
        school.done(new).await;
    }
    school.study().await;
    school
}

fn planned() -> PatternId {
    PatternId::of(Some(DOMAIN), &PatternBody::Context { name: "task_type".into(), value: "planned".into() })
}

const MEASURED: [&str; 3] = ["look", "measure", "patch"];
const GUESSED: [&str; 3] = ["look", "guess", "patch"];

#[tokio::test]
async fn what_goes_with_success_is_advised_and_what_goes_with_failure_is_warned_of() {
    let school = lessons().await;
    let Advice { steps, pitfalls, recoveries, success } = school.recall(&flaky("newsletter")).await.advice;
    assert_eq!(steps[0].text, "in a similar success: look → measure → patch");
    let advised = &steps[place(&steps, sequence(&MEASURED)).unwrap()];
    let rate = advised.rate.unwrap();
    assert!(rate.low > 0.5 && rate.low < rate.mean && rate.mean < rate.high, "{rate:?}");
    assert_eq!((rate.episodes, advised.evidence.len()), (6, 3));
    let warned = pitfalls[place(&pitfalls, sequence(&GUESSED)).unwrap()].rate.unwrap();
    assert!(warned.high < 0.5, "{warned:?}");
    assert_eq!((place(&steps, sequence(&GUESSED)), place(&pitfalls, sequence(&MEASURED))), (None, None));
    assert_eq!(recoveries, []);
    assert!(success.unwrap().gated, "the task itself was never run");
    let usual = school.recommend(asked(&flaky("newsletter"))).await.advice.success.unwrap().rate;
    assert!((usual.mean - 0.5).abs() < 0.01 && usual.episodes == 12, "{usual:?}");
}

#[tokio::test]
async fn earlier_runs_of_the_task_move_the_forecast() {
    let school = lessons().await;
    let forecast = async |part: &str| school.recommend(asked(&flaky(part))).await.advice.success.unwrap();
    let (good, bad, unknown) =
        (forecast("login").await, forecast("logout").await, forecast("newsletter").await);
    assert!((good.gated, bad.gated, unknown.gated) == (false, false, true));
    assert!(good.rate.mean > unknown.rate.mean && unknown.rate.mean > bad.rate.mean, "{good:?} {bad:?}");
    assert_eq!(good.rate.episodes, 1);
}

#[tokio::test]
async fn the_next_tool_is_the_one_that_followed_such_steps() {
    let school = lessons().await;
    let first = async |asked| school.recommend(asked).await.next[0].tool.clone();
    let task = flaky("newsletter");
    assert_eq!(first(asked(&task)).await, "look", "at the start");
    let id = school.done(in_domain(DOMAIN, open(&task))).await;
    let of_it = || Asked { episode: Some(id), ..asked(&task) };
    school.memory.add_step(id, ok("look")).await.unwrap();
    let next = school.recommend(of_it()).await;
    let mut choice: Vec<&str> = next.next[..2].iter().map(|likely| likely.tool.as_str()).collect();
    choice.sort_unstable();
    assert_eq!(choice, ["guess", "measure"]);
    let sum: f64 = next.next.iter().map(|likely| likely.probability).sum();
    assert!((sum - 1.0).abs() < 1e-6, "{next:?}");
    assert!(next.known && !next.evidence.contains(&id), "an episode is no evidence for itself");
    school.memory.add_step(id, ok("measure")).await.unwrap();
    assert_eq!(first(of_it()).await, "patch");
    let unknown = Asked { episode: Some(EpisodeId(school.source.id())), ..asked(&task) };
    assert!(matches!(school.memory.recommend(unknown).await, Err(Error::NotFound { what: "episode", .. })));
}

/// Missing modules were installed, wrong assertions were edited away.
async fn troubled() -> School {
    let school = School::furnished().await;
    for part in PARTS {
        let is_missing = part.len() % 2 == 0;
        let error = if is_missing { "ModuleNotFoundError: x" } else { "AssertionError: 1 is not 2" };
        let way_out = if is_missing {
            with_args(ok("install"), &format!("install {part}"))
        } else {
            with_args(ok("edit"), &format!("edit {part}.py"))
        };
        let steps = vec![ok("look"), failed("pytest", error), way_out, with_args(ok("pytest"), "-q tests")];
        school.done(judged(&flaky(part), Outcome::Success, steps)).await;
    }
    school.study().await;
    school
}

#[tokio::test]
async fn the_way_out_of_a_failure_is_what_helped_after_such_a_failure() {
    let school = troubled().await;
    let task = flaky("login");
    let id = school.done(in_domain(DOMAIN, open(&task))).await;
    let of_it = || Asked { episode: Some(id), ..asked(&task) };
    school.memory.add_step(id, ok("look")).await.unwrap();
    assert_eq!(school.recommend(of_it()).await.ways_out, [], "nothing has failed");
    school.memory.add_step(id, failed("pytest", "AssertionError: 3 is not 4")).await.unwrap();
    let recommended = school.recommend(of_it()).await;
    assert_eq!(recommended.ways_out[0].likely.tool, "edit");
    let next: Vec<&str> = recommended.next[..2].iter().map(|likely| likely.tool.as_str()).collect();
    assert!(next.contains(&"edit") && next.contains(&"install"), "{next:?}");
    let told = Asked { error: Some("ModuleNotFoundError: y".into()), ..of_it() };
    let told = &school.recommend(told).await.ways_out[0];
    assert_eq!(told.likely.tool, "install");
    let (action, evidence) = (told.action.clone().unwrap(), told.evidence.unwrap());
    let quoted = school.memory.episode(evidence).await.unwrap();
    assert_eq!(quoted.steps[2].call.args, Some(action));
    let alone = Asked { error: Some("ModuleNotFoundError: y".into()), ..asked(&task) };
    let elsewhere = Asked { task: "translate the poem".into(), ..alone.clone() };
    for alone in [alone, elsewhere] {
        let told = school.recommend(alone).await;
        assert_eq!(told.ways_out[0].likely.tool, "install", "an error is enough, whatever the task");
        assert_eq!(
            told.advice.recoveries[0].text,
            "after pytest failed with \"ModuleNotFoundError: x\": install → pytest"
        );
    }
    let texts: Vec<String> = recommended.advice.recoveries.into_iter().map(|item| item.text).collect();
    let expected = "after pytest failed with \"AssertionError: # is not #\": edit → pytest".to_owned();
    assert!(texts.contains(&expected), "{texts:?}");
}

#[tokio::test]
async fn of_an_unknown_task_the_usual_is_told_and_of_nothing_nothing() {
    let empty = School::new();
    assert_eq!(empty.recommend(asked("anything")).await, Recommendation::default());
    let school = lessons().await;
    let unknown = school.recommend(asked("translate the poem")).await;
    assert!(unknown.evidence.is_empty() && unknown.advice.steps.is_empty(), "{unknown:?}");
    let success = unknown.advice.success.unwrap();
    assert!(success.gated && success.rate.low < 0.5 && success.rate.high > 0.5, "{success:?}");
    assert!(!unknown.known && !unknown.next.is_empty(), "what is usual at the start is told as that");
    let scope = Scope { domain: Some("poetry".into()), project: None };
    let elsewhere = school.recommend(Asked { scope, ..asked("translate the poem") }).await;
    assert!(!elsewhere.known && elsewhere.next.is_empty());
    assert!(elsewhere.advice.success.unwrap().gated, "what is usual anywhere");
}

#[tokio::test]
async fn a_call_that_always_failed_is_warned_of_until_it_works() {
    let school = School::furnished().await;
    let push = |step: NewStep| with_args(step, "./push.sh --target staging");
    assert_eq!(school.check("./push.sh --target staging").await, []);
    let mut ids = Vec::new();
    for part in &PARTS[..3] {
        let refused = push(failed("bash", "Error: no token"));
        let steps = vec![refused, with_args(ok("bash"), "vault login"), ok("look")];
        ids.push(school.done(judged(&flaky(part), Outcome::Failure, steps)).await);
        school.source.advance(SignedDuration::from_hours(1));
    }
    school.study().await;
    let warnings = school.check("./push.sh  --target staging").await;
    assert_eq!(warnings.len(), 1);
    let Warning { exact, failed: times, made, confidence, past, recovery } = &warnings[0];
    assert!(*exact && (*times, *made) == (3, 3) && *confidence > 0.85, "{warnings:?}");
    let newest_first: Vec<EpisodeId> = past.iter().map(|past| past.episode).collect();
    assert_eq!(newest_first, [ids[2], ids[1], ids[0]]);
    assert_eq!((past[0].step, &*past[0].error), (1, "Error: no token"));
    assert_eq!(recovery, &["bash: vault login"]);
    assert_eq!(school.check("./pull.sh").await, []);
    let elsewhere = Scope { domain: Some("home".into()), project: None };
    let action = Action { action: "./push.sh --target staging".into(), tool: None, scope: elsewhere };
    assert_eq!(school.memory.check_action(action).await.unwrap(), [], "in another domain it was never made");
    school.done(judged(&flaky("newsletter"), Outcome::Success, vec![push(ok("bash"))])).await;
    school.study().await;
    assert_eq!(school.check("./push.sh --target staging").await, []);
}

#[tokio::test]
async fn calls_that_differ_in_their_particulars_are_warned_of_if_they_failed_in_many_tasks() {
    let school = School::furnished().await;
    let call = |part: &str| format!("pytest tests/test_{part}.py");
    for (n, part) in PARTS.iter().enumerate() {
        let steps = vec![with_args(failed("bash", "ImportError: x"), &call(part))];
        school.done(judged(&flaky(part), Outcome::Failure, steps)).await;
        school.study().await;
        let warnings = school.check(&call("newsletter")).await;
        assert!(warnings.iter().all(|warning| !warning.exact), "this very call was never made");
        match n + 1 {
            ..=2 => assert_eq!(warnings, []),
            12 => assert_eq!(warnings.len(), 1),
            _ => {}
        }
    }
    for part in ["footer", "header", "sidebar", "banner"] {
        let steps = vec![with_args(ok("bash"), &call(part))];
        school.done(judged(&flaky(part), Outcome::Success, steps)).await;
    }
    school.study().await;
    assert_eq!(school.check(&call("newsletter")).await, []);
}

#[tokio::test]
async fn feedback_changes_the_order_of_advice_and_of_hits() {
    let school = lessons().await;
    let query = flaky("newsletter");
    let order = async || {
        let steps = school.recall(&query).await.advice.steps;
        (place(&steps, sequence(&MEASURED)), place(&steps, planned()))
    };
    let (Some(measured), Some(plan)) = order().await else { panic!("both are advice") };
    assert!(measured < plan);
    let give = async |id, usefulness| {
        school.memory.give_feedback(&[id], usefulness, Some("as I saw it".into())).await.unwrap()
    };
    assert_eq!(give(planned().0, Usefulness::Helped).await, [Found::Pattern(planned())]);
    let (Some(measured), Some(plan)) = order().await else { panic!("both are advice") };
    assert!(plan < measured, "what helped goes up");
    for _ in 0..3 {
        give(planned().0, Usefulness::Wrong).await;
    }
    assert!(matches!(order().await, (Some(_), None)), "what is wrong is advice no more");

    let hits = async || -> Vec<Found> {
        school.recall(&query).await.hits.into_iter().map(|hit| hit.item.found()).collect()
    };
    let before = hits().await;
    let Found::Episode(best) = before[0] else { panic!("{before:?}") };
    give(best.0, Usefulness::NoHelp).await;
    let after = hits().await;
    assert_ne!(after[0], Found::Episode(best));
    let Some(Found::Episode(last)) = after.last().copied() else { panic!("{after:?}") };
    give(last.0, Usefulness::Helped).await;
    assert_eq!(hits().await[0], Found::Episode(last));
}

#[tokio::test]
async fn feedback_on_what_is_not_there_is_refused_whole() {
    let school = lessons().await;
    let unknown = school.source.id();
    let given = school.memory.give_feedback(&[planned().0, unknown], Usefulness::Wrong, None).await;
    assert!(matches!(given, Err(Error::NotFound { id, .. }) if id == unknown.to_string()));
    let untouched = school.memory.explain_pattern(planned()).await.unwrap().feedback;
    assert_eq!(untouched.episodes, 0);
    let given = school.memory.give_feedback(&[], Usefulness::Wrong, None).await;
    assert!(matches!(given, Err(Error::Invalid(_))));
    let (id, _) = school.memory.remember(note("a note")).await.unwrap();
    let given = school.memory.give_feedback(&[id.0, planned().0, id.0], Usefulness::Helped, None).await;
    assert_eq!(given.unwrap(), [Found::Pattern(planned()), Found::Note(id)], "each once");
}

#[tokio::test]
async fn a_correction_overrules_the_rate_and_a_deleted_pattern_is_never_told() {
    let school = lessons().await;
    let advice = async || school.recall(&flaky("newsletter")).await.advice;
    let id = sequence(&MEASURED);
    let secret = ["AKIA", "IOSFODNN", "7EXAMPLE"].concat();
    let said = Correction { verdict: Some(Verdict::Pitfall), note: Some(format!("wears out {secret}")) };
    school.memory.correct_pattern(id, Some(said)).await.unwrap();
    let corrected = advice().await;
    assert_eq!(place(&corrected.steps, id), None);
    let told = &corrected.pitfalls[place(&corrected.pitfalls, id).unwrap()];
    let said = told.note.as_ref().unwrap();
    assert!(said.starts_with("wears out") && !said.contains(&secret), "{said}");
    assert_eq!(school.memory.explain_pattern(id).await.unwrap().review.verdict, Verdict::Pitfall);
    school.memory.correct_pattern(id, None).await.unwrap();
    assert!(place(&advice().await.steps, id).is_some());

    school.memory.delete_pattern(id).await.unwrap();
    for part in ["newsletter", "footer"] {
        assert_eq!(place(&advice().await.steps, id), None);
        let steps = MEASURED.map(ok).to_vec();
        school.done(judged(&flaky(part), Outcome::Success, steps)).await;
        school.study().await;
    }
    assert!(matches!(school.memory.explain_pattern(id).await, Err(Error::NotFound { what: "pattern", .. })));
    assert!(matches!(school.memory.delete_pattern(id).await, Err(Error::NotFound { .. })));
    assert!(matches!(school.memory.correct_pattern(id, None).await, Err(Error::NotFound { .. })));
}

#[tokio::test]
async fn patterns_are_reviewed_by_verdict_and_page() {
    let school = lessons().await;
    let page = async |after, max, verdict| {
        let listing = Listing { domain: Some(DOMAIN.into()), after, max, ..Listing::default() };
        school.memory.patterns(listing, verdict).await.unwrap()
    };
    let whole = page(None, 200, None).await;
    assert_eq!(whole.next, None);
    let mut read = Vec::new();
    let mut after = None;
    loop {
        let page = page(after, 3, Some(Verdict::Advice)).await;
        read.extend(page.patterns);
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    let advice: Vec<_> =
        whole.patterns.iter().filter(|review| review.verdict == Verdict::Advice).cloned().collect();
    assert_eq!(read, advice);
    assert!(advice.iter().any(|review| review.pattern.id == sequence(&MEASURED)));
    assert!(whole.patterns.iter().any(|review| review.verdict == Verdict::Pitfall));
    let explained = school.memory.explain_pattern(sequence(&MEASURED)).await.unwrap();
    assert_eq!(explained.evidence.len(), 6);
    let sum: f64 = explained.evidence.iter().map(|one| one.observed.weight).sum();
    assert!((sum - explained.worth.weight).abs() < 1e-9, "six tasks, one run each");
    for (max, kind) in [(0, None), (201, None), (1, Some("base".to_owned()))] {
        let listing = Listing { max, kind, ..Listing::default() };
        assert!(matches!(school.memory.patterns(listing, None).await, Err(Error::Invalid(_))));
    }
}

#[tokio::test]
async fn a_deleted_episode_takes_back_what_it_taught() {
    let school = lessons().await;
    let before = school.patterns().await;
    let forecast = school.recommend(asked(&flaky("newsletter"))).await;
    let steps = vec![failed("deploy", "Error: no disk"), ok("clean"), ok("deploy")];
    let id = school.done(judged(&flaky("newsletter"), Outcome::Success, steps)).await;
    school.study().await;
    assert!(school.patterns().await.len() > before.len());
    assert!(school.recall(&flaky("newsletter")).await.advice.recoveries.len() == 1);
    school.memory.delete_episode(id).await.unwrap();
    assert_eq!(school.patterns().await, before);
    assert_eq!(school.recommend(asked(&flaky("newsletter"))).await, forecast);
    let gone = school.memory.delete_episode(id).await;
    assert!(matches!(gone, Err(Error::NotFound { what: "episode", .. })));
}

/// Its words, its field, its kind and its outcome were mistaken, in any of them or in all.
#[tokio::test]
async fn what_was_put_right_teaches_as_if_it_had_been_recorded_so_from_the_start() {
    let steps = || vec![ok("look"), failed("measure", "Error: no tape"), ok("measure"), ok("patch")];
    let right = |kind: &str| {
        let mut new = in_domain(DOMAIN, finished(&flaky("newsletter"), Outcome::Success, steps()));
        new.brief.task_type = Some(kind.into());
        new.brief.tags = vec!["mail".into()];
        new
    };
    type Blunder = fn(&mut NewEpisode);
    let wrong: [(Blunder, EpisodeCorrection); 4] = [
        (
            |new| new.ending.as_mut().unwrap().outcome = Some(Outcome::Failure),
            EpisodeCorrection { outcome: Some(Outcome::Success), ..EpisodeCorrection::default() },
        ),
        (
            |new| new.brief.task = "bake a newsletter".into(),
            EpisodeCorrection { task: Some(flaky("newsletter")), ..EpisodeCorrection::default() },
        ),
        (
            |new| new.brief.scope.domain = Some("home".into()),
            EpisodeCorrection { domain: Some(DOMAIN.into()), ..EpisodeCorrection::default() },
        ),
        (
            |new| {
                (new.brief.task_type, new.brief.tags) = (None, vec!["bread".into(), "rye".into()]);
                new.brief.scope.project = Some("bakery".into());
            },
            EpisodeCorrection {
                task_type: Some("planned".into()),
                tags: Some(vec!["mail".into()]),
                project: Some(String::new()),
                ..EpisodeCorrection::default()
            },
        ),
    ];
    let expected = lessons().await;
    expected.done(right("planned")).await;
    expected.study().await;
    let question = asked(&flaky("newsletter"));
    let told =
        async |school: &School| (school.patterns().await, school.stores.patterns.fields().await.unwrap());
    for (make_wrong, correction) in wrong {
        for studies in 0..2 {
            let school = lessons().await;
            let mut new = right("planned");
            make_wrong(&mut new);
            let id = school.done(new).await;
            for _ in 0..studies {
                school.study().await;
            }
            let updated = school.memory.update(id, correction.clone()).await.unwrap();
            assert!(!updated.changed.is_empty() && updated.job.is_some(), "{updated:?}");
            school.study().await;
            assert_eq!(told(&school).await, told(&expected).await, "{correction:?} after {studies} studies");
            let (one, other) =
                (school.recommend(question.clone()).await, expected.recommend(question.clone()).await);
            assert_eq!((&one.next, one.advice.success), (&other.next, other.advice.success));
            let texts = |advice: &Advice| -> Vec<String> {
                [&advice.steps, &advice.pitfalls, &advice.recoveries]
                    .into_iter()
                    .flatten()
                    .map(|item| item.text.clone())
                    .collect()
            };
            assert_eq!(texts(&one.advice), texts(&other.advice));
            let again = school.memory.update(id, correction.clone()).await.unwrap();
            assert_eq!(again, Updated { changed: vec![], job: None }, "it is so already");
        }
    }
}

#[tokio::test]
async fn what_is_learned_anew_is_the_same() {
    let school = troubled().await;
    let (before, fields) = (school.patterns().await, school.stores.patterns.fields().await);
    let advice = school.recommend(asked(&flaky("newsletter"))).await;
    assert_eq!(school.memory.relearn().await.unwrap(), 18);
    assert_eq!(school.patterns().await, []);
    school.study().await;
    assert_eq!((school.patterns().await, school.stores.patterns.fields().await), (before, fields));
    assert_eq!(school.recommend(asked(&flaky("newsletter"))).await, advice);
}

#[tokio::test]
async fn old_evidence_fades_and_new_evidence_takes_its_place() {
    let school = lessons().await;
    let id = sequence(&MEASURED);
    let explained = async || school.memory.explain_pattern(id).await.unwrap();
    let fresh = explained().await;
    let tested = Basis::Tests.weight(false);
    assert!((fresh.worth.weight - 6.0 * tested).abs() < 1e-6, "{fresh:?}");
    school.source.advance(SignedDuration::from_hours(365 * 24));
    let old = explained().await;
    assert!((old.worth.weight - 3.0 * tested).abs() < 1e-6, "{old:?}");
    assert!(old.review.rate.mean < fresh.review.rate.mean && old.review.rate.low < fresh.review.rate.low);
    school.source.advance(SignedDuration::from_hours(3 * 365 * 24));
    assert_eq!(explained().await.review.verdict, Verdict::Neutral);
    for part in ["newsletter", "footer", "header"] {
        school.done(judged(&flaky(part), Outcome::Failure, MEASURED.map(ok).to_vec())).await;
    }
    school.study().await;
    let now = explained().await.review;
    assert_eq!(now.pattern.tally.episodes, 9);
    assert!(now.rate.mean < 0.5, "three fresh failures outweigh six old successes: {now:?}");
}

#[tokio::test]
async fn the_runs_of_one_task_do_not_speak_for_all() {
    let school = School::furnished().await;
    for _ in 0..6 {
        school.done(judged(&flaky("login"), Outcome::Success, vec![ok("look"), ok("patch")])).await;
    }
    for part in &PARTS[2..8] {
        school.done(judged(&flaky(part), Outcome::Success, vec![ok("read"), ok("write")])).await;
    }
    school.study().await;
    let worth = async |tools: &[&str]| school.memory.explain_pattern(sequence(tools)).await.unwrap().worth;
    let (one_task, many) = (worth(&["look", "patch"]).await, worth(&["read", "write"]).await);
    assert_eq!((one_task.episodes, one_task.families, many.families), (6, 1, 6));
    assert!(one_task.weight < many.weight / 2.0, "{one_task:?} {many:?}");
    let mistake = PatternBody::Pitfall { mistake: Mistake::Unchecked, tool: "".into(), error: "".into() };
    let unknown = PatternId::of(Some(DOMAIN), &mistake);
    assert!(matches!(school.memory.explain_pattern(unknown).await, Err(Error::NotFound { .. })));
}
