//! The terms of a segment in the order of their bytes, each with the place of its postings.
//!
//! Sixteen terms make a block. Within one, each term is `number: bytes shared with the one before · bytes: the rest ·
//! number: how far its postings lie behind those of the term before`; the first of a block shares nothing and gives
//! its place itself. A second section holds where each block starts, as `u32`. This is a few percent larger than a
//! finite-state transducer, but damaged bytes cannot send a reader in circles.

use crate::coding::{Reader, put, put_bytes, u32_at};

const BLOCK: usize = 16;

/// Writes the two sections.
#[derive(Default)]
pub(crate) struct TermsWriter {
    pub(crate) blocks: Vec<u8>,
    pub(crate) starts: Vec<u8>,
    count: usize,
    last: Vec<u8>,
    place: u64,
}

impl TermsWriter {
    /// Appends a term; they come in ascending order, and so do their places.
    pub(crate) fn add(&mut self, term: &[u8], place: u64) {
        let (mut shared, mut before) = (0, 0);
        if self.count.is_multiple_of(BLOCK) {
            self.starts.extend_from_slice(&(self.blocks.len() as u32).to_le_bytes());
        } else {
            shared = self.last.iter().zip(term).take_while(|(a, b)| a == b).count();
            before = self.place;
        }
        put(&mut self.blocks, shared as u64);
        put_bytes(&mut self.blocks, &term[shared..]);
        put(&mut self.blocks, place - before);
        self.last.clear();
        self.last.extend_from_slice(term);
        (self.place, self.count) = (place, self.count + 1);
    }
}

/// The two sections.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) blocks: &'a [u8],
    pub(crate) starts: &'a [u8],
}

impl<'a> Terms<'a> {
    /// Where the postings of a term are.
    pub(crate) fn find(&self, term: &[u8]) -> Option<u64> {
        let mut cursor = self.block(self.block_of(term));
        for _ in 0..BLOCK {
            cursor.next()?;
            match cursor.term.as_slice().cmp(term) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Some(cursor.place),
                std::cmp::Ordering::Greater => return None,
            }
        }
        None
    }

    /// A cursor before the first term that is not less than `from`, or a few earlier.
    pub(crate) fn from(&self, from: &[u8]) -> TermCursor<'a> {
        self.block(self.block_of(from))
    }

    /// The block that has the term if any has.
    fn block_of(&self, term: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.starts.len() / 4);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.first(middle).is_some_and(|first| first <= term) { low = middle } else { high = middle }
        }
        low
    }

    fn first(&self, block: usize) -> Option<&'a [u8]> {
        let mut reader = Reader::new(self.blocks.get(u32_at(self.starts, block) as usize..)?);
        reader.number()?;
        reader.bytes()
    }

    fn block(&self, block: usize) -> TermCursor<'a> {
        let start = u32_at(self.starts, block) as usize;
        let reader = Reader::new(self.blocks.get(start..).unwrap_or_default());
        TermCursor { reader, in_block: 0, term: Vec::new(), place: 0 }
    }
}

/// Walks over terms in ascending order.
pub(crate) struct TermCursor<'a> {
    reader: Reader<'a>,
    in_block: usize,
    /// The term.
    pub(crate) term: Vec<u8>,
    /// Where its postings are.
    pub(crate) place: u64,
}

impl TermCursor<'_> {
    /// Goes to the next term; `None` after the last, and where the bytes make no sense.
    pub(crate) fn next(&mut self) -> Option<()> {
        let shared = self.reader.length()?;
        if shared > self.term.len() {
            return None;
        }
        self.term.truncate(shared);
        self.term.extend_from_slice(self.reader.bytes()?);
        let place = self.reader.number()?;
        self.place = if self.in_block == 0 { place } else { self.place.checked_add(place)? };
        self.in_block = (self.in_block + 1) % BLOCK;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn terms_are_found_and_walked_over(terms in proptest::collection::btree_set("[a-d]{1,6}", 0..200), from in "[a-d]{0,3}") {
            let mut writer = TermsWriter::default();
            for (n, term) in terms.iter().enumerate() {
                writer.add(term.as_bytes(), n as u64 * 3);
            }
            let reader = Terms { blocks: &writer.blocks, starts: &writer.starts };
            for (n, term) in terms.iter().enumerate() {
                prop_assert_eq!(reader.find(term.as_bytes()), Some(n as u64 * 3));
            }
            prop_assert_eq!(reader.find(b"e"), None);
            prop_assert_eq!(reader.find(b""), None);
            let (mut cursor, mut walked) = (reader.from(from.as_bytes()), BTreeSet::new());
            while cursor.next().is_some() {
                walked.insert(String::from_utf8(cursor.term.clone()).unwrap());
            }
            let wanted: BTreeSet<String> = terms.into_iter().filter(|term| *term >= from).collect();
            prop_assert!(wanted.is_subset(&walked));
            prop_assert!(walked.len() <= wanted.len() + BLOCK);
        }

        #[test]
        fn damaged_terms_end(blocks in proptest::collection::vec(any::<u8>(), 0..300), starts in proptest::collection::vec(any::<u8>(), 0..30)) {
            let reader = Terms { blocks: &blocks, starts: &starts };
            reader.find(b"term");
            let (mut cursor, mut count) = (reader.from(b"te"), 0);
            while cursor.next().is_some() {
                count += 1;
            }
            prop_assert!(count <= blocks.len());
        }
    }
}
