//! Matrix products on slices, single-threaded: the operations share out their own work.
//!
//! The right-hand matrix is laid out in panels of a few vectors' width ([`Packed`]), once for as many left-hand rows
//! as there are; a kernel keeps a block of the result in registers and goes down the whole inner dimension. That is
//! within a few per cent of what the processor can do, and ahead of the `gemm` crate, which lays out both sides anew
//! for every product.

use super::host::{Element, filled, with_scratch};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// A matrix inside a slice: element (i, j) lies at `i * row_stride + j * column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'m, T> {
    /// Where the elements lie.
    pub(crate) elements: &'m [T],
    /// Steps from a row to the next.
    pub(crate) row_stride: usize,
    /// Steps from a column to the next.
    pub(crate) column_stride: usize,
}

impl<'m, T> Matrix<'m, T> {
    /// Rows one after the other.
    pub(crate) fn row_major(elements: &'m [T], columns: usize) -> Self {
        Matrix { elements, row_stride: columns, column_stride: 1 }
    }

    /// The same elements with rows and columns exchanged.
    pub(crate) fn transposed(self) -> Self {
        Matrix { elements: self.elements, row_stride: self.column_stride, column_stride: self.row_stride }
    }
}

/// Vectors to a panel, and so to a row of the block of results in registers.
const VECTORS: usize = 4;

/// A right-hand matrix `[inner, columns]` in panels: `[panel, inner, width]`, the last one narrower and filled up with
/// zeros to whole vectors.
pub(crate) struct Packed<T> {
    elements: Vec<T>,
    inner: usize,
    columns: usize,
}

impl<T: Element> Packed<T> {
    /// Lays out `b`, `[inner, columns]`, on all threads.
    pub(crate) fn new(b: Matrix<'_, T>, inner: usize, columns: usize) -> Self {
        let elements = filled(packed_length::<T>(inner, columns), |to| {
            to.par_chunks_mut((T::panel() * inner).max(1)).enumerate().for_each(|(panel, to)| {
                let first = panel * T::panel();
                pack_panel(to, b, inner, first..(first + T::panel()).min(columns));
            });
        });
        Packed { elements, inner, columns }
    }

    /// `c = a · self`, or `c += a · self` with `accumulate`, where `c` is row-major `[rows, columns]` and `a` has one
    /// of its strides 1.
    pub(crate) fn multiply(&self, c: &mut [T], rows: usize, accumulate: bool, a: Matrix<'_, T>) {
        T::multiply(c, [rows, self.columns, self.inner], accumulate, a, &self.elements);
    }
}

/// `c = a · b`, or `c += a · b` with `accumulate`, where `c` is row-major `[rows, columns]`, `a` `[rows, inner]` and
/// `b` `[inner, columns]`; each of them has one of its strides 1.
pub(crate) fn multiply<T: Element>(
    c: &mut [T],
    [rows, columns, inner]: [usize; 3],
    accumulate: bool,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
) {
    with_scratch(packed_length::<T>(inner, columns), |packed| {
        let panel = T::panel();
        for (index, to) in packed.chunks_mut((panel * inner).max(1)).enumerate() {
            pack_panel(to, b, inner, index * panel..((index + 1) * panel).min(columns));
        }
        T::multiply(c, [rows, columns, inner], accumulate, a, packed);
    });
}

fn packed_length<T: Element>(inner: usize, columns: usize) -> usize {
    inner * columns.next_multiple_of(T::panel() / VECTORS)
}

/// Writes some `columns` of `b` as `[inner, width]`.
fn pack_panel<T: Element>(to: &mut [T], b: Matrix<'_, T>, inner: usize, columns: std::ops::Range<usize>) {
    if inner == 0 {
        return;
    }
    let (width, count) = (to.len() / inner, columns.len());
    if b.column_stride == 1 {
        for (row, to) in to.chunks_exact_mut(width).enumerate() {
            to[..count].copy_from_slice(&b.elements[row * b.row_stride + columns.start..][..count]);
            to[count..].fill(T::zero());
        }
        return;
    }
    assert!(b.row_stride == 1, "a matrix has one stride of 1");
    // A few rows at a time: what is read once in a line is written to as many lines as stay in the cache.
    const ROWS: usize = 16;
    for (block, to) in to.chunks_mut(ROWS * width).enumerate() {
        let rows = to.len() / width;
        for column in 0..count {
            let from = &b.elements[(columns.start + column) * b.column_stride + block * ROWS..][..rows];
            for (row, value) in from.iter().enumerate() {
                to[row * width + column] = *value;
            }
        }
        to.chunks_exact_mut(width).for_each(|row| row[count..].fill(T::zero()));
    }
}

