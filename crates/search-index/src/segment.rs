//! One immutable segment: a mapped file, or the same bytes in memory.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;
use memory_core::episode::Outcome;
use memory_core::id::{EpisodeId, NoteId, PatternId};
use memory_core::port::Space;
use memory_core::retrieve::{Found, Kind};
use memory_core::vector::Vector;
use uuid::Uuid;

use crate::bits::Bits;
use crate::coarse;
use crate::coding::{f32_at, i64_at, u16_at, u32_at, u128_at};
use crate::groups::{self, Group};
use crate::layout::{Contents, Section, Totals, Unreadable};
use crate::postings::Postings;
use crate::terms::Terms;

/// Steps of a weight of 1.
pub(crate) const WEIGHT_STEPS: u8 = 200;

/// How long a passage is and how much its words count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Measure {
    /// Terms.
    pub(crate) length: u16,
    /// Weight, in steps.
    pub(crate) steps: u8,
}

impl Measure {
    /// The weight, 0..=1.
    #[inline]
    pub(crate) fn weight(self) -> f32 {
        f32::from(self.steps) / f32::from(WEIGHT_STEPS)
    }

    /// Whether a word in it is said rather than mentioned in passing.
    pub(crate) fn is_said(self) -> bool {
        self.steps >= WEIGHT_STEPS / 2
    }

    /// Length times weight, in steps.
    pub(crate) fn weighted(self) -> u64 {
        u64::from(self.length) * u64::from(self.steps)
    }
}

enum Bytes {
    Map(Mmap),
    Heap(Vec<u8>),
}

/// A segment.
pub(crate) struct Segment {
    bytes: Bytes,
    contents: Contents,
    groups: Vec<Group>,
    /// Retired documents and when, ascending by document.
    retired: Vec<(u32, i64)>,
    retired_bits: Bits,
}

impl Segment {
    /// Opens a file. Its tables are checked; what they refer to is checked wherever it is read.
    pub(crate) fn open(path: &Path, store_id: &str) -> Result<Self, Unreadable> {
        let file = File::open(path)?;
        #[expect(unsafe_code, reason = "segment files are written once, then renamed, and only ever removed")]
        // SAFETY: no process of this program writes to or truncates a segment file that has its final name.
        let map = unsafe { Mmap::map(&file)? };
        Self::new(Bytes::Map(map), store_id)
    }

    /// A segment in memory.
    pub(crate) fn in_memory(bytes: Vec<u8>, store_id: &str) -> Result<Self, Unreadable> {
        Self::new(Bytes::Heap(bytes), store_id)
    }

    fn new(bytes: Bytes, store_id: &str) -> Result<Self, Unreadable> {
        let contents = Contents::read(bytes.all(), store_id)?;
        let mut segment =
            Self { bytes, contents, groups: Vec::new(), retired: Vec::new(), retired_bits: Bits::default() };
        // These are read as a whole anyway, and wrong ones would do the most harm.
        if ![Section::Groups, Section::Retired].into_iter().all(|section| segment.is_sound(section)) {
            return Err(Unreadable::Damaged);
        }
        let documents = segment.documents();
        segment.groups =
            groups::decode(segment.section(Section::Groups), documents).ok_or(Unreadable::Damaged)?;
        let (rows, _) = segment.section(Section::Retired).as_chunks::<12>();
        let retired = rows.iter().map(|row| (u32_at(row, 0), i64_at(&row[4..], 0))).collect();
        segment.retired = retired;
        segment.retired_bits = Bits::new(documents);
        for (document, _) in &segment.retired {
            segment.retired_bits.add(*document);
        }
        Ok(segment)
    }

    fn is_sound(&self, section: Section) -> bool {
        crc32fast::hash(self.section(section)) == self.contents.places[section as usize].crc
    }

    /// Whether every byte is as it was written. Reads the whole segment.
    pub(crate) fn is_intact(&self) -> bool {
        ALL_SECTIONS.into_iter().all(|section| self.is_sound(section))
    }

    /// The checksum of its contents.
    pub(crate) fn crc(&self) -> u32 {
        self.contents.crc
    }

    pub(crate) fn section(&self, section: Section) -> &[u8] {
        self.bytes.all().get(self.contents.range(section)).unwrap_or_default()
    }

    /// Sums over all its documents, deleted ones included.
    pub(crate) fn totals(&self) -> Totals {
        self.contents.totals
    }

    pub(crate) fn documents(&self) -> u32 {
        self.contents.totals.documents as u32
    }

    pub(crate) fn passages(&self) -> u32 {
        self.contents.totals.passages as u32
    }

    pub(crate) fn vectors(&self) -> u32 {
        self.contents.totals.vectors as u32
    }

    /// The space of its vectors.
    pub(crate) fn space(&self) -> Option<&Space> {
        self.contents.space.as_ref()
    }

