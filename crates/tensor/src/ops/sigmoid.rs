//! The sigmoid, 1 / (1 + exp(−x)).

use super::host::{Element, elements, filled, on_cpu_only, tensor};
use crate::graph::Operation;
use crate::{Tape, Value};
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

/// Elements of a task.
const CHUNK: usize = 1 << 14;

fn sigmoid<T: Element>(x: T) -> T {
    T::one() / (T::one() + (-x).exp())
}

/// The sigmoid, of any shape.
///
/// # Errors
/// If the device or type is not supported.
pub(crate) fn forward(x: &Tensor) -> Result<Tensor> {
    let x = x.contiguous()?;
    on_cpu_only!("sigmoid", &x, forward_host(&x))
}

fn forward_host<T: Element>(x: &Tensor) -> Result<Tensor> {
    let (shape, x) = (x.dims(), elements::<T>(x)?);
    let y = filled(x.len(), |y| {
        y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
            y.iter_mut().zip(x).for_each(|(y, x)| *y = sigmoid(*x));
        });
    });
    tensor(y, shape)
}

/// Gradient of [`forward`] with respect to `x`, given the output's `gradient`.
///
/// # Errors
/// If shapes or types differ, or as [`forward`].
pub(crate) fn backward(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    if x.dims() != gradient.dims() || x.dtype() != gradient.dtype() {
        bail!("sigmoid: a gradient of {:?} for an input of {:?}", gradient.shape(), x.shape());
    }
    let (x, gradient) = (x.contiguous()?, gradient.contiguous()?);
    on_cpu_only!("sigmoid", &x, backward_host(&x, &gradient))
}

fn backward_host<T: Element>(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let (shape, x, gradient) = (x.dims(), elements::<T>(x)?, elements::<T>(gradient)?);
    let dx = filled(x.len(), |dx| {
        let chunks = dx.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).zip(gradient.par_chunks(CHUNK));
        chunks.for_each(|((dx, x), gradient)| {
            for ((dx, x), gradient) in dx.iter_mut().zip(x).zip(gradient) {
                let y = sigmoid(*x);
                *dx = *gradient * y * (T::one() - y);
            }
        });
    });
    tensor(dx, shape)
}

impl Tape<'_> {
    /// The sigmoid of `x`, of any shape.
    ///
    /// # Errors
    /// If the device or type is not supported.
    pub fn sigmoid(&self, x: &Value) -> Result<Value> {
        let describe = || Ok((Operation::Sigmoid, vec![x.tensor().id()]));
        let output = self.output(x.tensor().dims(), describe, || forward(x.tensor()))?;
        let saved = self.save(x);
        Ok(self.record(output, &[x], move |gradient, _| Ok(vec![Some(backward(&saved.tensor()?, gradient)?)])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Inputs, check_gradients_on_cpu, same_bits_for_any_threads};
    use candle_core::Device;

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let mut inputs = Inputs::new(1);
        inputs.normal("x", &[7, 31]);
        check_gradients_on_cpu(&inputs, |tape| tape.sigmoid(&tape.parameter("x")?));
        let mut inputs = Inputs::new(2);
        inputs.normal("x", &[33, 3001]);
        same_bits_for_any_threads(&inputs, |tape| tape.sigmoid(&tape.parameter("x")?));
    }

    #[test]
    fn large_numbers_saturate_and_nan_stays() -> Result<()> {
        let x = Tensor::new(&[0f32, -200.0, 200.0, f32::NAN], &Device::Cpu)?;
        let (y, dx) = (forward(&x)?.to_vec1::<f32>()?, backward(&x, &x.ones_like()?)?.to_vec1::<f32>()?);
        assert_eq!((&y[..3], &dx[..3]), (&[0.5, 0.0, 1.0][..], &[0.25, 0.0, 0.0][..]));
        assert!(y[3].is_nan() && dx[3].is_nan());
        Ok(())
    }
}
