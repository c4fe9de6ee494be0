//! Published counts: how many images and patches others have.

use serde::Deserialize;

/// What is counted in a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// Images of all splits.
    Images,
    /// Training images.
    Train,
    /// Validation images.
    Val,
    /// Test images.
    Test,
    /// Images without masks.
    Unlabeled,
    /// Patches of the images.
    Patches,
}

impl Quantity {
    /// All quantities, in the order of columns.
    pub const ALL: [Quantity; 6] =
        [Quantity::Images, Quantity::Train, Quantity::Val, Quantity::Test, Quantity::Unlabeled, Quantity::Patches];

    /// The word in files and in headings.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::Images => "images",
            Quantity::Train => "train",
            Quantity::Val => "val",
            Quantity::Test => "test",
            Quantity::Unlabeled => "unlabeled",
            Quantity::Patches => "patches",
        }
    }
}

/// The counts of one data set in one source; `None` for what the source does not say.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Their name in experiments, e.g. `table1.uhcs`.
    pub id: String,
    /// Name of their source.
    pub source: String,
    /// The data set.
    pub dataset: String,
    images: Option<u64>,
    train: Option<u64>,
    val: Option<u64>,
    test: Option<u64>,
    unlabeled: Option<u64>,
    patches: Option<u64>,
    /// What contradicts them, or what readers have to know about them.
    pub note: Option<String>,
}

impl Counts {
    /// The count of `quantity`.
    pub fn of(&self, quantity: Quantity) -> Option<u64> {
        match quantity {
            Quantity::Images => self.images,
            Quantity::Train => self.train,
            Quantity::Val => self.val,
            Quantity::Test => self.test,
            Quantity::Unlabeled => self.unlabeled,
            Quantity::Patches => self.patches,
        }
    }
}
