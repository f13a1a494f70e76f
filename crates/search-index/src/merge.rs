//! Several segments as the material of one: what is deleted is left out, what is left comes into one order.
//!
//! The order of the documents and where each passage goes are held in memory, about 16 bytes a document; everything
//! else streams from the old segments to the new one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use memory_core::port::Space;

use crate::bits::Bits;
use crate::groups::GroupKey;
use crate::limits::STOP_CHECK_TERMS;
use crate::postings::Posting;
use crate::segment::{Measure, Segment};
use crate::write::{Material, Row, Take};

/// A segment to merge and its deleted documents.
pub(crate) type Input = (Arc<Segment>, Arc<Bits>);

/// A passage that is left out.
const GONE: u32 = u32::MAX;

/// Several segments in one order.
pub(crate) struct Merged<'a> {
    inputs: Vec<Input>,
    space: Option<Space>,
    groups: Vec<(GroupKey, Range<u32>)>,
    /// Where each document comes from.
    plan: Vec<(u32, u32)>,
    /// For each input, where each of its passages goes.
    passages: Vec<Vec<u32>>,
    stop: &'a AtomicBool,
}

impl<'a> Merged<'a> {
    /// Plans the merging. Vectors of another space than this one are left out. Once `stop` is set, writing the result
    /// fails with [`io::ErrorKind::Interrupted`].
    pub(crate) fn new(inputs: Vec<Input>, space: Option<Space>, stop: &'a AtomicBool) -> Self {
        let mut shared: BTreeMap<GroupKey, Vec<(u32, Range<u32>)>> = BTreeMap::new();
        for (input, (segment, _)) in (0..).zip(&inputs) {
            for group in segment.groups() {
                shared.entry(group.key.clone()).or_default().push((input, group.documents.clone()));
            }
        }
        let (mut groups, mut plan) = (Vec::new(), Vec::new());
        for (key, parts) in shared {
            let start = plan.len() as u32;
            merge_group(&inputs, &parts, &mut plan);
            let end = plan.len() as u32;
            if end > start {
                groups.push((key, start..end));
            }
        }
        let mut passages: Vec<Vec<u32>> =
            inputs.iter().map(|(segment, _)| vec![GONE; segment.passages() as usize]).collect();
        let mut next = 0;
        for (input, document) in &plan {
            for passage in inputs[*input as usize].0.passages_of(*document) {
                passages[*input as usize][passage as usize] = next;
                next += 1;
            }
        }
        Self { inputs, space, groups, plan, passages, stop }
    }

    fn source(&self, document: u32) -> (&Segment, u32) {
        let (input, document) = self.plan[document as usize];
        (&self.inputs[input as usize].0, document)
    }

    fn is_stopped(&self) -> io::Result<()> {
        if self.stop.load(Relaxed) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }
}

/// Appends the living documents of one group in the order of time and id.
fn merge_group(inputs: &[Input], parts: &[(u32, Range<u32>)], plan: &mut Vec<(u32, u32)>) {
    let next = |input: u32, mut range: Range<u32>| {
        let (segment, dead) = &inputs[input as usize];
        let document = range.find(|document| !dead.has(*document))?;
        Some(Reverse((segment.at(document), segment.id(document), input, document, range.end)))
    };
    let mut heap: BinaryHeap<_> =
        parts.iter().filter_map(|(input, range)| next(*input, range.clone())).collect();
    while let Some(Reverse((_, _, input, document, end))) = heap.pop() {
        plan.push((input, document));
        heap.extend(next(input, document + 1..end));
    }
}

impl Material for Merged<'_> {
    fn groups(&self) -> Vec<(GroupKey, Range<u32>)> {
        self.groups.clone()
    }

    fn space(&self) -> Option<&Space> {
        self.space.as_ref()
    }

    fn row(&self, document: u32) -> Row {
        let (segment, document) = self.source(document);
        let passages = segment.passages_of(document);
        Row {
            id: segment.id(document),
            at: segment.at(document),
            outcome: segment.outcome(document).map_or(0, |outcome| outcome as u8 + 1),
            retired: segment.retired_at(document),
            passages: passages.end - passages.start,
        }
    }

    fn measure(&self, document: u32, n: u32) -> Measure {
        let (segment, document) = self.source(document);
        segment.measure(segment.passages_of(document).start + n)
    }

    fn vector(&self, document: u32, n: u32) -> Option<(f32, &[u8])> {
        let (segment, document) = self.source(document);
        if segment.space() != self.space.as_ref() {
            return None;
        }
        segment.vector(segment.passages_of(document).start + n)
    }

    fn sketch(&self, document: u32) -> Vec<u16> {
        let (segment, document) = self.source(document);
        segment.sketch(document)
    }

    fn terms(&self, take: &mut Take<'_>) -> io::Result<()> {
        let mut cursors: Vec<_> = self.inputs.iter().map(|(segment, _)| segment.terms().from(b"")).collect();
        let mut heap = BinaryHeap::new();
        for (input, cursor) in cursors.iter_mut().enumerate() {
            if cursor.next().is_some() {
                heap.push(Reverse((cursor.term.clone(), input)));
            }
        }
        let (mut list, mut count) = (Vec::new(), 0_usize);
        while let Some(Reverse((term, mut input))) = heap.pop() {
            list.clear();
            loop {
                self.collect(input, cursors[input].place, &mut list);
                let cursor = &mut cursors[input];
                // A damaged table could go back, and then on for ever.
                if cursor.next().is_some() && cursor.term > term {
                    heap.push(Reverse((cursor.term.clone(), input)));
                }
                match heap.peek() {
                    Some(Reverse((next, _))) if *next == term => {}
                    _ => break,
                }
                let Some(Reverse((_, next))) = heap.pop() else { break };
                input = next;
            }
            // The parts ascend, which this sort makes use of.
            list.sort();
            list.dedup_by_key(|(passage, _)| *passage);
            if !list.is_empty() {
                take(&term, &list)?;
            }
            count += 1;
            if count.is_multiple_of(STOP_CHECK_TERMS) {
                self.is_stopped()?;
            }
        }
        Ok(())
    }
}

impl Merged<'_> {
    /// Appends the postings of one input, with the new numbers of the passages.
    fn collect(&self, input: usize, place: u64, list: &mut Vec<Posting>) {
        let new = &self.passages[input];
        if let Some(postings) = self.inputs[input].0.postings_at(place) {
            postings.all(|(passage, times)| {
                if let Some(passage) = new.get(passage as usize).filter(|passage| **passage != GONE) {
                    list.push((*passage, times));
                }
            });
        }
    }
}
