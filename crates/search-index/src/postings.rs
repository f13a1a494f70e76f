//! Where a term stands: passages in ascending order, each with the number of times.
//!
//! ```text
//! number: documents that have it · number: postings
//! if there are more than 128: for every 128 of them, u32: the last passage, u32: where they end in what follows
//! for each: number: (passages since the one before) × 2 + (1 if it stands there more than once), number: how often
//! ```

use std::ops::Range;

use crate::coding::{Reader, put, u32_at};

/// Postings that are skipped as one.
const BLOCK: usize = 128;

/// A passage and how often the term stands in it.
pub(crate) type Posting = (u32, u8);

/// Appends a list; `documents` is the number of documents that its passages belong to.
pub(crate) fn encode(out: &mut Vec<u8>, documents: u32, list: &[Posting]) {
    put(out, u64::from(documents));
    put(out, list.len() as u64);
    let skips = out.len();
    let blocks = if list.len() > BLOCK { list.len().div_ceil(BLOCK) } else { 0 };
    out.resize(skips + blocks * 8, 0);
    let data = out.len();
    let mut previous = 0;
    for (number, block) in list.chunks(BLOCK).enumerate() {
        for (passage, times) in block {
            put(out, u64::from(passage - previous) << 1 | u64::from(*times > 1));
            if *times > 1 {
                put(out, u64::from(*times));
            }
            previous = *passage;
        }
        if blocks > 0 {
            let end = (out.len() - data) as u32;
            let skip = skips + number * 8;
            out[skip..skip + 4].copy_from_slice(&previous.to_le_bytes());
            out[skip + 4..skip + 8].copy_from_slice(&end.to_le_bytes());
        }
    }
}

/// A list in a segment.
#[derive(Clone, Copy)]
pub(crate) struct Postings<'a> {
    /// How many documents have the term, deleted ones included.
    pub(crate) documents: u64,
    count: usize,
    skips: &'a [u8],
    data: &'a [u8],
}

impl<'a> Postings<'a> {
    /// The list at the start of these bytes; `None` if they cannot be one.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let documents = reader.number()?;
        let count = reader.length()?;
        let blocks = if count > BLOCK { count.div_ceil(BLOCK) } else { 0 };
        let skips = reader.slice(blocks.checked_mul(8)?)?;
        // Each takes a byte at least: this also bounds what damaged bytes can make anybody do.
        let data = reader.rest();
        (count <= data.len()).then_some(Self { documents, count, skips, data })
    }

    /// How many passages it lists.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Gives every posting to `take`; from a damaged list perhaps too few or wrong ones.
    pub(crate) fn all(&self, mut take: impl FnMut(Posting)) {
        self.decode(0, self.count, self.data, &mut take);
    }

    /// Gives those postings to `take` whose passages lie in these ranges, which ascend, and some others.
    pub(crate) fn near(&self, ranges: &[Range<u32>], mut take: impl FnMut(Posting)) {
        if self.skips.is_empty() {
            return self.all(take);
        }
        let (mut first, mut start, mut range) = (0, 0, 0);
        for block in 0..self.count.div_ceil(BLOCK) {
            let (last, end) = (u32_at(self.skips, block * 2), u32_at(self.skips, block * 2 + 1) as usize);
            while ranges.get(range).is_some_and(|range| range.end <= first) {
                range += 1;
            }
            let Some(wanted) = ranges.get(range) else { return };
            if wanted.start <= last {
                let count = BLOCK.min(self.count - block * BLOCK);
                self.decode(first, count, self.data.get(start..end).unwrap_or_default(), &mut take);
            }
            (first, start) = (last, end);
        }
    }

    #[inline]
    fn decode(&self, first: u32, count: usize, data: &[u8], take: &mut impl FnMut(Posting)) {
        let mut reader = Reader::new(data);
        let mut passage = first;
        for _ in 0..count {
            let Some(number) = reader.number() else { return };
            let Some(next) = passage.checked_add((number >> 1).min(u64::from(u32::MAX)) as u32) else {
                return;
            };
            passage = next;
            let times = if number & 1 == 0 { Some(1) } else { reader.number() };
            let Some(times) = times else { return };
            take((passage, times.clamp(1, 255) as u8));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lists() -> impl Strategy<Value = Vec<Posting>> {
        proptest::collection::btree_map(0_u32..5_000, 1_u8..5, 0..600)
            .prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn lists_come_back_whole_and_in_part(list in lists(), start in 0_u32..5_000, length in 0_u32..500) {
            let mut bytes = vec![9; 3];
            encode(&mut bytes, 7, &list);
            let postings = Postings::read(&bytes[3..]).unwrap();
            prop_assert_eq!((postings.documents, postings.len()), (7, list.len()));
            let mut all = Vec::new();
            postings.all(|posting| all.push(posting));
            prop_assert_eq!(&all, &list);
            let range = start..start + length;
            let inside = |posting: &Posting| range.contains(&posting.0);
            let (mut some, mut decoded) = (Vec::new(), 0);
            let near = std::slice::from_ref(&range);
            postings.near(near, |posting| { decoded += 1; if inside(&posting) { some.push(posting) } });
            prop_assert_eq!(some, list.iter().copied().filter(inside).collect::<Vec<_>>());
            let wanted = list.iter().filter(|posting| inside(posting)).count();
            prop_assert!(decoded <= wanted + 2 * BLOCK, "{} for {}", decoded, wanted);
        }

        #[test]
        fn damaged_lists_end(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Some(postings) = Postings::read(&bytes) {
                let mut count = 0;
                postings.all(|_| count += 1);
                postings.near(&[3..9, 100..2_000], |_| count += 1);
                prop_assert!(count <= 2 * bytes.len());
            }
        }
    }
}
