//! How long to wait before the next attempt.

use std::time::Duration;

use crate::limits::{RETRY_MILLIS_BASE, RETRY_MILLIS_MAX};

/// The wait after this many failures in a row: exponential, and spread so that what failed together is not tried again
/// together.
pub(crate) fn delay(failures: u32) -> Duration {
    jittered(failures, fastrand::f64())
}

/// `chance` is in 0..1.
fn jittered(failures: u32, chance: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(u64::BITS - 1);
    let nominal = RETRY_MILLIS_BASE.saturating_mul(1 << doublings).min(RETRY_MILLIS_MAX);
    Duration::from_millis((nominal as f64 * (0.5 + chance)) as u64)
}

#[cfg(test)]
mod tests {
    use super::jittered;

    #[test]
    fn waits_double_from_a_second_to_a_minute() {
        let nominal = |failures| jittered(failures, 0.5).as_secs_f64();
        let waits: Vec<f64> = [1, 2, 3, 6, 7, 100, u32::MAX].map(nominal).to_vec();
        assert_eq!(waits, [1.0, 2.0, 4.0, 32.0, 60.0, 60.0, 60.0]);
        assert_eq!(nominal(0), 1.0);
    }

    #[test]
    fn jitter_spreads_a_wait_by_half_either_way() {
        assert_eq!(jittered(3, 0.0).as_secs_f64(), 2.0);
        assert_eq!(jittered(3, 1.0).as_secs_f64(), 6.0);
    }
}
