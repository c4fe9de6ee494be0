//! The memory of a pass, counted without computing: placeholder tensors go through the network, and every operation says
//! what it would save.

use super::count::{Footprint, placeholder};
use super::ops::gpu::Sizes;
use super::parameters::Parameters;
use super::tape::{Tape, Value};
use candle_core::Result;
use indexmap::IndexSet;

/// The memory of one training pass of `forward` over an input of `shape` `[batch, height, width, channels]`.
///
/// # Errors
/// If the input does not fit the network.
pub fn footprint(
    parameters: &Parameters,
    shape: [usize; 4],
    forward: impl FnOnce(&Tape<'_>, &Value) -> Result<Value>,
) -> Result<Footprint> {
    let tape = Tape::dry(parameters);
    forward(&tape, &tape.constant(placeholder(&shape, parameters.activations(), parameters)?))?;
    Ok(tape.counted())
}

/// As [`footprint`], with everything kept, whatever `parameters` say of recomputation: the estimate for a prediction uses
/// [`Footprint::saved_bytes`] of it.
///
/// # Errors
/// As [`footprint`].
pub fn prediction_footprint(
    parameters: &Parameters,
    shape: [usize; 4],
    forward: impl FnOnce(&Tape<'_>, &Value) -> Result<Value>,
) -> Result<Footprint> {
    let tape = Tape::dry(parameters).keeping_all();
    forward(&tape, &tape.constant(placeholder(&shape, parameters.activations(), parameters)?))?;
    Ok(tape.counted())
}

/// The distinct convolutions of one pass of `forward` over an input of `shape` `[batch, height, width, channels]`.
///
/// # Errors
/// As [`footprint`].
pub fn convolutions(
    parameters: &Parameters,
    shape: [usize; 4],
    forward: impl FnOnce(&Tape<'_>, &Value) -> Result<Value>,
) -> Result<IndexSet<Sizes>> {
    let tape = Tape::dry(parameters);
    forward(&tape, &tape.constant(placeholder(&shape, parameters.activations(), parameters)?))?;
    Ok(tape.counted_convolutions())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Conv2d;
    use crate::ops::gpu::pretend;
    use crate::{Precision, init};
    use candle_core::DType;
    use candle_core::Device;
    use matssl_base::random::Stream;

    #[test]
    fn a_convolution_and_a_batch_norm_each_save_their_input() -> Result<()> {
        let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
        let stream = Stream::new(0, "footprint", 0, 0);
        init::conv_weight(&mut parameters, "w", [3, 2, 8], init::ConvInit::XavierUniform, &stream)?;
        init::batch_norm(&mut parameters, "bn", 8)?;
        init::conv_weight(&mut parameters, "v", [1, 8, 4], init::ConvInit::XavierUniform, &stream)?;
        let found = footprint(&parameters, [10, 6, 6, 2], |tape, x| {
            let y = tape.conv_norm(&[(x, false)], ("w", "bn"), Conv2d::new(1, 1), None, true)?;
            // The batch norm's output is recomputed, not saved.
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
    fn a_gpu_writes_the_concatenation_of_a_convolutions_inputs() {
        let count = || {
            let mut parameters = Parameters::new(DType::F32, &Device::Cpu).with_precision(Precision::Bf16);
            let stream = Stream::new(0, "footprint", 0, 0);
            init::conv_weight(&mut parameters, "w", [3, 10, 8], init::ConvInit::XavierUniform, &stream)?;
            let small = placeholder(&[10, 2, 2, 4], DType::BF16, &parameters)?;
            footprint(&parameters, [10, 4, 4, 6], |tape, x| {
                tape.conv2d_joined(&[(&tape.constant(small), true), (x, false)], "w", None, Conv2d::new(1, 1))
            })
        };
        assert_eq!(count().unwrap().joined_bytes, 0);
        let Some(found) = pretend::on(count) else { return };
        assert_eq!(found.unwrap().joined_bytes, 2 * 10 * 4 * 4 * (4 + 6));
    }
}
