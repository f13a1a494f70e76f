use jiff::Timestamp;
use uuid::Uuid;

use super::*;
use crate::episode::fixture::{completed, ok};
use crate::pattern::{Correction, Field, Fields, Pattern};

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn tally(credit: f64, episodes: u32) -> Tally {
    let one = Tally::one(1.0, 1.0, NOW);
    Tally {
        weight: one.weight * f64::from(episodes),
        credit: one.weight * credit,
        episodes,
        families: episodes,
    }
}

fn lesson(tools: &[&str], credit: f64, episodes: u32) -> Lesson {
    let body = PatternBody::ToolSequence { tools: tools.iter().map(ToString::to_string).collect() };
    Lesson {
        pattern: Pattern {
            id: PatternId::of(None, &body),
            body,
            domain: None,
            tally: tally(credit, episodes),
            feedback: Tally::default(),
            last_seen: NOW,
            correction: None,
        },
        own: Tally::default(),
        shown_by: vec![EpisodeId(Uuid::nil())],
        detail: None,
    }
}

fn lessons(lessons: Vec<Lesson>) -> Lessons {
    let base = tally(50.0, 100);
    let field = |measure| Field { domain: None, measure, base, strength: 4.0 };
    Lessons { lessons, fields: Fields([Measure::Outcome, Measure::Success].map(field).to_vec()) }
}

fn advice(given: Vec<Lesson>) -> Advice {
    compose(&[], &lessons(given), None, NOW)
}

fn texts(items: &[AdviceItem]) -> Vec<&str> {
    items.iter().map(|item| item.text.as_str()).collect()
}

#[test]
fn a_sequence_is_advised_or_warned_of_only_if_its_bounds_clear_the_base_rate() {
    let advice = advice(vec![
        lesson(&["good", "way"], 30.0, 30),
        lesson(&["bad", "way"], 1.0, 30),
        lesson(&["usual", "way"], 15.0, 30),
        lesson(&["lucky", "way"], 2.0, 2),
    ]);
    assert_eq!(texts(&advice.steps), ["good → way"]);
    assert_eq!(texts(&advice.pitfalls), ["bad → way"]);
    assert!(advice.success.unwrap().gated, "no run of the task itself is known");
}

#[test]
fn feedback_and_corrections_change_what_is_advised() {
    let mut liked = lesson(&["liked", "way"], 20.0, 24);
    let better = lesson(&["better", "way"], 23.0, 24);
    let both = |liked: &Lesson| texts(&advice(vec![better.clone(), liked.clone()]).steps).join(", ");
    assert_eq!(both(&liked), "better → way, liked → way");
    liked.pattern.feedback = tally(40.0, 40);
    assert_eq!(both(&liked), "liked → way, better → way");
    liked.pattern.correction =
        Some(Correction { verdict: Some(Verdict::Pitfall), note: Some("outdated".into()) });
    let told = advice(vec![liked]);
    assert_eq!((texts(&told.steps), texts(&told.pitfalls)), (vec![], vec!["liked → way"]));
    assert_eq!(told.pitfalls[0].note.as_deref(), Some("outdated"));
}

#[test]
fn runs_of_the_task_itself_count_in_full() {
    let mut own = lesson(&["own", "way"], 8.0, 8);
    own.pattern.tally = tally(8.0, 8).clustered();
    assert_eq!(texts(&advice(vec![own.clone()]).steps), Vec::<&str>::new());
    own.own = Tally { families: 1, ..tally(8.0, 8) };
    assert_eq!(texts(&advice(vec![own]).steps), ["own → way"]);
}

#[test]
fn the_way_of_a_similar_success_is_told_as_one_account_and_runs_of_the_task_make_its_rate() {
    let head = |steps, outcome| {
        let mut head = completed(steps, Some(outcome)).head;
        head.started_at = NOW;
        head
    };
    let heads =
        vec![head(vec![ok("guess")], Outcome::Failure), head(vec![ok("look"), ok("fix")], Outcome::Success)];
    let same = compose(&Similar::to("a task", heads.clone()), &lessons(vec![]), None, NOW);
    assert_eq!(texts(&same.steps), ["in a similar success: look → fix"]);
    let told = same.success.unwrap();
    assert_eq!((told.gated, told.rate.episodes), (false, 2));
    let other = compose(&Similar::to("something else entirely", heads), &lessons(vec![]), None, NOW);
    assert!(other.success.unwrap().gated);
}

#[test]
fn of_patterns_that_say_the_same_one_is_told() {
    let advice = advice(vec![lesson(&["a", "b"], 30.0, 30), lesson(&["a", "b", "c"], 30.0, 30)]);
    assert_eq!(texts(&advice.steps), ["a → b → c"]);
}
