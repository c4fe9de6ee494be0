//! Cross entropy of the softmax, as PyTorch's `CrossEntropyLoss` with `ignore_index`.

use super::element::{Element, unsupported};
use super::loss_gradient::LossGradient;
use super::pixels::{by_pixel, labels};
use candle_core::{DType, Device, Result, Tensor, WithDType};
use matssl_tensor::ops::gpu::{self, Argument, Gpu, column_sums, wide_type};

/// The mean over pixels of −ln softmax(`logits`)\[label\], for `logits` `[batch, height, width, classes]` and `target`
/// (u8, `[batch, height, width]`). Pixels labelled `ignore` do not count; where none counts the loss is 0 (PyTorch's
/// is NaN).
///
/// # Errors
/// If the shapes do not fit, or a label is not a class.
pub fn cross_entropy(logits: &Tensor, target: &Tensor, ignore: Option<u8>) -> Result<LossGradient> {
    let logits = logits.contiguous()?;
    let (classes, labels) = labels(&logits, target, ignore)?;
    let counted = labels.iter().filter(|&&label| Some(label) != ignore).count();
    let weight = if counted == 0 { 0.0 } else { 1.0 / counted as f64 };
    match (gpu::of("cross_entropy", &logits)?, logits.dtype()) {
        (Some(gpu), _) => cross_entropy_gpu(&*gpu, &logits, classes, &labels, ignore, weight),
        (None, DType::F32) => cross_entropy_cpu::<f32>(&logits, classes, &labels, ignore, weight),
        (None, DType::F64) => cross_entropy_cpu::<f64>(&logits, classes, &labels, ignore, weight),
        (None, other) => unsupported("cross_entropy", other),
    }
}

fn cross_entropy_gpu(
    gpu: &dyn Gpu,
    logits: &Tensor,
    classes: usize,
    labels: &[u8],
    ignore: Option<u8>,
    weight: f64,
) -> Result<LossGradient> {
    let (dtype, pixels, ignore) = (logits.dtype(), labels.len(), ignore.map_or(-1, i64::from));
    let (gradient, losses) = (gpu.empty(logits.dims(), dtype)?, gpu.empty(&[pixels, 1], wide_type(dtype))?);
    gpu.feeder()?.labels(labels)?.read(|labels| {
        let tensors = [logits, labels, &gradient, &losses].map(Argument::from);
        let sizes = [pixels, classes].map(Argument::from);
        let factors = [Argument::from(ignore), Argument::from(weight)];
        gpu.launch("cross_entropy", dtype, pixels, &[&tensors[..], &sizes, &factors].concat())
    })?;
    let sum = column_sums(gpu, &losses, 1)?.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    Ok(LossGradient { loss: weight * sum.to_vec1::<f64>()?[0], gradient })
}

fn cross_entropy_cpu<T: Element>(
    logits: &Tensor,
    classes: usize,
    labels: &[u8],
    ignore: Option<u8>,
    weight: f64,
) -> Result<LossGradient> {
    let scale = T::from_f64(weight);
    let sum = by_pixel::<T>(logits, classes, labels, ignore, |loss, pixel, label| {
        let largest = pixel.iter().fold(T::neg_infinity(), |largest, &z| if z > largest { z } else { largest });
        let chosen = pixel[label] - largest;
        let mut sum = T::zero();
        for z in pixel.iter_mut() {
            *z = (*z - largest).exp();
            sum += *z;
        }
        *loss += WithDType::to_f64(sum.ln() - chosen);
        for z in pixel.iter_mut() {
            *z *= scale / sum;
        }
        pixel[label] -= scale;
    })?;
    Ok(LossGradient { loss: sum.loss * weight, ..sum })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::testing::check_loss;
    use candle_core::Device;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn gradients_are_those_of_finite_differences(classes in 1usize..5, ignore in any::<bool>(), seed in any::<u64>()) {
            check_loss(cross_entropy, classes, ignore, seed);
        }
    }

    #[test]
    fn even_logits_cost_the_logarithm_of_the_number_of_classes() -> Result<()> {
        let logits = Tensor::new(&[1000f32; 8], &Device::Cpu)?.reshape((1, 1, 2, 4))?;
        let target = Tensor::new(&[3u8, 9], &Device::Cpu)?.reshape((1, 1, 2))?;
        assert!((cross_entropy(&logits, &target, Some(9))?.loss - 4f64.ln()).abs() < 1e-6);
        assert_eq!(cross_entropy(&logits, &Tensor::new(&[[[9u8, 9]]], &Device::Cpu)?, Some(9))?.loss, 0.0);
        Ok(())
    }
}
