//! Values as bytes: a format version, a checksum, postcard.

use std::hash::{DefaultHasher, Hasher};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version of the format. Raise it whenever the shape of a cached type changes: postcard describes nothing, so
/// old bytes could otherwise be read as something else.
pub(crate) const FORMAT: u8 = 1;

const HEADER_BYTES: usize = 1 + size_of::<u64>();

/// The bytes of a value stored under `key`; `None` for one that postcard cannot express.
pub(crate) fn encode<T: Serialize>(key: &[u8], value: &T) -> Option<Vec<u8>> {
    let mut bytes = postcard::to_extend(value, vec![0; HEADER_BYTES]).ok()?;
    let sum = checksum(key, &bytes[HEADER_BYTES..]);
    bytes[0] = FORMAT;
    bytes[1..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
    Some(bytes)
}

/// The value behind bytes that were stored under `key`; `None` if they are not exactly what [`encode`] makes.
pub(crate) fn decode<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Option<T> {
    let (header, payload) = bytes.split_at_checked(HEADER_BYTES)?;
    if header[0] != FORMAT || header[1..] != checksum(key, payload).to_le_bytes() {
        return None;
    }
    let (value, rest) = postcard::take_from_bytes(payload).ok()?;
    rest.is_empty().then_some(value)
}

/// redb checks its own checksums only when it repairs a file, so a flipped bit would go unnoticed. The standard
/// library may change this hash from one release to the next: every value is a miss then, which is fine.
fn checksum(key: &[u8], payload: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_usize(key.len());
    hasher.write(key);
    hasher.write(payload);
    hasher.finish()
}
