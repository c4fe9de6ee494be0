//! Matrix products on slices, single-threaded: the operations share out their own work.
//!
//! The right-hand matrix is laid out in panels of a few vectors' width ([`Packed`]), once for as many left-hand rows
//! as there are; a kernel keeps a block of the result in registers. That is within a few per cent of what the processor
//! can do, and ahead of the `gemm` crate, which lays out both sides anew for every product.

use super::host::{Element, filled, with_scratch};
use super::vector::{self, Simd, WithSimd};
use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;

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
            let width = panel::<T>();
            to.par_chunks_mut((width * inner).max(1)).enumerate().for_each(|(index, to)| {
                pack_panel(to, b, inner, index * width..((index + 1) * width).min(columns));
            });
        });
        Packed { elements, inner, columns }
    }

    /// As [`Panels::multiply`].
    pub(crate) fn multiply(&self, c: &mut [T], rows: usize, accumulate: bool, a: Matrix<'_, T>) {
        let Packed { elements, inner, columns } = self;
        Panels { elements, inner: *inner, columns: *columns }.multiply(c, rows, accumulate, a);
    }
}

/// A [`Packed`] matrix that lies in somebody else's memory.
pub(crate) struct Panels<'p, T> {
    elements: &'p [T],
    inner: usize,
    columns: usize,
}

impl<T: Element> Panels<'_, T> {
    /// `c = a · self`, or `c += a · self` with `accumulate`, where `c` is row-major `[rows, columns]` and `a` has one
    /// of its strides 1.
    pub(crate) fn multiply(&self, c: &mut [T], rows: usize, accumulate: bool, a: Matrix<'_, T>) {
        multiply_packed(c, [rows, self.columns, self.inner], accumulate, a, self.elements);
    }
}

/// Lays out `b`, `[inner, columns]`, on this thread and in memory that it keeps.
pub(crate) fn with_panels<T: Element, R>(
    b: Matrix<'_, T>,
    [inner, columns]: [usize; 2],
    work: impl FnOnce(Panels<'_, T>) -> R,
) -> R {
    with_scratch(packed_length::<T>(inner, columns), |elements| {
        let width = panel::<T>();
        for (index, to) in elements.chunks_mut((width * inner).max(1)).enumerate() {
            pack_panel(to, b, inner, index * width..((index + 1) * width).min(columns));
        }
        work(Panels { elements, inner, columns })
    })
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
    with_panels(b, [inner, columns], |b| b.multiply(c, rows, accumulate, a));
}

fn packed_length<T: Element>(inner: usize, columns: usize) -> usize {
    inner * columns.next_multiple_of(panel::<T>() / VECTORS)
}

/// Writes some `columns` of `b` as `[inner, width]`.
fn pack_panel<T: Element>(to: &mut [T], b: Matrix<'_, T>, inner: usize, columns: Range<usize>) {
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

/// Columns to a panel on this processor.
fn panel<T: Element>() -> usize {
    struct Lanes<T>(PhantomData<T>);
    impl<T: Element> WithSimd for Lanes<T> {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            T::lanes::<S>()
        }
    }
    VECTORS * vector::run(Lanes::<T>(PhantomData))
}

/// As [`multiply`], with `b` in panels.
fn multiply_packed<T: Element>(c: &mut [T], sizes: [usize; 3], accumulate: bool, a: Matrix<'_, T>, b: &[T]) {
    let [rows, columns, inner] = sizes;
    assert!(c.len() == rows * columns && b.len() == packed_length::<T>(inner, columns), "sizes of a product");
    assert!(a.column_stride == 1 || a.row_stride == 1, "a matrix has one stride of 1");
    if inner == 0 {
        if !accumulate {
            c.fill(T::zero());
        }
        return;
    }
    // The kernel writes whole vectors only: what is left of them goes by way of a buffer.
    let lanes = panel::<T>() / VECTORS;
    let (whole, rest) = (columns / panel::<T>() * panel::<T>(), columns % panel::<T>());
    if rest % lanes == 0 {
        return vector::run(Product { c, stride: columns, rows, columns, inner, accumulate, a, b });
    }
    vector::run(Product { c, stride: columns, rows, columns: whole, inner, accumulate, a, b });
    let (stride, b) = (rest.next_multiple_of(lanes), &b[whole * inner..]);
    with_scratch(rows * stride, |padded| {
        vector::run(Product { c: padded, stride, rows, columns: stride, inner, accumulate: false, a, b });
        for (row, from) in padded.chunks_exact(stride).enumerate() {
            let to = &mut c[row * columns + whole..][..rest];
            match accumulate {
                true => to.iter_mut().zip(from).for_each(|(to, from)| *to += *from),
                false => to.copy_from_slice(&from[..rest]),
            }
        }
    });
}

/// The work that is compiled for every kind of vector: `columns` columns, whole vectors, of all `rows`; rows of `c` are
/// `stride` apart.
struct Product<'p, T> {
    c: &'p mut [T],
    stride: usize,
    rows: usize,
    columns: usize,
    inner: usize,
    accumulate: bool,
    a: Matrix<'p, T>,
    b: &'p [T],
}

