//! Softmax down the columns of a block of scores `[keys, queries]`, and its gradient, on vectors of queries.
//!
//! Scores come multiplied with log₂ e, so that powers of two are what a softmax asks for. Rows have whole vectors. What stands in the columns that fill the last vector is of no consequence.

use super::exponential::Exponential;
use crate::ops::host::Element;
use crate::ops::vector::{Simd, WithSimd};

/// Vectors of a row that are in work together.
const VECTORS: usize = 4;

/// Calls `$function::<T, S, V>` for `V` vectors at a time, from the vector `first` on.
macro_rules! by_columns {
    ($vectors:expr, $first:ident, $function:ident($($argument:expr),* $(,)?)) => {
        for $first in (0..$vectors).step_by(VECTORS) {
            match $vectors - $first {
                1 => $function::<T, S, 1>($($argument),*),
                2 => $function::<T, S, 2>($($argument),*),
                3 => $function::<T, S, 3>($($argument),*),
                _ => $function::<T, S, VECTORS>($($argument),*),
            }
        }
    };
}

/// `V` vectors from `at` on.
#[inline(always)]
fn some<V: Copy, const N: usize>(vectors: &[V], at: usize) -> &[V; N] {
    match vectors[at..].first_chunk() {
        Some(chunk) => chunk,
        None => unreachable!("rows have whole vectors"),
    }
}

/// As [`some`], to be written.
#[inline(always)]
fn some_mut<V: Copy, const N: usize>(vectors: &mut [V], at: usize) -> &mut [V; N] {
    match vectors[at..].first_chunk_mut() {
        Some(chunk) => chunk,
        None => unreachable!("rows have whole vectors"),
    }
}

/// What is added to scores between tokens of different regions: for each region a row of numbers (or vectors) `N`, and for each key
/// its region.
#[derive(Clone, Copy)]
pub(super) struct Mask<'m, N> {
    pub(super) rows: &'m [N],
    pub(super) regions: &'m [usize],
}

/// Turns scores s into 2^(scale · s + bias + mask − maximum) and writes the sum of each column.
pub(super) struct Weights<'s, T> {
    pub(super) scores: &'s mut [T],
    /// As `scores`.
    pub(super) bias: &'s [T],
    pub(super) mask: Option<Mask<'s, T>>,
    pub(super) scale: T,
    /// A row.
    pub(super) sums: &'s mut [T],
}

impl<T: Element + Exponential> WithSimd for Weights<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (scores, sums) = (T::split_mut::<S>(self.scores).0, T::split_mut::<S>(self.sums).0);
        let bias = T::split::<S>(self.bias).0;
        let mask = self.mask.map(|mask| Mask { rows: T::split::<S>(mask.rows).0, regions: mask.regions });
        let scale = T::splat(simd, self.scale);
        by_columns!(sums.len(), first, weights(simd, scores, bias, mask, scale, sums, first));
    }
}

#[inline(always)]
fn weights<T: Element + Exponential, S: Simd, const V: usize>(
    simd: S,
    scores: &mut [T::Of<S>],
    bias: &[T::Of<S>],
    mask: Option<Mask<'_, T::Of<S>>>,
    scale: T::Of<S>,
    sums: &mut [T::Of<S>],
    first: usize,
) {
    let stride = sums.len();
    let mut largest = [T::splat(simd, T::neg_infinity()); V];
    for (key, (row, bias)) in scores.chunks_exact_mut(stride).zip(bias.chunks_exact(stride)).enumerate() {
        let (row, bias) = (some_mut::<_, V>(row, first), some::<_, V>(bias, first));
        for v in 0..V {
            row[v] = T::product_plus(simd, row[v], scale, bias[v]);
        }
        if let Some(Mask { rows, regions }) = mask {
            let added = some::<_, V>(rows, regions[key] * stride + first);
            for v in 0..V {
                row[v] = T::sum(simd, row[v], added[v]);
            }
        }
        for v in 0..V {
            largest[v] = T::larger(simd, row[v], largest[v]);
        }
    }
    let mut total = [T::splat(simd, T::zero()); V];
    for row in scores.chunks_exact_mut(stride) {
        let row = some_mut::<_, V>(row, first);
        for v in 0..V {
            row[v] = T::power_of_two(simd, T::difference(simd, row[v], largest[v]));
            total[v] = T::sum(simd, total[v], row[v]);
        }
    }
    *some_mut(sums, first) = total;
}

/// Turns scores s of one block of keys into 2^(scale · s − maximum), where the maximum is that of all blocks so far (online
/// softmax; Milakov & Gimelshein 2018). Moves the maxima and sums, and writes what earlier sums had to be multiplied with.
pub(super) struct MoreWeights<'s, T> {
    pub(super) scores: &'s mut [T],
    pub(super) scale: T,
    /// A row.
    pub(super) largest: &'s mut [T],
    /// A row.
    pub(super) sums: &'s mut [T],
    /// A row.
    pub(super) factors: &'s mut [T],
}

impl<T: Element + Exponential> WithSimd for MoreWeights<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (scores, sums) = (T::split_mut::<S>(self.scores).0, T::split_mut::<S>(self.sums).0);
        let (largest, factors) = (T::split_mut::<S>(self.largest).0, T::split_mut::<S>(self.factors).0);
        let scale = T::splat(simd, self.scale);
        by_columns!(sums.len(), first, more_weights(simd, scores, scale, largest, sums, factors, first));
    }
}

