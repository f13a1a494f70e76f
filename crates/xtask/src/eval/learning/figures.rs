//! From what was said to figures: the memory, counting alone, and the difference.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use serde::Serialize;
use serde_json::{Value, json};

use super::patterns::{EPISODES_MIN, Patterns};
use super::tools::Times;
use super::walk::{Forecast, Guess, Walk};
use crate::eval::interval::{Estimate, mean};
use crate::eval::report::write_table;
use crate::latency::Latency;

/// Bins in which forecasts are held against what happened.
const FORECAST_BINS: usize = 5;

/// One corpus, learned from and asked about.
#[derive(Default)]
pub(crate) struct CorpusRun {
    pub(crate) set: String,
    pub(crate) corpus: String,
    pub(crate) folds: usize,
    pub(crate) held_out: usize,
    pub(crate) walks: Vec<Walk>,
    pub(crate) patterns: Patterns,
    pub(crate) times: Times,
}

impl CorpusRun {
    pub(crate) fn report(&self) -> CorpusReport {
        let forecasts = self.walks.iter().filter_map(|walk| walk.forecast.as_ref());
        CorpusReport {
            set: self.set.clone(),
            corpus: self.corpus.clone(),
            folds: self.folds,
            held_out: self.held_out,
            walked: self.walks.len(),
            forecasts_without_rate: forecasts.filter(|forecast| forecast.memory.is_none()).count(),
            patterns_with_evidence_cut: self.patterns.cut,
            tools: self.times.iter().map(|(tool, times)| (*tool, Latency::of(times))).collect(),
            calibration: self.calibration(),
            figures: self.figures(),
        }
    }

    fn figures(&self) -> Vec<Compared> {
        let next: Vec<_> = self.guesses(|walk| walk.calls.iter().map(|call| &call.guess).collect());
        let recovery: Vec<_> = self.guesses(|walk| walk.recoveries.iter().collect());
        let squared = |probability: f64, forecast: &Forecast| {
            (probability - f64::from(u8::from(forecast.succeeded))).powi(2)
        };
        let brier = self.walks.iter().filter_map(|walk| {
            let forecast = walk.forecast.as_ref()?;
            let memory = squared(forecast.probability(), forecast);
            Some((walk.task, memory, squared(forecast.baseline, forecast)))
        });
        let brier: Vec<_> = brier.collect();
        let above = |measure, held_out_min| {
            let [memory, baseline, difference] = self.patterns.above_the_domain(held_out_min);
            Compared { measure, memory, baseline, difference }
        };
        let error = self.patterns.calibration_error();
        vec![
            Compared::paired("next tool right", &next),
            Compared::paired("success, Brier score", &brier),
            above("advice above its domain", 1),
            above("advice above its domain, 3 or more held out", EPISODES_MIN),
            Compared { memory: error, ..Compared::new("calibration error of rates") },
            Compared::paired("recovery right", &recovery),
            self.warned_that_failed(),
            self.failed_that_were_warned_of(),
        ]
    }

    /// For each guess the task, and whether the memory and the baseline were right.
    fn guesses<'a>(&'a self, of: impl Fn(&'a Walk) -> Vec<&'a Guess>) -> Vec<(usize, f64, f64)> {
        let right = |guess: &Option<String>, tool: &str| f64::from(guess.as_deref() == Some(tool));
        let values = |walk: &'a Walk| {
            let task = walk.task;
            let value = move |guess: &'a Guess| {
                (task, right(&guess.memory, &guess.tool), right(&guess.baseline, &guess.tool))
            };
            of(walk).into_iter().map(value)
        };
        self.walks.iter().flat_map(values).collect()
    }

    /// For each call the task, whether it was warned of, and whether it failed.
    fn calls(&self) -> impl Iterator<Item = (usize, bool, f64)> {
        let calls = |walk: &Walk| {
            let task = walk.task;
            let call = move |call: &super::walk::Call| (task, call.warned, f64::from(call.failed));
            walk.calls.iter().map(call).collect::<Vec<_>>()
        };
        self.walks.iter().flat_map(calls)
    }

    /// The precision of warnings beside the share of all calls that failed, which is that of warnings at random.
    fn warned_that_failed(&self) -> Compared {
        let all: Vec<(usize, f64)> = self.calls().map(|(task, _, failed)| (task, failed)).collect();
        let warned: Vec<(usize, f64)> =
            self.calls().filter(|(_, warned, _)| *warned).map(|(task, _, failed)| (task, failed)).collect();
        let difference =
            |times: &[f64]| Some(mean(warned.iter().copied(), times)? - mean(all.iter().copied(), times)?);
        let tasks = all.iter().map(|(task, _)| *task);
        Compared {
            measure: "warned calls that failed",
            memory: Estimate::of_clustered(&warned),
            baseline: Estimate::of_clustered(&all),
            difference: Estimate::resampled(warned.len(), -1.0..=1.0, tasks, difference),
        }
    }

    fn failed_that_were_warned_of(&self) -> Compared {
        let failed = self.calls().filter(|(_, _, failed)| *failed > 0.0);
        let warned: Vec<(usize, f64)> =
            failed.map(|(task, warned, _)| (task, f64::from(u8::from(warned)))).collect();
        Compared { memory: Estimate::of_clustered(&warned), ..Compared::new("failed calls warned of") }
    }

    fn calibration(&self) -> Vec<ForecastBin> {
        let mut bins: Vec<(usize, f64, usize)> = vec![(0, 0.0, 0); FORECAST_BINS];
        for forecast in self.walks.iter().filter_map(|walk| walk.forecast.as_ref()) {
            let probability = forecast.probability();
            let bin = ((probability * FORECAST_BINS as f64) as usize).min(FORECAST_BINS - 1);
            let (n, sum, succeeded) = &mut bins[bin];
            *n += 1;
            *sum += probability;
            *succeeded += usize::from(forecast.succeeded);
        }
        let filled = bins.into_iter().enumerate().filter(|(_, (n, ..))| *n > 0);
        let bin = |(place, (n, sum, succeeded)): (usize, (usize, f64, usize))| ForecastBin {
            from: place as f64 / FORECAST_BINS as f64,
            n,
            forecast: sum / n as f64,
            succeeded: succeeded as f64 / n as f64,
        };
        filled.map(bin).collect()
    }

    /// A line of JSON for each episode that was walked through and for each pattern that was found again.
    pub(crate) fn dump(&self) -> impl Iterator<Item = Value> {
        let (set, corpus) = (&self.set, &self.corpus);
        let walks = self.walks.iter().map(move |walk| json!({"set": set, "corpus": corpus, "episode": walk}));
        let tested = self.patterns.tested.iter();
        walks.chain(tested.map(move |one| json!({"set": set, "corpus": corpus, "pattern": one})))
    }
}

