//! Concatenation along channels.

use super::gpu::{self, Gpu, on_device};
use super::host::{Element, elements, filled, tensor};
use crate::graph::Operation;
use crate::{Tape, Value};
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

/// Elements a task copies.
const CHUNK: usize = 1 << 15;

/// `[.., c₁ + c₂ + …]` from tensors that differ in the last dimension alone.
///
/// # Errors
/// If there are none, they differ elsewhere, or the device or type is not supported.
pub(crate) fn forward(inputs: &[&Tensor]) -> Result<Tensor> {
    let Some(first) = inputs.first() else { bail!("concat: nothing to join") };
    let inputs: Vec<Tensor> = inputs.iter().map(|input| input.contiguous()).collect::<Result<_>>()?;
    on_device!("concat", first, forward_gpu(&inputs), forward_host(&inputs))
}

/// As images of one row: the kernels join images.
fn as_image(tensor: &Tensor) -> Result<Tensor> {
    let channels = tensor.dims().last().copied().unwrap_or(1);
    tensor.reshape((1, 1, tensor.elem_count() / channels.max(1), channels))
}

fn forward_gpu(gpu: &dyn Gpu, inputs: &[Tensor]) -> Result<Tensor> {
    let Some((_, common)) = inputs[0].dims().split_last() else { bail!("concat: a scalar has no channels") };
    if let Some(other) = inputs.iter().find(|input| input.dims().split_last().map(|(_, rest)| rest) != Some(common)) {
        bail!("concat: {:?} beside {:?}", other.dims(), inputs[0].dims());
    }
    let images = inputs.iter().map(as_image).collect::<Result<Vec<_>>>()?;
    let joined = gpu::join(gpu, &images.iter().map(|image| (image, 1)).collect::<Vec<_>>())?;
    let shape: Vec<usize> = common.iter().copied().chain([joined.dims4()?.3]).collect();
    joined.reshape(shape)
}

fn forward_host<T: Element>(inputs: &[Tensor]) -> Result<Tensor> {
    let Some((_, common)) = inputs[0].dims().split_last() else { bail!("concat: a scalar has no channels") };
    let channels: Vec<usize> = inputs.iter().map(|input| input.dims().last().copied().unwrap_or(0)).collect();
    if let Some(other) = inputs.iter().find(|input| input.dims().split_last().map(|(_, rest)| rest) != Some(common)) {
        bail!("concat: {:?} beside {:?}", other.dims(), inputs[0].dims());
    }
    let total: usize = channels.iter().sum();
    let pixels: usize = common.iter().product();
    let sources = inputs.iter().map(elements::<T>).collect::<Result<Vec<_>>>()?;
    let sources: Vec<&[T]> = sources.iter().map(|source| &**source).collect();
    let chunk = (CHUNK / total.max(1)).max(1);
    let joined = filled(pixels * total, |joined| {
        joined.par_chunks_mut((chunk * total).max(1)).enumerate().for_each(|(index, joined)| {
            for (offset, joined) in joined.chunks_exact_mut(total).enumerate() {
                let (pixel, mut at) = (index * chunk + offset, 0);
                for (source, &c) in sources.iter().zip(&channels) {
                    joined[at..at + c].copy_from_slice(&source[pixel * c..][..c]);
                    at += c;
                }
            }
        });
    });
    let shape: Vec<usize> = common.iter().copied().chain([total]).collect();
    tensor(joined, &shape)
}

/// Gradient of [`forward`] with respect to the input that holds `channels` channels from `first` on.
///
/// # Errors
/// If `gradient` has fewer channels.
pub(crate) fn backward(gradient: &Tensor, first: usize, channels: usize) -> Result<Tensor> {
    let gradient = gradient.contiguous()?;
    on_device!("concat", &gradient, backward_gpu(&gradient, first, channels), backward_host(&gradient, first, channels))
}

fn backward_gpu(gpu: &dyn Gpu, gradient: &Tensor, first: usize, channels: usize) -> Result<Tensor> {
    let part = gpu::part(gpu, &as_image(gradient)?, first, channels, 1)?;
    let common = gradient.dims().split_last().map_or(&[][..], |(_, rest)| rest);
    part.reshape([common, &[channels]].concat())
}

