//! What is refused, and how it is said.

use std::collections::BTreeMap;
use std::sync::Arc;

use memory_core::episode::{NewStep, Outcome, Scope, StepResult};
use memory_core::error::{Error, Violation};
use memory_core::limits::{
    ARTIFACTS_MAX, CONTEXT_ENTRIES_MAX, EPISODE_STEPS_MAX, HITS_MAX, NAME_BYTES_MAX, PAYLOAD_BYTES_MAX,
    QUERY_BYTES_MAX, SUPERSEDES_MAX, TAGS_MAX, TASK_BYTES_MAX, TEXT_BYTES_MAX,
};
use memory_core::memory::{Memory, NewEnding, NewEpisode, NewNote, Question};
use memory_core::retrieve::Filter;
use testkit::episode::{failed, note, ok, open};
use testkit::{InMemoryStore, Stores, TestSource};

fn memory(stores: &Stores) -> Memory {
    Memory::new(stores.ports(Arc::new(TestSource::default())), Vec::new())
}

fn violations<T: std::fmt::Debug>(result: Result<T, Error>) -> Vec<Violation> {
    match result {
        Err(Error::Invalid(violations)) => violations,
        other => panic!("not refused: {other:?}"),
    }
}

fn fields<T: std::fmt::Debug>(result: Result<T, Error>) -> Vec<String> {
    violations(result).into_iter().map(|violation| violation.field).collect()
}

fn question(query: &str) -> Question {
    Question { query: query.into(), filter: Filter::default(), limit: 5, explain: false }
}

/// An episode whose every text is `text`, with every part present.
fn all_texts(text: &str) -> NewEpisode {
    let text = || text.to_owned();
    let step = |result| NewStep {
        external_id: Some(text()),
        tool: text(),
        action: Some(text()),
        args: Some(text()),
        observation: Some(text()),
        result,
        duration_ms: None,
    };
    let mut new = open(&text());
    new.external_id = Some(text());
    new.brief.scope = Scope { domain: Some(text()), project: Some(text()) };
    new.brief.task_type = Some(text());
    new.brief.tags = vec!["fine".into(), text()];
    new.brief.context = BTreeMap::from([("key".into(), text())]);
    new.steps = vec![ok("fine"), step(StepResult::Failed { error: text() })];
    new.ending = Some(NewEnding {
        outcome: Some(Outcome::Success),
        summary: Some(text()),
        reward: Some(1.5),
        basis: None,
        artifacts: vec![text()],
    });
    new
}

#[tokio::test]
async fn every_violation_is_named_by_its_path_at_once() {
    let stores = InMemoryStore::stores();
    let mut told = fields(memory(&stores).create(all_texts("a\0b")).await);
    told.sort();
    let expected = [
        "artifacts[0]",
        "context.key",
        "domain",
        "external_id",
        "project",
        "reward",
        "steps[1].action",
        "steps[1].args",
        "steps[1].error",
        "steps[1].external_id",
        "steps[1].observation",
        "steps[1].tool",
        "summary",
        "tags[1]",
        "task",
        "task_type",
    ];
    assert_eq!(told, expected);
    assert_eq!(stores.changes.change_seq().await, Ok(0), "nothing is stored");
    let text = memory(&stores).create(all_texts("a\0b")).await.unwrap_err().to_string();
    assert!(text.contains("`steps[1].tool` contains a NUL character at byte 1; remove it"), "{text}");
}

#[tokio::test]
async fn what_must_say_something_may_not_be_blank() {
    let told = fields(memory(&InMemoryStore::stores()).create(all_texts(" \n")).await);
    for field in
        ["task", "external_id", "domain", "project", "task_type", "tags[1]", "steps[1].tool", "artifacts[0]"]
    {
        assert!(told.iter().any(|named| named == field), "{field} is missing in {told:?}");
    }
    for field in ["summary", "context.key", "steps[1].args", "steps[1].observation", "steps[1].error"] {
        assert!(!told.iter().any(|named| named == field), "{field} may be empty");
    }
}

#[tokio::test]
async fn a_text_may_be_as_long_as_its_limit_and_the_limit_is_told() {
    let memory = memory(&InMemoryStore::stores());
    let long = |bytes: usize| "x".repeat(bytes);
    type Put = fn(&mut NewEpisode, String);
    let cases: [(&str, usize, Put); 9] = [
        ("task", TASK_BYTES_MAX, |new, text| new.brief.task = text),
        ("external_id", NAME_BYTES_MAX, |new, text| new.external_id = Some(text)),
        ("domain", NAME_BYTES_MAX, |new, text| new.brief.scope.domain = Some(text)),
        ("context.k", TEXT_BYTES_MAX, |new, text| new.brief.context = BTreeMap::from([("k".into(), text)])),
        ("context", NAME_BYTES_MAX, |new, text| new.brief.context = BTreeMap::from([(text, "v".into())])),
        ("steps[0].args", PAYLOAD_BYTES_MAX, |new, text| new.steps[0].args = Some(text)),
        ("steps[0].action", TEXT_BYTES_MAX, |new, text| new.steps[0].action = Some(text)),
        ("steps[0].error", TEXT_BYTES_MAX, |new, text| new.steps[0] = failed("t", &text)),
        ("summary", TEXT_BYTES_MAX, |new, text| {
            new.ending = Some(NewEnding { summary: Some(text), ..NewEnding::default() });
        }),
    ];
    for (field, max, put) in cases {
        let mut new = NewEpisode { steps: vec![ok("t")], ..open("a task") };
        put(&mut new, long(max));
        memory.create(new.clone()).await.unwrap();
        put(&mut new, long(max + 1));
        let told = violations(memory.create(new).await);
        assert_eq!(told.len(), 1, "{field}");
        assert_eq!(told[0].field, field);
        let said = [max + 1, max].iter().all(|number| told[0].problem.contains(&format!("{number} bytes")));
        assert!(said, "{}", told[0].problem);
    }
}

