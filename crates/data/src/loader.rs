//! Batches, made ahead of time in an order that no number of threads changes.

use super::augment::{FinetuneAugment, Pixel, Recipe, Scratch, ViewParams, place_pair, written};
use super::patches::Patches;
use super::{Mask, Micrograph};
use candle_core::{Device, Tensor};
use matssl_base::random::Stream;
use rayon::prelude::*;
use rayon::{ThreadPoolBuildError, ThreadPoolBuilder, current_num_threads};
use std::mem::MaybeUninit;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

/// Batches that wait while the network is busy.
const AHEAD: usize = 2;

/// Batches that lie in memory at once at most: those that wait, the one in use, the one being made, and one to spare.
pub const BATCHES_HELD: u64 = AHEAD as u64 + 3;

/// Results of `make(0)`, `make(1)`, … in order, made ahead by a thread of its own. Dropping it stops the thread after
/// the batch it is at.
pub struct Prefetch<T> {
    /// `None` only while being dropped.
    receiver: Option<Receiver<T>>,
    thread: Option<JoinHandle<()>>,
}

/// Calls `make` for 0..`n` in the background, at most two results ahead and in order.
///
/// `make` may use rayon: it has a pool of its own, of as many threads as the caller's, because those of the caller's may
/// all be waiting for a batch.
///
/// # Errors
/// If no threads can be started.
pub fn prefetch<T: Send + 'static>(
    n: usize,
    make: impl Fn(usize) -> T + Send + 'static,
) -> Result<Prefetch<T>, ThreadPoolBuildError> {
    let (sender, receiver) = sync_channel(AHEAD);
    let pool = ThreadPoolBuilder::new().num_threads(current_num_threads()).build()?;
    let work = move || {
        for i in 0..n {
            if sender.send(make(i)).is_err() {
                return;
            }
        }
    };
    Ok(Prefetch { receiver: Some(receiver), thread: Some(std::thread::spawn(move || pool.install(work))) })
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

/// Two views of each of the patches `indices`: f32 `[batch, size, size, 3]` each, normalised, on the CPU.
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
    let (batch, each) = (indices.len(), params.size * params.size * 3);
    let make = |out: [&mut [MaybeUninit<f32>]; 2]| {
        make_views(patches, indices, params, (seed, epoch), out, Scratch::normalize);
    };
    // SAFETY: each view is written by `normalize`, and the views are all there is.
    let (first, (second, ())) =
        unsafe { written(batch * each, |first| written(batch * each, |second| make([first, second]))) };
    let tensor = |views| Tensor::from_vec(views, (batch, params.size, params.size, 3), &Device::Cpu);
    Ok([tensor(first)?, tensor(second)?])
}

/// The same views before they are normalised, in `channels` channels ([`Patches::channels`] or 3), for a GPU: each of `out`
/// has room for just them.
///
/// # Panics
/// If it has not.
pub fn view_pixels<P: Pixel>(
    patches: &Patches,
    indices: &[usize],
    params: &ViewParams,
    (seed, epoch): (u64, u64),
    channels: usize,
    out: [&mut [P]; 2],
) {
    make_views(patches, indices, params, (seed, epoch), out, |view, out| P::write(view, channels, out));
}

fn make_views<T: Send>(
    patches: &Patches,
    indices: &[usize],
    params: &ViewParams,
    (seed, epoch): (u64, u64),
    out: [&mut [T]; 2],
    write: impl Fn(&Scratch, &mut [T]) + Sync,
) {
    let [first, second] = out.map(|views| in_chunks(views, indices.len()));
    first.zip_eq(second).zip_eq(indices).for_each_init(Scratch::default, |scratch, ((first, second), &i)| {
        let patch = patches.get(i);
        let stream = Stream::new(seed, "views", epoch, i as u64);
        for (which, out) in [(0, first), (1, second)] {
            let recipe = Recipe::draw(params, patch.size, patch.size, &mut stream.child(which));
            recipe.make(patch.pixels, patch.size, patch.channels, scratch);
            write(scratch, out);
        }
    });
}

