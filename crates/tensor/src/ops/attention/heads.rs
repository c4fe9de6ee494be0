//! The rows of one head: out of tokens `[…, channels]`, into them, and turned over for products.

use crate::ops::host::{Element, with_scratch};
use crate::ops::panels::{Matrix, Panels, VECTORS, pack, packed_length, panel, with_panels};
use crate::ops::vector::vectorized;

/// Numbers to a vector of this processor.
pub(super) fn lanes<T: Element>() -> usize {
    panel::<T>() / VECTORS
}

/// Calls `work` with buffers of these lengths, each of which begins on a cache line. Their content is arbitrary.
pub(super) fn with_buffers<T: Element, R, const N: usize>(
    lengths: [usize; N],
    work: impl FnOnce([&mut [T]; N]) -> R,
) -> R {
    /// Elements of a cache line, at least.
    const LINE: usize = 16;
    let whole = |length: usize| length.next_multiple_of(LINE);
    with_scratch(lengths.into_iter().map(whole).sum(), |scratch| {
        let mut rest = scratch;
        work(lengths.map(|length| {
            let (buffer, others) = std::mem::take(&mut rest).split_at_mut(whole(length));
            rest = others;
            &mut buffer[..length]
        }))
    })
}

/// The channels of one head in tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// Channels of a token.
    pub(super) channels: usize,
    /// The first of the head's.
    pub(super) first: usize,
    /// How many the head has.
    pub(super) width: usize,
    /// Elements of a row outside of tokens: whole vectors.
    pub(super) stride: usize,
}

impl Head {
    /// Copies the head's channels of the tokens at `places` to rows, which end with zeros.
    pub(super) fn take<T: Element>(&self, tokens: &[T], places: impl Iterator<Item = usize> + Clone, rows: &mut [T]) {
        vectorized(
            #[inline(always)]
            || {
                let places = places.clone();
                // A length that the compiler knows needs no call.
                match (self.width, self.stride) {
                    (32, 32) => self.take_whole::<T, 32>(tokens, places, rows),
                    (64, 64) => self.take_whole::<T, 64>(tokens, places, rows),
                    _ => {
                        for (row, place) in rows.chunks_exact_mut(self.stride).zip(places) {
                            row[..self.width]
                                .copy_from_slice(&tokens[place * self.channels + self.first..][..self.width]);
                            row[self.width..].fill(T::zero());
                        }
                    }
                }
            },
        );
    }

    #[inline(always)]
    fn take_whole<T: Element, const WIDTH: usize>(
        &self,
        tokens: &[T],
        places: impl Iterator<Item = usize>,
        rows: &mut [T],
    ) {
        for (row, place) in rows.as_chunks_mut::<WIDTH>().0.iter_mut().zip(places) {
            if let Some(token) = tokens[place * self.channels + self.first..].first_chunk() {
                *row = *token;
            }
        }
    }

    /// Writes each row, multiplied with its factor, to the head's channels of a token of `runs`: tokens that lie together, with the
    /// index of the first one's row.
    pub(super) fn put<T: Element>(&self, rows: &[T], factor: impl Fn(usize) -> T, runs: &mut [(usize, &mut [T])]) {
        vectorized(
            #[inline(always)]
            || {
                for (first, tokens) in runs.iter_mut() {
                    let rows = rows.chunks_exact(self.stride).enumerate().skip(*first);
                    for (token, (index, row)) in tokens.chunks_exact_mut(self.channels).zip(rows) {
                        scaled(row, factor(index), &mut token[self.first..][..self.width]);
                    }
                }
            },
        );
    }
}

/// Writes each row, multiplied with its factor, to the place of the same number.
pub(super) fn put_rows<T: Element>(rows: &[T], stride: usize, factor: impl Fn(usize) -> T, places: &mut [&mut [T]]) {
    vectorized(
        #[inline(always)]
        || {
            for (index, (row, place)) in rows.chunks_exact(stride).zip(places.iter_mut()).enumerate() {
                scaled(row, factor(index), place);
            }
        },
    );
}

/// Multiplies each row with its factor.
pub(super) fn scale_rows<T: Element>(rows: &mut [T], stride: usize, factors: &[T]) {
    vectorized(
        #[inline(always)]
        || {
            for (row, factor) in rows.chunks_exact_mut(stride).zip(factors).filter(|(_, factor)| **factor != T::one()) {
                for value in row {
                    *value *= *factor;
                }
            }
        },
    );
}

#[inline(always)]
fn scaled<T: Element>(row: &[T], factor: T, to: &mut [T]) {
    for (to, value) in to.iter_mut().zip(row) {
        *to = *value * factor;
    }
}

/// Elements that [`turn`] writes.
pub(super) fn turned_length<T: Element>(rows: usize, width: usize) -> usize {
    packed_length::<T>(width, rows)
}

/// Lays out rows, `stride` apart, as a right-hand matrix `[width, rows]`.
pub(super) fn turn<T: Element>(rows: &[T], stride: usize, width: usize, to: &mut [T]) {
    pack(to, Matrix::row_major(rows, stride).transposed(), [width, rows.len() / stride]);
}

/// Scores `[keys, queries]` from rows of keys and queries that were [turned](turn) over; both have `width` elements. Rows of
/// scores are filled up to whole vectors.
pub(super) fn scores<T: Element>(keys: &[T], stride: usize, queries: &[T], width: usize, scores: &mut [T]) {
    let rows = keys.len() / stride;
    let panels = Panels { elements: queries, inner: width, columns: scores.len() / rows, apart: panel::<T>() * width };
    panels.multiply(scores, rows, false, Matrix::row_major(keys, stride));
}

/// For each query the sum of the keys' `rows` by its weights `[keys, queries]`; `to` has the rows of queries and is added to if
/// `more`.
pub(super) fn by_queries<T: Element>(weights: &[T], rows: &[T], stride: usize, more: bool, to: &mut [T]) {
    let keys = rows.len() / stride;
    let weights = Matrix { elements: weights, row_stride: 1, column_stride: weights.len() / keys };
    with_panels(Matrix::row_major(rows, stride), [keys, stride], |rows| {
        rows.multiply(to, to.len() / stride, more, weights);
    });
}

/// For each key the sum of the queries' `rows` by its weights `[keys, queries]`; `to` has the rows of keys and is added to if
/// `more`.
pub(super) fn by_keys<T: Element>(weights: &[T], rows: &[T], stride: usize, more: bool, to: &mut [T]) {
    let (keys, queries) = (to.len() / stride, rows.len() / stride);
    let weights = Matrix::row_major(weights, weights.len() / keys);
    with_panels(Matrix::row_major(rows, stride), [queries, stride], |rows| {
        rows.multiply(to, keys, more, weights);
    });
}
