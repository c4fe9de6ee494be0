//! The inputs of a convolution: one or several tensors, concatenated along the channels.

use crate::ops::host::{Element, elements};
use crate::ops::{concat, upsample_nearest};
use candle_core::{Result, Tensor, bail};
use std::ops::Deref;

/// A tensor `[batch, height, width, channels]` that a convolution reads as it is, or doubled in height and width by
/// nearest-neighbour upsampling.
#[derive(Clone, Debug)]
pub struct Joined {
    /// The tensor.
    pub tensor: Tensor,
    /// Whether every pixel stands for a square of four.
    pub doubled: bool,
}

impl Joined {
    fn shape(&self) -> Result<[usize; 4]> {
        let (batch, height, width, channels) = self.tensor.dims4()?;
        let scale = if self.doubled { 2 } else { 1 };
        Ok([batch, scale * height, scale * width, channels])
    }
}

/// All `inputs`, each in one piece.
pub(super) fn contiguous(inputs: &[Joined]) -> Result<Vec<Joined>> {
    let contiguous = |input: &Joined| Ok(Joined { tensor: input.tensor.contiguous()?, doubled: input.doubled });
    inputs.iter().map(contiguous).collect()
}

/// The first input: its device and type are those of all.
///
/// # Errors
/// If there are none.
pub(super) fn first(inputs: &[Joined]) -> Result<&Tensor> {
    match inputs.first() {
        Some(input) => Ok(&input.tensor),
        None => bail!("conv2d: no inputs"),
    }
}

/// The shape of all `inputs` together.
///
/// # Errors
/// If there are none, or they differ in more than their channels.
pub(super) fn shape(inputs: &[Joined]) -> Result<[usize; 4]> {
    let Some(first) = inputs.first() else { bail!("conv2d: no inputs") };
    let mut shape = first.shape()?;
    for input in &inputs[1..] {
        let other = input.shape()?;
        if other[..3] != shape[..3] {
            bail!("conv2d: {other:?} beside {:?}", first.shape()?);
        }
        shape[3] += other[3];
    }
    Ok(shape)
}

/// All `inputs` as one tensor.
///
/// # Errors
/// As [`shape`].
pub(super) fn join(inputs: &[Joined]) -> Result<Tensor> {
    let whole = |input: &Joined| {
        if input.doubled { upsample_nearest::forward(&input.tensor) } else { input.tensor.contiguous() }
    };
    if let [one] = inputs {
        return whole(one);
    }
    let parts: Vec<Tensor> = inputs.iter().map(whole).collect::<Result<_>>()?;
    concat::forward(&parts.iter().collect::<Vec<_>>())
}

/// The gradients of `inputs`, for those `wanted`, from the gradient of what [`join`] gives.
///
/// # Errors
/// If `gradient` has not its shape.
pub(super) fn part(inputs: &[Joined], wanted: &[bool], gradient: &Tensor) -> Result<Vec<Option<Tensor>>> {
    let mut first = 0;
    let mut parts = Vec::with_capacity(inputs.len());
    for (input, &wanted) in inputs.iter().zip(wanted) {
        let channels = input.shape()?[3];
        let part = || {
            let part = if inputs.len() == 1 { gradient.clone() } else { concat::backward(gradient, first, channels)? };
            if input.doubled { upsample_nearest::backward(&part) } else { Ok(part) }
        };
        parts.push(wanted.then(part).transpose()?);
        first += channels;
    }
    Ok(parts)
}

/// One input's numbers.
pub(super) struct Source<'a, T> {
    pub(super) elements: &'a [T],
    pub(super) channels: usize,
    pub(super) doubled: bool,
}

/// Calls `work` with the numbers of all `inputs`, which must be contiguous.
///
/// # Errors
/// If one is of another type or device.
pub(super) fn with_sources<T: Element, R>(inputs: &[Joined], work: impl FnOnce(&[Source<'_, T>]) -> R) -> Result<R> {
    let guards = inputs.iter().map(|input| elements::<T>(&input.tensor)).collect::<Result<Vec<_>>>()?;
    let mut sources = Vec::with_capacity(inputs.len());
    for (input, guard) in inputs.iter().zip(&guards) {
        sources.push(Source { elements: guard.deref(), channels: input.shape()?[3], doubled: input.doubled });
    }
    Ok(work(&sources))
}
