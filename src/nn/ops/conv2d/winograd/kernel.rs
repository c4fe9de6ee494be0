//! The transformed kernel, in blocks of input channels.

use super::lanes::{Transform, firsts, load, store};
use crate::nn::ops::conv2d::source::Source;
use crate::nn::ops::host::{Element, filled};
use crate::nn::ops::matrix::{Matrix, Packed};
use crate::nn::ops::vector::{self, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Input channels to a block at most. Sums are taken block by block, which float32 is grateful for.
pub(super) const BLOCK: usize = 128;

/// Input channels whose kernels a task transforms.
const CHANNELS: usize = 8;

/// Places (row · 4 + column) of the 4×4 transformed patch.
const ALL: [usize; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// Those that do not vanish under a doubled input: without row and column 2.
const DOUBLED: [usize; 9] = [0, 1, 3, 4, 5, 7, 12, 13, 15];

/// The places that matter to an input.
pub(super) fn planes(doubled: bool) -> &'static [usize] {
    if doubled { &DOUBLED } else { &ALL }
}

/// Writes a transformed patch, or what matters of it under a doubled input, into its planes, `stride` apart.
#[inline(always)]
pub(super) fn store_planes<T: Element, S: Simd>(
    to: &mut [T],
    stride: usize,
    at: usize,
    transformed: &[[T::Of<S>; 4]; 4],
    doubled: bool,
) {
    // Two loops over constants, which the compiler unrolls.
    if doubled {
        for (index, plane) in DOUBLED.iter().enumerate() {
            store::<T, S>(to, index * stride + at, transformed[plane / 4][plane % 4]);
        }
    } else {
        for plane in ALL {
            store::<T, S>(to, plane * stride + at, transformed[plane / 4][plane % 4]);
        }
    }
}

/// The place where the transform of the kernel turned by 180° has what the kernel's has at `plane`.
pub(super) fn flipped(plane: usize) -> usize {
    let turned = |line: usize| [3, 1, 2, 0][line];
    4 * turned(plane / 4) + turned(plane % 4)
}

/// Neighbouring channels of one input.
pub(super) struct Block {
    pub(super) source: usize,
    /// Counted within the input.
    pub(super) channels: Range<usize>,
    /// Where they begin among all input channels.
    pub(super) offset: usize,
    pub(super) doubled: bool,
}

impl Block {
    /// All blocks of `inputs`, in order.
    pub(super) fn all<T>(inputs: &[Source<'_, T>]) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut before = 0;
        for (source, input) in inputs.iter().enumerate() {
            // Of like size, so that none is narrower than a vector.
            let count = input.channels.div_ceil(BLOCK);
            for index in 0..count {
                let channels = index * input.channels / count..(index + 1) * input.channels / count;
                blocks.push(Block { source, offset: before + channels.start, channels, doubled: input.doubled });
            }
            before += input.channels;
        }
        blocks
    }

    /// The places that matter.
    pub(super) fn planes(&self) -> &'static [usize] {
        planes(self.doubled)
    }
}

/// G w Gᵀ of every kernel, ready to be multiplied with.
pub(super) struct Kernel<T> {
    /// With the block's planes.
    pub(super) blocks: Vec<(Block, Vec<Packed<T>>)>,
}

impl<T: Element> Kernel<T> {
    /// Planes `[channels, out]` of the weight `[3, 3, in, out]`.
    pub(super) fn new(inputs: &[Source<'_, T>], weight: &[T], out: usize) -> Self {
        Self::packed(inputs, weight, out, |plane, channels| vec![Packed::new(plane, channels, out)])
    }

    /// For every plane its blocks of output channels, `[out, channels]` each: what takes gradients back.
    pub(super) fn transposed(inputs: &[Source<'_, T>], weight: &[T], out: usize) -> Self {
        Self::packed(inputs, weight, out, |plane, channels| {
            let block = |first: usize| {
                let rest = Matrix { elements: &plane.elements[first..], ..plane };
                Packed::new(rest.transposed(), BLOCK.min(out - first), channels)
            };
            (0..out).step_by(BLOCK).map(block).collect()
        })
    }

    fn packed(
        inputs: &[Source<'_, T>],
        weight: &[T],
        out: usize,
        pack: impl Fn(Matrix<'_, T>, usize) -> Vec<Packed<T>> + Sync,
    ) -> Self {
        let tap = weight.len() / 9;
        let transform = |block: Block| {
            let (channels, planes) = (block.channels.len(), block.planes().len());
            let row = planes * out;
            let transformed = filled(channels * row, |to| {
                to.par_chunks_mut(CHANNELS * row).enumerate().for_each(|(index, to)| {
                    let channel = block.offset + index * CHANNELS;
                    vector::run(TransformKernel { weight, tap, channel, doubled: block.doubled, out, row, to });
                });
            });
            let plane = |index: usize| {
                pack(Matrix { elements: &transformed[index * out..], row_stride: row, column_stride: 1 }, channels)
            };
            let packed = (0..planes).into_par_iter().flat_map_iter(plane).collect();
            (block, packed)
        };
        Kernel { blocks: Block::all(inputs).into_par_iter().map(transform).collect() }
    }
}

/// Writes G w Gᵀ of some input channels' kernels: `[channel, plane, out]`.
struct TransformKernel<'k, T> {
    weight: &'k [T],
    /// Elements of one tap of the weight.
    tap: usize,
    /// The first of them, counted over all inputs.
    channel: usize,
    doubled: bool,
    out: usize,
    /// Elements of a channel's planes.
    row: usize,
    to: &'k mut [T],
}

impl<T: Element> WithSimd for TransformKernel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let TransformKernel { weight, tap, channel, doubled, out, row, to } = self;
        let transform = Transform::<T, S>::new(simd);
        for (index, to) in to.chunks_exact_mut(row).enumerate() {
            for first in firsts::<T, S>(out) {
                let from = (channel + index) * out + first;
                let transformed = transform.weight(
                    #[inline(always)]
                    |i, j| load::<T, S>(weight, (3 * i + j) * tap + from),
                );
                store_planes::<T, S>(to, out, first, &transformed, doubled);
            }
        }
    }
}
