//! Sets of documents, one bit each.

use std::ops::Range;

/// A set of numbers below a bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// The empty set of numbers below `bound`.
    pub(crate) fn new(bound: u32) -> Self {
        Self { words: vec![0; (bound as usize).div_ceil(64)] }
    }

    /// Whether the number is in the set; one beyond the bound is not.
    #[inline]
    pub(crate) fn has(&self, n: u32) -> bool {
        self.words.get(n as usize / 64).is_some_and(|word| word >> (n % 64) & 1 == 1)
    }

    /// Adds a number; says whether it was new. One beyond the bound is ignored.
    pub(crate) fn add(&mut self, n: u32) -> bool {
        let Some(word) = self.words.get_mut(n as usize / 64) else { return false };
        let new = *word >> (n % 64) & 1 == 0;
        *word |= 1 << (n % 64);
        new
    }

    /// Takes a number out.
    pub(crate) fn remove(&mut self, n: u32) {
        if let Some(word) = self.words.get_mut(n as usize / 64) {
            *word &= !(1 << (n % 64));
        }
    }

    /// Adds a range of numbers.
    pub(crate) fn add_range(&mut self, range: Range<u32>) {
        let end = range.end.min((self.words.len() * 64) as u32);
        let mut n = range.start;
        while n < end {
            let upto = end.min((n / 64 + 1) * 64);
            let ones = u64::MAX >> (64 - (upto - n));
            self.words[n as usize / 64] |= ones << (n % 64);
            n = upto;
        }
    }

    /// Takes all numbers of another set out.
    pub(crate) fn subtract(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= !other;
        }
    }

    /// How many numbers it has.
    pub(crate) fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The first number of a range that is in the set.
    pub(crate) fn first_in(&self, range: Range<u32>) -> Option<u32> {
        let mut n = range.start;
        while n < range.end {
            let word = *self.words.get(n as usize / 64)? >> (n % 64);
            if word != 0 {
                let found = n + word.trailing_zeros();
                return (found < range.end).then_some(found);
            }
            n = (n / 64 + 1) * 64;
        }
        None
    }

    /// The last number of a range that is in the set.
    pub(crate) fn last_in(&self, range: Range<u32>) -> Option<u32> {
        let mut end = range.end.min((self.words.len() * 64) as u32);
        while end > range.start {
            let last = end - 1;
            let word = *self.words.get(last as usize / 64)? << (63 - last % 64);
            if word != 0 {
                let found = last - word.leading_zeros();
                return (found >= range.start).then_some(found);
            }
            end = last / 64 * 64;
        }
        None
    }

    /// Its numbers within a range, ascending.
    pub(crate) fn within(&self, range: Range<u32>) -> impl Iterator<Item = u32> {
        let mut next = range.start;
        std::iter::from_fn(move || {
            let found = self.first_in(next..range.end)?;
            next = found + 1;
            Some(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(
            ranges in proptest::collection::vec((0_u32..300, 0_u32..300), 0..4),
            singles in proptest::collection::vec(0_u32..300, 0..20),
            (from, to) in (0_u32..320, 0_u32..320),
        ) {
            let mut bits = Bits::new(300);
            let mut set = BTreeSet::new();
            for (start, end) in ranges {
                bits.add_range(start..end);
                set.extend(start..end);
            }
            let mut removed = Bits::new(300);
            for (i, single) in singles.into_iter().enumerate() {
                if i % 3 == 0 {
                    removed.add(single);
                    set.remove(&single);
                } else if !removed.has(single) {
                    prop_assert_eq!(bits.add(single), set.insert(single));
                }
            }
            bits.subtract(&removed);
            prop_assert_eq!(bits.count(), set.len() as u64);
            let inside: Vec<u32> = set.iter().copied().filter(|n| (from..to).contains(n)).collect();
            prop_assert_eq!(bits.within(from..to).collect::<Vec<_>>(), inside.clone());
            prop_assert_eq!(bits.last_in(from..to), inside.last().copied());
        }
    }
}
