//! Loops compiled for several kinds of vector instructions.

use pulp::{Arch, Simd, WithSimd};

/// Runs `work`, compiled for every kind of vector instructions and chosen at run time. Functions that it calls profit only if
/// they are inlined. Multiplications and additions are not fused, so that the bits are the same for all kinds.
#[inline(always)]
pub fn vectorized<R>(work: impl FnMut() -> R) -> R {
    Arch::new().dispatch(Loops(work))
}

/// Holds an `FnMut` and calls it directly: an `FnOnce` would not be inlined.
struct Loops<F>(F);

impl<R, F: FnMut() -> R> WithSimd for Loops<F> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) -> R {
        (self.0)()
    }
}
