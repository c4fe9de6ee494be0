//! Reference files that cannot be written, read or understood.

use std::path::{Path, PathBuf};

/// A reference file that cannot be written, read or understood.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}; {cure}", path = path.display())]
pub struct ReferenceError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub cure: &'static str,
}

impl ReferenceError {
    /// For a file with another content than this program writes.
    pub(super) fn damaged(path: &Path, problem: impl ToString) -> Self {
        let cure = "the file is damaged: export the model again, or run the training again";
        ReferenceError { path: path.to_owned(), problem: problem.to_string(), cure }
    }
}
