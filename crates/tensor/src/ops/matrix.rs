//! Matrix products on slices, single-threaded: the operations divide their work among threads themselves.
//!
//! The right-hand matrix lies in panels of a few vectors' width ([`Packed`](super::panels::Packed)), laid out once for
//! all left-hand rows. A kernel keeps a block of the result in registers. That reaches within a few per cent of the processor's
//! peak and is faster than the `gemm` crate, which lays out both sides for every product.

use super::host::{Element, with_scratch};
use super::panels::{Matrix, Packed, Panels, VECTORS, panel, with_panels};
use super::vector::{self, Simd, WithSimd};

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

impl<T: Element> Packed<T> {
    /// As [`Panels::multiply`].
    pub(crate) fn multiply(&self, c: &mut [T], rows: usize, accumulate: bool, a: Matrix<'_, T>) {
        self.panels().multiply(c, rows, accumulate, a);
    }
}

impl<T: Element> Panels<'_, T> {
    /// `c = a · self`, or `c += a · self` with `accumulate`, where `c` is row-major `[rows, columns]` and `a` has one
    /// of its strides 1.
    pub(crate) fn multiply(&self, c: &mut [T], rows: usize, accumulate: bool, a: Matrix<'_, T>) {
        let Panels { elements, inner, columns, apart } = *self;
        assert!(c.len() == rows * columns, "sizes of a product");
        assert!(a.column_stride == 1 || a.row_stride == 1, "a matrix has one stride of 1");
        if inner == 0 {
            if !accumulate {
                c.fill(T::zero());
            }
            return;
        }
        // The kernel writes whole vectors only. The rest of the columns goes through a buffer.
        let lanes = panel::<T>() / VECTORS;
        let (whole, rest) = (columns / panel::<T>() * panel::<T>(), columns % panel::<T>());
        if rest % lanes == 0 {
            return vector::run(Product {
                c,
                stride: columns,
                rows,
                columns,
                inner,
                accumulate,
                a,
                b: elements,
                apart,
            });
        }
        vector::run(Product { c, stride: columns, rows, columns: whole, inner, accumulate, a, b: elements, apart });
        let (stride, b) = (rest.next_multiple_of(lanes), &elements[columns / panel::<T>() * apart..]);
        with_scratch(rows * stride, |padded| {
            let whole_vectors =
                Product { c: padded, stride, rows, columns: stride, inner, accumulate: false, a, b, apart };
            vector::run(whole_vectors);
            for (row, from) in padded.chunks_exact(stride).enumerate() {
                let to = &mut c[row * columns + whole..][..rest];
                match accumulate {
                    true => to.iter_mut().zip(from).for_each(|(to, from)| *to += *from),
                    false => to.copy_from_slice(&from[..rest]),
                }
            }
        });
    }
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
    apart: usize,
}

impl<T: Element> WithSimd for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Product { c, stride, rows, columns, inner, accumulate, a, b, apart } = self;
        let lanes = T::lanes::<S>();
        for (panel, first) in (0..columns).step_by(VECTORS * lanes).enumerate() {
            let width = (VECTORS * lanes).min(columns - first);
            let (c, b) = (&mut c[first..], T::split::<S>(&b[panel * apart..][..width * inner]).0);
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
    use matssl_base::random::Stream;
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
