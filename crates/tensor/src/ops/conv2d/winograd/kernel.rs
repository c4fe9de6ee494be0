//! The transformed kernel, in blocks of input channels.

use super::lanes::{Transform, load_some, store};
use crate::ops::conv2d::source::Source;
use crate::ops::host::{Element, filled};
use crate::ops::panels::{Layout, Panels, panel};
use crate::ops::transpose::transpose;
use crate::ops::vector::{self, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Input channels to a block at most. Sums are taken block by block, which float32 is grateful for.
pub(super) const BLOCK: usize = 128;

/// Places (row · 4 + column) of the 4×4 transformed patch.
const ALL: [usize; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// The row and the column that vanish under a doubled input.
const VANISHING: usize = 2;
/// Those that do not.
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
    // Loops over constant ranges, which the compiler unrolls: over an array it does not, and the vectors lie in memory.
    let mut index = 0;
    for i in 0..4 {
        for j in 0..4 {
            if !doubled || i != VANISHING && j != VANISHING {
                store::<T, S>(to, index * stride + at, transformed[i][j]);
                index += 1;
            }
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

/// G w Gᵀ of some kernels in planes, each a right-hand matrix `[inner, columns]`: `[panel, plane, inner, width]`.
pub(super) struct Planes<T> {
    elements: Vec<T>,
    planes: usize,
    inner: usize,
    columns: usize,
}

impl<T: Element> Planes<T> {
    /// One of the planes that matter.
    pub(super) fn plane(&self, index: usize) -> Panels<'_, T> {
        let Planes { elements, planes, inner, columns } = self;
        let plane = panel::<T>() * inner;
        Panels { elements: &elements[index * plane..], inner: *inner, columns: *columns, apart: planes * plane }
    }
}

/// A weight `[3, 3, rows, columns]`.
struct Taps<'w, T> {
    elements: &'w [T],
    rows: usize,
    columns: usize,
}

impl<T: Element> Taps<'_, T> {
    /// Planes of what lies in some `rows` and `columns`.
    fn planes(&self, rows: &Range<usize>, columns: &Range<usize>, doubled: bool) -> Planes<T> {
        let (planes, inner, width) = (planes(doubled).len(), rows.len(), panel::<T>());
        let plane = width * inner;
        let elements = filled(columns.len().div_ceil(width) * planes * plane, |to| {
            to.par_chunks_mut(planes * plane).enumerate().for_each(|(index, to)| {
                let first = columns.start + index * width;
                let columns = first..(first + width).min(columns.end);
                if columns.len() < width {
                    // What a narrow panel leaves of its place.
                    to.fill(T::zero());
                }
                vector::run(TransformKernel { weight: self, rows: rows.clone(), columns, doubled, plane, to });
            });
        });
        Planes { elements, planes, inner, columns: columns.len() }
    }
}

/// G w Gᵀ of every kernel, ready to be multiplied with.
pub(super) struct Kernel<T> {
    /// With the block's planes.
    pub(super) blocks: Vec<(Block, Planes<T>)>,
}

impl<T: Element> Kernel<T> {
    /// Planes `[channels, out]` of the weight `[3, 3, in, out]`.
    pub(super) fn new(inputs: &[Source<'_, T>], weight: &[T], out: usize) -> Self {
        let taps = Taps { elements: weight, rows: weight.len() / (9 * out), columns: out };
        let transform = |block: Block| {
            let rows = block.offset..block.offset + block.channels.len();
            let planes = taps.planes(&rows, &(0..out), block.doubled);
            (block, planes)
        };
        Kernel { blocks: Block::all(inputs).into_par_iter().map(transform).collect() }
    }
}

/// The same for what takes gradients back.
pub(super) struct Transposed<T> {
    /// With the block's planes for every [`BLOCK`] of output channels, `[out, channels]` each.
    pub(super) blocks: Vec<(Block, Vec<Planes<T>>)>,
}

impl<T: Element> Transposed<T> {
    /// Of the weight `[3, 3, in, out]`.
    pub(super) fn new(inputs: &[Source<'_, T>], weight: &[T], out: usize) -> Self {
        let (tap, channels) = (weight.len() / 9, weight.len() / (9 * out));
        let turned = filled(weight.len(), |to| {
            to.par_chunks_mut(tap).zip(weight.par_chunks(tap)).for_each(|(to, from)| {
                transpose(from, out, [channels, out], to, channels);
            });
        });
        let taps = Taps { elements: &turned, rows: out, columns: channels };
        let transform = |block: Block| {
            let columns = block.offset..block.offset + block.channels.len();
            let planes = |first: usize| taps.planes(&(first..(first + BLOCK).min(out)), &columns, block.doubled);
            let planes = (0..out).into_par_iter().step_by(BLOCK).map(planes).collect();
            (block, planes)
        };
        Transposed { blocks: Block::all(inputs).into_par_iter().map(transform).collect() }
    }
}

/// Writes G w Gᵀ of the kernels in some `rows` and, at most a panel's width, `columns` into planes `plane` apart.
struct TransformKernel<'k, T> {
    weight: &'k Taps<'k, T>,
    rows: Range<usize>,
    columns: Range<usize>,
    doubled: bool,
    plane: usize,
    to: &'k mut [T],
}

impl<T: Element> WithSimd for TransformKernel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let TransformKernel { weight, rows, columns, doubled, plane, to } = self;
        let transform = Transform::<T, S>::new(simd);
        let layout = Layout::new::<T, S>(columns.len(), plane);
        let tap = weight.rows * weight.columns;
        for (index, row) in rows.enumerate() {
            for vector in 0..layout.vectors {
                let first = columns.start + vector * T::lanes::<S>();
                let lanes = T::lanes::<S>().min(columns.end - first);
                let from = row * weight.columns + first;
                let transformed = transform.weight(
                    #[inline(always)]
                    |i, j| load_some::<T, S>(simd, weight.elements, (3 * i + j) * tap + from, lanes),
                );
                store_planes::<T, S>(to, plane, layout.at(index, vector), &transformed, doubled);
            }
        }
    }
}
