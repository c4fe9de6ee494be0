//! Batch norm on the CPU. Sums are taken over chunks of pixels whose size the number of channels decides, in double
//! precision: in float32 the statistics of channels far from 0 would lose an order of magnitude to PyTorch's.

use super::constants::EPSILON;
use crate::ops::host::{Element, filled};
use crate::ops::vector::vectorized;
use rayon::prelude::*;

/// Elements in a chunk of whole pixels: few enough for the second-level cache, where a chunk is read twice.
fn chunk(channels: usize) -> usize {
    ((1 << 15) / channels).clamp(16, 512) * channels
}

/// Mean and variance (biased) of every channel over all pixels.
///
/// Chunks yield their mean and their sum of squared deviations, merged as in Chan, Golub & LeVeque, *Updating
/// formulae and a pairwise algorithm for computing sample variances* (1979): no difference of large squares.
pub(super) fn moments<T: Element>(channels: usize, x: &[T]) -> (Vec<T>, Vec<T>) {
    let partial = |pixels: &[T]| {
        let count = pixels.len() / channels;
        let (mut mean, mut squares) = (vec![0.0; channels], vec![0.0; channels]);
        let mut center = vec![T::zero(); channels];
        vectorized(
            #[inline(always)]
            || {
                for pixel in pixels.chunks_exact(channels) {
                    for (sum, x) in mean.iter_mut().zip(pixel) {
                        *sum += x.widen();
                    }
                }
                for (mean, center) in mean.iter_mut().zip(&mut center) {
                    *mean /= count as f64;
                    *center = T::narrow(*mean);
                }
                for pixel in pixels.chunks_exact(channels) {
                    for ((square, x), center) in squares.iter_mut().zip(pixel).zip(&center) {
                        let deviation = (*x - *center).widen();
                        *square += deviation * deviation;
                    }
                }
                // The squares are about the rounded mean: Σ(x − c)² = Σ(x − μ)² + n (μ − c)².
                for ((square, mean), center) in squares.iter_mut().zip(&mean).zip(&center) {
                    let off = mean - center.widen();
                    *square = (*square - count as f64 * off * off).max(0.0);
                }
            },
        );
        (count, mean, squares)
    };
    let partials: Vec<(usize, Vec<f64>, Vec<f64>)> = x.par_chunks(chunk(channels)).map(partial).collect();
    let (mut mean, mut squares, mut count) = (vec![0.0; channels], vec![0.0; channels], 0.0);
    for (chunk_count, chunk_mean, chunk_squares) in partials {
        let n = chunk_count as f64;
        let total = count + n;
        for c in 0..channels {
            let delta = chunk_mean[c] - mean[c];
            mean[c] += delta * n / total;
            squares[c] += chunk_squares[c] + delta * delta * count * n / total;
        }
        count = total;
    }
    (mean.into_iter().map(T::narrow).collect(), squares.into_iter().map(|sum| T::narrow(sum / count)).collect())
}

/// 1/√(variance + ε) of every channel.
fn inverse_deviation<T: Element>(variance: &[T]) -> Vec<f64> {
    variance.iter().map(|variance| 1.0 / (variance.widen() + EPSILON).sqrt()).collect()
}

/// The four vectors of a batch norm, each `[channels]`.
pub(super) struct Channels<'a, T> {
    pub(super) mean: &'a [T],
    pub(super) variance: &'a [T],
    pub(super) weight: &'a [T],
    pub(super) bias: &'a [T],
}

impl<T: Element> Channels<'_, T> {
    /// weight / √(variance + ε).
    pub(super) fn scale(&self) -> Vec<T> {
        let inverse = inverse_deviation(self.variance);
        inverse.iter().zip(self.weight).map(|(inverse, weight)| T::narrow(inverse * weight.widen())).collect()
    }
}

/// weight · (x − mean) / √(variance + ε) + bias, plus `residual`, through a ReLU if asked.
pub(super) fn forward<T: Element>(at: &Channels<'_, T>, x: &[T], residual: Option<&[T]>, relu: bool) -> Vec<T> {
    let channels = at.mean.len();
    let (mean, scale, bias) = (at.mean, &at.scale()[..channels], &at.bias[..channels]);
    let size = chunk(channels);
    filled(x.len(), |y| {
        y.par_chunks_mut(size).zip(x.par_chunks(size)).enumerate().for_each(|(index, (y, x))| {
            let residual = residual.map(|residual| &residual[index * size..][..x.len()]);
            vectorized(
                #[inline(always)]
                || match (residual, relu) {
                    (None, false) => apply(y, x, x, [mean, scale, bias], |value, _| value),
                    (None, true) => apply(y, x, x, [mean, scale, bias], |value, _| rectified(value)),
                    (Some(r), false) => apply(y, x, r, [mean, scale, bias], |value, r| value + r),
                    (Some(r), true) => apply(y, x, r, [mean, scale, bias], |value, r| rectified(value + r)),
                },
            );
        });
    })
}

