//! Batch norm on the CPU. Sums are taken over chunks of pixels whose size the number of channels decides, in the
//! tensor's type within a chunk and in double precision across chunks.

use super::EPSILON;
use crate::nn::ops::host::Element;
use rayon::prelude::*;

/// Elements in a chunk of whole pixels.
fn chunk(channels: usize) -> usize {
    ((1 << 16) / channels).clamp(16, 512) * channels
}

/// Mean and variance (biased) of every channel over all pixels.
///
/// Chunks yield their mean and their sum of squared deviations, merged as in Chan, Golub & LeVeque, *Updating
/// formulae and a pairwise algorithm for computing sample variances* (1979): no difference of large squares.
pub(super) fn moments<T: Element>(channels: usize, x: &[T]) -> (Vec<T>, Vec<T>) {
    let partials: Vec<(usize, Vec<T>, Vec<T>)> = x
        .par_chunks(chunk(channels))
        .map(|pixels| {
            let count = pixels.len() / channels;
            let mut mean = vec![T::zero(); channels];
            for pixel in pixels.chunks_exact(channels) {
                for (sum, x) in mean.iter_mut().zip(pixel) {
                    *sum += *x;
                }
            }
            let scale = T::narrow(1.0 / count as f64);
            mean.iter_mut().for_each(|mean| *mean *= scale);
            let mut squares = vec![T::zero(); channels];
            for pixel in pixels.chunks_exact(channels) {
                for ((square, x), mean) in squares.iter_mut().zip(pixel).zip(&mean) {
                    let deviation = *x - *mean;
                    *square += deviation * deviation;
                }
            }
            (count, mean, squares)
        })
        .collect();
    let (mut mean, mut squares, mut count) = (vec![0.0; channels], vec![0.0; channels], 0.0);
    for (chunk_count, chunk_mean, chunk_squares) in partials {
        let n = chunk_count as f64;
        let total = count + n;
        for c in 0..channels {
            let delta = chunk_mean[c].widen() - mean[c];
            mean[c] += delta * n / total;
            squares[c] += chunk_squares[c].widen() + delta * delta * count * n / total;
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

/// weight · (x − mean) / √(variance + ε) + bias, plus `residual`, through a ReLU if asked.
pub(super) fn forward<T: Element>(at: &Channels<'_, T>, x: &[T], residual: Option<&[T]>, relu: bool) -> Vec<T> {
    let channels = at.mean.len();
    let scale: Vec<T> =
        inverse_deviation(at.variance).iter().zip(at.weight).map(|(i, w)| T::narrow(i * w.widen())).collect();
    let (mean, scale, bias) = (at.mean, &scale[..channels], &at.bias[..channels]);
    let mut y = vec![T::zero(); x.len()];
    // A comparison, not `max`: NaN goes through.
    let activate = |value: T| if relu && value < T::zero() { T::zero() } else { value };
    let size = chunk(channels);
    y.par_chunks_mut(size).zip(x.par_chunks(size)).enumerate().for_each(|(index, (y, x))| {
        let pixels = y.chunks_exact_mut(channels).zip(x.chunks_exact(channels));
        match residual {
            None => {
                for (y, x) in pixels {
                    for c in 0..channels {
                        y[c] = activate((x[c] - mean[c]) * scale[c] + bias[c]);
                    }
                }
            }
            Some(residual) => {
                for ((y, x), r) in pixels.zip(residual[index * size..].chunks_exact(channels)) {
                    for c in 0..channels {
                        y[c] = activate((x[c] - mean[c]) * scale[c] + bias[c] + r[c]);
                    }
                }
            }
        }
    });
    y
}

/// `gradient` where the ReLU let its input through (y > 0), else 0: the gradient of the ReLU's input.
pub(super) fn backward_relu<T: Element>(y: &[T], gradient: &[T]) -> Vec<T> {
    const SIZE: usize = 1 << 15;
    let mut masked = vec![T::zero(); y.len()];
    masked.par_chunks_mut(SIZE).zip(y.par_chunks(SIZE)).zip(gradient.par_chunks(SIZE)).for_each(|((masked, y), g)| {
        for ((masked, y), g) in masked.iter_mut().zip(y).zip(g) {
            *masked = if *y > T::zero() { *g } else { T::zero() };
        }
    });
    masked
}

/// Gradients of a batch norm without its ReLU in training, where mean and variance depend on `x`: of x, weight, bias.
pub(super) fn backward<T: Element>(
    (mean, variance, weight): (&[T], &[T], &[T]),
    x: &[T],
    gradient: &[T],
) -> (Vec<T>, Vec<T>, Vec<T>) {
    let channels = mean.len();
    let size = chunk(channels);
    let partials: Vec<(Vec<T>, Vec<T>)> = (x.par_chunks(size), gradient.par_chunks(size))
        .into_par_iter()
        .map(|(x, gradient)| {
            let (mut sums, mut products) = (vec![T::zero(); channels], vec![T::zero(); channels]);
            let (sums_, products_) = (&mut sums[..channels], &mut products[..channels]);
            for (x, g) in x.chunks_exact(channels).zip(gradient.chunks_exact(channels)) {
                for c in 0..channels {
                    sums_[c] += g[c];
                    products_[c] += g[c] * (x[c] - mean[c]);
                }
            }
            (sums, products)
        })
        .collect();
    let (mut sums, mut products) = (vec![0.0; channels], vec![0.0; channels]);
    for (chunk_sums, chunk_products) in partials {
        for c in 0..channels {
            sums[c] += chunk_sums[c].widen();
            products[c] += chunk_products[c].widen();
        }
    }
    // dx = γ/σ · (g − Σg/n − (x − μ)/σ² · Σg(x − μ)/n) = slope · g + curve · (x − μ) + shift
    let count = (x.len() / channels) as f64;
    let inverse = inverse_deviation(variance);
    let slope: Vec<f64> = inverse.iter().zip(weight).map(|(i, w)| i * w.widen()).collect();
    let curve: Vec<T> =
        (0..channels).map(|c| T::narrow(-slope[c] * inverse[c] * inverse[c] * products[c] / count)).collect();
    let shift: Vec<T> = (0..channels).map(|c| T::narrow(-slope[c] * sums[c] / count)).collect();
    let slope: Vec<T> = slope.into_iter().map(T::narrow).collect();
    let (slope, curve, shift) = (&slope[..channels], &curve[..channels], &shift[..channels]);
    let mut dx = vec![T::zero(); x.len()];
    (dx.par_chunks_mut(size), x.par_chunks(size), gradient.par_chunks(size)).into_par_iter().for_each(|(dx, x, g)| {
        let pixels = x.chunks_exact(channels).zip(g.chunks_exact(channels));
        for (dx, (x, g)) in dx.chunks_exact_mut(channels).zip(pixels) {
            for c in 0..channels {
                dx[c] = slope[c] * g[c] + curve[c] * (x[c] - mean[c]) + shift[c];
            }
        }
    });
    let d_weight = products.iter().zip(&inverse).map(|(product, inverse)| T::narrow(product * inverse)).collect();
    (dx, d_weight, sums.into_iter().map(T::narrow).collect())
}
