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
        let part = (width.min(self.width), height.min(self.height));
        self.crop((0, 0), part)
    }

    /// The part of `part` = (width, height) at `offset` = (columns from the left, rows from the top), which lies inside.
    #[must_use]
    pub(crate) fn crop(self, offset: (usize, usize), part: (usize, usize)) -> Self {
        let (channels, size) = (self.channels, (self.width, self.height));
        let pixels = cut(self.pixels, size, offset, part, channels);
        Micrograph { width: part.0, height: part.1, channels, pixels }
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
    /// The part of `part` = (width, height) at `offset` = (columns from the left, rows from the top), which lies inside.
    #[must_use]
    pub(crate) fn crop(self, offset: (usize, usize), part: (usize, usize)) -> Self {
        let labels = cut(self.labels, (self.width, self.height), offset, part, 1);
        Mask { width: part.0, height: part.1, labels }
    }
}

/// The part of `part` = (width, height) at `offset` of rows of `size` = (width, height) pixels of `channels` values.
fn cut(
    mut values: Vec<u8>,
    size: (usize, usize),
    offset: (usize, usize),
    part: (usize, usize),
    channels: usize,
) -> Vec<u8> {
    if part.0 == size.0 && offset == (0, 0) {
        values.truncate(part.0 * part.1 * channels);
        return values;
    }
    let rows = values.chunks_exact(size.0 * channels).skip(offset.1).take(part.1);
    rows.flat_map(|row| &row[offset.0 * channels..][..part.0 * channels]).copied().collect()
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
