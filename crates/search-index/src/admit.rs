//! Which documents of a segment may be found.

use std::ops::Range;

use memory_core::access::Access;
use memory_core::retrieve::Filter;

use crate::bits::Bits;
use crate::entries::micros_from;
use crate::segment::Segment;
use crate::state::Slot;

/// What may be found: what the filter of a search lets through and its caller may see.
#[derive(Clone, Copy)]
pub(crate) struct MayFind<'a> {
    pub(crate) filter: &'a Filter,
    /// `None`: everything. Then nothing is asked of it.
    pub(crate) access: Option<&'a Access>,
}

/// The documents of one segment that may be found.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    /// The documents.
    pub(crate) bits: Bits,
    /// How many there are.
    pub(crate) documents: u64,
    /// The passages among which all of theirs are: a few ascending ranges.
    pub(crate) passages: Vec<Range<u32>>,
    /// Whether these are all documents of the segment.
    pub(crate) is_all: bool,
}

impl Admitted {
    /// The documents that count and may be found.
    pub(crate) fn new(slot: &Slot, MayFind { filter, access }: MayFind<'_>) -> Self {
        let segment = &*slot.segment;
        let mut bits = Bits::new(segment.documents());
        let mut ranges: Vec<Range<u32>> = Vec::new();
        let groups = segment.groups().iter().filter(|group| group.key.is_visible(access));
        for group in groups.filter(|group| group.key.is_admitted(filter)) {
            let range = within(segment, group.documents.clone(), filter);
            match ranges.last_mut() {
                _ if range.is_empty() => {}
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        }
        for range in &ranges {
            bits.add_range(range.clone());
        }
        bits.subtract(&slot.dead.bits);
        match filter.until {
            _ if filter.superseded => {}
            None => bits.subtract(segment.retired()),
            Some(until) => {
                let until = micros_from(until);
                for (document, _) in segment.retirements().iter().filter(|(_, at)| *at < until) {
                    bits.remove(*document);
                }
            }
        }
        if let Some(outcome) = filter.outcome {
            for document in ranges.iter().flat_map(Clone::clone) {
                if segment.outcome(document) != Some(outcome) {
                    bits.remove(document);
                }
            }
        }
        let documents = bits.count();
        let passages = ranges.into_iter().map(|range| segment.passages_of_all(range)).collect();
        Self { bits, documents, passages, is_all: documents == u64::from(segment.documents()) }
    }
}

/// The documents of a range, which ascends in time, that happened when the filter says.
fn within(segment: &Segment, range: Range<u32>, filter: &Filter) -> Range<u32> {
    let before = |micros: i64| {
        let (mut low, mut high) = (range.start, range.end);
        while low < high {
            let middle = low + (high - low) / 2;
            if segment.at(middle) < micros { low = middle + 1 } else { high = middle }
        }
        low
    };
    let start = filter.since.map_or(range.start, |since| before(micros_from(since)));
    let end = filter.until.map_or(range.end, |until| before(micros_from(until)));
    start..end.max(start)
}
