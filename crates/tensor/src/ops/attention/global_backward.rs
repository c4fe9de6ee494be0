//! Gradients of attention of all tokens to all. A task takes some blocks of keys of one head of one image and walks over all
//! queries: so the gradients of its keys and values are its own, and those of queries are summed up over the tasks of a head, in
//! their order.

use super::exponential::Exponential;
use super::global::{KEYS, QUERIES, Sizes};
use super::heads::{by_keys, by_queries, lanes, put_rows, scores, turn, turned_length, with_buffers};
use super::softmax::ScoresBackward;
use crate::ops::host::{Element, elements, filled, on_cpu_only, tensor};
use crate::ops::vector;
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

/// Tasks of a backward pass, at least, if there are so many blocks of keys. Each holds gradients of all queries of its head.
const TASKS: usize = 16;

/// What the forward pass left: its input, output and logarithms.
pub(super) struct Before<'t> {
    pub(super) qkv: &'t Tensor,
    pub(super) output: &'t Tensor,
    pub(super) logarithms: &'t Tensor,
}

/// Gradient of [`forward`](super::global::forward) with respect to `qkv`, given the output's `gradient`.
///
/// # Errors
/// If the shapes do not fit, or as [`forward`](super::global::forward).
pub(super) fn backward(before: &Before<'_>, heads: usize, gradient: &Tensor) -> Result<Tensor> {
    let Before { qkv, output, logarithms } = before;
    let sizes = Sizes::new(qkv, heads)?;
    let expected = sizes.output();
    if gradient.dims() != expected || gradient.dtype() != qkv.dtype() {
        bail!("attention: a gradient of {:?} for an output of {expected:?}", gradient.shape());
    }
    let (qkv, output, gradient) = (qkv.contiguous()?, output.contiguous()?, gradient.contiguous()?);
    on_cpu_only!("attention", &qkv, backward_host(&qkv, &output, logarithms, &gradient, sizes))
}

/// For each token its channels of a head in the gradient.
type Rows<'g, T> = Vec<&'g mut [T]>;

/// Keys of a task.
struct Task<'g, T> {
    /// Index of image and head.
    head: usize,
    first: usize,
    keys: Rows<'g, T>,
    values: Rows<'g, T>,
}

/// What all tasks read.
#[derive(Clone, Copy)]
struct Inputs<'t, T> {
    sizes: Sizes,
    qkv: &'t [T],
    output: &'t [T],
    logarithms: &'t [T],
    gradient: &'t [T],
}

fn backward_host<T: Element + Exponential>(
    qkv: &Tensor,
    output: &Tensor,
    logarithms: &Tensor,
    gradient: &Tensor,
    sizes: Sizes,
) -> Result<Tensor> {
    let Sizes { batch, tokens, heads, .. } = sizes;
    let shape = qkv.dims();
    let (qkv, output) = (elements::<T>(qkv)?, elements::<T>(output)?);
    let (logarithms, gradient) = (elements::<T>(logarithms)?, elements::<T>(gradient)?);
    let inputs = Inputs { sizes, qkv: &qkv, output: &output, logarithms: &logarithms, gradient: &gradient };
    let blocks = tokens.div_ceil(KEYS);
    let pieces = TASKS.div_ceil(batch * heads).min(blocks);
    let piece = blocks.div_ceil(pieces) * KEYS;
    let pieces = tokens.div_ceil(piece);
    let result = filled(qkv.len(), |result| {
        let (queries, tasks) = deal(result, sizes, piece);
        let rows: Vec<Vec<T>> = tasks.into_par_iter().map(|task| attend_backward(inputs, task)).collect();
        let all = queries.into_par_iter().zip(rows.par_chunks(pieces));
        all.for_each(|(queries, rows)| put_queries(sizes, queries, rows));
    });
    tensor(result, shape)
}

/// Deals out the gradient `[batch, tokens, 3][heads][width]`: for each image and head the queries' part, and the tasks with theirs,
/// each with `piece` keys.
fn deal<T>(result: &mut [T], sizes: Sizes, piece: usize) -> (Vec<Rows<'_, T>>, Vec<Task<'_, T>>) {
    let Sizes { batch, tokens, heads, width, .. } = sizes;
    let pieces = tokens.div_ceil(piece);
    let mut queries: Vec<Rows<'_, T>> = Vec::new();
    queries.resize_with(batch * heads, || Vec::with_capacity(tokens));
    let task = |index: usize| {
        let (keys, values) = (Vec::with_capacity(piece), Vec::with_capacity(piece));
        Task { head: index / pieces, first: index % pieces * piece, keys, values }
    };
    let mut tasks: Vec<Task<'_, T>> = (0..batch * heads * pieces).map(task).collect();
    for (index, row) in result.chunks_exact_mut(width).enumerate() {
        let (head, part, token) = (index % heads, index / heads % 3, index / (3 * heads));
        let head = token / tokens * heads + head;
        let task = head * pieces + token % tokens / piece;
        match part {
            0 => queries[head].push(row),
            1 => tasks[task].keys.push(row),
            _ => tasks[task].values.push(row),
        }
    }
    (queries, tasks)
}