impl Forecast {
    /// What is forecast; where the memory names no rate, as without a memory.
    fn probability(&self) -> f64 {
        self.memory.unwrap_or(self.baseline)
    }
}

/// The figures of one corpus.
#[derive(Debug, Serialize)]
pub(crate) struct CorpusReport {
    set: String,
    corpus: String,
    folds: usize,
    /// Episodes that were held out, and how many of them were walked through.
    held_out: usize,
    walked: usize,
    /// Episodes for which the memory named no rate of success, so that the baseline's was taken.
    forecasts_without_rate: usize,
    /// Patterns that more held-out episodes show than `explain_pattern` named.
    patterns_with_evidence_cut: usize,
    /// How long the calls took.
    tools: BTreeMap<&'static str, Latency>,
    calibration: Vec<ForecastBin>,
    pub(crate) figures: Vec<Compared>,
}

/// Forecasts of success that are near to each other, and what happened.
#[derive(Debug, PartialEq, Serialize)]
struct ForecastBin {
    from: f64,
    n: usize,
    forecast: f64,
    succeeded: f64,
}

/// One measure of the memory beside what it has to be better than; nothing where it applies to nothing.
#[derive(Debug, Serialize)]
pub(crate) struct Compared {
    pub(crate) measure: &'static str,
    pub(crate) memory: Option<Estimate>,
    pub(crate) baseline: Option<Estimate>,
    /// The memory less the baseline.
    pub(crate) difference: Option<Estimate>,
}

impl Compared {
    fn new(measure: &'static str) -> Self {
        Self { measure, memory: None, baseline: None, difference: None }
    }

    /// From values for the same things: the task, the memory's, the baseline's.
    fn paired(measure: &'static str, values: &[(usize, f64, f64)]) -> Self {
        let estimate = |of: fn(f64, f64) -> f64| {
            let values: Vec<(usize, f64)> =
                values.iter().map(|(task, memory, baseline)| (*task, of(*memory, *baseline))).collect();
            Estimate::of_clustered(&values)
        };
        Self {
            measure,
            memory: estimate(|memory, _| memory),
            baseline: estimate(|_, baseline| baseline),
            difference: estimate(|memory, baseline| memory - baseline),
        }
    }

    fn line(&self) -> Vec<String> {
        let n = self.memory.map_or(0, |memory| memory.n);
        let cell = |estimate: Option<Estimate>| estimate.map_or("-".into(), |known| known.to_string());
        // A control group is a number of other things.
        let of = self
            .baseline
            .filter(|known| known.n != n)
            .map_or(String::new(), |known| format!(" of {}", known.n));
        let difference = self.difference.map_or("-".into(), |known| format!("{known:+}"));
        vec![self.measure.into(), n.to_string(), cell(self.memory), cell(self.baseline) + &of, difference]
    }
}

