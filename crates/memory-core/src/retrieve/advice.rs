//! What similar episodes teach about a task.

use serde::{Deserialize, Serialize};

use super::{Found, Lesson, Lessons, Placed};
use crate::episode::{EpisodeHead, Outcome};
use crate::id::EpisodeId;
use crate::limits::{ADVICE_ITEMS_MAX, ADVISERS_MAX};
use crate::pattern::{PatternBody, Rate, Tally};

/// How likely an episode must be relevant for its lessons to become advice: advice from unlike tasks does harm.
const ADVICE_CONFIDENCE: f64 = 0.15;
/// Episodes named as evidence of one item at the most.
const EVIDENCE_MAX: usize = 3;
/// Distinct episodes that must have shown a pattern before its rate says anything.
const PATTERN_EPISODES_MIN: u32 = 3;

/// One piece of advice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdviceItem {
    /// What to do or to avoid, made of recorded tool names and quotations.
    pub text: String,
    /// How often it held; `None` for the account of a single episode.
    pub rate: Option<Rate>,
    /// Similar episodes that show it, at most three.
    pub evidence: Vec<EpisodeId>,
    /// Arguments that worked, quoted from one of them.
    pub example: Option<String>,
}

/// What similar episodes teach.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// What tends to work.
    pub steps: Vec<AdviceItem>,
    /// What tends to fail.
    pub pitfalls: Vec<AdviceItem>,
    /// How failures were recovered from.
    pub recoveries: Vec<AdviceItem>,
    /// How the similar episodes ended; `None` where none has a known outcome.
    pub success_rate: Option<Rate>,
}

/// The episodes similar enough to learn from, the most similar first.
pub(crate) fn advisers(placed: &[Placed]) -> Vec<EpisodeId> {
    let ranked = placed.iter().map(|placed| &placed.ranked);
    let similar = ranked.filter(|ranked| ranked.confidence >= ADVICE_CONFIDENCE);
    let episodes = similar.filter_map(|ranked| match ranked.found {
        Found::Episode(id) => Some(id),
        Found::Pattern(_) | Found::Note(_) => None,
    });
    episodes.take(ADVISERS_MAX).collect()
}

/// Composes advice from the similar episodes (`heads`, the most similar first) and what they teach.
///
/// A sequence of tools becomes a step only if the lower bound of its success rate lies above the success rate of its
/// domain, and a pitfall only if the upper bound lies below and it fails more often than not. Beside that the way of the most similar success is
/// told as what it is: one account.
pub fn compose(heads: &[EpisodeHead], lessons: &Lessons) -> Advice {
    let mut outcomes = Tally::default();
    for credit in heads.iter().filter_map(|head| head.outcome()?.credit()) {
        outcomes.add(credit);
    }
    let base = lessons.base.mean();
    let mut steps: Vec<AdviceItem> = heads.iter().find_map(account).into_iter().collect();
    steps.extend(sequences(lessons, |tally| tally.is_above(base)));
    let mut pitfalls = failures(lessons);
    pitfalls.extend(sequences(lessons, |tally| tally.mean() < 0.5 && tally.is_below(base)));
    let mut advice = Advice {
        steps,
        pitfalls,
        recoveries: recoveries(lessons),
        success_rate: (outcomes.episodes > 0).then(|| outcomes.rate()),
    };
    for items in [&mut advice.steps, &mut advice.pitfalls, &mut advice.recoveries] {
        items.truncate(ADVICE_ITEMS_MAX);
    }
    advice
}

/// The way of one successful episode.
fn account(head: &EpisodeHead) -> Option<AdviceItem> {
    let completion =
        head.completion.as_ref().filter(|completion| completion.outcome == Some(Outcome::Success))?;
    let path = &completion.reflection.path;
    let more = if completion.reflection.path_cut { " → …" } else { "" };
    let text = if path.is_empty() {
        format!("in a similar success: {}", completion.summary.as_ref()?)
    } else {
        format!("in a similar success: {}{more}", path.join(" → "))
    };
    Some(AdviceItem { text, rate: None, evidence: vec![head.id], example: None })
}

/// Sequences of tools whose success rate passes `test`, the ones most shown first; a sequence that is part of one
/// already taken is left out.
fn sequences(lessons: &Lessons, test: impl Fn(&Tally) -> bool) -> Vec<AdviceItem> {
    let mut passing: Vec<(&Lesson, &Vec<String>)> = lessons
        .lessons
        .iter()
        .filter(|lesson| lesson.pattern.tally.episodes >= PATTERN_EPISODES_MIN)
        .filter_map(|lesson| match &lesson.pattern.body {
            PatternBody::ToolSequence { tools } => Some((lesson, tools)),
            PatternBody::ErrorRecovery { .. } => None,
        })
        .filter(|(lesson, _)| test(&lesson.pattern.tally))
        .collect();
    passing.sort_by(|(a, a_tools), (b, b_tools)| {
        let shown = b.shown_by.len().cmp(&a.shown_by.len());
        shown.then(b_tools.len().cmp(&a_tools.len())).then_with(|| a_tools.cmp(b_tools))
    });
    let mut taken: Vec<&Vec<String>> = Vec::new();
    let mut items = Vec::new();
    for (lesson, tools) in passing {
        if items.len() == ADVICE_ITEMS_MAX {
            break;
        }
        let overlaps = |other: &&Vec<String>| contains(other, tools) || contains(tools, other);
        if !taken.iter().any(overlaps) {
            taken.push(tools);
            items.push(item(lesson, lesson.pattern.body.describe(), Some(lesson.pattern.tally.rate())));
        }
    }
    items
}

