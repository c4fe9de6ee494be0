//! Errors of data: one line with the file, the problem and the cure.

use matssl_base::exit_code;
use std::path::{Path, PathBuf};

/// Largest number of files that are named in one message.
const LISTED: usize = 20;

/// A data set that is missing, or not as the experiment describes it.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A folder or file is missing (exit code 4).
    #[error("{}: not there; {cure}", path.display())]
    NotThere {
        /// The missing file or folder.
        path: PathBuf,
        /// How to correct it.
        cure: String,
    },
    /// A file is there but cannot be used (exit code 5).
    #[error("{}: {problem}; {cure}", path.display())]
    Bad {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// How to correct it.
        cure: String,
    },
    /// Several of the above errors, one a line. At most 20 are printed.
    #[error("{}", list(.0))]
    Several(Vec<DataError>),
    /// An output could not be written (exit code 3).
    #[error("{}: cannot be written", path.display())]
    Write {
        /// The output.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

impl DataError {
    /// A [`DataError::Bad`].
    pub(crate) fn bad(path: &Path, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        DataError::Bad { path: path.into(), problem: problem.into(), cure: cure.into() }
    }

    /// A [`DataError::NotThere`].
    pub(crate) fn not_there(path: &Path, cure: impl Into<String>) -> Self {
        DataError::NotThere { path: path.into(), cure: cure.into() }
    }

    /// For `map_err` after writing `path`.
    pub(crate) fn writing(path: &Path) -> impl FnOnce(std::io::Error) -> DataError + '_ {
        move |source| DataError::Write { path: path.into(), source }
    }

    /// For `map_err` after reading `path`: missing or unreadable.
    pub(crate) fn reading(path: &Path) -> impl FnOnce(std::io::Error) -> DataError + '_ {
        move |source| match source.kind() {
            std::io::ErrorKind::NotFound => {
                DataError::not_there(path, "put the file back, or correct the data set's `path`")
            }
            _ => DataError::bad(path, format!("cannot be read ({source})"), "check its permissions and its disk"),
        }
    }

    /// `Ok` without errors, otherwise the only error or all of them.
    pub(crate) fn check_all(mut errors: Vec<DataError>) -> Result<(), DataError> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(DataError::Several(errors)),
        }
    }

    /// 4 if the only problem is that files are missing, 5 if data is bad, 3 if an output could not be written.
    pub fn exit_code(&self) -> u8 {
        match self {
            DataError::NotThere { .. } => exit_code::NOT_THERE,
            DataError::Bad { .. } => exit_code::BAD_DATA,
            DataError::Several(errors) if errors.iter().all(|e| e.exit_code() == exit_code::NOT_THERE) => {
                exit_code::NOT_THERE
            }
            DataError::Several(_) => exit_code::BAD_DATA,
            DataError::Write { .. } => exit_code::STAGE_FAILED,
        }
    }
}

fn list(errors: &[DataError]) -> String {
    let mut lines = vec![format!("{} files of the data set cannot be used:", errors.len())];
    lines.extend(errors.iter().take(LISTED).map(|error| format!("  {error}")));
    if errors.len() > LISTED {
        lines.push(format!("  … and {} more", errors.len() - LISTED));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_listed_up_to_twenty_with_a_count() {
        let bad = |i: usize| DataError::bad(Path::new(&format!("{i}.png")), "cut short", "copy it again");
        let one = DataError::check_all(vec![bad(3)]).unwrap_err();
        assert_eq!(one.to_string(), "3.png: cut short; copy it again");
        let text = DataError::check_all((0..25).map(bad).collect()).unwrap_err().to_string();
        assert!(text.starts_with("25 files of the data set cannot be used:\n  0.png: cut short; copy it again\n"));
        assert!(text.ends_with("  19.png: cut short; copy it again\n  … and 5 more"), "{text}");
        assert_eq!(text.lines().count(), 22);
    }

    #[test]
    fn several_errors_count_as_missing_only_if_all_are_missing() {
        let gone = || DataError::not_there(Path::new("a"), "b");
        assert_eq!(DataError::Several(vec![gone(), gone()]).exit_code(), 4);
        assert_eq!(DataError::Several(vec![gone(), DataError::bad(Path::new("a"), "b", "c")]).exit_code(), 5);
    }
}
