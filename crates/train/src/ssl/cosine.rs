//! Cosine similarity, for methods without negatives.

use super::nt_xent::normalize;
use candle_core::{Result, Tensor};

/// The mean over the rows of the cosine between `predictions` and `targets`, `[batch, dimensions]` each; no gradient
/// reaches the targets. Its negative is `lightly.loss.NegativeCosineSimilarity`.
///
/// # Errors
/// If the shapes differ.
pub(crate) fn cosine(predictions: &Tensor, targets: &Tensor) -> Result<Tensor> {
    (normalize(predictions)? * normalize(&targets.detach())?)?.sum(1)?.mean_all()
}
