//! The best of many passages, a few of each document.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use memory_core::retrieve::Kind;

use crate::limits::DOCUMENT_PASSAGES_MAX;
use crate::segment::{Owners, Segment, split};

/// A passage with its score. The greater is the better; of equal ones the later, then the one of greater id, then the
/// earlier passage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scored {
    pub(crate) score: f32,
    at: i64,
    id: (Kind, u128),
    /// The segment.
    pub(crate) part: u32,
    pub(crate) passage: u32,
}

impl Eq for Scored {}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.score.total_cmp(&other.score);
        let order = order.then(self.at.cmp(&other.at)).then(self.id.cmp(&other.id));
        order.then(other.part.cmp(&self.part)).then(other.passage.cmp(&self.passage))
    }
}

/// Keeps the best.
pub(crate) struct Best {
    limit: usize,
    heap: BinaryHeap<Reverse<Scored>>,
    /// A score below this is of no use.
    threshold: f32,
}

impl Best {
    /// Keeps the `limit` best of those that score at least `threshold`.
    pub(crate) fn new(limit: usize, threshold: f32) -> Self {
        let threshold = if limit == 0 { f32::INFINITY } else { threshold };
        Self { limit, heap: BinaryHeap::new(), threshold }
    }

    /// How many are kept, and the score below which one is of no use.
    pub(crate) fn wanted(&self) -> (usize, f32) {
        (self.limit, self.threshold)
    }

    /// Notes that a score below this is of no use.
    pub(crate) fn raise(&mut self, threshold: f32) {
        self.threshold = self.threshold.max(threshold);
    }

    /// The best, the best first.
    pub(crate) fn into_sorted(self) -> Vec<Scored> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse(scored)| scored).collect()
    }

    fn offer(&mut self, scored: Scored) {
        if self.heap.len() == self.limit {
            match self.heap.peek() {
                Some(Reverse(least)) if scored > *least => {
                    self.heap.pop();
                }
                _ => return,
            }
        }
        self.heap.push(Reverse(scored));
        if self.heap.len() == self.limit
            && let Some(Reverse(least)) = self.heap.peek()
        {
            self.threshold = self.threshold.max(least.score);
        }
    }
}

/// Offers the passages of one segment in ascending order.
pub(crate) struct Offering<'a> {
    best: &'a mut Best,
    segment: &'a Segment,
    owners: Owners<'a>,
    part: u32,
    document: u32,
    /// The best passages of that document, the best first.
    few: [(f32, u32); DOCUMENT_PASSAGES_MAX],
    count: usize,
}

impl<'a> Offering<'a> {
    pub(crate) fn new(best: &'a mut Best, segment: &'a Segment, part: u32) -> Self {
        let (owners, few) = (segment.owners(), [(0.0, 0); DOCUMENT_PASSAGES_MAX]);
        Self { best, segment, owners, part, document: 0, few, count: 0 }
    }

    pub(crate) fn segment(&self) -> &'a Segment {
        self.segment
    }

    /// Whether a passage of this score would be looked at.
    #[inline]
    pub(crate) fn wants(&self, score: f32) -> bool {
        score >= self.best.threshold
    }

    /// The document of a passage.
    #[inline]
    pub(crate) fn document_of(&self, passage: u32) -> u32 {
        self.owners.of(passage)
    }

    pub(crate) fn offer(&mut self, passage: u32, document: u32, score: f32) {
        if document != self.document {
            self.flush();
            self.document = document;
        }
        let place = self.few[..self.count].partition_point(|(other, _)| *other >= score);
        if place < DOCUMENT_PASSAGES_MAX {
            self.count = (self.count + 1).min(DOCUMENT_PASSAGES_MAX);
            self.few[place..self.count].rotate_right(1);
            self.few[place] = (score, passage);
        }
    }

    fn flush(&mut self) {
        for (score, passage) in self.few.into_iter().take(std::mem::take(&mut self.count)) {
            if self.wants(score) {
                let (at, id) = (self.segment.at(self.document), split(self.segment.found(self.document)));
                self.best.offer(Scored { score, at, id, part: self.part, passage });
            }
        }
    }
}

impl Drop for Offering<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}
