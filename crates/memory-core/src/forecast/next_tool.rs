//! Which tool comes next: what followed such states in the whole domain, and what was done at such points in similar episodes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::episode::Step;
use crate::limits::{COMPARED_CHARS_MAX, COURSE_STEPS_MAX, FORECAST_TOOLS_MAX, STATE_TOOLS_MAX};
use crate::port::Choices;

/// How much each tool in common before a point counts (in the exponent).
const SUFFIX_WEIGHT: f64 = 0.6;
/// Tools in common beyond which more say no more.
const SUFFIX_TOOLS_MAX: usize = STATE_TOOLS_MAX + 2;
/// How much the words in common of the last step count.
const WORDS_WEIGHT: f64 = 3.0;
/// How much it counts against a point that it comes earlier or later in its episode.
const PLACE_WEIGHT: f64 = 0.5;
/// The power of the resemblance of its task that a point counts with.
const RESEMBLANCE_POWER: f64 = 2.0;
/// The share of the domain's habits in the result, as a power.
const HABIT_POWER: f64 = 0.5;
/// Below this no probability falls, so that nothing is ruled out.
const FLOOR: f64 = 1e-9;

/// A tool that may come next.
#[derive(Clone, Debug, PartialEq)]
pub struct Likely {
    /// The tool.
    pub tool: String,
    /// How likely it is.
    pub probability: f64,
}

/// The tools that may come next, the likeliest first, at most [`FORECAST_TOOLS_MAX`]; none where nothing is known.
///
/// The habits of the domain are the tools that followed the widest state, the next narrower one … mixed as Witten and Bell do
/// (*The Zero-Frequency Problem*, IEEE Transactions on Information Theory 37, 1991). Beside them every point of the similar
/// episodes (with the resemblance of their tasks) votes for the tool that was used there: the more, the more tools before it
/// are those of `course`, the more words its last step shares, the nearer its place. The result is the normalized product of
/// the votes, which start from the habits as one vote, and a power of the habits.
pub fn next_tools(course: &[Step], habits: &[Choices], similar: &[(f64, &[Step])]) -> Vec<Likely> {
    let course = &course[course.len().saturating_sub(COURSE_STEPS_MAX)..];
    let mut votes = Votes::new(course, similar).count(similar);
    let mut habit = mixed(habits, 1.0);
    for tool in votes.keys() {
        habit.entry(tool.clone()).or_insert(FLOOR);
    }
    let total: f64 = votes.values().sum::<f64>() + 1.0;
    let score = |(tool, habit): (String, f64)| {
        let voted = (votes.remove(&tool).unwrap_or_default() + habit) / total;
        (tool, (voted + FLOOR) * (habit + FLOOR).powf(HABIT_POWER))
    };
    ranked(habit.into_iter().map(score).collect())
}

/// The tools that may be a way out of a failure, the likeliest first: those that were the next to succeed after such failures.
/// Mixed as in [`next_tools`].
pub fn ways_out(troubles: &[Choices]) -> Vec<Likely> {
    ranked(mixed(troubles, 1.0).into_iter().collect())
}

/// The probabilities of what followed these states, the widest first: each narrower one gets the share n/(n + cu), where n is
/// how often it was seen, u how many tools followed it, and c how much is left to the wider ones.
fn mixed(states: &[Choices], caution: f64) -> BTreeMap<String, f64> {
    let mut probabilities: BTreeMap<String, f64> = BTreeMap::new();
    for Choices { tools, .. } in states {
        let seen = tools.iter().map(|(_, times)| *times as f64).sum::<f64>();
        if seen <= 0.0 {
            continue;
        }
        let share = if probabilities.is_empty() { 1.0 } else { seen / (seen + caution * tools.len() as f64) };
        for probability in probabilities.values_mut() {
            *probability *= 1.0 - share;
        }
        for (tool, times) in tools {
            *probabilities.entry(tool.clone()).or_default() += share * *times as f64 / seen;
        }
    }
    probabilities
}

fn ranked(scores: Vec<(String, f64)>) -> Vec<Likely> {
    let total: f64 = scores.iter().map(|(_, score)| score).sum();
    if total <= 0.0 {
        return Vec::new();
    }
    let mut likely: Vec<Likely> =
        scores.into_iter().map(|(tool, score)| Likely { tool, probability: score / total }).collect();
    likely.sort_by(|a, b| b.probability.total_cmp(&a.probability).then_with(|| a.tool.cmp(&b.tool)));
    likely.truncate(FORECAST_TOOLS_MAX);
    likely
}

/// What is needed to compare the end of the course with points of other episodes.
struct Votes<'a> {
    course: &'a [Step],
    /// The words of the last step, and the sum of their weights.
    words: BTreeSet<String>,
    norm: f64,
    weights: HashMap<String, f64>,
}

impl<'a> Votes<'a> {
    fn new(course: &'a [Step], similar: &[(f64, &[Step])]) -> Self {
        let (mut steps, mut standing_in) = (0.0, HashMap::<String, f64>::new());
        for (_, other) in similar {
            for step in bounded(other) {
                steps += 1.0;
                for word in words(step) {
                    *standing_in.entry(word).or_default() += 1.0;
                }
            }
        }
        // Squared, as both sides of a cosine have it.
        let weights: HashMap<String, f64> =
            standing_in.into_iter().map(|(word, times)| (word, (1.0 + steps / times).ln().powi(2))).collect();
        let words = course.last().map(words).unwrap_or_default();
        let norm = weigh(&weights, words.iter());
        Self { course, words, norm, weights }
    }