/// `all` in `count` parts of one length, of at least one element.
fn in_chunks<T: Send>(all: &mut [T], count: usize) -> rayon::slice::ChunksExactMut<'_, T> {
    let length = (all.len() / count.max(1)).max(1);
    all.par_chunks_exact_mut(length)
}

/// Images f32 `[batch, height, width, 3]` and masks u8 `[batch, height, width]`, on the CPU.
#[derive(Clone, Debug)]
pub struct PairBatch {
    /// Normalised images.
    pub images: Tensor,
    /// Class indices.
    pub masks: Tensor,
}

/// The samples `drawn` (epoch, index), each changed at random: sample `i` in an epoch is a pure function of (seed, epoch, i).
///
/// # Errors
/// candle's, also if the samples have different sizes and no `crop_size` makes them equal.
pub fn pair_batch(
    samples: &[(Micrograph, Mask)],
    drawn: &[(u64, usize)],
    params: &FinetuneAugment,
    seed: u64,
) -> candle_core::Result<PairBatch> {
    let [width, height] = pair_size(samples, drawn, params)?;
    let (batch, pixels) = (drawn.len(), width * height);
    let make = |images: &mut [MaybeUninit<f32>], masks: &mut [MaybeUninit<u8>]| {
        make_pairs(samples, drawn, params, seed, (images, masks), Scratch::normalize);
    };
    // SAFETY: each image is written by `normalize`, each mask by `place_pair`, and they are all there is.
    let (images, (masks, ())) =
        unsafe { written(batch * 3 * pixels, |images| written(batch * pixels, |masks| make(images, masks))) };
    Ok(PairBatch {
        images: Tensor::from_vec(images, (batch, height, width, 3), &Device::Cpu)?,
        masks: Tensor::from_vec(masks, (batch, height, width), &Device::Cpu)?,
    })
}

/// The same with images that are not normalised yet, in `channels` channels, for a GPU: `images` has room for just them.
/// Returns the masks.
///
/// # Errors
/// As [`pair_batch`].
///
/// # Panics
/// If `images` has not.
pub fn pair_pixels<P: Pixel>(
    samples: &[(Micrograph, Mask)],
    drawn: &[(u64, usize)],
    params: &FinetuneAugment,
    seed: u64,
    channels: usize,
    images: &mut [P],
) -> candle_core::Result<Tensor> {
    let [width, height] = pair_size(samples, drawn, params)?;
    let make = |masks: &mut [MaybeUninit<u8>]| {
        make_pairs(samples, drawn, params, seed, (images, masks), |image, out| P::write(image, channels, out));
    };
    // SAFETY: each mask is written by `place_pair`, and the masks are all there is.
    let (masks, ()) = unsafe { written(drawn.len() * width * height, make) };
    Tensor::from_vec(masks, (drawn.len(), height, width), &Device::Cpu)
}

/// Width and height of every sample.
fn pair_size(
    samples: &[(Micrograph, Mask)],
    drawn: &[(u64, usize)],
    params: &FinetuneAugment,
) -> candle_core::Result<[usize; 2]> {
    let mut sizes = drawn.iter().map(|&(_, i)| params.output_size(samples[i].0.width, samples[i].0.height));
    let (width, height) = sizes.next().unwrap_or_default();
    if let Some(other) = sizes.find(|&size| size != (width, height)) {
        candle_core::bail!(
            "images of {width}×{height} and {}×{} in one batch: give `crop_size`, or `resize` them",
            other.0,
            other.1
        );
    }
    Ok([width, height])
}

