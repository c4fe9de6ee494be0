//! The types of elements that belong to a type of activations.

use candle_core::DType;

/// The type of parameters, statistics and sums for activations of type `dtype`.
pub fn wide_type(dtype: DType) -> DType {
    if dtype == DType::BF16 { DType::F32 } else { dtype }
}

/// Elements of type `dtype` that a thread takes at once: 16 bytes of them if all of `counts` allow it, else one.
pub(crate) fn width(dtype: DType, counts: &[usize]) -> usize {
    let width = 16 / dtype.size_in_bytes();
    if counts.iter().all(|count| count.is_multiple_of(width)) { width } else { 1 }
}
