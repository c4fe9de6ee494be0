//! Finished rows of a prediction.

use matssl_data::tiles::Stitched;

/// Finished rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// Labels, and the mean over the networks of the class probabilities.
    pub rows: Stitched,
    /// With several networks: the mutual information between label and network, in nats, `[rows, width]`; blended over the
    /// tiles as the probabilities are.
    pub disagreement: Option<Vec<f32>>,
}
