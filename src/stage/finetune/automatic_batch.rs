//! `batch_size = "auto"` of a fine-tuning.

use super::Finetune;
use super::samples::Samples;
use crate::experiment::ParamError;
use crate::nn::{EncoderConfig, Parameters, SegmentationNetwork};
use crate::random::Stream;
use crate::stage::batch_size::BatchSize;
use crate::stage::pretrain::Pretrain;
use crate::stage::{InputStages, Stage};
use crate::train::memory::Needs;
use candle_core::{DType, Device};

/// The largest batch that is chosen: larger ones rarely train better.
const MOST: usize = 32;
/// Number of classes in the estimate: the data set's own may not be known yet, and what they need is little.
const CLASSES: usize = 8;

impl Finetune {
    /// The stage with a number in place of `batch_size = "auto"`, by its network and crops alone.
    ///
    /// # Errors
    /// The refusal with the numbers, if the memory is too small for any batch; a network whose parts do not fit together.
    pub(super) fn with_batch_size(mut self, inputs: &mut InputStages<'_>) -> Result<Self, ParamError> {
        if !self.training.batch_size.is_auto() {
            return Ok(self);
        }
        let encoder = self.encoder().map(|encoder| encoder.network.clone());
        let Some(encoder) = encoder.or_else(|| inputs.filter_map(|input| pretrained(input.stage)).next()) else {
            return Ok(self);
        };
        let refused = |error: anyhow::Error| ParamError::Check { param: BatchSize::NAME, message: error.to_string() };
        self.training.batch_size = BatchSize::for_memory(&self.sketched(encoder).map_err(refused)?)?;
        Ok(self)
    }

    /// Estimate of the memory for the largest batch, without images.
    fn sketched(&self, encoder: EncoderConfig) -> anyhow::Result<Needs> {
        let config = self.config(encoder, CLASSES);
        self.check_fit(&config).map_err(|(param, message)| anyhow::anyhow!("`{param}`: {message}"))?;
        let network = SegmentationNetwork::new(config);
        let parameters = Parameters::new(DType::F32, &Device::Cpu).for_sizes();
        let parameters = parameters.with_precision(self.training.precision).with_recompute(self.training.recompute);
        let mut parameters = self.frozen(parameters, &network);
        network.init(&mut parameters, &Stream::new(0, "model", 0, 0))?;
        let images = (Samples::new(), self.validation(Samples::new(), &[]));
        let task = self.task((network, parameters), Vec::new(), images, MOST, 0);
        // What this process holds is not what the training will.
        Ok(Needs { loaded: 0, ..self.needs(&task)? })
    }
}

/// The encoder of a `pretrain` stage.
fn pretrained(stage: &dyn Stage) -> Option<EncoderConfig> {
    Some(stage.as_any().downcast_ref::<Pretrain>()?.encoder().network.clone())
}
