//! Cross entropy with label smoothing and class weights, as PyTorch's `CrossEntropyLoss(weight=…, label_smoothing=…, ignore_index=…)`.

use super::element::{CpuType, Element, cpu_type};
use super::loss_gradient::LossGradient;
use super::pixels::{by_pixel, labels};
use candle_core::{Result, Tensor, WithDType, bail};

/// The sum over pixels of −Σ a ln p over the classes, divided by the sum of the pixels' weights, where p is the softmax of `logits`
/// `[batch, height, width, classes]` and a of each class its weight times `smoothing` / classes, plus 1 − `smoothing` times
/// its weight for the class in `target` (u8, `[batch, height, width]`). The weight of a pixel is that of its class. Pixels labelled
/// `ignore` count nowhere; where no pixel has a weight the loss is 0 (PyTorch's is NaN).
///
/// # Errors
/// If the shapes do not fit, a label is not a class, there are not as many weights as classes, or the logits are on a GPU.
pub fn weighted_cross_entropy(
    logits: &Tensor,
    target: &Tensor,
    ignore: Option<u8>,
    smoothing: f64,
    class_weights: Option<&[f64]>,
) -> Result<LossGradient> {
    let logits = logits.contiguous()?;
    let (classes, labels) = labels(&logits, target, ignore)?;
    let weights = class_weights.map_or_else(|| vec![1.0; classes], <[f64]>::to_vec);
    if weights.len() != classes || weights.iter().any(|weight| !(0.0..f64::INFINITY).contains(weight)) {
        bail!("the class weights {weights:?} for {classes} classes: expected one for each, 0 or more");
    }
    let of = Weighted { labels: &labels, ignore, smoothing, weights: &weights };
    match cpu_type("cross-entropy with weights or label smoothing", &logits)? {
        CpuType::F32 => of.cpu::<f32>(&logits),
        CpuType::F64 => of.cpu::<f64>(&logits),
    }
}

struct Weighted<'a> {
    labels: &'a [u8],
    ignore: Option<u8>,
    smoothing: f64,
    weights: &'a [f64],
}

impl Weighted<'_> {
    fn cpu<T: Element>(&self, logits: &Tensor) -> Result<LossGradient> {
        let classes = self.weights.len();
        let counted = self.labels.iter().filter(|&&label| Some(label) != self.ignore);
        let all: f64 = counted.map(|&label| self.weights[usize::from(label)]).sum();
        let scale = if all > 0.0 { 1.0 / all } else { 0.0 };
        let even: Vec<f64> =
            self.weights.iter().map(|weight| scale * self.smoothing / classes as f64 * weight).collect();
        let evens: f64 = even.iter().sum();
        by_pixel::<T>(logits, classes, self.labels, self.ignore, |loss, pixel, label| {
            let own = scale * (1.0 - self.smoothing) * self.weights[label];
            let largest = pixel.iter().fold(T::neg_infinity(), |largest, &z| if z > largest { z } else { largest });
            let largest = WithDType::to_f64(largest);
            let sum: f64 = pixel.iter().map(|z| (WithDType::to_f64(*z) - largest).exp()).sum();
            let logarithm = largest + sum.ln();
            for (class, (z, even)) in pixel.iter_mut().zip(&even).enumerate() {
                let wanted = even + if class == label { own } else { 0.0 };
                let cost = logarithm - WithDType::to_f64(*z);
                *loss += wanted * cost;
                *z = T::from_f64((own + evens) * (-cost).exp() - wanted);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::cross_entropy;
    use crate::losses::testing::{check_loss, random};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn gradients_are_those_of_finite_differences(
            classes in 1usize..5, ignore in any::<bool>(), seed in any::<u64>(), smoothing in 0.0f64..0.5
        ) {
            let weights: Vec<f64> = (1..=classes).map(|class| class as f64).collect();
            let loss = |logits: &Tensor, target: &Tensor, ignore| {
                weighted_cross_entropy(logits, target, ignore, smoothing, Some(&weights))
            };
            check_loss(loss, classes, ignore, seed);
        }
    }

    #[test]
    fn without_smoothing_and_weights_it_is_cross_entropy() -> Result<()> {
        let (logits, target) = random(3, 7)?;
        let (one, other) =
            (weighted_cross_entropy(&logits, &target, None, 0.0, None)?, cross_entropy(&logits, &target, None)?);
        assert!((one.loss - other.loss).abs() < 1e-14);
        let difference = (one.gradient - other.gradient)?.abs()?.max_all()?.to_scalar::<f64>()?;
        assert!(difference < 1e-15, "{difference}");
        // A class without weight has no pixels that count.
        let none = Tensor::zeros_like(&target)?;
        assert_eq!(weighted_cross_entropy(&logits, &none, None, 0.0, Some(&[0.0, 1.0, 1.0]))?.loss, 0.0);
        Ok(())
    }
}
