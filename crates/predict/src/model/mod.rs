//! Model folders: `model.safetensors`, `model.json`, `reference.safetensors`, `README.md`; and folders of several models that
//! predict together.

mod check;
mod describe;
mod description;
mod ensemble;
mod error;
mod file_names;
mod folder;
mod no_model;
mod open_all;
mod publish;
mod python;
mod readme;
mod sealed;
mod write;

pub use description::{ClassDescription, FORMAT_VERSION, ModelDescription, Normalisation, Provenance, SplitScores};
pub use ensemble::{EnsembleDescription, Member};
pub use error::{ModelFolderError, ModelWriteError};
pub use folder::ModelFolder;
pub use write::{ModelFiles, update_ensemble, write_ensemble};
