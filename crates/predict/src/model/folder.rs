//! A model folder on disk.

use super::check;
use super::description::ModelDescription;
use super::ensemble::EnsembleDescription;
use super::error::ModelFolderError;
use super::file_names;
use super::no_model::no_model;
use super::sealed;
use matssl_train::train::inference::ModelConfig;
use matssl_train::weights;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::io;
use std::path::{Component, Path, PathBuf};

/// A folder that was opened and checked.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    /// Where it is.
    pub path: PathBuf,
    /// Its `model.json`.
    pub description: ModelDescription,
    /// blake3 of what `model.json` says, which names the hashes of all other files: what a prediction depends on. The optional
    /// `model.onnx` is no part of it.
    pub digest: String,
}

/// A `model.json` that was read.
pub(super) enum Described {
    /// Of a model, and the digest of the file.
    Model(Box<ModelDescription>, String),
    /// Of an ensemble.
    Ensemble(EnsembleDescription),
}

impl ModelFolder {
    /// The description.
    pub const DESCRIPTION: &'static str = file_names::DESCRIPTION;
    /// The weights, with segmentation_models_pytorch's names.
    pub const WEIGHTS: &'static str = file_names::WEIGHTS;
    /// What the images that it was trained on look like.
    pub const REFERENCE: &'static str = file_names::REFERENCE;
    /// The network for other programs, if it was asked for.
    pub const ONNX: &'static str = file_names::ONNX;
    /// What the model is, and how Python loads it.
    pub const README: &'static str = file_names::README;

    /// Opens the folder `path`, and checks its version, its hashes, and that its files belong together.
    ///
    /// # Errors
    /// It is not there, damaged, or of a newer version; it is something else, which is then said.
    pub fn open(path: &Path) -> Result<Self, ModelFolderError> {
        match read_description(path)? {
            Described::Model(description, digest) => Self::checked(path, *description, digest),
            Described::Ensemble(ensemble) => {
                let first = ensemble.ensemble.first().map(|member| path.join(&member.folder));
                Err(ModelFolderError::bad(
                    path,
                    format!("holds an ensemble of {} models, and one is expected", ensemble.ensemble.len()),
                    first.map_or_else(|| "give one of them".into(), |first| format!("give e.g. {}", first.display())),
                ))
            }
        }
    }

    /// Checks the files of a folder whose description was read.
    pub(super) fn checked(
        path: &Path,
        description: ModelDescription,
        digest: String,
    ) -> Result<Self, ModelFolderError> {
        let file = path.join(Self::DESCRIPTION);
        let bad = |problem: String| ModelFolderError::bad(&file, problem, ModelFolderError::EXPORT_AGAIN);
        if let Some(problem) = check::problem(&description) {
            return Err(bad(problem));
        }
        if !description.files.contains_key(Self::WEIGHTS) {
            return Err(bad(format!("has no hash of {}", Self::WEIGHTS)));
        }
        for (name, hash) in &description.files {
            if !is_name(name) {
                return Err(bad(format!("names the file {name:?}, which is not in its folder")));
            }
            let file = path.join(name);
            let found = match hash_of(&file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && name == Self::ONNX => continue,
                found => found.map_err(|error| ModelFolderError::reading(&file, &error))?,
            };
            if found != *hash {
                let problem = "is damaged, or of another model: its hash is not the one in model.json";
                return Err(ModelFolderError::bad(&file, problem, ModelFolderError::EXPORT_AGAIN));
            }
        }
        let folder = ModelFolder { path: path.to_owned(), description, digest };
        let file = folder.weights();
        let bad = |problem: String| ModelFolderError::bad(&file, problem, ModelFolderError::EXPORT_AGAIN);
        let config = weights::read_config(&file).map_err(|error| bad(format!("is no file of weights ({error})")))?;
        let config = config.ok_or_else(|| bad("does not say of which network its weights are".into()))?;
        let config: ModelConfig =
            serde_json::from_str(&config).map_err(|error| bad(format!("describes no network ({error})")))?;
        match check::contradiction(&folder.description, &config) {
            Some(problem) => Err(bad(problem)),
            None => Ok(folder),
        }
    }

    /// The file of the weights.
    pub fn weights(&self) -> PathBuf {
        self.path.join(Self::WEIGHTS)
    }

    /// What the training images look like, if the folder says it.
    pub fn reference(&self) -> Option<PathBuf> {
        self.description.files.contains_key(Self::REFERENCE).then(|| self.path.join(Self::REFERENCE))
    }
}

/// Whether `name` is that of a file in a folder, and leads nowhere else.
pub(super) fn is_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
}

/// blake3 of a file, in hexadecimal digits.
pub(super) fn hash_of(file: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_mmap_rayon(file)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Reads the `model.json` in `folder`.
pub(super) fn read_description(folder: &Path) -> Result<Described, ModelFolderError> {
    let file = folder.join(ModelFolder::DESCRIPTION);
    if !file.is_file() {
        return Err(no_model(folder));
    }
    let bad = |problem: String| ModelFolderError::bad(&file, problem, ModelFolderError::EXPORT_AGAIN);
    let object = sealed::read(&file)?;
    match object.get("format_version").map(Value::as_u64) {
        Some(Some(1..)) => {}
        _ => return Err(bad("says no `format_version`, so it describes no model".into())),
    }
    if object.contains_key(EnsembleDescription::KEY) {
        return read_as(object).map(Described::Ensemble).map_err(bad);
    }
    let digest = sealed::identity(object.clone()).map_err(|error| bad(format!("is damaged ({error})")))?;
    let description = read_as(object).map_err(bad)?;
    Ok(Described::Model(Box::new(description), digest))
}

fn read_as<T: DeserializeOwned>(object: Map<String, Value>) -> Result<T, String> {
    serde_json::from_value(Value::Object(object)).map_err(|error| format!("is damaged ({error})"))
}
