//! What is wrong with an annotation file, before its path is known.

use crate::DataError;
use std::fmt;
use std::path::Path;

/// A problem with its cure.
#[derive(Debug)]
pub(crate) struct Problem {
    problem: String,
    cure: String,
}

impl Problem {
    pub(super) fn new(problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Problem { problem: problem.into(), cure: cure.into() }
    }

    /// A file that is not what its format says; `error` tells where.
    pub(super) fn unreadable(format: &str, error: impl fmt::Display) -> Self {
        Problem::new(format!("cannot be read as {format} ({error})"), "export the annotations again")
    }

    /// As an error of the file `path`.
    pub(crate) fn of(self, path: &Path) -> DataError {
        DataError::bad(path, self.problem, self.cure)
    }
}

/// Where a shape stands in an annotation file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The image, as the file names it.
    pub(super) image: &'a str,
    /// The shape in the file's own words, e.g. `annotation 17`.
    pub(super) shape: &'a str,
    /// The name of its class.
    pub(super) name: &'a str,
}

impl Place<'_> {
    /// A problem of this shape.
    pub(super) fn problem(&self, problem: impl fmt::Display, cure: impl Into<String>) -> Problem {
        Problem::new(format!("{self}: {problem}"), cure)
    }

    /// A shape that lacks a value, or has one that is no number.
    pub(super) fn incomplete(&self, what: &str) -> Problem {
        self.problem(format!("no {what} that can be read"), "correct the shape, or export the annotations again")
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.image.is_empty() {
            write!(f, "{}, ", self.image)?;
        }
        write!(f, "{} (\"{}\")", self.shape, self.name)
    }
}
