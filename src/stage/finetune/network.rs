//! The network of a fine-tuning: which, whether its parts fit, and how it starts.

use super::Finetune;
use super::defaults::default_decoder;
use super::start::Start;
use super::transformer::DecoderStart;
use crate::experiment::MaybeInput;
use crate::nn::weights::{LoadReport, Request};
use crate::nn::{Architecture, EncoderConfig, Parameters, SegmentationConfig, SegmentationNetwork};
use crate::stage::artifacts::EncoderFile;
use crate::stage::encoder::{EncoderSpec, MODEL, TRANSFORMER_WEIGHTS};
use crate::stage::initial_weights::Weights;
use crate::stage::loaded_weights::tensors;
use crate::stage::{Context, Places, StageError};
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Where the transformer of a CS-UNet lies among the parameters.
const TRANSFORMER: &str = "encoder";

impl Finetune {
    /// The encoder that it starts with; `None` if it comes from another stage.
    pub(in crate::stage) fn encoder(&self) -> Option<&EncoderSpec> {
        match &self.encoder {
            Some(MaybeInput::Value(encoder)) => Some(encoder),
            _ => None,
        }
    }

    /// The decoder; of a `model` that says it itself the default.
    pub(in crate::stage) fn architecture(&self) -> Architecture {
        self.architecture.unwrap_or_default()
    }

    /// What starts from the file of `encoder.weights`.
    pub(super) fn start(&self) -> Start {
        self.start.unwrap_or_default()
    }

    fn decoder_channels(&self) -> [NonZeroUsize; 5] {
        self.decoder_channels.unwrap_or_else(default_decoder)
    }

    /// Fills in the defaults that are not those of a `model`, so that keys are as they were before there was one.
    pub(super) fn settled(mut self) -> Self {
        // Its options stand in its place.
        self._recipe = None;
        if self.model.is_none() {
            self.architecture = Some(self.architecture());
            self.decoder_channels = Some(self.decoder_channels());
            self.start = self.start.filter(|start| *start != Start::Encoder);
        }
        self
    }

    /// The network on `encoder`, for `classes`.
    pub(super) fn config(&self, encoder: EncoderConfig, classes: usize) -> SegmentationConfig {
        SegmentationConfig {
            architecture: self.architecture(),
            encoder,
            decoder_channels: self
                .architecture()
                .has_decoder_channels()
                .then(|| self.decoder_channels().map(NonZeroUsize::get)),
            transformer: self.transformer.as_ref().map(|transformer| transformer.branch.clone()),
            classes,
        }
    }

    pub(super) fn network(&self, context: &Context, classes: usize) -> Result<SegmentationConfig, StageError> {
        if let Some(config) = self.network_of_model(context, classes)? {
            return Ok(config);
        }
        let encoder = match self.encoder() {
            Some(encoder) => encoder.network.clone(),
            None => EncoderFile::config(context.input("encoder")?)?,
        };
        let config = self.config(encoder, classes);
        self.check_fit(&config).map_err(|(name, message)| StageError::BadData(format!("`{name}`: {message}")))?;
        Ok(config)
    }

    /// Checks what an experiment says of the network: a parameter, and one line with the cure.
    ///
    /// # Errors
    /// The first option that does not fit.
    pub(super) fn check_network(&self) -> Result<(), (&'static str, String)> {
        let (architecture, word) = (self.architecture(), self.architecture().word());
        self.check_origin()?;
        if let Some(encoder) = self.encoder() {
            encoder.check().map_err(|message| ("encoder", message))?;
        }
        if self.model.is_none() {
            self.start().check(self.encoder(), architecture).map_err(|message| ("start", message))?;
        }
        if !architecture.has_decoder_channels() && self.decoder_channels() != default_decoder() {
            return Err(("decoder_channels", format!("architecture = \"{word}\" has none: leave them out")));
        }
        let is_of_windows = matches!(architecture, Architecture::SwinUnet | Architecture::CsUnet);
        if self.freeze && is_of_windows {
            let message = format!(
                "architecture = \"{word}\" trains its encoder and its decoder together: use \"linear\" or \"conv\" on a frozen \
                 encoder"
            );
            return Err(("freeze", message));
        }
        if self.decoder.is_some() && !is_of_windows {
            let message = format!(
                "architecture = \"{word}\" has no decoder of transformer blocks, as \"swin-unet\" and \"cs-unet\" have: leave it out"
            );
            return Err(("decoder", message));
        }
        if self.decoder == Some(DecoderStart::Copied) && !self.can_copy() {
            let message = "there are no weights to copy: the transformer starts with random values";
            return Err(("decoder", message.into()));
        }
        if let Some(transformer) = &self.transformer {
            let in_channels = self.encoder().map_or(crate::data::RGB, |encoder| encoder.network.in_channels());
            transformer.encoder(in_channels).check().map_err(|message| ("transformer", message))?;
        }
        match self.encoder() {
            Some(encoder) if self.model.is_none() => self.check_fit(&self.config(encoder.network.clone(), 1)),
            _ if !self.crop_size.get().is_multiple_of(32) => {
                Err(("crop_size", format!("{} is not a multiple of 32, which the network requires", self.crop_size)))
            }
            _ => Ok(()),
        }
    }

