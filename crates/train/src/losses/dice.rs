//! Multiclass Dice loss as segmentation_models_pytorch's `DiceLoss(mode="multiclass", from_logits=True)`.

use super::element::{Element, unsupported};
use super::loss_gradient::LossGradient;
use super::overlap::{Slopes, Sums, overlap};
use super::pixels::labels;
use candle_core::{DType, Device, Result, Tensor};
use matssl_tensor::ops::gpu::{self, Argument, Gpu, strip_sums, wide_type};

/// 1 − 2 Σ p·t / Σ (p + t) for each class over batch and pixels, where p is the softmax of `logits`
/// `[batch, height, width, classes]` and t the one-hot `target` (u8, `[batch, height, width]`); the mean over all
/// classes, to which a class that the target does not hold adds nothing. Pixels labelled `ignore` count nowhere.
///
/// smp's `eps` (a lower bound of 1e-7 on the denominator) never binds: a class in the target has Σ t ≥ 1.
///
/// # Errors
/// If the shapes do not fit, or a label is not a class.
pub fn dice(logits: &Tensor, target: &Tensor, ignore: Option<u8>) -> Result<LossGradient> {
    let logits = logits.contiguous()?;
    let (classes, labels) = labels(&logits, target, ignore)?;
    match (gpu::of("dice", &logits)?, logits.dtype()) {
        (Some(gpu), _) => dice_gpu(&*gpu, &logits, classes, &labels, ignore),
        (None, DType::F32) => dice_cpu::<f32>(&logits, classes, &labels, ignore),
        (None, DType::F64) => dice_cpu::<f64>(&logits, classes, &labels, ignore),
        (None, other) => unsupported("dice", other),
    }
}

/// The loss, and the factors of its gradient.
struct Score {
    loss: f64,
    /// d loss / d p of each class.
    base: Vec<f64>,
    /// Added to `base` at pixels of the class.
    hit: Vec<f64>,
}

impl Score {
    fn new(sums: &[Sums]) -> Self {
        let (mut loss, mut base, mut hit) = (0.0, vec![0.0; sums.len()], vec![0.0; sums.len()]);
        let weight = 1.0 / sums.len() as f64;
        for (class, sums) in sums.iter().enumerate().filter(|(_, sums)| sums.target > 0.0) {
            let denominator = sums.probability + sums.target;
            let score = 2.0 * sums.intersection / denominator;
            loss += weight * (1.0 - score);
            base[class] = weight * score / denominator;
            hit[class] = -weight * 2.0 / denominator;
        }
        Score { loss, base, hit }
    }
}

/// The sums are copied to the host, which computes the factors of the gradient from them.
fn dice_gpu(gpu: &dyn Gpu, logits: &Tensor, classes: usize, labels: &[u8], ignore: Option<u8>) -> Result<LossGradient> {
    gpu.feeder()?.labels(labels)?.read(|on_device| dice_launched(gpu, logits, classes, labels, on_device, ignore))
}

/// As [`dice_gpu`], of the same labels `on_device`, a byte each.
fn dice_launched(
    gpu: &dyn Gpu,
    logits: &Tensor,
    classes: usize,
    labels: &[u8],
    on_device: &Tensor,
    ignore: Option<u8>,
) -> Result<LossGradient> {
    let (dtype, pixels, ignored) = (logits.dtype(), labels.len(), ignore.map_or(-1, i64::from));
    let wide = wide_type(dtype);
    let probabilities = gpu.empty(logits.dims(), wide)?;
    let tensors = [logits, &probabilities].map(Argument::from);
    gpu.launch("softmax", dtype, pixels, &[&tensors[..], &[pixels, classes].map(Argument::from)].concat())?;
    // A thread takes one class, not several as `strip_sums` proposes.
    let (folded, folds) = strip_sums(gpu, wide, [pixels, classes, 2 * classes], |sums, strips, _, _| {
        let (threads, tensors) = (strips * classes, [&probabilities, on_device].map(Argument::from));
        let sizes = [pixels.into(), classes.into(), ignored.into(), strips.into()];
        gpu.launch("dice_strips", wide, threads, &[&tensors[..], &sizes, &[sums.into()]].concat())
    })?;
    let folded = folded.to_device(&Device::Cpu)?.to_vec2::<f64>()?;
    let column = |index: usize| folded[..folds].iter().map(|fold| fold[index]).sum::<f64>();
    let mut sums: Vec<Sums> = (0..classes)
        .map(|class| Sums { probability: column(class), intersection: column(classes + class), target: 0.0 })
        .collect();
    labels.iter().filter(|&&label| Some(label) != ignore).for_each(|&label| sums[usize::from(label)].target += 1.0);
    let Score { loss, base, hit } = Score::new(&sums);
    let factors = Tensor::new([base, hit].concat(), &Device::Cpu)?.to_dtype(wide)?;
    let (factors, gradient) = (gpu.upload(&factors)?, gpu.empty(logits.dims(), dtype)?);
    let tensors = [&probabilities, on_device, &factors, &gradient].map(Argument::from);
    let sizes = [pixels.into(), classes.into(), ignored.into()];
    gpu.launch("dice_gradient", dtype, pixels, &[&tensors[..], &sizes].concat())?;
    Ok(LossGradient { loss, gradient })
}

fn dice_cpu<T: Element>(logits: &Tensor, classes: usize, labels: &[u8], ignore: Option<u8>) -> Result<LossGradient> {
    overlap::<T>(logits, classes, labels, ignore, |sums| {
        let Score { loss, base, hit } = Score::new(sums);
        Slopes { loss, probability: base, intersection: hit }
    })
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
            check_loss(dice, classes, ignore, seed);
        }
    }

    /// Worked by hand: two pixels with p = (¾, ¼) and (½, ½), both of class 0. Class 0: I = 5/4, P = 5/4, T = 2, so
    /// 1 − 2·(5/4)/(13/4) = 3/13; class 1 is absent; the mean over two classes is 3/26.
    #[test]
    fn absent_classes_add_nothing_and_still_divide() -> Result<()> {
        let logits = Tensor::new(&[3.0f64.ln(), 0.0, 1.0, 1.0], &Device::Cpu)?.reshape((1, 1, 2, 2))?;
        let target = Tensor::new(&[0u8, 0], &Device::Cpu)?.reshape((1, 1, 2))?;
        assert!((dice(&logits, &target, None)?.loss - 3.0 / 26.0).abs() < 1e-15);
        Ok(())
    }

    #[test]
    fn labels_without_a_class_are_refused_and_ignored_pixels_have_no_gradient() -> Result<()> {
        let logits = Tensor::zeros((1, 1, 2, 3), candle_core::DType::F32, &Device::Cpu)?;
        let target = Tensor::new(&[0u8, 255], &Device::Cpu)?.reshape((1, 1, 2))?;
        let error = dice(&logits, &target, None).unwrap_err().to_string();
        assert!(error.contains("label 255, but there are only 3 classes"), "{error}");
        let gradient = dice(&logits, &target, Some(255))?.gradient.flatten_all()?.to_vec1::<f32>()?;
        assert!(gradient[..3].iter().any(|g| *g != 0.0) && gradient[3..] == [0.0; 3]);
        assert!(dice(&logits, &target.flatten_all()?, Some(255)).is_err());
        Ok(())
    }
}