impl<T: Element> WithSimd for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Product { c, stride, rows, columns, inner, accumulate, a, b } = self;
        let lanes = T::lanes::<S>();
        for first in (0..columns).step_by(VECTORS * lanes) {
            let width = (VECTORS * lanes).min(columns - first);
            let (c, b) = (&mut c[first..], T::split::<S>(&b[first * inner..][..width * inner]).0);
            match width / lanes {
                4 => panel_of::<T, S, 4>(simd, c, stride, rows, accumulate, a, b),
                3 => panel_of::<T, S, 3>(simd, c, stride, rows, accumulate, a, b),
                2 => panel_of::<T, S, 2>(simd, c, stride, rows, accumulate, a, b),
                _ => panel_of::<T, S, 1>(simd, c, stride, rows, accumulate, a, b),
            }
        }
    }
}

/// How far down the inner dimension one running sum goes. Short sums of short sums lose fewer digits than a long one,
/// and this much of a panel stays in the first-level cache.
const DEPTH: usize = 64;

#[inline(always)]
fn panel_of<T: Element, S: Simd, const V: usize>(
    simd: S,
    c: &mut [T],
    stride: usize,
    rows: usize,
    accumulate: bool,
    a: Matrix<'_, T>,
    b: &[T::Of<S>],
) {
    // Sums, a row of b and one broadcast number fill the registers.
    let step = if S::REGISTER_COUNT >= 32 { 6 } else { 3 };
    for (number, b) in b.chunks(DEPTH * V).enumerate() {
        let (start, accumulate) = (number * DEPTH, accumulate || number > 0);
        for row in (0..rows).step_by(step) {
            let c = &mut c[row * stride..];
            let a = Matrix { elements: &a.elements[row * a.row_stride + start * a.column_stride..], ..a };
            match step.min(rows - row) {
                6 => block::<T, S, V, 6>(simd, c, stride, accumulate, a, b),
                5 => block::<T, S, V, 5>(simd, c, stride, accumulate, a, b),
                4 => block::<T, S, V, 4>(simd, c, stride, accumulate, a, b),
                3 => block::<T, S, V, 3>(simd, c, stride, accumulate, a, b),
                2 => block::<T, S, V, 2>(simd, c, stride, accumulate, a, b),
                _ => block::<T, S, V, 1>(simd, c, stride, accumulate, a, b),
            }
        }
    }
}

/// `R` rows and `V` vectors of columns, kept in registers. Nothing may take the address of a sum, and every index be a
/// constant: else all of them would lie in memory, at half the speed.
#[inline(always)]
fn block<T: Element, S: Simd, const V: usize, const R: usize>(
    simd: S,
    c: &mut [T],
    stride: usize,
    accumulate: bool,
    a: Matrix<'_, T>,
    b: &[T::Of<S>],
) {
    let sums = match a.column_stride {
        1 => {
            let line = |i: usize| &a.elements[i * a.row_stride..][..b.len() / V];
            sum_rows::<T, S, V, R>(simd, std::array::from_fn(line), b)
        }
        between => sum_columns::<T, S, V, R>(simd, a.elements, between, b),
    };
    for (i, sums) in sums.into_iter().enumerate() {
        let c = T::split_mut::<S>(&mut c[i * stride..][..V * T::lanes::<S>()]).0;
        for v in 0..V {
            c[v] = if accumulate { T::sum(simd, c[v], sums[v]) } else { sums[v] };
        }
    }
}

/// Products of rows of the left-hand matrix with `b`, `[depth, V]`.
#[inline(always)]
fn sum_rows<T: Element, S: Simd, const V: usize, const R: usize>(
    simd: S,
    lines: [&[T]; R],
    b: &[T::Of<S>],
) -> [[T::Of<S>; V]; R] {
    let mut sums = [[T::splat(simd, T::zero()); V]; R];
    for (k, b) in b.as_chunks::<V>().0.iter().enumerate() {
        for i in 0..R {
            let Some(a) = lines[i].get(k) else { return sums };
            let a = T::splat(simd, *a);
            for v in 0..V {
                sums[i][v] = T::product_plus(simd, a, b[v], sums[i][v]);
            }
        }
    }
    sums
}

/// The same where a column of the left-hand matrix lies together, `stride` from one to the next.
#[inline(always)]
fn sum_columns<T: Element, S: Simd, const V: usize, const R: usize>(
    simd: S,
    a: &[T],
    stride: usize,
    b: &[T::Of<S>],
) -> [[T::Of<S>; V]; R] {
    let mut sums = [[T::splat(simd, T::zero()); V]; R];
    for (k, b) in b.as_chunks::<V>().0.iter().enumerate() {
        let Some(a) = a.get(k * stride..k * stride + R) else { return sums };
        for i in 0..R {
            let a = T::splat(simd, a[i]);
            for v in 0..V {
                sums[i][v] = T::product_plus(simd, a, b[v], sums[i][v]);
            }
        }
    }
    sums
}

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
