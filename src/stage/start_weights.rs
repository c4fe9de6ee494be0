//! The initial weights of trainings, for the command `data`.

use super::encoder::Weights;
use super::finetune::Finetune;
use super::pretrain::Pretrain;
use super::{Places, Stage, StageError};
use crate::nn::weights::PublishedFile;
use std::path::{Path, PathBuf};

/// The initial weights of a stage, and whether their file is valid.
#[derive(Clone, Debug)]
pub struct StartWeights {
    /// `encoder.weights` of the experiment.
    pub weights: String,
    /// The network.
    pub arch: &'static str,
    /// The variant of the network.
    pub variant: &'static str,
    /// The folder of the file.
    pub folder: PathBuf,
    /// The file that was found.
    pub file: Option<PathBuf>,
    /// The published file of the same name.
    pub known: Option<PublishedFile>,
    /// All published files of these weights.
    pub published: Vec<PublishedFile>,
    /// The error, if they cannot be used.
    pub problem: Option<String>,
    /// Whether the file exists but cannot be used.
    pub bad: bool,
}

/// The initial weights of `stage`; `None` if they are random or come from another stage.
pub fn start_weights(stage: &dyn Stage, places: &Places) -> Option<StartWeights> {
    let of_pretrain = stage.as_any().downcast_ref::<Pretrain>().map(Pretrain::encoder);
    let of_finetune = || stage.as_any().downcast_ref::<Finetune>().and_then(Finetune::encoder);
    let encoder = of_pretrain.or_else(of_finetune)?;
    let folder = encoder.source(places)?;
    let published = match &encoder.weights {
        Weights::Published(published) => published.files(encoder.arch),
        _ => Vec::new(),
    };
    let found = encoder.external_files(places).and_then(|files| encoder.ready(places).map(|()| files));
    let file = encoder.external_files(places).ok().and_then(|files| files.into_iter().next()).map(|(_, path)| path);
    let name = file.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    Some(StartWeights {
        weights: encoder.weights.clone().into(),
        arch: encoder.arch.name(),
        variant: encoder.variant.name(),
        known: published.iter().find(|file| Some(file.name.as_str()) == name).cloned(),
        folder,
        file,
        published,
        bad: matches!(found, Err(ref error) if !matches!(error, StageError::NotThere(_))),
        problem: found.err().map(|error| error.to_string()),
    })
}
