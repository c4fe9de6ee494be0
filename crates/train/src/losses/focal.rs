//! Focal loss (Lin et al. 2017, *Focal loss for dense object detection*), as segmentation_models_pytorch's
//! `FocalLoss(mode="multiclass")`.

use super::class_weights::shares;
use super::element::{CpuType, Element, cpu_type};
use super::loss_gradient::LossGradient;
use super::pixels::{by_pixel, labels};
use candle_core::{Result, Tensor, WithDType};

/// The sum over the classes of the mean over the pixels of −(1 − q)^`gamma` ln q, where q is the sigmoid of the class's logit at its
/// pixels, and 1 minus it elsewhere: each class against the rest. `logits` `[batch, height, width, classes]`, `target` u8
/// `[batch, height, width]`. With `class_weights` each class counts in proportion to its weight, the mean of which is made 1. Pixels
/// labelled `ignore` count nowhere; where none counts the loss is 0.
///
/// # Errors
/// If the shapes do not fit, a label is not a class, or the logits are on a GPU.
pub fn focal(
    logits: &Tensor,
    target: &Tensor,
    ignore: Option<u8>,
    gamma: f64,
    class_weights: Option<&[f64]>,
) -> Result<LossGradient> {
    let logits = logits.contiguous()?;
    let (classes, labels) = labels(&logits, target, ignore)?;
    let counted = labels.iter().filter(|&&label| Some(label) != ignore).count();
    let scale = if counted == 0 { 0.0 } else { classes as f64 / counted as f64 };
    let weights: Vec<f64> = shares(class_weights, classes)?.into_iter().map(|share| share * scale).collect();
    match cpu_type("focal", &logits)? {
        CpuType::F32 => focal_cpu::<f32>(&logits, classes, &labels, ignore, gamma, &weights),
        CpuType::F64 => focal_cpu::<f64>(&logits, classes, &labels, ignore, gamma, &weights),
    }
}

fn focal_cpu<T: Element>(
    logits: &Tensor,
    classes: usize,
    labels: &[u8],
    ignore: Option<u8>,
    gamma: f64,
    weights: &[f64],
) -> Result<LossGradient> {
    by_pixel::<T>(logits, classes, labels, ignore, |loss, pixel, label| {
        for (class, (z, weight)) in pixel.iter_mut().zip(weights).enumerate() {
            let sign = if class == label { 1.0 } else { -1.0 };
            let [value, slope] = of_logit(sign * WithDType::to_f64(*z), gamma);
            *loss += weight * value;
            *z = T::from_f64(weight * sign * slope);
        }
    })
}

/// −(1 − q)^γ ln q for q = sigmoid(x), and its derivative.
fn of_logit(x: f64, gamma: f64) -> [f64; 2] {
    // −ln q = ln(1 + e^−x), without overflow.
    let cost = (-x).max(0.0) + (-x.abs()).exp().ln_1p();
    let q = (-cost).exp();
    let rest = if x > 0.0 { (-x).exp() * q } else { 1.0 - q };
    let factor = rest.powf(gamma);
    [factor * cost, -factor * (gamma * q * cost + rest)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::testing::check_loss;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn gradients_are_those_of_finite_differences(
            classes in 1usize..5, ignore in any::<bool>(), seed in any::<u64>(), gamma in 0.0f64..3.0
        ) {
            let weights: Vec<f64> = (1..=classes).map(|class| class as f64).collect();
            check_loss(|logits, target, ignore| focal(logits, target, ignore, gamma, Some(&weights)), classes, ignore, seed);
        }
    }

    #[test]
    fn sure_logits_are_finite() {
        assert_eq!(of_logit(1000.0, 2.0), [0.0, 0.0]);
        assert_eq!(of_logit(-1000.0, 2.0), [1000.0, -1.0]);
        assert!((of_logit(0.0, 0.0)[0] - 2f64.ln()).abs() < 1e-15);
    }
}
