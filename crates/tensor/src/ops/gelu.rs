//! The exact GELU, `x Φ(x)` with the normal distribution Φ (Hendrycks & Gimpel 2016; PyTorch's `nn.GELU()`).

use super::host::{Element, elements, filled, on_cpu_only, tensor};
use super::vector::vectorized;
use crate::{Tape, Value};
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

/// Elements of a task.
const CHUNK: usize = 1 << 14;

/// A type with the functions that the GELU needs.
trait Normal: Element {
    /// The error function.
    fn erf(self) -> Self;
    /// exp(x) for x ≤ 0.
    fn exp_negative(self) -> Self;
}

impl Normal for f64 {
    fn erf(self) -> f64 {
        libm::erf(self)
    }

    fn exp_negative(self) -> f64 {
        libm::exp(self)
    }
}

impl Normal for f32 {
    /// A quotient of polynomials, as Eigen's and XLA's: within 4e-7 everywhere, and within 1.3 times the error of PyTorch's GELU.
    #[inline(always)]
    fn erf(self) -> f32 {
        let square = self * self;
        let mut over = -2.726_142_4e-10;
        for coefficient in
            [2.770_681_5e-8, -2.101_024e-6, -5.692_506_2e-5, -7.349_906_4e-4, -2.954_6e-3, -1.609_603_3e-2]
        {
            over = over * square + coefficient;
        }
        let mut under = -1.456_607_15e-5;
        for coefficient in [-2.133_740_5e-4, -1.682_827e-3, -7.373_329_3e-3, -1.426_473_9e-2] {
            under = under * square + coefficient;
        }
        let erf = self * over / under;
        // Comparisons, not `clamp`: NaN goes through.
        let erf = if self > 4.0 { 1.0 } else { erf };
        if self < -4.0 { -1.0 } else { erf }
    }

    /// 2ⁿ times a polynomial, as Cephes'.
    #[inline(always)]
    fn exp_negative(self) -> f32 {
        const LN_2_HIGH: f32 = 0.693_359_4;
        const LN_2_LOW: f32 = -2.121_944_4e-4;
        // Added and taken away it rounds to whole numbers, which are then the last bits.
        const ROUND: f32 = 12_582_912.0;
        let x = if self < -87.0 { -87.0 } else { self };
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let rest = x - n * LN_2_HIGH - n * LN_2_LOW;
        let mut sum = 1.987_569_1e-4;
        for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_6e-1, 0.5] {
            sum = sum * rest + coefficient;
        }
        let power = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
        (sum * rest * rest + rest + 1.0) * f32::from_bits(power)
    }
}

/// Φ(x).
#[inline(always)]
fn distribution<T: Normal>(x: T) -> T {
    let half = T::narrow(0.5);
    half + half * (x * T::narrow(FRAC_1_SQRT_2)).erf()
}

/// The GELU, of any shape.
///
/// # Errors
/// If the device or type is not supported.
pub(crate) fn forward(x: &Tensor) -> Result<Tensor> {
    let x = x.contiguous()?;
    on_cpu_only!("gelu", &x, forward_host(&x))
}

fn forward_host<T: Normal>(x: &Tensor) -> Result<Tensor> {
    let (shape, x) = (x.dims(), elements::<T>(x)?);
    let y = filled(x.len(), |y| {
        y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
            vectorized(
                #[inline(always)]
                || {
                    for (y, x) in y.iter_mut().zip(x) {
                        *y = *x * distribution(*x);
                    }
                },
            );
        });
    });
    tensor(y, shape)
}

/// Gradient of [`forward`] with respect to `x`, given the output's `gradient`: Φ(x) + x φ(x) times it.
///
/// # Errors
/// If shapes or types differ, or as [`forward`].
pub(crate) fn backward(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    if x.dims() != gradient.dims() || x.dtype() != gradient.dtype() {
        bail!("gelu: a gradient of {:?} for an input of {:?}", gradient.shape(), x.shape());
    }
    let (x, gradient) = (x.contiguous()?, gradient.contiguous()?);
    on_cpu_only!("gelu", &x, backward_host(&x, &gradient))
}

