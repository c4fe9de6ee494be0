//! Losses that are functions of sums over the pixels of each class, with their gradient: Dice, Tversky.

use super::element::Element;
use super::loss_gradient::LossGradient;
use super::pixels::{CHUNK, softmax};
use candle_core::{Device, Result, Tensor, WithDType};
use rayon::prelude::*;

/// Sums of one class over the pixels that count.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums {
    /// Σ p·t.
    pub(super) intersection: f64,
    /// Σ p.
    pub(super) probability: f64,
    /// Σ t: the number of pixels of the class.
    pub(super) target: f64,
}

/// A loss as a function of [`Sums`], with its derivatives by class.
pub(super) struct Slopes {
    /// The loss.
    pub(super) loss: f64,
    /// With respect to Σ p.
    pub(super) probability: Vec<f64>,
    /// With respect to Σ p·t.
    pub(super) intersection: Vec<f64>,
}

/// The loss `of` the sums over all pixels with a label other than `ignore`, where p is the softmax of `logits`
/// `[batch, height, width, classes]` and t the one-hot `labels`, and its gradient.
///
/// # Errors
/// If `logits` are not of type `T`.
pub(super) fn overlap<T: Element>(
    logits: &Tensor,
    classes: usize,
    labels: &[u8],
    ignore: Option<u8>,
    of: impl FnOnce(&[Sums]) -> Slopes,
) -> Result<LossGradient> {
    let mut gradient = softmax::<T>(classes, logits)?;
    let Slopes { loss, probability, intersection } = of(&sums(classes, &gradient, labels, ignore));
    let narrow = |values: Vec<f64>| values.into_iter().map(T::from_f64).collect::<Vec<T>>();
    let (base, hit) = (narrow(probability), narrow(intersection));
    gradient.par_chunks_mut(CHUNK * classes).zip(labels.par_chunks(CHUNK)).for_each(|(chunk, labels)| {
        for (pixel, &label) in chunk.chunks_exact_mut(classes).zip(labels) {
            if Some(label) == ignore {
                pixel.fill(T::zero());
                continue;
            }
            let label = usize::from(label);
            let mut mean = pixel[label] * hit[label];
            for (p, base) in pixel.iter().zip(&base) {
                mean += *p * *base;
            }
            for (class, (p, base)) in pixel.iter_mut().zip(&base).enumerate() {
                let slope = if class == label { *base + hit[class] } else { *base };
                *p *= slope - mean;
            }
        }
    });
    Ok(LossGradient { loss, gradient: Tensor::from_vec(gradient, logits.dims(), &Device::Cpu)? })
}

fn sums<T: Element>(classes: usize, probabilities: &[T], labels: &[u8], ignore: Option<u8>) -> Vec<Sums> {
    let partials: Vec<Vec<Sums>> = probabilities
        .par_chunks(CHUNK * classes)
        .zip(labels.par_chunks(CHUNK))
        .map(|(chunk, labels)| {
            let mut sums = vec![Sums::default(); classes];
            let counted = chunk.chunks_exact(classes).zip(labels).filter(|(_, label)| Some(**label) != ignore);
            for (pixel, &label) in counted {
                for (sums, p) in sums.iter_mut().zip(pixel) {
                    sums.probability += WithDType::to_f64(*p);
                }
                let label = usize::from(label);
                sums[label].intersection += WithDType::to_f64(pixel[label]);
                sums[label].target += 1.0;
            }
            sums
        })
        .collect();
    let mut total = vec![Sums::default(); classes];
    for part in &partials {
        for (total, part) in total.iter_mut().zip(part) {
            total.intersection += part.intersection;
            total.probability += part.probability;
            total.target += part.target;
        }
    }
    total
}
