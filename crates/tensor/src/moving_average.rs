//! Exponential moving averages of weights: momentum encoders (He et al. 2020, Eq. 2) and averaged weights.

use super::ops::gpu::{self, Row, Table};
use super::ops::in_place::{Binary, InPlace, real};
use candle_core::{DType, Result, Tensor, bail};
use num_traits::Float;

/// average ← keep·average + (1 − keep)·value.
struct Follow {
    keep: f64,
}

impl Binary for Follow {
    const NAME: &'static str = "moving-average";
    #[inline(always)]
    fn apply<T: Float>(&self, average: T, value: T) -> T {
        average * real(self.keep) + value * real(1.0 - self.keep)
    }
}

/// For each pair (average, value) of equal shape and type, float32 or float64, in place and without gradients:
/// average ← `keep`·average + (1 − `keep`)·value, as `lightly.models.utils.update_momentum` computes it. Averages are
/// contiguous, as variables are. The same bits for any number of threads; on a GPU one kernel does all pairs.
///
/// # Errors
/// If `keep` is not in 0 ..= 1, a pair differs in shape or type or is the same tensor twice, or a type is neither
/// float32 nor float64.
pub fn follow(pairs: &[(&Tensor, &Tensor)], keep: f64) -> Result<()> {
    if !(0.0..=1.0).contains(&keep) {
        bail!("a moving average keeps 0 to 1 of itself, not {keep}");
    }
    for (average, value) in pairs {
        if average.dims() != value.dims() || average.dtype() != value.dtype() {
            let (of, to) = (average.shape(), value.shape());
            bail!("a moving average of {:?} {of:?} cannot follow {:?} {to:?}", average.dtype(), value.dtype());
        }
        if !matches!(average.dtype(), DType::F32 | DType::F64) {
            bail!("moving averages are float32 or float64, not {:?}", average.dtype());
        }
        if same_storage(average, value) {
            bail!("a moving average cannot follow itself");
        }
    }
    let Some((first, _)) = pairs.first() else { return Ok(()) };
    let Some(gpu) = gpu::find(first.device())? else {
        return pairs
            .iter()
            .try_for_each(|(average, value)| average.inplace_op2(&value.contiguous()?, &InPlace(Follow { keep })));
    };
    for dtype in [DType::F32, DType::F64] {
        let of_type = pairs.iter().filter(|(average, _)| average.dtype() == dtype);
        let pairs = of_type.map(|&(average, value)| Ok((average, value.contiguous()?))).collect::<Result<Vec<_>>>()?;
        let rows: Vec<Row<'_>> = pairs.iter().map(|(average, value)| Row::of(average, value)).collect();
        if !rows.is_empty() {
            Table::new(&*gpu, &rows)?.follow(keep)?;
        }
    }
    Ok(())
}

