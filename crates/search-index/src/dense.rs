//! Comparing vectors: a scan over all admitted ones, eight bits a number.

use memory_core::port::Space;
use memory_core::vector::Vector;

use crate::admit::Admitted;
use crate::best::{Best, Offering};
use crate::segment::Segment;

/// Vectors whose products are computed before any is looked at.
const ROWS: u32 = 64;

/// The vector that is looked for.
pub(crate) struct Wanted {
    space: Space,
    scale: f32,
    values: Vec<i16>,
    dots: Dots,
}

impl Wanted {
    /// `None` if the vector is not one of the space.
    pub(crate) fn new(space: Space, vector: &Vector) -> Option<Self> {
        if vector.values.len() != space.dimensions || space.dimensions == 0 {
            return None;
        }
        let values = vector.values.iter().map(|value| i16::from(*value)).collect();
        Some(Self { space, scale: vector.scale, values, dots: fastest() })
    }

    /// The cosine of a passage's vector and this one.
    pub(crate) fn similarity(&self, segment: &Segment, passage: u32) -> Option<f32> {
        if segment.space() != Some(&self.space) {
            return None;
        }
        let (scale, values) = segment.vector(passage)?;
        let mut product = [0];
        (self.dots)(values, &self.values, &mut product);
        Some(product[0] as f32 * scale * self.scale)
    }

    /// Offers every admitted passage that has a vector.
    pub(crate) fn scan(&self, segment: &Segment, admitted: &Admitted, part: u32, best: &mut Best) {
        if segment.space() != Some(&self.space) {
            return;
        }
        let mut products = [0; ROWS as usize];
        let mut offering = Offering::new(best, segment, part);
        for passages in &admitted.passages {
            let rows = segment.rows_of(passages.clone());
            for start in rows.clone().step_by(ROWS as usize) {
                let chunk = start..rows.end.min(start + ROWS);
                (self.dots)(segment.values(chunk.clone()), &self.values, &mut products);
                for (row, product) in chunk.zip(products) {
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
    }
}

/// Fills in the dot product of each row with a vector.
type Dots = fn(rows: &[u8], vector: &[i16], products: &mut [i32]);

#[inline(always)]
fn dots(rows: &[u8], vector: &[i16], products: &mut [i32]) {
    for (row, product) in rows.chunks_exact(vector.len()).zip(products) {
        *product = row.iter().zip(vector).map(|(a, b)| i32::from(*a as i8) * i32::from(*b)).sum();
    }
}

fn plain(rows: &[u8], vector: &[i16], products: &mut [i32]) {
    dots(rows, vector, products);
}

/// The fastest way on this processor. The code is one; the compiler makes different instructions of it.
#[cfg(target_arch = "x86_64")]
fn fastest() -> Dots {
    #[target_feature(enable = "avx2")]
    fn avx2(rows: &[u8], vector: &[i16], products: &mut [i32]) {
        dots(rows, vector, products);
    }
    #[target_feature(enable = "avx512bw,avx512f,avx512vl")]
    fn avx512(rows: &[u8], vector: &[i16], products: &mut [i32]) {
        dots(rows, vector, products);
    }
    #[expect(unsafe_code, reason = "calls a function for a processor that was found to be of that kind")]
    fn with_avx2(rows: &[u8], vector: &[i16], products: &mut [i32]) {
        // SAFETY: only returned below where the processor has AVX2.
        unsafe { avx2(rows, vector, products) }
    }
    #[expect(unsafe_code, reason = "calls a function for a processor that was found to be of that kind")]
    fn with_avx512(rows: &[u8], vector: &[i16], products: &mut [i32]) {
        // SAFETY: only returned below where the processor has these parts of AVX-512.
        unsafe { avx512(rows, vector, products) }
    }
    if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
        with_avx512
    } else if is_x86_feature_detected!("avx2") {
        with_avx2
    } else {
        plain
    }
}

/// Elsewhere what is always there is vectors enough (NEON on ARM).
#[cfg(not(target_arch = "x86_64"))]
fn fastest() -> Dots {
    plain
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
            fastest()(&rows, &vector, &mut fast);
            plain(&rows, &vector, &mut exact);
            prop_assert_eq!(fast, exact);
        }
    }
}
