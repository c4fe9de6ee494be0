//! The scale of a texture: where its autocorrelation falls.

/// Half the side of the window whose mean is subtracted, in pixels: shading and layers are no texture.
const WINDOW: usize = 48;
/// Every so many rows and columns are measured.
const EVERY: usize = 3;

/// Distance in pixels at which the autocorrelation of `values` (`[height, width]`), less their mean in a window, falls to 1/e of that
/// at one pixel, which has no part of white noise; between 1 and a quarter of the shorter side.
pub(super) fn correlation_length(values: &[f64], width: usize) -> f64 {
    let height = values.len() / width.max(1);
    let side = width.min(height);
    if side < 8 {
        return 1.0;
    }
    let flat = without_means(values, width, WINDOW.min(side / 2));
    let at = |lag: usize| {
        let (mut sum, mut count) = (0.0, 0usize);
        for y in (0..height).step_by(EVERY) {
            let row = &flat[y * width..(y + 1) * width];
            sum += row.iter().zip(&row[lag..]).map(|(a, b)| a * b).sum::<f64>();
            count += width - lag;
        }
        for y in 0..height - lag {
            for x in (0..width).step_by(EVERY) {
                sum += flat[y * width + x] * flat[(y + lag) * width + x];
            }
            count += width.div_ceil(EVERY);
        }
        sum / count as f64
    };
    let first = at(1);
    let threshold = first / std::f64::consts::E;
    let mut before = first;
    for lag in 2..=side / 4 {
        let here = at(lag);
        if here <= threshold {
            let part = (before - threshold) / (before - here).max(1e-12);
            return (lag - 1) as f64 + part.clamp(0.0, 1.0);
        }
        before = here;
    }
    (side / 4).max(1) as f64
}

/// `values` less their means in windows of `radius` pixels around them, which end at the border.
fn without_means(values: &[f64], width: usize, radius: usize) -> Vec<f64> {
    let height = values.len() / width;
    // Sums of all values above and to the left.
    let mut sums = vec![0.0; (width + 1) * (height + 1)];
    for y in 0..height {
        let mut row = 0.0;
        for x in 0..width {
            row += values[y * width + x];
            sums[(y + 1) * (width + 1) + x + 1] = sums[y * (width + 1) + x + 1] + row;
        }
    }
    let mut flat = Vec::with_capacity(values.len());
    for y in 0..height {
        let (top, bottom) = (y.saturating_sub(radius), (y + radius + 1).min(height));
        for x in 0..width {
            let (left, right) = (x.saturating_sub(radius), (x + radius + 1).min(width));
            let corner = |y: usize, x: usize| sums[y * (width + 1) + x];
            let sum = corner(bottom, right) - corner(top, right) - corner(bottom, left) + corner(top, left);
            flat.push(values[y * width + x] - sum / ((bottom - top) * (right - left)) as f64);
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthesize::field::Field;
    use matssl_base::random::Stream;

    #[test]
    fn the_length_grows_with_the_texture_and_not_with_noise_or_shading() {
        let (size, mut stream) = (192, Stream::new(2, "correlation test", 0, 0));
        let mut length = |spacing: f64, noise: f64, slope: f64| {
            let field = Field::new(size, spacing, &mut stream);
            let value = |i: usize, stream: &mut Stream| {
                let (x, y) = ((i % size) as f64, (i / size) as f64);
                20.0 * field.at(x, y) + slope * x + noise * stream.normal()
            };
            let values: Vec<f64> = (0..size * size).map(|i| value(i, &mut stream)).collect();
            correlation_length(&values, size)
        };
        let (fine, coarse) = (length(6.0, 0.0, 0.0), length(12.0, 0.0, 0.0));
        assert!((coarse / fine - 2.0).abs() < 0.5, "{fine} {coarse}");
        let (noisy, shaded) = (length(12.0, 15.0, 0.0), length(12.0, 0.0, 0.5));
        assert!(
            (noisy / coarse - 1.0).abs() < 0.25 && (shaded / coarse - 1.0).abs() < 0.25,
            "{coarse} {noisy} {shaded}"
        );
    }
}
