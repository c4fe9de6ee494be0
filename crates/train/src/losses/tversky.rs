//! Tversky losses as segmentation_models_pytorch's `TverskyLoss` and `JaccardLoss` (`mode="multiclass"`).

use super::class_weights::shares;
use super::element::{CpuType, cpu_type};
use super::loss_gradient::LossGradient;
use super::overlap::{Slopes, Sums, overlap};
use super::pixels::labels;
use candle_core::{Result, Tensor};

/// Lower bound of a denominator.
const EPSILON: f64 = 1e-7;

/// The weights of a Tversky loss (Salehi et al. 2017, *Tversky loss function for image segmentation using 3D fully convolutional
/// deep networks*).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tversky {
    /// Weight of what is wrongly found.
    pub alpha: f64,
    /// Weight of what is missed.
    pub beta: f64,
    /// Power of the mean over the classes; below 1 small losses weigh more (Abraham and Khan 2019 take 0.75).
    pub gamma: f64,
}

impl Tversky {
    /// 1 − IoU.
    pub const JACCARD: Tversky = Tversky { alpha: 1.0, beta: 1.0, gamma: 1.0 };
}

/// (mean over all classes of 1 − I / (I + α (P − I) + β (T − I)))^γ, where I = Σ p·t, P = Σ p and T = Σ t over batch and pixels, p is the
/// softmax of `logits` `[batch, height, width, classes]` and t the one-hot `target` (u8, `[batch, height, width]`). A class
/// that the target does not hold adds nothing to the mean. With `class_weights` the mean is weighted. Pixels labelled `ignore` count
/// nowhere.
///
/// # Errors
/// If the shapes do not fit, a label is not a class, or the logits are on a GPU.
pub fn tversky(
    logits: &Tensor,
    target: &Tensor,
    ignore: Option<u8>,
    of: Tversky,
    class_weights: Option<&[f64]>,
) -> Result<LossGradient> {
    let logits = logits.contiguous()?;
    let (classes, labels) = labels(&logits, target, ignore)?;
    let shares = shares(class_weights, classes)?;
    let slopes = |sums: &[Sums]| slopes(sums, of, &shares);
    match cpu_type("tversky", &logits)? {
        CpuType::F32 => overlap::<f32>(&logits, classes, &labels, ignore, slopes),
        CpuType::F64 => overlap::<f64>(&logits, classes, &labels, ignore, slopes),
    }
}

fn slopes(sums: &[Sums], Tversky { alpha, beta, gamma }: Tversky, shares: &[f64]) -> Slopes {
    let (mut mean, mut probability, mut intersection) = (0.0, vec![0.0; sums.len()], vec![0.0; sums.len()]);
    for (class, (sums, share)) in sums.iter().zip(shares).enumerate().filter(|(_, (sums, _))| sums.target > 0.0) {
        let own = 1.0 - alpha - beta;
        let whole = own * sums.intersection + alpha * sums.probability + beta * sums.target;
        let bound = whole < EPSILON;
        let whole = whole.max(EPSILON);
        let score = sums.intersection / whole;
        mean += share * (1.0 - score);
        // The bound is constant.
        let [by_probability, by_intersection] = if bound { [0.0, 0.0] } else { [alpha, own] };
        probability[class] = share * score * by_probability / whole;
        intersection[class] = -share * (1.0 - score * by_intersection) / whole;
    }
    // Rounding can make it negative.
    let mean = f64::max(mean, 0.0);
    // At 0, where a power below 1 has no slope, there is nothing left to learn.
    let outer = if mean > 0.0 { gamma * mean.powf(gamma - 1.0) } else { 0.0 };
    probability.iter_mut().chain(&mut intersection).for_each(|slope| *slope *= outer);
    Slopes { loss: mean.powf(gamma), probability, intersection }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::dice;
    use crate::losses::testing::{check_loss, random};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn gradients_are_those_of_finite_differences(
            classes in 1usize..5, ignore in any::<bool>(), seed in any::<u64>(), kind in 0usize..3, weighted in any::<bool>()
        ) {
            let of = [Tversky::JACCARD, Tversky { alpha: 0.3, beta: 0.7, gamma: 0.75 }, Tversky { alpha: 0.5, beta: 0.5, gamma: 2.0 }][kind];
            let weights: Vec<f64> = (1..=classes).map(|class| class as f64).collect();
            let weights = weighted.then_some(weights.as_slice());
            check_loss(|logits, target, ignore| tversky(logits, target, ignore, of, weights), classes, ignore, seed);
        }
    }

    #[test]
    fn with_even_weights_it_is_dice() -> Result<()> {
        let (logits, target) = random(3, 7)?;
        let of = Tversky { alpha: 0.5, beta: 0.5, gamma: 1.0 };
        let (one, other) = (tversky(&logits, &target, None, of, None)?, dice(&logits, &target, None)?);
        assert!((one.loss - other.loss).abs() < 1e-14);
        let difference = (one.gradient - other.gradient)?.abs()?.max_all()?.to_scalar::<f64>()?;
        assert!(difference < 1e-15, "{difference}");
        Ok(())
    }
}