    /// Checks that the parts of the network fit together, and the crops.
    ///
    /// # Errors
    /// A parameter, and one line with the cure.
    pub(super) fn check_fit(&self, network: &SegmentationConfig) -> Result<(), (&'static str, String)> {
        network.check().map_err(|message| ("architecture", message))?;
        self.check_norms(&network.encoder)?;
        network.check_side(self.crop_size.get()).map_err(|message| ("crop_size", message))
    }

    /// Whether the transformer starts with weights, so that there is something to copy.
    fn can_copy(&self) -> bool {
        match self.architecture() {
            Architecture::SwinUnet => self.encoder().is_none_or(|encoder| encoder.weights != Weights::Random),
            Architecture::CsUnet => {
                self.transformer.as_ref().is_some_and(|transformer| transformer.weights != Weights::Random)
            }
            _ => false,
        }
    }

    /// What of the network cannot run on a GPU yet.
    pub(super) fn network_on_cpu(&self) -> Option<String> {
        let arch = self.encoder().map(|encoder| &encoder.network).filter(|encoder| !encoder.runs_on_gpu());
        match (self.architecture(), arch) {
            (Architecture::UnetPlusPlus | Architecture::Unet, Some(encoder)) => {
                Some(format!("arch = \"{}\"", encoder.arch()))
            }
            (Architecture::UnetPlusPlus | Architecture::Unet, None) => None,
            (architecture, _) => Some(format!("architecture = \"{}\"", architecture.word())),
        }
    }

    /// All weight files, sorted by name.
    pub(super) fn weight_files(&self, places: &Places) -> Result<Vec<(String, PathBuf)>, StageError> {
        let transformer = self.transformer.as_ref().map(|transformer| transformer.external_file(places)).transpose()?;
        let mut files: Vec<(String, PathBuf)> = transformer.flatten().into_iter().collect();
        if let Some(path) = self.model_path() {
            files.push((MODEL.to_owned(), path.file(places)?));
        }
        if let Some(encoder) = self.encoder() {
            files.extend(encoder.external_files(places)?);
        }
        Ok(files)
    }

    /// What to fetch if weight files are not there, without folders of this machine.
    pub(super) fn missing_weights(&self, places: &Places) -> Option<String> {
        let transformer = self.transformer.as_ref().map(|transformer| transformer.encoder(crate::data::RGB));
        let of_all = self.encoder().into_iter().chain(&transformer).filter_map(|encoder| encoder.wants(places));
        let model = self.model_path().and_then(|model| model.wants(places));
        let all: Vec<String> = model.into_iter().chain(of_all).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// Checks the weight files before the run starts. Returns where the encoder was found in its file; `None` without one.
    ///
    /// # Errors
    /// As [`EncoderSpec::ready`].
    pub(in crate::stage) fn checked_weights(&self, places: &Places) -> Result<Option<LoadReport>, StageError> {
        if let Some(transformer) = &self.transformer {
            transformer.encoder(crate::data::RGB).ready(places)?;
        }
        if self.model.is_some() {
            return self.checked_model(places);
        }
        let Some(encoder) = self.encoder() else { return Ok(None) };
        self.start().ready(encoder, &self.config(encoder.network.clone(), 1), places)
    }

    /// Loads what starts from files or from a pretraining, and copies the transformer's blocks to the decoder's.
    pub(super) fn load_weights(
        &self,
        network: &SegmentationNetwork,
        parameters: &Parameters,
        classes: &[String],
        context: &mut Context,
    ) -> Result<(), StageError> {
        if self.load_model(network, parameters, classes, context)? {
            return Ok(());
        }
        let encoder = &network.config().encoder;
        if let Some(transformer) = &self.transformer {
            let spec = transformer.encoder(encoder.in_channels());
            let only = tensors(&spec.network);
            let request = Request { only: Some(&only), ..spec.request() };
            spec.load_file(TRANSFORMER_WEIGHTS, &request, parameters, TRANSFORMER, context)?;
        }
        match self.encoder() {
            Some(spec) => {
                self.start().load(spec, (parameters, network.encoder_prefix()), classes, context)?;
            }
            None => {
                EncoderFile::load(parameters, encoder, network.encoder_prefix(), context.input("encoder")?)?;
            }
        }
        if self.start() == Start::Encoder && self.can_copy() && self.decoder != Some(DecoderStart::Random) {
            let copied = network.copy_decoder_from_encoder(parameters).map_err(StageError::failed)?;
            context.telemetry.insert("decoder_copied".into(), copied.into());
        }
        Ok(())
    }
}
