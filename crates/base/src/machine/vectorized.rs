//! Loops for whatever vectors the processor has.

use pulp::{Arch, Simd, WithSimd};

/// Compiles `work` for every kind of vector and chooses at run time. All that should profit must be inlined into it.
/// Multiplications and additions stay apart, so that the bits are the same for all.
#[inline(always)]
pub fn vectorized<R>(work: impl FnMut() -> R) -> R {
    Arch::new().dispatch(Loops(work))
}

/// `FnMut` and a direct call: by way of `FnOnce` the closure would not be inlined.
struct Loops<F>(F);

impl<R, F: FnMut() -> R> WithSimd for Loops<F> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) -> R {
        (self.0)()
    }
}
