//! Channels times trained factors: LayerScale (Touvron et al. 2021) of vision transformers.

use super::scale_channels::{self, ScaleGradients};
use crate::{Tape, Value};
use candle_core::{Result, Tensor, bail};

/// The number of channels of `x`, which has the factors `factors`.
fn channels(x: &Tensor, factors: &Tensor) -> Result<usize> {
    match (x.dims().last(), factors.dims()) {
        (Some(&channels), &[f]) if f == channels && x.elem_count() > 0 => Ok(channels),
        (_, factors) => bail!("scale: factors of {factors:?} for an input of {:?}", x.dims()),
    }
}

/// `x` `[.., channels]` as one image, and the factors `[channels]` as those of one image.
fn as_image(x: &Tensor, factors: &Tensor) -> Result<(Tensor, Tensor)> {
    let channels = channels(x, factors)?;
    let rows = x.elem_count() / channels;
    Ok((x.contiguous()?.reshape((1, rows, 1, channels))?, factors.reshape((1, channels))?))
}

fn forward(x: &Tensor, factors: &Tensor) -> Result<Tensor> {
    let (image, gate) = as_image(x, factors)?;
    scale_channels::forward(&image, &gate, None)?.reshape(x.shape())
}

fn backward(x: &Tensor, factors: &Tensor, gradient: &Tensor) -> Result<[Tensor; 2]> {
    let ((image, gate), (gradient, _)) = (as_image(x, factors)?, as_image(gradient, factors)?);
    let ScaleGradients { x: dx, gate, .. } = scale_channels::backward(&image, &gate, None, &gradient)?;
    Ok([dx.reshape(x.shape())?, gate.reshape(factors.shape())?])
}

impl Tape<'_> {
    /// `x` `[.., channels]` times the parameter `name` `[channels]`.
    ///
    /// # Errors
    /// If the parameter is missing, the shapes do not fit, or the device or type is not supported.
    pub fn scale(&self, x: &Value, name: &str) -> Result<Value> {
        let factors = self.parameter(name)?;
        channels(x.tensor(), factors.tensor())?;
        let output = self.output(x.tensor().dims(), || Err("scale"), || forward(x.tensor(), factors.tensor()))?;
        let (saved, vector) = (self.save(x), factors.tensor().clone());
        let again = {
            let (saved, vector) = (saved.clone(), vector.clone());
            move || forward(&saved.tensor()?, &vector)
        };
        Ok(self.record_recomputable(output, &[x, &factors], again, move |gradient, _| {
            Ok(backward(&saved.tensor()?, &vector, gradient)?.map(Some).into())
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Inputs, check_gradients_on_cpu, same_bits_for_any_threads};
    use candle_core::{DType, Device};

    fn inputs(shape: &[usize], channels: usize) -> Inputs {
        let mut inputs = Inputs::new(1);
        inputs.normal("x", &[shape, &[channels]].concat());
        inputs.normal("gamma", &[channels]);
        inputs
    }

    #[test]
    fn gradients_are_those_of_finite_differences() -> Result<()> {
        check_gradients_on_cpu(&inputs(&[2, 3], 5), |tape| tape.scale(&tape.parameter("x")?, "gamma"));
        let x = Tensor::zeros((2, 3), DType::F32, &Device::Cpu)?;
        let error = forward(&x, &x).unwrap_err().to_string();
        assert!(error.contains("factors of [2, 3] for an input of [2, 3]"), "{error}");
        Ok(())
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        same_bits_for_any_threads(&inputs(&[5, 1000], 37), |tape| tape.scale(&tape.parameter("x")?, "gamma"));
    }
}
