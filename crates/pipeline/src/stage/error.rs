//! Why a stage failed.

use crate::cache::UnreadableFile;
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

    /// An error of hashing files outside the cache: a file that is gone is missing data, one that cannot be read is bad data.
    pub fn of_files(error: anyhow::Error) -> Self {
        match error.downcast_ref::<UnreadableFile>() {
            Some(file) if file.is_gone() => StageError::NotThere(format!("{file}; put the file back")),
            Some(file) => StageError::BadData(format!("{file}; check its permissions and its disk")),
            None => StageError::Failed(error),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    #[test]
    fn a_file_that_nobody_may_read_is_bad_data_and_one_that_is_gone_is_missing() {
        let error = |kind: ErrorKind| {
            let file = UnreadableFile { path: "d/a.png".into(), source: kind.into() };
            StageError::of_files(anyhow::Error::from(file).context("in the plan"))
        };
        let denied = error(ErrorKind::PermissionDenied);
        assert_eq!(denied.to_string(), "cannot read d/a.png: permission denied; check its permissions and its disk");
        assert_eq!(ErrorClass::from(&denied), ErrorClass::BadData);
        assert_eq!(ErrorClass::from(&error(ErrorKind::NotFound)), ErrorClass::NotThere);
        assert_eq!(ErrorClass::from(&StageError::of_files(anyhow::anyhow!("full"))), ErrorClass::Failed);
    }
}
