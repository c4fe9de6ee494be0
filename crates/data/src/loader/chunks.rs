//! The memory of a batch, split into that of its samples.

use rayon::prelude::*;

/// Splits `all` into `count` parts of equal length, at least one element each.
pub(super) fn in_chunks<T: Send>(all: &mut [T], count: usize) -> rayon::slice::ChunksExactMut<'_, T> {
    let length = (all.len() / count.max(1)).max(1);
    all.par_chunks_exact_mut(length)
}
