//! The directory of an index: segment files, the manifest that says which of them count, and a lock for whoever writes.
//!
//! ```text
//! lock                 held while files are written, merged or removed; empty
//! manifest-1           the manifest of format 1; replaced as a whole by renaming
//! seg-1-0000000000000007   a segment of format 1
//! ```
//!
//! A version of the program with another format has other names, so that two versions can share a directory. The
//! manifest is: format, store, generation, `change_seq`, vector space, number of segments; for each its number, the
//! checksum of its contents, the number of its deleted documents and the distances between them; at the end the CRC-32
//! of all that.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memory_core::port::Space;

use crate::bits::Bits;
use crate::coding::{Reader, put, put_bytes};
use crate::layout::{FORMAT, Unreadable, put_space, read_space};
use crate::segment::Segment;
use crate::state::Making;
use crate::write::{Material, write};

/// Where an index lives.
#[derive(Debug)]
pub(crate) struct Place {
    directory: PathBuf,
    making: Making,
}

/// What a directory holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Manifest {
    /// Grows with every manifest.
    pub(crate) generation: u64,
    /// The `change_seq` up to which it is true.
    pub(crate) seq: u64,
    /// The space whose vectors the segments were given.
    pub(crate) space: Option<Space>,
    pub(crate) segments: Vec<Listed>,
}

/// A segment in a manifest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Listed {
    pub(crate) number: u64,
    pub(crate) crc: u32,
    /// Its deleted documents, ascending.
    pub(crate) dead: Vec<u32>,
}

impl Manifest {
    fn encode(&self, store_id: &str) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, u64::from(FORMAT));
        put_bytes(&mut out, store_id.as_bytes());
        put(&mut out, self.generation);
        put(&mut out, self.seq);
        put_space(&mut out, self.space.as_ref());
        put(&mut out, self.segments.len() as u64);
        for Listed { number, crc, dead } in &self.segments {
            put(&mut out, *number);
            put(&mut out, u64::from(*crc));
            put(&mut out, dead.len() as u64);
            let mut last = 0;
            for document in dead {
                put(&mut out, u64::from(document - last));
                last = *document;
            }
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8], store_id: &str) -> Result<Self, Unreadable> {
        let (body, crc) = bytes.split_last_chunk().ok_or(Unreadable::Damaged)?;
        if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
            return Err(Unreadable::Damaged);
        }
        let mut reader = Reader::new(body);
        let format = reader.number().ok_or(Unreadable::Damaged)?;
        if format != u64::from(FORMAT) {
            return Err(Unreadable::Format(format));
        }
        if reader.bytes() != Some(store_id.as_bytes()) {
            return Err(Unreadable::Foreign);
        }
        Self::parse(reader).ok_or(Unreadable::Damaged)
    }

    fn parse(mut reader: Reader<'_>) -> Option<Self> {
        let (generation, seq, space) = (reader.number()?, reader.number()?, read_space(&mut reader)?);
        let count = reader.number()?;
        let mut segments = Vec::new();
        for _ in 0..count {
            let (number, crc, deleted) = (reader.number()?, reader.u32()?, reader.number()?);
            let (mut dead, mut last) = (Vec::new(), 0_u32);
            for _ in 0..deleted {
                last = last.checked_add(reader.u32()?)?;
                dead.push(last);
            }
            segments.push(Listed { number, crc, dead });
        }
        Some(Self { generation, seq, space, segments })
    }
}

/// The numbers in a set.
pub(crate) fn listed(bits: &Bits, documents: u32) -> Vec<u32> {
    bits.within(0..documents).collect()
}

