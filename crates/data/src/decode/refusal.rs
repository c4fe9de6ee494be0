//! Why a file is not read, before its path is known.

use crate::DataError;
use std::path::Path;

/// A problem and its cure.
#[derive(Debug)]
pub(super) struct Refusal {
    problem: String,
    cure: String,
    /// The cure for a user of the command line, who has no data set, if it is another.
    on_command_line: Option<String>,
}

/// Result of a step of decoding.
pub(super) type Decoded<T> = Result<T, Refusal>;

impl Refusal {
    /// A file that is whole but not read.
    pub(super) fn new(problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Refusal { problem: problem.into(), cure: cure.into(), on_command_line: None }
    }

    /// A file whose content contradicts itself or ends early.
    pub(super) fn damaged(what: impl std::fmt::Display) -> Self {
        let text = what.to_string();
        let text = text.lines().next().unwrap_or_default();
        Refusal::new(format!("damaged or cut short ({text})"), "copy or download the file again")
    }

    /// A kind of file that is known and not read.
    pub(super) fn not_read(what: impl std::fmt::Display) -> Self {
        Refusal::new(format!("{what}, which is not read"), "save it as png, or as tif without compression")
    }

    /// With another `cure` for a user of the command line, who has no data set.
    pub(super) fn or_on_command_line(mut self, cure: impl Into<String>) -> Self {
        self.on_command_line = Some(cure.into());
        self
    }

    /// The error of the file `path` of a data set.
    pub(super) fn of(self, path: &Path) -> DataError {
        DataError::bad(path, self.problem, self.cure)
    }

    /// The error of the file `path` that was named on the command line.
    pub(super) fn on_command_line(self, path: &Path) -> DataError {
        DataError::bad(path, self.problem, self.on_command_line.unwrap_or(self.cure))
    }
}
