//! The changes that make one view of a patch.

use super::colour::Colour;
use super::filled_vec::filled_vec;
use super::resample::Window;
use super::scratch::Scratch;
use super::view_params::ViewParams;
use matssl_base::random::Stream;

/// The changes that make a view, in the order of lightly's `SimCLRTransform`.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// The part of the patch that is shown.
    pub window: Window,
    /// Side of the view in pixels, to which the window is resampled.
    pub size: usize,
    /// Flipped left-right, and up-down.
    pub flip: [bool; 2],
    /// Colour jitter: the changes in their order.
    pub jitter: Option<[Colour; 4]>,
    /// Whether the view is then made grey.
    pub grayscale: bool,
    /// Standard deviation of the Gaussian blur at the end, in pixels of the view.
    pub blur: Option<f32>,
    /// Exponent of the grey levels, after the jitter.
    pub gamma: Option<f32>,
    /// Standard deviation of the noise at the very end, in grey levels of 255, and what it is drawn from.
    pub noise: Option<(f64, u64)>,
}

impl Recipe {
    /// Draws a recipe for a patch of `width` × `height` pixels. The draws for a patch that is not RGB are the same, although
    /// changes of colour have no effect on it.
    pub fn draw(params: &ViewParams, width: usize, height: usize, stream: &mut Stream) -> Self {
        let window = random_window(width, height, params, stream);
        let flip = [stream.chance(params.horizontal_flip), stream.chance(params.vertical_flip)];
        let jitter = stream.chance(params.jitter).then(|| jitter(params, stream));
        let grayscale = stream.chance(params.grayscale);
        let blur = stream.chance(params.blur);
        let blur = blur.then(|| stream.range(params.blur_sigma[0], params.blur_sigma[1]) as f32);
        let bound = params.gamma.ln_1p();
        let gamma = (params.gamma > 0.0).then(|| stream.range(-bound, bound).exp() as f32);
        let noise = (params.noise > 0.0).then(|| (stream.range(0.0, params.noise), stream.next_u64()));
        Recipe { window, size: params.size, flip, jitter, grayscale, blur, gamma, noise }
    }

    /// Makes the view of `pixels`, u8 `[height, width, channels]`, for a network of `in_channels`: normalised
    /// `[size, size, in_channels]`.
    ///
    /// # Panics
    /// If the patch does not fit the network.
    pub fn view(
        &self,
        pixels: &[u8],
        width: usize,
        channels: usize,
        in_channels: usize,
        scratch: &mut Scratch,
    ) -> Vec<f32> {
        self.make(pixels, width, channels, scratch);
        // SAFETY: `normalize` writes all values or panics.
        unsafe { filled_vec(self.size * self.size * in_channels, |out| scratch.normalize(in_channels, out)) }.0
    }

    /// Leaves the view, not normalised yet, in `scratch`.
    pub(crate) fn make(&self, pixels: &[u8], width: usize, channels: usize, scratch: &mut Scratch) {
        scratch.resample(pixels, (width, channels), self.window, (self.size, self.size), self.flip);
        for change in self.jitter.into_iter().flatten() {
            scratch.planes.change(change);
        }
        if self.grayscale {
            scratch.planes.grayscale();
        }
        if let Some(gamma) = self.gamma {
            scratch.planes.gamma(gamma);
        }
        if let Some(sigma) = self.blur {
            scratch.blur(sigma);
        }
        if let Some((sigma, seed)) = self.noise {
            scratch.planes.noise(sigma, &mut Stream::new(seed, "noise of a view", 0, 0));
        }
    }
}

