//! What a segment file looks like.
//!
//! ```text
//! 8 bytes: magic
//! the sections, each at a multiple of 64 bytes
//! the contents: format version, store, vector space, counts, and place, length and CRC-32 of every section
//! u32: length of the contents · u32: their CRC-32 · 8 bytes: magic
//! ```
//!
//! Columns of numbers are little-endian without gaps. Documents are sorted by kind, domain, project, time and id, and
//! the passages of a document follow one another, so that what a filter admits is a few ranges of either, and what
//! was written one after another stands side by side. A file is written once, under another name until it is complete,
//! and never changed.

use std::io::{self, Write};
use std::ops::Range;

use memory_core::port::Space;

use crate::coarse;
use crate::coding::{Reader, put, put_bytes};

/// Version of the format; to be raised with every change to it or to what the corpus makes documents of.
pub(crate) const FORMAT: u32 = 1;

const MAGIC: [u8; 8] = *b"\x89memidx\n";
const ALIGNMENT: u64 = 64;
const TRAILER: usize = 16;

/// The parts of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// The groups: kind, domain and project, their documents and how far they are sequences; see `groups`.
    Groups,
    /// For each retired document, ascending: its number (u32) and when (i64, microseconds).
    Retired,
    /// The id of each document (16 bytes).
    Ids,
    /// When each document happened (i64, microseconds).
    Times,
    /// How each document ended (u8: 0 is unknown).
    Outcomes,
    /// The first passage of each document and, last, the number of passages (u32).
    Firsts,
    /// The documents (u32) in the order of their ids.
    ById,
    /// Of each passage: length in terms (u16), weight in steps of 1/200 (u8), zero (u8).
    Passages,
    /// The document of each passage (u32). Empty if every document has one passage.
    Owners,
    /// The passage of each vector (u32). Empty if every passage has one.
    Rows,
    /// The scale of each vector (f32).
    Scales,
    /// The vectors (i8), row by row.
    Vectors,
    /// The codes of each vector, see `coarse`. Empty in segments of few vectors.
    Codes,
    /// For each vector with codes: their scale (f32) and error (f32).
    CodeScales,
    /// Where the sketch of each document ends (u32, in hashes); see `sequence`.
    SketchEnds,
    /// The sketches (u16).
    Sketches,
    /// The postings of all terms, see `postings`.
    Postings,
    /// The terms, see `terms`.
    Terms,
    /// Where their blocks start (u32).
    TermStarts,
}

/// How many sections there are.
pub(crate) const SECTIONS: usize = Section::TermStarts as usize + 1;

/// Sums over documents, from which averages are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Documents.
    pub(crate) documents: u64,
    /// Their passages.
    pub(crate) passages: u64,
    /// Those of them that have a vector.
    pub(crate) vectors: u64,
    /// The lengths of the passages, in terms.
    pub(crate) length: u64,
    /// The lengths times their weights, in 1/200 terms.
    pub(crate) weighted: u64,
}

impl Totals {
    /// Adds others.
    pub(crate) fn add(&mut self, other: &Self) {
        self.documents += other.documents;
        self.passages += other.passages;
        self.vectors += other.vectors;
        self.length += other.length;
        self.weighted += other.weighted;
    }

    /// Takes others out.
    pub(crate) fn subtract(&mut self, other: &Self) {
        self.documents = self.documents.saturating_sub(other.documents);
        self.passages = self.passages.saturating_sub(other.passages);
        self.vectors = self.vectors.saturating_sub(other.vectors);
        self.length = self.length.saturating_sub(other.length);
        self.weighted = self.weighted.saturating_sub(other.weighted);
    }
}

/// A section's place in the file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    pub(crate) start: u64,
    pub(crate) length: u64,
    pub(crate) crc: u32,
}

/// Writes the parts of a segment one after another.
pub(crate) struct Sink<'a> {
    out: &'a mut dyn Write,
    at: u64,
    start: u64,
    crc: crc32fast::Hasher,
    places: [Place; SECTIONS],
}

impl<'a> Sink<'a> {
    /// Begins a segment.
    pub(crate) fn new(out: &'a mut dyn Write) -> io::Result<Self> {
        out.write_all(&MAGIC)?;
        let at = MAGIC.len() as u64;
        Ok(Self { out, at, start: at, crc: crc32fast::Hasher::new(), places: [Place::default(); SECTIONS] })
    }

    /// Begins a section.
    pub(crate) fn begin(&mut self) -> io::Result<()> {
        let gap = self.at.next_multiple_of(ALIGNMENT) - self.at;
        self.out.write_all(&[0; ALIGNMENT as usize][..gap as usize])?;
        self.at += gap;
        self.start = self.at;
        self.crc = crc32fast::Hasher::new();
        Ok(())
    }

    /// Appends to the section.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc.update(bytes);
        self.at += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    /// Bytes in the section so far.
    pub(crate) fn length(&self) -> u64 {
        self.at - self.start
    }

    /// Ends the section.
    pub(crate) fn end(&mut self, section: Section) {
        let crc = std::mem::take(&mut self.crc).finalize();
        self.places[section as usize] = Place { start: self.start, length: self.length(), crc };
    }

    /// A section that is at hand as a whole.
    pub(crate) fn whole(&mut self, section: Section, bytes: &[u8]) -> io::Result<()> {
        self.begin()?;
        self.put(bytes)?;
        self.end(section);
        Ok(())
    }

