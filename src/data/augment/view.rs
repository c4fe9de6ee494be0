//! One random view of a patch, for contrastive pretraining.

use super::{Window, normalize, photometric, resample};
use crate::experiment;
use crate::random::Stream;
use serde::{Deserialize, Serialize};

/// The augmentations of SimCLR (Chen et al. 2020, appendix A) in lightly's form: `SimCLRTransform`'s defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ViewParams {
    /// Side of a view in pixels.
    pub size: usize,
    /// The least part of the patch's area that a view shows; the most is all of it.
    pub min_scale: f64,
    /// Bounds of the crop's width over its height, drawn log-uniformly.
    #[serde(deserialize_with = "experiment::exactly")]
    pub ratio: [f64; 2],
    /// Probability of a left-right flip.
    pub horizontal_flip: f64,
    /// Probability of an up-down flip.
    pub vertical_flip: f64,
    /// Probability of colour jitter as a whole.
    pub jitter: f64,
    /// Brightness is multiplied by 1 ± this.
    pub brightness: f64,
    /// Contrast likewise.
    pub contrast: f64,
    /// Saturation likewise; nothing for grey images.
    pub saturation: f64,
    /// Hue is turned by ± this part of a circle (at most 0.5); nothing for grey images.
    pub hue: f64,
    /// Probability of turning an RGB image grey.
    pub grayscale: f64,
    /// Probability of a Gaussian blur.
    pub blur: f64,
    /// Bounds of the blur's standard deviation in pixels.
    #[serde(deserialize_with = "experiment::exactly")]
    pub blur_sigma: [f64; 2],
}

impl Default for ViewParams {
    fn default() -> Self {
        ViewParams {
            size: 224,
            min_scale: 0.08,
            ratio: [3.0 / 4.0, 4.0 / 3.0],
            horizontal_flip: 0.5,
            vertical_flip: 0.0,
            jitter: 0.8,
            brightness: 0.8,
            contrast: 0.8,
            saturation: 0.8,
            hue: 0.2,
            grayscale: 0.2,
            blur: 0.5,
            blur_sigma: [0.1, 2.0],
        }
    }
}

impl ViewParams {
    /// What serde cannot say: bounds. The name of the wrong parameter and what is right.
    ///
    /// # Errors
    /// (parameter, message).
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let probabilities = [
            ("horizontal_flip", self.horizontal_flip),
            ("vertical_flip", self.vertical_flip),
            ("jitter", self.jitter),
            ("grayscale", self.grayscale),
            ("blur", self.blur),
        ];
        for (name, p) in probabilities {
            if !(0.0..=1.0).contains(&p) {
                return Err((name, format!("{p} is no probability: 0 to 1")));
            }
        }
        let strengths = [
            ("brightness", self.brightness, 1.0),
            ("contrast", self.contrast, 1.0),
            ("saturation", self.saturation, 1.0),
            ("hue", self.hue, 0.5),
        ];
        for (name, strength, most) in strengths {
            if !(0.0..=most).contains(&strength) {
                return Err((name, format!("{strength} is out of range: 0 to {most}")));
            }
        }
        if self.size == 0 {
            return Err(("size", "a view needs at least one pixel".into()));
        }
        if !(self.min_scale > 0.0 && self.min_scale <= 1.0) {
            return Err(("min_scale", format!("{} is out of range: above 0, at most 1", self.min_scale)));
        }
        for (name, [low, high]) in [("ratio", self.ratio), ("blur_sigma", self.blur_sigma)] {
            if !(low > 0.0 && low <= high && high.is_finite()) {
                return Err((name, format!("[{low}, {high}]: give two positive numbers, the smaller first")));
            }
        }
        Ok(())
    }
}

/// A view of `pixels`, `[height, width, channels]`: `[size, size, 3]`, normalised. A pure function of its arguments.
pub fn view(pixels: &[u8], width: usize, channels: usize, params: &ViewParams, stream: &mut Stream) -> Vec<f32> {
    let height = pixels.len() / (width * channels);
    let window = random_window(width, height, params, stream);
    let mut values = resample(pixels, width, channels, window, (params.size, params.size));
    let (across, down) = (stream.chance(params.horizontal_flip), stream.chance(params.vertical_flip));
    flip(&mut values, params.size, channels, across, down);
    if stream.chance(params.jitter) {
        jitter(&mut values, channels, params, stream);
    }
    if stream.chance(params.grayscale) {
        photometric::grayscale(&mut values, channels);
    }
    if stream.chance(params.blur) {
        let sigma = stream.range(params.blur_sigma[0], params.blur_sigma[1]) as f32;
        photometric::blur(&mut values, params.size, channels, sigma);
    }
    normalize(&values, channels)
}

