//! The ReLU, where it is not fused with a batch norm.

use super::gpu::{Gpu, launch, on_device};
use super::host::{Element, elements, filled, tensor};
use super::vector::vectorized;
use crate::graph::Operation;
use crate::{Tape, Value};
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

/// Elements of a task.
const CHUNK: usize = 1 << 15;

/// max(x, 0), of any shape; NaN stays NaN.
///
/// # Errors
/// If the device or type is not supported.
pub fn forward(x: &Tensor) -> Result<Tensor> {
    let x = x.contiguous()?;
    on_device!("relu", &x, forward_gpu(&x), forward_host(&x))
}

fn forward_gpu(gpu: &dyn Gpu, x: &Tensor) -> Result<Tensor> {
    let (y, elements) = (gpu.empty(x.dims(), x.dtype())?, x.elem_count());
    launch!(gpu, "relu", x.dtype(), elements, [x, &y, elements])?;
    Ok(y)
}

fn forward_host<T: Element>(x: &Tensor) -> Result<Tensor> {
    let (shape, x) = (x.dims(), elements::<T>(x)?);
    let y = filled(x.len(), |y| {
        y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
            vectorized(
                #[inline(always)]
                || {
                    for (y, x) in y.iter_mut().zip(x) {
                        *y = if *x < T::zero() { T::zero() } else { *x };
                    }
                },
            );
        });
    });
    tensor(y, shape)
}

/// Gradient of [`forward`] with respect to `x`, given the output's `gradient`; 0 where x is 0, as in PyTorch.
///
/// # Errors
/// If shapes or types differ, or as [`forward`].
pub fn backward(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    if x.dims() != gradient.dims() || x.dtype() != gradient.dtype() {
        bail!("relu: a gradient of {:?} for an input of {:?}", gradient.shape(), x.shape());
    }
    let (x, gradient) = (x.contiguous()?, gradient.contiguous()?);
    on_device!("relu", &x, backward_gpu(&x, &gradient), backward_host(&x, &gradient))
}

fn backward_gpu(gpu: &dyn Gpu, x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let (dx, elements) = (gpu.empty(x.dims(), x.dtype())?, x.elem_count());
    launch!(gpu, "relu_backward", x.dtype(), elements, [x, gradient, &dx, elements])?;
    Ok(dx)
}

fn backward_host<T: Element>(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let (shape, x, gradient) = (x.dims(), elements::<T>(x)?, elements::<T>(gradient)?);
    let dx = filled(x.len(), |dx| {
        dx.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).zip(gradient.par_chunks(CHUNK)).for_each(
            |((dx, x), gradient)| {
                vectorized(
                    #[inline(always)]
                    || {
                        for ((dx, x), gradient) in dx.iter_mut().zip(x).zip(gradient) {
                            *dx = if *x <= T::zero() { T::zero() } else { *gradient };
                        }
                    },
                );
            },
        );
    });
    tensor(dx, shape)
}

impl Tape<'_> {
    /// max(x, 0).
    ///
    /// # Errors
    /// As [`forward`].
    pub fn relu(&self, x: &Value) -> Result<Value> {
        let output =
            self.output(x.tensor().dims(), || Ok((Operation::Relu, vec![x.tensor().id()])), || forward(x.tensor()))?;
        let saved = self.save(x);
        Ok(self.record(output, &[x], move |gradient, _| Ok(vec![Some(backward(&saved.tensor()?, gradient)?)])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Inputs, check_gradients, same_bits_for_any_threads};
    use candle_core::Device;

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let mut inputs = Inputs::new(1);
        // None within a step of the corner: multiples of 0.01, less a half.
        inputs.distinct("x", &[7, 31]);
        check_gradients(&inputs, |tape| {
            let x = tape.parameter("x")?;
            let shift = tape.constant(x.tensor().ones_like()?.affine(0.005, 0.0)?);
            let moved = tape.sum(&x, &shift)?;
            tape.relu(&moved)
        });
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let mut inputs = Inputs::new(2);
        inputs.normal("x", &[33, 3001]);
        same_bits_for_any_threads(&inputs, |tape| tape.relu(&tape.parameter("x")?));
    }

    #[test]
    fn zero_has_no_gradient_and_nan_stays() -> Result<()> {
        let x = Tensor::new(&[-1f32, -0.0, 0.0, 2.0, f32::NAN], &Device::Cpu)?;
        let y = forward(&x)?.to_vec1::<f32>()?;
        assert!(y[..4] == [0.0, 0.0, 0.0, 2.0] && y[4].is_nan(), "{y:?}");
        let dx = backward(&x, &x.ones_like()?)?.to_vec1::<f32>()?;
        assert_eq!(dx, [0.0, 0.0, 0.0, 1.0, 1.0]);
        Ok(())
    }
}
