//! Attention inside of windows: a task computes one window of one image, head after head, with all that it needs in the caches.

use super::bias::Positions;
use super::exponential::Exponential;
use super::heads::{Head, by_keys, by_queries, lanes, scores, turn, turned_length, with_buffers};
use super::softmax::{Mask, Weights, WeightsBackward};
use super::windows::{WindowAttention, Windows};
use crate::ops::host::{Element, elements, filled, on_cpu_only, tensor};
use crate::ops::vector;
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;
use std::f64::consts::LOG2_E;

/// Added to scores between tokens of different regions, as Swin does.
const APART: f64 = -100.0;
/// Pieces that the windows of all images are divided into for the backward pass, at most: each sums up a gradient of the table.
const PIECES: usize = 32;

/// The sizes of the problem.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    windows: Windows,
    /// Of the output; the input has three times as many.
    channels: usize,
    heads: usize,
    /// Channels of a head.
    width: usize,
    /// Side of the windows that the table of biases is for.
    table_side: usize,
}

impl Sizes {
    fn new(qkv: &Tensor, table: &Tensor, options: &WindowAttention) -> Result<Self> {
        let &[batch, height, width, three] = qkv.dims() else {
            bail!(
                "window_attention: an input of {:?}, which should be [batch, height, width, 3 · channels]",
                qkv.dims()
            );
        };
        let (heads, channels) = (options.heads, three / 3);
        if heads == 0 || channels == 0 || three % 3 != 0 || channels % heads != 0 || batch * height * width == 0 {
            bail!("window_attention: an input of {:?} for queries, keys and values of {heads} heads", qkv.dims());
        }
        let windows = Windows::new([height, width], options)?;
        // A table for larger windows has all positions of smaller ones.
        let positions = |side: usize| (2 * side - 1).pow(2);
        let sides = [windows.side, options.window];
        let Some(&table_side) = sides.iter().find(|&&side| table.dims() == [positions(side), heads]) else {
            let expected = [positions(windows.side), heads];
            bail!(
                "window_attention: a table of {:?} for windows of side {}, which has {expected:?}",
                table.dims(),
                windows.side
            );
        };
        if table.dtype() != qkv.dtype() {
            bail!("window_attention: a table of {:?} for an input of {:?}", table.dtype(), qkv.dtype());
        }
        Ok(Sizes { batch, windows, channels, heads, width: channels / heads, table_side })
    }

    fn positions<T: Element>(&self) -> Positions {
        let stride = self.windows.tokens().next_multiple_of(lanes::<T>());
        Positions { side: self.windows.side, table_side: self.table_side, stride }
    }

    /// Elements of a head's row: whole vectors.
    fn stride<T: Element>(&self) -> usize {
        self.width.next_multiple_of(lanes::<T>())
    }

    /// Of queries (0), keys (1) and values (2) in the input.
    fn head_in<T: Element>(&self, part: usize, head: usize) -> Head {
        let (channels, stride) = (3 * self.channels, self.stride::<T>());
        Head { channels, first: part * self.channels + head * self.width, width: self.width, stride }
    }

    /// In the output.
    fn head_out<T: Element>(&self, head: usize) -> Head {
        Head { channels: self.channels, first: head * self.width, width: self.width, stride: self.stride::<T>() }
    }

    fn scale<T: Element>(&self) -> T {
        T::narrow(1.0 / (self.width as f64).sqrt())
    }

    /// For scores that powers of two are taken of.
    fn scale_to_base_2<T: Element>(&self) -> T {
        T::narrow(LOG2_E / (self.width as f64).sqrt())
    }
}

/// What is known of a window's tokens.
struct Window<T> {
    /// In the grids of all images.
    places: Vec<usize>,
    /// The rows and the keys' regions of a [`Mask`].
    mask: Option<(Vec<T>, Vec<usize>)>,
}

impl<T: Element> Window<T> {
    /// Window `index` of all images; rows of scores have `stride` elements.
    fn new(windows: &Windows, index: usize, stride: usize) -> Self {
        let (image, window) = (index / windows.count(), index % windows.count());
        let first = image * windows.height * windows.width;
        let places = windows.places(window).into_iter().map(|place| first + place).collect();
        let mask = windows.regions(window).map(|regions| {
            let added = |here: usize, there: usize| if here == there { T::zero() } else { T::narrow(APART * LOG2_E) };
            let row = |region: usize| {
                let queries = regions.iter().map(move |&other| added(region, other));
                queries.chain(std::iter::repeat(T::zero())).take(stride)
            };
            ((0..4).flat_map(row).collect(), regions)
        });
        Window { places, mask }
    }

