//! Means with the interval in which they would lie with other questions of the same kind.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::ops::RangeInclusive;

use serde::Serialize;

/// Resamples of a bootstrap.
const RESAMPLES: usize = 1_000;
/// The same values always give the same interval.
const SEED: u64 = 20_240_229;

/// A figure, mostly a mean over questions, with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// Over how many questions.
    pub(crate) n: usize,
    pub(crate) mean: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Estimate {
    /// The mean, and the percentile bootstrap of it; `None` without values.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let each_alone: Vec<(usize, f64)> = values.iter().copied().enumerate().collect();
        Self::of_clustered(&each_alone)
    }

    /// The mean of values that each belong to a cluster, which is drawn with all of its values or not at all.
    pub(crate) fn of_clustered(values: &[(usize, f64)]) -> Option<Self> {
        let figure = |times: &[f64]| mean(values.iter().copied(), times);
        let (value, draws) = draws(values.iter().map(|(cluster, _)| *cluster), figure)?;
        let (low, high) = middle(&draws)?;
        Some(Self { n: values.len(), mean: value, low, high })
    }

    /// Any other figure over `n` things that belong to `clusters`. `figure` is told how many times each cluster counts;
    /// draws for which there is no figure are left out.
    ///
    /// What is drawn twice looks more extreme than it is, so that shares of what is above a bound and sums of absolute
    /// errors are off in every draw in the same direction: the interval is the spread of the draws about the figure
    /// instead of about their mean, within the `range` that the figure can have.
    pub(crate) fn resampled(
        n: usize,
        range: RangeInclusive<f64>,
        clusters: impl IntoIterator<Item = usize>,
        figure: impl Fn(&[f64]) -> Option<f64>,
    ) -> Option<Self> {
        let (value, draws) = draws(clusters, figure)?;
        let (low, high) = middle(&draws)?;
        let off = draws.iter().sum::<f64>() / draws.len() as f64 - value;
        let [low, high] = [low, high].map(|bound| (bound - off).clamp(*range.start(), *range.end()));
        Some(Self { n, mean: value, low, high })
    }
}

/// A figure, and what it is when as many clusters as there are are drawn from them, in order.
fn draws(
    clusters: impl IntoIterator<Item = usize>,
    figure: impl Fn(&[f64]) -> Option<f64>,
) -> Option<(f64, Vec<f64>)> {
    let clusters: Vec<usize> = clusters.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let places = clusters.last()? + 1;
    let value = figure(&vec![1.0; places])?;
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut draw = || {
        let mut times = vec![0.0; places];
        for _ in &clusters {
            times[clusters[random.usize(..clusters.len())]] += 1.0;
        }
        figure(&times)
    };
    let mut draws: Vec<f64> = (0..RESAMPLES).filter_map(|_| draw()).collect();
    draws.sort_by(f64::total_cmp);
    Some((value, draws))
}

/// Between what the middle 95 % of the draws lie.
fn middle(draws: &[f64]) -> Option<(f64, f64)> {
    let last = draws.len().checked_sub(1)?;
    let at = |share: f64| draws[(last as f64 * share).round() as usize];
    Some((at(0.025), at(0.975)))
}

impl Display for Estimate {
    /// In percent; with the sign of all of it if that is asked for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [mean, low, high] = [self.mean, self.low, self.high].map(|share| 100.0 * share);
        if f.sign_plus() {
            write!(f, "{mean:+.1} [{low:+.1} {high:+.1}]")
        } else {
            write!(f, "{mean:.1} [{low:.1} {high:.1}]")
        }
    }
}

/// The mean of values, each counted as many times as its cluster; `None` where nothing counts.
pub(crate) fn mean(values: impl Iterator<Item = (usize, f64)>, times: &[f64]) -> Option<f64> {
    let add = |(sum, n), (cluster, value): (usize, f64)| (sum + times[cluster] * value, n + times[cluster]);
    let (sum, n) = values.fold((0.0, 0.0), add);
    (n > 0.0).then(|| sum / n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_values_give_the_same_interval() {
        let values: Vec<f64> = (0..100).map(|i| f64::from(i % 4 == 0)).collect();
        let estimate = Estimate::of(&values).unwrap();
        assert_eq!(Estimate::of(&values).unwrap(), estimate);
        assert_eq!((estimate.n, estimate.mean), (100, 0.25));
        // The standard error of a share of one quarter of a hundred is 0.043.
        assert!((0.14..0.19).contains(&estimate.low), "{estimate:?}");
        assert!((0.31..0.36).contains(&estimate.high), "{estimate:?}");
    }

    #[test]
    fn without_spread_there_is_no_width_and_without_values_no_estimate() {
        assert_eq!(Estimate::of(&[0.5; 7]), Some(Estimate { n: 7, mean: 0.5, low: 0.5, high: 0.5 }));
        assert_eq!(Estimate::of(&[]), None);
    }

    #[test]
    fn values_of_one_cluster_are_drawn_together() {
        // Ten clusters of ten equal values tell as much as ten values do.
        let shares = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0];
        let clustered: Vec<(usize, f64)> =
            (0..100).map(|place| (7 * (place / 10), shares[place / 10])).collect();
        let (clustered, few) = (Estimate::of_clustered(&clustered).unwrap(), Estimate::of(&shares).unwrap());
        assert_eq!((clustered.n, clustered.mean), (100, 0.3));
        assert_eq!((clustered.low, clustered.high), (few.low, few.high));
    }

    #[test]
    fn a_large_cluster_weighs_as_much_as_it_holds() {
        let values = [(0, 1.0), (0, 1.0), (0, 1.0), (1, 0.0)];
        assert_eq!(mean(values.into_iter(), &[1.0, 1.0]), Some(0.75));
        assert_eq!(mean(values.into_iter(), &[1.0, 3.0]), Some(0.5));
        assert_eq!(mean(values.into_iter(), &[0.0, 0.0]), None);
        let estimate = Estimate::of_clustered(&values).unwrap();
        assert_eq!((estimate.low, estimate.high), (0.0, 1.0));
    }

    #[test]
    fn a_draw_without_a_figure_is_left_out() {
        let second = |times: &[f64]| mean([(1, 0.5)].into_iter(), times);
        let estimate = Estimate::resampled(1, 0.0..=1.0, [0, 1, 2], second).unwrap();
        assert_eq!((estimate.mean, estimate.low, estimate.high), (0.5, 0.5, 0.5));
        assert_eq!(Estimate::resampled(1, 0.0..=1.0, [0], |_| None), None);
        assert_eq!(Estimate::resampled(0, 0.0..=1.0, [], |_| Some(1.0)), None);
    }

    #[test]
    fn draws_that_are_all_off_do_not_move_the_interval_away_from_the_figure() {
        // How far the mean of many halves is from one half: not at all, but in nearly every draw a little.
        let values: Vec<(usize, f64)> = (0..100).map(|i| (i, f64::from(u8::from(i % 2 == 0)))).collect();
        let off = |times: &[f64]| Some((mean(values.iter().copied(), times)? - 0.5).abs());
        let estimate = Estimate::resampled(100, 0.0..=1.0, 0..100, off).unwrap();
        assert_eq!((estimate.mean, estimate.low), (0.0, 0.0));
        assert!((0.02..0.09).contains(&estimate.high), "{estimate:?}");
    }
}
