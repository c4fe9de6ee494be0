//! The numbers of losses on a CPU.

use candle_core::{DType, Result, Tensor, WithDType, bail};
use matssl_tensor::ops::gpu;

/// A floating-point type in which losses are computed: `f32` or `f64`.
pub(super) trait Element: WithDType + num_traits::Float + num_traits::NumAssign {}

impl Element for f32 {}
impl Element for f64 {}

/// The type in which a loss without a GPU side computes.
pub(super) enum CpuType {
    F32,
    F64,
}

/// The type of the `logits` of the loss `loss`, which has no GPU side.
///
/// # Errors
/// If they are of another type, or on a GPU.
pub(super) fn cpu_type(loss: &str, logits: &Tensor) -> Result<CpuType> {
    match (gpu::of(loss, logits)?.is_some(), logits.dtype()) {
        (false, DType::F32) => Ok(CpuType::F32),
        (false, DType::F64) => Ok(CpuType::F64),
        (_, other) => unsupported(loss, other),
    }
}

/// A copy of the elements of a tensor of type `T`, in the order of a contiguous tensor.
pub(super) fn elements<T: Element>(tensor: &Tensor) -> Result<Vec<T>> {
    tensor.flatten_all()?.to_vec1()
}

/// The error for a type that has no CPU side.
pub(super) fn unsupported<R>(loss: &str, dtype: DType) -> Result<R> {
    bail!("{loss} works in float32 and float64 on a CPU, not in {dtype:?}")
}
