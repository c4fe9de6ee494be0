//! Antialiased bilinear resampling, with PIL's filter (`Image.resize(…, BILINEAR)`, libImaging/Resample.c) in f32.

/// A rectangle of whole pixels inside an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// For each output pixel: the first input pixel and the weights of it and the next ones.
struct Filter {
    first: Vec<usize>,
    /// `taps` weights for each output pixel, zeros at the end.
    weights: Vec<f32>,
    taps: usize,
}

impl Filter {
    fn triangle(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let support = scale.max(1.0);
        let taps = 2 * support.ceil() as usize + 1;
        let (mut first, mut weights) = (Vec::with_capacity(to), Vec::with_capacity(to * taps));
        for i in 0..to {
            let centre = (i as f64 + 0.5) * scale;
            let low = (centre - support + 0.5).max(0.0) as usize;
            let high = ((centre + support + 0.5) as usize).min(from);
            let weight = |x: usize| (1.0 - ((x as f64 + 0.5 - centre) / support).abs()).max(0.0);
            let sum: f64 = (low..high).map(weight).sum();
            first.push(low);
            weights.extend((low..low + taps).map(|x| if x < high { (weight(x) / sum) as f32 } else { 0.0 }));
        }
        Filter { first, weights, taps }
    }

    /// The taps of output `i` that fall inside `from` inputs.
    fn at(&self, i: usize, from: usize) -> (usize, &[f32]) {
        let weights = &self.weights[i * self.taps..(i + 1) * self.taps];
        (self.first[i], &weights[..self.taps.min(from - self.first[i])])
    }
}

/// Resamples the part `window` of an image `[_, width, channels]`, of 1 or 3 channels, to `to` = (width, height); values from 0 to 255,
/// not rounded, `[to.1, to.0, channels]`. Nothing outside the window has an influence.
pub fn resample(pixels: &[u8], width: usize, channels: usize, window: Window, to: (usize, usize)) -> Vec<f32> {
    let (across, down) = (Filter::triangle(window.width, to.0), Filter::triangle(window.height, to.1));
    let line = to.0 * channels;
    let mut rows = vec![0.0f32; window.height * line];
    for (y, row) in rows.chunks_exact_mut(line.max(1)).enumerate() {
        let start = ((window.top + y) * width + window.left) * channels;
        let source = &pixels[start..start + window.width * channels];
        if channels == 1 {
            resample_row::<1>(source.as_chunks().0, &across, row.as_chunks_mut().0);
        } else {
            resample_row::<3>(source.as_chunks().0, &across, row.as_chunks_mut().0);
        }
    }
    let mut result = vec![0.0f32; to.1 * line];
    for (y, out) in result.chunks_exact_mut(line.max(1)).enumerate() {
        let (first, weights) = down.at(y, window.height);
        for (row, weight) in rows[first * line..].chunks_exact(line).zip(weights) {
            for (out, value) in out.iter_mut().zip(row) {
                *out += weight * value;
            }
        }
    }
    result
}

/// One row; the number of channels is known to the compiler, for this is where a view's time goes.
fn resample_row<const CHANNELS: usize>(source: &[[u8; CHANNELS]], filter: &Filter, row: &mut [[f32; CHANNELS]]) {
    for (x, out) in row.iter_mut().enumerate() {
        let (first, weights) = filter.at(x, source.len());
        let mut sum = [0.0f32; CHANNELS];
        for (pixel, weight) in source[first..].iter().zip(weights) {
            for (sum, &value) in sum.iter_mut().zip(pixel) {
                *sum += weight * f32::from(value);
            }
        }
        *out = sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn whole(width: usize, height: usize) -> Window {
        Window { left: 0, top: 0, width, height }
    }

    /// By hand from the triangle filter: halving weighs 1/4 of a neighbour's pixel, renormalised at the edge.
    #[test]
    fn resamples_as_pil_does() {
        let row = [0, 80, 160, 240];
        let half = resample(&row, 4, 1, whole(4, 1), (2, 1));
        let expected = [(0.75 * 80.0 + 0.25 * 160.0) / 1.75, (0.25 * 80.0 + 0.75 * 160.0 + 0.75 * 240.0) / 1.75];
        for (found, expected) in half.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-3, "{half:?}");
        }
        // Twice as large: centres at 1/4 and 3/4 of a pixel.
        let twice = resample(&[0, 100], 2, 1, whole(2, 1), (4, 1));
        for (found, expected) in twice.iter().zip([0.0, 25.0, 75.0, 100.0]) {
            assert!((found - expected).abs() < 1e-3, "{twice:?}");
        }
    }

    #[test]
    fn the_same_size_is_the_same_image_and_a_window_hides_the_rest() {
        let pixels: Vec<u8> = (0..2 * 3 * 3).map(|v| v * 7).collect();
        let same = resample(&pixels, 3, 3, whole(3, 2), (3, 2));
        assert_eq!(same, pixels.iter().map(|&v| f32::from(v)).collect::<Vec<_>>());
        let window = Window { left: 1, top: 0, width: 1, height: 2 };
        let mut changed = pixels.clone();
        for pixel in [0, 2, 3, 5] {
            changed[pixel * 3..pixel * 3 + 3].fill(255);
        }
        assert_eq!(resample(&pixels, 3, 3, window, (5, 4)), resample(&changed, 3, 3, window, (5, 4)));
    }
}
