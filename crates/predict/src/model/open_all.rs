//! Opens what may be one model or an ensemble.

use super::error::ModelFolderError;
use super::folder::{Described, ModelFolder, is_name, read_description};
use std::path::Path;

impl ModelFolder {
    /// Opens the models of `path`: one model folder, or all members of an ensemble, in its order.
    ///
    /// # Errors
    /// As [`ModelFolder::open`]; a member that is not the one that the ensemble was made of; members of different classes.
    pub fn open_all(path: &Path) -> Result<Vec<Self>, ModelFolderError> {
        let ensemble = match read_description(path)? {
            Described::Model(description, digest) => return Ok(vec![Self::checked(path, *description, digest)?]),
            Described::Ensemble(ensemble) => ensemble,
        };
        let file = path.join(Self::DESCRIPTION);
        let bad = |problem: String| ModelFolderError::bad(&file, problem, ModelFolderError::EXPORT_AGAIN);
        if ensemble.ensemble.is_empty() {
            return Err(bad("lists no models".into()));
        }
        let mut models: Vec<Self> = Vec::new();
        for member in &ensemble.ensemble {
            if !is_name(&member.folder) {
                return Err(bad(format!("names the folder {:?}, which is not in its folder", member.folder)));
            }
            let model = Self::open(&path.join(&member.folder))?;
            if model.digest != member.model {
                let problem = "is not the model that the ensemble was made of";
                return Err(ModelFolderError::bad(&model.path, problem, ModelFolderError::EXPORT_AGAIN));
            }
            models.push(model);
        }
        agree(&models)?;
        Ok(models)
    }
}

/// Checks that `models` have the same classes, so that means of their probabilities have a meaning.
///
/// # Errors
/// The two that differ first.
pub(super) fn agree(models: &[ModelFolder]) -> Result<(), ModelFolderError> {
    let Some((first, others)) = models.split_first() else { return Ok(()) };
    match others.iter().find(|other| other.description.classes != first.description.classes) {
        Some(other) => Err(ModelFolderError::bad(
            &other.path,
            format!("has other classes (names, values or colours) than {}", first.description.name),
            "an ensemble needs models of the same classes",
        )),
        None => Ok(()),
    }
}
