//! The models of fine-tunings as model folders, for as long as a stage runs.

use super::super::artifacts::{ModelFile, ReferenceFile};
use super::super::errors::weights_error;
use super::super::{InputFiles, StageError};
use crate::data::{Color, ReadAs};
use crate::nn::weights;
use crate::report::class_colour;
use crate::train::inference::ModelConfig;
use anyhow::Context as _;
use matssl_predict::model::{
    ClassDescription, FORMAT_VERSION, ModelDescription, ModelFolder, Normalisation, Provenance,
};
use std::os::unix::fs::symlink;
use std::path::Path;

/// Folders that are removed with it.
pub(super) struct TemporaryModels {
    pub(super) folders: Vec<ModelFolder>,
    _folder: tempfile::TempDir,
}

impl TemporaryModels {
    /// Of the fine-tunings `inputs`.
    pub(super) fn make(inputs: &[InputFiles], overlap: f64) -> Result<Self, StageError> {
        let folder = tempfile::tempdir()?;
        let mut folders = Vec::new();
        for (number, input) in inputs.iter().enumerate() {
            let (path, weights) = (folder.path().join(number.to_string()), input.file(ModelFile::FILE)?);
            std::fs::create_dir(&path)?;
            symlink(std::path::absolute(weights)?, path.join(ModelFolder::WEIGHTS))?;
            let mut description = description_of(&input.label, weights, overlap)?;
            // A training of an older program has none.
            if let Some(reference) = ReferenceFile::read(input)? {
                symlink(std::path::absolute(input.file(ReferenceFile::FILE)?)?, path.join(ModelFolder::REFERENCE))?;
                description.files.insert(ModelFolder::REFERENCE.to_owned(), String::new());
                description.validation = reference.confusions();
                description.calibration = reference.calibration;
            }
            // No record is kept by it: the stage's key has the content of the weights.
            folders.push(ModelFolder { path, description, digest: String::new() });
        }
        Ok(TemporaryModels { folders, _folder: folder })
    }
}

/// What the file of a fine-tuned model says of it. Images come as the data set reads them, so nothing is said of that.
fn description_of(label: &str, file: &Path, overlap: f64) -> Result<ModelDescription, StageError> {
    let config = weights::read_config(file).map_err(weights_error)?;
    let config = config.context("the model file does not describe its network")?;
    let config: ModelConfig = serde_json::from_str(&config).context("the configuration in the model file")?;
    let class = |(index, name): (u8, &String)| ClassDescription {
        name: name.clone(),
        value: index,
        color: Color(class_colour(index)),
        ignored: false,
    };
    Ok(ModelDescription {
        format_version: FORMAT_VERSION,
        name: label.to_owned(),
        classes: (0..=u8::MAX).zip(&config.class_names).map(class).collect(),
        normalisation: Normalisation::of(config.network.encoder.in_channels()),
        network: config.network,
        read_as: ReadAs::default(),
        tile: config.crop_size,
        overlap,
        pixel_size_nm: None,
        pixel_sizes_nm: None,
        calibration: None,
        validation: Vec::new(),
        scores: Vec::new(),
        provenance: Provenance::default(),
        files: [].into(),
    })
}
