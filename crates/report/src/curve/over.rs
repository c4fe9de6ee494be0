//! What runs along the horizontal axis.

/// What the points of a figure are measured over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Over {
    /// The epochs of trainings.
    #[default]
    Epochs,
    /// The number of labelled images that models were trained on.
    LabelledImages,
}

impl Over {
    /// The column of the CSV.
    pub(super) fn column(self) -> &'static str {
        match self {
            Over::Epochs => "epoch",
            Over::LabelledImages => "labelled_images",
        }
    }

    /// The label of the axis.
    pub(super) fn axis(self) -> &'static str {
        match self {
            Over::Epochs => "epoch",
            Over::LabelledImages => "labelled training images",
        }
    }
}