/// A comparison, not `max`: NaN goes through.
#[inline(always)]
fn rectified<T: Element>(value: T) -> T {
    if value < T::zero() { T::zero() } else { value }
}

#[inline(always)]
fn apply<T: Element>(
    y: &mut [T],
    x: &[T],
    other: &[T],
    [mean, scale, bias]: [&[T]; 3],
    finish: impl Fn(T, T) -> T + Copy,
) {
    let channels = mean.len();
    let (mean, scale, bias) = (&mean[..channels], &scale[..channels], &bias[..channels]);
    let pixels = y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)).zip(other.chunks_exact(channels));
    for ((y, x), other) in pixels {
        for c in 0..channels {
            y[c] = finish((x[c] - mean[c]) * scale[c] + bias[c], other[c]);
        }
    }
}

/// What [`backward`] gives: gradients with respect to x, weight, bias, and the residual if asked for.
pub(super) struct Gradients<T> {
    pub(super) x: Vec<T>,
    pub(super) weight: Vec<T>,
    pub(super) bias: Vec<T>,
    pub(super) residual: Option<Vec<T>>,
}

/// How the ReLU's input is computed again, to see where it was above 0.
#[derive(Clone, Copy)]
enum Gate<'a, T> {
    /// There was no ReLU.
    Open,
    Relu,
    ResidualRelu(&'a [T]),
}

/// Gradients of [`forward`]. With `batch` the mean and variance are those of `x` and move with it. The residual's
/// gradient is computed only where a ReLU follows, else it is `gradient` itself.
pub(super) fn backward<T: Element>(
    at: &Channels<'_, T>,
    x: &[T],
    residual: Option<&[T]>,
    relu: bool,
    gradient: &[T],
    batch: bool,
) -> Gradients<T> {
    let channels = at.mean.len();
    let (mean, scale, bias) = (at.mean, &at.scale()[..channels], &at.bias[..channels]);
    let size = chunk(channels);
    let gate = |index: usize, length: usize| match (relu, residual) {
        (false, _) => Gate::Open,
        (true, None) => Gate::Relu,
        (true, Some(residual)) => Gate::ResidualRelu(&residual[index * size..][..length]),
    };
    let forward = [mean, scale, bias];
    let partial = |(index, (x, g)): (usize, (&[T], &[T]))| {
        let (mut sums, mut products) = (vec![0.0; channels], vec![0.0; channels]);
        let gate = gate(index, x.len());
        vectorized(
            #[inline(always)]
            || match gate {
                Gate::Open => sum(&mut sums, &mut products, x, g, x, forward, |g, _, _| g),
                Gate::Relu => sum(&mut sums, &mut products, x, g, x, forward, |g, value, _| gated(g, value)),
                Gate::ResidualRelu(r) => {
                    sum(&mut sums, &mut products, x, g, r, forward, |g, value, r| gated(g, value + r))
                }
            },
        );
        (sums, products)
    };
    let partials: Vec<(Vec<f64>, Vec<f64>)> =
        x.par_chunks(size).zip(gradient.par_chunks(size)).enumerate().map(partial).collect();
    let (mut sums, mut products) = (vec![0.0; channels], vec![0.0; channels]);
    for (chunk_sums, chunk_products) in partials {
        for c in 0..channels {
            sums[c] += chunk_sums[c];
            products[c] += chunk_products[c];
        }
    }
    // dx = γ/σ · (g − Σg/n − (x − μ)/σ² · Σg(x − μ)/n) = slope · g + curve · (x − μ) + shift
    let count = if batch { (x.len() / channels) as f64 } else { f64::INFINITY };
    let inverse = inverse_deviation(at.variance);
    let slope: Vec<f64> = inverse.iter().zip(at.weight).map(|(i, w)| i * w.widen()).collect();
    let curve: Vec<T> =
        (0..channels).map(|c| T::narrow(-slope[c] * inverse[c] * inverse[c] * products[c] / count)).collect();
    let shift: Vec<T> = (0..channels).map(|c| T::narrow(-slope[c] * sums[c] / count)).collect();
    let slope: Vec<T> = slope.into_iter().map(T::narrow).collect();
    let back = [&slope[..], &curve, &shift];
    let mut d_residual = None;
    let dx = if let (true, Some(_)) = (relu, residual) {
        filled(x.len(), |dx| {
            d_residual = Some(filled(x.len(), |dr| {
                let chunks = dx.par_chunks_mut(size).zip(dr.par_chunks_mut(size));
                let sources = x.par_chunks(size).zip(gradient.par_chunks(size));
                chunks.zip(sources).enumerate().for_each(|(index, ((dx, dr), (x, g)))| {
                    let Gate::ResidualRelu(r) = gate(index, x.len()) else { return };
                    vectorized(
                        #[inline(always)]
                        || {
                            mask(dr, x, g, r, forward);
                            spread(dx, x, dr, forward, back, |g, _| g);
                        },
                    );
                });
            }));
        })
    } else {
        filled(x.len(), |dx| {
            let sources = x.par_chunks(size).zip(gradient.par_chunks(size));
            dx.par_chunks_mut(size).zip(sources).for_each(|(dx, (x, g))| {
                vectorized(
                    #[inline(always)]
                    || match relu {
                        false => spread(dx, x, g, forward, back, |g, _| g),
                        true => spread(dx, x, g, forward, back, gated),
                    },
                );
            });
        })
    };
    let weight = products.iter().zip(&inverse).map(|(product, inverse)| T::narrow(product * inverse)).collect();
    Gradients { x: dx, weight, bias: sums.into_iter().map(T::narrow).collect(), residual: d_residual }
}

