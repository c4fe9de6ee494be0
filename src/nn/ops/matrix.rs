//! Matrix products on slices, single-threaded: the operations share out their own work.

use super::host::Element;

/// A matrix inside a slice: element (i, j) lies at `i * row_stride + j * column_stride`.
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

    fn holds(&self, rows: usize, columns: usize) -> bool {
        let (last_row, last_column) = (rows.saturating_sub(1), columns.saturating_sub(1));
        last_row * self.row_stride + last_column * self.column_stride < self.elements.len()
    }
}

/// `c = a · b`, or `c += a · b` with `accumulate`, where `c` is row-major `[rows, columns]`, `a` `[rows, inner]` and
/// `b` `[inner, columns]`.
pub(crate) fn multiply<T: Element>(
    c: &mut [T],
    [rows, columns, inner]: [usize; 3],
    accumulate: bool,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
) {
    assert!(c.len() == rows * columns && a.holds(rows, inner) && b.holds(inner, columns), "matrices out of bounds");
    // SAFETY: every index that the sizes and strides reach lies inside its slice (asserted above), `c` is borrowed
    // mutably and so overlaps neither, and `Element` is f32 or f64, which gemm supports.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            c.as_mut_ptr(),
            1,
            columns as isize,
            accumulate,
            a.elements.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.elements.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            T::one(),
            T::one(),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
