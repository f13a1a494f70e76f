//! What was learned from some episodes, held against episodes that were never seen.

use std::collections::HashMap;

use anyhow::Context;
use serde::Serialize;

use super::corpus::{Corpus, Fold};
use super::tools::{Pattern, Server, Tools};
use crate::eval::interval::{Estimate, mean};

/// Episodes from which on a rate is taken at its word.
pub(crate) const EPISODES_MIN: usize = 3;
/// Bins of the calibration error.
const BINS: usize = 10;
/// The kind of pattern whose credit is not how the episode ended.
const OWN_CREDIT: &str = "error_recovery";
const ADVICE: &str = "advice";

/// A learned pattern that held-out episodes show, too.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Tested {
    pub(crate) fold: usize,
    pub(crate) id: String,
    pub(crate) kind: String,
    /// Whether it is advised.
    pub(crate) advice: bool,
    /// Its rate as it is shown, and the episodes that it was learned from.
    pub(crate) shown: f64,
    pub(crate) episodes: usize,
    /// The held-out episodes that show it: the number of the task, and the credit.
    pub(crate) held_out: Vec<(usize, f64)>,
    /// The place of its domain among [`Patterns::domains`].
    #[serde(skip)]
    pub(crate) domain: usize,
}

/// The patterns of all folds.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    /// Of each domain in each fold how the held-out episodes ended: the number of the task, and 1 for success.
    pub(crate) domains: Vec<Vec<(usize, f64)>>,
    pub(crate) tested: Vec<Tested>,
    /// Patterns that more held-out episodes show than were named.
    pub(crate) cut: usize,
}

impl Patterns {
    /// Looks for what was learned in a memory of the held-out episodes alone. Patterns that are no advice and stand on
    /// few episodes are left out: nothing is measured by them.
    pub(crate) fn test<S: Server>(
        &mut self,
        (number, fold): (usize, &Fold),
        corpus: &Corpus,
        learned: Vec<Pattern>,
        held_out: &mut Tools<'_, S>,
    ) -> anyhow::Result<()> {
        let tasks = corpus.tasks();
        let by_id: HashMap<&str, usize> =
            fold.held_out.iter().map(|place| (corpus.episodes[*place].id.as_str(), tasks[*place])).collect();
        let shown: HashMap<String, usize> =
            held_out.patterns()?.into_iter().map(|pattern| (pattern.id, pattern.rate.episodes)).collect();
        let mut domains: HashMap<Option<String>, usize> = HashMap::new();
        for pattern in learned {
            let advice = pattern.verdict.as_deref() == Some(ADVICE);
            let Some(expected) = shown.get(&pattern.id) else { continue };
            if !advice && pattern.rate.episodes < EPISODES_MIN {
                continue;
            }
            let mut credits = Vec::new();
            for evidence in held_out.evidence(&pattern.id)? {
                let task = evidence.external_id.as_deref().and_then(|id| by_id.get(id));
                let task = task.with_context(|| {
                    format!("explain_pattern names an episode that was not held out: {evidence:?}")
                })?;
                credits.extend(evidence.credit.map(|credit| (*task, credit)));
            }
            self.cut += usize::from(credits.len() < *expected);
            let domain = *domains.entry(pattern.domain).or_insert_with_key(|domain| {
                self.domains.push(outcomes(corpus, fold, &tasks, domain.as_deref()));
                self.domains.len() - 1
            });
            self.tested.push(Tested {
                fold: number,
                id: pattern.id,
                kind: pattern.kind,
                advice,
                shown: pattern.rate.mean,
                episodes: pattern.rate.episodes,
                held_out: credits,
                domain,
            });
        }
        Ok(())
    }

