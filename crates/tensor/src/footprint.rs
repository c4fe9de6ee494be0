//! What a training pass keeps, counted without doing it: tensors that occupy nothing go through the network, and every
//! operation says what it would save.

use super::Parameters;
use super::ops::gpu::Sizes;
use super::tape::{Tape, Value};
use candle_core::{DType, Result, Tensor, TensorId};
use indexmap::IndexSet;
use std::collections::HashSet;

/// What a training pass over a network takes, from its own definition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Kept for the backward pass, in bytes.
    pub saved_bytes: u64,
    /// The largest single tensor, in bytes.
    pub largest_bytes: u64,
    /// The most that is computed again at once, in bytes: 0 where everything is kept.
    pub recomputed_bytes: u64,
    /// The largest copy of a convolution's inputs side by side, in bytes: a GPU writes them out, a CPU does not.
    pub joined_bytes: u64,
}

/// Of one training pass of `forward` over an input of `shape` `[batch, height, width, channels]`.
///
/// # Errors
/// If the input does not fit the network.
pub fn footprint(
    parameters: &Parameters,
    shape: [usize; 4],
    forward: impl FnOnce(&Tape<'_>, &Value) -> Result<Value>,
) -> Result<Footprint> {
    let tape = Tape::dry(parameters);
    forward(&tape, &tape.constant(nothing(&shape, parameters.activations(), parameters)?))?;
    Ok(tape.counted())
}

/// The same with everything kept, whatever `parameters` say of recomputation: what [`Footprint::saved_bytes`] of a prediction
/// is taken from.
///
/// # Errors
/// As [`footprint`].
pub fn prediction_footprint(
    parameters: &Parameters,
    shape: [usize; 4],
    forward: impl FnOnce(&Tape<'_>, &Value) -> Result<Value>,
) -> Result<Footprint> {
    let tape = Tape::dry(parameters).keeping_all();
    forward(&tape, &tape.constant(nothing(&shape, parameters.activations(), parameters)?))?;
    Ok(tape.counted())
}

/// The convolutions of one pass of `forward` over an input of `shape` `[batch, height, width, channels]`, each once.
///
/// # Errors
/// As [`footprint`].
pub fn convolutions(
    parameters: &Parameters,
    shape: [usize; 4],
    forward: impl FnOnce(&Tape<'_>, &Value) -> Result<Value>,
) -> Result<IndexSet<Sizes>> {
    let tape = Tape::dry(parameters);
    forward(&tape, &tape.constant(nothing(&shape, parameters.activations(), parameters)?))?;
    Ok(tape.counted_convolutions())
}

/// A tensor of `shape` whose elements are all one number in memory.
pub(super) fn nothing(shape: &[usize], dtype: DType, parameters: &Parameters) -> Result<Tensor> {
    Tensor::zeros((), dtype, parameters.device())?.broadcast_as(shape)
}

/// What has been seen so far.
#[derive(Default)]
pub(super) struct Count {
    pub(super) footprint: Footprint,
    saved: HashSet<TensorId>,
    /// Outputs since the last value that is kept, in bytes.
    segment: u64,
    pub(super) convolutions: IndexSet<Sizes>,
}

impl Count {
    /// An operation's output.
    pub(super) fn made(&mut self, tensor: &Tensor) {
        self.footprint.largest_bytes = self.footprint.largest_bytes.max(bytes(tensor));
        self.segment += bytes(tensor);
    }

    /// A convolution, whose inputs are written out side by side in so many bytes.
    pub(super) fn convolution(&mut self, sizes: Sizes, joined_bytes: usize) {
        self.footprint.joined_bytes = self.footprint.joined_bytes.max(joined_bytes as u64);
        self.convolutions.insert(sizes);
    }

    /// All outputs since the last such call may lie in memory together in the backward pass.
    pub(super) fn segment_ends(&mut self) {
        self.footprint.recomputed_bytes = self.footprint.recomputed_bytes.max(std::mem::take(&mut self.segment));
    }

    /// A tensor that an operation keeps; what several keep counts once.
    pub(super) fn kept(&mut self, tensor: &Tensor) {
        if self.saved.insert(tensor.id()) {
            self.footprint.saved_bytes += bytes(tensor);
        }
    }
}

fn bytes(tensor: &Tensor) -> u64 {
    (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Conv2d;
    use crate::ops::gpu::pretend;
    use crate::{Precision, init};
    use candle_core::Device;
    use matssl_base::random::Stream;

    #[test]
    fn a_convolution_keeps_its_input_and_a_batch_norm_its_own() -> Result<()> {
        let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
        let stream = Stream::new(0, "footprint", 0, 0);
        init::conv_weight(&mut parameters, "w", [3, 2, 8], init::ConvInit::XavierUniform, &stream)?;
        init::batch_norm(&mut parameters, "bn", 8)?;
        init::conv_weight(&mut parameters, "v", [1, 8, 4], init::ConvInit::XavierUniform, &stream)?;
        let found = footprint(&parameters, [10, 6, 6, 2], |tape, x| {
            let y = tape.conv_norm(&[(x, false)], ("w", "bn"), Conv2d::new(1, 1), None, true)?;
            // What comes out of the batch norm is computed again, not kept.
            tape.conv2d(&y, "v", None, Conv2d::new(1, 0))
        })?;
        assert_eq!(
            found,
            Footprint {
                saved_bytes: 4 * 360 * (2 + 8),
                largest_bytes: 4 * 360 * 8,
                recomputed_bytes: 0,
                joined_bytes: 0
            }
        );
        assert_eq!(parameters.tensor("bn.num_batches_tracked")?.to_scalar::<i64>()?, 0);
        Ok(())
    }

    #[test]
    fn a_gpu_writes_out_what_a_convolution_joins() {
        let count = || {
            let mut parameters = Parameters::new(DType::F32, &Device::Cpu).with_precision(Precision::Bf16);
            let stream = Stream::new(0, "footprint", 0, 0);
            init::conv_weight(&mut parameters, "w", [3, 10, 8], init::ConvInit::XavierUniform, &stream)?;
            let small = nothing(&[10, 2, 2, 4], DType::BF16, &parameters)?;
            footprint(&parameters, [10, 4, 4, 6], |tape, x| {
                tape.conv2d_joined(&[(&tape.constant(small), true), (x, false)], "w", None, Conv2d::new(1, 1))
            })
        };
        assert_eq!(count().unwrap().joined_bytes, 0);
        let Some(found) = pretend::on(count) else { return };
        assert_eq!(found.unwrap().joined_bytes, 2 * 10 * 4 * 4 * (4 + 6));
    }
}
