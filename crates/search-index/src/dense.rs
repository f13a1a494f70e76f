//! Comparing vectors: a scan over all admitted ones, eight bits a number.

use std::ops::Range;

use memory_core::port::Space;
use memory_core::vector::Vector;

use crate::admit::Admitted;
use crate::best::{Best, Offering};
use crate::coarse;
use crate::promising::Promising;
use crate::segment::Segment;

/// Vectors whose products are computed before any is looked at.
const ROWS: u32 = 64;
/// How many vectors before they are compared they are brought nearer.
const AHEAD: u32 = 3 * ROWS;
/// The same of vectors that lie here and there.
const ROWS_AHEAD: usize = 8;

/// The vector that is looked for.
pub(crate) struct Wanted {
    space: Space,
    scale: f32,
    values: Vec<i16>,
    coarse: Option<coarse::Query>,
    ways: Ways,
}

impl Wanted {
    /// `None` if the vector is not one of the space.
    pub(crate) fn new(space: Space, vector: &Vector) -> Option<Self> {
        if vector.values.len() != space.dimensions || space.dimensions == 0 {
            return None;
        }
        let values = vector.values.iter().map(|value| i16::from(*value)).collect();
        let coarse = coarse::Query::new(vector.scale, &vector.values);
        Some(Self { space, scale: vector.scale, values, coarse, ways: fastest() })
    }

    /// The cosine of a passage's vector and this one.
    pub(crate) fn similarity(&self, segment: &Segment, passage: u32) -> Option<f32> {
        if segment.space() != Some(&self.space) {
            return None;
        }
        let (scale, values) = segment.vector(passage)?;
        let mut product = [0];
        (self.ways.dots)(values, &self.values, &mut product);
        Some(product[0] as f32 * scale * self.scale)
    }

    /// Offers every admitted passage that has a vector, or, where there are codes, every one that may be of use.
    pub(crate) fn scan(&self, segment: &Segment, admitted: &Admitted, part: u32, best: &mut Best) {
        if segment.space() != Some(&self.space) {
            return;
        }
        let all = admitted.passages.iter().map(|passages| segment.rows_of(passages.clone()));
        if let (Some(coarse), true) =
            (&self.coarse, segment.codes(0..1).is_some_and(|codes| !codes.is_empty()))
        {
            return self.scan_codes(coarse, segment, admitted, all, part, best);
        }
        let mut offering = Offering::new(best, segment, part);
        for (chunk, next) in all.flat_map(chunks) {
            prefetch(segment.values(next));
            self.exactly(chunk, admitted, &mut offering);
        }
    }

    /// Goes through the codes, then compares those exactly that may be of use.
    fn scan_codes(
        &self,
        coarse: &coarse::Query,
        segment: &Segment,
        admitted: &Admitted,
        all: impl Iterator<Item = Range<u32>>,
        part: u32,
        best: &mut Best,
    ) {
        let (limit, threshold) = best.wanted();
        let (mut promising, owners) = (Promising::new(limit, threshold), segment.owners());
        let mut products = [0; ROWS as usize];
        for (chunk, next) in all.flat_map(chunks) {
            prefetch(segment.codes(next).unwrap_or_default());
            (self.ways.codes)(coarse, segment.codes(chunk.clone()).unwrap_or_default(), &mut products);
            let scales = segment.code_scales(chunk.clone());
            for ((row, product), scales) in chunk.zip(products).zip(scales) {
                let (least, most) = coarse.bounds(product, scales);
                if promising.wants(most) {
                    let document = owners.of(segment.passage_of_row(row));
                    if admitted.is_all || admitted.bits.has(document) {
                        promising.add(row, document, (least, most));
                    }
                }
            }
        }
        let (threshold, rows) = promising.finish(|row| self.score(segment, row));
        best.raise(threshold);
        let mut offering = Offering::new(best, segment, part);
        for (place, (row, most)) in rows.iter().enumerate() {
            if let Some((ahead, _)) = rows.get(place + ROWS_AHEAD) {
                prefetch(segment.values(*ahead..*ahead + 1));
            }
            if offering.wants(*most) {
                self.exactly(*row..*row + 1, admitted, &mut offering);
            }
        }
    }

    fn score(&self, segment: &Segment, row: u32) -> f32 {
        let mut product = [0];
        (self.ways.dots)(segment.values(row..row + 1), &self.values, &mut product);
        product[0] as f32 * segment.scale(row) * self.scale
    }

    fn exactly(&self, rows: Range<u32>, admitted: &Admitted, offering: &mut Offering<'_>) {
        let segment = offering.segment();
        let mut products = [0; ROWS as usize];
        (self.ways.dots)(segment.values(rows.clone()), &self.values, &mut products);
        for (row, product) in rows.zip(products) {
            let score = product as f32 * segment.scale(row) * self.scale;
            if offering.wants(score) {
                let passage = segment.passage_of_row(row);
                let document = offering.document_of(passage);
                if passage < segment.passages() && (admitted.is_all || admitted.bits.has(document)) {
                    offering.offer(passage, document, score);
                }
            }
        }
    }
}

