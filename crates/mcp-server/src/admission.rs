//! How much is done at once, and for one client: what comes too fast waits a moment for its turn, and is told to come again
//! after that. So nothing queues without bound, and nobody can keep the others waiting.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Limits;
use crate::limits::{BURST, TURN_WAIT};

/// What a request does to the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// It only reads.
    Read,
    /// It may store something.
    Write,
}

/// Why a request is not answered now.
#[derive(Debug, thiserror::Error)]
#[error("busy: {reason}; try again in {} s", .retry_after.as_secs_f64().max(0.001).ceil())]
pub(crate) struct Busy {
    reason: &'static str,
    /// After which it may be asked again.
    pub(crate) retry_after: Duration,
}

/// The right to be worked on, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _place: Option<OwnedSemaphorePermit>,
}

/// What one principal may do at once.
pub(crate) struct Admission {
    /// Places for requests, of all principals together.
    turns: Arc<Semaphore>,
    reads: Bucket,
    writes: Bucket,
}

impl Admission {
    pub(crate) fn new(turns: Arc<Semaphore>) -> Self {
        Self { turns, reads: Bucket::new(), writes: Bucket::new() }
    }

    /// Waits until it is a request's turn, but not for long.
    ///
    /// # Errors
    /// [`Busy`] if the principal asks faster than it may, or if too much is being worked on.
    pub(crate) async fn turn(&self, work: Work, limits: &Limits) -> Result<Turn, Busy> {
        let (bucket, per_second, reason) = match work {
            Work::Read => {
                (&self.reads, limits.reads_per_second, "too many reads (`limits.reads_per_second`)")
            }
            Work::Write => {
                (&self.writes, limits.writes_per_second, "too many writes (`limits.writes_per_second`)")
            }
        };
        let wait =
            bucket.take(per_second, Instant::now()).map_err(|retry_after| Busy { reason, retry_after })?;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let left = TURN_WAIT.saturating_sub(wait);
        match tokio::time::timeout(left, self.turns.clone().acquire_owned()).await {
            // It is never closed.
            Ok(place) => Ok(Turn { _place: place.ok() }),
            Err(_) => {
                let reason = "too many requests are worked on (`limits.requests_at_once`)";
                Err(Busy { reason, retry_after: TURN_WAIT })
            }
        }
    }
}

/// A token bucket, kept as the time at which it is full again.
struct Bucket {
    full_at: Mutex<Instant>,
}

impl Bucket {
    fn new() -> Self {
        Self { full_at: Mutex::new(Instant::now()) }
    }

    /// Takes a token, which is there after the time that is returned; if that would be too long none is taken, and the
    /// time after which one is there is the error.
    fn take(&self, per_second: u64, now: Instant) -> Result<Duration, Duration> {
        let each = Duration::from_secs(1) / u32::try_from(per_second).unwrap_or(u32::MAX).max(1);
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = full_at.saturating_duration_since(now) + each;
        let wait = missing.saturating_sub(BURST.max(each));
        if wait > TURN_WAIT {
            return Err(wait);
        }
        *full_at = now + missing;
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_its_rate_and_after_a_pause_as_much_as_it_left() {
        let bucket = Bucket::new();
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        // Ten seconds' worth, at once.
        for n in 0..20 {
            assert_eq!(bucket.take(2, at(0)), Ok(Duration::ZERO), "{n}");
        }
        // Two wait for their turn, the next one would wait too long.
        assert_eq!(bucket.take(2, at(0)), Ok(Duration::from_millis(500)));
        assert_eq!(bucket.take(2, at(0)), Ok(Duration::from_millis(1_000)));
        assert_eq!(bucket.take(2, at(0)), Err(Duration::from_millis(1_500)));
        assert_eq!(bucket.take(2, at(1_500)), Ok(Duration::ZERO));
        // However long the pause was, it is ten seconds' worth.
        for n in 0..20 {
            assert_eq!(bucket.take(2, at(3_600_000)), Ok(Duration::ZERO), "{n}");
        }
        assert_eq!(bucket.take(2, at(3_600_000)), Ok(Duration::from_millis(500)));
    }

    #[test]
    fn a_rate_of_less_than_one_burst_still_lets_one_through() {
        let bucket = Bucket::new();
        let now = Instant::now();
        for _ in 0..10 {
            assert_eq!(bucket.take(1, now), Ok(Duration::ZERO));
        }
        assert_eq!(bucket.take(1, now), Ok(Duration::from_secs(1)));
        assert_eq!(bucket.take(1, now), Err(Duration::from_secs(2)));
    }
}
