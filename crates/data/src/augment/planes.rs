//! An image on its way to the network, one plane a channel.

use super::blur::Kernel;
use super::resample::Filter;
use std::mem::MaybeUninit;

/// Values from 0 to 255, `[channels, height, width]` with 1 or 3 channels.
#[derive(Default)]
pub(super) struct Planes {
    /// At least as many as the shape has.
    held: Vec<f32>,
    width: usize,
    height: usize,
    channels: usize,
}

impl Planes {
    /// Takes another shape; which values it then has is not said.
    pub(super) fn reshape(&mut self, channels: usize, height: usize, width: usize) {
        (self.channels, self.height, self.width) = (channels, height, width);
        at_least(&mut self.held, channels * height * width);
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
        &self.held[..self.channels * self.height * self.width]
    }

    /// All channels one after the other.
    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.held[..self.channels * self.height * self.width]
    }

    /// One channel after the other, `[height, width]` each.
    pub(super) fn each_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let pixels = self.height * self.width;
        self.values_mut().chunks_exact_mut(pixels.max(1))
    }

    /// Red, green and blue; nothing of a grey image.
    pub(super) fn rgb(&self) -> Option<[&[f32]; 3]> {
        let (pixels, is_rgb) = (self.height * self.width, self.channels == 3);
        let (red, rest) = is_rgb.then(|| self.values().split_at(pixels))?;
        let (green, blue) = rest.split_at(pixels);
        Some([red, green, blue])
    }

    /// Red, green and blue; nothing of a grey image.
    pub(super) fn rgb_mut(&mut self) -> Option<[&mut [f32]; 3]> {
        let (pixels, is_rgb) = (self.height * self.width, self.channels == 3);
        let (red, rest) = is_rgb.then(|| self.values_mut().split_at_mut(pixels))?;
        let (green, blue) = rest.split_at_mut(pixels);
        Some([red, green, blue])
    }

    /// Keeps the first channel only.
    pub(super) fn keep_first(&mut self) {
        self.channels = 1;
    }
}

/// The first `length` of `values`, which grows if it must.
pub(super) fn at_least(values: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if values.len() < length {
        values.resize(length, 0.0);
    }
    &mut values[..length]
}

/// What a thread needs to make views, kept from one to the next so that none allocates.
#[derive(Default)]
pub struct Scratch {
    /// The image.
    pub(super) planes: Planes,
    /// Rows before they are mixed down the columns.
    pub(super) rows: Vec<f32>,
    /// One row, with what lies beyond its ends.
    pub(super) line: Vec<f32>,
    /// Resampling along the rows.
    pub(super) across: Filter,
    /// Resampling along the columns.
    pub(super) down: Filter,
    /// The blur's weights.
    pub(super) kernel: Kernel,
}

impl Scratch {
    /// Writes the image, normalised: `[height, width, 3]`, as many values as `out` has room for.
    ///
    /// # Panics
    /// As [`Planes::normalize`].
    pub(crate) fn normalize(&self, out: &mut [MaybeUninit<f32>]) {
        self.planes.normalize(out);
    }
}
