//! Sizes of a convolution, and the unfolding of its input into rows of patches (im2col).

use super::options::Conv2d;
use crate::ops::host::Element;
use candle_core::{Result, bail};
use std::ops::Range;

/// How much a task works on at a time.
pub(super) struct Tile {
    /// Bytes of unfolded input.
    pub(super) bytes: usize,
    /// Most output pixels.
    pub(super) pixels: usize,
}

impl Tile {
    /// Fewest output pixels: with fewer, reading the weight would take most of the time.
    const LEAST_PIXELS: usize = 64;
}

/// Sizes of a convolution; pairs are (vertical, horizontal).
#[derive(Clone, Debug)]
pub(super) struct Geometry {
    pub(super) batch: usize,
    pub(super) size: [usize; 2],
    pub(super) channels_in: usize,
    pub(super) channels_out: usize,
    pub(super) kernel: [usize; 2],
    pub(super) padding: [usize; 2],
    pub(super) stride: usize,
    pub(super) dilation: usize,
    pub(super) out: [usize; 2],
}

impl Geometry {
    /// From the shapes of input and weight. With groups it is that of the convolution in one group with as many channels.
    pub(super) fn new(x: &[usize], weight: &[usize], options: &Conv2d) -> Result<Self> {
        let (&[batch, height, width, channels], &[kernel_h, kernel_w, channels_in, channels_out]) = (x, weight) else {
            bail!("conv2d: expected 4 dimensions each, found input {x:?} and weight {weight:?}");
        };
        let Conv2d { stride, padding, dilation, groups } = *options;
        if channels != channels_in * groups {
            let in_groups = if groups == 1 { String::new() } else { format!(" in each of {groups} groups") };
            bail!(
                "conv2d: the input {x:?} has {channels} channels, the weight {weight:?} takes {channels_in}{in_groups}"
            );
        }
        if !channels_out.is_multiple_of(groups) {
            bail!("conv2d: {channels_out} outputs are no multiple of {groups} groups");
        }
        if [stride, dilation, batch, channels, channels_out, kernel_h, kernel_w].contains(&0) {
            bail!("conv2d: an empty size in input {x:?}, weight {weight:?} or {options:?}");
        }
        let reach = [dilation * (kernel_h - 1) + 1, dilation * (kernel_w - 1) + 1];
        if height + 2 * padding < reach[0] || width + 2 * padding < reach[1] {
            bail!("conv2d: the kernel {weight:?} with {options:?} does not fit into the input {x:?}");
        }
        let out = [(height + 2 * padding - reach[0]) / stride + 1, (width + 2 * padding - reach[1]) / stride + 1];
        Ok(Geometry {
            batch,
            size: [height, width],
            channels_in: channels,
            channels_out,
            kernel: [kernel_h, kernel_w],
            padding: [padding; 2],
            stride,
            dilation,
            out,
        })
    }

    /// The output's shape, `[batch, out height, out width, out]`.
    pub(super) fn shape(&self) -> [usize; 4] {
        [self.batch, self.out[0], self.out[1], self.channels_out]
    }

    /// A 1×1 convolution at stride 1 sees no neighbours: the whole batch becomes one column of pixels.
    pub(super) fn flattened(&self) -> Self {
        let mut flat = self.clone();
        if self.is_pointwise() {
            let pixels = self.batch * self.size[0] * self.size[1];
            (flat.batch, flat.size, flat.out) = (1, [pixels, 1], [pixels, 1]);
        }
        flat
    }