/// Whether both lie in the same memory: then one cannot be written while the other is read.
fn same_storage(a: &Tensor, b: &Tensor) -> bool {
    let ((a, _), (b, _)) = (a.storage_and_layout(), b.storage_and_layout());
    std::ptr::eq(&raw const *a, &raw const *b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use matssl_base::random::Stream;

    /// More than one task's worth, a scalar, and a transposed value.
    fn tensors(dtype: DType) -> Vec<(Tensor, Tensor)> {
        let mut stream = Stream::new(3, "moving average test", 0, 0);
        let mut tensor = |shape: &[usize]| {
            let values: Vec<f64> = (0..shape.iter().product()).map(|_| stream.normal()).collect();
            Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
        };
        vec![
            (tensor(&[70_001]), tensor(&[70_001])),
            (tensor(&[]), tensor(&[])),
            (tensor(&[3, 5]), tensor(&[5, 3]).t().unwrap()),
        ]
    }

    fn values(tensor: &Tensor) -> Vec<f64> {
        tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
    }

    /// As `prev.data = prev.data * m + data * (1 - m)` twice, each operation rounded by itself.
    fn twice(dtype: DType) -> Vec<Vec<f64>> {
        let rounded = |x: f64| if dtype == DType::F32 { f64::from(x as f32) } else { x };
        let (keep, rest) = (rounded(0.99), rounded(1.0 - 0.99));
        let step = |average: f64, value: f64| rounded(rounded(average * keep) + rounded(value * rest));
        let pair = |(average, value): &(Tensor, Tensor)| {
            values(average).into_iter().zip(values(value)).map(|(a, v)| step(step(a, v), v)).collect()
        };
        tensors(dtype).iter().map(pair).collect()
    }

    fn ours(dtype: DType) -> Vec<Vec<f64>> {
        let tensors = tensors(dtype);
        let pairs: Vec<(&Tensor, &Tensor)> = tensors.iter().map(|(average, value)| (average, value)).collect();
        (0..2).for_each(|_| follow(&pairs, 0.99).unwrap());
        tensors.iter().map(|(average, _)| values(average)).collect()
    }

    #[test]
    fn bits_are_lightlys_for_any_number_of_threads() {
        for dtype in [DType::F32, DType::F64] {
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                assert!(pool.install(|| ours(dtype)) == twice(dtype), "{dtype:?} on {threads}");
            }
        }
    }

    /// `lightly.models.utils.update_momentum(a, b, m=0.99)`, lightly 1.5.20, `nn.Linear(2, 1, bias=False)` in float64.
    #[test]
    fn a_step_is_lightlys() {
        let average = Tensor::new(&[[0.3f64, -1.7]], &Device::Cpu).unwrap();
        let value = Tensor::new(&[[0.7f64, 2.3]], &Device::Cpu).unwrap();
        follow(&[(&average, &value)], 0.99).unwrap();
        assert_eq!(values(&average), [0.304, -1.6600000000000001]);
    }

    #[test]
    fn the_gpu_agrees_with_the_cpu() {
        for (dtype, tolerance) in [(DType::F32, 1e-6), (DType::F64, 1e-15)] {
            let Some(found) = gpu::pretend::on(|| ours(dtype)) else { return };
            for (found, expected) in found.iter().flatten().zip(twice(dtype).iter().flatten()) {
                assert!((found - expected).abs() <= tolerance, "{dtype:?}: {found} {expected}");
            }
        }
    }

    #[test]
    fn float32_and_float64_pairs_may_be_mixed() {
        let run = || {
            let mut both = tensors(DType::F32);
            both.extend(tensors(DType::F64));
            let pairs: Vec<(&Tensor, &Tensor)> = both.iter().map(|(average, value)| (average, value)).collect();
            follow(&pairs, 0.0).unwrap();
            both.iter().for_each(|(average, value)| assert_eq!(values(average), values(value)));
        };
        run();
        gpu::pretend::on(run);
    }

    #[test]
    fn pairs_that_differ_in_shape_or_type_are_refused() {
        let of = |shape: &[usize], dtype| Tensor::zeros(shape, dtype, &Device::Cpu).unwrap();
        let average = of(&[2, 3], DType::F32);
        let refused = |average: &Tensor, value: &Tensor, keep, expected: &str| {
            let error = follow(&[(average, value)], keep).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        refused(&average, &of(&[3, 2], DType::F32), 0.9, "of F32 [2, 3] cannot follow F32 [3, 2]");
        refused(&average, &of(&[2, 3], DType::F64), 0.9, "cannot follow F64");
        refused(&of(&[1], DType::I64), &of(&[1], DType::I64), 0.9, "float32 or float64, not I64");
        refused(&average, &average.t().unwrap().t().unwrap(), 0.9, "cannot follow itself");
        for keep in [-0.1, 1.1, f64::NAN] {
            refused(&average, &of(&[2, 3], DType::F32), keep, "keeps 0 to 1 of itself");
        }
        follow(&[], 0.9).unwrap();
    }
}
