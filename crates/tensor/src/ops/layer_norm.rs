//! Layer norm over the last axis (Ba et al. 2016; PyTorch's `nn.LayerNorm(channels)`).

use super::host::{Element, elements, filled, on_cpu_only, tensor};
use super::vector::vectorized;
use crate::{Tape, Value};
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

/// Elements of a task, about.
const CHUNK: usize = 1 << 15;
/// Sums that run side by side, so that the processor's vectors are filled.
const LANES: usize = 16;

/// The number of channels of `x` with the vectors `weight` and `bias`.
fn channels(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<usize> {
    match (x.dims().last(), weight.dims(), bias.dims()) {
        (Some(&channels), &[w], &[b]) if w == channels && b == channels && x.elem_count() > 0 => Ok(channels),
        (_, w, b) => bail!("layer_norm: a weight of {w:?} and a bias of {b:?} for an input of {:?}", x.dims()),
    }
}

/// Σ `term`(i) for all i below `count`, in a fixed order.
#[inline(always)]
fn lane_sum(count: usize, term: impl Fn(usize) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    let whole = count / LANES * LANES;
    for first in (0..whole).step_by(LANES) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += term(first + lane);
        }
    }
    let rest: f64 = (whole..count).map(&term).sum();
    sums.iter().sum::<f64>() + rest
}

/// Mean and 1 / √(variance + epsilon) of a row: two passes, in double precision.
#[inline(always)]
fn moments<T: Element>(row: &[T], epsilon: f64) -> (T, T) {
    let count = row.len() as f64;
    let mean = lane_sum(row.len(), |at| row[at].widen()) / count;
    let variance = lane_sum(row.len(), |at| {
        let apart = row[at].widen() - mean;
        apart * apart
    }) / count;
    (T::narrow(mean), T::narrow(1.0 / (variance + epsilon).sqrt()))
}

/// `x` `[.., channels]` with mean 0 and variance 1 in every row, times `weight` plus `bias`, both `[channels]`.
///
/// # Errors
/// If the shapes do not fit, or the device or type is not supported.
pub(crate) fn forward(x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f64) -> Result<Tensor> {
    let (x, weight, bias) = (x.contiguous()?, weight.contiguous()?, bias.contiguous()?);
    channels(&x, &weight, &bias)?;
    on_cpu_only!("layer_norm", &x, forward_host(&x, &weight, &bias, epsilon))
}

fn forward_host<T: Element>(x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f64) -> Result<Tensor> {
    let (shape, channels) = (x.dims(), channels(x, weight, bias)?);
    let (x, weight, bias) = (elements::<T>(x)?, elements::<T>(weight)?, elements::<T>(bias)?);
    let (weight, bias): (&[T], &[T]) = (&weight, &bias);
    let task = (CHUNK / channels).max(1) * channels;
    let y = filled(x.len(), |y| {
        y.par_chunks_mut(task).zip(x.par_chunks(task)).for_each(|(y, x)| {
            vectorized(
                #[inline(always)]
                || {
                    for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                        let (mean, scale) = moments(x, epsilon);
                        for (((y, x), weight), bias) in y.iter_mut().zip(x).zip(weight).zip(bias) {
                            *y = (*x - mean) * scale * *weight + *bias;
                        }
                    }
                },
            );
        });
    });
    tensor(y, shape)
}

/// Gradients of [`forward`].
pub(crate) struct LayerNormGradients {
    /// With respect to the input.
    pub(crate) x: Tensor,
    /// With respect to the weight, summed in double precision.
    pub(crate) weight: Tensor,
    /// With respect to the bias, summed in double precision.
    pub(crate) bias: Tensor,
}

/// Gradients of [`forward`], given the output's `gradient`. Means and variances are computed again.
///
/// # Errors
/// As [`forward`]; if `gradient` has not the input's shape.
pub(crate) fn backward(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    epsilon: f64,
    gradient: &Tensor,
) -> Result<LayerNormGradients> {
    let (x, weight, gradient) = (x.contiguous()?, weight.contiguous()?, gradient.contiguous()?);
    let channels = channels(&x, &weight, bias)?;
    if gradient.dims() != x.dims() {
        bail!("layer_norm: a gradient of {:?} for an output of {:?}", gradient.dims(), x.dims());
    }
    on_cpu_only!("layer_norm", &x, backward_host(&x, &weight, &gradient, channels, epsilon))
}

fn backward_host<T: Element>(
    x: &Tensor,
    weight: &Tensor,
    gradient: &Tensor,
    channels: usize,
    epsilon: f64,
) -> Result<LayerNormGradients> {
    let shape = x.dims();
    let (x, weight, gradient) = (elements::<T>(x)?, elements::<T>(weight)?, elements::<T>(gradient)?);
    let (x, weight, gradient): (&[T], &[T], &[T]) = (&x, &weight, &gradient);
    let task = (CHUNK / channels).max(1) * channels;
    let mut partials: Vec<Vec<f64>> = Vec::new();
    let dx = filled(x.len(), |dx| {
        let tasks = dx.par_chunks_mut(task).zip(x.par_chunks(task)).zip(gradient.par_chunks(task));
        tasks
            .map(|((dx, x), gradient)| rows_backward(dx, x, gradient, weight, epsilon))
            .collect_into_vec(&mut partials);
    });
    let mut sums = vec![0.0; 2 * channels];
    for partial in &partials {
        sums.iter_mut().zip(partial).for_each(|(sum, value)| *sum += *value);
    }
    let vector = |sums: &[f64]| tensor(sums.iter().copied().map(T::narrow).collect(), &[channels]);
    let (d_weight, d_bias) = sums.split_at(channels);
    Ok(LayerNormGradients { x: tensor(dx, shape)?, weight: vector(d_weight)?, bias: vector(d_bias)? })
}

