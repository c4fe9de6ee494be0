//! Why a network cannot be written.

/// Why a network cannot be written as an ONNX file.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// A parameter is missing or cannot be read.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// The normalisation does not fit the network.
    #[error("{scale} factors and {shift} summands normalise an input of {channels} channels")]
    Normalisation {
        /// Number of factors.
        scale: usize,
        /// Number of summands.
        shift: usize,
        /// Of the network's input.
        channels: usize,
    },
    /// Protocol buffers end at 2 GiB.
    #[error("the network takes {bytes} bytes; an ONNX file holds at most 2 GiB")]
    TooLarge {
        /// Of the file.
        bytes: usize,
    },
}
