//! Channels of each image times factors of its own: the excitation of squeeze-and-excitation (Hu et al. 2018).

use super::host::{Element, elements, filled, on_cpu_only, tensor};
use super::vector::vectorized;
use crate::graph::Operation;
use crate::saved::Saved;
use crate::{Tape, Value};
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

/// Elements of a task, about.
const CHUNK: usize = 1 << 15;

/// Sizes: numbers to an image, channels, and numbers to a task.
#[derive(Clone, Copy)]
struct Sizes {
    image: usize,
    channels: usize,
    task: usize,
}

fn sizes(x: &Tensor, gate: &Tensor, residual: Option<&Tensor>) -> Result<Sizes> {
    let (batch, height, width, channels) = x.dims4()?;
    let fits = matches!(gate.dims(), &[b, c] | &[b, 1, 1, c] if b == batch && c == channels);
    if !fits || x.elem_count() == 0 {
        bail!("scale_channels: factors of {:?} for an input of {:?}", gate.dims(), x.dims());
    }
    if let Some(residual) = residual.filter(|residual| residual.dims() != x.dims()) {
        bail!("scale_channels: a residual of {:?} to {:?}", residual.dims(), x.dims());
    }
    Ok(Sizes { image: height * width * channels, channels, task: (CHUNK / channels).max(1) * channels })
}

/// Calls `work(image, range of numbers, task)` for pieces of `y`, on all threads.
fn each_task<T: Element>(y: &mut [T], sizes: Sizes, work: impl Fn(usize, usize, &mut [T]) + Sync) {
    y.par_chunks_mut(sizes.image).enumerate().for_each(|(image, y)| {
        y.par_chunks_mut(sizes.task).enumerate().for_each(|(task, y)| {
            work(image, image * sizes.image + task * sizes.task, y);
        });
    });
}

/// `x` `[batch, height, width, channels]` times `gate` `[batch, channels]` (or `[batch, 1, 1, channels]`); with a `residual` of `x`'s
/// shape plus that and through a ReLU.
///
/// # Errors
/// If the shapes do not fit, or the device or type is not supported.
pub(super) fn forward(x: &Tensor, gate: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
    let (x, gate, residual) = (x.contiguous()?, gate.contiguous()?, residual.map(Tensor::contiguous).transpose()?);
    let sizes = sizes(&x, &gate, residual.as_ref())?;
    on_cpu_only!("scale_channels", &x, forward_host(&x, &gate, residual.as_ref(), sizes))
}

fn forward_host<T: Element>(x: &Tensor, gate: &Tensor, residual: Option<&Tensor>, sizes: Sizes) -> Result<Tensor> {
    let shape = x.dims();
    let (x, gate) = (elements::<T>(x)?, elements::<T>(gate)?);
    let residual = residual.map(elements::<T>).transpose()?;
    let (x, gate, residual): (&[T], &[T], Option<&[T]>) = (&x, &gate, residual.as_deref());
    let channels = sizes.channels;
    let y = filled(x.len(), |y| {
        each_task(y, sizes, |image, first, y| {
            let (x, gate) = (&x[first..][..y.len()], &gate[image * channels..][..channels]);
            vectorized(
                #[inline(always)]
                || match residual {
                    None => {
                        for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                            for ((y, x), gate) in y.iter_mut().zip(x).zip(gate) {
                                *y = *x * *gate;
                            }
                        }
                    }
                    Some(residual) => {
                        let residual = residual[first..][..y.len()].chunks_exact(channels);
                        for ((y, x), residual) in
                            y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)).zip(residual)
                        {
                            for (((y, x), gate), residual) in y.iter_mut().zip(x).zip(gate).zip(residual) {
                                let sum = *x * *gate + *residual;
                                *y = if sum < T::zero() { T::zero() } else { sum };
                            }
                        }
                    }
                },
            );
        });
    });
    tensor(y, shape)
}

/// Gradients of [`forward`].
pub(super) struct ScaleGradients {
    /// With respect to the input.
    pub(super) x: Tensor,
    /// With respect to the factors, of their shape, summed in double precision.
    pub(super) gate: Tensor,
    /// With respect to the residual, if there was one.
    pub(super) residual: Option<Tensor>,
}

/// Gradients of [`forward`], given the output's `gradient`.
///
/// # Errors
/// As [`forward`]; if `gradient` has not the input's shape.
pub(super) fn backward(
    x: &Tensor,
    gate: &Tensor,
    residual: Option<&Tensor>,
    gradient: &Tensor,
) -> Result<ScaleGradients> {
    let (x, gate, gradient) = (x.contiguous()?, gate.contiguous()?, gradient.contiguous()?);
    let sizes = sizes(&x, &gate, residual)?;
    if gradient.dims() != x.dims() {
        bail!("scale_channels: a gradient of {:?} for an output of {:?}", gradient.dims(), x.dims());
    }
    let masked = match residual {
        // The output is 0 where the ReLU lets nothing through, as the ReLU's gradient is where its input is 0.
        Some(residual) => Some(super::relu::backward(&forward(&x, &gate, Some(residual))?, &gradient)?),
        None => None,
    };
    let before = masked.as_ref().unwrap_or(&gradient);
    let (dx, d_gate) = on_cpu_only!("scale_channels", &x, backward_host(&x, &gate, before, sizes))?;
    Ok(ScaleGradients { x: dx, gate: d_gate, residual: masked })
}