/// The gradients of some rows: writes those of the input, returns the sums of the weight's and then the bias's.
fn rows_backward<T: Element>(dx: &mut [T], x: &[T], gradient: &[T], weight: &[T], epsilon: f64) -> Vec<f64> {
    let channels = weight.len();
    let mut sums = vec![0.0; 2 * channels];
    let (d_weight, d_bias) = sums.split_at_mut(channels);
    let mut normal = vec![T::zero(); channels];
    vectorized(
        #[inline(always)]
        || {
            let rows = dx.chunks_exact_mut(channels).zip(x.chunks_exact(channels)).zip(gradient.chunks_exact(channels));
            for ((dx, x), gradient) in rows {
                let (mean, scale) = moments(x, epsilon);
                let (normal, d_weight, d_bias) = (&mut normal[..], &mut d_weight[..], &mut d_bias[..]);
                for (((((normal, dx), x), gradient), weight), (d_weight, d_bias)) in normal
                    .iter_mut()
                    .zip(dx.iter_mut())
                    .zip(x)
                    .zip(gradient)
                    .zip(weight)
                    .zip(d_weight.iter_mut().zip(d_bias.iter_mut()))
                {
                    *normal = (*x - mean) * scale;
                    // What reaches the row before its weight.
                    *dx = *gradient * *weight;
                    *d_weight += (*gradient * *normal).widen();
                    *d_bias += gradient.widen();
                }
                let count = channels as f64;
                let along = T::narrow(lane_sum(channels, |at| dx[at].widen()) / count);
                let across = T::narrow(lane_sum(channels, |at| (dx[at] * normal[at]).widen()) / count);
                for (dx, normal) in dx.iter_mut().zip(&*normal) {
                    *dx = scale * (*dx - along - *normal * across);
                }
            }
        },
    );
    sums
}

impl Tape<'_> {
    /// Layer norm of `x` `[.., channels]` over its last axis with the parameters `prefix.weight` and `prefix.bias`, both `[channels]`;
    /// `epsilon` is added to the variance.
    ///
    /// # Errors
    /// If a parameter is missing, the shapes do not fit, or the device or type is not supported.
    pub fn layer_norm(&self, x: &Value, prefix: &str, epsilon: f64) -> Result<Value> {
        let weight = self.parameter(&format!("{prefix}.weight"))?;
        let bias = self.parameter(&format!("{prefix}.bias"))?;
        channels(x.tensor(), weight.tensor(), bias.tensor())?;
        let compute = || forward(x.tensor(), weight.tensor(), bias.tensor(), epsilon);
        let output = self.output(x.tensor().dims(), || Err("layer_norm"), compute)?;
        let saved = self.save(x);
        let vectors = (weight.tensor().clone(), bias.tensor().clone());
        let again = {
            let (saved, vectors) = (saved.clone(), vectors.clone());
            move || forward(&saved.tensor()?, &vectors.0, &vectors.1, epsilon)
        };
        Ok(self.record_recomputable(output, &[x, &weight, &bias], again, move |gradient, _| {
            let found = backward(&saved.tensor()?, &vectors.0, &vectors.1, epsilon, gradient)?;
            Ok(vec![Some(found.x), Some(found.weight), Some(found.bias)])
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Inputs, check_gradients_on_cpu, same_bits_for_any_threads};
    use candle_core::Device;
    use proptest::prelude::*;

    fn inputs(shape: &[usize], channels: usize, seed: u64) -> Inputs {
        let mut inputs = Inputs::new(seed);
        inputs.normal("x", &[shape, &[channels]].concat());
        inputs.normal("norm.weight", &[channels]);
        inputs.normal("norm.bias", &[channels]);
        inputs
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn gradients_are_those_of_finite_differences(
            (batch, tokens, channels, seed) in (1usize..3, 1usize..4, 2usize..37, any::<u64>()),
        ) {
            check_gradients_on_cpu(&inputs(&[batch, tokens], channels, seed), |tape| {
                // Values far apart: what finite differences say of two nearly equal numbers is nothing.
                let x = tape.parameter("x")?;
                tape.layer_norm(&x, "norm", 0.1)
            });
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        same_bits_for_any_threads(&inputs(&[3, 33, 35], 37, 1), |tape| {
            tape.layer_norm(&tape.parameter("x")?, "norm", 1e-5)
        });
    }

    #[test]
    fn a_row_worked_by_hand_and_shapes_that_do_not_fit() -> Result<()> {
        let vector = |values: &[f64]| Tensor::new(values, &Device::Cpu);
        let x = vector(&[1.0, 3.0])?.reshape((1, 2))?;
        let y = forward(&x, &vector(&[2.0, 3.0])?, &vector(&[10.0, 20.0])?, 3.0)?;
        // Variance 1, so divided by √(1 + 3).
        assert_eq!(y.flatten_all()?.to_vec1::<f64>()?, [10.0 - 1.0, 20.0 + 1.5]);
        let error = forward(&x, &vector(&[1.0])?, &vector(&[1.0])?, 1e-5).unwrap_err().to_string();
        assert!(error.contains("a weight of [1] and a bias of [1] for an input of [1, 2]"), "{error}");
        Ok(())
    }
}
