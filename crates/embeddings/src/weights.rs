//! The weights: tensors of 32-bit numbers in a mapped safetensors file.
//!
//! Nothing is copied: the pages are read when they are first used and shared by all processes that map the file.

use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, Metadata};

use crate::config::open_file;
use crate::limits::HEADER_BYTES_MAX;
use crate::model::ModelError;

#[cfg(target_endian = "big")]
compile_error!("the weights are read where they lie, as numbers whose lowest byte comes first");

/// The file with the weights.
pub(crate) const WEIGHTS_FILE: &str = "model.safetensors";
/// The tensor of the words, which every model has.
pub(crate) const WORD_EMBEDDINGS: &str = "embeddings.word_embeddings.weight";
/// What some models put before the names of all tensors.
const PREFIX: &str = "bert.";
/// Length of the field that says how long the header is, in bytes.
const LENGTH_BYTES: usize = 8;

/// A mapped file of weights.
pub(crate) struct Weights {
    map: Mmap,
}

/// Where a tensor lies in the file: checked to be whole and aligned.
#[derive(Clone, Debug)]
pub(crate) struct Tensor(Range<usize>);

/// The tensors that a file says it has.
pub(crate) struct Contents {
    metadata: Metadata,
    /// Where the tensors begin in the file.
    start: usize,
    prefix: &'static str,
}

impl Weights {
    /// Maps the weights of the model in `dir`.
    pub(crate) fn open(dir: &Path) -> Result<Self, ModelError> {
        let file = open_file(dir, WEIGHTS_FILE)?;
        #[expect(unsafe_code, reason = "mapping a file is unsafe in itself")]
        // SAFETY: the library's files are replaced, never written in place. Numbers have no invalid values, so somebody
        // who changes the file all the same gets wrong vectors; one who truncates it ends this process by SIGBUS, which
        // `LocalEmbedder` keeps unlikely by comparing the file's length before each use.
        let map = unsafe { Mmap::map(&file) }.map_err(wrong)?;
        Ok(Self { map })
    }

    /// Reads and checks the header.
    pub(crate) fn contents(&self) -> Result<Contents, ModelError> {
        let length = self.map.first_chunk::<LENGTH_BYTES>().map(|bytes| u64::from_le_bytes(*bytes));
        let length = length.ok_or_else(|| wrong("it is too short to be a safetensors file"))?;
        if length > HEADER_BYTES_MAX {
            return Err(wrong(format!(
                "it claims a header of {length} bytes; it is damaged or no safetensors file"
            )));
        }
        // This compares all offsets with the shapes and with the file's length.
        let (header, metadata) = SafeTensors::read_metadata(&self.map).map_err(wrong)?;
        let start = LENGTH_BYTES + header;
        let prefixed = metadata.info(&format!("{PREFIX}{WORD_EMBEDDINGS}")).is_some();
        Ok(Contents { metadata, start, prefix: if prefixed { PREFIX } else { "" } })
    }

    /// The numbers of a tensor.
    pub(crate) fn numbers(&self, tensor: &Tensor) -> &[f32] {
        // The map begins at a page, so the alignment that was checked when the tensor was found holds here.
        bytemuck::cast_slice(&self.map[tensor.0.clone()])
    }

    /// Length of the file, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.map.len() as u64
    }
}

impl Contents {
    /// Finds a tensor that must have this shape.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, ModelError> {
        let name = format!("{}{name}", self.prefix);
        let info = self.metadata.info(&name).ok_or_else(|| wrong(format!("the tensor {name} is missing")))?;
        if info.dtype != Dtype::F32 {
            return Err(wrong(format!(
                "the tensor {name} is of type {:?}; only F32 is supported",
                info.dtype
            )));
        }
        if info.shape != shape {
            let found = &info.shape;
            return Err(wrong(format!(
                "the tensor {name} has shape {found:?}; config.json calls for {shape:?}"
            )));
        }
        let (begin, end) = (self.start + info.data_offsets.0, self.start + info.data_offsets.1);
        if !begin.is_multiple_of(align_of::<f32>()) {
            return Err(wrong(format!("the tensor {name} is not aligned; saving the model anew mends that")));
        }
        Ok(Tensor(begin..end))
    }
}

fn wrong(problem: impl ToString) -> ModelError {
    ModelError::new(WEIGHTS_FILE, problem)
}
