//! The memory that a thread needs to augment images.

use super::blur::{Kernel, blur};
use super::planes::{Buffers, Planes};
use super::resample::{Resampler, Window};

/// An image that is being augmented, with buffers that are kept from one image to the next, so that none is allocated anew.
#[derive(Default)]
pub struct Scratch {
    /// The image.
    pub(super) planes: Planes,
    buffers: Buffers,
    resampler: Resampler,
    kernel: Kernel,
}

impl Scratch {
    /// Resamples the part `window` of u8 `[_, width, channels]` to `to` = (width, height), flipped left-right (`flip[0]`)
    /// and up-down (`flip[1]`).
    pub(super) fn resample(
        &mut self,
        pixels: &[u8],
        (width, channels): (usize, usize),
        window: Window,
        to: (usize, usize),
        flip: [bool; 2],
    ) {
        let Scratch { planes, buffers, resampler, .. } = self;
        resampler.resample(pixels, (width, channels), window, to, flip, (planes, buffers));
    }

    /// Blurs the image by `sigma` pixels (above 0).
    pub(super) fn blur(&mut self, sigma: f32) {
        blur(&mut self.planes, sigma, &mut self.kernel, &mut self.buffers);
    }
}