fn contains(whole: &[String], part: &[String]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

/// Failures seen in more than one similar episode, or never overcome in one.
fn failures(lessons: &Lessons) -> Vec<AdviceItem> {
    let mut kinds: Vec<((&str, &str), Vec<EpisodeId>, bool)> = Vec::new();
    for lesson in &lessons.lessons {
        let PatternBody::ErrorRecovery { tool, error, recovery } = &lesson.pattern.body else { continue };
        let key = (tool.as_str(), error.as_str());
        let place = kinds.iter().position(|(kind, ..)| *kind == key).unwrap_or_else(|| {
            kinds.push((key, Vec::new(), false));
            kinds.len() - 1
        });
        let (_, episodes, lost) = &mut kinds[place];
        for episode in &lesson.shown_by {
            if !episodes.contains(episode) {
                episodes.push(*episode);
            }
        }
        *lost |= recovery.is_empty() || lesson.pattern.tally.credit == 0.0;
    }
    kinds.retain(|(_, episodes, lost)| episodes.len() > 1 || *lost);
    kinds.sort_by_key(|(_, episodes, _)| std::cmp::Reverse(episodes.len()));
    let failures = kinds.into_iter().map(|((tool, error), mut episodes, _)| {
        let text = format!("{tool} failed with \"{error}\" in {} similar episode(s)", episodes.len());
        episodes.truncate(EVIDENCE_MAX);
        AdviceItem { text, rate: None, evidence: episodes, example: None }
    });
    failures.take(ADVICE_ITEMS_MAX).collect()
}

/// Recoveries that worked at least once, the likeliest first.
fn recoveries(lessons: &Lessons) -> Vec<AdviceItem> {
    let worked = lessons.lessons.iter().filter(|lesson| match &lesson.pattern.body {
        PatternBody::ErrorRecovery { recovery, .. } => {
            !recovery.is_empty() && lesson.pattern.tally.credit > 0.0
        }
        PatternBody::ToolSequence { .. } => false,
    });
    let mut worked: Vec<(&Lesson, Rate)> =
        worked.map(|lesson| (lesson, lesson.pattern.tally.rate())).collect();
    worked.sort_by(|(a, a_rate), (b, b_rate)| {
        b_rate
            .low
            .total_cmp(&a_rate.low)
            .then_with(|| a.pattern.body.signature().cmp(&b.pattern.body.signature()))
    });
    let items =
        worked.into_iter().map(|(lesson, rate)| item(lesson, lesson.pattern.body.describe(), Some(rate)));
    items.take(ADVICE_ITEMS_MAX).collect()
}

fn item(lesson: &Lesson, text: String, rate: Option<Rate>) -> AdviceItem {
    let evidence = lesson.shown_by.iter().take(EVIDENCE_MAX).copied().collect();
    AdviceItem { text, rate, evidence, example: lesson.detail.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::fixture::{completed, ok};
    use crate::id::PatternId;
    use crate::pattern::Pattern;
    use jiff::Timestamp;
    use uuid::Uuid;

    fn lesson(tools: &[&str], credit: f64, episodes: u32) -> Lesson {
        Lesson {
            pattern: Pattern {
                id: PatternId(Uuid::nil()),
                body: PatternBody::ToolSequence { tools: tools.iter().map(ToString::to_string).collect() },
                domain: None,
                tally: Tally { credit, episodes },
                last_seen: Timestamp::UNIX_EPOCH,
            },
            shown_by: vec![EpisodeId(Uuid::nil())],
            detail: None,
        }
    }

    fn texts(items: &[AdviceItem]) -> Vec<&str> {
        items.iter().map(|item| item.text.as_str()).collect()
    }

    #[test]
    fn a_sequence_is_advised_or_warned_of_only_if_its_bounds_clear_the_base_rate() {
        let lessons = Lessons {
            lessons: vec![
                lesson(&["good", "way"], 30.0, 30),
                lesson(&["bad", "way"], 1.0, 30),
                lesson(&["usual", "way"], 15.0, 30),
                lesson(&["lucky", "way"], 2.0, 2),
            ],
            base: Tally { credit: 50.0, episodes: 100 },
        };
        let advice = compose(&[], &lessons);
        assert_eq!(texts(&advice.steps), ["good → way"]);
        assert_eq!(texts(&advice.pitfalls), ["bad → way"]);
        assert_eq!(advice.success_rate, None);
    }

    #[test]
    fn the_way_of_a_similar_success_is_told_as_one_account_and_failures_count_in_the_rate() {
        let success = completed(vec![ok("look"), ok("fix")], Some(Outcome::Success)).head;
        let failure = completed(vec![ok("guess")], Some(Outcome::Failure)).head;
        let advice = compose(&[failure, success], &Lessons::default());
        assert_eq!(texts(&advice.steps), ["in a similar success: look → fix"]);
        let rate = advice.success_rate.unwrap();
        assert_eq!((rate.mean, rate.episodes), (0.5, 2));
    }

    #[test]
    fn the_longest_sequence_stands_for_the_parts_it_contains() {
        let lessons = Lessons {
            lessons: vec![lesson(&["a", "b"], 30.0, 30), lesson(&["a", "b", "c"], 30.0, 30)],
            base: Tally { credit: 50.0, episodes: 100 },
        };
        assert_eq!(texts(&compose(&[], &lessons).steps), ["a → b → c"]);
    }
}
