//! Images and masks in memory.

/// The mask value of an ignored pixel: it is in no loss and no metric.
pub const IGNORE: u8 = 255;

/// An image: u8, `[height, width, channels]`, channels last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Micrograph {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// 1 to [`MOST_CHANNELS`](crate::MOST_CHANNELS): 1 is grey, 3 are RGB, other numbers have no colours. Three equal channels
    /// are grey.
    pub channels: usize,
    /// `height · width · channels` values, row by row.
    pub pixels: Vec<u8>,
}

/// A mask: one class index a pixel, `[height, width]`; [`IGNORE`] where the class is unknown.
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

    /// Drops two channels of an RGB image whose channels are equal everywhere, which saves two thirds of its memory.
    #[must_use]
    pub(crate) fn grey_if_equal_channels(self) -> Self {
        if self.channels == 3 && self.pixels.as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b) {
            let pixels = self.pixels.into_iter().step_by(3).collect();
            return Micrograph { channels: 1, pixels, ..self };
        }
        self
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
}

/// The top-left `to` = (width, height) of rows of `size` = (width, height) pixels of `channels` values.
fn crop(mut values: Vec<u8>, size: (usize, usize), to: (usize, usize), channels: usize) -> Vec<u8> {
    if to.0 == size.0 {
        values.truncate(to.0 * to.1 * channels);
        return values;
    }
    let rows = values.chunks_exact(size.0 * channels).take(to.1);
    rows.flat_map(|row| &row[..to.0 * channels]).copied().collect()
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
}
