//! Changes of colour, as torchvision's and PIL's, without rounding to 8 bits in between.

use super::planes::{Planes, WHITE};
use matssl_base::machine::vectorized;

/// Number of pixels that are changed at once.
const LANES: usize = 16;

/// One of `ColorJitter`'s changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Colour {
    /// Multiplies every value.
    Brightness(f32),
    /// Stretches by this about the image's mean grey value: the mean luma of RGB, else the mean of all channels.
    Contrast(f32),
    /// Stretches every pixel by this about its own grey value; only of RGB images.
    Saturation(f32),
    /// Turns the hue by this part of the colour circle (HSV); only of RGB images.
    Hue(f32),
}

/// ITU-R 601-2 luma, as PIL's `convert("L")`.
#[inline(always)]
fn luma([r, g, b]: [f32; 3]) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

/// Clamps to the values that an image can have.
#[inline(always)]
fn clamped(value: f32) -> f32 {
    value.clamp(0.0, WHITE)
}

/// The sum of `value` over all pixels, in parts: pixel `i` belongs to part `i % 8`.
#[inline(always)]
fn sums<const CHANNELS: usize>(planes: [&[f32]; CHANNELS], value: impl Fn([f32; CHANNELS]) -> f32) -> [f64; 8] {
    let mut sums = [0.0f64; 8];
    let chunks = planes.map(|plane| plane.as_chunks::<8>());
    for i in 0..chunks[0].0.len() {
        let chunk = chunks.map(|(chunks, _)| chunks[i]);
        for (lane, sum) in sums.iter_mut().enumerate() {
            *sum += f64::from(value(chunk.map(|chunk| chunk[lane])));
        }
    }
    for (i, sum) in sums.iter_mut().enumerate().take(chunks[0].1.len()) {
        *sum += f64::from(value(chunks.map(|(_, rest)| rest[i])));
    }
    sums
}

impl Planes {
    /// Makes one change.
    pub(super) fn change(&mut self, change: Colour) {
        match change {
            Colour::Brightness(factor) => self.brightness(factor),
            Colour::Contrast(factor) => self.contrast(factor),
            Colour::Saturation(factor) => self.saturation(factor),
            Colour::Hue(turns) => self.hue(turns),
        }
    }

    /// Multiplies every value.
    pub(super) fn brightness(&mut self, factor: f32) {
        let values = self.values_mut();
        vectorized(
            #[inline(always)]
            || values.iter_mut().for_each(|value| *value = clamped(*value * factor)),
        );
    }

    /// Stretches about the mean grey value.
    pub(super) fn contrast(&mut self, factor: f32) {
        let mean = self.mean();
        let values = self.values_mut();
        vectorized(
            #[inline(always)]
            || values.iter_mut().for_each(|value| *value = clamped(mean + factor * (*value - mean))),
        );
    }

    /// The mean grey value, from eight partial sums, so that no addition waits for the previous one.
    fn mean(&self) -> f32 {
        let rgb = self.rgb();
        let values = if rgb.is_some() { self.width() * self.height() } else { self.values().len() };
        let sums: [f64; 8] = vectorized(
            #[inline(always)]
            || match rgb {
                None => sums([self.values()], |[value]| value),
                Some(rgb) => sums(rgb, luma),
            },
        );
        (sums.iter().sum::<f64>() / values as f64) as f32
    }

    fn saturation(&mut self, factor: f32) {
        self.each_pixel(
            #[inline(always)]
            move |rgb| {
                let grey = luma(rgb);
                rgb.map(|value| clamped(grey + factor * (value - grey)))
            },
        );
    }

    fn hue(&mut self, turns: f32) {
        self.each_pixel(
            #[inline(always)]
            move |rgb| turn_hue(rgb, turns),
        );
    }

    /// Makes an RGB image grey.
    pub(super) fn grayscale(&mut self) {
        if self.rgb().is_none() {
            return;
        }
        self.each_pixel(
            #[inline(always)]
            |[r, g, b]| [luma([r, g, b]), g, b],
        );
        self.keep_first();
    }

