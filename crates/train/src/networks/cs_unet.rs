//! CS-UNet (Alrfou et al. 2023) with the authors' parameter names: a Swin transformer and a convolutional encoder side by side,
//! and one decoder of windows for both.
//!
//! Three kinds of tensors of the authors' files have no place here: `patch_embed.*` is `encoder.patch_embed.*` under another name,
//! `decoder.patch_embed.*` and `decoder.norm.*` are read by nothing, and indices and masks are computed.

use super::encoder::Encoder;
use super::layer::prefixed;
use super::segmentation_model::SegmentationModel;
use super::swin::Swin;
use super::swin_config::SwinConfig;
use super::swin_decoder::SwinDecoder;
use candle_core::Result;
use matssl_base::random::Stream;
use matssl_tensor::{Parameters, Tape, Value};

/// Where the transformer's parameters lie.
const TRANSFORMER: &str = "encoder";
/// Where the convolutional encoder's parameters lie.
const CONVOLUTIONS: &str = "cnn.cnn_encoder";
/// Where the decoder's parameters lie.
const DECODER: &str = "decoder";

/// Two encoders of the same images, whose features are joined at each stride and decoded.
#[derive(Debug)]
pub(super) struct CsUnet {
    transformer: Swin,
    convolutions: Encoder,
    decoder: SwinDecoder,
}

impl CsUnet {
    /// The network of `transformer` and the convolutional encoder `convolutions`, with `classes` outputs.
    pub(super) fn new(transformer: SwinConfig, convolutions: Encoder, classes: usize) -> Self {
        let transformer = Swin::new(transformer);
        let [_, beside @ ..] = convolutions.channels();
        CsUnet { decoder: SwinDecoder::new(transformer.clone(), DECODER, beside, classes), transformer, convolutions }
    }
}

impl SegmentationModel for CsUnet {
    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let transformer = prefixed(TRANSFORMER, self.transformer.shapes());
        transformer.chain(prefixed(CONVOLUTIONS, self.convolutions.shapes())).chain(self.decoder.shapes()).collect()
    }

    fn init(&self, parameters: &mut Parameters, stream: &Stream) -> Result<()> {
        self.transformer.init(parameters, TRANSFORMER, stream)?;
        self.convolutions.init(parameters, CONVOLUTIONS, stream)?;
        self.decoder.init(parameters, stream)
    }

    fn forward(
        &self,
        tape: &Tape<'_>,
        x: &Value,
        deepest: &mut dyn FnMut(&Value) -> Result<()>,
    ) -> Result<Value> {
        let features = self.transformer.features(tape, TRANSFORMER, x)?;
        let beside = self.convolutions.stages(tape, CONVOLUTIONS, x)?;
        deepest(&beside[3])?;
        self.decoder.forward(tape, features, Some(beside))
    }

    fn copy_decoder_from_encoder(&self, parameters: &Parameters) -> Result<Vec<String>> {
        self.decoder.copy_from_encoder(parameters, TRANSFORMER)
    }
}
