//! Powers of two on vectors. A softmax with scores that were multiplied with log₂ e is made from them, for less work than from powers
//! of e.

use crate::ops::vector::{Simd, Vectors};

/// Numbers with vectors on which a softmax can be computed.
pub(super) trait Exponential: Vectors {
    /// The larger of each pair.
    fn larger<S: Simd>(simd: S, a: Self::Of<S>, b: Self::Of<S>) -> Self::Of<S>;
    /// 2ˣ for x ≤ 0, to 2 units in the last place, where the result is a normal number; below that it may be 0.
    fn power_of_two<S: Simd>(simd: S, x: Self::Of<S>) -> Self::Of<S>;
}

impl Exponential for f32 {
    #[inline(always)]
    fn larger<S: Simd>(simd: S, a: S::f32s, b: S::f32s) -> S::f32s {
        simd.max_f32s(a, b)
    }

    /// x = n + r with the nearest integer n, 2ʳ by a polynomial: within 0.7 units in the last place.
    #[inline(always)]
    fn power_of_two<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        /// A sum with this number has an integer, plus the bias of exponents, in its last bits.
        const ROUND: f32 = 12_582_912.0 + 127.0;
        const BITS_OF_FRACTION: u32 = 23;
        /// Least squares of the relative error on Chebyshev's points from -½ to ½; from the highest power on.
        const POLYNOMIAL: [f32; 7] =
            [1.537_934e-4, 1.340_521_5e-3, 9.618_374_5e-3, 5.550_313_4e-2, 2.402_264_8e-1, 6.931_472_4e-1, 1.0];
        const LEAST: f32 = -126.0;

        let splat = |value| simd.splat_f32s(value);
        let shifted = simd.add_f32s(x, splat(ROUND));
        let r = simd.sub_f32s(x, simd.sub_f32s(shifted, splat(ROUND)));
        let mut sum = splat(POLYNOMIAL[0]);
        for coefficient in &POLYNOMIAL[1..] {
            sum = simd.mul_add_e_f32s(sum, r, splat(*coefficient));
        }
        let bits = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(BITS_OF_FRACTION));
        let power = simd.mul_f32s(sum, simd.transmute_f32s_u32s(bits));
        simd.select_f32s(simd.less_than_f32s(x, splat(LEAST)), splat(0.0), power)
    }
}

impl Exponential for f64 {
    #[inline(always)]
    fn larger<S: Simd>(simd: S, a: S::f64s, b: S::f64s) -> S::f64s {
        simd.max_f64s(a, b)
    }

    /// Number by number: float64 is for tests.
    #[inline(always)]
    fn power_of_two<S: Simd>(_: S, x: S::f64s) -> S::f64s {
        const WIDEST: usize = 8;
        let mut lanes = [0.0; WIDEST];
        S::as_mut_simd_f64s(&mut lanes[..S::F64_LANES]).0[0] = x;
        for lane in &mut lanes {
            *lane = lane.exp2();
        }
        S::as_simd_f64s(&lanes[..S::F64_LANES]).0[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::host::Element;
    use crate::ops::vector::{self, WithSimd};

    struct OfAll<'x, T>(&'x mut [T]);

    impl<T: Element + Exponential> WithSimd for OfAll<'_, T> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for x in T::split_mut::<S>(self.0).0 {
                *x = T::power_of_two(simd, *x);
            }
        }
    }

    /// The largest relative error over numbers from 0 down to `least`.
    fn worst<T: Element + Exponential>(least: f64) -> f64 {
        let count = 1 << 16;
        let x: Vec<T> = (0..count).map(|i| T::narrow(least * f64::from(i) / f64::from(count))).collect();
        let mut y = x.clone();
        vector::run(OfAll(&mut y));
        x.iter().zip(&y).map(|(x, y)| (y.widen() / x.widen().exp2() - 1.0).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn powers_are_those_of_the_definition() {
        assert!(worst::<f32>(-126.0) < f64::from(f32::EPSILON), "{}", worst::<f32>(-126.0));
        assert!(worst::<f64>(-1000.0) < 2.0 * f64::EPSILON);
    }

    #[test]
    fn far_below_zero_is_zero_and_nan_stays() {
        let mut y = [0f32; 64];
        y[0] = f32::NEG_INFINITY;
        y[1] = -140.0;
        y[2] = f32::NAN;
        vector::run(OfAll(&mut y));
        assert!(y[0] == 0.0 && y[1] == 0.0 && y[2].is_nan() && y[3] == 1.0, "{:?}", &y[..4]);
    }
}
