//! A model folder on disk.

use super::description::{FORMAT_VERSION, ModelDescription};
use std::path::{Path, PathBuf};

/// A folder that was opened and checked.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    /// Where it is.
    pub path: PathBuf,
    /// Its `model.json`.
    pub description: ModelDescription,
    /// blake3 of `model.json`, which names the hashes of all other files: what a prediction depends on.
    pub digest: String,
}

/// Why a folder is no model folder.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}; {cure}", path = path.display())]
pub struct ModelFolderError {
    /// The folder or the file in it.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub cure: String,
    /// Whether nothing is there at all.
    pub is_missing: bool,
}

impl ModelFolder {
    /// The description.
    pub const DESCRIPTION: &'static str = "model.json";
    /// The weights, with segmentation_models_pytorch's names.
    pub const WEIGHTS: &'static str = "model.safetensors";
    /// What the images that it was trained on look like.
    pub const REFERENCE: &'static str = "reference.safetensors";

    /// Opens the folder `path`, and checks its version and hashes.
    ///
    /// # Errors
    /// It is not there, damaged, or of a newer version.
    pub fn open(path: &Path) -> Result<Self, ModelFolderError> {
        let file = path.join(Self::DESCRIPTION);
        let wrong = |problem: String, cure: &str, is_missing| ModelFolderError {
            path: file.clone(),
            problem,
            cure: cure.into(),
            is_missing,
        };
        let text = std::fs::read(&file)
            .map_err(|error| wrong(error.to_string(), "give a folder that `export` wrote", true))?;
        let description: ModelDescription =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string(), "export the model again", false))?;
        if description.format_version > FORMAT_VERSION {
            let problem = format!("format version {}, newer than {FORMAT_VERSION}", description.format_version);
            return Err(wrong(problem, "use a newer matssl-run", false));
        }
        let digest = blake3::hash(&text).to_hex().to_string();
        Ok(ModelFolder { path: path.to_owned(), description, digest })
    }

    /// The file of the weights.
    pub fn weights(&self) -> PathBuf {
        self.path.join(Self::WEIGHTS)
    }
}
