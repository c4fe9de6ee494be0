//! Convolution on a GPU: cuDNN's for float32 and bfloat16, kernels of our own for float64, which serves for checks.
//!
//! Weights stay as parameters lie, `[kernel height, kernel width, in, out]` in float32 (or float64); cuDNN takes
//! `[out, kernel height, kernel width, in]` in the type of the activations: it is converted at each call.

use super::geometry::Geometry;
use super::gradients::{Conv2dGradients, Wanted};
use super::options::After;
use super::source::{self, Joined};
use crate::ops::gpu::{self, Convolution, Direction, Gpu, Sizes, column_sums, launch, wide_type};
use candle_core::{DType, Result, Tensor, bail};

/// All `inputs` as one tensor.
fn join(gpu: &dyn Gpu, inputs: &[Joined]) -> Result<Tensor> {
    match inputs {
        [Joined { tensor, doubled: false }] => Ok(tensor.clone()),
        _ => {
            let parts: Vec<_> = inputs.iter().map(|input| (&input.tensor, if input.doubled { 2 } else { 1 })).collect();
            gpu::join(gpu, &parts)
        }
    }
}

/// Whether `inputs` are copied into one tensor before they are convolved: on a GPU, unless it is one as it is.
pub(super) fn writes_out(inputs: &[Joined]) -> Result<bool> {
    match inputs {
        [] | [Joined { doubled: false, .. }] => Ok(false),
        [first, ..] => Ok(gpu::find(first.tensor.device())?.is_some()),
    }
}

/// As cuDNN takes them.
pub(super) fn sizes(geometry: &Geometry) -> Sizes {
    let Geometry { batch, size, channels_in, channels_out, kernel, padding, stride, dilation, out } = *geometry;
    Sizes {
        input: [batch, size[0], size[1], channels_in],
        filter: [channels_out, kernel[0], kernel[1], channels_in],
        output: [batch, out[0], out[1], channels_out],
        padding,
        stride,
        dilation,
    }
}

/// Computes one tensor of a convolution of type `dtype` by cuDNN, or by our own kernel `direct` where cuDNN does not (in
/// float64, which serves for checks, and for shapes that it refuses).
struct Computation<'a> {
    gpu: &'a dyn Gpu,
    geometry: &'a Geometry,
    sizes: Sizes,
    dtype: DType,
}

impl<'a> Computation<'a> {
    fn new(gpu: &'a dyn Gpu, geometry: &'a Geometry, dtype: DType) -> Self {
        Computation { gpu, geometry, sizes: sizes(geometry), dtype }
    }

    /// y = x · weight
    fn forward(&self, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let y = self.gpu.empty(&self.geometry.shape(), self.dtype)?;
        if self.dtype == DType::F64 || !self.library(Direction::Forward, x, &self.filter(weight)?, &y)? {
            self.direct("direct_forward", [x, weight, &y], y.elem_count())?;
        }
        Ok(y)
    }

    /// The gradient of the input.
    fn data(&self, gradient: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let dx = self.gpu.empty(&self.sizes.input, self.dtype)?;
        if self.dtype == DType::F64 || !self.library(Direction::Data, &dx, &self.filter(weight)?, gradient)? {
            self.direct("direct_data", [gradient, weight, &dx], dx.elem_count())?;
        }
        Ok(dx)
    }

    /// The gradient of the weight, which is like `weight`.
    fn weight(&self, x: &Tensor, gradient: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let d_weight = self.gpu.empty(weight.dims(), weight.dtype())?;
        if self.dtype != DType::F64 {
            let filter = self.gpu.empty(&self.sizes.filter, self.dtype)?;
            if self.library(Direction::Filter, x, &filter, gradient)? {
                let ([out, height, width, channels], elements) = (self.sizes.filter, filter.elem_count());
                let (gpu, taps) = (self.gpu, height * width);
                launch!(gpu, "from_filter", self.dtype, elements, [&filter, &d_weight, taps, channels, out])?;
                return Ok(d_weight);
            }
        }
        self.direct("direct_weight", [x, gradient, &d_weight], d_weight.elem_count())?;
        Ok(d_weight)
    }

    /// The weight as cuDNN takes it.
    fn filter(&self, weight: &Tensor) -> Result<Tensor> {
        let (gpu, [out, height, width, channels]) = (self.gpu, self.sizes.filter);
        let filter = gpu.empty(&self.sizes.filter, self.dtype)?;
        let elements = filter.elem_count();
        launch!(gpu, "to_filter", self.dtype, elements, [weight, &filter, height * width, channels, out])?;
        Ok(filter)
    }

    /// Whether cuDNN has computed it.
    fn library(&self, direction: Direction, input: &Tensor, filter: &Tensor, output: &Tensor) -> Result<bool> {
        self.gpu.convolve(Convolution { direction, sizes: self.sizes, input, filter, output })
    }

    /// By our own kernel: the last of `tensors`, of so many `elements`, from the others.
    fn direct(&self, kernel: &str, tensors: [&Tensor; 3], elements: usize) -> Result<()> {
        let Geometry { batch, size, channels_in, channels_out, kernel: taps, padding, stride, dilation, out } =
            *self.geometry;
        if padding[0] != padding[1] {
            bail!("conv2d: cuDNN refuses, and the kernel {kernel} takes equal paddings only, not {padding:?}");
        }
        let sizes = [batch, size[0], size[1], channels_in, out[0], out[1], channels_out, taps[0], taps[1], stride];
        let sizes = sizes.into_iter().chain([padding[0], dilation]).map(gpu::Argument::from);
        let arguments: Vec<_> = tensors.into_iter().map(gpu::Argument::from).chain(sizes).collect();
        self.gpu.launch(kernel, self.dtype, elements, &arguments)
    }
}

