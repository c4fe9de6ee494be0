//! Two-dimensional convolution (cross-correlation, as PyTorch's `Conv2d` without groups).

mod cpu;
mod geometry;

use super::host::{Element, elements, on_host, tensor};
use crate::nn::{Tape, Value};
use candle_core::{Result, Tensor, bail};
use geometry::Geometry;

/// Stride, zero padding and dilation, alike in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Pixels from one output to the next.
    pub stride: usize,
    /// Zeros on each side.
    pub padding: usize,
    /// Pixels from one tap of the kernel to the next.
    pub dilation: usize,
}

impl Conv2d {
    /// Without dilation.
    pub fn new(stride: usize, padding: usize) -> Self {
        Conv2d { stride, padding, dilation: 1 }
    }
}

/// Convolves `x` `[batch, height, width, in]` with `weight` `[kernel height, kernel width, in, out]` and adds `bias`
/// `[out]`; the output is `[batch, out height, out width, out]`.
///
/// # Errors
/// If the shapes do not fit one another, or the device or type has no such operation.
pub fn forward(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, options: Conv2d) -> Result<Tensor> {
    let x = x.contiguous()?;
    on_host!("conv2d", &x, forward_host(&x, weight, bias, options))
}

fn forward_host<T: Element>(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, options: Conv2d) -> Result<Tensor> {
    let geometry = Geometry::new(x.dims(), weight.dims(), &options)?;
    let shape = geometry.shape();
    let bias = bias.map(elements::<T>).transpose()?;
    if bias.as_deref().is_some_and(|bias| bias.len() != shape[3]) {
        bail!("conv2d: the bias does not have {} elements", shape[3]);
    }
    tensor(cpu::forward(&geometry.flattened(), &elements(x)?, &elements(weight)?, bias.as_deref()), &shape)
}

/// Gradients of a convolution.
#[derive(Debug)]
pub struct Conv2dGradients {
    /// With respect to the input, if asked for.
    pub x: Option<Tensor>,
    /// With respect to the weight, if asked for.
    pub weight: Option<Tensor>,
    /// With respect to the bias, if asked for.
    pub bias: Option<Tensor>,
}

/// Gradients of [`forward`], given `gradient` of its output; `wanted` says which of input, weight and bias need one.
///
/// # Errors
/// As [`forward`].
pub fn backward(
    x: &Tensor,
    weight: &Tensor,
    gradient: &Tensor,
    options: Conv2d,
    wanted: [bool; 3],
) -> Result<Conv2dGradients> {
    let (x, gradient) = (x.contiguous()?, gradient.contiguous()?);
    on_host!("conv2d", &x, backward_host(&x, weight, &gradient, options, wanted))
}

fn backward_host<T: Element>(
    x: &Tensor,
    weight: &Tensor,
    gradient: &Tensor,
    options: Conv2d,
    [want_x, want_weight, want_bias]: [bool; 3],
) -> Result<Conv2dGradients> {
    let geometry = Geometry::new(x.dims(), weight.dims(), &options)?;
    if gradient.dims() != geometry.shape() {
        bail!("conv2d: a gradient of {:?} for input {:?} and weight {:?}", gradient.dims(), x.dims(), weight.dims());
    }
    let g = elements::<T>(gradient)?;
    let (geometry, channels) = (geometry.flattened(), geometry.channels_out);
    let dx = want_x.then(|| tensor(cpu::backward_input(&geometry, &elements(weight)?, &g), x.dims())).transpose()?;
    let dw =
        want_weight.then(|| tensor(cpu::backward_weight(&geometry, &elements(x)?, &g), weight.dims())).transpose()?;
    let db = want_bias.then(|| tensor(cpu::backward_bias(channels, &g), &[channels])).transpose()?;
    Ok(Conv2dGradients { x: dx, weight: dw, bias: db })
}

impl Tape<'_> {
    /// Convolves `x` `[batch, height, width, in]` with the parameter `weight` and adds the parameter `bias`.
    ///
    /// # Errors
    /// If a parameter is missing, or as [`forward`].
    pub fn conv2d(&self, x: &Value, weight: &str, bias: Option<&str>, options: Conv2d) -> Result<Value> {
        let weight = self.parameter(weight)?;
        let bias = bias.map(|name| self.parameter(name)).transpose()?;
        let output = forward(x.tensor(), weight.tensor(), bias.as_ref().map(Value::tensor), options)?;
        let (saved_x, saved_weight) = (x.tensor().clone(), weight.tensor().clone());
        let inputs: Vec<&Value> = [x, &weight].into_iter().chain(&bias).collect();
        Ok(self.record(output, &inputs, move |gradient, wanted| {
            let wanted = [wanted[0], wanted[1], wanted.get(2) == Some(&true)];
            let gradients = backward(&saved_x, &saved_weight, gradient, options, wanted)?;
            Ok(vec![gradients.x, gradients.weight, gradients.bias])
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{Inputs, check_gradients, same_bits_for_any_threads};
    use candle_core::{DType, Device};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn gradients_are_those_of_finite_differences(
            (batch, height, width) in (1usize..3, 5usize..9, 5usize..9),
            (c_in, c_out) in (1usize..4, 1usize..4),
            (kernel_h, kernel_w) in (1usize..4, 1usize..4),
            (stride, padding, dilation) in (1usize..4, 0usize..3, 1usize..3),
            (bias, seed) in (any::<bool>(), any::<u64>()),
        ) {
            let mut inputs = Inputs::new(seed);
            inputs.normal("x", &[batch, height, width, c_in]);
            inputs.normal("w", &[kernel_h, kernel_w, c_in, c_out]);
            inputs.normal("b", &[c_out]);
            let options = Conv2d { stride, padding, dilation };
            check_gradients(&inputs, |tape| tape.conv2d(&tape.parameter("x")?, "w", bias.then_some("b"), options));
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        for (kernel, stride, size) in [(1, 1, 24), (1, 2, 24), (3, 1, 24), (3, 2, 25), (7, 2, 40)] {
            let mut inputs = Inputs::new(7);
            inputs.normal("x", &[3, size, size + 3, 16]);
            inputs.normal("w", &[kernel, kernel, 16, 24]);
            inputs.normal("b", &[24]);
            same_bits_for_any_threads(&inputs, |tape| {
                tape.conv2d(&tape.parameter("x")?, "w", Some("b"), Conv2d::new(stride, kernel / 2))
            });
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() -> Result<()> {
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu);
        let x = zeros(&[1, 2, 2, 3])?;
        for (weight, part) in
            [(vec![3, 3, 3, 4], "does not fit"), (vec![1, 1, 2, 4], "3 channels"), (vec![3, 4], "4 dim")]
        {
            let error = forward(&x, &zeros(&weight)?, None, Conv2d::new(1, 0)).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        Ok(())
    }
}
