//! Writing a segment: column by column, so that the largest can be written without being held.

use std::io;
use std::ops::Range;

use memory_core::port::Space;

use crate::coarse;
use crate::groups::{self, Group, GroupKey};
use crate::layout::{Section, Sink, Totals};
use crate::postings::{self, Posting};
use crate::segment::Measure;
use crate::sequence::Likeness;
use crate::state::Making;
use crate::terms::TermsWriter;
use memory_core::retrieve::Kind;

/// Everything about a document but its passages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) id: u128,
    /// Microseconds.
    pub(crate) at: i64,
    /// 0, or the place of the outcome in its enumeration, from 1.
    pub(crate) outcome: u8,
    /// Microseconds.
    pub(crate) retired: Option<i64>,
    pub(crate) passages: u32,
}

/// Takes a term and its postings.
pub(crate) type Take<'a> = dyn FnMut(&[u8], &[Posting]) -> io::Result<()> + 'a;

/// What a segment is to hold. Documents are numbered in the order of a segment, passages in that of their documents.
pub(crate) trait Material {
    /// The groups in their order, and the documents of each.
    fn groups(&self) -> Vec<(GroupKey, Range<u32>)>;
    /// The space of the vectors.
    fn space(&self) -> Option<&Space>;
    fn row(&self, document: u32) -> Row;
    /// Of the `n`th passage of a document.
    fn measure(&self, document: u32, n: u32) -> Measure;
    /// Of the `n`th passage of a document: what a step is worth, and the steps.
    fn vector(&self, document: u32, n: u32) -> Option<(f32, &[u8])>;
    fn sketch(&self, document: u32) -> Vec<u16>;
    /// Gives every term with its postings, ascending, to `take`.
    fn terms(&self, take: &mut Take<'_>) -> io::Result<()>;
}

/// Writes a segment.
pub(crate) fn write(material: &dyn Material, making: &Making, out: &mut dyn io::Write) -> io::Result<()> {
    let groups = material.groups();
    let documents = groups.last().map_or(0, |(_, documents)| documents.end);
    let mut writer = Writer {
        material,
        documents,
        sink: Sink::new(out)?,
        totals: Totals::default(),
        coarse_vectors_min: making.coarse_vectors_min,
    };
    writer.groups(groups)?;
    writer.columns()?;
    writer.by_id()?;
    let owners = writer.passages()?;
    writer.vectors(&owners)?;
    writer.sketches()?;
    writer.terms(&owners)?;
    writer.totals.documents = u64::from(documents);
    writer.sink.finish(&making.store_id, material.space(), &writer.totals)
}

struct Writer<'a> {
    material: &'a dyn Material,
    documents: u32,
    sink: Sink<'a>,
    totals: Totals,
    coarse_vectors_min: usize,
}

