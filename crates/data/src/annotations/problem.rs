//! What is wrong with an annotation file, before its path is known.

use crate::DataError;
use std::fmt;
use std::path::Path;

/// What has a problem, if several have it.
pub(super) const IMAGES: &str = "images";

/// A problem with its cure.
#[derive(Debug)]
pub(crate) struct Problem {
    problem: String,
    cure: String,
    /// How it is said of many files or images at once, as [`DataError::shared`] takes it.
    shared: Option<(String, &'static str, String)>,
}

impl Problem {
    pub(super) fn new(problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Problem { problem: problem.into(), cure: cure.into(), shared: None }
    }

    /// The same problem, which is said as `fault` in so many `noun` if several files or images have it. `place` follows the
    /// path.
    #[must_use]
    pub(super) fn shared(mut self, fault: impl Into<String>, noun: &'static str, place: impl Into<String>) -> Self {
        self.shared = Some((fault.into(), noun, place.into()));
        self
    }

    /// A file that is not what its format says; `error` tells where.
    pub(super) fn unreadable(format: &str, error: impl fmt::Display) -> Self {
        let fault = format!("cannot be read as {format}");
        Problem::new(format!("{fault} ({error})"), "export the annotations again").shared(fault, "", "")
    }

    /// As an error of the file `path`.
    pub(crate) fn of(self, path: &Path) -> DataError {
        let error = DataError::bad(path, self.problem, self.cure);
        match self.shared {
            Some((fault, noun, place)) => error.shared(fault, noun, place),
            None => error,
        }
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
        let fault = problem.to_string();
        self.problem_of_kind(fault.clone(), fault, cure)
    }

    /// A problem of this shape, which is said as `fault` of many images.
    pub(super) fn problem_of_kind(
        &self,
        problem: impl fmt::Display,
        fault: impl Into<String>,
        cure: impl Into<String>,
    ) -> Problem {
        let space = if self.image.is_empty() { "" } else { " " };
        let place = format!(": {}{space}{}", self.image, self.shape);
        Problem::new(format!("{self}: {problem}"), cure).shared(fault, IMAGES, place)
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
        match self.name {
            "" => write!(f, "{} (without a class)", self.shape),
            name => write!(f, "{} (\"{name}\")", self.shape),
        }
    }
}