    /// Ends the segment.
    pub(crate) fn finish(self, store_id: &str, space: Option<&Space>, totals: &Totals) -> io::Result<()> {
        let mut contents = Vec::new();
        put(&mut contents, u64::from(FORMAT));
        put_bytes(&mut contents, store_id.as_bytes());
        put_space(&mut contents, space);
        for number in [totals.documents, totals.passages, totals.vectors, totals.length, totals.weighted] {
            put(&mut contents, number);
        }
        for place in self.places {
            put(&mut contents, place.start);
            put(&mut contents, place.length);
            contents.extend_from_slice(&place.crc.to_le_bytes());
        }
        let trailer = [(contents.len() as u32).to_le_bytes(), crc32fast::hash(&contents).to_le_bytes()];
        self.out.write_all(&contents)?;
        self.out.write_all(trailer.as_flattened())?;
        self.out.write_all(&MAGIC)
    }
}

/// Appends a space that may be absent.
pub(crate) fn put_space(out: &mut Vec<u8>, space: Option<&Space>) {
    crate::coding::put_name(out, space.map(|space| space.name.as_str()));
    put(out, space.map_or(0, |space| space.dimensions as u64));
}

/// Reads what [`put_space`] wrote.
pub(crate) fn read_space(reader: &mut Reader<'_>) -> Option<Option<Space>> {
    let name = reader.name()?;
    let dimensions = reader.length()?;
    Some(name.map(|name| Space { name: name.to_owned(), dimensions }))
}

/// The contents of a segment.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) space: Option<Space>,
    pub(crate) totals: Totals,
    pub(crate) places: [Place; SECTIONS],
    /// The checksum of these contents, which stands for the whole file.
    pub(crate) crc: u32,
}

/// Why a file is no segment.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it is damaged")]
    Damaged,
    #[error("it has format {0}")]
    Format(u64),
    #[error("it belongs to another store")]
    Foreign,
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Contents {
    /// Reads the contents of a file and checks that its sections lie within it and have the lengths that belong together.
    pub(crate) fn read(file: &[u8], store_id: &str) -> Result<Self, Unreadable> {
        let (body, crc) = Self::body(file).ok_or(Unreadable::Damaged)?;
        let mut reader = Reader::new(body);
        let format = reader.number().ok_or(Unreadable::Damaged)?;
        if format != u64::from(FORMAT) {
            return Err(Unreadable::Format(format));
        }
        if reader.bytes().ok_or(Unreadable::Damaged)? != store_id.as_bytes() {
            return Err(Unreadable::Foreign);
        }
        let contents = Self::parse(reader, crc).ok_or(Unreadable::Damaged)?;
        contents.fits(file.len() as u64).then_some(contents).ok_or(Unreadable::Damaged)
    }

    fn body(file: &[u8]) -> Option<(&[u8], u32)> {
        let (rest, trailer) = file.split_at_checked(file.len().checked_sub(TRAILER)?)?;
        let (length, trailer) = trailer.split_first_chunk()?;
        let (crc, magic) = trailer.split_first_chunk()?;
        if magic != MAGIC || !file.starts_with(&MAGIC) {
            return None;
        }
        let body = &rest[rest.len().checked_sub(u32::from_le_bytes(*length) as usize)?..];
        let crc = u32::from_le_bytes(*crc);
        (crc32fast::hash(body) == crc).then_some((body, crc))
    }

    fn parse(mut reader: Reader<'_>, crc: u32) -> Option<Self> {
        let space = read_space(&mut reader)?;
        let mut numbers = [0; 5];
        for number in &mut numbers {
            *number = reader.number()?;
        }
        let [documents, passages, vectors, length, weighted] = numbers;
        let totals = Totals { documents, passages, vectors, length, weighted };
        let mut places = [Place::default(); SECTIONS];
        for place in &mut places {
            let (start, length) = (reader.number()?, reader.number()?);
            let crc = u32::from_le_bytes(*reader.slice(4)?.first_chunk()?);
            *place = Place { start, length, crc };
        }
        Some(Self { space, totals, places, crc })
    }

    fn fits(&self, file: u64) -> bool {
        let Totals { documents, passages, vectors, .. } = self.totals;
        let inside = |place: &Place| place.start.checked_add(place.length).is_some_and(|end| end <= file);
        let has = |section: Section, count: u64, bytes: u64| {
            count.checked_mul(bytes).is_some_and(|length| self.places[section as usize].length == length)
        };
        let dimensions = self.space.as_ref().map_or(0, |space| space.dimensions);
        documents < u64::from(u32::MAX)
            && passages < u64::from(u32::MAX)
            && self.places.iter().all(inside)
            && has(Section::Ids, documents, 16)
            && has(Section::Times, documents, 8)
            && has(Section::Outcomes, documents, 1)
            && has(Section::Firsts, documents + 1, 4)
            && has(Section::ById, documents, 4)
            && has(Section::Passages, passages, 4)
            && (has(Section::Owners, passages, 4) || (has(Section::Owners, 0, 0) && documents == passages))
            && (has(Section::Rows, vectors, 4) || (has(Section::Rows, 0, 0) && vectors == passages))
            && has(Section::Scales, vectors, 4)
            && has(Section::Vectors, vectors, dimensions as u64)
            && (has(Section::Codes, 0, 0)
                || has(Section::Codes, vectors, coarse::bytes(dimensions).unwrap_or(0) as u64))
            && (has(Section::Codes, 0, 0) || has(Section::CodeScales, vectors, coarse::SCALE_BYTES as u64))
            && has(Section::SketchEnds, documents, 4)
    }

    /// Where a section lies.
    pub(crate) fn range(&self, section: Section) -> Range<usize> {
        let place = self.places[section as usize];
        place.start as usize..(place.start + place.length) as usize
    }
}
