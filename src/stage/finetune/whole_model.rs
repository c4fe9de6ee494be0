//! The parameter `model`: a whole trained model from which a fine-tuning starts.

use super::super::artifacts::ModelFile;
use super::super::batch_size::BatchSize;
use super::super::encoder::{EncoderSpec, MODEL};
use super::super::errors::weights_error;
use super::super::initial_weights::Weights;
use super::super::loaded_weights::{tell, tensors};
use super::super::outlook::Outlook;
use super::super::{Context, Known, Places, Progress, StageError};
use super::Finetune;
use super::model_path::ModelPath;
use super::start::{HEAD, Start};
use crate::experiment::MaybeInput;
use crate::nn::weights::{self, LoadReport, Request};
use crate::nn::{Architecture, EncoderConfig, Parameters, SegmentationConfig, SegmentationNetwork};
use crate::train::inference::ModelConfig;
use anyhow::Context as _;
use std::path::{Path, PathBuf};

/// A model from which a training starts, as far as it is known.
#[derive(Clone, Debug)]
pub(super) struct StartModel {
    /// Its stage or its path, for messages.
    name: String,
    /// Its network.
    network: SegmentationConfig,
    /// Its classes; `None` if they are not known before its training.
    classes: Option<Vec<String>>,
}

impl StartModel {
    /// What the file `path` says of its model, called `name` in messages.
    ///
    /// # Errors
    /// [`StageError::BadData`] if it describes no network.
    fn read(name: &str, path: &Path) -> Result<Self, StageError> {
        let config = weights::read_config(path).map_err(weights_error)?;
        let config = config.as_deref().and_then(|config| serde_json::from_str::<ModelConfig>(config).ok());
        let config =
            config.with_context(|| format!("{name} does not say of which segmentation network its weights are"));
        let config = config.map_err(|error| {
            StageError::BadData(format!(
                "{error}: it is no model of this program; load it by `encoder = {{ arch = …, weights = \"{name}\" }}` and \
                 `start = \"decoder\"` or `\"model\"`"
            ))
        })?;
        Ok(StartModel { name: name.to_owned(), network: config.network, classes: Some(config.class_names) })
    }

    /// Whether the head starts from the model, whose classes are `theirs`, for a data set of the classes `ours`.
    ///
    /// # Errors
    /// `start = "model"` and other classes.
    fn has_head(&self, start: Option<Start>, ours: &[String]) -> Result<bool, String> {
        let same = self.classes.as_deref() == Some(ours);
        match start {
            None => Ok(same),
            Some(Start::Encoder | Start::Decoder) => Ok(false),
            Some(Start::Model) if same => Ok(true),
            Some(Start::Model) => Err(format!(
                "{} predicts the classes {}, the data set has {}: its head would start with the wrong ones; leave out `start` \
                 (or set `start = \"decoder\"`) for a new head",
                self.name,
                self.classes.as_deref().unwrap_or_default().join(", "),
                ours.join(", ")
            )),
        }
    }
}

impl Finetune {
    /// The path of the model from which it starts, if it is one.
    pub(in crate::stage) fn model_path(&self) -> Option<&ModelPath> {
        match &self.model {
            Some(MaybeInput::Value(path)) => Some(path),
            _ => None,
        }
    }

    /// The encoder of the model in `file`, if it says that.
    pub(in crate::stage) fn encoder_of_model(&self, file: &Path) -> Option<EncoderConfig> {
        Some(StartModel::read("", file).ok()?.network.encoder)
    }

    /// Checks the options beside `model`, or that there is an `encoder` without one.
    ///
    /// # Errors
    /// A parameter, and one line with the cure.
    pub(super) fn check_origin(&self) -> Result<(), (&'static str, String)> {
        if self.model.is_none() {
            return match &self.encoder {
                Some(_) => Ok(()),
                None => Err((
                    "encoder",
                    "`encoder` is needed here: a `pretrain` stage, or a table as `{ arch = \"resnet18\", weights = \"random\" }`; \
                     or `model`, a whole model to start from"
                        .into(),
                )),
            };
        }
        match &self.encoder {
            Some(MaybeInput::Input(_)) => {
                let message = "names a pretraining, but all weights come from `model`: leave out one of them";
                return Err(("encoder", message.into()));
            }
            Some(MaybeInput::Value(EncoderSpec { weights, .. })) if *weights != Weights::Random => {
                let message = "its weights come from `model`: leave out `encoder`, or `model`";
                return Err(("encoder", message.into()));
            }
            _ => {}
        }
        if let Some(architecture) = self.architecture.filter(|architecture| is_of_windows(*architecture)) {
            return Err(("architecture", no_windows(architecture)));
        }
        if self.training.batch_size.is_auto() {
            let message = "\"auto\" needs a network that is known before the run, and here it is that of `model`: write a number, e.g. 8";
            return Err((BatchSize::NAME, message.into()));
        }
        let taken = "is taken from `model`: leave it out";
        if self.transformer.is_some() {
            return Err(("transformer", taken.into()));
        }
        if self.decoder.is_some() {
            return Err(("decoder", taken.into()));
        }
        Ok(())
    }

