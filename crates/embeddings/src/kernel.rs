//! The arithmetic: products of matrices and the small layers between them.
//!
//! A query has a few rows, and nearly all of its time is spent on streaming the weights from memory once. Packing them
//! first, as a general matrix product does, would double that, so products of few rows are made of dot products over
//! the weights where they lie ([`Few`]); those of many rows go to `matrixmultiply`. The loops of the small layers are
//! plain ones, compiled for each instruction set by [`Arch::dispatch`].

use pulp::{Arch, Simd, WithSimd};

/// Rows up to which streaming the weights beats packing them (measured on AVX-512; AVX2 is alike).
const FEW_ROWS_MAX: usize = 20;
/// Partial sums of a reduction; enough to fill the widest register, so that the loop is vectorized.
const LANES: usize = 16;

/// A matrix within a slice: where it begins is the slice's business.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// Its numbers.
    pub(crate) data: &'a [f32],
    /// Distance from one row to the next, in numbers.
    pub(crate) row: usize,
    /// Distance from one column to the next, in numbers.
    pub(crate) column: usize,
}

/// A linear layer: the weights as they are stored, one row of inputs for each output, and the bias.
#[derive(Clone, Copy)]
pub(crate) struct Linear<'a> {
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
}

impl Linear<'_> {
    /// Writes `input · weightᵀ + bias` to `output`, one row for each row of the input.
    pub(crate) fn apply(self, arch: Arch, input: &[f32], output: &mut [f32]) {
        let outputs = self.bias.len();
        let inputs = self.weight.len() / outputs;
        let rows = input.len() / inputs;
        debug_assert_eq!(output.len(), rows * outputs);
        if rows <= FEW_ROWS_MAX {
            arch.dispatch(Few { layer: self, rows, inputs, input, output });
            return;
        }
        for row in output.chunks_exact_mut(outputs) {
            row.copy_from_slice(self.bias);
        }
        let input = View { data: input, row: inputs, column: 1 };
        let weight = View { data: self.weight, row: 1, column: inputs };
        multiply([rows, inputs, outputs], 1.0, input, weight, 1.0, output, outputs);
    }
}

/// `out = scale · left · right + keep · out`, where `left` has `[rows, inner, _]` and `right` `[_, inner, columns]`.
///
/// # Panics
/// If a matrix does not lie within its slice.
pub(crate) fn multiply(
    [rows, inner, columns]: [usize; 3],
    scale: f32,
    left: View<'_>,
    right: View<'_>,
    keep: f32,
    out: &mut [f32],
    out_row: usize,
) {
    let within = |length, rows: usize, columns: usize, row, column| {
        rows == 0 || columns == 0 || (rows - 1) * row + (columns - 1) * column < length
    };
    assert!(within(left.data.len(), rows, inner, left.row, left.column));
    assert!(within(right.data.len(), inner, columns, right.row, right.column));
    assert!(within(out.len(), rows, columns, out_row, 1) && out_row >= columns);
    #[expect(
        unsafe_code,
        reason = "the kernel takes pointers; that they stay within the slices is asserted above"
    )]
    // SAFETY: every element that the sizes and strides reach lies within its slice, and `out` is borrowed uniquely.
    unsafe {
        matrixmultiply::sgemm(
            rows,
            inner,
            columns,
            scale,
            left.data.as_ptr(),
            left.row as isize,
            left.column as isize,
            right.data.as_ptr(),
            right.row as isize,
            right.column as isize,
            keep,
            out.as_mut_ptr(),
            out_row as isize,
            1,
        );
    }
}

/// A linear layer over few rows.
struct Few<'a> {
    layer: Linear<'a>,
    rows: usize,
    inputs: usize,
    input: &'a [f32],
    output: &'a mut [f32],
}

impl WithSimd for Few<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let outputs = self.layer.bias.len();
        let mut column = 0;
        while column + 4 <= outputs {
            self.columns::<S, 4>(simd, column);
            column += 4;
        }
        while column < outputs {
            self.columns::<S, 1>(simd, column);
            column += 1;
        }
    }
}

