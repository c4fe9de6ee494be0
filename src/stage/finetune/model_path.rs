//! The path of a whole trained model in the parameter `model`.

use super::super::loaded_weights::as_written;
use super::super::{Places, StageError};
use crate::predict::model::ModelFolder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The path of a model folder, or of the `model.safetensors` in it; below the data folder if it is relative.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(in crate::stage) struct ModelPath(PathBuf);

impl ModelPath {
    /// As the experiment writes it.
    pub(in crate::stage) fn written(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }

    /// The file of the weights.
    ///
    /// # Errors
    /// [`StageError::NotThere`] if it is missing; [`StageError::BadData`] if the folder is no model folder.
    pub(in crate::stage) fn file(&self, places: &Places) -> Result<PathBuf, StageError> {
        let path = as_written(places.resolve(&self.0));
        if path.is_file() {
            return Ok(path);
        }
        if !path.exists() {
            return Err(StageError::NotThere(format!(
                "{}: no such model; `matssl-run export FILE STAGE -o DIR` writes one, or correct `model`",
                path.display()
            )));
        }
        let file = path.join(ModelFolder::WEIGHTS);
        if path.join(ModelFolder::DESCRIPTION).is_file() && file.is_file() {
            return Ok(file);
        }
        ModelFolder::open(&path).map(|folder| folder.weights()).map_err(|error| match error.is_missing {
            true => StageError::NotThere(error.to_string()),
            false => StageError::BadData(error.to_string()),
        })
    }

    /// Checks the whole folder, if it is one: the hashes of its files.
    pub(super) fn check(&self, places: &Places) -> Result<(), StageError> {
        let path = as_written(places.resolve(&self.0));
        if path.is_dir() {
            ModelFolder::open(&path).map_err(|error| StageError::BadData(error.to_string()))?;
        }
        Ok(())
    }

    /// What to fetch if it is not there.
    pub(super) fn wants(&self, places: &Places) -> Option<String> {
        let is_missing = matches!(self.file(places), Err(StageError::NotThere(_)));
        is_missing.then(|| format!("{} (a trained model)", self.written()))
    }
}
