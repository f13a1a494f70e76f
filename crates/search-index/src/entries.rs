//! Entries from the corpus as the material of a segment.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use jiff::Timestamp;
use memory_core::port::Space;
use memory_core::retrieve::Kind;
use memory_core::search::{Entry, Passage};

use crate::groups::GroupKey;
use crate::limits::TERM_BYTES_MAX;
use crate::postings::Posting;
use crate::segment::{Measure, WEIGHT_STEPS, split};
use crate::sequence;
use crate::write::{Material, Row, Take};

/// The microsecond that a time lies in.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_nanosecond().div_euclid(1_000) as i64
}

/// The first microsecond not before a time.
pub(crate) fn micros_from(at: Timestamp) -> i64 {
    -(-at.as_nanosecond()).div_euclid(1_000) as i64
}

/// The time of a microsecond.
pub(crate) fn timestamp(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A vector: what a step is worth, and the steps.
type Steps = Option<(f32, Vec<u8>)>;

/// Entries in the order of a segment.
pub(crate) struct Entries {
    entries: Vec<Entry>,
    /// The vectors, as bytes.
    vectors: Vec<Vec<Steps>>,
    groups: Vec<(GroupKey, Range<u32>)>,
    space: Option<Space>,
}

fn key(entry: &Entry) -> (Kind, &Option<String>, &Option<String>, i64, u128) {
    let (kind, id) = split(entry.found);
    (kind, &entry.scope.domain, &entry.scope.project, micros(entry.at), id)
}

impl Entries {
    /// Brings entries, no two of the same thing, into order. Vectors that cannot be of this space are left out.
    pub(crate) fn new(mut entries: Vec<Entry>, space: Option<Space>) -> Self {
        entries.sort_by(|a, b| key(a).cmp(&key(b)));
        let mut groups: Vec<(GroupKey, Range<u32>)> = Vec::new();
        for (document, entry) in (0..).zip(&entries) {
            let (kind, domain, project, ..) = key(entry);
            let (domain, project) = (domain.as_deref().map(Box::from), project.as_deref().map(Box::from));
            let key = GroupKey { kind, domain, project };
            match groups.last_mut() {
                Some((last, documents)) if *last == key => documents.end += 1,
                _ => groups.push((key, document..document + 1)),
            }
        }
        let dimensions = space.as_ref().map_or(0, |space| space.dimensions);
        let bytes = |entry: &mut Entry| {
            let vectors = std::mem::take(&mut entry.vectors).into_iter();
            let fitting = vectors.map(|vector| vector.filter(|vector| vector.values.len() == dimensions));
            let bytes = |values: Vec<i8>| values.into_iter().map(|value| value as u8).collect();
            fitting.map(|vector| vector.map(|vector| (vector.scale, bytes(vector.values)))).collect()
        };
        let vectors = if dimensions > 0 { entries.iter_mut().map(bytes).collect() } else { Vec::new() };
        Self { entries, vectors, groups, space }
    }

    fn passages(&self, document: u32) -> &[Passage] {
        self.entries.get(document as usize).map_or(&[], |entry| &entry.document.passages)
    }
}

/// Terms longer than this are no words.
fn indexed(passage: &Passage) -> impl Iterator<Item = (&str, u8)> {
    let terms = passage.terms.iter().map(|(term, times)| (term.as_str(), *times));
    terms.filter(|(term, times)| *times > 0 && term.len() <= TERM_BYTES_MAX)
}

/// The length and weight of a passage.
pub(crate) fn measure(passage: &Passage) -> Measure {
    let length: u64 = indexed(passage).map(|(_, times)| u64::from(times)).sum();
    let steps = (passage.weight * f32::from(WEIGHT_STEPS)).round().clamp(0.0, f32::from(WEIGHT_STEPS));
    Measure { length: length.min(u64::from(u16::MAX)) as u16, steps: steps as u8 }
}

impl Material for Entries {
    fn groups(&self) -> Vec<(GroupKey, Range<u32>)> {
        self.groups.clone()
    }

    fn space(&self) -> Option<&Space> {
        self.space.as_ref()
    }

    fn row(&self, document: u32) -> Row {
        let entry = &self.entries[document as usize];
        Row {
            id: split(entry.found).1,
            at: micros(entry.at),
            outcome: entry.outcome.map_or(0, |outcome| outcome as u8 + 1),
            retired: entry.retired.map(micros),
            passages: entry.document.passages.len() as u32,
        }
    }

    fn measure(&self, document: u32, n: u32) -> Measure {
        self.passages(document).get(n as usize).map(measure).unwrap_or_default()
    }

    fn vector(&self, document: u32, n: u32) -> Option<(f32, &[u8])> {
        let (scale, values) = self.vectors.get(document as usize)?.get(n as usize)?.as_ref()?;
        Some((*scale, values))
    }

    fn sketch(&self, document: u32) -> Vec<u16> {
        if !matches!(self.entries.get(document as usize).map(|entry| split(entry.found).0), Some(Kind::Note))
        {
            return Vec::new();
        }
        sequence::sketch(self.passages(document).iter().flat_map(indexed).map(|(term, _)| term.as_bytes()))
    }

    fn terms(&self, take: &mut Take<'_>) -> io::Result<()> {
        let mut lists: HashMap<&str, Vec<Posting>> = HashMap::new();
        let passages = self.entries.iter().flat_map(|entry| &entry.document.passages);
        for (number, passage) in (0..).zip(passages) {
            for (term, times) in indexed(passage) {
                let list = lists.entry(term).or_default();
                match list.last_mut() {
                    Some((last, sum)) if *last == number => *sum = sum.saturating_add(times),
                    _ => list.push((number, times)),
                }
            }
        }
        let mut lists: Vec<(&str, Vec<Posting>)> = lists.into_iter().collect();
        lists.sort_unstable_by_key(|(term, _)| *term);
        for (term, list) in lists {
            take(term.as_bytes(), &list)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_counts_from_the_microsecond_it_is_in() {
        let at = |nanos| Timestamp::from_nanosecond(nanos).unwrap();
        assert_eq!((micros(at(1_999)), micros_from(at(1_999)), micros_from(at(2_000))), (1, 2, 2));
        assert_eq!((micros(at(-1)), micros_from(at(-1))), (-1, 0));
    }
}