/// Writes the queries' part of the gradient, of which each task of the head has a share.
fn put_queries<T: Element>(sizes: Sizes, mut queries: Rows<'_, T>, rows: &[Vec<T>]) {
    let (stride, scale) = (sizes.stride::<T>(), sizes.scale::<T>());
    let Some((first, others)) = rows.split_first() else { return };
    put_rows(first, stride, |_| scale, &mut queries);
    for (token, to) in queries.into_iter().enumerate() {
        for other in others {
            for (to, value) in to.iter_mut().zip(&other[token * stride..]) {
                *to += *value * scale;
            }
        }
    }
}

/// Writes the gradients of a task's keys and values, and returns its share of those of all queries, before they are scaled.
fn attend_backward<T: Element + Exponential>(inputs: Inputs<'_, T>, mut task: Task<'_, T>) -> Vec<T> {
    let Inputs { sizes, qkv, output, logarithms, gradient } = inputs;
    let (tokens, width, stride) = (sizes.tokens, sizes.width, sizes.stride::<T>());
    let (image, head) = (task.head / sizes.heads, task.head % sizes.heads);
    let [in_q, in_k, in_v] = [0, 1, 2].map(|part| sizes.head_in::<T>(part, head));
    let out = sizes.head_out::<T>(head);
    let places = |first: usize, count: usize| (image * tokens + first..).take(count);
    let (keys, blocks) = (task.keys.len(), tokens.div_ceil(QUERIES));
    let turned = turned_length::<T>(QUERIES, width);
    let (all, some) = (tokens * stride, keys * stride);
    let lengths = [all, all, blocks * turned, blocks * turned, blocks * QUERIES, blocks * QUERIES];
    let mut queries = Vec::new();
    with_buffers(lengths, |[q, g, q_turned, g_turned, logs, means]| {
        let lengths = [some, some, some, some, KEYS * QUERIES, KEYS * QUERIES];
        with_buffers(lengths, |[k, v, dk, dv, weights, gradients]| {
            in_q.take(qkv, places(0, tokens), q);
            in_k.take(qkv, places(task.first, keys), k);
            in_v.take(qkv, places(task.first, keys), v);
            // Of the output only the sum of products with the gradient is needed.
            out.take(output, places(0, tokens), g);
            means.fill(T::zero());
            for ((mean, row), place) in means.iter_mut().zip(g.chunks_exact(stride)).zip(places(0, tokens)) {
                let token = &gradient[place * out.channels + out.first..][..width];
                *mean = row.iter().zip(token).map(|(a, b)| *a * *b).fold(T::zero(), |sum, product| sum + product);
            }
            out.take(gradient, places(0, tokens), g);
            logs.fill(T::zero());
            logs[..tokens].copy_from_slice(&logarithms[task.head * tokens..][..tokens]);
            for (rows, all) in [(&*q, &mut *q_turned), (&*g, &mut *g_turned)] {
                for (rows, to) in rows.chunks(QUERIES * stride).zip(all.chunks_mut(turned)) {
                    turn(rows, stride, width, &mut to[..turned_length::<T>(rows.len() / stride, width)]);
                }
            }
            queries = filled(all, |dq| {
                for first in (0..keys).step_by(KEYS) {
                    let some = first * stride..(first + KEYS).min(keys) * stride;
                    let (k, v) = (&k[some.clone()], &v[some.clone()]);
                    let (dk, dv) = (&mut dk[some.clone()], &mut dv[some]);
                    for block in 0..blocks {
                        let here = block * QUERIES * stride..((block + 1) * QUERIES).min(tokens) * stride;
                        let (q, g) = (&q[here.clone()], &g[here.clone()]);
                        let columns = (q.len() / stride).next_multiple_of(lanes::<T>());
                        let scale = sizes.scale_to_base_2();
                        let size = k.len() / stride * columns;
                        let (weights, gradients) = (&mut weights[..size], &mut gradients[..size]);
                        scores(k, stride, &q_turned[block * turned..], width, weights);
                        scores(v, stride, &g_turned[block * turned..], width, gradients);
                        let [logarithms, means] = [&*logs, &*means].map(|row| &row[block * QUERIES..][..columns]);
                        vector::run(ScoresBackward { scores: weights, scale, logarithms, gradients, means });
                        by_keys(weights, g, stride, block > 0, dv);
                        by_keys(gradients, q, stride, block > 0, dk);
                        by_queries(gradients, k, stride, first > 0, &mut dq[here]);
                    }
                }
            });
            put_rows(dv, stride, |_| T::one(), &mut task.values);
            let scale = sizes.scale();
            put_rows(dk, stride, |_| scale, &mut task.keys);
        });
    });
    queries
}
