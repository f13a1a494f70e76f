//! Vectors of two bits a number, so that a scan over very many reads a quarter of what it would otherwise.
//!
//! A vector is rotated (random signs, then Walsh and Hadamard's transform of blocks), which makes its numbers look
//! normally distributed whatever they were; each becomes the nearest of −3, −1, 1 and 3 half standard deviations. From
//! these, a dot product is estimated as in RaBitQ (Gao and Long 2024): scaled so that what the vector has in common
//! with itself comes out exactly, the error has a known size and, thanks to the rotation, a random direction. Whatever
//! could be among the best but for an error of four standard deviations is then compared exactly: the chance to lose
//! one that is just good enough is one in thirty thousand, and it falls steeply for those that are better.

/// Smallest block that is transformed together.
const BLOCK_MIN: usize = 32;
/// Codes are compared in as many lanes.
const LANES: usize = 32;
/// With more numbers, the sums of a lane could overflow.
const DIMENSIONS_MAX: usize = 2_560;
/// Half the distance between codes, in standard deviations: the best for four equidistant ones (Max 1960).
const HALF_STEP: f32 = 0.498;
/// Standard deviations of the error that are reckoned with.
const ERRORS: f32 = 4.0;

/// Bytes of the codes of a vector; `None` if vectors of so many dimensions are not coded.
pub(crate) fn bytes(dimensions: usize) -> Option<usize> {
    let is_coded = dimensions > 0 && dimensions <= DIMENSIONS_MAX && block(dimensions) >= BLOCK_MIN;
    is_coded.then(|| (dimensions / 4).next_multiple_of(LANES))
}

/// Bytes of what else is kept of a vector: `f32` scale, `f32` error.
pub(crate) const SCALE_BYTES: usize = 8;

/// How many numbers are transformed together.
fn block(dimensions: usize) -> usize {
    1 << dimensions.trailing_zeros()
}

/// Brings numbers into the rotated space; lengths and angles stay.
fn rotate(numbers: &mut [f32]) {
    let block = block(numbers.len());
    for (n, number) in numbers.iter_mut().enumerate() {
        // A fixed, irregular sequence of signs: the bits of a Weyl sequence, multiplied.
        let mixed = (n as u32).wrapping_mul(0x9e37_79b9);
        if (mixed ^ mixed >> 15).wrapping_mul(0x85eb_ca6b) >> 31 == 1 {
            *number = -*number;
        }
    }
    let norm = 1.0 / (block as f32).sqrt();
    for numbers in numbers.chunks_exact_mut(block) {
        let mut half = 1;
        while half < block {
            for pair in numbers.chunks_exact_mut(half * 2) {
                let (left, right) = pair.split_at_mut(half);
                for (a, b) in left.iter_mut().zip(right) {
                    (*a, *b) = (*a + *b, *a - *b);
                }
            }
            half *= 2;
        }
        numbers.iter_mut().for_each(|number| *number *= norm);
    }
}

fn steps(scale: f32, values: impl Iterator<Item = i8>) -> Vec<f32> {
    let mut numbers: Vec<f32> = values.map(|value| f32::from(value) * scale).collect();
    rotate(&mut numbers);
    numbers
}

/// The codes of a vector, its scale and its error.
pub(crate) fn encode(scale: f32, values: &[u8]) -> Option<(Vec<u8>, f32, f32)> {
    let mut codes = vec![0; bytes(values.len())?];
    let numbers = steps(scale, values.iter().map(|value| *value as i8));
    let square: f32 = numbers.iter().map(|number| number * number).sum();
    let step = 2.0 * HALF_STEP * (square / numbers.len() as f32).sqrt();
    let quarter = numbers.len() / 4;
    let (mut product, mut code_square) = (0.0, 0.0);
    for (n, number) in numbers.iter().enumerate() {
        let code = if step > 0.0 { (number / step + 2.0).floor().clamp(0.0, 3.0) } else { 0.0 };
        let level = 2.0 * code - 3.0;
        product += level * number;
        code_square += level * level;
        codes[n % quarter] |= (code as u8) << (2 * (n / quarter));
    }
    let scale = if product > 0.0 { square / product } else { 0.0 };
    let error = (scale * scale * code_square - square).max(0.0).sqrt();
    Some((codes, scale, error))
}

