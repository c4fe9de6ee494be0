//! The same random change of image and mask, for fine-tuning.

use super::crop_pixels::{moved, warped};
use super::preset::with_presets;
use super::reflect::reflect;
use super::scratch::Scratch;
use super::target::Target;
use super::warp::{Warp, WarpStrength};
use crate::{Mask, Micrograph};
use matssl_base::random::Stream;
use schemars::JsonSchema;
use serde::Deserialize;
use std::mem::MaybeUninit;

with_presets! {
    /// Augmentations of fine-tuning. By default only changes after which a micrograph still looks like one: no scaling, no blur.
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
        /// Bounds of the factor by which things become larger, drawn log-uniformly.
        #[serde(skip_serializing_if = "is_still")]
        pub scale: [f64; 2],
        /// Rotation by ± this angle in degrees.
        #[serde(skip_serializing_if = "is_off")]
        pub rotation: f64,
        /// Elastic deformation: standard deviation in pixels of random displacements on a grid of 3 × 3, bicubic between them (Ronneberger et al.
        /// 2015).
        #[serde(skip_serializing_if = "is_off")]
        pub elastic: f64,
        /// Grey levels are raised to a power from 1 / (1 + this) to 1 + this, drawn log-uniformly.
        #[serde(skip_serializing_if = "is_off")]
        pub gamma: f64,
        /// Gaussian noise with a standard deviation of up to this, in grey levels of 255.
        #[serde(skip_serializing_if = "is_off")]
        pub noise: f64,
        /// Gaussian blur with a standard deviation of up to this, in pixels.
        #[serde(skip_serializing_if = "is_off")]
        pub blur: f64,
        /// Only one pixel in up to this many is kept along each axis, and the rest interpolated; at least 1.
        #[serde(skip_serializing_if = "is_one")]
        pub low_resolution: f64,
        /// A rectangle of up to this part of the area is hidden in the image; the mask keeps it.
        #[serde(skip_serializing_if = "is_off")]
        pub cutout: f64,
        /// Probability of each of `scale` to `cutout`.
        #[serde(skip_serializing_if = "is_one")]
        pub probability: f64,
    }
}

/// Values to start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FinetunePreset {
    /// All flips and turns, brightness and contrast ± 0.2.
    #[default]
    Default,
    /// As `default`, and scaling by 0.8 to 1.25, rotation by any angle up to 15°, gamma 0.2: other magnifications and detectors.
    Light,
    /// The changes and strengths of nnU-Net (Isensee et al. 2021, suppl. note 4): scaling by 0.7 to 1.4, rotation by any angle, gamma, noise, blur, low
    /// resolution, each with probability 0.2; elastic deformation is left out there, too.
    #[serde(rename = "nnunet")]
    NnUnet,
    /// No change but the crop, as the MatSSL authors do it (utils/data_processing/finetune_dataset.py of dhp510/MatSSL:
    /// resize and normalise, nothing else).
    None,
}

fn is_off(strength: &f64) -> bool {
    *strength == 0.0
}

fn is_one(value: &f64) -> bool {
    *value == 1.0
}

fn is_still(scale: &[f64; 2]) -> bool {
    *scale == [1.0, 1.0]
}

impl From<FinetunePreset> for FinetuneAugment {
    fn from(preset: FinetunePreset) -> Self {
        match preset {
            FinetunePreset::Default => {
                FinetuneAugment { flip: true, turn: true, brightness: 0.2, contrast: 0.2, ..FinetuneAugment::none() }
            }
            FinetunePreset::Light => {
                FinetuneAugment { scale: [0.8, 1.25], rotation: 15.0, gamma: 0.2, ..FinetunePreset::Default.into() }
            }
            FinetunePreset::NnUnet => FinetuneAugment {
                brightness: 0.25,
                contrast: 0.25,
                scale: [0.7, 1.4],
                rotation: 180.0,
                gamma: 0.5,
                noise: 15.0,
                blur: 1.0,
                low_resolution: 2.0,
                probability: 0.2,
                ..FinetunePreset::Default.into()
            },
            FinetunePreset::None => FinetuneAugment::none(),
        }
    }
}