    /// The shares of the advised patterns and of the others whose held-out rate is above that of their domain, and the
    /// difference; of those that at least so many held-out episodes show.
    pub(crate) fn above_the_domain(&self, held_out_min: usize) -> [Option<Estimate>; 3] {
        let counts = |one: &&Tested| {
            let comparable = one.kind != OWN_CREDIT && !self.domains[one.domain].is_empty();
            comparable && one.held_out.len() >= held_out_min
        };
        let (advised, others): (Vec<&Tested>, Vec<&Tested>) =
            self.tested.iter().filter(counts).partition(|one| one.advice);
        let share = |patterns: &[&Tested], times: &[f64]| {
            let rates: Vec<_> =
                self.domains.iter().map(|outcomes| mean(outcomes.iter().copied(), times)).collect();
            let above = patterns.iter().filter_map(|one| {
                let rate = mean(one.held_out.iter().copied(), times)?;
                Some(f64::from(rate > rates[one.domain]?))
            });
            let above: Vec<f64> = above.collect();
            (!above.is_empty()).then(|| above.iter().sum::<f64>() / above.len() as f64)
        };
        let held_out = advised.iter().chain(&others).flat_map(|one| &one.held_out);
        let tasks: Vec<usize> =
            self.domains.iter().flatten().chain(held_out).map(|(task, _)| *task).collect();
        let estimate = |n: usize, least: f64, figure: &dyn Fn(&[f64]) -> Option<f64>| {
            Estimate::resampled(n, least..=1.0, tasks.iter().copied(), figure)
        };
        let difference = |times: &[f64]| Some(share(&advised, times)? - share(&others, times)?);
        [
            estimate(advised.len(), 0.0, &|times| share(&advised, times)),
            estimate(others.len(), 0.0, &|times| share(&others, times)),
            estimate(advised.len(), -1.0, &difference),
        ]
    }

    /// The expected calibration error of the rates that are shown, in [`BINS`] bins of equal width: how far the mean
    /// of a bin is from the mean credit, each weighted by the held-out episodes.
    pub(crate) fn calibration_error(&self) -> Option<Estimate> {
        let tested: Vec<&Tested> = self
            .tested
            .iter()
            .filter(|one| one.episodes >= EPISODES_MIN && !one.held_out.is_empty())
            .collect();
        let tasks = tested.iter().flat_map(|one| &one.held_out).map(|(task, _)| *task);
        Estimate::resampled(tested.len(), 0.0..=1.0, tasks, |times| {
            let (mut bins, mut all) = ([0.0; BINS], 0.0);
            for one in &tested {
                let bin = ((one.shown * BINS as f64) as usize).min(BINS - 1);
                for (task, credit) in &one.held_out {
                    bins[bin] += times[*task] * (one.shown - credit);
                    all += times[*task];
                }
            }
            (all > 0.0).then(|| bins.iter().map(|off| off.abs()).sum::<f64>() / all)
        })
    }
}

