//! The parameter `start_from`: a training whose encoder a pretraining starts from.

use super::{Pretrain, START_FROM};
use crate::nn::weights::{self, Request};
use crate::nn::{EncoderConfig, Parameters, SegmentationNetwork};
use crate::ssl::ENCODER;
use crate::stage::artifacts::{EncoderFile, ModelFile};
use crate::stage::errors::weights_error;
use crate::stage::initial_weights::Weights;
use crate::stage::loaded_weights::tensors;
use crate::stage::outlook::Outlook;
use crate::stage::{Context, Known, StageError};
use crate::train::inference::ModelConfig;
use anyhow::Context as _;

impl Pretrain {
    /// Checks what stands beside `start_from`.
    ///
    /// # Errors
    /// One line with the cure.
    pub(super) fn check_start(&self) -> Result<(), String> {
        match self.start_from.is_some() && self.encoder.weights != Weights::Random {
            true => {
                Err("its weights come from `start_from`: set `weights = \"random\"`, or leave out `start_from`".into())
            }
            false => Ok(()),
        }
    }

    /// What is wrong with the training that `start_from` names, as far as it is known before the run.
    pub(super) fn start_problem(&self, known: &Known<'_>) -> Option<String> {
        let input = known.inputs(START_FROM).next()?;
        let Some(Outlook::Training { encoder: Some(theirs), .. }) = Outlook::of(input) else { return None };
        (*theirs != self.encoder.network).then(|| self.another_encoder(input.label, theirs))
    }

    /// Loads the encoder of the training that `start_from` names, if it is set.
    ///
    /// # Errors
    /// [`StageError::BadData`] if it has another encoder.
    pub(super) fn load_start(&self, parameters: &Parameters, context: &Context) -> Result<(), StageError> {
        if self.start_from.is_none() {
            return Ok(());
        }
        let (input, ours) = (context.input(START_FROM)?, &self.encoder.network);
        if input.files.contains_key(EncoderFile::FILE) {
            let theirs = EncoderFile::config(input)?;
            if theirs != *ours {
                return Err(StageError::BadData(self.another_encoder(&input.label, &theirs)));
            }
            return EncoderFile::load(parameters, ours, ENCODER, input);
        }
        let file = input.file(ModelFile::FILE)?;
        let config = weights::read_config(file).map_err(weights_error)?;
        let config = config.context("the model file does not describe its network")?;
        let network =
            serde_json::from_str::<ModelConfig>(&config).context("the configuration in the model file")?.network;
        if network.encoder != *ours {
            return Err(StageError::BadData(self.another_encoder(&input.label, &network.encoder)));
        }
        let (only, network) = (tensors(ours), SegmentationNetwork::new(network));
        let request = Request { only: Some(&only), prefix: Some(network.encoder_prefix()), ..Request::default() };
        weights::load_chosen(parameters, ENCODER, file, &request).map(drop).map_err(weights_error)
    }

    fn another_encoder(&self, label: &str, theirs: &EncoderConfig) -> String {
        let shown = |encoder| serde_json::to_string(encoder).unwrap_or_default();
        format!("`start_from`: {label} has the encoder {}, this stage {}", shown(theirs), shown(&self.encoder.network))
    }
}
