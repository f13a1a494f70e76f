//! Every bound of the queue, with its unit in its name.

/// Jobs that one lane holds.
pub const LANE_JOBS_MAX: usize = 256;
/// Jobs claimed at once. Less than a lane holds, so that an urgent job finds room behind a backlog.
pub const CLAIM_JOBS_MAX: usize = 128;
/// For how long a claimed job belongs to its worker, in seconds.
pub const LEASE_SECONDS: i64 = 60;
/// Claims of one job that end without a word (a crash, a lost lease) before it is given up: it may be
/// what kills its workers.
pub const CLAIMS_MAX: u32 = 20;
/// Wait before the first retry, in milliseconds; it doubles with every further one.
pub const RETRY_MILLIS_BASE: u64 = 1_000;
/// Longest wait before a retry, in milliseconds, before the jitter of ±50 %.
pub const RETRY_MILLIS_MAX: u64 = 60_000;
/// How often a worker that was woken lets the other tasks of the runtime go first. An acknowledgement passes through
/// about six tasks on its way out; nothing is learned from an episode before its completion is acknowledged.
pub const WAKE_YIELDS: u32 = 32;
/// Longest time between two looks at the durable queue, in milliseconds. Jobs of another process that died are found
/// by looking alone.
pub const LOOK_MILLIS_MAX: u64 = 5_000;
/// Shortest time between two looks that nobody asked for, in milliseconds.
pub const LOOK_MILLIS_MIN: u64 = 50;
/// Requests to drain that may wait at the same time.
pub const DRAINS_MAX: usize = 8;
/// Episodes whose lessons are recorded in one transaction, at the most. Less than are claimed at once, so that what is urgent
/// does not wait for long.
pub const RECORDED_JOBS_MAX: usize = 64;
