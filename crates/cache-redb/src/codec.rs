//! Values as bytes: a format version, then postcard. That the bytes are the ones once written is redb's business,
//! which checks its pages when the file is opened.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The version of the format. Raise it whenever the shape of a cached type changes: postcard describes nothing, so
/// old bytes could otherwise be read as something else.
pub(crate) const FORMAT: u8 = 5;

/// The bytes of a value; `None` for one that postcard cannot express.
pub(crate) fn encode<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    postcard::to_extend(value, vec![FORMAT]).ok()
}

/// The value behind the bytes; `None` if they are of another format, too short, too long or not decodable.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (format, payload) = bytes.split_first()?;
    let (value, rest) = postcard::take_from_bytes(payload).ok()?;
    (*format == FORMAT && rest.is_empty()).then_some(value)
}