/// torchvision's `RandomResizedCrop.get_params`: ten tries, then the largest central crop within `ratio`.
fn random_window(width: usize, height: usize, params: &ViewParams, stream: &mut Stream) -> Window {
    let area = (width * height) as f64;
    for _ in 0..10 {
        let target = area * stream.range(params.min_scale, 1.0);
        let ratio = stream.range(params.ratio[0].ln(), params.ratio[1].ln()).exp();
        let (w, h) = ((target * ratio).sqrt().round() as usize, (target / ratio).sqrt().round() as usize);
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            let top = stream.below((height - h) as u64 + 1) as usize;
            let left = stream.below((width - w) as u64 + 1) as usize;
            return Window { left, top, width: w, height: h };
        }
    }
    let ratio = (width as f64 / height as f64).clamp(params.ratio[0], params.ratio[1]);
    let w = ((height as f64 * ratio).round() as usize).clamp(1, width);
    let h = ((width as f64 / ratio).round() as usize).clamp(1, height);
    Window { left: (width - w) / 2, top: (height - h) / 2, width: w, height: h }
}

fn flip(values: &mut [f32], width: usize, channels: usize, across: bool, down: bool) {
    let line = width * channels;
    if across {
        for row in values.chunks_exact_mut(line) {
            for x in 0..width / 2 {
                for c in 0..channels {
                    row.swap(x * channels + c, (width - 1 - x) * channels + c);
                }
            }
        }
    }
    if down {
        let height = values.len() / line;
        for y in 0..height / 2 {
            let (above, below) = values.split_at_mut((height - 1 - y) * line);
            above[y * line..(y + 1) * line].swap_with_slice(&mut below[..line]);
        }
    }
}

/// torchvision's `ColorJitter`: four changes in random order. All are drawn, also where grey images need none.
fn jitter(values: &mut [f32], channels: usize, params: &ViewParams, stream: &mut Stream) {
    for change in stream.permutation(4) {
        let factor = |strength: f64, stream: &mut Stream| stream.range(1.0 - strength, 1.0 + strength) as f32;
        match change {
            0 => photometric::brightness(values, factor(params.brightness, stream)),
            1 => photometric::contrast(values, channels, factor(params.contrast, stream)),
            2 => photometric::saturation(values, channels, factor(params.saturation, stream)),
            _ => photometric::hue(values, channels, stream.range(-params.hue, params.hue) as f32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{IMAGENET_MEAN, IMAGENET_STD};
    use super::*;

    fn still() -> ViewParams {
        ViewParams {
            size: 8,
            min_scale: 1.0,
            ratio: [1.0, 1.0],
            horizontal_flip: 0.0,
            jitter: 0.0,
            grayscale: 0.0,
            blur: 0.0,
            ..ViewParams::default()
        }
    }

    #[test]
    fn without_changes_a_view_is_the_normalised_patch() {
        let pixels: Vec<u8> = (0..64).map(|v| v * 4).collect();
        let values = view(&pixels, 8, 1, &still(), &mut Stream::new(0, "view", 0, 0));
        for (i, &pixel) in pixels.iter().enumerate() {
            for c in 0..3 {
                let expected = (f32::from(pixel) / 255.0 - IMAGENET_MEAN[c]) / IMAGENET_STD[c];
                assert!((values[3 * i + c] - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn flips_turn_the_patch_over() {
        let pixels: Vec<u8> = (0..64).collect();
        let turned: Vec<u8> = pixels.iter().rev().copied().collect();
        let both = ViewParams { horizontal_flip: 1.0, vertical_flip: 1.0, ..still() };
        let stream = || Stream::new(0, "view", 0, 0);
        assert_eq!(view(&pixels, 8, 1, &both, &mut stream()), view(&turned, 8, 1, &still(), &mut stream()));
    }

    #[test]
    fn a_grey_patch_has_the_same_view_as_one_or_three_channels() {
        let grey: Vec<u8> = (0..32 * 32).map(|i| (i * 37 % 251) as u8).collect();
        let rgb: Vec<u8> = grey.iter().flat_map(|&v| [v; 3]).collect();
        let params = ViewParams { size: 24, ..ViewParams::default() };
        for index in 0..20 {
            let stream = || Stream::new(1, "view", 0, index);
            let (one, three) = (view(&grey, 32, 1, &params, &mut stream()), view(&rgb, 32, 3, &params, &mut stream()));
            assert!(one.iter().zip(&three).all(|(a, b)| (a - b).abs() < 1e-4));
            assert_eq!(one, view(&grey, 32, 1, &params, &mut stream()));
            assert_ne!(one, view(&grey, 32, 1, &params, &mut Stream::new(1, "view", 1, index)));
        }
    }

    #[test]
    fn wrong_bounds_are_named() {
        let wrong = ViewParams { hue: 0.6, ..ViewParams::default() };
        assert_eq!(wrong.check().unwrap_err(), ("hue", "0.6 is out of range: 0 to 0.5".into()));
        assert_eq!(ViewParams::default().check(), Ok(()));
    }
}
