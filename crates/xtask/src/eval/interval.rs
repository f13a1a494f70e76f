//! Means with the interval in which they would lie with other questions of the same kind.

use serde::Serialize;

/// Resamples of a bootstrap.
const RESAMPLES: usize = 1_000;
/// The same values always give the same interval.
const SEED: u64 = 20_240_229;

/// A mean over questions with its 95 % interval.
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
        if values.is_empty() {
            return None;
        }
        let n = values.len();
        let mut random = fastrand::Rng::with_seed(SEED);
        let mut resample = || (0..n).map(|_| values[random.usize(..n)]).sum::<f64>() / n as f64;
        let mut means: Vec<f64> = (0..RESAMPLES).map(|_| resample()).collect();
        means.sort_by(f64::total_cmp);
        let at = |share: f64| means[((RESAMPLES - 1) as f64 * share).round() as usize];
        Some(Self { n, mean: values.iter().sum::<f64>() / n as f64, low: at(0.025), high: at(0.975) })
    }
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
}