    fn mask(&self) -> Option<Mask<'_, T>> {
        self.mask.as_ref().map(|(rows, regions)| Mask { rows, regions })
    }

    fn take(&self, head: Head, tokens: &[T], rows: &mut [T]) {
        head.take(tokens, self.places.iter().copied(), rows);
    }
}

/// The shape of [`forward`]'s output.
///
/// # Errors
/// If the shapes do not fit.
pub(super) fn output_shape(qkv: &Tensor, table: &Tensor, options: &WindowAttention) -> Result<[usize; 4]> {
    let Sizes { batch, windows, channels, .. } = Sizes::new(qkv, table, options)?;
    Ok([batch, windows.height, windows.width, channels])
}

/// `[batch, height, width, channels]` from queries, keys and values `qkv` `[batch, height, width, 3 · channels]` and the table of
/// biases `[(2 · window - 1)², heads]`: softmax(q kᵀ / √width + bias + mask) v inside of each window, where tokens that were
/// apart before the roll have a mask of -100. Channels of `qkv` are `[3][heads][width]`.
///
/// # Errors
/// If the shapes do not fit, or the device or type is not supported.
pub(super) fn forward(qkv: &Tensor, table: &Tensor, options: &WindowAttention) -> Result<Tensor> {
    let sizes = Sizes::new(qkv, table, options)?;
    let (qkv, table) = (qkv.contiguous()?, table.contiguous()?);
    on_cpu_only!("window_attention", &qkv, forward_host(&qkv, &table, sizes))
}

fn forward_host<T: Element + Exponential>(qkv: &Tensor, table: &Tensor, sizes: Sizes) -> Result<Tensor> {
    let Sizes { batch, windows, channels, heads, .. } = sizes;
    let (qkv, table) = (elements::<T>(qkv)?, elements::<T>(table)?);
    let qkv: &[T] = &qkv;
    let positions = sizes.positions::<T>();
    let bias = positions.spread(&table, heads, T::narrow(LOG2_E));
    let output = filled(batch * windows.height * windows.width * channels, |output| {
        windows.deal(output, channels).into_par_iter().enumerate().for_each(|(index, mut output)| {
            let window = Window::new(&windows, index, positions.stride);
            for (head, bias) in bias.chunks_exact(positions.scores()).enumerate() {
                attend(qkv, sizes, &window, head, bias, &mut output);
            }
        });
    });
    tensor(output, &[batch, windows.height, windows.width, channels])
}

/// One head of one window.
fn attend<T: Element + Exponential>(
    qkv: &[T],
    sizes: Sizes,
    window: &Window<T>,
    head: usize,
    bias: &[T],
    output: &mut [(usize, &mut [T])],
) {
    let (tokens, stride, columns) = (sizes.windows.tokens(), sizes.stride::<T>(), bias.len() / sizes.windows.tokens());
    let rows = tokens * stride;
    let lengths = [rows, rows, turned_length::<T>(tokens, sizes.width), bias.len(), columns];
    with_buffers(lengths, |[a, b, turned, weights, sums]| {
        window.take(sizes.head_in::<T>(0, head), qkv, a);
        turn(a, stride, sizes.width, turned);
        window.take(sizes.head_in::<T>(1, head), qkv, a);
        window.take(sizes.head_in::<T>(2, head), qkv, b);
        scores(a, stride, turned, sizes.width, weights);
        vector::run(Weights { scores: weights, bias, mask: window.mask(), scale: sizes.scale_to_base_2(), sums });
        by_queries(weights, b, stride, false, a);
        sums.iter_mut().for_each(|sum| *sum = T::one() / *sum);
        sizes.head_out::<T>(head).put(a, |row| sums[row], output);
    });
}

/// Gradients of [`forward`] with respect to `qkv` and the table, given the output's `gradient`.
///
/// # Errors
/// If `gradient` has not the output's shape, or as [`forward`].
pub(super) fn backward(
    qkv: &Tensor,
    table: &Tensor,
    options: &WindowAttention,
    gradient: &Tensor,
) -> Result<(Tensor, Tensor)> {
    let sizes = Sizes::new(qkv, table, options)?;
    let expected = [sizes.batch, sizes.windows.height, sizes.windows.width, sizes.channels];
    if gradient.dims() != expected || gradient.dtype() != qkv.dtype() {
        bail!("window_attention: a gradient of {:?} for an output of {expected:?}", gradient.shape());
    }
    let (qkv, table, gradient) = (qkv.contiguous()?, table.contiguous()?, gradient.contiguous()?);
    on_cpu_only!("window_attention", &qkv, backward_host(&qkv, &table, sizes, &gradient))
}