/// How the held-out episodes of a domain ended, where that is known; of all without a domain.
fn outcomes(corpus: &Corpus, fold: &Fold, tasks: &[usize], domain: Option<&str>) -> Vec<(usize, f64)> {
    let outcome = |place: &usize| {
        let episode = &corpus.episodes[*place];
        let counts = domain.is_none_or(|domain| episode.is_in(domain));
        let success = episode.success.filter(|_| counts)?;
        Some((tasks[*place], f64::from(u8::from(success))))
    };
    fold.held_out.iter().filter_map(outcome).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::eval::learning::tools::Times;

    fn tested(advice: bool, shown: f64, held_out: &[(usize, f64)]) -> Tested {
        let (id, kind) = ("p".into(), "tool_sequence".into());
        Tested { fold: 0, id, kind, advice, shown, episodes: 3, held_out: held_out.to_vec(), domain: 0 }
    }

    /// Of four held-out episodes, each of a task of its own, two succeeded.
    fn patterns(tested: Vec<Tested>) -> Patterns {
        Patterns { domains: vec![vec![(0, 1.0), (1, 1.0), (2, 0.0), (3, 0.0)], Vec::new()], tested, cut: 0 }
    }

    #[test]
    fn advice_is_held_against_the_domain_and_against_what_is_no_advice() {
        let patterns = patterns(vec![
            tested(true, 0.9, &[(0, 1.0), (1, 1.0), (2, 0.0)]),
            tested(true, 0.9, &[(3, 0.0)]),
            tested(false, 0.6, &[(0, 1.0), (3, 0.0)]),
            Tested { kind: OWN_CREDIT.into(), ..tested(true, 0.9, &[(0, 1.0)]) },
            // How the episodes of its domain ended is not known.
            Tested { domain: 1, ..tested(true, 0.9, &[(9, 1.0)]) },
        ]);
        let means = |held_out_min| {
            patterns.above_the_domain(held_out_min).map(|estimate| estimate.map(|one| (one.n, one.mean)))
        };
        // Two thirds are above one half, none is not, and neither is one half itself.
        assert_eq!(means(1), [Some((2, 0.5)), Some((1, 0.0)), Some((2, 0.5))]);
        assert_eq!(means(3), [Some((1, 1.0)), None, None]);
    }

    #[test]
    fn the_calibration_error_is_weighted_by_held_out_episodes() {
        let patterns = patterns(vec![
            // Both in the bin from 0.7: shown (3 × 0.7 + 1 × 0.78) / 4 = 0.72, held out 2 / 4.
            tested(true, 0.7, &[(0, 1.0), (1, 1.0), (2, 0.0)]),
            tested(false, 0.78, &[(3, 0.0)]),
            // By itself: shown 1, held out 1 / 2.
            tested(false, 1.0, &[(0, 1.0), (2, 0.0)]),
            // Stands on too few episodes.
            Tested { episodes: 2, ..tested(true, 0.2, &[(0, 1.0)]) },
        ]);
        let error = patterns.calibration_error().unwrap();
        let expected = 4.0 / 6.0 * (0.72 - 0.5) + 2.0 / 6.0 * 0.5;
        assert!((error.mean - expected).abs() < 1e-12, "{error:?}");
        assert_eq!(error.n, 3);
        assert_eq!(Patterns::default().calibration_error(), None);
    }

    /// Knows the pattern `p` of two episodes, of which it names one, and `q` of one.
    struct HeldOut;

    impl Server for HeldOut {
        fn call(&mut self, tool: &str, arguments: &Value) -> anyhow::Result<Value> {
            let listed = |id: &str, episodes: usize| json!({"id": id, "kind": "tool_sequence", "domain": "d", "verdict": null, "rate": {"mean": 0.5, "episodes": episodes}});
            Ok(match tool {
                "list_patterns" => json!({"patterns": [listed("p", 2), listed("q", 1)], "next_cursor": null}),
                _ => {
                    assert_eq!(arguments["pattern_id"], "p", "nothing is measured by the other");
                    json!({"evidence": [{"external_id": "b", "credit": 1.0}]})
                }
            })
        }
    }

    #[test]
    fn what_was_learned_is_found_again_by_its_id() {
        let episode = |id: &str, domain: &str, success: bool| {
            serde_json::from_value(
                json!({"id": id, "task_id": id, "task": "?", "domain": domain, "success": success}),
            )
            .unwrap()
        };
        let corpus = Corpus {
            name: "tiny".into(),
            episodes: vec![episode("a", "d", true), episode("b", "d", true), episode("c", "e", false)],
            lines: Vec::new(),
        };
        let fold = Fold { learned: vec![0], held_out: vec![1, 2] };
        let learned = |id: &str, verdict: Option<&str>, episodes: usize| Pattern {
            id: id.into(),
            kind: "tool_sequence".into(),
            domain: Some("d".into()),
            rate: serde_json::from_value(json!({"mean": 0.75, "episodes": episodes})).unwrap(),
            verdict: verdict.map(str::to_owned),
        };
        let all =
            vec![learned("p", Some("advice"), 1), learned("q", None, 2), learned("r", Some("advice"), 9)];
        let (mut patterns, mut times) = (Patterns::default(), Times::new());
        let mut tools = Tools { server: &mut HeldOut, times: &mut times };
        patterns.test((0, &fold), &corpus, all, &mut tools).unwrap();
        assert_eq!(patterns.domains, [vec![(1, 1.0)]]);
        let found: Vec<_> =
            patterns.tested.iter().map(|one| (one.id.as_str(), one.advice, &one.held_out)).collect();
        assert_eq!(found, [("p", true, &vec![(1, 1.0)])]);
        assert_eq!(patterns.cut, 1);
    }
}
