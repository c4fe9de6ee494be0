//! What is known after a prediction, beside its bands.

/// How an image was predicted.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// Pixels of the image, across and down, for one of the image that the models saw; `None` if it was not scaled.
    pub scaled_by: Option<[f64; 2]>,
    /// Side of a tile.
    pub tile: usize,
    /// Overlap of tiles, as a fraction of their side.
    pub overlap: f64,
    /// Number of tiles.
    pub tiles: usize,
    /// The mean over the tiles of the first model's embedding (the mean over the pixels of its encoder's deepest feature):
    /// `[channels]`.
    pub embedding: Vec<f32>,
}
