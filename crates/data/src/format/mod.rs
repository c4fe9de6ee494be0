//! The formats of data sets: trait [`Dataset`] and the table of formats. One file a format.

mod aachen;
mod ebc;
mod files;
mod folder;
mod metaldam;
mod params;
mod scan;
mod specimens;
mod split;
#[cfg(test)]
mod tests;
mod uhcs;

pub use files::stem;
pub use params::{Classes, DatasetParams, Format, ParamProblem, SplitParams};
pub use scan::{SourceFile, list_files, scan};

use super::{Color, DataError, Mask, Micrograph, Split};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A reader: knows a data set's layout on disk. It opens no image itself; [`scan`] does that for all formats.
pub trait Dataset: Sync {
    /// The parameters this format takes beside `format` and `path`.
    fn takes(&self) -> &'static [&'static str];

    /// Puts this format's own defaults where `params` says nothing.
    fn fill(&self, params: &mut DatasetParams);

    /// Relations between this format's parameters; defaults are filled in.
    ///
    /// # Errors
    /// Names the parameter to underline and says the cure.
    fn check(&self, params: &DatasetParams) -> Result<(), ParamProblem>;

    /// Every file that matters: (path inside the data set, file), sorted.
    ///
    /// # Errors
    /// [`DataError::NotThere`] if the data set's folders are missing.
    fn list(&self, params: &DatasetParams, root: &Path) -> Result<Vec<(String, PathBuf)>, DataError>;

    /// Which files belong together, and in which split.
    ///
    /// # Errors
    /// [`DataError`] if masks or images lack their partner, or there are too few to split.
    fn layout(&self, params: &DatasetParams, root: &Path, names: &[&str]) -> Result<Layout, DataError>;

    /// How much of the top left of an image is micrograph, (width, height); the rest is an info band.
    ///
    /// # Errors
    /// [`DataError::Bad`] if the image is not one of this data set.
    fn crop(
        &self,
        _params: &DatasetParams,
        _path: &Path,
        image: &Micrograph,
        _mask: Option<&Mask>,
    ) -> Result<(usize, usize), DataError> {
        Ok((image.width, image.height))
    }
}

/// What a reader makes of a list of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Class names.
    pub classes: Vec<String>,
    /// Classes left out of means.
    pub ignore_classes: Vec<u8>,
    /// Mask value → class index or [`super::IGNORE`].
    pub label_values: BTreeMap<u8, u8>,
    /// Mask colour → class index or [`super::IGNORE`]; empty unless masks are read as colours.
    pub label_colors: BTreeMap<Color, u8>,
    /// Images with their masks and splits.
    pub images: Vec<Placed>,
}

/// An image's place in a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Path inside the data set.
    pub image: String,
    /// Path of its mask, or of the table of polygons that holds it.
    pub mask: Option<String>,
    /// What it is for.
    pub split: Split,
    /// The specimen it shows, where that is known.
    pub specimen: Option<String>,
}

impl Placed {
    /// One of an unknown specimen.
    fn new(image: &str, mask: Option<&str>, split: Split) -> Self {
        Placed { image: image.into(), mask: mask.map(Into::into), split, specimen: None }
    }
}

/// The table of formats.
pub fn reader(format: Format) -> &'static dyn Dataset {
    match format {
        Format::Folder => &folder::Folder,
        Format::Aachen => &aachen::Aachen,
        Format::Ebc => &ebc::Ebc,
        Format::Metaldam => &metaldam::MetalDam,
        Format::Uhcs => &uhcs::Uhcs,
    }
}