impl FinetuneAugment {
    /// No change but the crop.
    pub fn none() -> Self {
        FinetuneAugment {
            crop_size: None,
            flip: false,
            turn: false,
            brightness: 0.0,
            contrast: 0.0,
            scale: [1.0, 1.0],
            rotation: 0.0,
            elastic: 0.0,
            gamma: 0.0,
            noise: 0.0,
            blur: 0.0,
            low_resolution: 1.0,
            cutout: 0.0,
            probability: 1.0,
        }
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
        let [least, most] = self.scale;
        if !(0.1 <= least && least <= most && most <= 10.0) {
            return Err(("scale", format!("{least} to {most} is out of range: 0.1 to 10, the smaller one first")));
        }
        for (name, value, [least, most]) in [
            ("rotation", self.rotation, [0.0, 180.0]),
            ("elastic", self.elastic, [0.0, 100.0]),
            ("gamma", self.gamma, [0.0, 9.0]),
            ("noise", self.noise, [0.0, 255.0]),
            ("blur", self.blur, [0.0, 20.0]),
            ("low_resolution", self.low_resolution, [1.0, 16.0]),
            ("cutout", self.cutout, [0.0, 0.9]),
            ("probability", self.probability, [0.0, 1.0]),
        ] {
            if !(least..=most).contains(&value) {
                return Err((name, format!("{value} is out of range: {least} to {most}")));
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
        let FinetuneAugment { brightness, contrast, scale, rotation, elastic, gamma, noise, blur, cutout, .. } = *self;
        let strengths = [brightness, contrast, rotation, elastic, gamma, noise, blur, cutout];
        strengths == [0.0; 8] && scale == [1.0, 1.0] && self.low_resolution == 1.0
    }

    fn warp(&self) -> WarpStrength {
        let FinetuneAugment { scale, rotation, elastic, probability, .. } = *self;
        WarpStrength { scale, rotation, elastic, probability }
    }

    /// (width, height) of the output for an image of `width` × `height`.
    pub(crate) fn output_size(&self, width: usize, height: usize) -> (usize, usize) {
        self.crop_size.map_or((width, height), |size| (size, size))
    }
}

/// Makes one random change to an image and its mask, which have the same size. Leaves the image, not normalised yet, in
/// `scratch`, and writes all of `labels` `[height, width]`. The output has [`FinetuneAugment::output_size`]. With a `target` the crop
/// lies where it holds that pixel, and all else is as without.
///
/// # Panics
/// If `labels` has another length.
pub(crate) fn augment_pair(
    image: &Micrograph,
    mask: &Mask,
    params: &FinetuneAugment,
    target: Option<Target>,
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
    let warp = Warp::draw(params.warp(), (width, height), stream);
    let sizes = ([image.width, image.height], [width, height]);
    let planes = &mut scratch.planes;
    planes.reshape(image.channels, height, width);
    if let Some(warp) = warp {
        // Where a pixel comes from in the crop before it is turned and flipped.
        let place = |x: usize, y: usize| {
            let [x, y] = warp.source(x, y);
            // A crop is turned about its centre; what lies outside of it comes from the image.
            let (x, y) = match turn {
                0 => (x, y),
                1 => (y, (width - 1) as f64 - x),
                2 => ((width - 1) as f64 - x, (height - 1) as f64 - y),
                _ => ((height - 1) as f64 - y, x),
            };
            let x = if across { (width - 1) as f64 - x } else { x };
            [x, if down { (height - 1) as f64 - y } else { y }]
        };
        let [left, top] = match target {
            Some(target) => target.corner_of_warped(sizes, place),
            None => [left as f64, top as f64],
        };
        let source = |x: usize, y: usize| {
            let [x, y] = place(x, y);
            [left + x, top + y]
        };
        warped(image, mask, source, planes, labels);
    } else {
        let [left, top] = target.map_or([left, top], |target| target.corner(sizes));
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
        moved(image, mask, sources, planes, labels);
    }
    let mut factor = |strength: f64| stream.range(1.0 - strength, 1.0 + strength) as f32;
    planes.brightness(factor(params.brightness));
    planes.contrast(factor(params.contrast));
    degrade(params, scratch, stream);
}

/// Gamma, blur, low resolution, noise and a hidden part, in the order of light, lens, detector.
fn degrade(params: &FinetuneAugment, scratch: &mut Scratch, stream: &mut Stream) {
    let chance = |is_on: bool, stream: &mut Stream| is_on && stream.chance(params.probability);
    if chance(params.gamma > 0.0, stream) {
        let bound = params.gamma.ln_1p();
        scratch.planes.gamma(stream.range(-bound, bound).exp() as f32);
    }
    if chance(params.blur > 0.0, stream) {
        // Below a tenth of a pixel nothing is blurred.
        let sigma = stream.range(0.0, params.blur) as f32;
        if sigma >= 0.1 {
            scratch.blur(sigma);
        }
    }
    if chance(params.low_resolution > 1.0, stream) {
        scratch.planes.low_resolution(stream.range(1.0, params.low_resolution) as f32);
    }
    if chance(params.noise > 0.0, stream) {
        let sigma = stream.range(0.0, params.noise);
        scratch.planes.noise(sigma, stream);
    }
    if chance(params.cutout > 0.0, stream) {
        let planes = &mut scratch.planes;
        let (area, ratio) = (stream.range(0.0, params.cutout), stream.range(-0.7, 0.7).exp());
        let side = |length: usize, part: f64| ((length as f64 * part).round() as usize).min(length);
        let size = (side(planes.width(), (area * ratio).sqrt()), side(planes.height(), (area / ratio).sqrt()));
        let mut start = |length: usize, own: usize| stream.below((length - own) as u64 + 1) as usize;
        let at = (start(planes.width(), size.0), start(planes.height(), size.1));
        planes.hide(at, size);
    }
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
        let (labels, ()) = unsafe {
            filled_vec(pixels, |labels| augment_pair(image, mask, params, None, stream, &mut scratch, labels))
        };
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

    /// A ramp is a ramp in any place, so a value says where a pixel comes from: the label of the nearest pixel belongs to it.
    #[test]
    fn a_warped_mask_lies_on_its_image() {
        let (width, height) = (40, 40);
        let pixels: Vec<u8> = (0..width * height).map(|i| 3 * (i % width) as u8 + 2 * (i / width) as u8).collect();
        let image = Micrograph { width, height, channels: 1, pixels: pixels.clone() };
        let mask = Mask { width, height, labels: pixels };
        let params = FinetuneAugment {
            crop_size: Some(16),
            scale: [0.7, 1.4],
            rotation: 180.0,
            elastic: 2.0,
            brightness: 0.0,
            contrast: 0.0,
            ..Default::default()
        };
        let (mut scratch, mut seen) = (Scratch::default(), std::collections::BTreeSet::new());
        for index in 0..32 {
            let mut stream = Stream::new(0, "warp", 0, index);
            // SAFETY: `augment_pair` writes all labels or panics.
            let (labels, ()) = unsafe {
                filled_vec(256, |labels| augment_pair(&image, &mask, &params, None, &mut stream, &mut scratch, labels))
            };
            for (value, label) in scratch.planes.values().iter().zip(&labels) {
                // At most half a pixel in each direction.
                assert!((value - f32::from(*label)).abs() <= 2.5 + 1e-3, "{value} {label}");
            }
            seen.insert(labels);
        }
        assert_eq!(seen.len(), 32);
    }

    #[test]
    fn presets_are_valid_and_what_is_off_is_not_written() {
        for preset in [FinetunePreset::Default, FinetunePreset::Light, FinetunePreset::NnUnet, FinetunePreset::None] {
            FinetuneAugment::from(preset).check().unwrap();
        }
        let written = serde_json::to_value(FinetuneAugment::default()).unwrap();
        assert_eq!(written, serde_json::json!({ "flip": true, "turn": true, "brightness": 0.2, "contrast": 0.2 }));
        let wrong = FinetuneAugment { scale: [1.2, 0.8], ..FinetuneAugment::none() };
        assert_eq!(wrong.check().unwrap_err().0, "scale");
        let wrong = FinetuneAugment { low_resolution: 0.5, ..FinetuneAugment::none() };
        assert_eq!(wrong.check().unwrap_err().0, "low_resolution");
        let all = FinetuneAugment { elastic: 3.0, cutout: 0.3, probability: 1.0, ..FinetunePreset::NnUnet.into() };
        let (image, mask) = numbered(20, 20);
        for index in 0..64 {
            let (values, labels) = augmented(&image, &mask, &all, &mut Stream::new(0, "all", 0, index));
            assert!(values.iter().all(|value| value.is_finite()) && labels.len() == 400);
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
