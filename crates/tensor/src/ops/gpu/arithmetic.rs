//! How this process computes on GPUs.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether float32 convolutions may round their factors to TF32.
static TF32: AtomicBool = AtomicBool::new(false);
/// Whether algorithms may be taken that do not give the same bits each time.
static NONDETERMINISTIC: AtomicBool = AtomicBool::new(false);

/// Sets how this process computes on GPUs: TF32 for float32 products, and only algorithms that give the same bits each
/// time. Without a call: neither TF32 nor any other algorithm.
pub fn set_arithmetic(tf32: bool, deterministic: bool) {
    TF32.store(tf32, Ordering::Relaxed);
    NONDETERMINISTIC.store(!deterministic, Ordering::Relaxed);
    #[cfg(feature = "cuda")]
    candle_core::cuda_backend::set_gemm_reduced_precision_f32(tf32);
}

/// Whether TF32 is allowed, and whether only deterministic algorithms are.
#[cfg(feature = "cuda")]
pub(super) fn arithmetic() -> (bool, bool) {
    (TF32.load(Ordering::Relaxed), !NONDETERMINISTIC.load(Ordering::Relaxed))
}
