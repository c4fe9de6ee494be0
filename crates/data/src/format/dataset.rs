//! The trait of a format.

use super::layout::Layout;
use super::params::{DatasetParams, ParamProblem};
use crate::{DataError, Mask, Micrograph};
use std::path::{Path, PathBuf};

/// A reader of one format: it knows the layout on disk. It opens no image; [`scan`](super::scan()) does that for all formats.
pub(super) trait Dataset: Sync {
    /// The parameters that this format takes, other than `format` and `path`.
    fn takes(&self) -> &'static [&'static str];

    /// Fills in this format's defaults where `params` has no value.
    fn fill(&self, params: &mut DatasetParams);

    /// Checks relations between this format's parameters. Defaults are filled in already.
    ///
    /// # Errors
    /// The parameter to underline, with the problem and the cure.
    fn check(&self, params: &DatasetParams) -> Result<(), ParamProblem>;

    /// Every file that is read: (path inside the data set, file), sorted.
    ///
    /// # Errors
    /// [`DataError::NotThere`] if the data set's folders are missing.
    fn list(&self, params: &DatasetParams, root: &Path) -> Result<Vec<(String, PathBuf)>, DataError>;

    /// Which files belong together, and which split they are in.
    ///
    /// # Errors
    /// [`DataError`] if a mask lacks its image or an image its mask, or if there are too few images to split.
    fn layout(&self, params: &DatasetParams, root: &Path, names: &[&str]) -> Result<Layout, DataError>;

    /// Rows of the info band at the bottom of any image of the format, if all have the same; `None` if there is no such rule.
    fn band(&self) -> Option<usize> {
        None
    }

    /// Size of the micrograph at the top left of an image, (width, height); the rest is an info band.
    ///
    /// # Errors
    /// [`DataError::Bad`] if the image cannot belong to this data set.
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
