//! Periods of time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A period of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
}

impl Period {
    /// Whether a moment lies in it.
    pub fn contains(&self, when: Timestamp) -> bool {
        (self.from..self.to).contains(&when)
    }
}
