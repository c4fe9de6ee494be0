//! Logits and targets pixel by pixel: used by all losses.

use super::element::{Element, elements};
use super::loss_gradient::LossGradient;
use candle_core::{DType, Device, Result, Tensor, bail};
use rayon::prelude::*;

/// Pixels of a task and of a partial sum.
pub(super) const CHUNK: usize = 4096;

/// Number of classes and the target's labels, checked: `logits` `[batch, height, width, classes]`, `target` u8
/// `[batch, height, width]` with labels below the number of classes, or `ignore`.
pub(super) fn labels(logits: &Tensor, target: &Tensor, ignore: Option<u8>) -> Result<(usize, Vec<u8>)> {
    let (batch, height, width, classes) = logits.dims4()?;
    if target.dims() != [batch, height, width] || target.dtype() != DType::U8 {
        bail!("a target of {:?} {:?} for logits of {:?}", target.dtype(), target.dims(), logits.dims());
    }
    if batch * height * width * classes == 0 {
        bail!("no loss of empty logits, {:?}", logits.dims());
    }
    let labels = target.flatten_all()?.to_vec1::<u8>()?;
    if let Some(label) = labels.iter().find(|&&label| usize::from(label) >= classes && Some(label) != ignore) {
        bail!("the target holds label {label}, but there are only {classes} classes");
    }
    Ok((classes, labels))
}

/// The sum of the loss of each pixel with a label other than `ignore`, and its gradient: `of` adds the loss of a pixel with this label
/// to the sum, and replaces its logits by their gradient.
///
/// # Errors
/// If `logits` are not of type `T`.
pub(super) fn by_pixel<T: Element>(
    logits: &Tensor,
    classes: usize,
    labels: &[u8],
    ignore: Option<u8>,
    of: impl Fn(&mut f64, &mut [T], usize) + Sync,
) -> Result<LossGradient> {
    let mut gradient = elements::<T>(logits)?;
    let partials: Vec<f64> = (gradient.par_chunks_mut(CHUNK * classes), labels.par_chunks(CHUNK))
        .into_par_iter()
        .map(|(chunk, labels)| {
            let mut loss = 0.0;
            for (pixel, &label) in chunk.chunks_exact_mut(classes).zip(labels) {
                if Some(label) == ignore {
                    pixel.fill(T::zero());
                } else {
                    of(&mut loss, pixel, usize::from(label));
                }
            }
            loss
        })
        .collect();
    let loss = partials.iter().sum();
    Ok(LossGradient { loss, gradient: Tensor::from_vec(gradient, logits.dims(), &Device::Cpu)? })
}

/// The gradient with respect to the logits of one pixel, in the place of its softmax `pixel`, from the `slopes` with respect to
/// the softmax.
pub(super) fn through_softmax<T: Element>(pixel: &mut [T], slopes: &[T]) {
    let mut mean = T::zero();
    for (p, slope) in pixel.iter().zip(slopes) {
        mean += *p * *slope;
    }
    for (p, slope) in pixel.iter_mut().zip(slopes) {
        *p *= *slope - mean;
    }
}

/// The softmax of every pixel's logits.
pub(super) fn softmax<T: Element>(classes: usize, logits: &Tensor) -> Result<Vec<T>> {
    let mut probabilities = elements::<T>(logits)?;
    probabilities.par_chunks_mut(CHUNK * classes).for_each(|chunk| {
        for pixel in chunk.chunks_exact_mut(classes) {
            let largest = pixel.iter().fold(T::neg_infinity(), |largest, &z| if z > largest { z } else { largest });
            let mut sum = T::zero();
            for z in pixel.iter_mut() {
                *z = (*z - largest).exp();
                sum += *z;
            }
            for z in pixel.iter_mut() {
                *z /= sum;
            }
        }
    });
    Ok(probabilities)
}
