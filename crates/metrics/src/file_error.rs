//! Files of scores that cannot be written or read.

use std::io;
use std::path::{Path, PathBuf};

/// A file of scores that cannot be written, read or understood.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct FileError {
    /// The file.
    path: PathBuf,
    /// What is wrong.
    source: io::Error,
}

impl FileError {
    /// For `map_err` after an operation on `path`.
    pub(crate) fn of(path: &Path) -> impl FnOnce(io::Error) -> FileError + '_ {
        move |source| FileError { path: path.into(), source }
    }
}
