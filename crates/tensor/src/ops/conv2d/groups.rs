//! Convolutions in any number of groups. Several small groups become one convolution whose weight is zero between them, so that its
//! products fill the processor's vectors; all of the algorithms for one group serve them.

use super::backward::backward as one_backward;
use super::forward::forward as one_forward;
use super::geometry::Geometry;
use super::gradients::{Conv2dGradients, Wanted};
use super::options::{After, Conv2d};
use super::source::{self, Joined};
use super::unfolded;
use crate::ops::concat;
use crate::ops::gpu::no_side;
use crate::ops::host::{Element, elements, on_host, tensor};
use candle_core::{Result, Tensor, bail};

/// Channels that a convolution of joined groups should have at least.
const LEAST_CHANNELS: usize = 32;

/// Convolves the concatenation of `inputs`, `[batch, height, width, in]`, with `weight` `[kernel height, kernel width, in / groups,
/// out]`; the output is `[batch, out height, out width, out]`.
///
/// # Errors
/// If the shapes do not fit one another, or the device or type is not supported.
pub fn forward(inputs: &[Joined], weight: &Tensor, after: After<'_>, options: Conv2d) -> Result<Tensor> {
    if options.groups == 1 {
        return one_forward(inputs, weight, after, options);
    }
    let (x, blocks) = (source::join(inputs)?, Blocks::new(inputs, weight, options)?);
    let block = |block: usize| {
        let dense = blocks.dense(weight, block)?;
        let bias = after.bias.map(|bias| bias.narrow(0, block * blocks.outputs, blocks.outputs)?.contiguous());
        let residual = after.residual.map(|residual| blocks.output(residual, block));
        let (bias, residual) = (bias.transpose()?, residual.transpose()?);
        let after = After { bias: bias.as_ref(), residual: residual.as_ref(), relu: after.relu };
        one_forward(&[blocks.input(&x, block)?], &dense, after, options)
    };
    let outputs = (0..blocks.count).map(block).collect::<Result<Vec<_>>>()?;
    concat::forward(&outputs.iter().collect::<Vec<_>>())
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
    if options.groups == 1 {
        return one_backward(inputs, weight, gradient, options, wanted);
    }
    let (x, blocks) = (source::join(inputs)?, Blocks::new(inputs, weight, options)?);
    let any = wanted.inputs.contains(&true);
    let (mut dx, mut d_weight, mut d_bias) = (Vec::new(), Vec::new(), Vec::new());
    for block in 0..blocks.count {
        let dense = blocks.dense(weight, block)?;
        let (x, gradient) = (blocks.input(&x, block)?, blocks.output(gradient, block)?);
        if wanted.weight {
            let shape = dense.dims();
            d_weight.push(on_host!("conv2d", &gradient, weight_gradient(&x.tensor, &gradient, shape, options))?);
        }
        let wanted = Wanted { inputs: vec![any], weight: false, bias: wanted.bias };
        let found = one_backward(&[x], &dense, &gradient, options, &wanted)?;
        dx.extend(found.inputs.into_iter().flatten());
        d_bias.extend(found.bias);
    }
    let whole = |parts: &[Tensor]| concat::forward(&parts.iter().collect::<Vec<_>>());
    Ok(Conv2dGradients {
        inputs: match any {
            true => source::part(inputs, &wanted.inputs, &whole(&dx)?)?,
            false => inputs.iter().map(|_| None).collect(),
        },
        weight: wanted.weight.then(|| blocks.diagonals(&d_weight)).transpose()?,
        bias: wanted.bias.then(|| whole(&d_bias)).transpose()?,
    })
}

/// Groups put together to blocks, each a convolution of its own.
struct Blocks {
    /// How many.
    count: usize,
    /// Groups to a block.
    groups: usize,
    /// Input channels of a group.
    group_in: usize,
    /// Output channels of a group.
    group_out: usize,
    /// Input channels of a block.
    inputs: usize,
    /// Output channels of a block.
    outputs: usize,
    /// Height and width of the kernel.
    kernel: [usize; 2],
}