fn make_pairs<T: Send>(
    samples: &[(Micrograph, Mask)],
    drawn: &[(u64, usize)],
    params: &FinetuneAugment,
    seed: u64,
    (images, masks): (&mut [T], &mut [MaybeUninit<u8>]),
    write: impl Fn(&Scratch, &mut [T]) + Sync,
) {
    let pairs = in_chunks(images, drawn.len()).zip_eq(in_chunks(masks, drawn.len()));
    pairs.zip_eq(drawn).for_each_init(Scratch::default, |scratch, ((out, labels), &(epoch, i))| {
        let (image, mask) = &samples[i];
        place_pair(image, mask, params, &mut Stream::new(seed, "pairs", epoch, i as u64), scratch, labels);
        write(scratch, out);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Split;
    use crate::patches::{Edge, PATCHES, PatchParams, Use, cut};
    use crate::synthesize::{SynthesizeParams, synthesize, synthesize_one};
    use crate::{OpenDataset, Root};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn results_come_in_order_and_not_many_are_made_ahead() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let mut items = prefetch(50, move |i| {
            count.fetch_add(1, Ordering::SeqCst);
            i * i
        })
        .unwrap();
        assert_eq!(items.next(), Some(0));
        std::thread::sleep(Duration::from_millis(50));
        // One taken, two waiting, one in the hands of the thread.
        assert_eq!(made.load(Ordering::SeqCst), 4);
        assert_eq!(items.collect::<Vec<_>>(), (1..50).map(|i| i * i).collect::<Vec<_>>());
        assert_eq!(prefetch(0, |i| i).unwrap().next(), None);
    }

    #[test]
    fn dropping_stops_the_thread_and_its_panic_is_ours() {
        drop(prefetch(usize::MAX, |i| i).unwrap());
        let caught = std::panic::catch_unwind(|| {
            prefetch(3, |i| if i == 1 { std::panic::resume_unwind(Box::new("broken")) } else { i }).unwrap().count()
        });
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"broken"));
    }

    fn in_pool<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
    }

    #[test]
    fn batches_have_the_same_bits_for_any_number_of_threads() {
        let out = tempfile::tempdir().unwrap();
        let params = SynthesizeParams { size: 64, unlabeled: 2, train: 0, val: 0, test: 0, ..Default::default() };
        let manifest = synthesize(&params, out.path(), &|_, _| {}).unwrap();
        let dataset = OpenDataset::new(manifest, Root::Folder(out.path().into()));
        let params = PatchParams { size: 32, overlap: 0.5, edge: Edge::Drop, from: Use::Unlabeled };
        assert_eq!(cut(&dataset, &params, out.path(), &mut |_, _| {}).unwrap(), 18);
        let patches = Patches::open(&out.path().join(PATCHES)).unwrap();
        let views = ViewParams { size: 24, ..Default::default() };
        let batch = |threads, seed, epoch| {
            let made = in_pool(threads, || view_batch(&patches, &[7, 0, 17, 3], &views, seed, epoch).unwrap());
            made.map(|view| {
                assert_eq!(view.dims(), [4, 24, 24, 3]);
                view.flatten_all().unwrap().to_vec1::<f32>().unwrap()
            })
        };
        let first = batch(1, 0, 0);
        assert_ne!(first[0], first[1]);
        assert_eq!(first, batch(2, 0, 0));
        assert_eq!(first, batch(5, 0, 0));
        assert_ne!(first, batch(1, 1, 0));
        assert_ne!(first, batch(1, 0, 1));
    }

    #[test]
    fn pairs_need_one_size() {
        let synthetic = |size| {
            let params = SynthesizeParams { size, ..Default::default() };
            synthesize_one(&params, Split::Train, 0)
        };
        let samples = [synthetic(64), synthetic(48)];
        let error = pair_batch(&samples, &[(0, 0), (0, 1)], &FinetuneAugment::none(), 0).unwrap_err().to_string();
        let expected = "images of 64×64 and 48×48 in one batch: give `crop_size`, or `resize` them";
        assert!(error.contains(expected), "{error}");
        let params = FinetuneAugment { crop_size: Some(40), ..Default::default() };
        let batch = pair_batch(&samples, &[(0, 1), (0, 0), (0, 1)], &params, 0).unwrap();
        assert_eq!((batch.images.dims(), batch.masks.dims()), (&[3, 40, 40, 3][..], &[3, 40, 40][..]));
        assert_eq!(batch.masks.dtype(), candle_core::DType::U8);
    }
}
