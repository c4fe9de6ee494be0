//! Writes model folders.

use super::description::ModelDescription;
use super::ensemble::{EnsembleDescription, Member};
use super::error::{ModelFolderError, ModelWriteError};
use super::folder::{Described, ModelFolder, hash_of, is_name, read_description};
use super::open_all::agree;
use super::publish::{publish, write_description};
use super::readme::{ensemble_readme, readme};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What a model folder is made of.
#[derive(Clone, Debug)]
pub struct ModelFiles<'a> {
    /// Its description; `files` is filled in.
    pub description: ModelDescription,
    /// The file of the weights.
    pub weights: &'a Path,
    /// What the images that it was trained on look like.
    pub reference: Option<&'a Path>,
}

impl ModelFolder {
    /// Writes a model folder, whole or not at all: into a folder beside it, which is then renamed. A folder of models that is
    /// there, or an empty one, is replaced.
    ///
    /// # Errors
    /// The place is taken by something else; a file cannot be read or written; the files do not belong together.
    pub fn write(
        folder: &Path,
        description: &ModelDescription,
        weights: &Path,
        reference: Option<&Path>,
    ) -> Result<Self, ModelWriteError> {
        let description = description.clone();
        let written = publish(folder, |new| fill(new, &ModelFiles { description, weights, reference }))?;
        Ok(ModelFolder { path: folder.to_owned(), ..written })
    }
}

/// Writes an ensemble called `name`: its members, each with the name of its folder inside of `folder`. As
/// [`ModelFolder::write`].
///
/// # Errors
/// As there; members of different classes.
pub fn write_ensemble(
    folder: &Path,
    name: &str,
    members: &[(String, ModelFiles<'_>)],
) -> Result<Vec<ModelFolder>, ModelWriteError> {
    publish(folder, |new| {
        let mut models = Vec::new();
        let mut list = Vec::new();
        for (name, files) in members {
            if !is_name(name) {
                let problem = format!("cannot be the name of the folder of {}", files.description.name);
                return Err(ModelFolderError::bad(Path::new(name), problem, "give another name").into());
            }
            let inside = new.join(name);
            fs::create_dir(&inside).map_err(ModelWriteError::io(&inside))?;
            let model = fill(&inside, files)?;
            list.push(Member { folder: name.clone(), model: model.digest.clone() });
            models.push(ModelFolder { path: folder.join(name), ..model });
        }
        agree(&models)?;
        let description = EnsembleDescription::new(name, list);
        let file = new.join(ModelFolder::README);
        fs::write(&file, ensemble_readme(&description, &models)).map_err(ModelWriteError::io(&file))?;
        write_description(new, &description)?;
        Ok(models)
    })
}

/// Takes the present members of the ensemble `folder` into its `model.json`, after [`ModelFolder::add_file`] changed theirs.
///
/// # Errors
/// It is no ensemble, a member is damaged, or `model.json` cannot be written.
pub fn update_ensemble(folder: &Path) -> Result<(), ModelWriteError> {
    let Described::Ensemble(mut ensemble) = read_description(folder)? else {
        let problem = "is one model, not an ensemble";
        return Err(ModelFolderError::bad(folder, problem, "give the folder of an ensemble").into());
    };
    for member in &mut ensemble.ensemble {
        member.model = ModelFolder::open(&folder.join(&member.folder))?.digest;
    }
    write_description(folder, &ensemble)?;
    Ok(())
}

/// Writes the files of a model into the empty folder `new`, and opens it.
fn fill(new: &Path, files: &ModelFiles<'_>) -> Result<ModelFolder, ModelWriteError> {
    let mut hashes = BTreeMap::new();
    let copied = [(ModelFolder::WEIGHTS, Some(files.weights)), (ModelFolder::REFERENCE, files.reference)];
    for (name, source) in copied {
        let Some(source) = source else { continue };
        let target = new.join(name);
        fs::copy(source, &target).map_err(ModelWriteError::io(&target))?;
        // A cache's files are read-only; a user may do what he likes with his own.
        fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).map_err(ModelWriteError::io(&target))?;
        hashes.insert(name.to_owned(), hash_of(&target).map_err(ModelWriteError::io(&target))?);
    }
    let description = ModelDescription { files: hashes, ..files.description.clone() };
    let file = new.join(ModelFolder::README);
    fs::write(&file, readme(&description)).map_err(ModelWriteError::io(&file))?;
    write_description(new, &description)?;
    // The folder that was filled is gone when a user reads the error.
    ModelFolder::open(new).map_err(|error| ModelFolderError { path: files.weights.to_owned(), ..error }.into())
}
