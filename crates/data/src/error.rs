//! Errors of data: one line with the file, the problem and the cure.

use crate::faults::{self, Fault};
use matssl_base::exit_code;
use std::path::{Path, PathBuf};

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
        /// How it is said of many files at once; without it, errors of the same problem and cure are said together.
        shared: Option<Box<Shared>>,
    },
    /// Several of the above errors: those of one fault in one line. At most 20 lines are printed.
    #[error("{}", faults::in_words(&faults_of(.0)))]
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

/// A fault that many files may have: `255 has no class in 23 masks (a.png at column 3, row 7, …)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// What is wrong with each of the files: the same words for all of them.
    pub(crate) fault: String,
    /// What the files are, in the plural: `masks`. Empty if the fault is said after the names of the files.
    pub(crate) noun: &'static str,
    /// What is said after the path of this file: ` at column 3, row 7`.
    pub(crate) place: String,
}

impl DataError {
    /// A [`DataError::Bad`].
    pub(crate) fn bad(path: &Path, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        DataError::Bad { path: path.into(), problem: problem.into(), cure: cure.into(), shared: None }
    }

    /// The same error, which is said as `fault` in so many `noun` (a plural) if several files have it. `place` follows the
    /// path of this one.
    pub(crate) fn shared(mut self, fault: impl Into<String>, noun: &'static str, place: impl Into<String>) -> Self {
        if let DataError::Bad { shared, .. } = &mut self {
            *shared = Some(Box::new(Shared { fault: fault.into(), noun, place: place.into() }));
        }
        self
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
    pub(crate) fn check_all(errors: Vec<DataError>) -> Result<(), DataError> {
        let mut flat = Vec::with_capacity(errors.len());
        for error in errors {
            match error {
                DataError::Several(several) => flat.extend(several),
                one => flat.push(one),
            }
        }
        match flat.len() {
            0 => Ok(()),
            1 => Err(flat.remove(0)),
            _ => Err(DataError::Several(flat)),
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

/// Each fault of each file.
fn faults_of(errors: &[DataError]) -> Vec<Fault<'_>> {
    let mut faults = Vec::with_capacity(errors.len());
    for error in errors {
        let alone = || error.to_string();
        match error {
            DataError::Several(several) => faults.extend(faults_of(several)),
            DataError::Bad { path, cure, shared: Some(shared), .. } => {
                let Shared { fault, noun, place } = &**shared;
                let noun = Some(*noun).filter(|noun| !noun.is_empty());
                faults.push(Fault { path, place, problem: fault, noun, cure, alone: alone() });
            }
            DataError::Bad { path, problem, cure, shared: None } => {
                faults.push(Fault { path, place: "", problem, noun: None, cure, alone: alone() });
            }
            DataError::NotThere { path, cure } => {
                faults.push(Fault { path, place: "", problem: "not there", noun: None, cure, alone: alone() });
            }
            DataError::Write { path, .. } => {
                faults.push(Fault {
                    path,
                    place: "",
                    problem: "cannot be written",
                    noun: None,
                    cure: "",
                    alone: alone(),
                });
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(path: &str, problem: &str) -> DataError {
        DataError::bad(Path::new(path), problem, "copy it again")
    }

    #[test]
    fn one_fault_is_one_line_with_its_count() {
        let one = DataError::check_all(vec![bad("d/3.png", "cut short")]).unwrap_err();
        assert_eq!(one.to_string(), "d/3.png: cut short; copy it again");
        let text = |errors| DataError::check_all(errors).unwrap_err().to_string();
        let many = (0..25).map(|i| bad(&format!("d/{i}.png"), "cut short")).collect();
        assert_eq!(text(many), "25 files (d/0.png, 1.png, 2.png, …): cut short; copy it again");
        let unknown = |i: usize, value: usize| {
            bad(&format!("d/{i}.png"), &format!("{value} at row {i} has no class")).shared(
                format!("{value} has no class"),
                "masks",
                format!(" at row {i}"),
            )
        };
        // Several errors of one file count as one file.
        let both = (0..2).map(|i| DataError::Several(vec![unknown(i, 7), unknown(i, 9)])).collect();
        assert_eq!(
            text(both),
            "2 files of the data set cannot be used:\n  \
             7 has no class in 2 masks (d/0.png at row 0, 1.png at row 1); copy it again\n  \
             9 has no class in 2 masks (d/0.png at row 0, 1.png at row 1); copy it again"
        );
        assert_eq!(text(vec![unknown(4, 7)]), "d/4.png: 7 at row 4 has no class; copy it again");
        let gone = |path: &str| DataError::not_there(Path::new(path), "put it back");
        assert_eq!(text(vec![gone("a/x"), gone("b/x")]), "2 files (a/x, b/x): not there; put it back");
    }

    #[test]
    fn faults_are_listed_up_to_twenty_with_a_count() {
        let errors = (0..25).map(|i| bad(&format!("{i}.png"), &format!("fault {i}"))).collect();
        let text = DataError::check_all(errors).unwrap_err().to_string();
        assert!(text.starts_with("25 files of the data set cannot be used:\n  0.png: fault 0; copy it again\n"));
        assert!(text.ends_with("  19.png: fault 19; copy it again\n  … and 5 more"), "{text}");
        assert_eq!(text.lines().count(), 22);
    }

    #[test]
    fn several_errors_count_as_missing_only_if_all_are_missing() {
        let gone = || DataError::not_there(Path::new("a"), "b");
        assert_eq!(DataError::Several(vec![gone(), gone()]).exit_code(), 4);
        assert_eq!(DataError::Several(vec![gone(), DataError::bad(Path::new("a"), "b", "c")]).exit_code(), 5);
    }
}
