//! Two-dimensional convolution (cross-correlation, as PyTorch's `Conv2d` without groups).

mod epilogue;
mod geometry;
mod gpu;
mod source;
mod tapwise;
mod unfolded;
mod winograd;

pub use source::Joined;

use super::gpu::of;
use super::host::{Element, elements, on_host, tensor};
use crate::saved::Saved;
use crate::{Mode, Tape, Value};
use candle_core::{Result, Tensor, bail};
use epilogue::Epilogue;
use geometry::Geometry;
use source::with_sources;
use winograd::whole;

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

/// What happens to the output before it is written: a bias `[out]`, a residual of the output's shape, a ReLU.
#[derive(Clone, Copy, Debug, Default)]
pub struct After<'t> {
    /// Added to each channel.
    pub bias: Option<&'t Tensor>,
    /// Added to each element.
    pub residual: Option<&'t Tensor>,
    /// Whether negative numbers become 0 then.
    pub relu: bool,
}

/// Convolves `inputs`, side by side `[batch, height, width, in]`, with `weight` `[kernel height, kernel width, in,
/// out]`; the output is `[batch, out height, out width, out]`.
///
/// # Errors
/// If the shapes do not fit one another, or the device or type has no such operation.
pub fn forward(inputs: &[Joined], weight: &Tensor, after: After<'_>, options: Conv2d) -> Result<Tensor> {
    let (inputs, weight) = (contiguous(inputs)?, weight.contiguous()?);
    let geometry = Geometry::new(&source::shape(&inputs)?, weight.dims(), &options)?;
    let shape = geometry.shape();
    if let Some(bias) = after.bias.filter(|bias| bias.dims() != [shape[3]]) {
        bail!("conv2d: a bias of {:?} for {} channels", bias.dims(), shape[3]);
    }
    if let Some(residual) = after.residual.filter(|residual| residual.dims() != shape) {
        bail!("conv2d: a residual of {:?} to an output of {shape:?}", residual.dims());
    }
    let residual = after.residual.map(Tensor::contiguous).transpose()?;
    let after = After { residual: residual.as_ref(), ..after };
    match of("conv2d", first(&inputs)?)? {
        Some(gpu) => gpu::forward(&*gpu, &inputs, &weight, after, &geometry),
        None => on_host!("conv2d", first(&inputs)?, forward_host(&inputs, &weight, after, &geometry)),
    }
}

fn contiguous(inputs: &[Joined]) -> Result<Vec<Joined>> {
    let contiguous = |input: &Joined| Ok(Joined { tensor: input.tensor.contiguous()?, doubled: input.doubled });
    inputs.iter().map(contiguous).collect()
}

fn first(inputs: &[Joined]) -> Result<&Tensor> {
    match inputs.first() {
        Some(input) => Ok(&input.tensor),
        None => bail!("conv2d: nothing to read"),
    }
}

/// How a convolution is computed.
#[derive(Clone, Copy)]
enum Way {
    /// Winograd's way for images of 2×2 pixels.
    Whole,
    Winograd,
    Tapwise,
    Unfolded,
}

/// Part of the products that Winograd's way needs.
const WINOGRAD: f64 = 16.0 / 36.0;
/// Part of the taps inside the image up to which going tap by tap is quicker than unfolding.
const TAPWISE: f64 = 0.75;

fn way(geometry: &Geometry, inputs: &[Joined]) -> Way {
    let Geometry { batch, size, kernel, padding, stride, dilation, channels_out, .. } = *geometry;
    let channels = inputs.iter().map(|input| input.tensor.dims().last().copied().unwrap_or_default());
    let size = [batch, size[0], size[1]];
    let usual = (kernel, padding, stride, dilation) == ([3, 3], [1, 1], 1, 1);
    if usual && whole::fits(size, [geometry.channels_in, channels_out]) {
        return Way::Whole;
    }
    let winograd = usual && winograd::pays(size, channels, channels_out);
    match tapwise::inside(geometry) {
        Some(inside) if inside <= if winograd { WINOGRAD } else { TAPWISE } => Way::Tapwise,
        _ if winograd => Way::Winograd,
        _ => Way::Unfolded,
    }
}

fn forward_host<T: Element>(
    inputs: &[Joined],
    weight: &Tensor,
    after: After<'_>,
    geometry: &Geometry,
) -> Result<Tensor> {
    let shape = geometry.shape();
    let (bias, residual) = (after.bias.map(elements::<T>).transpose()?, after.residual.map(elements::<T>).transpose()?);
    let epilogue = Epilogue { bias: bias.as_deref(), residual: residual.as_deref(), relu: after.relu };
    let weight = elements(weight)?;
    let output = match way(geometry, inputs) {
        Way::Winograd => {
            let size = [geometry.batch, geometry.size[0], geometry.size[1]];
            with_sources(inputs, |inputs| winograd::forward(size, inputs, &weight, shape[3], &epilogue))?
        }
        Way::Whole => {
            let (batch, channels) = (geometry.batch, [geometry.channels_in, geometry.channels_out]);
            whole::forward(batch, channels, &elements(&source::join(inputs)?)?, &weight, &epilogue)
        }
        Way::Tapwise => tapwise::forward(geometry, &elements(&source::join(inputs)?)?, &weight, &epilogue),
        Way::Unfolded => {
            unfolded::forward(&geometry.flattened(), &elements(&source::join(inputs)?)?, &weight, &epilogue)
        }
    };
    tensor(output, &shape)
}

