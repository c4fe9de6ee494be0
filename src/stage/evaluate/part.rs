//! The parameter `split` of an evaluation: the images that are scored, and by which models.

use crate::data::Split;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The images that are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::stage) enum Part {
    /// Images that the model was trained on.
    Train,
    /// Validation images.
    Val,
    /// Test images.
    Test,
    /// Images without masks, which cannot be scored.
    Unlabeled,
    /// All training images, each by the model of the fold that was validated on it and not trained on it. `model` is a stage with
    /// `folds`, all of them. One result comes out, pooled over the folds, without temperatures, which were fitted on these images.
    /// Leaks between folds are not searched for: a `group` of the data set keeps a specimen in one fold.
    /// It is too good where the epochs were chosen on the folds' own images: `select_on = "last"` avoids that.
    OutOfFold,
}

impl Part {
    /// The word of [`Part::OutOfFold`].
    pub(in crate::stage) const OUT_OF_FOLD: &'static str = "out-of-fold";

    /// The split that holds the images.
    pub(in crate::stage) fn split(self) -> Split {
        match self {
            Part::Train | Part::OutOfFold => Split::Train,
            Part::Val => Split::Val,
            Part::Test => Split::Test,
            Part::Unlabeled => Split::Unlabeled,
        }
    }

    /// The name in files and tables.
    pub(in crate::stage) fn name(self) -> &'static str {
        match self {
            Part::OutOfFold => Part::OUT_OF_FOLD,
            part => part.split().name(),
        }
    }

    /// The part whose name in files is `name`.
    pub(in crate::stage) fn named(name: &str) -> Option<Part> {
        [Part::Train, Part::Val, Part::Test, Part::OutOfFold].into_iter().find(|part| part.name() == name)
    }
}