    pub(crate) fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The number of the group that a document belongs to.
    pub(crate) fn group_of(&self, document: u32) -> usize {
        self.groups.partition_point(|group| group.documents.end <= document)
    }

    /// The documents that something newer took the place of.
    pub(crate) fn retired(&self) -> &Bits {
        &self.retired_bits
    }

    /// Those documents and when that was, in microseconds.
    pub(crate) fn retirements(&self) -> &[(u32, i64)] {
        &self.retired
    }

    pub(crate) fn retired_at(&self, document: u32) -> Option<i64> {
        let place = self.retired.binary_search_by_key(&document, |(document, _)| *document).ok()?;
        self.retired.get(place).map(|(_, at)| *at)
    }

    pub(crate) fn id(&self, document: u32) -> u128 {
        u128_at(self.section(Section::Ids), document as usize)
    }

    fn kind(&self, document: u32) -> Kind {
        self.groups.get(self.group_of(document)).map_or(Kind::Note, |group| group.key.kind)
    }

    /// The thing that a document stands for.
    pub(crate) fn found(&self, document: u32) -> Found {
        let id = Uuid::from_u128(self.id(document));
        match self.kind(document) {
            Kind::Episode => Found::Episode(EpisodeId(id)),
            Kind::Pattern => Found::Pattern(PatternId(id)),
            Kind::Note => Found::Note(NoteId(id)),
        }
    }

    /// When it happened, in microseconds.
    pub(crate) fn at(&self, document: u32) -> i64 {
        i64_at(self.section(Section::Times), document as usize)
    }

    pub(crate) fn outcome(&self, document: u32) -> Option<Outcome> {
        let code = *self.section(Section::Outcomes).get(document as usize)?;
        Outcome::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    /// The passages of a document.
    pub(crate) fn passages_of(&self, document: u32) -> Range<u32> {
        let range = self.passages_of_all(document..document.saturating_add(1));
        range.start..range.end
    }

    /// The passages of a range of documents.
    pub(crate) fn passages_of_all(&self, documents: Range<u32>) -> Range<u32> {
        let firsts = self.section(Section::Firsts);
        let first = |document: u32| u32_at(firsts, document as usize).min(self.passages());
        let start = first(documents.start);
        start..first(documents.end).max(start)
    }

    /// The document of a passage.
    #[inline]
    pub(crate) fn document_of(&self, passage: u32) -> u32 {
        self.owners().of(passage)
    }

    /// The documents of the passages.
    pub(crate) fn owners(&self) -> Owners<'_> {
        Owners(self.section(Section::Owners))
    }

    /// The document that stands for a thing.
    pub(crate) fn find(&self, found: Found) -> Option<u32> {
        let (kind, id) = split(found);
        let (order, ids) = (self.section(Section::ById), self.section(Section::Ids));
        let document = |place: u32| u32_at(order, place as usize);
        let (mut low, mut high) = (0, self.documents());
        while low < high {
            let middle = low + (high - low) / 2;
            if u128_at(ids, document(middle) as usize) < id { low = middle + 1 } else { high = middle }
        }
        (low..self.documents())
            .map(document)
            .take_while(|document| u128_at(ids, *document as usize) == id)
            .find(|document| *document < self.documents() && self.kind(*document) == kind)
    }

    #[inline]
    pub(crate) fn measure(&self, passage: u32) -> Measure {
        Measures(self.section(Section::Passages)).of(passage)
    }

