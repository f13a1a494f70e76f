//! Whatever an episode holds, its end can be computed: reward, basis and reflection.

use std::sync::Arc;

use jiff::Timestamp;
use memory_core::episode::{Basis, Completion, NewStep, Outcome, Step, StepResult};
use memory_core::limits::{EPISODE_STEPS_MAX, REFLECTION_CHARS_MAX, STATEMENT_STEPS_MAX, STATEMENTS_MAX};
use memory_core::memory::{Memory, NewEnding, NewEpisode};
use memory_core::reflection::StatementKind;
use proptest::prelude::*;
use testkit::episode::{failed, finished, ok, open};
use testkit::{InMemoryStore, TestSource};

/// What every end of an episode of so many steps must keep.
fn check(completion: &Completion, steps: usize) {
    let reward = &completion.reward;
    let parts = &reward.parts;
    let numbers = [
        reward.total,
        reward.computed,
        parts.outcome,
        parts.checks,
        parts.efficiency,
        parts.recoveries,
        parts.steps_ok,
    ];
    assert!(numbers.into_iter().flatten().all(|number| (0.0..=1.0).contains(&number)), "{reward:?}");
    assert_eq!(reward.computed.is_some(), completion.outcome.is_some());
    assert!(!completion.disputed || completion.outcome == Some(Outcome::Success));
    let reflection = &completion.reflection;
    for kind in StatementKind::ALL {
        let told = reflection.statements.iter().filter(|statement| statement.kind == kind);
        assert!(told.count() <= STATEMENTS_MAX);
    }
    for statement in &reflection.statements {
        assert!((1..=STATEMENT_STEPS_MAX).contains(&statement.steps.len()), "{statement:?}");
        assert!(statement.steps.is_sorted_by(|a, b| a < b), "{statement:?}");
        assert!(statement.steps.iter().all(|step| (1..=steps as u32).contains(step)), "{statement:?}");
        assert!(statement.text.chars().count() < REFLECTION_CHARS_MAX, "{statement:?}");
    }
    assert!(reflection.text().chars().count() <= REFLECTION_CHARS_MAX + 8, "{}", reflection.text());
}

/// Tools and lines that meet each other often, so that every statement comes up, and any text.
fn call() -> impl Strategy<Value = NewStep> {
    let tool = prop_oneof![
        8 => prop::sample::select(vec!["bash", "pytest", "edit", "read", "make", "respond"]).prop_map(str::to_owned),
        1 => "\\PC{1,600}",
        1 => any::<String>(),
    ];
    let args = prop_oneof![
        2 => Just(None),
        8 => prop::sample::select(vec!["pytest -x", "cargo build", "git commit -m x", "ls", "{\"path\": \"a\"}"])
            .prop_map(|line| Some(line.to_owned())),
        1 => any::<String>().prop_map(Some),
    ];
    let error = prop_oneof![
        4 => prop::sample::select(vec!["E 1", "E 2", "pytest: command not found", "Traceback (most recent call last)", ""])
            .prop_map(str::to_owned),
        1 => any::<String>(),
        1 => "[\n é\"]{0,300}error.{0,300}",
    ];
    (tool, args, prop::option::of(error)).prop_map(|(tool, args, error)| NewStep {
        args,
        result: error.map_or(StepResult::Succeeded, |error| StepResult::Failed { error }),
        ..ok(&tool)
    })
}

proptest! {
    #[test]
    fn any_episode_has_an_end(
        calls in prop::collection::vec((call(), any::<i32>()), 0..40),
        outcome in prop::option::of(prop::sample::select(Outcome::ALL.to_vec())),
        basis in prop::option::of(prop::sample::select(Basis::ALL.to_vec())),
        reward in prop::option::of(0.0..=1.0),
        artifacts in prop::collection::vec(any::<String>(), 0..3),
        ended in any::<i32>(),
        peers in prop::collection::vec(any::<u32>(), 0..6),
    ) {
        // Clocks are set back, so times need not go forward.
        let time = |second: i32| Timestamp::from_second(second.into()).unwrap();
        let steps: Vec<Step> =
            calls.into_iter().zip(1..).map(|((call, at), number)| Step { number, at: time(at), call }).collect();
        let ending = NewEnding { outcome, basis, reward, artifacts, summary: None };
        let mut completion = ending.clone().conclude(&steps, time(ended));
        check(&completion, steps.len());
        prop_assert_eq!(&completion, &ending.conclude(&steps, time(ended)), "the same again");
        prop_assert!(basis != Some(Basis::User) || completion.basis == Basis::User);
        prop_assert_eq!(completion.reward.total, reward.or(completion.reward.computed));
        completion.reward.compare(&peers, steps.len());
        check(&completion, steps.len());
    }
}

#[tokio::test]
async fn the_longest_episode_has_an_end() {
    let kinds: [fn(usize) -> NewStep; 4] = [
        |_| failed("pytest", "the same"),
        |number| failed(&format!("tool {number}"), &format!("error {number} {}", "word ".repeat(200))),
        |number| NewStep {
            args: Some("pytest -x".into()),
            ..if number % 2 == 0 { ok("bash") } else { failed("bash", "E") }
        },
        |number| NewStep { args: Some((number % 3).to_string()), ..ok("look") },
    ];
    for kind in kinds {
        let memory = Memory::new(InMemoryStore::stores().ports(Arc::new(TestSource::default())), Vec::new());
        let steps: Vec<NewStep> = (0..EPISODE_STEPS_MAX).map(kind).collect();
        let created = memory.create(finished("long", Outcome::Success, steps)).await.unwrap();
        check(&created.head.completion.unwrap(), EPISODE_STEPS_MAX);
    }
}

#[tokio::test]
async fn an_episode_that_starts_after_its_end_is_kept() {
    let source = Arc::new(TestSource::default());
    let memory = Memory::new(InMemoryStore::stores().ports(source), Vec::new());
    let started_at = Some("9000-01-01T00:00:00Z".parse().unwrap());
    let created = memory.create(NewEpisode { started_at, ..open("of the future") }).await.unwrap();
    let ending = NewEnding { outcome: Some(Outcome::Success), ..NewEnding::default() };
    let (completion, _) = memory.complete(created.id, ending).await.unwrap();
    check(&completion, 0);
    assert!(completion.at < created.head.started_at);
}
