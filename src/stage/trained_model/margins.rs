//! How the images of a data set are cropped, as a rule for other images.

use crate::data::{Auto, Crop, Entry, Manifest, Margin, Sides, Split};
use std::collections::BTreeSet;

/// What is known of the crop of a data set.
pub(crate) enum Cropped {
    /// The experiment's `crop`, or the format's own band.
    As(Option<Crop>),
    /// What the manifest tells of it.
    AsListed,
}

impl Cropped {
    /// The rule for other images. What a manifest lists of a format without `crop` is for its own files only.
    pub(super) fn rule(&self, manifest: &Manifest) -> Option<Crop> {
        match self {
            Cropped::As(crop) => *crop,
            Cropped::AsListed => listed(manifest),
        }
    }
}

/// The margins that are the same for all images, if the data set has `crop`. The bottom margin is `"auto"` if it differs
/// between them.
fn listed(manifest: &Manifest) -> Option<Crop> {
    // The size of the file is listed if and only if the experiment has `crop`.
    let cut = |entry: &Entry| {
        let (width, height) = entry.file_size?;
        let of_crop = (entry.offset.unwrap_or_default(), entry.cropped());
        let ((left, top), (across, down)) = entry.window_of.unwrap_or(of_crop);
        Some((top, height.saturating_sub(top + down), left, width.saturating_sub(left + across)))
    };
    let margins: Option<Vec<_>> = manifest.entries(Split::Train).into_iter().map(cut).collect();
    let margins = margins?;
    let &(top, bottom, left, right) = margins.first()?;
    let bottoms: BTreeSet<usize> = margins.iter().map(|(_, bottom, ..)| *bottom).collect();
    let given = |pixels: usize| (pixels > 0).then_some(pixels);
    let bottom = match bottoms.len() {
        1 => given(bottom).map(Margin::Pixels),
        _ => Some(Margin::Auto(Auto::Auto)),
    };
    match (top, left, right, bottom) {
        (0, 0, 0, Some(Margin::Auto(auto))) => Some(Crop::Auto(auto)),
        _ => Some(Crop::Sides(Sides { top: given(top), bottom, left: given(left), right: given(right) })),
    }
}
