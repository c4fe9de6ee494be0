//! Why a stage failed.

use crate::events::ErrorClass;

/// Why a stage failed; decides the exit code.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A data set, weight file or device is missing (exit code 4).
    #[error("{0}")]
    NotThere(String),
    /// The data differs from what the experiment says (exit code 5).
    #[error("{0}")]
    BadData(String),
    /// The work itself failed: NaN loss, full disk, program error (exit code 3).
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
    /// Stopped by a signal; a training has written a checkpoint (exit code 3).
    #[error("{0}")]
    Stopped(String),
    /// The process that did the work was killed by a signal that did not come from this program (exit code 3).
    #[error("{message}")]
    Lost {
        /// The signal.
        signal: Option<i32>,
        /// Names the killed process.
        message: String,
    },
}

impl StageError {
    /// The work itself failed because of `error`.
    pub fn failed(error: impl Into<anyhow::Error>) -> Self {
        StageError::Failed(error.into())
    }
}

impl From<std::io::Error> for StageError {
    fn from(error: std::io::Error) -> Self {
        StageError::failed(error)
    }
}

impl From<&StageError> for ErrorClass {
    fn from(error: &StageError) -> Self {
        match error {
            StageError::NotThere(_) => ErrorClass::NotThere,
            StageError::BadData(_) => ErrorClass::BadData,
            StageError::Failed(_) => ErrorClass::Failed,
            StageError::Stopped(_) => ErrorClass::Stopped,
            StageError::Lost { .. } => ErrorClass::Lost,
        }
    }
}