/// A range of rows in pieces, each with the one to be brought nearer meanwhile.
fn chunks(rows: Range<u32>) -> impl Iterator<Item = (Range<u32>, Range<u32>)> {
    let end = rows.end;
    let at = move |start: u32| start.min(end)..(start + ROWS).min(end);
    rows.step_by(ROWS as usize).map(move |start| (at(start), at(start + AHEAD)))
}

/// Has bytes that will be read soon brought nearer. Processors do so on their own, but not beyond a page.
fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[expect(unsafe_code, reason = "a hint to the processor")]
        // SAFETY: it reads nothing, and the address is that of a byte that may be read.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

/// Fills in the dot product of each row with a vector.
type Dots = fn(rows: &[u8], vector: &[i16], products: &mut [i32]);

#[inline(always)]
fn inline_dots(rows: &[u8], vector: &[i16], products: &mut [i32]) {
    for (row, product) in rows.chunks_exact(vector.len()).zip(products) {
        *product = row.iter().zip(vector).map(|(a, b)| i32::from(*a as i8) * i32::from(*b)).sum();
    }
}

/// Fills in the product of each row of codes with a vector.
type Codes = fn(query: &coarse::Query, rows: &[u8], products: &mut [i32]);

/// How it is done on this processor.
#[derive(Clone, Copy)]
struct Ways {
    dots: Dots,
    codes: Codes,
}

const PLAIN: Ways = Ways {
    dots: |rows, vector, products| inline_dots(rows, vector, products),
    codes: |query, rows, products| query.products(rows, products),
};

/// One pair of functions, compiled for a kind of processor.
#[cfg(target_arch = "x86_64")]
macro_rules! ways {
    ($features:literal) => {{
        #[target_feature(enable = $features)]
        fn dots(rows: &[u8], vector: &[i16], products: &mut [i32]) {
            inline_dots(rows, vector, products);
        }
        #[expect(unsafe_code, reason = "calls a function for a processor that was found to be of that kind")]
        fn call_dots(rows: &[u8], vector: &[i16], products: &mut [i32]) {
            // SAFETY: only chosen where the processor has these features.
            unsafe { dots(rows, vector, products) }
        }
        #[expect(unsafe_code, reason = "calls a function for a processor that was found to be of that kind")]
        fn call_codes(query: &coarse::Query, rows: &[u8], products: &mut [i32]) {
            // SAFETY: only chosen where the processor has these features, of which AVX2 is one.
            unsafe { query.products_avx2(rows, products) }
        }
        Ways { dots: call_dots, codes: call_codes }
    }};
}

/// The fastest ways on this processor. The code is one; the compiler makes different instructions of it.
#[cfg(target_arch = "x86_64")]
fn fastest() -> Ways {
    let has_avx2 = is_x86_feature_detected!("avx2");
    if has_avx2 && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
        ways!("avx2,avx512bw,avx512f,avx512vl")
    } else if has_avx2 {
        ways!("avx2")
    } else {
        PLAIN
    }
}

/// Elsewhere what every processor has is good enough (NEON on ARM).
#[cfg(not(target_arch = "x86_64"))]
fn fastest() -> Ways {
    PLAIN
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_fastest_way_comes_to_the_same(
            (rows, vector) in (1_usize..70).prop_flat_map(|n| {
                (proptest::collection::vec(any::<u8>(), n * 5), proptest::collection::vec(-127_i16..=127, n))
            })
        ) {
            let (mut fast, mut exact) = ([0; 5], [0; 5]);
            (fastest().dots)(&rows, &vector, &mut fast);
            (PLAIN.dots)(&rows, &vector, &mut exact);
            prop_assert_eq!(fast, exact);
        }
    }

    #[test]
    fn the_fastest_way_to_compare_codes_comes_to_the_same() {
        let mut random = fastrand::Rng::with_seed(2);
        for dimensions in [32, 96, 384, 1_536, 2_560] {
            let values: Vec<i8> = (0..dimensions).map(|_| random.i8(-127..)).collect();
            let query = coarse::Query::new(0.1, &values).unwrap();
            let bytes = coarse::bytes(dimensions).unwrap();
            // All threes first: the largest sums there can be.
            let mut rows = vec![u8::MAX; bytes];
            rows.extend((0..bytes * 4).map(|_| random.u8(..)));
            let (mut fast, mut exact) = ([0; 5], [0; 5]);
            (fastest().codes)(&query, &rows, &mut fast);
            (PLAIN.codes)(&query, &rows, &mut exact);
            assert_eq!(fast, exact);
        }
    }
}