    /// Changes each pixel of an RGB image; does nothing to one with another number of channels.
    #[inline(always)]
    fn each_pixel(&mut self, change: impl Fn([f32; 3]) -> [f32; 3] + Copy) {
        let Some([red, green, blue]) = self.rgb_mut() else { return };
        vectorized(
            #[inline(always)]
            || {
                // On copies, which cannot alias: on references the compiler would not use vectors.
                let ((red, red_rest), (green, green_rest), (blue, blue_rest)) =
                    (red.as_chunks_mut::<LANES>(), green.as_chunks_mut::<LANES>(), blue.as_chunks_mut::<LANES>());
                for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
                    let mut rgb = [*red, *green, *blue];
                    for lane in 0..LANES {
                        let pixel = change([rgb[0][lane], rgb[1][lane], rgb[2][lane]]);
                        for (channel, value) in rgb.iter_mut().zip(pixel) {
                            channel[lane] = value;
                        }
                    }
                    [*red, *green, *blue] = rgb;
                }
                for ((red, green), blue) in red_rest.iter_mut().zip(green_rest).zip(blue_rest) {
                    [*red, *green, *blue] = change([*red, *green, *blue]);
                }
            },
        );
    }
}

/// Turns the hue of one pixel. Uses comparisons instead of `f32::max` and `min`, which check for NaN: there is none here.
#[inline(always)]
fn turn_hue([r, g, b]: [f32; 3], turns: f32) -> [f32; 3] {
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let smaller = |a: f32, b: f32| if a < b { a } else { b };
    let (high, low) = (larger(larger(r, g), b), smaller(smaller(r, g), b));
    let chroma = high - low;
    // Grey has no hue, but below everything is multiplied by its chroma of 0.
    let divisor = if chroma > 0.0 { chroma } else { 1.0 };
    // All three are computed and one is chosen, because vectors cannot branch.
    let (of_red, of_green, of_blue) = (g - b, b - r, r - g);
    let (is_red, is_green) = (high == r, high == g);
    let difference = if is_green { of_green } else { of_blue };
    let difference = if is_red { of_red } else { difference };
    let start = if is_green { 2.0 } else { 4.0 };
    let start = if is_red { 0.0 } else { start };
    // Into 0..6, without the slow floating-point remainder.
    let sixth = start + difference / divisor + 6.0 * turns;
    let sixth = sixth - 6.0 * (sixth / 6.0).floor();
    // The usual closed form: each channel is `high` less a trapezoid of the hue.
    [5.0, 3.0, 1.0].map(
        #[inline(always)]
        |offset: f32| {
            let k = offset + sixth;
            let k = if k < 6.0 { k } else { k - 6.0 };
            high - chroma * larger(smaller(smaller(k, 4.0 - k), 1.0), 0.0)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row of pixels.
    fn planes(pixels: &[[f32; 3]], channels: usize) -> Planes {
        let mut planes = Planes::default();
        planes.reshape(channels, 1, pixels.len());
        let values = (0..channels).flat_map(|c| pixels.iter().map(move |rgb| rgb[c]));
        planes.values_mut().iter_mut().zip(values).for_each(|(to, value)| *to = value);
        planes
    }

    fn close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-2), "{found:?} {expected:?}");
    }

    #[test]
    fn colour_changes_have_their_known_values() {
        let two = [[100.0; 3], [200.0; 3]];
        for channels in [1, 3] {
            let mut grey = planes(&two, channels);
            grey.change(Colour::Brightness(1.5));
            close(grey.values(), &[150.0, 255.0].repeat(channels));
            let mut grey = planes(&two, channels);
            grey.change(Colour::Contrast(0.5));
            close(grey.values(), &[125.0, 175.0].repeat(channels));
            // There is no colour to change.
            grey.change(Colour::Saturation(1.8));
            grey.change(Colour::Hue(0.3));
            close(grey.values(), &[125.0, 175.0].repeat(channels));
        }
        // Two channels are no colours: the mean is of all values, and nothing else changes them.
        let mut two = planes(&[[100.0, 60.0, 0.0], [200.0, 80.0, 0.0]], 2);
        two.change(Colour::Contrast(0.5));
        two.change(Colour::Saturation(1.8));
        two.change(Colour::Hue(0.3));
        two.grayscale();
        close(two.values(), &[105.0, 155.0, 85.0, 95.0]);
        // A third of a turn: red becomes green, and any colour comes back after three.
        close(&turn_hue([200.0, 0.0, 0.0], 1.0 / 3.0), &[0.0, 200.0, 0.0]);
        let mut colour = planes(&[[30.0, 120.0, 70.0]], 3);
        for _ in 0..3 {
            colour.change(Colour::Hue(1.0 / 3.0));
        }
        close(colour.values(), &[30.0, 120.0, 70.0]);
        colour.change(Colour::Saturation(0.0));
        let mut grey = planes(&[[30.0, 120.0, 70.0]], 3);
        grey.grayscale();
        close(colour.values(), &grey.values().repeat(3));
        close(grey.values(), &[0.299 * 30.0 + 0.587 * 120.0 + 0.114 * 70.0]);
    }
}
