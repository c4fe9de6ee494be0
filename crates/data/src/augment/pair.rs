//! The same random change of image and mask, for fine-tuning.

use super::preset::with_presets;
use super::reflect::reflect;
use super::scratch::Scratch;
use crate::{Mask, Micrograph};
use matssl_base::random::Stream;
use schemars::JsonSchema;
use serde::Deserialize;
use std::mem::MaybeUninit;

with_presets! {
    /// Augmentations of fine-tuning. Only changes after which a micrograph still looks like one: no scaling, no blur.
    pub struct FinetuneAugment from FinetunePreset {
        /// Side of the random crop in pixels; without it the whole image. A smaller image is mirrored at its border.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub crop_size: Option<usize>,
        /// Left-right and up-down flips, each with probability 1/2.
        pub flip: bool,
        /// Quarter turns, each of the four with probability 1/4 (square crops only; others turn by 180°).
        pub turn: bool,
        /// Brightness is multiplied by 1 ± this.
        pub brightness: f64,
        /// Contrast is multiplied by 1 ± this.
        pub contrast: f64,
    }
}

/// Values to start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FinetunePreset {
    /// All flips and turns, brightness and contrast ± 0.2.
    #[default]
    Default,
    /// No change but the crop, as the MatSSL authors do it (utils/data_processing/finetune_dataset.py of dhp510/MatSSL:
    /// resize and normalise, nothing else).
    None,
}

impl From<FinetunePreset> for FinetuneAugment {
    fn from(preset: FinetunePreset) -> Self {
        match preset {
            FinetunePreset::Default => {
                FinetuneAugment { crop_size: None, flip: true, turn: true, brightness: 0.2, contrast: 0.2 }
            }
            FinetunePreset::None => FinetuneAugment::none(),
        }
    }
}

impl FinetuneAugment {
    /// No change but the crop.
    pub fn none() -> Self {
        FinetuneAugment { crop_size: None, flip: false, turn: false, brightness: 0.0, contrast: 0.0 }
    }

    /// Checks bounds.
    ///
    /// # Errors
    /// (parameter, message).
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        for (name, strength) in [("brightness", self.brightness), ("contrast", self.contrast)] {
            if !(0.0..=1.0).contains(&strength) {
                return Err((name, format!("{strength} is out of range: 0 to 1")));
            }
        }
        if self.crop_size == Some(0) {
            return Err(("crop_size", "a crop needs at least one pixel".into()));
        }
        Ok(())
    }

    /// Whether pixels are only moved. Then their values are still bytes, but for rounding errors of a contrast change by a
    /// factor of 1.
    pub fn keeps_values(&self) -> bool {
        self.brightness == 0.0 && self.contrast == 0.0
    }

    /// (width, height) of the output for an image of `width` × `height`.
    pub(crate) fn output_size(&self, width: usize, height: usize) -> (usize, usize) {
        self.crop_size.map_or((width, height), |size| (size, size))
    }
}