/// The gradient of a ReLU's input `value`; at 0 it is 0, and NaN lets nothing through.
#[inline(always)]
fn gated<T: Element>(gradient: T, value: T) -> T {
    if value > T::zero() { gradient } else { T::zero() }
}

/// Adds Σ g and Σ g (x − μ) of a chunk, g after `gate`.
#[inline(always)]
fn sum<T: Element>(
    sums: &mut [f64],
    products: &mut [f64],
    x: &[T],
    g: &[T],
    r: &[T],
    [mean, scale, bias]: [&[T]; 3],
    gate: impl Fn(T, T, T) -> T + Copy,
) {
    let channels = sums.len();
    let (products, mean, scale, bias) =
        (&mut products[..channels], &mean[..channels], &scale[..channels], &bias[..channels]);
    let pixels = x.chunks_exact(channels).zip(g.chunks_exact(channels)).zip(r.chunks_exact(channels));
    for ((x, g), r) in pixels {
        for c in 0..channels {
            let deviation = x[c] - mean[c];
            let g = gate(g[c], deviation * scale[c] + bias[c], r[c]);
            sums[c] += g.widen();
            products[c] += (g * deviation).widen();
        }
    }
}

/// Writes the gradient that passes a ReLU after a residual.
#[inline(always)]
fn mask<T: Element>(masked: &mut [T], x: &[T], g: &[T], r: &[T], [mean, scale, bias]: [&[T]; 3]) {
    let channels = mean.len();
    let (scale, bias) = (&scale[..channels], &bias[..channels]);
    let sources = x.chunks_exact(channels).zip(g.chunks_exact(channels)).zip(r.chunks_exact(channels));
    for (masked, ((x, g), r)) in masked.chunks_exact_mut(channels).zip(sources) {
        for c in 0..channels {
            masked[c] = gated(g[c], (x[c] - mean[c]) * scale[c] + bias[c] + r[c]);
        }
    }
}

/// Writes the gradient of x from that of the normalised value, g after `gate`.
#[inline(always)]
fn spread<T: Element>(
    dx: &mut [T],
    x: &[T],
    g: &[T],
    [mean, scale, bias]: [&[T]; 3],
    [slope, curve, shift]: [&[T]; 3],
    gate: impl Fn(T, T) -> T + Copy,
) {
    let channels = mean.len();
    let (scale, bias) = (&scale[..channels], &bias[..channels]);
    let (slope, curve, shift) = (&slope[..channels], &curve[..channels], &shift[..channels]);
    let sources = x.chunks_exact(channels).zip(g.chunks_exact(channels));
    for (dx, (x, g)) in dx.chunks_exact_mut(channels).zip(sources) {
        for c in 0..channels {
            let deviation = x[c] - mean[c];
            let g = gate(g[c], deviation * scale[c] + bias[c]);
            dx[c] = slope[c] * g + curve[c] * deviation + shift[c];
        }
    }
}