impl Writer<'_> {
    fn groups(&mut self, groups: Vec<(GroupKey, Range<u32>)>) -> io::Result<()> {
        let measured = |(key, documents): (GroupKey, Range<u32>)| {
            let count = documents.end - documents.start;
            let sketch = |n: u32| self.material.sketch(documents.start + n);
            let likeness = match key.kind {
                Kind::Note => Likeness::measure(count, sketch),
                // Trials of one task resemble each other wherever they stand.
                Kind::Episode | Kind::Pattern => Likeness::default(),
            };
            Group { key, documents, likeness }
        };
        let groups: Vec<Group> = groups.into_iter().map(measured).collect();
        self.sink.whole(Section::Groups, &groups::encode(&groups))
    }

    fn column<const N: usize>(
        &mut self,
        section: Section,
        value: impl Fn(u32, Row) -> [u8; N],
    ) -> io::Result<()> {
        self.sink.begin()?;
        for document in 0..self.documents {
            self.sink.put(&value(document, self.material.row(document)))?;
        }
        self.sink.end(section);
        Ok(())
    }

    fn columns(&mut self) -> io::Result<()> {
        self.sink.begin()?;
        for document in 0..self.documents {
            if let Some(at) = self.material.row(document).retired {
                self.sink.put(&document.to_le_bytes())?;
                self.sink.put(&at.to_le_bytes())?;
            }
        }
        self.sink.end(Section::Retired);
        self.column(Section::Ids, |_, row| row.id.to_be_bytes())?;
        self.column(Section::Times, |_, row| row.at.to_le_bytes())?;
        self.column(Section::Outcomes, |_, row| [row.outcome])
    }

    fn by_id(&mut self) -> io::Result<()> {
        let mut order: Vec<(u128, u32)> =
            (0..self.documents).map(|document| (self.material.row(document).id, document)).collect();
        order.sort_unstable();
        self.sink.begin()?;
        for (_, document) in order {
            self.sink.put(&document.to_le_bytes())?;
        }
        self.sink.end(Section::ById);
        Ok(())
    }

    /// Writes what is known of the passages; returns the document of each.
    fn passages(&mut self) -> io::Result<Vec<u32>> {
        let mut owners = Vec::new();
        self.sink.begin()?;
        for document in 0..self.documents {
            self.sink.put(&(owners.len() as u32).to_le_bytes())?;
            owners.resize(owners.len() + self.material.row(document).passages as usize, document);
        }
        self.sink.put(&(owners.len() as u32).to_le_bytes())?;
        self.sink.end(Section::Firsts);
        self.sink.begin()?;
        for (document, n) in numbered(&owners) {
            let measure = self.material.measure(document, n);
            let [a, b] = measure.length.to_le_bytes();
            self.sink.put(&[a, b, measure.steps, 0])?;
            self.totals.length += u64::from(measure.length);
            self.totals.weighted += measure.weighted();
        }
        self.sink.end(Section::Passages);
        self.sink.begin()?;
        if owners.iter().enumerate().any(|(passage, document)| passage as u32 != *document) {
            for document in &owners {
                self.sink.put(&document.to_le_bytes())?;
            }
        }
        self.sink.end(Section::Owners);
        self.totals.passages = owners.len() as u64;
        Ok(owners)
    }

    fn vectors(&mut self, owners: &[u32]) -> io::Result<()> {
        let material = self.material;
        let of = |(passage, (document, n))| Some((passage, material.vector(document, n)?));
        let rows = || (0_u32..).zip(numbered(owners)).filter_map(of);
        let vectors = rows().count();
        self.sink.begin()?;
        if vectors < owners.len() {
            for (passage, _) in rows() {
                self.sink.put(&passage.to_le_bytes())?;
            }
        }
        self.sink.end(Section::Rows);
        self.sink.begin()?;
        for (_, (scale, _)) in rows() {
            self.sink.put(&scale.to_le_bytes())?;
        }
        self.sink.end(Section::Scales);
        self.sink.begin()?;
        for (_, (_, values)) in rows() {
            self.sink.put(values)?;
        }
        self.sink.end(Section::Vectors);
        self.totals.vectors = vectors as u64;
        if vectors >= self.coarse_vectors_min {
            self.codes(rows().filter_map(|(_, (scale, values))| coarse::encode(scale, values)))?;
        }
        Ok(())
    }

    fn codes(&mut self, codes: impl Iterator<Item = (Vec<u8>, f32, f32)>) -> io::Result<()> {
        let mut scales = Vec::new();
        self.sink.begin()?;
        for (codes, scale, error) in codes {
            self.sink.put(&codes)?;
            scales.extend_from_slice(&scale.to_le_bytes());
            scales.extend_from_slice(&error.to_le_bytes());
        }
        self.sink.end(Section::Codes);
        self.sink.whole(Section::CodeScales, &scales)
    }

    fn sketches(&mut self) -> io::Result<()> {
        let mut end = 0_u32;
        self.sink.begin()?;
        for document in 0..self.documents {
            end += self.material.sketch(document).len() as u32;
            self.sink.put(&end.to_le_bytes())?;
        }
        self.sink.end(Section::SketchEnds);
        self.sink.begin()?;
        for document in 0..self.documents {
            for hash in self.material.sketch(document) {
                self.sink.put(&hash.to_le_bytes())?;
            }
        }
        self.sink.end(Section::Sketches);
        Ok(())
    }

    fn terms(&mut self, owners: &[u32]) -> io::Result<()> {
        let mut terms = TermsWriter::default();
        let mut bytes = Vec::new();
        let sink = &mut self.sink;
        sink.begin()?;
        self.material.terms(&mut |term, list| {
            terms.add(term, sink.length());
            bytes.clear();
            let owner = |posting: &Posting| owners.get(posting.0 as usize);
            let documents = list.chunk_by(|a, b| owner(a) == owner(b)).count();
            postings::encode(&mut bytes, documents as u32, list);
            sink.put(&bytes)
        })?;
        sink.end(Section::Postings);
        sink.whole(Section::Terms, &terms.blocks)?;
        sink.whole(Section::TermStarts, &terms.starts)
    }
}

/// The document and the number within it of each passage.
fn numbered(owners: &[u32]) -> impl Iterator<Item = (u32, u32)> {
    owners.chunk_by(|a, b| a == b).flat_map(|passages| passages.iter().copied().zip(0..))
}
