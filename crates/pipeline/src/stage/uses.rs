//! What a stage says of the images it uses.

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

/// Which images a stage trains on and which it scores. A score rests on what the stage and all stages before it have
/// trained on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Images that its output depends on.
    pub trained: Vec<DataUse>,
    /// Images that it scores: (the parameter that names the data set, the part of it).
    pub scored: Vec<(&'static str, &'static str)>,
    /// Images that its output depends on, but not its own score: its epoch is chosen by them after the training.
    pub chosen_by: Vec<DataUse>,
}
