//! Numbers and names as bytes: little-endian, and variable-length numbers of seven bits a byte, the low ones first.
//! Reading never goes past the end and never panics: damaged bytes read as `None`, or as zero where a column is asked.

/// Appends a variable-length number.
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends bytes after their number.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a name that may be absent.
pub(crate) fn put_name(out: &mut Vec<u8>, name: Option<&str>) {
    out.push(u8::from(name.is_some()));
    if let Some(name) = name {
        put_bytes(out, name.as_bytes());
    }
}

/// Reads from the front of bytes.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// What was not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (slice, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(slice)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*byte)
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let first = self.byte()?;
        if first < 0x80 {
            return Some(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.number().and_then(|value| u32::try_from(value).ok())
    }

    pub(crate) fn length(&mut self) -> Option<usize> {
        self.number().and_then(|value| usize::try_from(value).ok())
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.length()?;
        self.slice(length)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(crate) fn name(&mut self) -> Option<Option<&'a str>> {
        match self.byte()? {
            0 => Some(None),
            1 => self.text().map(Some),
            _ => None,
        }
    }

    pub(crate) fn f32(&mut self) -> Option<f32> {
        self.slice(4)?.try_into().ok().map(f32::from_le_bytes)
    }
}

/// The `n`th number of a column of `u16`.
#[inline]
pub(crate) fn u16_at(column: &[u8], n: usize) -> u16 {
    column.get(n * 2..n * 2 + 2).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_le_bytes)
}

/// The `n`th number of a column of `u32`.
#[inline]
pub(crate) fn u32_at(column: &[u8], n: usize) -> u32 {
    column.get(n * 4..n * 4 + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// The `n`th number of a column of `f32`.
#[inline]
pub(crate) fn f32_at(column: &[u8], n: usize) -> f32 {
    f32::from_bits(u32_at(column, n))
}

/// The `n`th number of a column of `i64`.
#[inline]
pub(crate) fn i64_at(column: &[u8], n: usize) -> i64 {
    column.get(n * 8..n * 8 + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, i64::from_le_bytes)
}

/// The `n`th number of a column of `u128`, which are big-endian so that bytes and numbers have one order.
#[inline]
pub(crate) fn u128_at(column: &[u8], n: usize) -> u128 {
    column.get(n * 16..n * 16 + 16).and_then(|bytes| bytes.try_into().ok()).map_or(0, u128::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(values in proptest::collection::vec(any::<u64>(), 0..20)) {
            let mut bytes = Vec::new();
            values.iter().for_each(|value| put(&mut bytes, *value));
            let mut reader = Reader::new(&bytes);
            for value in values {
                prop_assert_eq!(reader.number(), Some(value));
            }
            prop_assert_eq!(reader.number(), None);
        }

        #[test]
        fn whatever_the_bytes_reading_ends(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut reader = Reader::new(&bytes);
            while reader.name().is_some() || reader.number().is_some() {}
            for n in 0..60 {
                u32_at(&bytes, n);
                i64_at(&bytes, n);
                u128_at(&bytes, n);
            }
        }
    }
}
