//! What a launch passes to a kernel.

use super::argument::Argument;
use super::device::Gpu;
use candle_core::{DType, Result, bail};

/// The arguments of a kernel as words of eight bytes (of an integer the kernel reads the lower four).
///
/// # Errors
/// If a number, or the number of a tensor's elements, does not fit into 32 bits.
pub(super) fn words(gpu: &dyn Gpu, kernel: &str, threads: usize, arguments: &[Argument<'_>]) -> Result<Vec<u64>> {
    // The last block has surplus threads: they count on, each by up to eight elements.
    let countable = |count: usize| match i32::try_from(count + 8 * BLOCK) {
        Ok(_) => Ok(()),
        Err(_) => bail!("{kernel}: {count} elements are too many for a GPU kernel; give a smaller `batch_size`"),
    };
    countable(threads.next_multiple_of(BLOCK))?;
    let word = |argument: &Argument<'_>| match *argument {
        Argument::Tensor(tensor) => countable(tensor.elem_count()).and_then(|()| gpu.address(tensor)),
        Argument::Nothing => Ok(0),
        Argument::Integer(value) => match i32::try_from(value) {
            Ok(value) => Ok(i64::from(value).cast_unsigned()),
            Err(_) => bail!("{kernel}: {value} is too large for a GPU kernel; give a smaller `batch_size`"),
        },
        Argument::Real(value) => Ok(value.to_bits()),
    };
    arguments.iter().map(word).collect()
}

/// Threads to a block.
pub(super) const BLOCK: usize = 256;

/// A kernel's name for tensors of type `dtype`.
pub(super) fn kernel_name(kernel: &str, dtype: DType) -> Result<String> {
    match dtype {
        DType::F32 => Ok(format!("{kernel}_f32")),
        DType::F64 => Ok(format!("{kernel}_f64")),
        DType::BF16 => Ok(format!("{kernel}_bf16")),
        other => bail!("{kernel} has no kernel for {other:?}"),
    }
}
