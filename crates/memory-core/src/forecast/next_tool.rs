//! Which tool comes next: what followed such states in the whole domain, and what was done at such points in similar episodes.

use std::collections::{BTreeMap, HashMap};

use crate::episode::Step;
use crate::hash::fnv_1a;
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
/// How much more caution a way out needs: failures are rarer than steps, so that most of their states were seen once or twice.
const WAY_OUT_CAUTION: f64 = 2.0;
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
        habit.entry((*tool).to_owned()).or_insert(FLOOR);
    }
    let total: f64 = votes.values().sum::<f64>() + 1.0;
    let score = |(tool, habit): (String, f64)| {
        let voted = (votes.remove(tool.as_str()).unwrap_or_default() + habit) / total;
        (tool, (voted + FLOOR) * (habit + FLOOR).powf(HABIT_POWER))
    };
    ranked(habit.into_iter().map(score).collect())
}

/// The tools that may be a way out of a failure, the likeliest first: those that were the next to succeed after such failures.
/// Mixed as in [`next_tools`].
pub fn ways_out(troubles: &[Choices]) -> Vec<Likely> {
    ranked(mixed(troubles, WAY_OUT_CAUTION).into_iter().collect())
}

/// The probabilities of what followed these states, the widest first: each narrower one gets the share n/(n + cu), where n is
/// how often it was seen, u how many tools followed it, and c the caution.
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
    last: Words,
    /// Of every step of the similar episodes.
    words: Vec<Vec<Words>>,
    /// How much each word tells, squared, as both sides of a cosine have it.
    weights: HashMap<u64, f64>,
}

impl<'a> Votes<'a> {
    fn new(course: &'a [Step], similar: &[(f64, &[Step])]) -> Self {
        let words: Vec<Vec<Words>> =
            similar.iter().map(|(_, steps)| bounded(steps).iter().map(Words::of).collect()).collect();
        let mut standing_in: HashMap<u64, f64> = HashMap::new();
        for word in words.iter().flatten().flat_map(|words| &words.0) {
            *standing_in.entry(*word).or_default() += 1.0;
        }
        let steps = words.iter().map(Vec::len).sum::<usize>() as f64;
        let weight = |(word, times): (u64, f64)| (word, (1.0 + steps / times).ln().powi(2));
        let weights = standing_in.into_iter().map(weight).collect();
        let last = course.last().map(Words::of).unwrap_or_default();
        Self { course, last, words, weights }
    }

    /// The votes for each tool.
    fn count<'s>(&self, similar: &[(f64, &'s [Step])]) -> BTreeMap<&'s str, f64> {
        let mut votes: BTreeMap<&str, f64> = BTreeMap::new();
        for ((resemblance, other), words) in similar.iter().zip(&self.words) {
            let weight = resemblance.max(0.0).powf(RESEMBLANCE_POWER);
            for (place, step) in bounded(other).iter().enumerate() {
                let before = place.checked_sub(1).map(|place| &words[place]);
                if let Some(likeness) = self.likeness(&other[..place], before) {
                    *votes.entry(&step.call.tool).or_default() += weight * likeness;
                }
            }
        }
        votes
    }

    /// How much the end of the course is like that of other steps, the last of which has these words; `None` if not at all.
    fn likeness(&self, other: &[Step], words: Option<&Words>) -> Option<f64> {
        let Some(words) = words.filter(|_| !self.course.is_empty()) else {
            return (self.course.is_empty() && other.is_empty()).then(|| SUFFIX_WEIGHT.exp());
        };
        let pairs = self.course.iter().rev().zip(other.iter().rev()).take(SUFFIX_TOOLS_MAX);
        let mut common = pairs.take_while(|(a, b)| is_alike(a, b)).count();
        if common == 0 {
            return None;
        }
        // They agree from the start on.
        common += usize::from(common == self.course.len() && common == other.len());
        let distance = self.course.len().abs_diff(other.len()) as f64 / self.course.len().max(3) as f64;
        let overlap = self.last.cosine(words, &self.weights);
        Some((SUFFIX_WEIGHT * common as f64 + WORDS_WEIGHT * overlap - PLACE_WEIGHT * distance).exp())
    }
}

fn bounded(steps: &[Step]) -> &[Step] {
    &steps[..steps.len().min(COURSE_STEPS_MAX)]
}

fn is_alike(a: &Step, b: &Step) -> bool {
    a.call.tool == b.call.tool && a.call.error().is_some() == b.call.error().is_some()
}

/// The words of a step, its tool and the start of its arguments, as sorted hashes.
#[derive(Debug, Default)]
struct Words(Vec<u64>);

impl Words {
    fn of(step: &Step) -> Self {
        let args = step.call.args.as_deref().or(step.call.action.as_deref()).unwrap_or_default();
        let end = args.char_indices().nth(COMPARED_CHARS_MAX).map_or(args.len(), |(end, _)| end);
        let words =
            args[..end].split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty());
        let hash = |word: &str| fnv_1a(word.bytes().map(|byte| byte.to_ascii_lowercase()));
        let mut hashes: Vec<u64> = words.chain([step.call.tool.as_str()]).map(hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        Self(hashes)
    }

    /// The cosine of two sets of words of these weights.
    fn cosine(&self, other: &Self, weights: &HashMap<u64, f64>) -> f64 {
        let weight = |word: &u64| weights.get(word).copied().unwrap_or_default();
        let common = self.0.iter().filter(|word| other.0.binary_search(word).is_ok());
        let sum = |words: &[u64]| words.iter().map(weight).sum::<f64>();
        let norm = (sum(&self.0) * sum(&other.0)).sqrt();
        if norm > 0.0 { common.map(weight).sum::<f64>() / norm } else { 0.0 }
    }
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
