//! A bounded channel of jobs with one lane for each priority. What is more urgent always comes first; within a lane
//! the order is kept. A full lane refuses: its sender must wait, nobody's memory grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memory_core::job::{Job, Priority};
use tokio::sync::mpsc::{Receiver, Sender, channel};

const LANES: usize = Priority::DESCENDING.len();

/// What has gone through one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneMetrics {
    /// Jobs that were put in.
    pub sent: u64,
    /// Jobs that were taken out.
    pub received: u64,
    /// How often a job was refused because the lane was full.
    pub full: u64,
}

#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    received: AtomicU64,
    full: AtomicU64,
}

/// The end where jobs are put in.
#[derive(Clone, Debug)]
pub struct LaneSender {
    lanes: [Sender<Job>; LANES],
    counters: Arc<[Counters; LANES]>,
}

/// The end where jobs are taken out.
#[derive(Debug)]
pub struct LaneReceiver {
    lanes: [Receiver<Job>; LANES],
    counters: Arc<[Counters; LANES]>,
}

/// Opens a channel whose lanes hold `capacity` jobs each; at least one.
pub fn open(capacity: usize) -> (LaneSender, LaneReceiver) {
    let lanes = Priority::DESCENDING.map(|_| channel(capacity.max(1)));
    let counters = Arc::new(Priority::DESCENDING.map(|_| Counters::default()));
    let [(s0, r0), (s1, r1), (s2, r2), (s3, r3)] = lanes;
    let sender = LaneSender { lanes: [s0, s1, s2, s3], counters: counters.clone() };
    (sender, LaneReceiver { lanes: [r0, r1, r2, r3], counters })
}

/// The place of a priority among the lanes, the most urgent first.
fn place(priority: Priority) -> usize {
    match priority {
        Priority::Critical => 0,
        Priority::High => 1,
        Priority::Normal => 2,
        Priority::Low => 3,
    }
}

impl LaneSender {
    /// Puts a job into the lane of its priority.
    ///
    /// # Errors
    /// Gives the job back if the lane is full or the receiver is gone.
    pub fn try_push(&self, job: Job) -> Result<(), Job> {
        let place = place(job.priority);
        let counters = &self.counters[place];
        // Counted first: whoever takes the job out at once must not be ahead of the count.
        counters.sent.fetch_add(1, Ordering::Relaxed);
        self.lanes[place].try_send(job).map_err(|refused| {
            counters.sent.fetch_sub(1, Ordering::Relaxed);
            counters.full.fetch_add(1, Ordering::Relaxed);
            refused.into_inner()
        })
    }

    /// How many jobs are sure to fit, whatever their priorities.
    pub fn room(&self) -> usize {
        self.lanes.iter().map(Sender::capacity).min().unwrap_or(0)
    }

    /// What has gone through each lane, the most urgent first.
    pub fn metrics(&self) -> [(Priority, LaneMetrics); LANES] {
        Priority::DESCENDING.map(|priority| {
            let counters = &self.counters[place(priority)];
            let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            // In this order, so that no more jobs seem to come out than went in.
            let received = of(&counters.received);
            (priority, LaneMetrics { sent: of(&counters.sent), received, full: of(&counters.full) })
        })
    }
}

impl LaneReceiver {
    /// Takes the next job out, waiting for one; `None` once all senders are gone and the lanes are empty. No job is lost
    /// if the wait is given up.
    pub async fn pop(&mut self) -> Option<Job> {
        let [critical, high, normal, low] = &mut self.lanes;
        let job = tokio::select! {
            biased;
            Some(job) = critical.recv() => job,
            Some(job) = high.recv() => job,
            Some(job) = normal.recv() => job,
            Some(job) = low.recv() => job,
            else => return None,
        };
        Some(self.received(job))
    }

    /// Takes the next job out, if there is one.
    pub fn try_pop(&mut self) -> Option<Job> {
        let job = self.lanes.iter_mut().find_map(|lane| lane.try_recv().ok())?;
        Some(self.received(job))
    }

    /// Whether no job waits.
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(Receiver::is_empty)
    }

    fn received(&self, job: Job) -> Job {
        self.counters[place(job.priority)].received.fetch_add(1, Ordering::Relaxed);
        job
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memory_core::id::{EpisodeId, JobId};
    use uuid::Uuid;

    fn job(number: u128, priority: Priority) -> Job {
        let (id, episode_id) = (JobId(Uuid::from_u128(number)), EpisodeId(Uuid::from_u128(number)));
        Job { id, episode_id, priority, attempt: 1 }
    }

    async fn pop_all(receiver: &mut LaneReceiver) -> Vec<u128> {
        let mut popped = Vec::new();
        while !receiver.is_empty() {
            popped.extend(receiver.pop().await.map(|job| job.id.0.as_u128()));
        }
        popped
    }

    #[tokio::test]
    async fn the_urgent_overtake_and_equals_keep_their_order() {
        use Priority::{Critical, High, Low, Normal};
        let (sender, mut receiver) = open(8);
        for (number, priority) in (1..).zip([Low, Normal, Critical, Low, High, Critical]) {
            sender.try_push(job(number, priority)).unwrap();
        }
        assert_eq!(pop_all(&mut receiver).await, [3, 6, 5, 2, 1, 4]);
        for (number, priority) in (1..).zip([Low, Critical, Normal]) {
            sender.try_push(job(number, priority)).unwrap();
        }
        let next = std::iter::from_fn(|| receiver.try_pop());
        assert_eq!(next.map(|job| job.id.0.as_u128()).collect::<Vec<_>>(), [2, 3, 1]);
    }

    #[tokio::test]
    async fn a_full_lane_gives_the_job_back_and_leaves_the_others_open() {
        let (sender, mut receiver) = open(2);
        for number in 1..=2 {
            sender.try_push(job(number, Priority::Low)).unwrap();
        }
        assert_eq!(sender.room(), 0);
        let refused = job(3, Priority::Low);
        assert_eq!(sender.try_push(refused), Err(refused));
        sender.try_push(job(4, Priority::Critical)).unwrap();
        assert_eq!(receiver.pop().await.map(|job| job.id.0.as_u128()), Some(4));
        receiver.pop().await.unwrap();
        assert_eq!(sender.room(), 1);
        sender.try_push(refused).unwrap();
        let of = |sent, received, full| LaneMetrics { sent, received, full };
        let expected = [of(1, 1, 0), of(0, 0, 0), of(0, 0, 0), of(3, 1, 1)];
        assert_eq!(sender.metrics().map(|(_, metrics)| metrics), expected);
    }

    #[tokio::test]
    async fn a_waiting_receiver_gets_what_comes_and_learns_that_nothing_will() {
        let (sender, mut receiver) = open(1);
        let waiting = tokio::spawn(async move { (receiver.pop().await, receiver.pop().await) });
        tokio::task::yield_now().await;
        let sent = job(1, Priority::Normal);
        sender.try_push(sent).unwrap();
        drop(sender);
        assert_eq!(waiting.await.unwrap(), (Some(sent), None));
    }

    #[tokio::test]
    async fn a_job_whose_receiver_is_gone_comes_back() {
        let (sender, receiver) = open(1);
        drop(receiver);
        assert!(sender.try_push(job(1, Priority::High)).is_err());
    }
}