#[inline(always)]
fn more_weights<T: Element + Exponential, S: Simd, const V: usize>(
    simd: S,
    scores: &mut [T::Of<S>],
    scale: T::Of<S>,
    largest: &mut [T::Of<S>],
    sums: &mut [T::Of<S>],
    factors: &mut [T::Of<S>],
    first: usize,
) {
    let stride = sums.len();
    let before = *some::<_, V>(largest, first);
    let mut here = [T::splat(simd, T::neg_infinity()); V];
    for row in scores.chunks_exact(stride) {
        let row = some::<_, V>(row, first);
        for v in 0..V {
            here[v] = T::larger(simd, row[v], here[v]);
        }
    }
    let zero = T::splat(simd, T::zero());
    // Minus the new maxima.
    let mut offsets = [zero; V];
    let mut total = [zero; V];
    let factors = some_mut::<_, V>(factors, first);
    for v in 0..V {
        let now = T::larger(simd, T::product(simd, here[v], scale), before[v]);
        offsets[v] = T::difference(simd, zero, now);
        factors[v] = T::power_of_two(simd, T::difference(simd, before[v], now));
        largest[first + v] = now;
        total[v] = T::product(simd, sums[first + v], factors[v]);
    }
    for row in scores.chunks_exact_mut(stride) {
        let row = some_mut::<_, V>(row, first);
        for v in 0..V {
            row[v] = T::power_of_two(simd, T::product_plus(simd, row[v], scale, offsets[v]));
            total[v] = T::sum(simd, total[v], row[v]);
        }
    }
    *some_mut(sums, first) = total;
}

/// Turns weights as [`Weights`] writes them into probabilities, and gradients with respect to probabilities into those with respect
/// to the scores that were scaled; these are also added up.
pub(super) struct WeightsBackward<'s, T> {
    pub(super) weights: &'s mut [T],
    /// A row: 1 ÷ sum of weights.
    pub(super) inverses: &'s [T],
    /// As `weights`.
    pub(super) gradients: &'s mut [T],
    /// As `weights`.
    pub(super) total: &'s mut [T],
}

impl<T: Element + Exponential> WithSimd for WeightsBackward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (weights, gradients) = (T::split_mut::<S>(self.weights).0, T::split_mut::<S>(self.gradients).0);
        let (inverses, total) = (T::split::<S>(self.inverses).0, T::split_mut::<S>(self.total).0);
        by_columns!(inverses.len(), first, weights_backward(simd, weights, inverses, gradients, total, first));
    }
}

#[inline(always)]
fn weights_backward<T: Element + Exponential, S: Simd, const V: usize>(
    simd: S,
    weights: &mut [T::Of<S>],
    inverses: &[T::Of<S>],
    gradients: &mut [T::Of<S>],
    total: &mut [T::Of<S>],
    first: usize,
) {
    let stride = inverses.len();
    let inverses = some::<_, V>(inverses, first);
    let mut means = [T::splat(simd, T::zero()); V];
    for (weights, gradients) in weights.chunks_exact_mut(stride).zip(gradients.chunks_exact(stride)) {
        let (weights, gradients) = (some_mut::<_, V>(weights, first), some::<_, V>(gradients, first));
        for v in 0..V {
            weights[v] = T::product(simd, weights[v], inverses[v]);
            means[v] = T::product_plus(simd, weights[v], gradients[v], means[v]);
        }
    }
    let rows = weights.chunks_exact(stride).zip(gradients.chunks_exact_mut(stride)).zip(total.chunks_exact_mut(stride));
    for ((weights, gradients), total) in rows {
        let (weights, gradients) = (some::<_, V>(weights, first), some_mut::<_, V>(gradients, first));
        let total = some_mut::<_, V>(total, first);
        for v in 0..V {
            gradients[v] = T::product(simd, weights[v], T::difference(simd, gradients[v], means[v]));
            total[v] = T::sum(simd, total[v], gradients[v]);
        }
    }
}

/// Turns scores s into probabilities 2^(scale · s − logarithm), and gradients with respect to probabilities into those with respect
/// to the scores that were scaled.
pub(super) struct ScoresBackward<'s, T> {
    pub(super) scores: &'s mut [T],
    pub(super) scale: T,
    /// A row: the logarithm to base 2 of the sum of 2^(scale · s) over all keys.
    pub(super) logarithms: &'s [T],
    /// As `scores`.
    pub(super) gradients: &'s mut [T],
    /// A row: Σ probability · gradient over all keys.
    pub(super) means: &'s [T],
}

impl<T: Element + Exponential> WithSimd for ScoresBackward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (scores, gradients) = (T::split_mut::<S>(self.scores).0, T::split_mut::<S>(self.gradients).0);
        let (logarithms, means) = (T::split::<S>(self.logarithms).0, T::split::<S>(self.means).0);
        let scale = T::splat(simd, self.scale);
        by_columns!(means.len(), first, scores_backward(simd, scores, scale, logarithms, gradients, means, first));
    }
}

#[inline(always)]
fn scores_backward<T: Element + Exponential, S: Simd, const V: usize>(
    simd: S,
    scores: &mut [T::Of<S>],
    scale: T::Of<S>,
    logarithms: &[T::Of<S>],
    gradients: &mut [T::Of<S>],
    means: &[T::Of<S>],
    first: usize,
) {
    let stride = means.len();
    let (logarithms, means) = (some::<_, V>(logarithms, first), some::<_, V>(means, first));
    let mut offsets = [T::splat(simd, T::zero()); V];
    for v in 0..V {
        offsets[v] = T::difference(simd, offsets[v], logarithms[v]);
    }
    for (scores, gradients) in scores.chunks_exact_mut(stride).zip(gradients.chunks_exact_mut(stride)) {
        let (scores, gradients) = (some_mut::<_, V>(scores, first), some_mut::<_, V>(gradients, first));
        for v in 0..V {
            scores[v] = T::power_of_two(simd, T::product_plus(simd, scores[v], scale, offsets[v]));
            gradients[v] = T::product(simd, scores[v], T::difference(simd, gradients[v], means[v]));
        }
    }
}