    /// The measures of the passages.
    pub(crate) fn measures(&self) -> Measures<'_> {
        Measures(self.section(Section::Passages))
    }

    /// What a document contributes to the totals.
    pub(crate) fn totals_of(&self, document: u32) -> Totals {
        let passages = self.passages_of(document);
        let rows = self.rows_of(passages.clone());
        let (passages_count, vectors) =
            (u64::from(passages.end - passages.start), u64::from(rows.end - rows.start));
        let mut totals = Totals { documents: 1, passages: passages_count, vectors, length: 0, weighted: 0 };
        for measure in passages.map(|passage| self.measure(passage)) {
            totals.length += u64::from(measure.length);
            totals.weighted += measure.weighted();
        }
        totals
    }

    /// The passage of a vector.
    pub(crate) fn passage_of_row(&self, row: u32) -> u32 {
        let rows = self.section(Section::Rows);
        if rows.is_empty() { row } else { u32_at(rows, row as usize) }
    }

    /// The vectors of a range of passages.
    pub(crate) fn rows_of(&self, passages: Range<u32>) -> Range<u32> {
        if self.section(Section::Rows).is_empty() {
            let all = self.vectors();
            return passages.start.min(all)..passages.end.min(all);
        }
        let start = self.row_from(passages.start, 0);
        start..self.row_from(passages.end, start)
    }

    /// The first vector, not before the `low`th, of a passage not before this one.
    fn row_from(&self, passage: u32, mut low: u32) -> u32 {
        let rows = self.section(Section::Rows);
        let mut high = self.vectors();
        while low < high {
            let middle = low + (high - low) / 2;
            if u32_at(rows, middle as usize) < passage { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// The vector of a passage: what a step is worth, and the steps.
    pub(crate) fn vector(&self, passage: u32) -> Option<(f32, &[u8])> {
        let row = self.rows_of(passage..passage.checked_add(1)?);
        if row.is_empty() || self.passage_of_row(row.start) != passage {
            return None;
        }
        Some((self.scale(row.start), self.values(row.start..row.start + 1)))
    }

    /// What a step of a vector is worth.
    pub(crate) fn scale(&self, row: u32) -> f32 {
        f32_at(self.section(Section::Scales), row as usize)
    }

    /// The steps of some vectors, one after another; each is an `i8`.
    pub(crate) fn values(&self, rows: Range<u32>) -> &[u8] {
        let dimensions = self.space().map_or(0, |space| space.dimensions);
        let range = rows.start as usize * dimensions..rows.end as usize * dimensions;
        self.section(Section::Vectors).get(range).unwrap_or_default()
    }

    /// The codes of some vectors, see `coarse`; `None` if there are none.
    pub(crate) fn codes(&self, rows: Range<u32>) -> Option<&[u8]> {
        let bytes = coarse::bytes(self.space()?.dimensions)?;
        self.section(Section::Codes).get(rows.start as usize * bytes..rows.end as usize * bytes)
    }

    /// The scale and the error of the codes of some vectors.
    pub(crate) fn code_scales(&self, rows: Range<u32>) -> &[[u8; coarse::SCALE_BYTES]] {
        let all = self.section(Section::CodeScales).as_chunks().0;
        all.get(rows.start as usize..rows.end as usize).unwrap_or_default()
    }

    /// The vector of a passage, to hand out.
    pub(crate) fn vector_to_keep(&self, passage: u32) -> Option<Vector> {
        let (scale, values) = self.vector(passage)?;
        Some(Vector { scale, values: values.iter().map(|value| *value as i8).collect() })
    }

    /// The sketch of a document, see `sequence`.
    pub(crate) fn sketch(&self, document: u32) -> Vec<u16> {
        let ends = self.section(Section::SketchEnds);
        let sketches = self.section(Section::Sketches);
        let start = document.checked_sub(1).map_or(0, |before| u32_at(ends, before as usize) as usize);
        let end = (u32_at(ends, document as usize) as usize).min(sketches.len() / 2);
        (start..end).take(crate::limits::SKETCH_TERMS_MAX).map(|n| u16_at(sketches, n)).collect()
    }

    pub(crate) fn terms(&self) -> Terms<'_> {
        Terms { blocks: self.section(Section::Terms), starts: self.section(Section::TermStarts) }
    }

    /// The postings of a term.
    pub(crate) fn postings(&self, term: &str) -> Option<Postings<'_>> {
        self.postings_at(self.terms().find(term.as_bytes())?)
    }

    pub(crate) fn postings_at(&self, place: u64) -> Option<Postings<'_>> {
        Postings::read(self.section(Section::Postings).get(usize::try_from(place).ok()?..)?)
    }
}

impl Bytes {
    fn all(&self) -> &[u8] {
        match self {
            Self::Map(map) => map,
            Self::Heap(bytes) => bytes,
        }
    }
}

/// The kind and the number of a thing.
pub(crate) fn split(found: Found) -> (Kind, u128) {
    match found {
        Found::Episode(id) => (Kind::Episode, id.0.as_u128()),
        Found::Pattern(id) => (Kind::Pattern, id.0.as_u128()),
        Found::Note(id) => (Kind::Note, id.0.as_u128()),
    }
}

/// The documents of the passages of a segment.
#[derive(Clone, Copy)]
pub(crate) struct Owners<'a>(&'a [u8]);

impl Owners<'_> {
    /// The document of a passage.
    #[inline]
    pub(crate) fn of(self, passage: u32) -> u32 {
        if self.0.is_empty() { passage } else { u32_at(self.0, passage as usize) }
    }
}

/// The measures of the passages of a segment.
#[derive(Clone, Copy)]
pub(crate) struct Measures<'a>(&'a [u8]);

impl Measures<'_> {
    /// The measure of a passage.
    #[inline]
    pub(crate) fn of(self, passage: u32) -> Measure {
        let [a, b, steps, _] = u32_at(self.0, passage as usize).to_le_bytes();
        Measure { length: u16::from_le_bytes([a, b]), steps }
    }
}

const ALL_SECTIONS: [Section; crate::layout::SECTIONS] = {
    use Section::*;
    [
        Groups, Retired, Ids, Times, Outcomes, Firsts, ById, Passages, Owners, Rows, Scales, Vectors, Codes,
        CodeScales, SketchEnds, Sketches, Postings, Terms, TermStarts,
    ]
};
