//! How likely a task is to succeed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::EpisodeId;
use crate::pattern::{Fields, Measure, PatternBody, Prior, Rate, Tally};
use crate::retrieve::Lesson;

/// How many episodes of the same task what is known of others is worth. The trials of a benchmark's tasks, of which most
/// succeed nearly always or nearly never, have 1.5 to 3.
pub(crate) const TASK_STRENGTH: f64 = 2.5;
/// How far the rates of the tools that a task uses move what is expected of it, in log-odds for log-odds.
const TOOLS_WEIGHT: f64 = 2.0;
/// The furthest, in log-odds.
const TOOLS_SHIFT_MAX: f64 = 2.0;
/// Share of a domain's episodes from which on a tool is used by all and tells nothing.
const COMMON_TOOL_SHARE: f64 = 0.8;

/// An earlier run of the task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// The episode.
    pub episode: EpisodeId,
    /// What it adds.
    pub observed: Tally,
}

/// How likely a task is to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// The rate.
    pub rate: Rate,
    /// Whether no earlier run was like enough to count, so that this is the usual rate of the domain.
    pub gated: bool,
}

/// The forecast from earlier runs of the same task, what those teach, and what is usual; `None` if not even that is known.
///
/// Runs of tasks that are merely similar do not count: on four corpora they forecast worse than the usual rate. Runs of the
/// same task are weighed against a prior of 2.5 episodes. Its mean is the usual rate moved by the mean log-odds of
/// the tools that those runs used, by the rates that these have in other tasks.
pub fn forecast(runs: &[Run], lessons: &[Lesson], fields: &Fields, now: Timestamp) -> Option<Forecast> {
    let base = fields.base(Measure::Success);
    if base.episodes == 0 {
        return None;
    }
    let usual = base.share();
    if runs.is_empty() {
        // As sure as the episodes are many, whatever their age: the usual rate is all there is.
        let episodes = f64::from(base.episodes);
        let evidence = Tally { weight: episodes, credit: episodes * observed(&base), ..base };
        let rate = Prior { mean: 0.5, strength: 1.0 }.rate(&evidence);
        return Some(Forecast { rate, gated: true });
    }
    let own = runs.iter().fold(Tally::default(), |sum, run| sum.plus(&run.observed)).at(now);
    let mean = logistic(log_odds(usual) + shift(runs, lessons, fields, now));
    let rate = Prior { mean, strength: TASK_STRENGTH }.rate(&Tally { episodes: runs.len() as u32, ..own });
    Some(Forecast { rate, gated: false })
}

fn observed(tally: &Tally) -> f64 {
    if tally.weight > 0.0 { (tally.credit / tally.weight).clamp(0.0, 1.0) } else { 0.5 }
}

/// By how much the tools that these runs used move the expectation, in log-odds.
fn shift(runs: &[Run], lessons: &[Lesson], fields: &Fields, now: Timestamp) -> f64 {
    // Against the usual rate as the rates of the tools count it.
    let base = fields.base(Measure::Outcome);
    let usual = log_odds(base.share());
    let (mut sum, mut weights) = (0.0, 0.0);
    for lesson in lessons {
        let PatternBody::Context { name, .. } = &lesson.pattern.body else { continue };
        let tally = &lesson.pattern.tally;
        if name != "tool" || f64::from(tally.episodes) > COMMON_TOOL_SHARE * f64::from(base.episodes) {
            continue;
        }
        let prior = fields.prior(lesson.pattern.domain.as_deref(), Measure::Outcome);
        let elsewhere = tally.minus(&lesson.own.clustered()).at(now);
        let used_in = |run: &&Run| lesson.shown_by.contains(&run.episode);
        let weight = runs.iter().filter(used_in).count() as f64;
        sum += weight * (log_odds(prior.mean_with(&elsewhere)) - usual);
        weights += weight;
    }
    if weights > 0.0 { (TOOLS_WEIGHT * sum / weights).clamp(-TOOLS_SHIFT_MAX, TOOLS_SHIFT_MAX) } else { 0.0 }
}

fn log_odds(rate: f64) -> f64 {
    let rate = rate.clamp(0.01, 0.99);
    (rate / (1.0 - rate)).ln()
}

fn logistic(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Field;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn fields(credit: f64, episodes: u32) -> Fields {
        let one = Tally::one(1.0, 1.0, NOW);
        let base = Tally {
            weight: one.weight * f64::from(episodes),
            credit: one.weight * credit,
            episodes,
            families: episodes,
        };
        let field = |measure| Field { domain: None, measure, base, strength: 4.0 };
        Fields([Measure::Outcome, Measure::Success].map(field).to_vec())
    }

    fn runs(credits: &[f64]) -> Vec<Run> {
        let episode = EpisodeId(uuid::Uuid::nil());
        credits.iter().map(|credit| Run { episode, observed: Tally::one(*credit, 1.0, NOW) }).collect()
    }

    #[test]
    fn an_unknown_task_gets_the_usual_rate_and_says_so() {
        let told = forecast(&[], &[], &fields(30.0, 100), NOW).unwrap();
        assert!(told.gated && (told.rate.mean - 0.3).abs() < 0.01, "{told:?}");
        assert!(told.rate.low < told.rate.mean && told.rate.mean < told.rate.high);
        assert_eq!(forecast(&[], &[], &Fields::default(), NOW), None);
    }

    #[test]
    fn earlier_runs_of_the_task_move_the_rate_as_far_as_they_are_many() {
        let told = |credits: &[f64]| forecast(&runs(credits), &[], &fields(50.0, 100), NOW).unwrap();
        let means: Vec<f64> =
            [&[1.0][..], &[1.0; 3], &[1.0; 9]].iter().map(|credits| told(credits).rate.mean).collect();
        assert!(0.5 < means[0] && means[0] < means[1] && means[1] < means[2], "{means:?}");
        assert!(told(&[0.0]).rate.mean < 0.5 && !told(&[0.0]).gated);
        assert_eq!(told(&[1.0, 0.0]).rate.episodes, 2);
    }
}
