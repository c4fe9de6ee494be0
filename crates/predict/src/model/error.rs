//! Why a folder is no model folder, and why one cannot be written.

use std::io;
use std::path::{Path, PathBuf};

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
    /// Whether it, or a file of it, is not there; otherwise it is damaged, or is something else.
    pub is_missing: bool,
}

impl ModelFolderError {
    /// The cure of everything that is damaged.
    pub(super) const EXPORT_AGAIN: &str = "export the model again";

    /// Something that is damaged or is no model folder.
    pub(super) fn bad(path: &Path, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        ModelFolderError { path: path.to_owned(), problem: problem.into(), cure: cure.into(), is_missing: false }
    }

    /// Something that is not there.
    pub(super) fn missing(path: &Path, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        ModelFolderError { is_missing: true, ..Self::bad(path, problem, cure) }
    }

    /// A file of a model folder that cannot be read.
    pub(super) fn reading(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::missing(path, "is missing", Self::EXPORT_AGAIN),
            _ => Self::bad(path, format!("cannot be read ({error})"), "make it readable, or export the model again"),
        }
    }
}

/// Why a model folder was not written.
#[derive(Debug, thiserror::Error)]
pub enum ModelWriteError {
    /// The place is taken by something that would be lost.
    #[error("{path} {problem}; name another folder", path = path.display())]
    Occupied {
        /// The folder that was asked for.
        path: PathBuf,
        /// What is there.
        problem: String,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was to be written is no model.
    #[error(transparent)]
    NoModel(#[from] ModelFolderError),
}

impl ModelWriteError {
    /// For `map_err` after an operation on `path`.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| ModelWriteError::Io { path: path.to_owned(), source }
    }
}
