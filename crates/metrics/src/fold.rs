//! A part of a cross-validation.

use serde::{Deserialize, Serialize};

/// One of several trainings on the same images, each validated on its own part of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fold {
    /// Its number, from 1.
    pub index: usize,
    /// Number of parts.
    pub of: usize,
}
