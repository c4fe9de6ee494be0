//! Attention of all tokens to all, block by block, without the matrix of scores (Dao et al., *FlashAttention*, 2022): a task
//! computes some blocks of queries of one head of one image, and walks over the keys with an online softmax.

use super::exponential::Exponential;
use super::heads::{Head, by_queries, lanes, put_rows, scale_rows, scores, turn, turned_length, with_buffers};
use super::softmax::MoreWeights;
use crate::ops::host::{Element, elements, filled, on_cpu_only, tensor};
use crate::ops::vector;
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;
use std::f64::consts::LOG2_E;

/// Queries of a block.
pub(super) const QUERIES: usize = 64;
/// Keys of a block.
pub(super) const KEYS: usize = 128;
/// Tasks of a forward pass, at least, if there are so many blocks of queries. Each copies its head's keys and values.
const TASKS: usize = 64;

/// The sizes of the problem.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) tokens: usize,
    /// Of the output; the input has three times as many.
    pub(super) channels: usize,
    pub(super) heads: usize,
    /// Channels of a head.
    pub(super) width: usize,
}

impl Sizes {
    pub(super) fn new(qkv: &Tensor, heads: usize) -> Result<Self> {
        let &[batch, tokens, three] = qkv.dims() else {
            bail!("attention: an input of {:?}, which should be [batch, tokens, 3 · channels]", qkv.dims());
        };
        let channels = three / 3;
        if heads == 0 || channels == 0 || three % 3 != 0 || channels % heads != 0 || batch * tokens == 0 {
            bail!("attention: an input of {:?} for queries, keys and values of {heads} heads", qkv.dims());
        }
        Ok(Sizes { batch, tokens, channels, heads, width: channels / heads })
    }

    /// Elements of a head's row: whole vectors.
    pub(super) fn stride<T: Element>(&self) -> usize {
        self.width.next_multiple_of(lanes::<T>())
    }

    /// Of queries (0), keys (1) and values (2) in the input.
    pub(super) fn head_in<T: Element>(&self, part: usize, head: usize) -> Head {
        let (channels, stride) = (3 * self.channels, self.stride::<T>());
        Head { channels, first: part * self.channels + head * self.width, width: self.width, stride }
    }

    /// In the output.
    pub(super) fn head_out<T: Element>(&self, head: usize) -> Head {
        Head { channels: self.channels, first: head * self.width, width: self.width, stride: self.stride::<T>() }
    }

    pub(super) fn scale<T: Element>(&self) -> T {
        T::narrow(1.0 / (self.width as f64).sqrt())
    }

    /// For scores that powers of two are taken of.
    pub(super) fn scale_to_base_2<T: Element>(&self) -> T {
        T::narrow(LOG2_E / (self.width as f64).sqrt())
    }

    /// The shape of the output.
    pub(super) fn output(&self) -> [usize; 3] {
        [self.batch, self.tokens, self.channels]
    }

    /// The shape of the logarithms.
    pub(super) fn logarithms(&self) -> [usize; 3] {
        [self.batch, self.heads, self.tokens]
    }
}

/// The output `[batch, tokens, channels]` for queries, keys and values `qkv` `[batch, tokens, 3 · channels]`,
/// softmax(q kᵀ / √width) v; and for the backward pass log₂ Σ e^(q kᵀ / √width) over the keys, `[batch, heads, tokens]`. Channels of
/// `qkv` are `[3][heads][width]`.
///
/// # Errors
/// If the shapes do not fit, or the device or type is not supported.
pub(super) fn forward(qkv: &Tensor, heads: usize) -> Result<(Tensor, Tensor)> {
    let sizes = Sizes::new(qkv, heads)?;
    let qkv = qkv.contiguous()?;
    on_cpu_only!("attention", &qkv, forward_host(&qkv, sizes))
}

/// Queries of a task.
struct Task<'o, T> {
    /// Index of image and head.
    head: usize,
    first: usize,
    /// For each query its channels of this head in the output.
    output: Vec<&'o mut [T]>,
    /// For each query.
    logarithms: &'o mut [T],
}