fn backward_host<T: Element>(x: &Tensor, gate: &Tensor, gradient: &Tensor, sizes: Sizes) -> Result<(Tensor, Tensor)> {
    let dx = forward_host::<T>(gradient, gate, None, sizes)?;
    let (x, gradient) = (elements::<T>(x)?, elements::<T>(gradient)?);
    let channels = sizes.channels;
    let images = x.par_chunks(sizes.image).zip(gradient.par_chunks(sizes.image));
    let sums: Vec<Vec<f64>> = images
        .map(|(x, gradient)| {
            let tasks = x.par_chunks(sizes.task).zip(gradient.par_chunks(sizes.task));
            let partials: Vec<Vec<f64>> = tasks.map(|(x, gradient)| product_sums(x, gradient, channels)).collect();
            (0..channels).map(|channel| partials.iter().map(|partial| partial[channel]).sum()).collect()
        })
        .collect();
    let d_gate = sums.into_iter().flatten().map(T::narrow).collect();
    Ok((dx, tensor(d_gate, gate.dims())?))
}

/// For each channel the sum of products over all pixels.
fn product_sums<T: Element>(x: &[T], gradient: &[T], channels: usize) -> Vec<f64> {
    let mut sums = vec![0.0; channels];
    vectorized(
        #[inline(always)]
        || {
            for (x, gradient) in x.chunks_exact(channels).zip(gradient.chunks_exact(channels)) {
                for ((sum, x), gradient) in sums.iter_mut().zip(x).zip(gradient) {
                    *sum += (*x * *gradient).widen();
                }
            }
        },
    );
    sums
}

impl Tape<'_> {
    /// `x` `[batch, height, width, channels]` with every channel of an image times its factor in `gate` `[batch, channels]` or
    /// `[batch, 1, 1, channels]`.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device or type is not supported.
    pub fn scale_channels(&self, x: &Value, gate: &Value) -> Result<Value> {
        self.channels_scaled(x, gate, None)
    }

    /// As [`Tape::scale_channels`], plus `residual` of `x`'s shape and through a ReLU: the end of a residual block with
    /// squeeze-and-excitation.
    ///
    /// # Errors
    /// As [`Tape::scale_channels`].
    pub fn scale_channels_residual(&self, x: &Value, gate: &Value, residual: &Value) -> Result<Value> {
        self.channels_scaled(x, gate, Some(residual))
    }

    fn channels_scaled(&self, x: &Value, gate: &Value, residual: Option<&Value>) -> Result<Value> {
        sizes(x.tensor(), gate.tensor(), residual.map(Value::tensor))?;
        let inputs: Vec<&Value> = [x, gate].into_iter().chain(residual).collect();
        let describe = || Ok((Operation::ScaleChannels, inputs.iter().map(|input| input.tensor().id()).collect()));
        let compute = || forward(x.tensor(), gate.tensor(), residual.map(Value::tensor));
        let output = self.output(x.tensor().dims(), describe, compute)?;
        let saved = (self.save(x), self.save(gate), residual.map(|residual| self.save(residual)));
        let again = {
            let (x, gate, residual) = saved.clone();
            move || forward(&x.tensor()?, &gate.tensor()?, residual.as_ref().map(Saved::tensor).transpose()?.as_ref())
        };
        Ok(self.record_recomputable(output, &inputs, again, move |gradient, _| {
            let (x, gate, residual) = saved;
            let residual = residual.as_ref().map(Saved::tensor).transpose()?;
            let found = backward(&x.tensor()?, &gate.tensor()?, residual.as_ref(), gradient)?;
            Ok(vec![Some(found.x), Some(found.gate), found.residual])
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Inputs, check_gradients_on_cpu, same_bits_for_any_threads};
    use proptest::prelude::*;

    fn inputs([batch, height, width, channels]: [usize; 4], seed: u64) -> Inputs {
        let mut inputs = Inputs::new(seed);
        inputs.normal("x", &[batch, height, width, channels]);
        inputs.normal("gate", &[batch, channels]);
        inputs.normal("pixel", &[batch, 1, 1, channels]);
        inputs.normal("residual", &[batch, height, width, channels]);
        inputs
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn gradients_are_those_of_finite_differences(
            sizes in [1usize..3, 1usize..4, 1usize..4, 1usize..5], seed in any::<u64>(),
        ) {
            check_gradients_on_cpu(&inputs(sizes, seed), |tape| {
                let (x, gate, pixel) = (tape.parameter("x")?, tape.parameter("gate")?, tape.parameter("pixel")?);
                let y = tape.scale_channels(&x, &gate)?;
                tape.scale_channels_residual(&y, &pixel, &tape.parameter("residual")?)
            });
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        same_bits_for_any_threads(&inputs([3, 33, 35, 37], 1), |tape| {
            let (x, gate) = (tape.parameter("x")?, tape.parameter("gate")?);
            tape.scale_channels_residual(&x, &gate, &tape.parameter("residual")?)
        });
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() -> Result<()> {
        let zeros = |shape: &[usize]| Tensor::zeros(shape, candle_core::DType::F32, &candle_core::Device::Cpu);
        let x = zeros(&[2, 3, 3, 4])?;
        let error = forward(&x, &zeros(&[4])?, None).unwrap_err().to_string();
        assert!(error.contains("factors of [4] for an input of [2, 3, 3, 4]"), "{error}");
        let error = forward(&x, &zeros(&[2, 4])?, Some(&zeros(&[2, 4])?)).unwrap_err().to_string();
        assert!(error.contains("a residual of [2, 4]"), "{error}");
        Ok(())
    }
}