impl Display for CorpusReport {
    /// Figures are in percent, differences in points of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { set, corpus, folds, held_out, walked, .. } = self;
        writeln!(f, "{set} {corpus}: {folds} folds, {held_out} episodes held out, {walked} walked through")?;
        for tool in ["recommend", "check_action"] {
            if let Some(latency) = self.tools.get(tool) {
                writeln!(f, "  {tool}: {latency}")?;
            }
        }
        let head = ["", "n", "memory", "baseline", "difference"].map(String::from).to_vec();
        let table: Vec<Vec<String>> =
            [head].into_iter().chain(self.figures.iter().map(Compared::line)).collect();
        write_table(f, &table)?;
        for ForecastBin { from, n, forecast, succeeded } in &self.calibration {
            let (from, to) = (100.0 * from, 100.0 * (from + 1.0 / FORECAST_BINS as f64));
            let (forecast, succeeded) = (100.0 * forecast, 100.0 * succeeded);
            writeln!(
                f,
                "  success forecast from {from:.0} to {to:.0}: {n} episodes, {forecast:.1} forecast, {succeeded:.1} came true"
            )?;
        }
        if self.forecasts_without_rate > 0 {
            writeln!(f, "  {} forecasts had no rate and took the baseline's", self.forecasts_without_rate)?;
        }
        if self.patterns_with_evidence_cut > 0 {
            writeln!(f, "  {} patterns did not name all of their evidence", self.patterns_with_evidence_cut)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::learning::walk::Call;

    fn guess(tool: &str, memory: &str, baseline: &str) -> Guess {
        Guess { tool: tool.into(), memory: Some(memory.into()), baseline: Some(baseline.into()) }
    }

    fn call(failed: bool, warned: bool) -> Call {
        Call { guess: guess("a", "a", "b"), failed, warned }
    }

    fn run() -> CorpusRun {
        let forecast = |memory, baseline, succeeded| Some(Forecast { memory, baseline, succeeded });
        let one = Walk {
            task: 3,
            forecast: forecast(Some(0.9), 0.5, true),
            calls: vec![call(true, true), call(false, true), call(true, false), call(false, false)],
            recoveries: vec![guess("a", "b", "a")],
            ..Walk::default()
        };
        let two = Walk {
            task: 1,
            forecast: forecast(None, 0.5, false),
            calls: vec![Call { guess: guess("c", "a", "c"), failed: false, warned: false }],
            ..Walk::default()
        };
        CorpusRun {
            set: "learning-repeat".into(),
            corpus: "tiny".into(),
            folds: 2,
            held_out: 3,
            walks: vec![one, two],
            ..CorpusRun::default()
        }
    }

    #[test]
    fn the_memory_stands_beside_what_it_has_to_be_better_than() {
        let figures = run().figures();
        let means = |measure: &str| {
            let figure = figures.iter().find(|figure| figure.measure == measure).unwrap();
            [figure.memory, figure.baseline, figure.difference]
                .map(|estimate| estimate.map(|estimate| (1_000.0 * estimate.mean).round() / 1_000.0))
        };
        assert_eq!(means("next tool right"), [Some(0.8), Some(0.2), Some(0.6)]);
        // (0.1² + 0.5²) / 2 against 0.5²: without a rate the baseline's is taken.
        assert_eq!(means("success, Brier score"), [Some(0.13), Some(0.25), Some(-0.12)]);
        assert_eq!(means("recovery right"), [Some(0.0), Some(1.0), Some(-1.0)]);
        assert_eq!(means("warned calls that failed"), [Some(0.5), Some(0.4), Some(0.1)]);
        assert_eq!(means("failed calls warned of"), [Some(0.5), None, None]);
        assert_eq!(means("advice above its domain"), [None, None, None]);
    }

    #[test]
    fn intervals_are_over_tasks() {
        let next = &run().figures()[0];
        // The four calls of the one task stand and fall together.
        let difference = next.difference.unwrap();
        assert_eq!((difference.n, difference.low, difference.high), (5, -1.0, 1.0));
    }

    #[test]
    fn forecasts_are_binned_by_what_was_forecast() {
        let bins = run().calibration();
        let bins: Vec<_> = bins.iter().map(|bin| (bin.from, bin.n, bin.forecast, bin.succeeded)).collect();
        assert_eq!(bins, [(0.4, 1, 0.5, 0.0), (0.8, 1, 0.9, 1.0)]);
    }

    #[test]
    fn the_table_has_a_line_for_each_measure() {
        let table = run().report().to_string();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "learning-repeat tiny: 2 folds, 3 episodes held out, 2 walked through");
        assert_eq!(lines.len(), 1 + 1 + 8 + 2 + 1, "{table}");
        let cells: Vec<&str> = lines[2].split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect();
        assert_eq!(
            cells,
            ["next tool right", "5", "80.0 [0.0 100.0]", "20.0 [0.0 100.0]", "+60.0 [-100.0 +100.0]"]
        );
        assert!(lines[8].contains("40.0 [0.0 50.0] of 5"), "{table}");
        assert_eq!(lines[12], "  1 forecasts had no rate and took the baseline's");
    }
}
