//! An image in planes, one a channel, and the buffers for changing it.

/// The largest pixel value.
pub(super) const WHITE: f32 = 255.0;

/// Values from 0 to 255, `[channels, height, width]`.
#[derive(Default)]
pub(super) struct Planes {
    /// At least as many values as the shape has.
    buffer: Vec<f32>,
    width: usize,
    height: usize,
    channels: usize,
}

impl Planes {
    /// Takes another shape; the values are unspecified afterwards.
    pub(super) fn reshape(&mut self, channels: usize, height: usize, width: usize) {
        (self.channels, self.height, self.width) = (channels, height, width);
        at_least(&mut self.buffer, channels * height * width);
    }

    /// Channels.
    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    /// Columns.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub(super) fn height(&self) -> usize {
        self.height
    }

    /// All channels one after the other.
    pub(super) fn values(&self) -> &[f32] {
        &self.buffer[..self.channels * self.height * self.width]
    }

    /// All channels one after the other.
    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.buffer[..self.channels * self.height * self.width]
    }

    /// One channel after the other, `[height, width]` each.
    pub(super) fn each_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let pixels = self.height * self.width;
        self.values_mut().chunks_exact_mut(pixels.max(1))
    }

    /// One channel after the other, `[height, width]` each.
    pub(super) fn each(&self) -> impl Iterator<Item = &[f32]> {
        self.values().chunks_exact((self.height * self.width).max(1))
    }

    /// Red, green and blue; `None` for any other number of channels than 3.
    pub(super) fn rgb(&self) -> Option<[&[f32]; 3]> {
        let (pixels, is_rgb) = (self.height * self.width, self.channels == 3);
        let (red, rest) = is_rgb.then(|| self.values().split_at(pixels))?;
        let (green, blue) = rest.split_at(pixels);
        Some([red, green, blue])
    }

    /// Red, green and blue; `None` for any other number of channels than 3.
    pub(super) fn rgb_mut(&mut self) -> Option<[&mut [f32]; 3]> {
        let (pixels, is_rgb) = (self.height * self.width, self.channels == 3);
        let (red, rest) = is_rgb.then(|| self.values_mut().split_at_mut(pixels))?;
        let (green, blue) = rest.split_at_mut(pixels);
        Some([red, green, blue])
    }

    /// Drops all channels but the first.
    pub(super) fn keep_first(&mut self) {
        self.channels = 1;
    }
}

/// Buffers that are kept from one image to the next, so that none is allocated anew.
#[derive(Default)]
pub(super) struct Buffers {
    /// Rows of an image between a pass along the rows and one along the columns.
    pub(super) rows: Vec<f32>,
    /// One row or a few, with what lies beyond their ends.
    pub(super) line: Vec<f32>,
    /// One channel of a part of an image.
    pub(super) channel: Vec<u8>,
}

/// The first `length` of `values`, which grows if necessary.
pub(super) fn at_least(values: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if values.len() < length {
        values.resize(length, 0.0);
    }
    &mut values[..length]
}