fn backward_host<T: Element + Exponential>(
    qkv: &Tensor,
    table: &Tensor,
    sizes: Sizes,
    gradient: &Tensor,
) -> Result<(Tensor, Tensor)> {
    let Sizes { windows, heads, .. } = sizes;
    let (shape, table_shape) = (qkv.dims(), table.dims());
    let (qkv, table, gradient) = (elements::<T>(qkv)?, elements::<T>(table)?, elements::<T>(gradient)?);
    let (qkv, gradient): (&[T], &[T]) = (&qkv, &gradient);
    let positions = sizes.positions::<T>();
    let bias = positions.spread(&table, heads, T::narrow(LOG2_E));
    let mut parts = Vec::new();
    let output = filled(qkv.len(), |output| {
        let mut output = windows.deal(output, 3 * sizes.channels);
        let piece = output.len().div_ceil(PIECES);
        let pieces = output.par_chunks_mut(piece).enumerate();
        parts = pieces
            .map(|(index, output)| {
                let window = |at: usize| Window::new(&windows, index * piece + at, positions.stride);
                let seen: Vec<Window<T>> = (0..output.len()).map(window).collect();
                let mut tables = vec![0.0; heads * positions.table()];
                let all = bias.chunks_exact(positions.scores()).zip(tables.chunks_exact_mut(positions.table()));
                for (head, (bias, table)) in all.enumerate() {
                    with_buffers([bias.len()], |[total]| {
                        total.fill(T::zero());
                        for (window, output) in seen.iter().zip(output.iter_mut()) {
                            attend_backward(qkv, gradient, sizes, window, head, bias, total, output);
                        }
                        positions.gather(total, table);
                    });
                }
                tables
            })
            .collect();
    });
    // Always in the order of the windows.
    let mut tables = vec![0.0; heads * positions.table()];
    for part in parts {
        tables.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    let place = |index: usize| tables[index % heads * positions.table() + index / heads];
    let table = (0..tables.len()).map(|index| T::narrow(place(index))).collect();
    // Positions of larger windows than these have the gradient 0.
    Ok((tensor(output, shape)?, tensor(table, table_shape)?))
}

/// One head of one window; adds the gradient of the scores to `total`.
#[allow(clippy::too_many_arguments)]
fn attend_backward<T: Element + Exponential>(
    qkv: &[T],
    gradient: &[T],
    sizes: Sizes,
    window: &Window<T>,
    head: usize,
    bias: &[T],
    total: &mut [T],
    output: &mut [(usize, &mut [T])],
) {
    let (tokens, stride, columns) = (sizes.windows.tokens(), sizes.stride::<T>(), bias.len() / sizes.windows.tokens());
    let (rows, turned) = (tokens * stride, turned_length::<T>(tokens, sizes.width));
    let lengths = [rows, rows, rows, rows, turned, bias.len(), bias.len(), columns];
    with_buffers(lengths, |[q, k, v, g, turned, weights, gradients, sums]| {
        let heads = [0, 1, 2].map(|part| sizes.head_in::<T>(part, head));
        window.take(heads[0], qkv, q);
        window.take(heads[1], qkv, k);
        window.take(heads[2], qkv, v);
        window.take(sizes.head_out::<T>(head), gradient, g);
        turn(q, stride, sizes.width, turned);
        scores(k, stride, turned, sizes.width, weights);
        let scale = sizes.scale_to_base_2();
        vector::run(Weights { scores: weights, bias, mask: window.mask(), scale, sums });
        sums.iter_mut().for_each(|sum| *sum = T::one() / *sum);
        turn(g, stride, sizes.width, turned);
        scores(v, stride, turned, sizes.width, gradients);
        vector::run(WeightsBackward { weights, inverses: sums, gradients, total });
        // The gradients of values, keys and queries, in rows that are read no more.
        by_keys(weights, g, stride, false, v);
        by_keys(gradients, q, stride, false, g);
        by_queries(gradients, k, stride, false, q);
        for (head, rows, factor) in
            [(heads[0], &*q, sizes.scale()), (heads[1], &*g, sizes.scale()), (heads[2], &*v, T::one())]
        {
            head.put(rows, |_| factor, output);
        }
    });
}