fn backward_host<T: Normal>(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let (shape, x, gradient) = (x.dims(), elements::<T>(x)?, elements::<T>(gradient)?);
    // 1 / √(2π).
    let (factor, minus_half) = (T::narrow(FRAC_1_SQRT_2 * FRAC_2_SQRT_PI * 0.5), T::narrow(-0.5));
    let dx = filled(x.len(), |dx| {
        let chunks = dx.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).zip(gradient.par_chunks(CHUNK));
        chunks.for_each(|((dx, x), gradient)| {
            vectorized(
                #[inline(always)]
                || {
                    for ((dx, &x), &gradient) in dx.iter_mut().zip(x).zip(gradient) {
                        let density = factor * (minus_half * x * x).exp_negative();
                        *dx = gradient * (distribution(x) + x * density);
                    }
                },
            );
        });
    });
    tensor(dx, shape)
}

impl Tape<'_> {
    /// The exact GELU of `x`, of any shape.
    ///
    /// # Errors
    /// If the device or type is not supported.
    pub fn gelu(&self, x: &Value) -> Result<Value> {
        let output = self.output(x.tensor().dims(), || Err("gelu"), || forward(x.tensor()))?;
        let saved = self.save(x);
        let again = {
            let saved = saved.clone();
            move || forward(&saved.tensor()?)
        };
        let backward = move |gradient: &Tensor, _: &[bool]| Ok(vec![Some(backward(&saved.tensor()?, gradient)?)]);
        Ok(self.record_recomputable(output, &[x], again, backward))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Inputs, check_gradients_on_cpu, same_bits_for_any_threads};
    use candle_core::Device;

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let mut inputs = Inputs::new(1);
        inputs.normal("x", &[7, 31]);
        check_gradients_on_cpu(&inputs, |tape| tape.gelu(&tape.parameter("x")?));
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        let mut inputs = Inputs::new(2);
        inputs.normal("x", &[33, 3001]);
        same_bits_for_any_threads(&inputs, |tape| tape.gelu(&tape.parameter("x")?));
    }

    /// PyTorch 2.11: `torch.nn.functional.gelu` and its gradient in float64.
    #[test]
    fn values_are_pytorchs_and_nan_stays() -> Result<()> {
        let x = Tensor::new(&[-1.5f64, -0.2, 0.0, 0.7, 3.0], &Device::Cpu)?;
        let (y, dx) = (forward(&x)?.to_vec1::<f64>()?, backward(&x, &x.ones_like()?)?.to_vec1::<f64>()?);
        let expected = [-0.10021080190328704, -0.0841480581121794, 0.0, 0.5306254434438489, 2.99595030590511];
        let expected_dx = [-0.1274691922299796, 0.34253175176580575, 0.5, 0.9766141011336599, 1.011945647204184];
        for (found, expected) in y.iter().zip(expected).chain(dx.iter().zip(expected_dx)) {
            assert!((found - expected).abs() < 1e-15, "{found} {expected}");
        }
        let strange = Tensor::new(&[f32::NAN, f32::INFINITY, -200.0, 200.0], &Device::Cpu)?;
        let (y, dx) =
            (forward(&strange)?.to_vec1::<f32>()?, backward(&strange, &strange.ones_like()?)?.to_vec1::<f32>()?);
        assert!(y[0].is_nan() && dx[0].is_nan());
        assert_eq!((&y[1..], dx[3]), (&[f32::INFINITY, 0.0, 200.0][..], 1.0));
        assert!(dx[2].abs() < 1e-30, "{dx:?}");
        Ok(())
    }

    #[test]
    fn float32_is_as_good_as_a_rounding() -> Result<()> {
        let x: Vec<f32> = (-70_000..70_000).map(|i| i as f32 * 1e-4).collect();
        let x = Tensor::new(x, &Device::Cpu)?;
        let wide = x.to_dtype(candle_core::DType::F64)?;
        let apart = |single: Tensor, exact: Tensor| -> Result<(f64, f64)> {
            let apart = (single.to_dtype(candle_core::DType::F64)? - &exact)?;
            let norm = |t: &Tensor| t.sqr()?.sum_all()?.to_scalar::<f64>().map(f64::sqrt);
            Ok((norm(&apart)? / norm(&exact)?, apart.abs()?.max_all()?.to_scalar()?))
        };
        let (relative, most) = apart(forward(&x)?, forward(&wide)?)?;
        assert!(relative < 7e-8 && most < 2e-6, "{relative} {most}");
        let (relative, most) = apart(backward(&x, &x.ones_like()?)?, backward(&wide, &wide.ones_like()?)?)?;
        assert!(relative < 1.2e-7 && most < 1e-6, "{relative} {most}");
        Ok(())
    }
}
