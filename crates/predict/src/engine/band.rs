//! Finished rows of a prediction.

/// Rows of a prediction, from top to bottom, at the size of the image file's pixels.
#[derive(Clone, Debug)]
pub struct Band {
    /// Its first row.
    pub top: usize,
    /// Its number of rows.
    pub rows: usize,
    /// Pixels across.
    pub width: usize,
    /// The most probable class of each pixel, as index: `[rows, width]`.
    pub labels: Vec<u8>,
    /// Of a single model: with the temperature of its calibration. Of several models: their plain mean, without temperatures.
    /// The largest is that of the label: `[rows, width, classes]`.
    pub probabilities: Vec<f32>,
    /// With several models: their disagreement, the mutual information between label and model in nats (the entropy of the
    /// mean minus the mean of the entropies), blended over the tiles as the probabilities are: `[rows, width]`.
    pub disagreement: Option<Vec<f32>>,
}