/// Makes one random change to an image and its mask, which have the same size. Leaves the image, not normalised yet, in
/// `scratch`, and writes all of `labels` `[height, width]`. The output has [`FinetuneAugment::output_size`].
///
/// # Panics
/// If `labels` has another length.
pub(crate) fn augment_pair(
    image: &Micrograph,
    mask: &Mask,
    params: &FinetuneAugment,
    stream: &mut Stream,
    scratch: &mut Scratch,
    labels: &mut [MaybeUninit<u8>],
) {
    let (width, height) = params.output_size(image.width, image.height);
    assert_eq!(labels.len(), width * height, "length of a mask");
    let mut offset = |length: usize, crop: usize| match length.checked_sub(crop) {
        Some(room) => stream.below(room as u64 + 1) as usize,
        None => 0,
    };
    let (left, top) = (offset(image.width, width), offset(image.height, height));
    let (across, down) = (stream.chance(0.5), stream.chance(0.5));
    let (across, down) = (params.flip && across, params.flip && down);
    let turn = stream.below(4);
    let turn = match (params.turn, width == height) {
        (false, _) => 0,
        (true, true) => turn,
        (true, false) => turn & 2,
    };
    let columns: Vec<usize> = (0..width).map(|x| reflect(left + x, image.width)).collect();
    let rows: Vec<usize> = (0..height).map(|y| reflect(top + y, image.height) * image.width).collect();
    // The input pixel of an output pixel, for image and mask alike.
    let source = |x: usize, y: usize| {
        let (x, y) = match turn {
            0 => (x, y),
            1 => (y, width - 1 - x),
            2 => (width - 1 - x, height - 1 - y),
            _ => (height - 1 - y, x),
        };
        let column = columns[if across { width - 1 - x } else { x }];
        rows[if down { height - 1 - y } else { y }] + column
    };
    let sources = || (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| source(x, y));
    let planes = &mut scratch.planes;
    planes.reshape(image.channels, height, width);
    match planes.rgb_mut() {
        None if image.channels > 1 => {
            for (label, i) in labels.iter_mut().zip(sources()) {
                label.write(mask.labels[i]);
            }
            for (channel, plane) in planes.each_mut().enumerate() {
                for (value, i) in plane.iter_mut().zip(sources()) {
                    *value = f32::from(image.pixels[i * image.channels + channel]);
                }
            }
        }
        None => {
            for ((label, value), i) in labels.iter_mut().zip(planes.values_mut()).zip(sources()) {
                label.write(mask.labels[i]);
                *value = f32::from(image.pixels[i]);
            }
        }
        Some([red, green, blue]) => {
            let pixels = image.pixels.as_chunks::<3>().0;
            for ((((label, red), green), blue), i) in labels.iter_mut().zip(red).zip(green).zip(blue).zip(sources()) {
                label.write(mask.labels[i]);
                [*red, *green, *blue] = pixels[i].map(f32::from);
            }
        }
    }
    let mut factor = |strength: f64| stream.range(1.0 - strength, 1.0 + strength) as f32;
    planes.brightness(factor(params.brightness));
    planes.contrast(factor(params.contrast));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::{filled_vec, normalize};

    fn augmented(
        image: &Micrograph,
        mask: &Mask,
        params: &FinetuneAugment,
        stream: &mut Stream,
    ) -> (Vec<f32>, Vec<u8>) {
        let (width, height) = params.output_size(image.width, image.height);
        let mut scratch = Scratch::default();
        let pixels = width * height;
        let in_channels = if image.channels == 1 { 3 } else { image.channels };
        // SAFETY: `augment_pair` writes all labels or panics.
        let (labels, ()) =
            unsafe { filled_vec(pixels, |labels| augment_pair(image, mask, params, stream, &mut scratch, labels)) };
        // SAFETY: `normalize` writes all values or panics.
        let (values, ()) = unsafe { filled_vec(in_channels * pixels, |values| scratch.normalize(in_channels, values)) };
        (values, labels)
    }

    /// An image and a mask whose values are the pixels' numbers.
    fn numbered(width: usize, height: usize) -> (Micrograph, Mask) {
        let pixels: Vec<u8> = (0..width * height).map(|i| i as u8).collect();
        (Micrograph { width, height, channels: 1, pixels: pixels.clone() }, Mask { width, height, labels: pixels })
    }

    #[test]
    fn image_and_mask_move_together() {
        for (width, height, crop_size) in [(9, 9, None), (12, 7, None), (15, 11, Some(6)), (5, 4, Some(8))] {
            let (image, mask) = numbered(width, height);
            let params = FinetuneAugment { crop_size, brightness: 0.0, contrast: 0.0, ..Default::default() };
            let mut seen = std::collections::BTreeSet::new();
            for index in 0..64 {
                let (values, labels) = augmented(&image, &mask, &params, &mut Stream::new(0, "pair", 0, index));
                let values_of: Vec<f32> = labels.iter().map(|&v| f32::from(v)).collect();
                let expected = normalize(&values_of, 1, 3);
                assert!(values.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4));
                let size = params.output_size(width, height);
                assert_eq!(labels.len(), size.0 * size.1);
                seen.insert(labels);
            }
            // 8 orientations of a square, 4 of a rectangle, more with crops.
            assert!(seen.len() >= if width == height { 8 } else { 4 }, "{}", seen.len());
            if crop_size.is_none() {
                assert_eq!(seen.len(), if width == height { 8 } else { 4 });
                assert!(
                    seen.iter()
                        .all(|labels| labels.iter().collect::<std::collections::BTreeSet<_>>().len() == width * height)
                );
            }
        }
    }

    #[test]
    fn every_channel_moves_with_the_mask() {
        let (grey, mask) = numbered(9, 7);
        for channels in [2, 5] {
            let pixels = grey.pixels.iter().flat_map(|&v| (0..channels).map(move |k| v + 30 * k as u8)).collect();
            let image = Micrograph { channels, pixels, ..grey.clone() };
            let params = FinetuneAugment { crop_size: Some(5), brightness: 0.0, contrast: 0.0, ..Default::default() };
            for index in 0..16 {
                let (values, labels) = augmented(&image, &mask, &params, &mut Stream::new(0, "pair", 0, index));
                let expected = labels.iter().flat_map(|&v| (0..channels).map(move |k| f32::from(v + 30 * k as u8)));
                let expected = normalize(&expected.collect::<Vec<_>>(), channels, channels);
                assert_eq!((values.len(), labels.len()), (25 * channels, 25));
                assert!(values.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4), "{channels}");
            }
        }
    }

    #[test]
    fn an_rgb_image_moves_as_a_grey_one() {
        let (grey, mask) = numbered(7, 7);
        let rgb =
            Micrograph { channels: 3, pixels: grey.pixels.iter().flat_map(|&v| [v; 3]).collect(), ..grey.clone() };
        for index in 0..16 {
            let change = |image| {
                let params = FinetuneAugment { crop_size: Some(5), ..Default::default() };
                augmented(image, &mask, &params, &mut Stream::new(0, "pair", 0, index))
            };
            let (one, three) = (change(&grey), change(&rgb));
            assert_eq!(one.1, three.1);
            assert!(one.0.iter().zip(&three.0).all(|(a, b)| (a - b).abs() < 1e-4));
        }
    }
}