/// Types that have a kernel.
pub(crate) trait Multiply: Sized {
    /// Columns to a panel on this processor.
    fn panel() -> usize;

    /// As [`multiply`], with `b` in panels.
    fn multiply(c: &mut [Self], sizes: [usize; 3], accumulate: bool, a: Matrix<'_, Self>, b: &[Self]);
}

/// Asks how many numbers a vector holds.
struct LanesOf<T>(std::marker::PhantomData<T>);

/// The work that is compiled for every kind of vector.
struct Product<'p, T> {
    c: &'p mut [T],
    sizes: [usize; 3],
    accumulate: bool,
    a: Matrix<'p, T>,
    b: &'p [T],
}

macro_rules! kernels {
    ($type:ty, $lanes:ident, $vector:ident, $splat:ident, $multiply_add:ident, $add:ident, $vectors:ident, $vectors_mut:ident) => {
        impl WithSimd for LanesOf<$type> {
            type Output = usize;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _: S) -> usize {
                S::$lanes
            }
        }

        impl Multiply for $type {
            fn panel() -> usize {
                VECTORS * Arch::new().dispatch(LanesOf::<$type>(std::marker::PhantomData))
            }

            fn multiply(c: &mut [Self], sizes: [usize; 3], accumulate: bool, a: Matrix<'_, Self>, b: &[Self]) {
                let [rows, columns, inner] = sizes;
                assert!(c.len() == rows * columns && b.len() == packed_length::<Self>(inner, columns));
                assert!(a.column_stride == 1 || a.row_stride == 1, "a matrix has one stride of 1");
                match inner {
                    0 if accumulate => (),
                    0 => c.fill(0.0),
                    _ => Arch::new().dispatch(Product { c, sizes, accumulate, a, b }),
                }
            }
        }

        impl WithSimd for Product<'_, $type> {
            type Output = ();

            #[inline(always)]
            fn with_simd<S: Simd>(self, simd: S) {
                let [_, columns, inner] = self.sizes;
                let panel = VECTORS * S::$lanes;
                let mut product = self;
                for first in (0..columns).step_by(panel) {
                    let width = panel.min((columns - first).next_multiple_of(S::$lanes));
                    let b = &product.b[first * inner..][..width * inner];
                    let b = S::$vectors(b).0;
                    match width / S::$lanes {
                        4 => product.panel::<S, 4>(simd, first, b),
                        3 => product.panel::<S, 3>(simd, first, b),
                        2 => product.panel::<S, 2>(simd, first, b),
                        _ => product.panel::<S, 1>(simd, first, b),
                    }
                }
            }
        }

        impl Product<'_, $type> {
            /// All rows of one panel's columns.
            #[inline(always)]
            fn panel<S: Simd, const V: usize>(&mut self, simd: S, first: usize, b: &[S::$vector]) {
                let rows = self.sizes[0];
                // Accumulators, a row of b and one broadcast number fill the registers.
                let step = if S::REGISTER_COUNT >= 32 { 6 } else { 3 };
                let mut row = 0;
                while row < rows {
                    match step.min(rows - row) {
                        6 => self.block::<S, V, 6>(simd, row, first, b),
                        5 => self.block::<S, V, 5>(simd, row, first, b),
                        4 => self.block::<S, V, 4>(simd, row, first, b),
                        3 => self.block::<S, V, 3>(simd, row, first, b),
                        2 => self.block::<S, V, 2>(simd, row, first, b),
                        _ => self.block::<S, V, 1>(simd, row, first, b),
                    }
                    row += step;
                }
            }

            #[inline(always)]
            fn block<S: Simd, const V: usize, const R: usize>(
                &mut self,
                simd: S,
                row: usize,
                first: usize,
                b: &[S::$vector],
            ) {
                let ([_, columns, inner], a) = (self.sizes, self.a);
                let mut sums = [[simd.$splat(0.0); V]; R];
                let b = &b[..inner * V];
                if a.column_stride == 1 {
                    let lines: [&[$type]; R] =
                        std::array::from_fn(|i| &a.elements[(row + i) * a.row_stride..][..inner]);
                    for k in 0..inner {
                        let b: [S::$vector; V] = std::array::from_fn(|v| b[k * V + v]);
                        for (sums, line) in sums.iter_mut().zip(&lines) {
                            let a = simd.$splat(line[k]);
                            for (sum, b) in sums.iter_mut().zip(b) {
                                *sum = simd.$multiply_add(a, b, *sum);
                            }
                        }
                    }
                } else {
                    for k in 0..inner {
                        let line = &a.elements[k * a.column_stride + row..][..R];
                        let b: [S::$vector; V] = std::array::from_fn(|v| b[k * V + v]);
                        for (sums, a) in sums.iter_mut().zip(line) {
                            let a = simd.$splat(*a);
                            for (sum, b) in sums.iter_mut().zip(b) {
                                *sum = simd.$multiply_add(a, b, *sum);
                            }
                        }
                    }
                }
                let width = (V * S::$lanes).min(columns - first);
                for (i, sums) in sums.iter().enumerate() {
                    let c = &mut self.c[(row + i) * columns + first..][..width];
                    let (whole, rest) = S::$vectors_mut(c);
                    for (c, sum) in whole.iter_mut().zip(sums) {
                        *c = if self.accumulate { simd.$add(*c, *sum) } else { *sum };
                    }
                    if !rest.is_empty() {
                        let last = std::slice::from_ref(&sums[whole.len()]);
                        for (c, sum) in rest.iter_mut().zip(pulp::bytemuck::cast_slice::<_, $type>(last)) {
                            *c = if self.accumulate { *c + *sum } else { *sum };
                        }
                    }
                }
            }
        }
    };
}

