//! The vectors of a segment that may be among the best, as far as their codes tell.
//!
//! What the best will score at the least is known only once they are found, so comparing exactly whatever may be of use
//! at the moment compares very many that are of none in the end. All codes are gone through first, therefore: those that
//! certainly score much set a threshold that the others must be able to reach.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Collects rows in ascending order.
pub(crate) struct Promising {
    limit: usize,
    /// The best as surely as the codes tell, each of another document.
    sure: BinaryHeap<Reverse<Sure>>,
    last: Option<u32>,
    /// Who cannot score this is of no use.
    threshold: f32,
    /// Rows with the most that each may score.
    rows: Vec<(u32, f32)>,
}

/// A row by the least that it scores.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sure {
    least: f32,
    row: u32,
}

impl Eq for Sure {}

impl PartialOrd for Sure {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sure {
    fn cmp(&self, other: &Self) -> Ordering {
        self.least.total_cmp(&other.least).then(self.row.cmp(&other.row))
    }
}

impl Promising {
    /// Looks for the `limit` best of those that score at least `threshold`.
    pub(crate) fn new(limit: usize, threshold: f32) -> Self {
        Self { limit, sure: BinaryHeap::new(), last: None, threshold, rows: Vec::new() }
    }

    /// Whether a row that scores this at the most may be of use.
    #[inline]
    pub(crate) fn wants(&self, most: f32) -> bool {
        most >= self.threshold
    }

    /// Adds a row of an admitted document that scores between `least` and `most`.
    pub(crate) fn add(&mut self, row: u32, document: u32, (least, most): (f32, f32)) {
        self.rows.push((row, most));
        // More than one of a document may be too many of it.
        if least < self.threshold || self.last == Some(document) {
            return;
        }
        self.last = Some(document);
        self.sure.push(Reverse(Sure { least, row }));
        if self.sure.len() > self.limit {
            self.sure.pop();
        }
        if let (true, Some(Reverse(worst))) = (self.sure.len() == self.limit, self.sure.peek()) {
            self.threshold = self.threshold.max(worst.least);
        }
    }

    /// What the best score at the least, given the scores of rows: so many of other documents do; and the rows that may
    /// reach it, with the most that each may score.
    pub(crate) fn finish(self, score: impl Fn(u32) -> f32) -> (f32, Vec<(u32, f32)>) {
        let mut threshold = self.threshold;
        if self.sure.len() == self.limit {
            let scores = self.sure.iter().map(|Reverse(sure)| score(sure.row));
            threshold = threshold.max(scores.fold(f32::INFINITY, f32::min));
        }
        let mut rows = self.rows;
        rows.retain(|(_, most)| *most >= threshold);
        (threshold, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_among_the_promising_and_most_others_are_not() {
        let mut random = fastrand::Rng::with_seed(4);
        for limit in [1, 10, 50] {
            let scores: Vec<f32> = (0..5_000).map(|_| random.f32() + random.f32()).collect();
            let mut promising = Promising::new(limit, 0.5);
            for (row, score) in (0..).zip(&scores) {
                let bounds = (score - 0.1 * random.f32(), score + 0.1 * random.f32());
                if promising.wants(bounds.1) {
                    promising.add(row, row / 2, bounds);
                }
            }
            let (threshold, rows) = promising.finish(|row| scores[row as usize]);
            let mut order: Vec<u32> = (0..5_000).collect();
            order.sort_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]));
            let best = &order[..limit];
            assert!(best.iter().all(|row| scores[*row as usize] >= threshold));
            assert!(best.iter().all(|row| rows.iter().any(|(promising, _)| promising == row)));
            assert!(rows.len() < 400 && rows.is_sorted(), "{} rows for {limit}", rows.len());
        }
    }

    #[test]
    fn where_there_are_few_all_are_promising() {
        let mut promising = Promising::new(3, f32::NEG_INFINITY);
        for row in 0..10 {
            promising.add(row, 7, (0.1 * row as f32, 0.1 * row as f32 + 0.05));
        }
        let (threshold, rows) = promising.finish(|_| 9.0);
        assert_eq!((threshold, rows.len()), (f32::NEG_INFINITY, 10), "one document sets no threshold");
    }
}
