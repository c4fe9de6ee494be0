//! Batches, made ahead of time in an order that no number of threads changes.

use super::augment::{FinetuneAugment, ViewParams, augment_pair, view};
use super::patches::Patches;
use super::{Mask, Micrograph};
use crate::random::Stream;
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

/// Batches that wait while the network is busy.
const AHEAD: usize = 2;

/// Results of `make(0)`, `make(1)`, … in order, made ahead by a thread of its own. Dropping it stops the thread after
/// the batch it is at.
pub struct Prefetch<T> {
    /// `None` only while being dropped.
    receiver: Option<Receiver<T>>,
    thread: Option<JoinHandle<()>>,
}

/// Calls `make` for 0..`n` on a background thread, at most two results ahead. `make` may use rayon (the global pool)
/// inside; results come in order.
pub fn prefetch<T: Send + 'static>(n: usize, make: impl Fn(usize) -> T + Send + 'static) -> Prefetch<T> {
    let (sender, receiver) = sync_channel(AHEAD);
    let work = move || {
        for i in 0..n {
            if sender.send(make(i)).is_err() {
                return;
            }
        }
    };
    Prefetch { receiver: Some(receiver), thread: Some(std::thread::spawn(work)) }
}

impl<T> Iterator for Prefetch<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if let Ok(item) = self.receiver.as_ref()?.recv() {
            return Some(item);
        }
        // The thread is done, or it panicked: then so do we, rather than end an epoch early without a word.
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            std::panic::resume_unwind(panic);
        }
        None
    }
}

impl<T> Drop for Prefetch<T> {
    fn drop(&mut self) {
        // Without a receiver the thread's next send fails.
        self.receiver = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Two views of each of the patches `indices`: f32 `[batch, size, size, 3]` each, on the CPU.
///
/// View `v` of patch `i` in `epoch` is a pure function of (seed, epoch, i, v).
///
/// # Errors
/// candle's, if a tensor cannot be made.
pub fn view_batch(
    patches: &Patches,
    indices: &[usize],
    params: &ViewParams,
    seed: u64,
    epoch: u64,
) -> candle_core::Result<[Tensor; 2]> {
    let make = |which: u64| {
        let views: Vec<Vec<f32>> = indices
            .par_iter()
            .map(|&i| {
                let patch = patches.get(i);
                let mut stream = Stream::new(seed, "views", epoch, i as u64).child(which);
                view(patch.pixels, patch.size, patch.channels, params, &mut stream)
            })
            .collect();
        Tensor::from_vec(views.concat(), (indices.len(), params.size, params.size, 3), &Device::Cpu)
    };
    Ok([make(0)?, make(1)?])
}

/// Images f32 `[batch, height, width, 3]` and masks u8 `[batch, height, width]`, on the CPU.
#[derive(Clone, Debug)]
pub struct PairBatch {
    /// Normalised images.
    pub images: Tensor,
    /// Class indices.
    pub masks: Tensor,
}

/// The samples `indices`, each changed at random: sample `i` in `epoch` is a pure function of (seed, epoch, i).
///
/// # Errors
/// candle's, also if the samples have different sizes and no `crop_size` makes them equal.
pub fn pair_batch(
    samples: &[(Micrograph, Mask)],
    indices: &[usize],
    params: &FinetuneAugment,
    seed: u64,
    epoch: u64,
) -> candle_core::Result<PairBatch> {
    let sizes: Vec<(usize, usize)> =
        indices.iter().map(|&i| params.output_size(samples[i].0.width, samples[i].0.height)).collect();
    let (width, height) = sizes.first().copied().unwrap_or_default();
    if let Some(other) = sizes.iter().find(|&&size| size != (width, height)) {
        candle_core::bail!(
            "images of {width}×{height} and {}×{} in one batch: give `crop_size`, or `resize` them",
            other.0,
            other.1
        );
    }
    let pairs: Vec<(Vec<f32>, Vec<u8>)> = indices
        .par_iter()
        .map(|&i| {
            let (image, mask) = &samples[i];
            augment_pair(image, mask, params, &mut Stream::new(seed, "pairs", epoch, i as u64))
        })
        .collect();
    let (images, masks): (Vec<Vec<f32>>, Vec<Vec<u8>>) = pairs.into_iter().unzip();
    let batch = indices.len();
    Ok(PairBatch {
        images: Tensor::from_vec(images.concat(), (batch, height, width, 3), &Device::Cpu)?,
        masks: Tensor::from_vec(masks.concat(), (batch, height, width), &Device::Cpu)?,
    })
}
