//! The exponential function on vectors.

use crate::ops::vector::{Simd, Vectors};

/// Numbers with vectors on which a softmax can be computed.
pub(super) trait Exponential: Vectors {
    /// The larger of each pair.
    fn larger<S: Simd>(simd: S, a: Self::Of<S>, b: Self::Of<S>) -> Self::Of<S>;
    /// eˣ for x ≤ 0, to 2 units in the last place, where the result is a normal number; below that it may be 0.
    fn exponential<S: Simd>(simd: S, x: Self::Of<S>) -> Self::Of<S>;
}

impl Exponential for f32 {
    #[inline(always)]
    fn larger<S: Simd>(simd: S, a: S::f32s, b: S::f32s) -> S::f32s {
        simd.max_f32s(a, b)
    }

    /// x = n ln 2 + r with an integer n; eʳ by the polynomial of Moshier's Cephes (`expf.c`).
    #[inline(always)]
    fn exponential<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
        /// A sum with this number has an integer, plus the bias of exponents, in its last bits.
        const ROUND: f32 = 12_582_912.0 + 127.0;
        const BITS_OF_FRACTION: u32 = 23;
        /// Two numbers whose sum is ln 2; products of the first with integers up to 127 are exact.
        const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
        const POLYNOMIAL: [f32; 6] =
            [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.000_000_1e-1];
        const LEAST: f32 = -87.0;

        let splat = |value| simd.splat_f32s(value);
        let shifted = simd.mul_add_e_f32s(x, splat(std::f32::consts::LOG2_E), splat(ROUND));
        let n = simd.sub_f32s(shifted, splat(ROUND));
        let r = simd.mul_add_e_f32s(n, splat(-LN_2[0]), x);
        let r = simd.mul_add_e_f32s(n, splat(-LN_2[1]), r);
        let mut sum = splat(POLYNOMIAL[0]);
        for coefficient in &POLYNOMIAL[1..] {
            sum = simd.mul_add_e_f32s(sum, r, splat(*coefficient));
        }
        let power_of_r = simd.add_f32s(simd.mul_add_e_f32s(sum, simd.mul_f32s(r, r), r), splat(1.0));
        let bits = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(BITS_OF_FRACTION));
        let power = simd.mul_f32s(power_of_r, simd.transmute_f32s_u32s(bits));
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
    fn exponential<S: Simd>(_: S, x: S::f64s) -> S::f64s {
        const WIDEST: usize = 8;
        let mut lanes = [0.0; WIDEST];
        S::as_mut_simd_f64s(&mut lanes[..S::F64_LANES]).0[0] = x;
        for lane in &mut lanes {
            *lane = lane.exp();
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
                *x = T::exponential(simd, *x);
            }
        }
    }

    /// The largest relative error over numbers from 0 down to `least`.
    fn worst<T: Element + Exponential>(least: f64) -> f64 {
        let count = 1 << 16;
        let x: Vec<T> = (0..count).map(|i| T::narrow(least * f64::from(i) / f64::from(count))).collect();
        let mut y = x.clone();
        vector::run(OfAll(&mut y));
        x.iter().zip(&y).map(|(x, y)| (y.widen() / x.widen().exp() - 1.0).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn exponentials_are_those_of_the_definition() {
        assert!(worst::<f32>(-87.0) < 2.0 * f64::from(f32::EPSILON), "{}", worst::<f32>(-87.0));
        assert!(worst::<f64>(-700.0) < 2.0 * f64::EPSILON);
    }

    #[test]
    fn far_below_zero_is_zero_and_nan_stays() {
        let mut y = [0f32; 64];
        y[0] = f32::NEG_INFINITY;
        y[1] = -100.0;
        y[2] = f32::NAN;
        vector::run(OfAll(&mut y));
        assert!(y[0] == 0.0 && y[1] == 0.0 && y[2].is_nan() && y[3] == 1.0, "{:?}", &y[..4]);
    }
}
