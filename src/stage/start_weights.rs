//! The weights that trainings start from, as `data` lists them.

use super::encoder::Weights;
use super::finetune::Finetune;
use super::pretrain::Pretrain;
use super::{Places, Stage, StageError};
use crate::nn::weights::PublishedFile;
use std::path::{Path, PathBuf};

/// The weights that a stage begins with, for who looks whether all is there.
#[derive(Clone, Debug)]
pub struct StartWeights {
    /// As the experiment calls them.
    pub weights: String,
    /// The network they are for.
    pub arch: &'static str,
    /// Its variant.
    pub variant: &'static str,
    /// Where they are looked for.
    pub folder: PathBuf,
    /// The file that was found.
    pub file: Option<PathBuf>,
    /// What that file is published as.
    pub known: Option<PublishedFile>,
    /// All files that would do.
    pub published: Vec<PublishedFile>,
    /// What is wrong with them.
    pub problem: Option<String>,
    /// Whether that is more than that they are missing.
    pub bad: bool,
}

/// The weights that `stage` begins with; none if they come from another stage or at random.
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
