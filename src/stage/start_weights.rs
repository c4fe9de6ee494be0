//! The initial weights of trainings, for the command `data`.

use super::finetune::Finetune;
use super::initial_weights::Weights;
use super::pretrain::Pretrain;
use super::{Places, Stage, StageError};
use crate::nn::weights::{LoadReport, PublishedFile};
use crate::nn::{EncoderConfig, Variant};
use std::path::{Path, PathBuf};

/// The initial weights of a stage, and whether their file is valid.
#[derive(Clone, Debug)]
pub struct StartWeights {
    /// `encoder.weights` of the experiment.
    pub weights: String,
    /// The network.
    pub arch: &'static str,
    /// The variant of a ResNet; empty for other networks.
    pub variant: &'static str,
    /// The folder of the file.
    pub folder: PathBuf,
    /// The file that was found.
    pub file: Option<PathBuf>,
    /// The published file of the same name.
    pub known: Option<PublishedFile>,
    /// All published files of these weights.
    pub published: Vec<PublishedFile>,
    /// Channels with which the network begins.
    pub width: usize,
    /// `key` and `prefix` of the experiment.
    pub choice: [Option<String>; 2],
    /// Where the network was found in the file, if that is not its top.
    pub found: Option<String>,
    /// Tensors beside the network's.
    pub passed_over: Vec<String>,
    /// Tensors that the file lacks; they start with random values.
    pub missing: Vec<String>,
    /// The error, if they cannot be used.
    pub problem: Option<String>,
    /// Whether the file exists but cannot be used.
    pub bad: bool,
}

/// The initial weights of `stage`; `None` if they are random or come from another stage.
pub fn start_weights(stage: &dyn Stage, places: &Places) -> Option<StartWeights> {
    let finetune = stage.as_any().downcast_ref::<Finetune>();
    if let Some(model) = finetune.and_then(|finetune| of_model(finetune, places)) {
        return Some(model);
    }
    let of_pretrain = stage.as_any().downcast_ref::<Pretrain>().map(Pretrain::encoder);
    let encoder = of_pretrain.or_else(|| finetune.and_then(Finetune::encoder))?;
    let folder = encoder.source(places)?;
    let published = match &encoder.weights {
        Weights::Published(published) => published.files(&encoder.network),
        _ => Vec::new(),
    };
    let checked = finetune.map_or_else(|| encoder.ready(places), |finetune| finetune.checked_weights(places));
    let (report, problem) = match checked {
        Ok(report) => (report.unwrap_or_default(), None),
        Err(error) => (LoadReport::default(), Some(error)),
    };
    let file = encoder.external_files(places).ok().and_then(|files| files.into_iter().next()).map(|(_, path)| path);
    let name = file.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    Some(StartWeights {
        weights: encoder.weights.clone().into(),
        arch: encoder.network.arch(),
        variant: encoder.network.variant().map_or("", Variant::name),
        known: published.iter().find(|file| Some(file.name.as_str()) == name).cloned(),
        folder,
        file,
        published,
        width: encoder.network.width(),
        choice: [encoder.key.clone(), encoder.prefix.clone()],
        bad: problem.as_ref().is_some_and(|error| !matches!(error, StageError::NotThere(_))),
        problem: problem.map(|error| error.to_string()),
        found: report.found(),
        passed_over: report.passed_over,
        missing: report.missing,
    })
}

/// The model folder or file from which `finetune` starts, if it does.
fn of_model(finetune: &Finetune, places: &Places) -> Option<StartWeights> {
    let path = finetune.model_path()?;
    let (report, problem) = match finetune.checked_weights(places) {
        Ok(report) => (report.unwrap_or_default(), None),
        Err(error) => (LoadReport::default(), Some(error)),
    };
    let file = path.file(places).ok();
    let network = file.as_deref().and_then(|file| finetune.encoder_of_model(file));
    let folder = file.as_deref().and_then(Path::parent).map(PathBuf::from);
    Some(StartWeights {
        weights: path.written(),
        arch: network.as_ref().map_or("", EncoderConfig::arch),
        variant: network.as_ref().and_then(EncoderConfig::variant).map_or("", Variant::name),
        known: None,
        folder: folder.unwrap_or_else(|| places.resolve(Path::new(&path.written()))),
        file,
        published: Vec::new(),
        width: network.as_ref().map_or(0, EncoderConfig::width),
        choice: [None, None],
        bad: problem.as_ref().is_some_and(|error| !matches!(error, StageError::NotThere(_))),
        problem: problem.map(|error| error.to_string()),
        found: report.found(),
        passed_over: report.passed_over,
        missing: report.missing,
    })
}
