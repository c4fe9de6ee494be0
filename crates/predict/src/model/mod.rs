//! Model folders: `model.safetensors`, `model.json`, `reference.safetensors`, `README.md`.

mod description;
mod folder;

pub use description::{ClassDescription, FORMAT_VERSION, ModelDescription, Normalisation, Provenance, SplitScores};
pub use folder::{ModelFolder, ModelFolderError};
