//! Time that stands still until it is set, and ids that are the same in every run.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use memory_core::port::Source;
use uuid::{Builder, Uuid};

/// A [`Source`] whose time moves only when it is told to, and whose ids count up.
#[derive(Debug)]
pub struct TestSource {
    micros: AtomicI64,
    given: AtomicU64,
}

impl Default for TestSource {
    fn default() -> Self {
        Self::at("2026-01-01T00:00:00Z".parse().expect("a timestamp"))
    }
}

impl TestSource {
    /// A source whose time is `now`, to the microsecond.
    pub fn at(now: Timestamp) -> Self {
        Self { micros: AtomicI64::new(now.as_microsecond()), given: AtomicU64::new(0) }
    }

    /// Sets the time.
    pub fn set(&self, now: Timestamp) {
        self.micros.store(now.as_microsecond(), Ordering::SeqCst);
    }

    /// Moves the time on.
    pub fn advance(&self, by: SignedDuration) {
        self.set(self.now() + by);
    }
}

impl Source for TestSource {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.micros.load(Ordering::SeqCst)).expect("a timestamp that was set")
    }

    fn id(&self) -> Uuid {
        let mut counter = [0; 10];
        counter[2..].copy_from_slice(&self.given.fetch_add(1, Ordering::SeqCst).to_be_bytes());
        let millis = u64::try_from(self.now().as_millisecond()).unwrap_or(0);
        Builder::from_unix_timestamp_millis(millis, &counter).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_new_sorted_and_the_same_in_every_run() {
        let ids = || {
            let source = TestSource::default();
            (0..300).map(|_| source.id()).collect::<Vec<_>>()
        };
        let given = ids();
        assert!(given.is_sorted_by(|a, b| a < b));
        assert_eq!(given, ids());
        assert_eq!(given[0].get_version_num(), 7);
    }
}