/// torchvision's `RandomResizedCrop.get_params`: ten tries, then the largest central crop within `ratio`.
fn random_window(width: usize, height: usize, params: &ViewParams, stream: &mut Stream) -> Window {
    let area = (width * height) as f64;
    for _ in 0..10 {
        let target = area * stream.range(params.min_scale, params.max_scale);
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

/// torchvision's `ColorJitter`: four changes in random order.
fn jitter(params: &ViewParams, stream: &mut Stream) -> [Colour; 4] {
    let mut order = [0, 1, 2, 3];
    // Fisher and Yates; not `Stream::permutation`, which allocates.
    for i in (1..order.len()).rev() {
        order.swap(i, stream.below(i as u64 + 1) as usize);
    }
    order.map(|change| {
        let mut factor = |strength: f64| stream.range(1.0 - strength, 1.0 + strength) as f32;
        match change {
            0 => Colour::Brightness(factor(params.brightness)),
            1 => Colour::Contrast(factor(params.contrast)),
            2 => Colour::Saturation(factor(params.saturation)),
            _ => Colour::Hue(stream.range(-params.hue, params.hue) as f32),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::{GREY_MEAN, GREY_STD, IMAGENET_MEAN, IMAGENET_STD};

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

    fn view(pixels: &[u8], width: usize, channels: usize, params: &ViewParams, index: u64) -> Vec<f32> {
        let height = pixels.len() / (width * channels);
        let recipe = Recipe::draw(params, width, height, &mut Stream::new(0, "view", 0, index));
        let in_channels = if channels == 1 { 3 } else { channels };
        recipe.view(pixels, width, channels, in_channels, &mut Scratch::default())
    }

    #[test]
    fn without_changes_a_view_is_the_normalised_patch() {
        let pixels: Vec<u8> = (0..64).map(|v| v * 4).collect();
        let values = view(&pixels, 8, 1, &still(), 0);
        for (i, &pixel) in pixels.iter().enumerate() {
            for c in 0..3 {
                let expected = (f32::from(pixel) / 255.0 - IMAGENET_MEAN[c]) / IMAGENET_STD[c];
                assert!((values[3 * i + c] - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn gamma_and_noise_change_a_view_and_leave_the_other_draws_alone() {
        let pixels = [64u8; 64];
        let normalised = |level: f64| (level / 255.0 - f64::from(IMAGENET_MEAN[0])) / f64::from(IMAGENET_STD[0]);
        let mut seen = Vec::new();
        for index in 0..200 {
            let curved = view(&pixels, 8, 1, &ViewParams { gamma: 0.5, ..still() }, index);
            assert!(curved.chunks(3).all(|pixel| pixel[0] == curved[0]), "one curve for the whole view");
            seen.push(f64::from(curved[0]));
            let noisy = view(&pixels, 8, 1, &ViewParams { noise: 20.0, ..still() }, index);
            assert!(noisy.chunks(3).any(|pixel| pixel[0] != noisy[0]), "each pixel has its own noise");
            let draw = |noise| {
                let params = ViewParams { noise, ..ViewParams::default() };
                Recipe::draw(&params, 8, 8, &mut Stream::new(0, "view", 0, index))
            };
            assert_eq!(Recipe { noise: None, ..draw(9.0) }, draw(0.0));
        }
        let at = |gamma: f64| normalised(255.0 * (64.0f64 / 255.0).powf(gamma));
        assert!(seen.iter().all(|&level| level > at(1.5) - 1e-5 && level < at(1.0 / 1.5) + 1e-5));
        let (low, high) = seen.iter().fold((f64::MAX, f64::MIN), |(low, high), &v| (low.min(v), high.max(v)));
        assert!(low < at(1.4) && high > at(1.0 / 1.4), "both ends are reached: {low} {high}");
    }

    #[test]
    fn flips_mirror_the_patch() {
        let grey: Vec<u8> = (0..63u32).map(|i| (i * 37 % 64) as u8).collect();
        let rgb: Vec<u8> = (0..189u8).map(|i| i.wrapping_mul(37)).collect();
        for (pixels, channels) in [(grey, 1), (rgb, 3)] {
            let turned: Vec<u8> = pixels.chunks(channels).rev().flatten().copied().collect();
            let both = ViewParams { horizontal_flip: 1.0, vertical_flip: 1.0, size: 11, ..still() };
            let none = ViewParams { horizontal_flip: 0.0, vertical_flip: 0.0, ..both.clone() };
            let (turned, plain) = (view(&turned, 9, channels, &none, 0), view(&pixels, 9, channels, &both, 0));
            assert!(turned.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-4));
            let across = ViewParams { vertical_flip: 0.0, ..both };
            let across = view(&pixels, 9, channels, &across, 0);
            let rows = across.chunks(33).map(|row| row.chunks(3).rev().flatten().copied().collect::<Vec<_>>());
            assert_eq!(rows.flatten().collect::<Vec<_>>(), view(&pixels, 9, channels, &none, 0));
        }
    }

    #[test]
    fn a_grey_patch_has_the_same_view_as_one_or_three_channels() {
        let grey: Vec<u8> = (0..32 * 32).map(|i| (i * 37 % 251) as u8).collect();
        let rgb: Vec<u8> = grey.iter().flat_map(|&v| [v; 3]).collect();
        let params = ViewParams { size: 24, ..ViewParams::default() };
        for index in 0..20 {
            let (one, three) = (view(&grey, 32, 1, &params, index), view(&rgb, 32, 3, &params, index));
            assert!(one.iter().zip(&three).all(|(a, b)| (a - b).abs() < 1e-4));
            assert_ne!(one, view(&grey, 32, 1, &params, index + 1));
        }
    }

    #[test]
    fn channels_without_colours_move_together_and_have_one_normalisation() {
        let first: Vec<u8> = (0..32 * 32).map(|i| (i * 37 % 200) as u8).collect();
        for channels in [1, 2, 4, 5, 8] {
            // Channel k is the first one, brighter by 5 k.
            let image = |k: usize| first.iter().map(move |&value| value + 5 * k as u8);
            let pixels: Vec<u8> = (0..first.len())
                .flat_map(|i| (0..channels).map(move |k| (i, k)))
                .map(|(i, k)| first[i] + 5 * k as u8)
                .collect();
            // Nothing that depends on other channels or clamps: crops, flips and blur. All changes of colour are skipped.
            let params = ViewParams {
                size: 24,
                vertical_flip: 0.5,
                jitter: 1.0,
                brightness: 0.0,
                contrast: 0.0,
                grayscale: 1.0,
                ..ViewParams::default()
            };
            for index in 0..10 {
                let recipe = Recipe::draw(&params, 32, 32, &mut Stream::new(0, "view", 0, index));
                let view = recipe.view(&pixels, 32, channels, channels, &mut Scratch::default());
                assert_eq!(view.len(), 24 * 24 * channels);
                for k in 0..channels {
                    let grey: Vec<u8> = image(k).collect();
                    let alone = recipe.view(&grey, 32, 1, 1, &mut Scratch::default());
                    let of_view = view[k..].iter().step_by(channels);
                    assert!(of_view.zip(&alone).all(|(a, b)| (a - b).abs() < 1e-5), "{channels} {k}");
                    // The same pixels, brighter by a constant.
                    let brighter = 5.0 * k as f32 / 255.0 / GREY_STD;
                    let pairs = view.chunks(channels).map(|pixel| pixel[k] - pixel[0] - brighter);
                    assert!(pairs.into_iter().all(|difference| difference.abs() < 1e-3), "{channels} {k}");
                }
            }
            let plain = Recipe::draw(&ViewParams { size: 32, ..still() }, 32, 32, &mut Stream::new(0, "view", 0, 0));
            let values = plain.view(&pixels, 32, channels, channels, &mut Scratch::default());
            for (value, &pixel) in values.iter().zip(&pixels) {
                assert!((value - (f32::from(pixel) / 255.0 - GREY_MEAN) / GREY_STD).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn brightness_and_contrast_change_all_channels_alike() {
        let pixels: Vec<u8> = (0..16 * 16).flat_map(|i| [60 + i % 40, 100 + i % 30]).map(|v| v as u8).collect();
        let params = ViewParams { size: 16, jitter: 1.0, brightness: 0.5, contrast: 0.5, ..still() };
        let plain: Vec<f32> = pixels.iter().map(|&value| f32::from(value)).collect();
        for index in 0..10 {
            let recipe = Recipe::draw(&params, 16, 16, &mut Stream::new(0, "view", 0, index));
            let view = recipe.view(&pixels, 16, 2, 2, &mut Scratch::default());
            let values: Vec<f32> = view.iter().map(|value| (value * GREY_STD + GREY_MEAN) * 255.0).collect();
            // One line through all values of both channels.
            let (slope, intercept) = {
                let slope = (values[1] - values[0]) / (plain[1] - plain[0]);
                (slope, values[0] - slope * plain[0])
            };
            let clamped = values.iter().any(|value| !(1e-2..=254.9).contains(value));
            assert!(clamped || values.iter().zip(&plain).all(|(v, p)| (v - (slope * p + intercept)).abs() < 0.05));
        }
    }

    #[test]
    fn a_view_does_not_depend_on_earlier_ones_in_the_same_scratch() {
        let images: Vec<Vec<u8>> = (0..30u64)
            .map(|i| {
                let mut stream = Stream::new(i, "pixels", 0, 0);
                (0..40 * 40 * (1 + 2 * (i as usize % 2))).map(|_| stream.next_u32() as u8).collect()
            })
            .collect();
        let mut scratch = Scratch::default();
        for (i, image) in images.iter().enumerate() {
            let channels = 1 + 2 * (i % 2);
            let params = ViewParams { size: 9 + i % 7 * 8, ..ViewParams::default() };
            let recipe = Recipe::draw(&params, 40, 40, &mut Stream::new(0, "view", 0, i as u64));
            let reused = recipe.view(image, 40, channels, 3, &mut scratch);
            assert_eq!(reused, recipe.view(image, 40, channels, 3, &mut Scratch::default()));
            assert!(reused.iter().all(|value| value.is_finite()));
        }
    }

    #[test]
    fn windows_have_areas_and_ratios_between_their_bounds() {
        let params = ViewParams { min_scale: 0.2, max_scale: 0.5, ..ViewParams::default() };
        for index in 0..500 {
            let window = random_window(200, 160, &params, &mut Stream::new(0, "window", 0, index));
            let (width, height) = (window.width as f64, window.height as f64);
            let (part, ratio) = (width * height / (200.0 * 160.0), width / height);
            assert!((0.19..0.51).contains(&part) && (0.73..1.36).contains(&ratio), "{window:?}");
            assert!(window.left + window.width <= 200 && window.top + window.height <= 160);
        }
    }
}