fn forward_host<T: Element + Exponential>(qkv: &Tensor, sizes: Sizes) -> Result<(Tensor, Tensor)> {
    let Sizes { batch, tokens, heads, width, .. } = sizes;
    let qkv = elements::<T>(qkv)?;
    let qkv: &[T] = &qkv;
    let blocks = tokens.div_ceil(QUERIES);
    let pieces = TASKS.div_ceil(batch * heads).min(blocks);
    let piece = blocks.div_ceil(pieces) * QUERIES;
    let mut logarithms = Vec::new();
    let output = filled(batch * tokens * sizes.channels, |output| {
        logarithms = filled(batch * heads * tokens, |logarithms| {
            let mut tasks: Vec<Task<'_, T>> = Vec::new();
            for (head, logarithms) in logarithms.chunks_exact_mut(tokens).enumerate() {
                tasks.extend(logarithms.chunks_mut(piece).enumerate().map(|(index, logarithms)| {
                    let output = Vec::with_capacity(logarithms.len());
                    Task { head, first: index * piece, output, logarithms }
                }));
            }
            let pieces = tokens.div_ceil(piece);
            for (index, row) in output.chunks_exact_mut(width).enumerate() {
                let (head, token) = (index % heads, index / heads);
                let head = token / tokens * heads + head;
                tasks[head * pieces + token % tokens / piece].output.push(row);
            }
            tasks.into_par_iter().for_each(|task| attend(qkv, sizes, task));
        });
    });
    Ok((tensor(output, &sizes.output())?, tensor(logarithms, &sizes.logarithms())?))
}

fn attend<T: Element + Exponential>(qkv: &[T], sizes: Sizes, mut task: Task<'_, T>) {
    let (tokens, width, stride) = (sizes.tokens, sizes.width, sizes.stride::<T>());
    let (image, head) = (task.head / sizes.heads, task.head % sizes.heads);
    let heads = [0, 1, 2].map(|part| sizes.head_in::<T>(part, head));
    let places = |first: usize| image * tokens + first..(image + 1) * tokens;
    let turned = turned_length::<T>(QUERIES, width);
    let rows = [tokens, tokens, QUERIES, QUERIES].map(|rows| rows * stride);
    let lengths = [rows[0], rows[1], rows[2], rows[3], turned, KEYS * QUERIES, QUERIES, QUERIES, QUERIES];
    with_buffers(lengths, |[k, v, q, sum, turned, weights, largest, totals, factors]| {
        heads[1].take(qkv, places(0), k);
        heads[2].take(qkv, places(0), v);
        let blocks = task.output.chunks_mut(QUERIES).zip(task.logarithms.chunks_mut(QUERIES));
        for (index, (output, logarithms)) in blocks.enumerate() {
            let queries = output.len();
            let columns = queries.next_multiple_of(lanes::<T>());
            let (q, sum) = (&mut q[..queries * stride], &mut sum[..queries * stride]);
            let turned = &mut turned[..turned_length::<T>(queries, width)];
            let [largest, totals, factors] =
                [&mut *largest, &mut *totals, &mut *factors].map(|row| &mut row[..columns]);
            heads[0].take(qkv, places(task.first + index * QUERIES), q);
            turn(q, stride, width, turned);
            largest.fill(T::neg_infinity());
            totals.fill(T::zero());
            for (number, (k, v)) in k.chunks(KEYS * stride).zip(v.chunks(KEYS * stride)).enumerate() {
                let weights = &mut weights[..k.len() / stride * columns];
                scores(k, stride, turned, width, weights);
                let scale = sizes.scale_to_base_2();
                vector::run(MoreWeights { scores: weights, scale, largest, sums: totals, factors });
                if number > 0 {
                    scale_rows(sum, stride, factors);
                }
                by_queries(weights, v, stride, number > 0, sum);
            }
            for ((logarithm, largest), total) in logarithms.iter_mut().zip(&*largest).zip(&mut *totals) {
                *logarithm = *largest + total.log2();
                *total = T::one() / *total;
            }
            put_rows(sum, stride, |row| totals[row], output);
        }
    });
}
