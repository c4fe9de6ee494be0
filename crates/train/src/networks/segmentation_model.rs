//! What a segmentation network of one architecture is.

use super::encoder::Encoder;
use candle_core::{Result, bail};
use matssl_base::random::Stream;
use matssl_tensor::{Parameters, Tape, Value};
use std::fmt::Debug;

/// One architecture: encoder, decoder and head. `SegmentationNetwork` chooses among them.
pub(super) trait SegmentationModel: Debug + Send + Sync {
    /// Names and shapes (PyTorch's layout) of all parameters, in the order of [`init`](SegmentationModel::init).
    fn shapes(&self) -> Vec<(String, Vec<usize>)>;

    /// Adds all parameters with their published initial values.
    ///
    /// # Errors
    /// If a name is taken, or a number of channels or classes is 0.
    fn init(&self, parameters: &mut Parameters, stream: &Stream) -> Result<()>;

    /// Logits `[batch, height, width, classes]` for `x` `[batch, height, width, in_channels]`. `deepest` is shown the encoder's
    /// deepest map `[batch, height, width, channels]` before it is decoded.
    ///
    /// # Errors
    /// If the sides of `x` do not fit, or parameters are missing.
    fn forward(&self, tape: &Tape<'_>, x: &Value, deepest: &mut dyn FnMut(&Value) -> Result<()>) -> Result<Value>;

    /// Where the parameters of the experiment's `encoder` lie.
    fn encoder_prefix(&self) -> &'static str {
        "encoder"
    }

    /// Another encoder beside that of the experiment, and where its parameters lie.
    fn second_encoder(&self) -> Option<(Encoder, &'static str)> {
        None
    }

    /// Copies to the decoder what it has in common with the encoder. Gives the names of what was written.
    ///
    /// # Errors
    /// If they have nothing in common.
    fn copy_decoder_from_encoder(&self, _: &Parameters) -> Result<Vec<String>> {
        bail!("the decoder has no blocks as those of the encoder: none can be copied")
    }
}
