//! Lovász-softmax loss (Berman et al. 2018, *The Lovász-Softmax loss*), as segmentation_models_pytorch's
//! `LovaszLoss(mode="multiclass")`.

use super::class_weights::shares;
use super::element::{CpuType, Element, cpu_type};
use super::loss_gradient::LossGradient;
use super::pixels::{CHUNK, labels, softmax, through_softmax};
use candle_core::{Device, Result, Tensor, WithDType};
use rayon::prelude::*;

/// The mean over the classes in the target of the Lovász extension of their Jaccard losses: for each class the errors |t − p| of all
/// pixels, from large to small, times the growth of 1 − IoU as each pixel in turn becomes wrong. p is the softmax of `logits`
/// `[batch, height, width, classes]`, t the one-hot `target` (u8, `[batch, height, width]`). With `class_weights` the mean is
/// weighted. Pixels labelled `ignore` count nowhere; where none counts the loss is 0.
///
/// # Errors
/// If the shapes do not fit, a label is not a class, or the logits are on a GPU.
pub fn lovasz_softmax(
    logits: &Tensor,
    target: &Tensor,
    ignore: Option<u8>,
    class_weights: Option<&[f64]>,
) -> Result<LossGradient> {
    let logits = logits.contiguous()?;
    let (classes, labels) = labels(&logits, target, ignore)?;
    let shares = shares(class_weights, classes)?;
    match cpu_type("lovasz", &logits)? {
        CpuType::F32 => lovasz_cpu::<f32>(&logits, classes, &labels, ignore, &shares),
        CpuType::F64 => lovasz_cpu::<f64>(&logits, classes, &labels, ignore, &shares),
    }
}

fn lovasz_cpu<T: Element>(
    logits: &Tensor,
    classes: usize,
    labels: &[u8],
    ignore: Option<u8>,
    shares: &[f64],
) -> Result<LossGradient> {
    let probabilities = softmax::<T>(classes, logits)?;
    let present: Vec<usize> = (0..classes)
        .filter(|&class| labels.iter().any(|&label| usize::from(label) == class && Some(label) != ignore))
        .collect();
    let all: f64 = present.iter().map(|&class| shares[class]).sum();
    let (mut loss, mut slopes) = (0.0, vec![T::zero(); probabilities.len()]);
    for class in present.into_iter().filter(|_| all > 0.0) {
        let share = shares[class] / all;
        let mut errors: Vec<(T, usize, bool)> = labels
            .iter()
            .enumerate()
            .filter(|(_, label)| Some(**label) != ignore)
            .map(|(pixel, &label)| {
                let (p, is_class) = (probabilities[pixel * classes + class], usize::from(label) == class);
                (if is_class { T::one() - p } else { p }, pixel, is_class)
            })
            .collect();
        // Stable, so that equal errors stay in the order of the pixels.
        errors.par_sort_by(|(a, ..), (b, ..)| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal));
        let pixels_of_class = errors.iter().filter(|(.., is_class)| *is_class).count() as f64;
        let (mut intersection, mut union, mut before) = (pixels_of_class, pixels_of_class, 0.0);
        for (error, pixel, is_class) in errors {
            if is_class {
                intersection -= 1.0;
            } else {
                union += 1.0;
            }
            let jaccard = 1.0 - intersection / union;
            let growth = share * (jaccard - before);
            before = jaccard;
            loss += growth * WithDType::to_f64(error);
            slopes[pixel * classes + class] = T::from_f64(if is_class { -growth } else { growth });
        }
    }
    let mut gradient = probabilities;
    gradient.par_chunks_mut(CHUNK * classes).zip(slopes.par_chunks(CHUNK * classes)).for_each(|(chunk, slopes)| {
        for (pixel, slopes) in chunk.chunks_exact_mut(classes).zip(slopes.chunks_exact(classes)) {
            through_softmax(pixel, slopes);
        }
    });
    Ok(LossGradient { loss, gradient: Tensor::from_vec(gradient, logits.dims(), &Device::Cpu)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::testing::check_loss;

    /// Of fixed seeds: where two errors are equal there is no derivative.
    #[test]
    fn gradients_are_those_of_finite_differences() {
        for (seed, classes) in [(1, 2), (2, 3), (3, 4), (4, 4)] {
            for ignore in [false, true] {
                check_loss(
                    |logits, target, ignore| lovasz_softmax(logits, target, ignore, None),
                    classes,
                    ignore,
                    seed,
                );
            }
        }
    }

    /// Worked by hand: p of class 0 is ¾ at its pixel and ½ at one of class 1. Class 0: errors ½ (other), ¼ (own); the IoU falls to ½, then
    /// to 0: ½·½ + ½·¼ = 3/8. Class 1: errors ½ (own), ¼ (other): 1·½ + 0·¼ = ½. The mean is 7/16.
    #[test]
    fn a_case_by_hand() -> Result<()> {
        let logits = Tensor::new(&[3.0f64.ln(), 0.0, 1.0, 1.0], &Device::Cpu)?.reshape((1, 1, 2, 2))?;
        let target = Tensor::new(&[0u8, 1], &Device::Cpu)?.reshape((1, 1, 2))?;
        assert!((lovasz_softmax(&logits, &target, None, None)?.loss - 7.0 / 16.0).abs() < 1e-15);
        let none = Tensor::new(&[9u8, 9], &Device::Cpu)?.reshape((1, 1, 2))?;
        assert_eq!(lovasz_softmax(&logits, &none, Some(9), None)?.loss, 0.0);
        Ok(())
    }
}
