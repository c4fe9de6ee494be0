//! The loss of NASA's pretrained-microscopy-models, `DiceBCELoss(weight=0.7)` on a network that ends in an activation already.

use super::element::{CpuType, Element, cpu_type};
use super::loss_gradient::LossGradient;
use super::pixels::{CHUNK, labels, softmax, through_softmax};
use candle_core::{Device, Result, Tensor, WithDType};
use rayon::prelude::*;

/// Weight of the cross entropy; the rest is that of Dice.
const BCE: f64 = 0.7;
/// Added to both sides of Dice.
const SMOOTH: f64 = 1.0;

/// 0.7 × the mean over pixels and channels of the binary cross entropy, + 0.3 × (1 − (2 Σ s·t + 1) / (Σ s + Σ t + 1)) over all of them, where s is the
/// sigmoid of the softmax of `logits` `[batch, height, width, classes]` and t the one-hot `target` (u8, `[batch, height, width]`). Of two classes
/// only the second one counts, as a network with one output has it. The sigmoid comes twice there; so s is 0.5 to 0.73, and a perfect prediction of
/// three classes costs 0.536. This is for reproducing published rows, not for training well. Pixels labelled `ignore` count nowhere (NASA's has
/// none); where none counts the loss is 0.
///
/// # Errors
/// If the shapes do not fit, a label is not a class, or the logits are on a GPU.
pub fn nasa_dice_bce(logits: &Tensor, target: &Tensor, ignore: Option<u8>) -> Result<LossGradient> {
    let logits = logits.contiguous()?;
    let (classes, labels) = labels(&logits, target, ignore)?;
    match cpu_type("nasa-dice-bce", &logits)? {
        CpuType::F32 => on_cpu::<f32>(&logits, classes, &labels, ignore),
        CpuType::F64 => on_cpu::<f64>(&logits, classes, &labels, ignore),
    }
}

#[derive(Default)]
struct Sums {
    cross_entropy: f64,
    both: f64,
    found: f64,
    target: f64,
    count: f64,
}

fn on_cpu<T: Element>(logits: &Tensor, classes: usize, labels: &[u8], ignore: Option<u8>) -> Result<LossGradient> {
    let first = usize::from(classes == 2);
    let mut gradient = softmax::<T>(classes, logits)?;
    let parts: Vec<Sums> = (gradient.par_chunks(CHUNK * classes), labels.par_chunks(CHUNK))
        .into_par_iter()
        .map(|(chunk, labels)| {
            let mut sums = Sums::default();
            let counted = chunk.chunks_exact(classes).zip(labels).filter(|(_, label)| Some(**label) != ignore);
            for (class, p, label) in
                counted.flat_map(|(pixel, &label)| pixel.iter().enumerate().map(move |(c, p)| (c, p, label)))
            {
                if class < first {
                    continue;
                }
                let (s, t) = (sigmoid(WithDType::to_f64(*p)), usize::from(label) == class);
                sums.cross_entropy -= if t { s.ln() } else { (1.0 - s).ln() };
                sums.both += if t { s } else { 0.0 };
                sums.found += s;
                sums.target += f64::from(u8::from(t));
                sums.count += 1.0;
            }
            sums
        })
        .collect();
    let all = parts.into_iter().fold(Sums::default(), |all, part| Sums {
        cross_entropy: all.cross_entropy + part.cross_entropy,
        both: all.both + part.both,
        found: all.found + part.found,
        target: all.target + part.target,
        count: all.count + part.count,
    });
    if all.count == 0.0 {
        return Ok(LossGradient { loss: 0.0, gradient: logits.zeros_like()? });
    }
    let whole = all.found + all.target + SMOOTH;
    let dice = (2.0 * all.both + SMOOTH) / whole;
    let loss = BCE * all.cross_entropy / all.count + (1.0 - BCE) * (1.0 - dice);
    let slope = |p: f64, t: bool| {
        let s = sigmoid(p);
        let of_entropy = (s - f64::from(u8::from(t))) / all.count;
        let of_dice = (dice - if t { 2.0 } else { 0.0 }) / whole * s * (1.0 - s);
        BCE * of_entropy + (1.0 - BCE) * of_dice
    };
    gradient.par_chunks_mut(CHUNK * classes).zip(labels.par_chunks(CHUNK)).for_each(|(chunk, labels)| {
        let mut slopes = vec![T::zero(); classes];
        for (pixel, &label) in chunk.chunks_exact_mut(classes).zip(labels) {
            if Some(label) == ignore {
                pixel.fill(T::zero());
                continue;
            }
            for class in first..classes {
                slopes[class] = T::from_f64(slope(WithDType::to_f64(pixel[class]), usize::from(label) == class));
            }
            through_softmax(pixel, &slopes);
        }
    });
    Ok(LossGradient { loss, gradient: Tensor::from_vec(gradient, logits.dims(), &Device::Cpu)? })
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::testing::check_loss;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn gradients_are_those_of_finite_differences(classes in 1usize..5, ignore in any::<bool>(), seed in any::<u64>()) {
            check_loss(nasa_dice_bce, classes, ignore, seed);
        }
    }

    /// As NASA's log has it: it does not go below 0.536 with three classes.
    #[test]
    fn a_perfect_prediction_of_three_classes_costs_more_than_a_half() -> Result<()> {
        let target =
            Tensor::new((0..300).map(|i| (i % 3) as u8).collect::<Vec<_>>(), &Device::Cpu)?.reshape((1, 10, 30))?;
        let logits: Vec<f64> =
            (0..300).flat_map(|i| (0..3).map(move |c| if i % 3 == c { 60.0 } else { 0.0 })).collect();
        let logits = Tensor::from_vec(logits, (1, 10, 30, 3), &Device::Cpu)?;
        let loss = nasa_dice_bce(&logits, &target, None)?.loss;
        assert!((loss - 0.536).abs() < 1e-3, "{loss}");
        Ok(())
    }
}
