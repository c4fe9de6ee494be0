//! Counts what a pass would keep, operation by operation.

use super::ops::gpu::Sizes;
use super::parameters::Parameters;
use candle_core::{DType, Result, Tensor, TensorId};
use indexmap::IndexSet;
use std::collections::HashSet;

/// The memory of a training pass over a network, from the network's own definition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Bytes kept for the backward pass.
    pub saved_bytes: u64,
    /// Bytes of the largest single tensor.
    pub largest_bytes: u64,
    /// The most bytes that are recomputed at once: 0 where everything is kept.
    pub recomputed_bytes: u64,
    /// Bytes of the largest concatenation of a convolution's inputs: a GPU writes it, a CPU does not.
    pub joined_bytes: u64,
}

/// A tensor of `shape` that takes the memory of one element.
pub(super) fn placeholder(shape: &[usize], dtype: DType, parameters: &Parameters) -> Result<Tensor> {
    Tensor::zeros((), dtype, parameters.device())?.broadcast_as(shape)
}

/// What the operations so far would keep.
#[derive(Default)]
pub(super) struct Count {
    pub(super) footprint: Footprint,
    saved: HashSet<TensorId>,
    /// Bytes of the outputs since the last value that is kept.
    segment: u64,
    pub(super) convolutions: IndexSet<Sizes>,
}

impl Count {
    /// Counts an operation's output.
    pub(super) fn output(&mut self, tensor: &Tensor) {
        self.footprint.largest_bytes = self.footprint.largest_bytes.max(bytes(tensor));
        self.segment += bytes(tensor);
    }

    /// Counts a convolution, whose concatenated inputs take `joined_bytes`; 0 if they are not written.
    pub(super) fn convolution(&mut self, sizes: Sizes, joined_bytes: usize) {
        self.footprint.joined_bytes = self.footprint.joined_bytes.max(joined_bytes as u64);
        self.convolutions.insert(sizes);
    }

    /// Ends a segment: all its outputs may be in memory together during the backward pass.
    pub(super) fn segment_ends(&mut self) {
        self.footprint.recomputed_bytes = self.footprint.recomputed_bytes.max(std::mem::take(&mut self.segment));
    }

    /// Counts a tensor that an operation saves; one that several save counts once.
    pub(super) fn saved(&mut self, tensor: &Tensor) {
        if self.saved.insert(tensor.id()) {
            self.footprint.saved_bytes += bytes(tensor);
        }
    }
}

fn bytes(tensor: &Tensor) -> u64 {
    (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64
}
