//! Images and masks at another size.

use crate::augment::{Window, resample};
use crate::{Mask, Micrograph};

impl Micrograph {
    /// Resized with an antialiased bilinear filter, as PIL does it.
    #[must_use]
    pub(crate) fn resize(&self, width: usize, height: usize) -> Self {
        let all = Window { left: 0, top: 0, width: self.width, height: self.height };
        let values = resample(&self.pixels, self.width, self.channels, all, (width, height));
        let pixels = values.into_iter().map(|v| (v + 0.5) as u8).collect();
        Micrograph { width, height, channels: self.channels, pixels }
    }
}

impl Mask {
    /// Resized by taking the nearest pixel: labels are never mixed.
    #[must_use]
    pub(crate) fn resize(&self, width: usize, height: usize) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_resized_by_the_nearest_pixel() {
        let mask = Mask { width: 2, height: 2, labels: vec![0, 1, 2, 3] };
        let large = mask.resize(4, 4);
        assert_eq!(large.labels, [0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3, 2, 2, 3, 3]);
        assert_eq!(large.resize(2, 2), mask);
    }
}