impl Blocks {
    /// Of the convolution of `inputs` with `weight`. The sizes alone decide.
    fn new(inputs: &[Joined], weight: &Tensor, Conv2d { groups, .. }: Conv2d) -> Result<Self> {
        no_side("a convolution in groups", source::first(inputs)?)?;
        let ([_, _, _, channels], (height, width, group_in, out)) = (source::shape(inputs)?, weight.dims4()?);
        if groups == 0 || group_in * out == 0 || channels != group_in * groups || !out.is_multiple_of(groups) {
            bail!("conv2d: {groups} groups of {channels} channels for a weight of {:?}", weight.dims());
        }
        let group_out = out / groups;
        let wide = |together: &usize| together * group_in.min(group_out) >= LEAST_CHANNELS;
        let together = (1..=groups).filter(|&together| groups.is_multiple_of(together)).find(wide).unwrap_or(groups);
        Ok(Blocks {
            count: groups / together,
            groups: together,
            group_in,
            group_out,
            inputs: together * group_in,
            outputs: together * group_out,
            kernel: [height, width],
        })
    }

    /// The input channels of a block.
    fn input(&self, x: &Tensor, block: usize) -> Result<Joined> {
        let tensor = concat::backward(x, block * self.inputs, self.inputs)?;
        Ok(Joined { tensor, doubled: false })
    }

    /// The output channels of a block.
    fn output(&self, y: &Tensor, block: usize) -> Result<Tensor> {
        concat::backward(y, block * self.outputs, self.outputs)
    }

    /// Calls `visit(offset in the block's dense weight, offset in the weight in groups, length)` for all pieces of `block`.
    fn each_piece(&self, block: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let [height, width] = self.kernel;
        for tap in 0..height * width {
            for group in 0..self.groups {
                for input in 0..self.group_in {
                    let dense =
                        (tap * self.inputs + group * self.group_in + input) * self.outputs + group * self.group_out;
                    let out = (block * self.groups + group) * self.group_out;
                    visit(dense, (tap * self.group_in + input) * self.outputs * self.count + out, self.group_out);
                }
            }
        }
    }

    /// The weight of a block, zero between groups.
    fn dense(&self, weight: &Tensor, block: usize) -> Result<Tensor> {
        on_host!("conv2d", weight, dense(self, weight, block))
    }

    /// The weight's gradient, from those of all blocks.
    fn diagonals(&self, blocks: &[Tensor]) -> Result<Tensor> {
        let Some(first) = blocks.first() else { bail!("conv2d: no groups") };
        on_host!("conv2d", first, diagonals(self, blocks))
    }
}

/// The gradient of a block's dense weight: not by Winograd's algorithm, whose float32 is worse than sums of a group's few products.
fn weight_gradient<T: Element>(x: &Tensor, gradient: &Tensor, shape: &[usize], options: Conv2d) -> Result<Tensor> {
    let geometry = Geometry::new(x.dims(), shape, &Conv2d { groups: 1, ..options })?;
    let (x, gradient) = (elements::<T>(x)?, elements::<T>(gradient)?);
    tensor(unfolded::backward_weight(&geometry.flattened(), &x, &gradient), shape)
}

fn dense<T: Element>(blocks: &Blocks, weight: &Tensor, block: usize) -> Result<Tensor> {
    let weight = weight.contiguous()?;
    let (weight, [height, width]) = (elements::<T>(&weight)?, blocks.kernel);
    let mut dense = vec![T::zero(); height * width * blocks.inputs * blocks.outputs];
    blocks.each_piece(block, |to, from, length| dense[to..to + length].copy_from_slice(&weight[from..from + length]));
    tensor(dense, &[height, width, blocks.inputs, blocks.outputs])
}