fn check_types(x: &Tensor, weight: &Tensor) -> Result<()> {
    if weight.dtype() != wide_type(x.dtype()) {
        bail!("conv2d: a weight of {:?} beside activations of {:?}", weight.dtype(), x.dtype());
    }
    Ok(())
}

/// As [`super::forward()`], of contiguous tensors whose shapes are checked.
pub(super) fn forward(
    gpu: &dyn Gpu,
    inputs: &[Joined],
    weight: &Tensor,
    after: After<'_>,
    geometry: &Geometry,
) -> Result<Tensor> {
    let x = join(gpu, inputs)?;
    check_types(&x, weight)?;
    let (dtype, shape) = (x.dtype(), geometry.shape());
    let y = Computation::new(gpu, geometry, dtype).forward(&x, weight)?;
    // It may be a copy of all inputs.
    drop(x);
    if after.bias.is_some() || after.residual.is_some() || after.relu {
        let (bias, residual, elements) = (after.bias, after.residual, y.elem_count());
        launch!(gpu, "epilogue", dtype, elements, [&y, bias, residual, elements, shape[3], after.relu])?;
    }
    Ok(y)
}

/// As [`super::backward()`], of contiguous tensors whose shapes are checked.
pub(super) fn backward(
    gpu: &dyn Gpu,
    inputs: &[Joined],
    weight: &Tensor,
    gradient: &Tensor,
    geometry: &Geometry,
    wanted: &Wanted,
) -> Result<Conv2dGradients> {
    check_types(gradient, weight)?;
    let computation = Computation::new(gpu, geometry, gradient.dtype());
    let parts = match wanted.inputs.contains(&true) {
        true => cut(gpu, inputs, computation.data(gradient, weight)?, &wanted.inputs)?,
        false => inputs.iter().map(|_| None).collect(),
    };
    let weight = match wanted.weight {
        true => Some(computation.weight(&join(gpu, inputs)?, gradient, weight)?),
        false => None,
    };
    let bias = wanted.bias.then(|| column_sums(gpu, gradient, geometry.channels_out)).transpose()?;
    Ok(Conv2dGradients { inputs: parts, weight, bias })
}

/// The gradients of those `inputs` that are `wanted`, cut from `whole`, the gradient of their concatenation.
fn cut(gpu: &dyn Gpu, inputs: &[Joined], whole: Tensor, wanted: &[bool]) -> Result<Vec<Option<Tensor>>> {
    if let [Joined { doubled: false, .. }] = inputs {
        return Ok(vec![Some(whole)]);
    }
    let mut first = 0;
    let mut parts = Vec::with_capacity(inputs.len());
    for (input, &wanted) in inputs.iter().zip(wanted) {
        let channels = source::shape(std::slice::from_ref(input))?[3];
        let scale = if input.doubled { 2 } else { 1 };
        parts.push(if wanted { Some(gpu::part(gpu, &whole, first, channels, scale)?) } else { None });
        first += channels;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::super::{Conv2d, Wanted, backward, forward};
    use super::*;
    use crate::ops::gpu::pretend;
    use candle_core::Device;
    use matssl_base::random::Stream;

    fn normal(shape: &[usize], dtype: DType, index: u64) -> Result<Tensor> {
        let mut stream = Stream::new(1, "refused convolutions", 0, index);
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| stream.normal() as f32).collect();
        // Rounded to bfloat16, so that all types start from the same numbers.
        Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(DType::BF16)?.to_dtype(dtype)
    }

    /// Output and gradients of the inputs and the weight, in float64.
    fn run(dtype: DType, options: Conv2d) -> Result<Vec<Tensor>> {
        let inputs = [
            Joined { tensor: normal(&[2, 4, 3, 5], dtype, 0)?, doubled: true },
            Joined { tensor: normal(&[2, 8, 6, 3], dtype, 1)?, doubled: false },
        ];
        let weight = normal(&[3, 3, 8, 6], wide_type(dtype), 2)?;
        let y = forward(&inputs, &weight, After::default(), options)?;
        let gradient = normal(y.dims(), dtype, 3)?;
        let wanted = Wanted { inputs: vec![true, true], weight: true, bias: false };
        let found = backward(&inputs, &weight, &gradient, options, &wanted)?;
        let all = [Some(y)].into_iter().chain(found.inputs).chain([found.weight]).flatten();
        all.map(|tensor| tensor.to_dtype(DType::F64)).collect()
    }

    #[test]
    fn convolutions_that_the_library_refuses_run_on_our_own_kernels() {
        for options in [Conv2d::new(1, 1), Conv2d::new(2, 1), Conv2d { stride: 1, padding: 2, dilation: 2, groups: 1 }]
        {
            let truth = run(DType::F64, options).unwrap();
            for (dtype, limit) in [(DType::F32, 1e-6), (DType::BF16, 1e-2)] {
                let Some(found) = pretend::refusing(|| run(dtype, options)) else { return };
                let found = found.unwrap();
                assert_eq!(found.len(), 4);
                assert!(gpu::refusals().iter().any(|refusal| refusal.contains("refuses all convolutions")));
                for (found, truth) in found.iter().zip(&truth) {
                    let norm = |tensor: &Tensor| tensor.sqr()?.sum_all()?.to_scalar::<f64>().map(f64::sqrt);
                    let error = norm(&(found - truth).unwrap()).unwrap() / norm(truth).unwrap();
                    assert!(error < limit, "{dtype:?} {options:?}: {error}");
                }
            }
        }
    }
}
