//! Images and masks in memory.

use super::augment::{Window, resample};

/// The mask value of a pixel that counts for nothing: not in the loss, not in a metric.
pub const IGNORE: u8 = 255;

/// An image: u8, `[height, width, channels]`, channels last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Micrograph {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// 1 (grey) or 3 (RGB). An RGB file with three equal channels is grey.
    pub channels: usize,
    /// `height · width · channels` values, row by row.
    pub pixels: Vec<u8>,
}

/// A mask: one class index a pixel, `[height, width]`; [`IGNORE`] where nothing is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// `height · width` class indices, row by row.
    pub labels: Vec<u8>,
}

impl Micrograph {
    /// The part of `width` × `height` at the top left (the whole image if that is larger).
    #[must_use]
    pub fn crop_top_left(self, width: usize, height: usize) -> Self {
        let (channels, size) = (self.channels, (self.width, self.height));
        let (width, height) = (width.min(size.0), height.min(size.1));
        Micrograph { width, height, channels, pixels: crop(self.pixels, size, (width, height), channels) }
    }

    /// Grey if it is RGB with three equal channels everywhere: no one pays for three until they must.
    #[must_use]
    pub fn grey_if_it_is(self) -> Self {
        if self.channels == 3 && self.pixels.as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b) {
            let pixels = self.pixels.into_iter().step_by(3).collect();
            return Micrograph { channels: 1, pixels, ..self };
        }
        self
    }

    /// Resized with an antialiased bilinear filter, as PIL does it.
    #[must_use]
    pub fn resize(&self, width: usize, height: usize) -> Self {
        let whole = Window { left: 0, top: 0, width: self.width, height: self.height };
        let values = resample(&self.pixels, self.width, self.channels, whole, (width, height));
        let pixels = values.into_iter().map(|v| (v + 0.5) as u8).collect();
        Micrograph { width, height, channels: self.channels, pixels }
    }
}

impl Mask {
    /// The part of `width` × `height` at the top left (the whole mask if that is larger).
    #[must_use]
    pub fn crop_top_left(self, width: usize, height: usize) -> Self {
        let size = (self.width, self.height);
        let (width, height) = (width.min(size.0), height.min(size.1));
        Mask { width, height, labels: crop(self.labels, size, (width, height), 1) }
    }

    /// Resized by taking the nearest pixel: labels are never mixed.
    #[must_use]
    pub fn resize(&self, width: usize, height: usize) -> Self {
        // Pixel centres, in integers: floor((i + 1/2) · from / to).
        let nearest = |i: usize, from: usize, to: usize| (2 * i + 1) * from / (2 * to);
        let columns: Vec<usize> = (0..width).map(|x| nearest(x, self.width, width)).collect();
        let mut labels = Vec::with_capacity(width * height);
        for y in 0..height {
            let row = nearest(y, self.height, height) * self.width;
            labels.extend(columns.iter().map(|&x| self.labels[row + x]));
        }
        Mask { width, height, labels }
    }
}

/// The top-left `kept` = (width, height) of rows of `size` = (width, height) pixels of `channels` values.
fn crop(mut values: Vec<u8>, size: (usize, usize), kept: (usize, usize), channels: usize) -> Vec<u8> {
    if kept.0 == size.0 {
        values.truncate(kept.0 * kept.1 * channels);
        return values;
    }
    let rows = values.chunks_exact(size.0 * channels).take(kept.1);
    rows.flat_map(|row| &row[..kept.0 * channels]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_keeps_the_top_left() {
        let image = Micrograph { width: 3, height: 2, channels: 1, pixels: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(image.clone().crop_top_left(2, 1).pixels, [1, 2]);
        assert_eq!(image.clone().crop_top_left(2, 9).pixels, [1, 2, 4, 5]);
        assert_eq!(image.clone().crop_top_left(3, 1).pixels, [1, 2, 3]);
    }

    #[test]
    fn a_mask_grows_and_shrinks_by_the_nearest_pixel() {
        let mask = Mask { width: 2, height: 2, labels: vec![0, 1, 2, 3] };
        let large = mask.resize(4, 4);
        assert_eq!(large.labels, [0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3]);
        assert_eq!(large.resize(2, 2), mask);
    }
}