    /// The network of `model` for `classes`.
    ///
    /// # Errors
    /// A parameter of the experiment that contradicts it, and one line with the cure.
    fn network_like(&self, model: &StartModel, classes: usize) -> Result<SegmentationConfig, (&'static str, String)> {
        let (theirs, name) = (&model.network, &model.name);
        if is_of_windows(theirs.architecture) {
            return Err((MODEL, format!("{name}: {}", no_windows(theirs.architecture))));
        }
        let word = theirs.architecture.word();
        if let Some(ours) = self.architecture.filter(|ours| *ours != theirs.architecture) {
            let message = format!("\"{}\", but the model {name} is a {word}: leave it out, or correct it", ours.word());
            return Err(("architecture", message));
        }
        if let Some(ours) = self.encoder().map(|encoder| &encoder.network).filter(|ours| **ours != theirs.encoder) {
            let shown = |encoder| serde_json::to_string(encoder).unwrap_or_default();
            let message = format!(
                "{}, but the model {name} has {}: leave it out, or correct it",
                shown(ours),
                shown(&theirs.encoder)
            );
            return Err(("encoder", message));
        }
        if let Some(ours) = self.decoder_channels.map(|channels| channels.map(std::num::NonZeroUsize::get)) {
            if !theirs.architecture.has_decoder_channels() {
                return Err((
                    "decoder_channels",
                    format!("the model {name} is a {word}, which has none: leave them out"),
                ));
            }
            if ours != theirs.unet_channels() {
                let channels = theirs.unet_channels();
                let message =
                    format!("{ours:?}, but the model {name} has {channels:?}: leave them out, or correct them");
                return Err(("decoder_channels", message));
            }
        }
        Ok(SegmentationConfig { classes, ..theirs.clone() })
    }

    /// The model of the file that `name` is, and its network for `classes`.
    ///
    /// # Errors
    /// [`StageError::BadData`] if it cannot start this training.
    fn opened(&self, name: &str, file: &Path, classes: usize) -> Result<(StartModel, SegmentationConfig), StageError> {
        let model = StartModel::read(name, file)?;
        let network = self.network_like(&model, classes).and_then(|network| self.check_fit(&network).map(|()| network));
        let network = network.map_err(|(param, message)| StageError::BadData(format!("`{param}`: {message}")))?;
        Ok((model, network))
    }

    /// Checks the file of `model`, if it is a path, before the run starts: that it holds all of the network but its head, whatever
    /// its classes. Returns what was found.
    ///
    /// # Errors
    /// [`StageError::NotThere`] if it is missing, [`StageError::BadData`] if it cannot start this training.
    pub(super) fn checked_model(&self, places: &Places) -> Result<Option<LoadReport>, StageError> {
        let Some(path) = self.model_path() else { return Ok(None) };
        let file = path.file(places)?;
        path.check(places)?;
        let (_, network) = self.opened(&path.written(), &file, 1)?;
        let mut expected = SegmentationNetwork::new(network).shapes();
        expected.retain(|(name, _)| !name.starts_with(HEAD));
        weights::check(&file, &expected, &Request::default()).map(Some).map_err(weights_error)
    }

