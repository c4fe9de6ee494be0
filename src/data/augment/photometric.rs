//! Changes of colour and sharpness, on values from 0 to 255, `[height, width, channels]`. As torchvision and PIL do
//! them, but without rounding to 8 bits in between.

use super::WHITE;

/// ITU-R 601-2 luma, as PIL's `convert("L")`.
fn luma(pixel: &[f32]) -> f32 {
    match pixel {
        [r, g, b] => 0.299 * r + 0.587 * g + 0.114 * b,
        _ => pixel[0],
    }
}

/// In eight partial sums, so that no addition waits for the one before.
fn sum(values: impl Iterator<Item = f32>) -> f64 {
    let mut sums = [0.0f64; 8];
    for (i, value) in values.enumerate() {
        sums[i % 8] += f64::from(value);
    }
    sums.iter().sum()
}

/// Multiplies every value.
pub(super) fn brightness(values: &mut [f32], factor: f32) {
    for value in values {
        *value = (*value * factor).clamp(0.0, WHITE);
    }
}

/// Stretches about the mean grey value.
pub(super) fn contrast(values: &mut [f32], channels: usize, factor: f32) {
    let sum: f64 = match channels {
        1 => sum(values.iter().copied()),
        _ => sum(values.as_chunks::<3>().0.iter().map(|pixel| luma(pixel))),
    };
    let mean = (sum * channels as f64 / values.len() as f64) as f32;
    for value in values {
        *value = (mean + factor * (*value - mean)).clamp(0.0, WHITE);
    }
}

/// Stretches every pixel about its own grey value; nothing for grey images.
pub(super) fn saturation(values: &mut [f32], channels: usize, factor: f32) {
    if channels == 3 {
        for pixel in values.as_chunks_mut::<3>().0 {
            let grey = luma(pixel);
            *pixel = pixel.map(|value| (grey + factor * (value - grey)).clamp(0.0, WHITE));
        }
    }
}

/// Turns the hue by `turns` of the colour circle (HSV); nothing for grey images.
pub(super) fn hue(values: &mut [f32], channels: usize, turns: f32) {
    if channels == 3 {
        for pixel in values.as_chunks_mut::<3>().0 {
            *pixel = turn_hue(*pixel, turns);
        }
    }
}

fn turn_hue([r, g, b]: [f32; 3], turns: f32) -> [f32; 3] {
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let chroma = high - low;
    if chroma <= 0.0 {
        return [r, g, b];
    }
    let sixth = match high {
        h if h == r => (g - b) / chroma,
        h if h == g => 2.0 + (b - r) / chroma,
        _ => 4.0 + (r - g) / chroma,
    };
    // Into 0..6 without the slow remainder of floating-point division.
    let sixth = sixth + 6.0 * turns;
    let sixth = sixth - 6.0 * (sixth / 6.0).floor();
    // The usual closed form: each channel is `high` less a trapezoid of the hue.
    [5.0, 3.0, 1.0].map(|offset: f32| {
        let k = offset + sixth;
        let k = if k < 6.0 { k } else { k - 6.0 };
        high - chroma * k.min(4.0 - k).clamp(0.0, 1.0)
    })
}

/// Sets every channel to the grey value.
pub(super) fn grayscale(values: &mut [f32], channels: usize) {
    if channels == 3 {
        for pixel in values.as_chunks_mut::<3>().0 {
            *pixel = [luma(pixel); 3];
        }
    }
}

/// Gaussian blur of standard deviation `sigma` pixels, cut at 3 σ; the border pixel is repeated outside.
pub(in crate::data) fn blur(values: &mut [f32], width: usize, channels: usize, sigma: f32) {
    let radius = (3.0 * sigma).ceil() as usize;
    let mut kernel: Vec<f32> =
        (0..=2 * radius).map(|i| (-0.5 * ((i as f32 - radius as f32) / sigma).powi(2)).exp()).collect();
    let sum: f32 = kernel.iter().sum();
    kernel.iter_mut().for_each(|weight| *weight /= sum);

    let line = width * channels;
    let height = values.len() / line;
    let mut padded = vec![0.0; (width + 2 * radius) * channels];
    let mut across = vec![0.0f32; values.len()];
    for (source, out) in values.chunks_exact(line).zip(across.chunks_exact_mut(line)) {
        for (x, pixel) in padded.chunks_exact_mut(channels).enumerate() {
            let from = x.saturating_sub(radius).min(width - 1) * channels;
            pixel.copy_from_slice(&source[from..from + channels]);
        }
        for (tap, weight) in kernel.iter().enumerate() {
            for (out, value) in out.iter_mut().zip(&padded[tap * channels..]) {
                *out += weight * value;
            }
        }
    }
    values.fill(0.0);
    for (y, out) in values.chunks_exact_mut(line).enumerate() {
        for (tap, weight) in kernel.iter().enumerate() {
            let from = (y + tap).saturating_sub(radius).min(height - 1) * line;
            for (out, value) in out.iter_mut().zip(&across[from..from + line]) {
                *out += weight * value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-2), "{found:?} {expected:?}");
    }

    #[test]
    fn colour_changes_have_their_known_values() {
        let mut grey = vec![100.0, 200.0];
        brightness(&mut grey, 1.5);
        close(&grey, &[150.0, 255.0]);
        let mut grey = vec![100.0, 200.0];
        contrast(&mut grey, 1, 0.5);
        close(&grey, &[125.0, 175.0]);
        // A third of a turn: red becomes green, and any colour comes back after three.
        close(&turn_hue([200.0, 0.0, 0.0], 1.0 / 3.0), &[0.0, 200.0, 0.0]);
        let mut colour = [30.0, 120.0, 70.0];
        for _ in 0..3 {
            colour = turn_hue(colour, 1.0 / 3.0);
        }
        close(&colour, &[30.0, 120.0, 70.0]);
        let mut colour = vec![30.0, 120.0, 70.0];
        saturation(&mut colour, 3, 0.0);
        let mut grey = vec![30.0, 120.0, 70.0];
        grayscale(&mut grey, 3);
        close(&colour, &grey);
        close(&grey, &[0.299 * 30.0 + 0.587 * 120.0 + 0.114 * 70.0; 3]);
    }

    #[test]
    fn blur_keeps_a_constant_and_spreads_a_point_symmetrically() {
        let mut flat = vec![9.0; 5 * 4];
        blur(&mut flat, 5, 1, 1.3);
        close(&flat, &[9.0; 20]);
        let mut point = vec![0.0; 21 * 21];
        point[10 * 21 + 10] = 1000.0;
        blur(&mut point, 21, 1, 1.5);
        assert!((point.iter().sum::<f32>() - 1000.0).abs() < 0.1);
        close(&[point[10 * 21 + 8]], &[point[12 * 21 + 10]]);
        // Variance of the spread is σ².
        let moment: f32 = (0..21 * 21).map(|i| point[i] * ((i % 21) as f32 - 10.0).powi(2)).sum();
        assert!((moment / 1000.0 - 2.25).abs() < 0.1, "{moment}");
    }
}