    /// The votes for each tool.
    fn count(&self, similar: &[(f64, &[Step])]) -> BTreeMap<String, f64> {
        let mut votes: BTreeMap<String, f64> = BTreeMap::new();
        for (resemblance, other) in similar {
            let weight = resemblance.max(0.0).powf(RESEMBLANCE_POWER);
            for (place, step) in bounded(other).iter().enumerate() {
                if let Some(likeness) = self.likeness(&other[..place]) {
                    *votes.entry(step.call.tool.clone()).or_default() += weight * likeness;
                }
            }
        }
        votes
    }

    /// How much the end of the course is like that of other steps; `None` if not at all.
    fn likeness(&self, other: &[Step]) -> Option<f64> {
        let (Some(last), Some(other_last)) = (self.course.last(), other.last()) else {
            return (self.course.is_empty() && other.is_empty()).then(|| SUFFIX_WEIGHT.exp());
        };
        let pairs = self.course.iter().rev().zip(other.iter().rev()).take(SUFFIX_TOOLS_MAX);
        let mut common = pairs.take_while(|(a, b)| is_alike(a, b)).count();
        if common == 0 || !is_alike(last, other_last) {
            return None;
        }
        // They agree from the start on.
        common += usize::from(common == self.course.len() && common == other.len());
        let distance = self.course.len().abs_diff(other.len()) as f64 / self.course.len().max(3) as f64;
        let exponent =
            SUFFIX_WEIGHT * common as f64 + WORDS_WEIGHT * self.overlap(other_last) - PLACE_WEIGHT * distance;
        Some(exponent.exp())
    }

    /// The cosine of the words of the last step and those of another.
    fn overlap(&self, other: &Step) -> f64 {
        let other = words(other);
        let norm = (self.norm * weigh(&self.weights, other.iter())).sqrt();
        if norm > 0.0 { weigh(&self.weights, self.words.intersection(&other)) / norm } else { 0.0 }
    }
}

fn bounded(steps: &[Step]) -> &[Step] {
    &steps[..steps.len().min(COURSE_STEPS_MAX)]
}

fn is_alike(a: &Step, b: &Step) -> bool {
    a.call.tool == b.call.tool && a.call.error().is_some() == b.call.error().is_some()
}

fn weigh<'a>(weights: &HashMap<String, f64>, words: impl Iterator<Item = &'a String>) -> f64 {
    words.map(|word| weights.get(word).copied().unwrap_or_default()).sum()
}

/// The words of a step: its tool and the start of its arguments.
fn words(step: &Step) -> BTreeSet<String> {
    let args = step.call.args.as_deref().or(step.call.action.as_deref()).unwrap_or_default();
    let end = args.char_indices().nth(COMPARED_CHARS_MAX).map_or(args.len(), |(end, _)| end);
    let words = args[..end].split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
    words.map(str::to_lowercase).chain([step.call.tool.clone()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::fixture::{failed, ok, steps};
    use crate::extract::{Course, Experience};

    /// What followed these states in these episodes.
    fn habits(states: Vec<String>, episodes: &[&[Step]]) -> Vec<Choices> {
        let all: Vec<_> = episodes.iter().flat_map(|steps| Experience::of(steps).transitions).collect();
        let choices = |state: String| {
            let mut tools: BTreeMap<String, u64> = BTreeMap::new();
            for transition in all.iter().filter(|transition| transition.state == state) {
                *tools.entry(transition.tool.clone()).or_default() += u64::from(transition.times);
            }
            Choices { state, tools: tools.into_iter().collect() }
        };
        states.into_iter().map(choices).collect()
    }

    fn first(likely: &[Likely]) -> Option<&str> {
        likely.first().map(|likely| likely.tool.as_str())
    }

    #[test]
    fn habits_tell_what_follows_and_a_similar_episode_tells_better() {
        let usual = steps(vec![ok("look"), ok("edit"), ok("test")]);
        let same = steps(vec![ok("look"), ok("edit"), ok("deploy")]);
        let episodes = [usual.as_slice(), &usual, &usual, &same];
        let course = steps(vec![ok("look"), ok("edit")]);
        let habits = habits(Course(&course).states(), &episodes);
        let alone = next_tools(&course, &habits, &[]);
        assert_eq!(first(&alone), Some("test"));
        let sum: f64 = alone.iter().map(|likely| likely.probability).sum();
        assert!((sum - 1.0).abs() < 1e-9);
        assert_eq!(first(&next_tools(&course, &habits, &[(1.0, &same)])), Some("deploy"));
        assert_eq!(next_tools(&course, &[], &[]), []);
    }

    #[test]
    fn a_failure_changes_what_follows() {
        let bumpy = steps(vec![failed("test", "no"), ok("fix"), ok("test"), ok("ship")]);
        let after = |course: &[Step]| {
            let habits = habits(Course(course).states(), &[&bumpy]);
            first(&next_tools(course, &habits, &[(1.0, &bumpy)])).map(str::to_owned)
        };
        assert_eq!(after(&steps(vec![failed("test", "no")])).as_deref(), Some("fix"));
        assert_eq!(after(&steps(vec![ok("fix"), ok("test")])).as_deref(), Some("ship"));
    }

    #[test]
    fn the_way_out_is_what_succeeded_next_after_such_a_failure() {
        let missing = steps(vec![failed("test", "ModuleNotFoundError: x"), ok("install"), ok("test")]);
        let wrong = steps(vec![failed("test", "AssertionError"), ok("edit"), ok("test")]);
        let trouble = steps(vec![failed("test", "ModuleNotFoundError: y")]);
        let troubles = habits(Course(&trouble).troubles(None), &[&missing, &wrong, &wrong]);
        assert_eq!(first(&ways_out(&troubles)), Some("install"));
        assert_eq!(ways_out(&[]), []);
    }
}