impl Few<'_> {
    /// Computes `C` columns of the output, in blocks of rows that are as large as the registers allow and as even as
    /// possible: a block of one row would wait for its sums most of the time.
    #[inline(always)]
    fn columns<S: Simd, const C: usize>(&mut self, simd: S, column: usize) {
        let block_max = if S::REGISTER_COUNT >= 32 { 5 } else { 2 };
        let mut row = 0;
        for left in (1..=self.rows.div_ceil(block_max)).rev() {
            let block = (self.rows - row).div_ceil(left);
            match block {
                5 => self.tile::<S, 5, C>(simd, row, column),
                4 => self.tile::<S, 4, C>(simd, row, column),
                3 => self.tile::<S, 3, C>(simd, row, column),
                2 => self.tile::<S, 2, C>(simd, row, column),
                _ => self.tile::<S, 1, C>(simd, row, column),
            }
            row += block;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const R: usize, const C: usize>(&mut self, simd: S, row: usize, column: usize) {
        let Linear { weight, bias } = self.layer;
        let line = |matrix, at| {
            let (head, tail) = S::as_simd_f32s(row_of(matrix, at, self.inputs));
            (&head[..self.inputs / S::F32_LANES], tail)
        };
        let inputs: [_; R] = std::array::from_fn(|i| line(self.input, row + i));
        let weights: [_; C] = std::array::from_fn(|j| line(weight, column + j));
        let mut sums = [[simd.splat_f32s(0.0); C]; R];
        for at in 0..self.inputs / S::F32_LANES {
            let weights: [S::f32s; C] = std::array::from_fn(|j| weights[j].0[at]);
            for (sums, (input, _)) in sums.iter_mut().zip(&inputs) {
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum = simd.mul_add_e_f32s(input[at], weight, *sum);
                }
            }
        }
        for (i, (sums, (_, input))) in sums.iter().zip(&inputs).enumerate() {
            let output = &mut self.output[(row + i) * bias.len() + column..][..C];
            for (j, (sum, (_, weight))) in sums.iter().zip(&weights).enumerate() {
                let rest: f32 = input.iter().zip(*weight).map(|(x, w)| x * w).sum();
                output[j] = simd.reduce_sum_f32s(*sum) + rest + bias[column + j];
            }
        }
    }
}

#[inline(always)]
fn row_of(matrix: &[f32], row: usize, width: usize) -> &[f32] {
    &matrix[row * width..][..width]
}

/// Folds `f` of every number with `join`, in several lanes.
#[inline(always)]
fn fold(numbers: &[f32], start: f32, f: impl Fn(f32) -> f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    let mut lanes = [start; LANES];
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = join(*lane, f(*x));
        }
    }
    let rest = rest.iter().fold(start, |sum, x| join(sum, f(*x)));
    lanes.iter().fold(rest, |sum, x| join(sum, *x))
}

/// Adds `residual` to the rows, then brings each to mean 0 and variance 1, scaled and shifted.
pub(crate) fn add_and_normalize(
    arch: Arch,
    rows: &mut [f32],
    residual: &[f32],
    Norm { weight, bias, epsilon }: Norm<'_>,
) {
    arch.dispatch(
        #[inline(always)]
        || {
            let width = weight.len();
            for (row, residual) in rows.chunks_exact_mut(width).zip(residual.chunks_exact(width)) {
                for (x, r) in row.iter_mut().zip(residual) {
                    *x += r;
                }
                normalize(row, weight, bias, epsilon);
            }
        },
    );
}

/// A layer normalization.
#[derive(Clone, Copy)]
pub(crate) struct Norm<'a> {
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) epsilon: f32,
}

#[inline(always)]
fn normalize(row: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    let count = row.len() as f32;
    let mean = fold(row, 0.0, |x| x, |a, b| a + b) / count;
    let variance = fold(row, 0.0, |x| (x - mean) * (x - mean), |a, b| a + b) / count;
    let scale = 1.0 / (variance + epsilon).sqrt();
    for ((x, w), b) in row.iter_mut().zip(weight).zip(bias) {
        *x = (*x - mean) * scale * w + b;
    }
}

/// Turns each row of `width` scores into probabilities.
pub(crate) fn softmax(arch: Arch, scores: &mut [f32], width: usize) {
    arch.dispatch(
        #[inline(always)]
        || {
            for row in scores.chunks_exact_mut(width) {
                let highest = fold(row, f32::NEG_INFINITY, |x| x, |a, b| if a > b { a } else { b });
                for x in row.iter_mut() {
                    *x = exp(*x - highest);
                }
                let scale = 1.0 / fold(row, 0.0, |x| x, |a, b| a + b);
                for x in row.iter_mut() {
                    *x *= scale;
                }
            }
        },
    );
}

/// `x · Φ(x)`, where Φ is the normal distribution.
pub(crate) fn gelu(arch: Arch, numbers: &mut [f32]) {
    arch.dispatch(
        #[inline(always)]
        || {
            for x in numbers.iter_mut() {
                *x = 0.5 * *x * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2));
            }
        },
    );
}

/// Scales a vector to length 1. One that has no length stays as it is.
pub(crate) fn to_unit_length(vector: &mut [f32]) {
    let length = fold(vector, 0.0, |x| x * x, |a, b| a + b).sqrt();
    if length > 0.0 {
        for x in vector {
            *x /= length;
        }
    }
}

/// `e` to the power of `x` for `x ≤ 0`, to 2 units in the last place: 2ⁿ from the exponent's bits, times a polynomial
/// on what is left of `x` (Cephes' `expf`). Branchless, so that loops over it are vectorized.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Adding and taking it away again rounds to the next integer.
    const ROUND: f32 = 12_582_912.0;
    // Split in two, so that the product with an integer is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // The smallest power that is no subnormal number.
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3F80_0000));
    let r = x - n * LN_2[0] - n * LN_2[1];
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    (p * r * r + r + 1.0) * power
}

