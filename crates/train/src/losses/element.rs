//! The numbers of losses on a CPU.

use candle_core::{DType, Result, Tensor, WithDType, bail};

/// A floating-point type in which losses are computed: `f32` or `f64`.
pub(super) trait Element: WithDType + num_traits::Float + num_traits::NumAssign {}

impl Element for f32 {}
impl Element for f64 {}

/// A copy of the elements of a tensor of type `T`, in the order of a contiguous tensor.
pub(super) fn elements<T: Element>(tensor: &Tensor) -> Result<Vec<T>> {
    tensor.flatten_all()?.to_vec1()
}

/// The error for a type that has no CPU side.
pub(super) fn unsupported<R>(loss: &str, dtype: DType) -> Result<R> {
    bail!("{loss} works in float32 and float64 on a CPU, not in {dtype:?}")
}
