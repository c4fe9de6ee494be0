//! Swin-Unet (Cao et al. 2021) with the authors' parameter names: a Swin transformer and a decoder of its blocks.

use super::layer::prefixed;
use super::segmentation_model::SegmentationModel;
use super::swin::Swin;
use super::swin_config::SwinConfig;
use super::swin_decoder::SwinDecoder;
use candle_core::Result;
use matssl_base::random::Stream;
use matssl_tensor::{Parameters, Tape, Value};

/// Where the encoder's parameters lie: at the top, as in the authors' files.
const ENCODER: &str = "";

/// A Swin transformer whose stages' inputs are the skips of a decoder with the same blocks.
#[derive(Debug)]
pub(super) struct SwinUnet {
    encoder: Swin,
    decoder: SwinDecoder,
}

impl SwinUnet {
    /// The network on the Swin transformer `encoder`, with `classes` outputs.
    pub(super) fn new(encoder: SwinConfig, classes: usize) -> Self {
        let encoder = Swin::new(encoder);
        SwinUnet { decoder: SwinDecoder::new(encoder.clone(), "", [0; 4], classes), encoder }
    }
}

impl SegmentationModel for SwinUnet {
    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        prefixed(ENCODER, self.encoder.shapes()).chain(self.decoder.shapes()).collect()
    }

    fn init(&self, parameters: &mut Parameters, stream: &Stream) -> Result<()> {
        self.encoder.init(parameters, ENCODER, stream)?;
        self.decoder.init(parameters, stream)
    }

    fn forward(
        &self,
        tape: &Tape<'_>,
        x: &Value,
        deepest: &mut dyn FnMut(&Value) -> Result<()>,
    ) -> Result<Value> {
        let features = self.encoder.features(tape, ENCODER, x)?;
        deepest(&features.last)?;
        self.decoder.forward(tape, features, None)
    }

    fn copy_decoder_from_encoder(&self, parameters: &Parameters) -> Result<Vec<String>> {
        self.decoder.copy_from_encoder(parameters, ENCODER)
    }
}
