//! What a path is that was taken for a model folder.

use super::error::ModelFolderError;
use super::file_names::{DESCRIPTION, WEIGHTS};
use std::path::Path;

/// How a model folder comes to be.
const EXPORT: &str = "`matssl-run export FILE STAGE -o DIR` writes a model folder";

/// Why `path`, which holds no `model.json`, is no model folder.
pub(super) fn no_model(path: &Path) -> ModelFolderError {
    if !path.exists() {
        let problem = if path.is_symlink() { "is a link to nothing" } else { "is not there" };
        return ModelFolderError::missing(path, problem, EXPORT);
    }
    if path.is_file() {
        let is_weights = path.extension().is_some_and(|e| ["safetensors", "pth", "pt", "onnx"].iter().any(|w| e == *w));
        return match path.file_name().is_some_and(|name| name == DESCRIPTION) {
            true => ModelFolderError::bad(path, "is a file of a model folder", "give the folder that holds it"),
            false if is_weights => ModelFolderError::bad(
                path,
                "is a file of weights alone, which says nothing of classes and normalisation",
                format!("give a model folder; {EXPORT}"),
            ),
            false => ModelFolderError::bad(path, "is a file, not a model folder", EXPORT),
        };
    }
    let has = |name: &str| path.join(name).exists();
    if has("objects") && has("records") {
        return ModelFolderError::bad(path, "is a cache, not a model folder", EXPORT);
    }
    let inside = models_inside(path);
    if !inside.is_empty() {
        let shown = inside[..inside.len().min(3)].join(", ");
        let more = if inside.len() > 3 { format!(" and {} more", inside.len() - 3) } else { String::new() };
        return ModelFolderError::bad(
            path,
            format!("is no model folder, but holds {}: {shown}{more}", if inside.len() == 1 { "one" } else { "some" }),
            format!("give {}, or several for an ensemble", path.join(&inside[0]).display()),
        );
    }
    if has(WEIGHTS) {
        let file = path.join(DESCRIPTION);
        return ModelFolderError::missing(&file, "is missing", ModelFolderError::EXPORT_AGAIN);
    }
    ModelFolderError::bad(path, format!("is no model folder: it holds no {}", DESCRIPTION), EXPORT)
}

/// The names of the model folders in `folder`, sorted.
fn models_inside(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let models = entries.filter(|entry| entry.path().join(DESCRIPTION).is_file());
    let mut names: Vec<String> = models.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