fn backward_host<T: Element>(gradient: &Tensor, first: usize, channels: usize) -> Result<Tensor> {
    let (total, common) = match gradient.dims().split_last() {
        Some((&total, common)) if first + channels <= total && channels > 0 => (total, common),
        _ => bail!("concat: channels {first}..{} of a gradient of {:?}", first + channels, gradient.dims()),
    };
    let shape: Vec<usize> = common.iter().copied().chain([channels]).collect();
    let gradient = elements::<T>(gradient)?;
    let gradient: &[T] = &gradient;
    let chunk = (CHUNK / channels).max(1);
    let part = filled(shape.iter().product(), |part| {
        part.par_chunks_mut(chunk * channels).enumerate().for_each(|(index, part)| {
            for (offset, part) in part.chunks_exact_mut(channels).enumerate() {
                part.copy_from_slice(&gradient[(index * chunk + offset) * total + first..][..channels]);
            }
        });
    });
    tensor(part, &shape)
}

impl Tape<'_> {
    /// Joins values of one batch, height and width along channels.
    ///
    /// # Errors
    /// If there are none, they differ elsewhere, or the device or type is not supported.
    pub fn concat(&self, inputs: &[&Value]) -> Result<Value> {
        let tensors: Vec<&Tensor> = inputs.iter().map(|input| input.tensor()).collect();
        let channels: Vec<usize> = tensors.iter().map(|tensor| tensor.dims().last().copied().unwrap_or(0)).collect();
        let common = tensors.first().and_then(|tensor| tensor.dims().split_last()).map_or(&[][..], |(_, rest)| rest);
        let shape = [common, &[channels.iter().sum()]].concat();
        let describe = || Ok((Operation::Concat, tensors.iter().map(|tensor| tensor.id()).collect()));
        let output = self.output(&shape, describe, || forward(&tensors))?;
        Ok(self.record(output, inputs, move |gradient, wanted| {
            let mut first = 0;
            let parts = channels.iter().zip(wanted).map(|(&channels, &wanted)| {
                let part = wanted.then(|| backward(gradient, first, channels)).transpose();
                first += channels;
                part
            });
            parts.collect()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Inputs, check_gradients, same_bits_for_any_threads};
    use candle_core::{DType, Device};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn gradients_are_those_of_finite_differences(
            (batch, height, width, seed) in (1usize..3, 1usize..4, 1usize..4, any::<u64>()),
            channels in prop::collection::vec(1usize..4, 1..4),
        ) {
            let mut inputs = Inputs::new(seed);
            for (index, &channels) in channels.iter().enumerate() {
                inputs.normal(&format!("x{index}"), &[batch, height, width, channels]);
            }
            check_gradients(&inputs, |tape| {
                let values = (0..channels.len()).map(|i| tape.parameter(&format!("x{i}"))).collect::<Result<Vec<_>>>()?;
                tape.concat(&values.iter().collect::<Vec<_>>())
            });
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let mut inputs = Inputs::new(1);
        inputs.normal("a", &[2, 33, 35, 16]);
        inputs.normal("b", &[2, 33, 35, 7]);
        same_bits_for_any_threads(&inputs, |tape| {
            let (a, b) = (tape.parameter("a")?, tape.parameter("b")?);
            tape.concat(&[&a, &b, &a])
        });
    }

    #[test]
    fn channels_keep_the_order_of_the_inputs_and_other_sizes_must_agree() -> Result<()> {
        let a = Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu)?;
        let b = Tensor::new(&[[5f32], [6.0]], &Device::Cpu)?;
        assert_eq!(forward(&[&b, &a])?.to_vec2::<f32>()?, [[5.0, 1.0, 2.0], [6.0, 3.0, 4.0]]);
        assert!(forward(&[&a, &Tensor::zeros((3, 2), DType::F32, &Device::Cpu)?]).is_err());
        Ok(())
    }
}