fn diagonals<T: Element>(blocks: &Blocks, gradients: &[Tensor]) -> Result<Tensor> {
    let ([height, width], out) = (blocks.kernel, blocks.outputs * blocks.count);
    let mut weight = vec![T::zero(); height * width * blocks.group_in * out];
    for (block, gradient) in gradients.iter().enumerate() {
        let dense = elements::<T>(gradient)?;
        blocks
            .each_piece(block, |from, to, length| weight[to..to + length].copy_from_slice(&dense[from..from + length]));
    }
    tensor(weight, &[height, width, blocks.group_in, out])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Inputs, check_gradients_on_cpu, farthest, same_bits_for_any_threads};
    use candle_core::DType;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn gradients_are_those_of_finite_differences(
            (batch, height, width) in (1usize..3, 3usize..6, 3usize..6),
            (groups, group_in, group_out) in (2usize..5, 1usize..3, 1usize..3),
            (kernel, stride, bias, seed) in (1usize..4, 1usize..3, any::<bool>(), any::<u64>()),
        ) {
            let mut inputs = Inputs::new(seed);
            inputs.normal("x", &[batch, height, width, groups * group_in]);
            inputs.normal("w", &[kernel, kernel, group_in, groups * group_out]);
            inputs.normal("b", &[groups * group_out]);
            let options = Conv2d { groups, ..Conv2d::new(stride, kernel / 2) };
            check_gradients_on_cpu(&inputs, |tape| tape.conv2d(&tape.parameter("x")?, "w", bias.then_some("b"), options));
        }

        /// Sizes at which groups make one block, several, and blocks of one group.
        #[test]
        fn each_group_is_a_convolution_of_its_own(
            (groups, group_in, group_out) in (2usize..9, 1usize..40, 1usize..40),
            (stride, relu, seed) in (1usize..3, any::<bool>(), any::<u64>()),
        ) {
            let mut inputs = Inputs::new(seed);
            inputs.normal("x", &[2, 5, 6, groups * group_in]);
            inputs.normal("w", &[3, 3, group_in, groups * group_out]);
            inputs.normal("b", &[groups * group_out]);
            let one = Conv2d::new(stride, 1);
            let size = [5usize, 6].map(|size| size.div_ceil(stride));
            inputs.normal("r", &[2, size[0], size[1], groups * group_out]);
            let parameters = inputs.parameters(DType::F64).unwrap();
            let [x, w, b, r] = ["x", "w", "b", "r"].map(|name| parameters.tensor(name).unwrap().detach());
            let joined = |x: &Tensor| [Joined { tensor: x.clone(), doubled: false }];
            let after = After { bias: Some(&b), residual: Some(&r), relu };
            let found = forward(&joined(&x), &w, after, Conv2d { groups, ..one }).unwrap();
            let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            for group in 0..groups {
                let part = |t: &Tensor, axis: usize, size: usize| {
                    t.narrow(axis, group * size, size).unwrap().contiguous().unwrap()
                };
                let (x, w) = (part(&x, 3, group_in), part(&w, 3, group_out));
                let (b, r) = (part(&b, 0, group_out), part(&r, 3, group_out));
                let after = After { bias: Some(&b), residual: Some(&r), relu };
                let expected = forward(&joined(&x), &w, after, one).unwrap();
                prop_assert!(farthest(&flat(&part(&found, 3, group_out)), &flat(&expected)) < 1e-11);
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let mut inputs = Inputs::new(7);
        inputs.normal("x", &[3, 17, 19, 64]);
        inputs.normal("w", &[3, 3, 4, 64]);
        let options = Conv2d { groups: 16, ..Conv2d::new(1, 1) };
        same_bits_for_any_threads(&inputs, |tape| tape.conv2d(&tape.parameter("x")?, "w", None, options));
    }

    #[test]
    fn groups_that_do_not_fit_are_refused() -> Result<()> {
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &candle_core::Device::Cpu);
        let inputs = [Joined { tensor: zeros(&[1, 4, 4, 6])?, doubled: false }];
        for (weight, groups) in [([1, 1, 3, 4], 3), ([1, 1, 2, 4], 3), ([1, 1, 6, 4], 0)] {
            let options = Conv2d { groups, ..Conv2d::new(1, 0) };
            let error = forward(&inputs, &zeros(&weight)?, After::default(), options).unwrap_err().to_string();
            assert!(error.contains(&format!("{groups} groups of 6 channels")), "{error}");
        }
        Ok(())
    }
}
