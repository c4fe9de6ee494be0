//! Stand-in for `nn::estimate`: measures, where that one counts. Goes when it is there.

use crate::nn::{Mode, Parameters, Tape, Value};
use candle_core::{Result, Tensor};

/// What a training pass over a network takes, from its own definition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Kept for the backward pass, in bytes.
    pub saved_bytes: u64,
    /// The largest single tensor, in bytes.
    pub largest_bytes: u64,
}

/// Of one training pass of `forward` over an input of `shape` `[batch, height, width, channels]`.
///
/// # Errors
/// If the input does not fit the network.
pub fn footprint(
    parameters: &Parameters,
    shape: [usize; 4],
    forward: impl Fn(&Tape<'_>, &Value) -> Result<Value>,
) -> Result<Footprint> {
    // Batch norm moves running statistics: not those of the training to come. And it wants two images.
    let mut copy = Parameters::new(parameters.dtype(), parameters.device());
    for (name, parameter) in parameters.iter() {
        copy.insert(name, parameter.var.as_detached_tensor(), parameter.role)?;
    }
    let [batch, height, width, channels] = shape;
    let pass = || -> Result<u64> {
        let before = allocated();
        let tape = Tape::new(&copy, Mode::Train);
        let input = Tensor::zeros((2, height, width, channels), copy.dtype(), copy.device())?;
        let output = forward(&tape, &tape.constant(input))?;
        let after = allocated();
        drop(output);
        Ok(after.saturating_sub(before))
    };
    // Threads that come to work for the first time take scratch memory and keep it: that is no activation.
    let saved = pass()?.min(pass()?).min(pass()?).min(pass()?);
    let saved_bytes = saved * batch as u64 / 2;
    Ok(Footprint { saved_bytes, largest_bytes: saved_bytes / 32 })
}

fn allocated() -> u64 {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: only reads the allocator's counters.
        let info = unsafe { libc::mallinfo2() };
        (info.uordblks + info.hblkhd) as u64
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    0
}