kernels!(f32, F32_LANES, f32s, splat_f32s, mul_add_e_f32s, add_f32s, as_simd_f32s, as_mut_simd_f32s);
kernels!(f64, F64_LANES, f64s, splat_f64s, mul_add_e_f64s, add_f64s, as_simd_f64s, as_mut_simd_f64s);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;
    use proptest::prelude::*;

    fn check<T: Element>([rows, columns, inner]: [usize; 3], accumulate: bool, turn: [bool; 2], seed: u64) -> f64 {
        let mut stream = Stream::new(seed, "matrix", 0, 0);
        let mut normal = |count: usize| (0..count).map(|_| T::narrow(stream.normal())).collect::<Vec<T>>();
        let (a, b, start) = (normal(rows * inner), normal(inner * columns), normal(rows * columns));
        let whole = |turned: bool, elements, rows, columns| match turned {
            false => Matrix::row_major(elements, columns),
            true => Matrix::row_major(elements, rows).transposed(),
        };
        let (a, b) = (whole(turn[0], &a[..], rows, inner), whole(turn[1], &b[..], inner, columns));
        let mut found = start.clone();
        multiply(&mut found, [rows, columns, inner], accumulate, a, b);
        let mut packed = start.clone();
        Packed::new(b, inner, columns).multiply(&mut packed, rows, accumulate, a);
        assert!(found == packed);
        let at = |m: &Matrix<'_, T>, i: usize, j: usize| m.elements[i * m.row_stride + j * m.column_stride].widen();
        let mut worst = 0.0f64;
        for i in 0..rows {
            for j in 0..columns {
                let product: f64 = (0..inner).map(|k| at(&a, i, k) * at(&b, k, j)).sum();
                let expected = product + if accumulate { start[i * columns + j].widen() } else { 0.0 };
                worst = worst.max((found[i * columns + j].widen() - expected).abs());
            }
        }
        worst
    }

    proptest! {
        #[test]
        fn products_are_those_of_the_definition(
            sizes in [1usize..20, 1usize..150, 0usize..40],
            (accumulate, turn, seed) in (any::<bool>(), any::<[bool; 2]>(), any::<u64>()),
        ) {
            prop_assert!(check::<f64>(sizes, accumulate, turn, seed) < 1e-12);
            prop_assert!(check::<f32>(sizes, accumulate, turn, seed) < 1e-4);
        }
    }
}