/// The error function to 1.5e-7 (Abramowitz and Stegun 7.1.26), branchless.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let p = 1.061_405_4;
    let p = p * t - 1.453_152;
    let p = p * t + 1.421_413_7;
    let p = p * t - 0.284_496_72;
    let p = p * t + 0.254_829_6;
    (1.0 - p * t * exp(-a * a)).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..count).map(|_| random.f32() * 2.0 - 1.0).collect()
    }

    /// Sizes that fill the registers and sizes that leave something over, few rows and many.
    #[test]
    fn a_linear_layer_is_the_sum_of_products_whatever_its_size() {
        for rows in [1, 2, 3, 4, 7, 8, 32, 33, 54] {
            for (inputs, outputs) in [(1, 1), (5, 3), (16, 4), (32, 33), (50, 7), (64, 128)] {
                let (x, w, b) =
                    (numbers(rows * inputs, 1), numbers(outputs * inputs, 2), numbers(outputs, 3));
                let mut y = vec![f32::NAN; rows * outputs];
                Linear { weight: &w, bias: &b }.apply(Arch::new(), &x, &mut y);
                for (at, y) in y.iter().enumerate() {
                    let (row, column) = (at / outputs, at % outputs);
                    let (x, w) = (&x[row * inputs..][..inputs], &w[column * inputs..][..inputs]);
                    let exact: f64 = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                    let exact = exact + f64::from(b[column]);
                    assert!((f64::from(*y) - exact).abs() < 1e-5, "{rows} {inputs} {outputs}: {y} {exact}");
                }
            }
        }
    }

    /// Instruction sets that this machine may not choose by itself give the same.
    #[test]
    fn a_linear_layer_is_right_without_wide_registers_too() {
        let (rows, inputs, outputs) = (7, 37, 6);
        let (x, w, b) = (numbers(rows * inputs, 1), numbers(outputs * inputs, 2), numbers(outputs, 3));
        let layer = Linear { weight: &w, bias: &b };
        let mut wide = vec![0.0; rows * outputs];
        layer.apply(Arch::new(), &x, &mut wide);
        let check = |name: &str, compute: &dyn Fn(Few<'_>)| {
            let mut narrow = vec![0.0; rows * outputs];
            compute(Few { layer, rows, inputs, input: &x, output: &mut narrow });
            for (wide, narrow) in wide.iter().zip(&narrow) {
                assert!((wide - narrow).abs() < 1e-5, "{name}: {wide} {narrow}");
            }
        };
        check("none", &|few| few.with_simd(pulp::Scalar::new()));
        #[cfg(target_arch = "x86_64")]
        match pulp::x86::V3::try_new() {
            Some(avx2) => check("AVX2", &|few| few.with_simd(avx2)),
            None => eprintln!("SKIPPED: this processor has no AVX2"),
        }
    }

    #[test]
    #[should_panic(expected = "within")]
    fn a_matrix_that_leaves_its_slice_is_no_undefined_behaviour() {
        let data = [0.0; 5];
        let view = View { data: &data, row: 3, column: 1 };
        multiply([2, 3, 1], 1.0, view, View { data: &data, row: 1, column: 1 }, 0.0, &mut [0.0; 2], 1);
    }

    #[test]
    fn exp_is_close_over_all_that_softmax_asks_for() {
        for step in 0..=20_000 {
            let x = -87.0 * step as f32 / 20_000.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 3e-7, "{x}");
        }
        assert!(exp(-1e30) < 1e-37 && exp(f32::NEG_INFINITY) < 1e-37);
    }

    /// Against the series of the error function in double precision, where it converges well, and 1 beyond.
    #[test]
    fn gelu_is_within_a_millionth() {
        let mut worst = 0.0_f64;
        for step in -60_000..=60_000 {
            let x = step as f32 / 6_000.0;
            let mut value = [x];
            gelu(Arch::new(), &mut value);
            let z = f64::from(x) * std::f64::consts::FRAC_1_SQRT_2;
            let (mut term, mut sum) = (z, z);
            for n in 1..200_u32 {
                term *= -z * z / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            let erf = if z.abs() < 4.0 { sum * std::f64::consts::FRAC_2_SQRT_PI } else { z.signum() };
            worst = worst.max((f64::from(value[0]) - 0.5 * f64::from(x) * (1.0 + erf)).abs());
        }
        assert!(worst < 1e-6, "{worst}");
    }

    #[test]
    fn softmax_gives_probabilities_whatever_the_scores() {
        for scores in [vec![0.0; 40], numbers(37, 5), vec![1e30, -1e30, 3.0], vec![-1e4, -1e4 + 1.0]] {
            let mut row = scores.clone();
            softmax(Arch::new(), &mut row, scores.len());
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{row:?}");
            let highest = scores.iter().copied().fold(f32::MIN, f32::max);
            let exact: f64 = scores.iter().map(|x| f64::from(x - highest).exp()).sum();
            for (p, x) in row.iter().zip(&scores) {
                assert!((f64::from(*p) - f64::from(x - highest).exp() / exact).abs() < 1e-6);
            }
        }
    }
}