#[tokio::test]
async fn lists_have_limits_too() {
    let memory = memory(&InMemoryStore::stores());
    let names = |count: usize| (0..count).map(|number| format!("n{number}")).collect::<Vec<_>>();
    let mut new = open("a task");
    new.brief.tags = names(TAGS_MAX);
    new.brief.context = names(CONTEXT_ENTRIES_MAX).into_iter().map(|name| (name, "v".into())).collect();
    new.ending = Some(NewEnding { artifacts: names(ARTIFACTS_MAX), ..NewEnding::default() });
    memory.create(new.clone()).await.unwrap();
    new.brief.tags.push("one more".into());
    new.brief.context.insert("one more".into(), "v".into());
    new.ending.as_mut().unwrap().artifacts.push("one more".into());
    new.steps = vec![ok("t"); EPISODE_STEPS_MAX + 1];
    let mut told = violations(memory.create(new).await);
    told.sort_by(|a, b| a.field.cmp(&b.field));
    let limits = [ARTIFACTS_MAX, CONTEXT_ENTRIES_MAX, EPISODE_STEPS_MAX, TAGS_MAX];
    for ((violation, field), limit) in told.iter().zip(["artifacts", "context", "steps", "tags"]).zip(limits)
    {
        assert_eq!(violation.field, field);
        assert!(violation.problem.contains(&format!("the limit is {limit}")), "{violation}");
    }
    let many = NewNote { tags: names(TAGS_MAX + 1), supersedes: names(SUPERSEDES_MAX + 1), ..note("x") };
    assert_eq!(fields(memory.remember(many).await), ["tags", "supersedes"]);
}

#[tokio::test]
async fn a_reward_is_a_share() {
    let memory = memory(&InMemoryStore::stores());
    let of = |reward| NewEpisode {
        ending: Some(NewEnding { reward: Some(reward), ..NewEnding::default() }),
        ..open("a task")
    };
    for reward in [0.0, 0.5, 1.0] {
        memory.create(of(reward)).await.unwrap();
    }
    for reward in [-0.001, 1.001, f64::NAN, f64::INFINITY] {
        assert_eq!(fields(memory.create(of(reward)).await), ["reward"], "{reward}");
    }
    let id = memory.create(open("a task")).await.unwrap().id;
    assert_eq!(fields(memory.complete(id, of(7.0).ending.unwrap()).await), ["reward"]);
    assert_eq!(memory.episode(id).await.unwrap().head.completion, None);
}

#[tokio::test]
async fn steps_endings_and_notes_are_checked_on_their_own_too() {
    let stores = InMemoryStore::stores();
    let memory = memory(&stores);
    let id = memory.create(open("a task")).await.unwrap().id;
    let before = stores.changes.change_seq().await;
    assert_eq!(fields(memory.add_step(id, ok("")).await), ["tool"]);
    let ending = NewEnding { artifacts: vec!["\0".into()], ..NewEnding::default() };
    assert_eq!(fields(memory.complete(id, ending).await), ["artifacts[0]"]);
    let bad = NewNote { tags: vec!["".into()], ..note("\0") };
    assert_eq!(fields(memory.remember(bad).await), ["text", "tags[0]"]);
    assert_eq!(fields(memory.remember(note(" ")).await), ["text"]);
    assert_eq!(stores.changes.change_seq().await, before);
}

#[tokio::test]
async fn a_question_must_ask_something_and_know_its_bounds() {
    let memory = memory(&InMemoryStore::stores());
    assert_eq!(fields(memory.recall(question(" \t")).await), ["query"]);
    memory.recall(question(&"x".repeat(QUERY_BYTES_MAX))).await.unwrap();
    let told = violations(memory.recall(question(&"x".repeat(QUERY_BYTES_MAX + 1))).await);
    assert!(told[0].problem.contains(&QUERY_BYTES_MAX.to_string()), "{told:?}");
    for limit in [0, HITS_MAX + 1] {
        assert_eq!(fields(memory.recall(Question { limit, ..question("x") }).await), ["limit"]);
    }
    memory.recall(Question { limit: HITS_MAX, ..question("x") }).await.unwrap();
    let now = Some("2026-01-01T00:00:00Z".parse().unwrap());
    let filter = Filter { since: now, until: now, ..Filter::default() };
    let all_wrong = Question { query: String::new(), limit: 0, filter, explain: false };
    assert_eq!(fields(memory.recall(all_wrong).await), ["limit", "since", "query"]);
}