/// The vector that is looked for, to be compared with codes.
pub(crate) struct Query {
    /// For each piece of as many bytes as there are lanes, the numbers of its four codes.
    pieces: Vec<[[i8; LANES]; 4]>,
    /// What a step of these numbers is worth.
    step: f32,
    /// Three times their sum, which the codes count too much.
    excess: i32,
    /// What the error of a vector is multiplied with to get what is to be reckoned with.
    margin: f32,
}

impl Query {
    /// `None` if vectors of so many dimensions are not coded.
    pub(crate) fn new(scale: f32, values: &[i8]) -> Option<Self> {
        let pieces = bytes(values.len())? / LANES;
        let numbers = steps(scale, values.iter().copied());
        let largest = numbers.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
        let step = largest.max(f32::MIN_POSITIVE) / f32::from(i8::MAX);
        let mut query = Self { pieces: vec![[[0; LANES]; 4]; pieces], step, excess: 0, margin: 0.0 };
        let quarter = numbers.len() / 4;
        for (n, number) in numbers.iter().enumerate() {
            let (which, place) = (n / quarter, n % quarter);
            let value = (number / step).round() as i8;
            query.pieces[place / LANES][which][place % LANES] = value;
            query.excess += 3 * i32::from(value);
        }
        let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
        query.margin = ERRORS * length / (numbers.len() as f32).sqrt();
        Some(query)
    }

    /// The least and the most that the dot product with a vector can be reckoned to be, given the product with its codes
    /// and their scale and error.
    #[inline]
    pub(crate) fn bounds(&self, product: i32, &[a, b, c, d, e, f, g, h]: &[u8; SCALE_BYTES]) -> (f32, f32) {
        let (scale, error) = (f32::from_le_bytes([a, b, c, d]), f32::from_le_bytes([e, f, g, h]));
        let estimate = (2 * product - self.excess) as f32 * self.step * scale;
        (estimate - self.margin * error, estimate + self.margin * error)
    }

    /// Fills in the product of the codes of each row with this vector.
    pub(crate) fn products(&self, rows: &[u8], products: &mut [i32]) {
        for (row, product) in rows.chunks_exact(self.pieces.len() * LANES).zip(products) {
            let mut sums = [0_i16; LANES];
            for (bytes, [a, b, c, d]) in row.as_chunks::<LANES>().0.iter().zip(&self.pieces) {
                for lane in 0..LANES {
                    let codes = i16::from(bytes[lane]);
                    let [a, b, c, d] = [a, b, c, d].map(|numbers| i16::from(numbers[lane]));
                    let low = (codes & 3) * a + (codes >> 2 & 3) * b;
                    let high = (codes >> 4 & 3) * c + (codes >> 6) * d;
                    sums[lane] = sums[lane].wrapping_add(low + high);
                }
            }
            *product = sums.iter().map(|sum| i32::from(*sum)).sum();
        }
    }