    /// What is known of the network of `model` before the run: of a stage by what it will leave, of a path by its file. `None`
    /// without `model`, and if nothing is known.
    ///
    /// # Errors
    /// One line with the cure, if it cannot start this training. What [`Finetune::checked_model`] finds is not said again.
    pub(super) fn foreseen_model(&self, known: &Known<'_>) -> Result<Option<StartModel>, String> {
        if let Some(path) = self.model_path() {
            let file = path.file(known.places).ok();
            let model = file.and_then(|file| StartModel::read(&path.written(), &file).ok());
            return Ok(model.filter(|model| self.network_like(model, 1).is_ok()));
        }
        let Some(input) = known.inputs(MODEL).next() else { return Ok(None) };
        let Some(Outlook::Training { network: Some(network), classes, .. }) = Outlook::of(input) else {
            return Ok(None);
        };
        let model = StartModel { name: input.label.to_owned(), network: (**network).clone(), classes: classes.clone() };
        let network = self.network_like(&model, 1).and_then(|network| self.check_fit(&network));
        network.map_err(|(param, message)| format!("`{param}`: {message}"))?;
        Ok(Some(model))
    }

    /// The network for `classes` of a model that [`Finetune::foreseen_model`] knows.
    pub(super) fn foreseen_network(
        &self,
        model: &StartModel,
        classes: &[String],
    ) -> Result<SegmentationConfig, String> {
        if model.classes.is_some() {
            model.has_head(self.start, classes)?;
        }
        Ok(SegmentationConfig { classes: classes.len(), ..model.network.clone() })
    }

    /// The file of `model` and its name in messages; `None` without `model`.
    fn model_file(&self, context: &Context) -> Result<Option<(String, PathBuf)>, StageError> {
        Ok(match &self.model {
            None => None,
            Some(MaybeInput::Value(path)) => {
                let (file, _) =
                    context.external.get(MODEL).context("the model was not listed among the files of the stage")?;
                Some((path.written(), file.clone()))
            }
            Some(MaybeInput::Input(_)) => {
                let input = context.input(MODEL)?;
                Some((input.label.clone(), input.file(ModelFile::FILE)?.to_owned()))
            }
        })
    }

    /// The network of `model` for `classes`, from its file; `None` without `model`.
    ///
    /// # Errors
    /// As [`Finetune::checked_model`].
    pub(super) fn network_of_model(
        &self,
        context: &Context,
        classes: usize,
    ) -> Result<Option<SegmentationConfig>, StageError> {
        let Some((name, file)) = self.model_file(context)? else { return Ok(None) };
        Ok(Some(self.opened(&name, &file, classes)?.1))
    }

    /// Loads from `model` what starts from it into `parameters` of `network` for `classes`, and says what of it did. Returns whether
    /// there is a `model`.
    ///
    /// # Errors
    /// As [`Finetune::checked_model`]; `start = "model"` and other classes; a file that was changed since the plan.
    pub(super) fn load_model(
        &self,
        network: &SegmentationNetwork,
        parameters: &Parameters,
        classes: &[String],
        context: &mut Context,
    ) -> Result<bool, StageError> {
        let Some((name, file)) = self.model_file(context)? else { return Ok(false) };
        let model = StartModel::read(&name, &file)?;
        let has_head = model.has_head(self.start, classes).map_err(StageError::BadData)?;
        let only = tensors(&network.config().encoder);
        let (request, prefix, what) = match self.start {
            Some(Start::Encoder) => (
                Request { only: Some(&only), ..Request::default() },
                network.encoder_prefix(),
                "the encoder; decoder and head are new".to_owned(),
            ),
            _ if has_head => (Request::default(), "", "encoder, decoder and head".to_owned()),
            _ => {
                let theirs = model.classes.as_deref().unwrap_or_default().join(", ");
                let what = format!(
                    "encoder and decoder; the head is new ({name} predicts {theirs}; the data set has {})",
                    classes.join(", ")
                );
                (Request { without: Some(HEAD), ..Request::default() }, "", what)
            }
        };
        let loaded = match context.external.get(MODEL) {
            Some((path, digest)) => weights::load_verified(parameters, prefix, path, digest, &request),
            None => weights::load_chosen(parameters, prefix, &file, &request),
        };
        tell(MODEL, &loaded.map_err(weights_error)?, context);
        context.telemetry.insert("model_start".into(), what.clone().into());
        let note = Some(format!("from {name}: {what}"));
        context.progress(Progress { unit: "epoch".into(), note, ..Progress::default() });
        Ok(true)
    }
}

fn is_of_windows(architecture: Architecture) -> bool {
    matches!(architecture, Architecture::SwinUnet | Architecture::CsUnet)
}

fn no_windows(architecture: Architecture) -> String {
    format!(
        "a {} cannot start from a whole model yet: only its encoder can start from a file (`encoder = {{ …, weights = \"…\" }}`)",
        architecture.name()
    )
}