    /// Whether the unfolded input would be the input.
    pub(super) fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == 1 && self.padding == [0, 0]
    }

    /// The stride-1 convolution, with the flipped kernel, that carries the output's gradient back to the input.
    pub(super) fn reversed(&self) -> Option<Self> {
        let reach = self.kernel.map(|kernel| self.dilation * (kernel - 1));
        if self.stride != 1 || self.padding[0] > reach[0] || self.padding[1] > reach[1] {
            return None;
        }
        Some(Geometry {
            size: self.out,
            out: self.size,
            channels_in: self.channels_out,
            channels_out: self.channels_in,
            padding: [reach[0] - self.padding[0], reach[1] - self.padding[1]],
            ..self.clone()
        })
    }

    /// Rows of output pixels over the whole batch.
    pub(super) fn rows(&self) -> usize {
        self.batch * self.out[0]
    }

    /// Elements of an unfolded patch.
    pub(super) fn patch(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.channels_in
    }

    /// The outputs along `axis` whose window has tap `tap` inside the image.
    pub(super) fn seen(&self, axis: usize, tap: usize) -> Range<usize> {
        let (shift, padding) = (tap * self.dilation, self.padding[axis]);
        let first = padding.saturating_sub(shift).div_ceil(self.stride);
        let last = (self.size[axis] + padding).saturating_sub(shift).div_ceil(self.stride).min(self.out[axis]);
        first.min(last)..last
    }

    /// Output rows to a tile, such that tiles come in fours and cores end together.
    pub(super) fn tile_rows<T>(&self, tile: &Tile) -> usize {
        let pixels = (tile.bytes / (self.patch() * size_of::<T>())).min(tile.pixels).max(Tile::LEAST_PIXELS);
        let tiles = (self.rows() * self.out[1]).div_ceil(pixels).next_multiple_of(4);
        self.rows().div_ceil(tiles).max(1)
    }

    /// Elements that [`Geometry::unfold`] needs for output rows `rows`.
    pub(super) fn unfolded(&self, rows: &Range<usize>) -> usize {
        if self.is_pointwise() { 0 } else { rows.len() * self.out[1] * self.patch() }
    }

    /// The unfolded patches of output rows `rows`, `[pixels, patch]`: in `buffer`, or `x` itself if pointwise.
    pub(super) fn unfold<'a, T: Element>(&self, x: &'a [T], rows: Range<usize>, buffer: &'a mut [T]) -> &'a [T] {
        if self.is_pointwise() {
            return &x[rows.start * self.channels_in..rows.end * self.channels_in];
        }
        self.each_segment(rows, |patch, input, length| match input {
            Some(start) => buffer[patch..patch + length].copy_from_slice(&x[start..start + length]),
            None => buffer[patch..patch + length].fill(T::zero()),
        });
        buffer
    }

    /// Adds patches of output rows `rows` back to where they came from: the transpose of [`Self::unfold`].
    #[inline(always)]
    pub(super) fn fold<T: Element>(&self, columns: &[T], rows: Range<usize>, first_row: usize, dx: &mut [T]) {
        self.each_segment(rows, |patch, input, length| {
            if let Some(start) = input {
                let start = start - first_row;
                for (sum, value) in dx[start..start + length].iter_mut().zip(&columns[patch..patch + length]) {
                    *sum += *value;
                }
            }
        });
    }

    /// Calls `visit(offset in the unfolded rows, offset in the input or none if padding, length)` for every
    /// contiguous piece of every patch.
    #[inline(always)]
    fn each_segment(&self, rows: Range<usize>, mut visit: impl FnMut(usize, Option<usize>, usize)) {
        let ([height, width], [kernel_h, kernel_w], c) = (self.size, self.kernel, self.channels_in);
        let mut patch = 0;
        for row in rows {
            let (image, out_y) = (row / self.out[0], row % self.out[0]);
            for out_x in 0..self.out[1] {
                for ky in 0..kernel_h {
                    let y = (out_y * self.stride + ky * self.dilation).wrapping_sub(self.padding[0]);
                    let left = out_x * self.stride;
                    if y >= height {
                        visit(patch, None, kernel_w * c);
                    } else if self.dilation == 1 {
                        // Kernel columns lo..hi fall inside the image, and their pixels are neighbours in memory.
                        let lo = self.padding[1].saturating_sub(left).min(kernel_w);
                        let hi = (width + self.padding[1]).saturating_sub(left).clamp(lo, kernel_w);
                        if lo > 0 {
                            visit(patch, None, lo * c);
                        }
                        if hi > lo {
                            let x = left + lo - self.padding[1];
                            visit(patch + lo * c, Some(((image * height + y) * width + x) * c), (hi - lo) * c);
                        }
                        if hi < kernel_w {
                            visit(patch + hi * c, None, (kernel_w - hi) * c);
                        }
                    } else {
                        for kx in 0..kernel_w {
                            let x = (left + kx * self.dilation).wrapping_sub(self.padding[1]);
                            let input = (x < width).then(|| ((image * height + y) * width + x) * c);
                            visit(patch + kx * c, input, c);
                        }
                    }
                    patch += kernel_w * c;
                }
            }
        }
    }
}
