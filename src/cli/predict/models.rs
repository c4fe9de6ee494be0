//! The models among the arguments.

use super::super::outcome::{Ending, Stop};
use matssl_predict::model::{ModelFolder, ModelFolderError};
use std::path::{Path, PathBuf};

/// How users get a model.
const CURE: &str = "`matssl-run export FILE STAGE -o MODEL` writes a trained model as a folder";

/// The models among `paths`, and all other paths.
///
/// # Errors
/// A damaged model folder, a file of weights alone, no model, no images; all of these at once.
pub(super) fn split(paths: &[PathBuf]) -> Result<(Vec<ModelFolder>, Vec<PathBuf>), Stop> {
    let (mut models, mut others, mut stops) = (Vec::new(), Vec::new(), Vec::new());
    let mut is_any = false;
    for path in paths {
        if is_model(path) {
            is_any = true;
            match ModelFolder::open_all(path) {
                Ok(members) => models.extend(members),
                Err(error) => stops.push(refused(&error)),
            }
        } else if path.extension().is_some_and(|extension| extension == "safetensors") {
            let message = format!("{}: is a file of weights, not a model folder; {CURE}", path.display());
            stops.push(Stop::bad_request(message));
            is_any = true;
        } else {
            others.push(path.clone());
        }
    }
    if !is_any {
        stops.push(Stop::bad_request(format!("there is no model among the arguments; {CURE}")));
    }
    if others.is_empty() {
        let message = "there are no images among the arguments; name files, folders or patterns after the model";
        stops.push(Stop::bad_request(message));
    }
    Stop::all(stops).map_or(Ok((models, others)), Err)
}

/// Whether `path` is a model folder or wants to be one.
fn is_model(path: &Path) -> bool {
    [ModelFolder::DESCRIPTION, ModelFolder::WEIGHTS].iter().any(|file| path.join(file).exists())
}

fn refused(error: &ModelFolderError) -> Stop {
    Stop::new(if error.is_missing { Ending::NotThere } else { Ending::BadData }, format!("error: {error}"))
}
