//! [`pulp`]'s vectors of the processor's width, behind one trait for `f32` and `f64`.
//!
//! Work is a type that implements [`WithSimd`]. [`run`] compiles it for every kind of vector and chooses at run time. Loops that
//! the compiler vectorises by itself need only [`vectorized`].

pub(crate) use matssl_base::machine::vectorized;
use pulp::Arch;
pub(crate) use pulp::{Simd, WithSimd};

/// Runs `work` with the widest vectors of this processor. Only code that is inlined into it uses them.
#[inline(always)]
pub(crate) fn run<W: WithSimd>(work: W) -> W::Output {
    Arch::new().dispatch(work)
}

/// The numbers that vectors hold.
pub(crate) trait Vectors: Copy + 'static {
    /// A vector of them.
    type Of<S: Simd>: Copy;

    /// Numbers to a vector.
    fn lanes<S: Simd>() -> usize;
    /// `value` in every lane.
    fn splat<S: Simd>(simd: S, value: Self) -> Self::Of<S>;
    /// Sum.
    fn sum<S: Simd>(simd: S, a: Self::Of<S>, b: Self::Of<S>) -> Self::Of<S>;
    /// Difference.
    fn difference<S: Simd>(simd: S, a: Self::Of<S>, b: Self::Of<S>) -> Self::Of<S>;
    /// Product.
    fn product<S: Simd>(simd: S, a: Self::Of<S>, b: Self::Of<S>) -> Self::Of<S>;
    /// `a · b + c`, rounded once where the processor can.
    fn product_plus<S: Simd>(simd: S, a: Self::Of<S>, b: Self::Of<S>, c: Self::Of<S>) -> Self::Of<S>;
    /// Whole vectors, and what is left.
    fn split<S: Simd>(slice: &[Self]) -> (&[Self::Of<S>], &[Self]);
    /// Whole vectors, and what is left.
    fn split_mut<S: Simd>(slice: &mut [Self]) -> (&mut [Self::Of<S>], &mut [Self]);
    /// At most a vector's worth of numbers, then zeros.
    fn partial<S: Simd>(simd: S, slice: &[Self]) -> Self::Of<S>;
}

macro_rules! vectors {
    ($type:ty, $of:ident, $lanes:ident, $splat:ident, $add:ident, $sub:ident, $mul:ident, $mul_add:ident, $split:ident, $split_mut:ident, $partial:ident) => {
        impl Vectors for $type {
            type Of<S: Simd> = S::$of;

            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$lanes
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, value: Self) -> S::$of {
                simd.$splat(value)
            }
            #[inline(always)]
            fn sum<S: Simd>(simd: S, a: S::$of, b: S::$of) -> S::$of {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn difference<S: Simd>(simd: S, a: S::$of, b: S::$of) -> S::$of {
                simd.$sub(a, b)
            }
            #[inline(always)]
            fn product<S: Simd>(simd: S, a: S::$of, b: S::$of) -> S::$of {
                simd.$mul(a, b)
            }
            #[inline(always)]
            fn product_plus<S: Simd>(simd: S, a: S::$of, b: S::$of, c: S::$of) -> S::$of {
                simd.$mul_add(a, b, c)
            }
            #[inline(always)]
            fn split<S: Simd>(slice: &[Self]) -> (&[S::$of], &[Self]) {
                S::$split(slice)
            }
            #[inline(always)]
            fn split_mut<S: Simd>(slice: &mut [Self]) -> (&mut [S::$of], &mut [Self]) {
                S::$split_mut(slice)
            }
            #[inline(always)]
            fn partial<S: Simd>(simd: S, slice: &[Self]) -> S::$of {
                simd.$partial(slice)
            }
        }
    };
}

vectors!(
    f32,
    f32s,
    F32_LANES,
    splat_f32s,
    add_f32s,
    sub_f32s,
    mul_f32s,
    mul_add_e_f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    partial_load_f32s
);
vectors!(
    f64,
    f64s,
    F64_LANES,
    splat_f64s,
    add_f64s,
    sub_f64s,
    mul_f64s,
    mul_add_e_f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    partial_load_f64s
);
