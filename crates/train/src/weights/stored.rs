//! What a weight file lists: tensors by name, and where each lies.

use super::storage::View;
use std::collections::BTreeMap;

/// The tensors of one dictionary of a file.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// The keys that lead to the dictionary, joined by dots (`state_dict`); empty at the top of the file.
    pub(super) key: String,
    /// By name.
    pub(super) tensors: BTreeMap<String, Stored>,
}

/// A tensor that has not been read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// In PyTorch's layout; empty if `place` is [`Place::Unreadable`].
    pub(super) shape: Vec<usize>,
    /// Where its numbers are.
    pub(super) place: Place,
}

/// Where the numbers of a tensor are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a storage of a file of `torch.save`.
    View(View),
    /// In a safetensors file, under the tensor's name.
    Safetensors,
    /// Nowhere that the program can read, with the reason: a sparse or quantised tensor.
    Unreadable(String),
}
