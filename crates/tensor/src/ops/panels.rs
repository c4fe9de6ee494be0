//! The layouts of matrices in products: left-hand ones with any strides, right-hand ones in panels.

use super::host::{Element, filled, with_scratch};
use super::transpose::transpose;
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
pub(crate) const VECTORS: usize = 4;

/// Where vectors lie in panels, for code that writes panels itself. A panel holds row after row; `apart` is the distance between
/// the first elements of two panels. The last panel may be narrower, and its last vector is padded with zeros.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    /// Vectors to a row of the matrix.
    pub(crate) vectors: usize,
    lanes: usize,
    apart: usize,
}

impl Layout {
    /// Of `columns` columns in panels `apart` from each other.
    pub(crate) fn new<T: Element, S: Simd>(columns: usize, apart: usize) -> Self {
        let lanes = T::lanes::<S>();
        Layout { vectors: columns.div_ceil(lanes), lanes, apart }
    }

    /// The first element of a row's vector.
    #[inline(always)]
    pub(crate) fn at(&self, row: usize, vector: usize) -> usize {
        let panel = vector / VECTORS;
        let width = (self.vectors - panel * VECTORS).min(VECTORS);
        panel * self.apart + (row * width + vector % VECTORS) * self.lanes
    }
}

/// A right-hand matrix `[inner, columns]` in panels, in borrowed memory.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'p, T> {
    /// From the first panel's first element on.
    pub(crate) elements: &'p [T],
    /// Rows.
    pub(crate) inner: usize,
    /// Columns.
    pub(crate) columns: usize,
    /// As in [`Layout`].
    pub(crate) apart: usize,
}

/// A right-hand matrix `[inner, columns]` in panels, in memory of its own, without gaps.
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

    /// For a product.
    pub(crate) fn panels(&self) -> Panels<'_, T> {
        let Packed { elements, inner, columns } = self;
        Panels { elements, inner: *inner, columns: *columns, apart: panel::<T>() * inner }
    }
}

/// Lays out `b`, `[inner, columns]`, on this thread, in scratch memory, unless it has the layout of a panel already.
pub(crate) fn with_panels<T: Element, R>(
    b: Matrix<'_, T>,
    [inner, columns]: [usize; 2],
    work: impl FnOnce(Panels<'_, T>) -> R,
) -> R {
    let width = panel::<T>();
    let apart = width * inner;
    let whole = columns <= width && columns % (width / VECTORS) == 0;
    if whole && b.column_stride == 1 && b.row_stride == columns {
        return work(Panels { elements: &b.elements[..inner * columns], inner, columns, apart });
    }
    with_scratch(packed_length::<T>(inner, columns), |elements| {
        pack(elements, b, [inner, columns]);
        work(Panels { elements, inner, columns, apart })
    })
}

/// Lays out `b`, `[inner, columns]`, on this thread, in `to`, which has [`packed_length`] elements.
pub(crate) fn pack<T: Element>(to: &mut [T], b: Matrix<'_, T>, [inner, columns]: [usize; 2]) {
    let width = panel::<T>();
    for (index, to) in to.chunks_mut((width * inner).max(1)).enumerate() {
        pack_panel(to, b, inner, index * width..((index + 1) * width).min(columns));
    }
}

/// Elements of a matrix in panels that lie one right after the other.
pub(crate) fn packed_length<T: Element>(inner: usize, columns: usize) -> usize {
    inner * columns.next_multiple_of(panel::<T>() / VECTORS)
}

/// Columns to a panel on this processor.
pub(crate) fn panel<T: Element>() -> usize {
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
    // A few rows at a time: what is read in whole lines is written to as many lines as stay in the first-level cache.
    const ROWS: usize = 64;
    for (block, to) in to.chunks_mut(ROWS * width).enumerate() {
        let from = &b.elements[columns.start * b.column_stride + block * ROWS..];
        transpose(from, b.column_stride, [count, to.len() / width], to, width);
        to.chunks_exact_mut(width).for_each(|row| row[count..].fill(T::zero()));
    }
}
