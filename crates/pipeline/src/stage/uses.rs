//! The images that a stage uses.

/// Images of one part of a data set, and what a stage uses them for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DataUse {
    /// The parameter that names the data set.
    pub input: &'static str,
    /// The part of it, e.g. `"train"`.
    pub part: &'static str,
    /// What the images are used for, in a word or two: `"pretraining"`, `"training"`, `"choice of the epoch"`.
    pub purpose: &'static str,
}

/// The images that a stage trains on, and those that it scores. A score depends on the training images of the stage and
/// of all stages before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Images that its output depends on.
    pub trained: Vec<DataUse>,
    /// Images that it scores: (the parameter that names the data set, the part of it).
    pub scored: Vec<(&'static str, &'static str)>,
    /// Images that choose its epoch after the training: its output depends on them, but not its own score.
    pub chosen_by: Vec<DataUse>,
}