/// Nobody else writes while this lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Place {
    pub(crate) fn new(directory: PathBuf, making: Making) -> Self {
        Self { directory, making }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The right to write; `None` while another process has it.
    pub(crate) fn lock(&self) -> io::Result<Option<Lock>> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        // The index repeats what the store holds, so nobody else may read it either.
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.directory)?;
        let file = private().truncate(false).open(self.directory.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn manifest_path(&self) -> PathBuf {
        self.directory.join(format!("manifest-{FORMAT}"))
    }

    fn segment_path(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{}{number:016x}", segment_prefix()))
    }

    /// What the directory holds; `None` if it holds no index of this format.
    pub(crate) fn manifest(&self) -> Result<Option<Manifest>, Unreadable> {
        match fs::read(self.manifest_path()) {
            Ok(bytes) => Manifest::decode(&bytes, &self.making.store_id).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a listed segment.
    pub(crate) fn open(&self, listed: &Listed) -> Result<Arc<Segment>, Unreadable> {
        let segment = Segment::open(&self.segment_path(listed.number), &self.making.store_id)?;
        if segment.crc() == listed.crc { Ok(Arc::new(segment)) } else { Err(Unreadable::Damaged) }
    }

    /// A number that no segment file has. Only for the holder of the lock.
    pub(crate) fn free_number(&self) -> io::Result<u64> {
        let mut free = 1;
        for name in self.names()? {
            free = free.max(segment_number(&name).map_or(0, |number| number + 1));
        }
        Ok(free)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.directory)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    /// Writes a segment file. It does not count before a manifest lists it. What is `lasting` has reached the disk
    /// when this returns.
    pub(crate) fn create(
        &self,
        number: u64,
        material: &dyn Material,
        lasting: bool,
    ) -> Result<Arc<Segment>, Unreadable> {
        let path = self.segment_path(number);
        self.put(&path, lasting, |file| {
            let mut out = BufWriter::with_capacity(1 << 18, file);
            write(material, &self.making, &mut out)?;
            out.flush()
        })?;
        Segment::open(&path, &self.making.store_id).map(Arc::new)
    }

    /// Makes a manifest the one that counts.
    pub(crate) fn publish(&self, manifest: &Manifest) -> io::Result<()> {
        let bytes = manifest.encode(&self.making.store_id);
        self.put(&self.manifest_path(), true, |mut file| file.write_all(&bytes))
    }

    fn put(&self, path: &Path, lasting: bool, fill: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
        let unfinished = path.with_extension("unfinished");
        let written = (|| {
            let file = private().truncate(true).open(&unfinished)?;
            fill(&file)?;
            if lasting {
                file.sync_data()?;
            }
            fs::rename(&unfinished, path)
        })();
        if written.is_err() {
            // The room may be what the store needs.
            fs::remove_file(&unfinished).ok();
        }
        written
    }

    /// Removes every file of this format that a manifest does not list. Only for the holder of the lock.
    pub(crate) fn clean(&self, segments: &[Listed]) -> io::Result<()> {
        for name in self.names()? {
            let is_listed = segment_number(&name)
                .is_some_and(|number| segments.iter().any(|listed| listed.number == number));
            let is_own =
                name.starts_with(&segment_prefix()) || name == format!("manifest-{FORMAT}.unfinished");
            if is_own && !is_listed {
                fs::remove_file(self.directory.join(name))?;
            }
        }
        Ok(())
    }

    /// Bytes of all its files.
    pub(crate) fn bytes(&self) -> u64 {
        let lengths = self.names().unwrap_or_default().into_iter();
        lengths.filter_map(|name| fs::metadata(self.directory.join(name)).ok()).map(|file| file.len()).sum()
    }
}

fn segment_prefix() -> String {
    format!("seg-{FORMAT}-")
}

fn segment_number(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_prefix(&segment_prefix())?, 16).ok().filter(|number| *number < u64::MAX)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_manifest_is_none() {
        let listed = |number| Listed { number, crc: 9, dead: vec![0, 3, 700] };
        let manifest =
            Manifest { generation: 3, seq: 500, space: None, segments: vec![listed(1), listed(20)] };
        let bytes = manifest.encode("store");
        assert_eq!(Manifest::decode(&bytes, "store").unwrap(), manifest);
        assert!(matches!(Manifest::decode(&bytes, "other"), Err(Unreadable::Foreign)));
        for n in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[n] ^= 0x10;
            assert!(Manifest::decode(&damaged, "store").is_err());
            assert!(Manifest::decode(&bytes[..n], "store").is_err());
        }
    }
}