/// Gradients of a convolution.
#[derive(Debug)]
pub struct Conv2dGradients {
    /// With respect to each input, if asked for.
    pub inputs: Vec<Option<Tensor>>,
    /// With respect to the weight, if asked for.
    pub weight: Option<Tensor>,
    /// With respect to the bias, if asked for.
    pub bias: Option<Tensor>,
}

/// What [`backward`] shall compute.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The gradient of each input.
    pub inputs: Vec<bool>,
    /// The weight's.
    pub weight: bool,
    /// The bias's.
    pub bias: bool,
}

/// Gradients of [`forward`] with nothing or a bias after it, given `gradient` of its output.
///
/// # Errors
/// As [`forward`].
pub fn backward(
    inputs: &[Joined],
    weight: &Tensor,
    gradient: &Tensor,
    options: Conv2d,
    wanted: &Wanted,
) -> Result<Conv2dGradients> {
    let (inputs, weight, gradient) = (contiguous(inputs)?, weight.contiguous()?, gradient.contiguous()?);
    let geometry = Geometry::new(&source::shape(&inputs)?, weight.dims(), &options)?;
    if gradient.dims() != geometry.shape() {
        bail!("conv2d: a gradient of {:?} for weight {:?} and {geometry:?}", gradient.dims(), weight.dims());
    }
    match of("conv2d", first(&inputs)?)? {
        Some(gpu) => gpu::backward(&*gpu, &inputs, &weight, &gradient, &geometry, wanted),
        None => on_host!("conv2d", first(&inputs)?, backward_host(&inputs, &weight, &gradient, &geometry, wanted)),
    }
}

fn backward_host<T: Element>(
    inputs: &[Joined],
    weight: &Tensor,
    gradient: &Tensor,
    geometry: &Geometry,
    wanted: &Wanted,
) -> Result<Conv2dGradients> {
    let (g, w) = (elements::<T>(gradient)?, elements::<T>(weight)?);
    let (g, w): (&[T], &[T]) = (&g, &w);
    let out = geometry.channels_out;
    let bias = wanted.bias.then(|| tensor(unfolded::backward_bias(out, g), &[out])).transpose()?;
    let any = wanted.inputs.contains(&true);
    // Both at once: one fills the gaps that the other leaves when its tasks run out.
    let (found, d_weight) = match way(geometry, inputs) {
        Way::Winograd => {
            let size = [geometry.batch, geometry.size[0], geometry.size[1]];
            let (found, d_weight) = with_sources(inputs, |inputs| {
                let d_inputs = || match any {
                    true => winograd::backward_input(size, inputs, &wanted.inputs, w, out, g),
                    false => inputs.iter().map(|_| None).collect(),
                };
                rayon::join(d_inputs, || wanted.weight.then(|| winograd::backward_weight(size, inputs, out, g)))
            })?;
            let each = found.into_iter().zip(inputs);
            let found = each.map(|(found, input)| found.map(|found| tensor(found, input.tensor.dims())).transpose());
            (found.collect::<Result<_>>()?, d_weight)
        }
        way => {
            let flat = geometry.flattened();
            let (batch, channels) = (geometry.batch, [geometry.channels_in, geometry.channels_out]);
            let x = wanted.weight.then(|| source::join(inputs)).transpose()?;
            let x = x.as_ref().map(elements::<T>).transpose()?;
            let x: Option<&[T]> = x.as_deref();
            let d_input = || match way {
                Way::Whole => whole::backward_input(batch, channels, w, g),
                Way::Tapwise => tapwise::backward_input(geometry, w, g),
                Way::Winograd | Way::Unfolded => unfolded::backward_input(&flat, w, g),
            };
            let d_weight = |x: &[T]| match way {
                Way::Whole => whole::backward_weight(batch, channels, x, g),
                Way::Tapwise => tapwise::backward_weight(geometry, x, g),
                Way::Winograd | Way::Unfolded => unfolded::backward_weight(&flat, x, g),
            };
            let (d_input, d_weight) = rayon::join(|| any.then(d_input), || x.map(d_weight));
            let found = match d_input {
                Some(d_input) => source::part(inputs, &wanted.inputs, &tensor(d_input, &source::shape(inputs)?)?)?,
                None => inputs.iter().map(|_| None).collect(),
            };
            (found, d_weight)
        }
    };
    let weight = d_weight.map(|found| tensor(found, weight.dims())).transpose()?;
    Ok(Conv2dGradients { inputs: found, weight, bias })
}

fn joined(inputs: &[(&Value, bool)]) -> Vec<Joined> {
    inputs.iter().map(|(value, doubled)| Joined { tensor: value.tensor().clone(), doubled: *doubled }).collect()
}

