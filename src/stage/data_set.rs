//! The data set that a stage reads.

use super::errors::data_error;
use super::{InputFiles, StageError};
use crate::data::{Manifest, OpenDataset, Root, Split};
use crate::experiment::ReferenceSpec;
use std::collections::BTreeSet;

/// The parameter `dataset` of every stage that reads images: a downloaded or a synthesised data set.
pub const DATASET: ReferenceSpec = ReferenceSpec::one("dataset", &["dataset", "synthesize"]);

/// Opens the data set of a `dataset` or `synthesize` stage.
///
/// # Errors
/// If its manifest cannot be read.
pub(super) fn open_dataset(input: &InputFiles) -> Result<OpenDataset, StageError> {
    let root = match &input.source {
        Some(folder) => Root::Folder(folder.clone()),
        None => Root::Files(input.files.clone()),
    };
    let manifest = Manifest::read_among(&input.files).map_err(data_error)?;
    Ok(OpenDataset::new(manifest, root))
}

/// What kinds that make data sets leave.
pub(super) const LEAVES: &[&str] = &[
    Manifest::FILE,
    Manifest::part(Split::Train),
    Manifest::part(Split::Val),
    Manifest::part(Split::Test),
    Manifest::part(Split::Unlabeled),
];

/// The files of a data set that tell of its images in `splits`, for [`StageKind::reads`](super::StageKind::reads).
pub(super) fn manifests_of(splits: impl IntoIterator<Item = Split>) -> Vec<String> {
    let splits: BTreeSet<Split> = splits.into_iter().collect();
    splits.into_iter().map(|split| Manifest::part(split).to_owned()).collect()
}