    /// The same with AVX2, which multiplies bytes and adds them in pairs; compilers do not come upon that themselves.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    pub(crate) fn products_avx2(&self, rows: &[u8], products: &mut [i32]) {
        use std::arch::x86_64::*;
        let (three, ones) = (_mm256_set1_epi8(3), _mm256_set1_epi16(1));
        for (row, product) in rows.chunks_exact(self.pieces.len() * LANES).zip(products) {
            let mut total = _mm256_setzero_si256();
            // Of so many, the sums fit into 16 bits.
            for (bytes, pieces) in row.as_chunks::<LANES>().0.chunks(8).zip(self.pieces.chunks(8)) {
                let mut sums = _mm256_setzero_si256();
                for (bytes, [a, b, c, d]) in bytes.iter().zip(pieces) {
                    let codes = load(bytes);
                    let of = |codes, numbers: &[i8; LANES]| {
                        _mm256_maddubs_epi16(_mm256_and_si256(codes, three), load_signed(numbers))
                    };
                    let low = _mm256_add_epi16(of(codes, a), of(_mm256_srli_epi16::<2>(codes), b));
                    let (third, fourth) = (_mm256_srli_epi16::<4>(codes), _mm256_srli_epi16::<6>(codes));
                    let high = _mm256_add_epi16(of(third, c), of(fourth, d));
                    sums = _mm256_add_epi16(sums, _mm256_add_epi16(low, high));
                }
                total = _mm256_add_epi32(total, _mm256_madd_epi16(sums, ones));
            }
            let half = _mm_add_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256::<1>(total));
            let half = _mm_add_epi32(half, _mm_shuffle_epi32::<0b01_00_11_10>(half));
            *product = _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32::<0b10_11_00_01>(half)));
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "the instruction takes a pointer")]
fn load(bytes: &[u8; LANES]) -> std::arch::x86_64::__m256i {
    // SAFETY: it reads 32 bytes, from any address, and there are as many.
    unsafe { std::arch::x86_64::_mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "the instruction takes a pointer")]
fn load_signed(numbers: &[i8; LANES]) -> std::arch::x86_64::__m256i {
    // SAFETY: it reads 32 bytes, from any address, and there are as many.
    unsafe { std::arch::x86_64::_mm256_loadu_si256(numbers.as_ptr().cast()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use memory_core::vector::Vector;

    /// As they are stored.
    fn scales(scale: f32, error: f32) -> [u8; SCALE_BYTES] {
        let mut bytes = [0; SCALE_BYTES];
        bytes[..4].copy_from_slice(&scale.to_le_bytes());
        bytes[4..].copy_from_slice(&error.to_le_bytes());
        bytes
    }

    fn like(random: &mut fastrand::Rng, other: &[f32], noise: f32) -> Vec<f32> {
        other.iter().map(|number| number + noise * (random.f32() - 0.5)).collect()
    }

    #[test]
    fn estimates_are_close_and_the_margin_holds() {
        let mut random = fastrand::Rng::with_seed(5);
        // A few numbers that are large in all vectors, as models make them.
        let common: Vec<f32> = (0..384).map(|n| if n % 97 == 3 { 4.0 } else { 0.0 }).collect();
        for noise in [0.1, 1.0, 10.0] {
            let query = Vector::new(&like(&mut random, &common, noise));
            let coarse = Query::new(query.scale, &query.values).unwrap();
            let mut off = 0.0_f32;
            for _ in 0..2_000 {
                let near: Vec<f32> =
                    query.values.iter().map(|value| f32::from(*value) * query.scale * 9.0).collect();
                let base = if random.bool() { &near } else { &common };
                let vector = Vector::new(&like(&mut random, base, noise));
                let bytes: Vec<u8> = vector.values.iter().map(|value| *value as u8).collect();
                let (codes, scale, error) = encode(vector.scale, &bytes).unwrap();
                let mut product = [0];
                coarse.products(&codes, &mut product);
                let exact = vector.similarity(&query);
                let (least, most) = coarse.bounds(product[0], &scales(scale, error));
                assert!((least..=most).contains(&exact), "{least} to {most} for {exact}");
                off = off.max(most - exact).max(exact - least);
            }
            assert!(off < 0.25, "{off} too much with noise {noise}");
        }
    }

    #[test]
    fn nothing_comes_of_nothing() {
        let (codes, scale, error) = encode(0.0, &[0; 64]).unwrap();
        let query = Query::new(0.0, &[0; 64]).unwrap();
        let mut product = [0];
        query.products(&codes, &mut product);
        assert_eq!(query.bounds(product[0], &scales(scale, error)), (0.0, 0.0));
        assert!(encode(1.0, &[1; 30]).is_none() && Query::new(1.0, &[1; 4_096]).is_none());
    }
}
