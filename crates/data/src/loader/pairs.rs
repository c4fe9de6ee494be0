//! Batches of images with their masks, for fine-tuning.

use super::chunks::in_chunks;
use super::rare_crops::RareCrops;
use crate::augment::{FinetuneAugment, Pixel, Scratch, augment_pair, filled_vec};
use crate::{Mask, Micrograph};
use matssl_base::random::Stream;
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Images of different sizes in one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("images of {}×{} and {}×{} in one batch: give `crop_size`, or `resize` them", .0[0], .0[1], .1[0], .1[1])]
pub struct DifferentSizes([usize; 2], [usize; 2]);

/// A batch of images with their masks, all of one size.
#[derive(Clone, Debug)]
pub struct PairBatch {
    /// Normalised images: `[batch, height, width, in_channels]`.
    pub images: Vec<f32>,
    /// Class indices.
    pub masks: Masks,
}

/// Class indices of a batch.
#[derive(Clone, Debug)]
pub struct Masks {
    /// `[batch, height, width]`.
    pub labels: Vec<u8>,
    /// Batch, height, width.
    pub shape: [usize; 3],
}

/// The samples `drawn`, (epoch, index) each, changed at random, for a network of `in_channels`. Sample `i` in an epoch is a pure function of (seed, epoch, i).
/// With `rare` some crops hold a pixel of a rare class.
///
/// # Errors
/// If the samples have different sizes and no `crop_size` makes them equal.
///
/// # Panics
/// If the images do not fit the network ([`fits`](crate::fits)).
pub fn pair_batch(
    samples: &[(Micrograph, Mask)],
    drawn: &[(u64, usize)],
    params: &FinetuneAugment,
    rare: Option<&RareCrops>,
    seed: u64,
    in_channels: usize,
) -> Result<PairBatch, DifferentSizes> {
    let [width, height] = pair_size(samples, drawn, params)?;
    let (batch, pixels) = (drawn.len(), width * height);
    let make = |images: &mut [MaybeUninit<f32>], masks: &mut [MaybeUninit<u8>]| {
        make_pairs((samples, drawn), (params, rare), seed, (images, masks), |image, out| {
            image.normalize(in_channels, out)
        });
    };
    // SAFETY: `normalize` writes each image, `augment_pair` each mask, and the vectors hold nothing else.
    let (images, (labels, ())) = unsafe {
        filled_vec(batch * in_channels * pixels, |images| filled_vec(batch * pixels, |masks| make(images, masks)))
    };
    Ok(PairBatch { images, masks: Masks { labels, shape: [batch, height, width] } })
}

/// The same with images, grey or RGB, that are not normalised yet, in `channels` channels, for a GPU. Writes all of `images` and returns
/// the masks.
///
/// # Errors
/// As [`pair_batch`].
///
/// # Panics
/// If `images` has another length.
pub fn pair_pixels<P: Pixel>(
    samples: &[(Micrograph, Mask)],
    drawn: &[(u64, usize)],
    params: &FinetuneAugment,
    rare: Option<&RareCrops>,
    seed: u64,
    channels: usize,
    images: &mut [P],
) -> Result<Masks, DifferentSizes> {
    let [width, height] = pair_size(samples, drawn, params)?;
    let make = |masks: &mut [MaybeUninit<u8>]| {
        make_pairs((samples, drawn), (params, rare), seed, (images, masks), |image, out| {
            P::write(image, channels, out)
        });
    };
    // SAFETY: `augment_pair` writes each mask, and the vector holds nothing but masks.
    let (labels, ()) = unsafe { filled_vec(drawn.len() * width * height, make) };
    Ok(Masks { labels, shape: [drawn.len(), height, width] })
}

/// Width and height of every sample.
fn pair_size(
    samples: &[(Micrograph, Mask)],
    drawn: &[(u64, usize)],
    params: &FinetuneAugment,
) -> Result<[usize; 2], DifferentSizes> {
    let mut sizes = drawn.iter().map(|&(_, i)| params.output_size(samples[i].0.width, samples[i].0.height));
    let (width, height) = sizes.next().unwrap_or_default();
    match sizes.find(|&size| size != (width, height)) {
        Some((other_width, other_height)) => Err(DifferentSizes([width, height], [other_width, other_height])),
        None => Ok([width, height]),
    }
}

/// Images with their masks, and which of them, (epoch, index) each.
type Drawn<'s> = (&'s [(Micrograph, Mask)], &'s [(u64, usize)]);

fn make_pairs<T: Send>(
    (samples, drawn): Drawn<'_>,
    (params, rare): (&FinetuneAugment, Option<&RareCrops>),
    seed: u64,
    (images, masks): (&mut [T], &mut [MaybeUninit<u8>]),
    write: impl Fn(&Scratch, &mut [T]) + Sync,
) {
    let pairs = in_chunks(images, drawn.len()).zip_eq(in_chunks(masks, drawn.len()));
    pairs.zip_eq(drawn).for_each_init(Scratch::default, |scratch, ((out, labels), &(epoch, i))| {
        let (image, mask) = &samples[i];
        let target = rare.and_then(|rare| rare.target(mask, seed, epoch, i));
        let stream = &mut Stream::new(seed, "pairs", epoch, i as u64);
        augment_pair(image, mask, params, target, stream, scratch, labels);
        write(scratch, out);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Split;
    use crate::synthesize::{SynthesizeParams, synthesize_one};

    #[test]
    fn pairs_need_one_size() {
        let synthetic = |size| {
            let params = SynthesizeParams { size, ..Default::default() };
            synthesize_one(&params, Split::Train, 0)
        };
        let samples = [synthetic(64), synthetic(48)];
        let error =
            pair_batch(&samples, &[(0, 0), (0, 1)], &FinetuneAugment::none(), None, 0, 3).unwrap_err().to_string();
        let expected = "images of 64×64 and 48×48 in one batch: give `crop_size`, or `resize` them";
        assert!(error.contains(expected), "{error}");
        let params = FinetuneAugment { crop_size: Some(40), ..Default::default() };
        let batch = pair_batch(&samples, &[(0, 1), (0, 0), (0, 1)], &params, None, 0, 3).unwrap();
        assert_eq!((batch.images.len(), batch.masks.labels.len()), (3 * 40 * 40 * 3, 3 * 40 * 40));
        assert_eq!(batch.masks.shape, [3, 40, 40]);
    }

    /// Crops that look for nothing have the bits that they have without.
    #[test]
    fn other_crops_stay_as_they_are() {
        let params = SynthesizeParams { size: 64, ..Default::default() };
        let samples = [synthesize_one(&params, Split::Train, 0)];
        let augment = FinetuneAugment { crop_size: Some(24), ..crate::augment::FinetunePreset::NnUnet.into() };
        let classes = 1 + usize::from(*samples[0].1.labels.iter().max().unwrap());
        let drawn: Vec<(u64, usize)> = (0..40).map(|epoch| (epoch, 0)).collect();
        let made = |share: Option<f64>| {
            let rare = share.map(|share| RareCrops::new(share, &samples, classes, &[]));
            pair_batch(&samples, &drawn, &augment, rare.as_ref(), 3, 1).unwrap()
        };
        let (plain, half) = (made(None), made(Some(0.5)));
        assert!(made(Some(0.0)).images == plain.images);
        let same = plain.images.chunks(24 * 24).zip(half.images.chunks(24 * 24)).filter(|(a, b)| a == b).count();
        assert!((10..=30).contains(&same), "{same} of 40");
    }
}