/// The inputs as they were kept, or computed again.
fn read(saved: &[(Saved, bool)]) -> Result<Vec<Joined>> {
    saved.iter().map(|(saved, doubled)| Ok(Joined { tensor: saved.tensor()?, doubled: *doubled })).collect()
}

impl Tape<'_> {
    /// Convolves `x` `[batch, height, width, in]` with the parameter `weight` and adds the parameter `bias`.
    ///
    /// # Errors
    /// If a parameter is missing, or as [`forward`].
    pub fn conv2d(&self, x: &Value, weight: &str, bias: Option<&str>, options: Conv2d) -> Result<Value> {
        self.conv2d_joined(&[(x, false)], weight, bias, options)
    }

    /// As [`Tape::conv2d`] of several values side by side, each doubled in height and width by nearest-neighbour
    /// upsampling if its flag is set; neither is written out.
    ///
    /// # Errors
    /// As [`Tape::conv2d`].
    pub fn conv2d_joined(
        &self,
        inputs: &[(&Value, bool)],
        weight: &str,
        bias: Option<&str>,
        options: Conv2d,
    ) -> Result<Value> {
        let weight = self.parameter(weight)?;
        let bias = bias.map(|name| self.parameter(name)).transpose()?;
        let joined = joined(inputs);
        let after = After { bias: bias.as_ref().map(Value::tensor), ..After::default() };
        let geometry = Geometry::new(&source::shape(&joined)?, weight.tensor().dims(), &options)?;
        let shape = geometry.shape();
        self.count_convolution(gpu::sizes(&geometry), gpu::writes_out(&joined)?);
        let output = self.output(&shape, || forward(&joined, weight.tensor(), after, options))?;
        let saved: Vec<(Saved, bool)> = inputs.iter().map(|(value, doubled)| (self.save(value), *doubled)).collect();
        let saved_weight = weight.tensor().clone();
        let values: Vec<&Value> = inputs.iter().map(|(value, _)| *value).chain([&weight]).chain(&bias).collect();
        let again = {
            let (saved, weight) = (saved.clone(), saved_weight.clone());
            let bias = bias.as_ref().map(|bias| bias.tensor().clone());
            move || forward(&read(&saved)?, &weight, After { bias: bias.as_ref(), ..After::default() }, options)
        };
        let backward = move |gradient: &Tensor, wanted: &[bool]| {
            let inputs = read(&saved)?;
            let count = inputs.len();
            let wanted = Wanted {
                inputs: wanted[..count].to_vec(),
                weight: wanted[count],
                bias: wanted.get(count + 1) == Some(&true),
            };
            let found = backward(&inputs, &saved_weight, gradient, options, &wanted)?;
            Ok(found.inputs.into_iter().chain([found.weight, found.bias]).collect())
        };
        Ok(match self.recomputes() {
            true => self.record_recomputable(output, &values, again, backward),
            false => self.record(output, &values, backward),
        })
    }

    /// A convolution with the parameter `conv`, batch norm with those below `norm`, plus `residual`, through a ReLU if
    /// `relu`; inputs as for [`Tape::conv2d_joined`]. For evaluation the batch norm is folded into the convolution.
    ///
    /// # Errors
    /// If a parameter is missing, or the shapes do not fit one another.
    pub fn conv_norm(
        &self,
        inputs: &[(&Value, bool)],
        (conv, norm): (&str, &str),
        options: Conv2d,
        residual: Option<&Value>,
        relu: bool,
    ) -> Result<Value> {
        if self.mode() != Mode::Eval {
            let y = self.conv2d_joined(inputs, conv, None, options)?;
            return self.batch_norm(&y, norm, residual, relu);
        }
        let (scale, bias) = self.folded_norm(norm)?;
        let weight = self.parameter(conv)?.tensor().broadcast_mul(&scale)?;
        let joined = joined(inputs);
        let after = After { bias: Some(&bias), residual: residual.map(Value::tensor), relu };
        Ok(self.constant(forward(&joined, &weight, after, options)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Inputs, check_gradients, same_bits_for_any_threads};
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
    fn images_of_2x2_pixels_may_be_joined_and_doubled() {
        let mut inputs = Inputs::new(11);
        inputs.normal("a", &[8, 1, 1, 9]);
        inputs.normal("b", &[8, 2, 2, 7]);
        inputs.normal("w", &[3, 3, 16, 16]);
        check_gradients(&inputs, |tape| {
            let (a, b) = (tape.parameter("a")?, tape.parameter("b")?);
            tape.conv2d_joined(&[(&a, true), (&b, false)], "w", None, Conv2d::new(1, 1))
        });
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let mut inputs = Inputs::new(7);
        inputs.normal("x", &[17, 2, 2, 80]);
        inputs.normal("w", &[3, 3, 80, 144]);
        same_bits_for_any_threads(&inputs, |tape| tape.conv2d(&tape.parameter("x")?, "w", None, Conv2d::new(1, 1)));
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
            let inputs = [Joined { tensor: x.clone(), doubled: false }];
            let error =
                forward(&inputs, &zeros(&weight)?, After::default(), Conv2d::new(1, 0)).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        Ok(())
    }
}
