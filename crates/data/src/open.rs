//! A checked data set, open for reading.

use super::checked_file::read_checked;
use super::mask_reader::MaskReader;
use super::{DataError, Entry, Manifest, Mask, Micrograph, Split, decode};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The paths of a data set's files.
#[derive(Clone, Debug)]
pub enum Root {
    /// In one folder, under the manifest's paths.
    Folder(PathBuf),
    /// Each file at its own path (objects of the cache): path inside the data set → file.
    Files(BTreeMap<String, PathBuf>),
}

/// A manifest and the files that it lists.
#[derive(Clone, Debug)]
pub struct OpenDataset {
    /// The images, masks and classes of the data set.
    pub manifest: Manifest,
    root: Root,
    masks: Arc<MaskReader>,
}

impl OpenDataset {
    /// Opens the data set of the manifest file `manifest`.
    ///
    /// # Errors
    /// [`DataError`] if the manifest cannot be read.
    pub fn open(manifest: &Path, files: Root) -> Result<Self, DataError> {
        Ok(OpenDataset::new(Manifest::read(manifest)?, files))
    }

    /// Opens the data set of a manifest in memory.
    pub fn new(manifest: Manifest, files: Root) -> Self {
        let masks = Arc::new(MaskReader::new(manifest.legend()));
        OpenDataset { manifest, root: files, masks }
    }

    /// The images of one split, in order.
    pub fn entries(&self, split: Split) -> Vec<&Entry> {
        self.manifest.entries(split)
    }

    /// Reads an image and its mask (class indices), cropped as the manifest says.
    ///
    /// # Errors
    /// [`DataError`] if a file is missing, or has changed since it was checked.
    pub fn read(&self, entry: &Entry) -> Result<(Micrograph, Option<Mask>), DataError> {
        let image = self.read_image(entry)?;
        let mask = match (&entry.mask, &entry.mask_digest) {
            (Some(name), Some(digest)) => Some(self.read_mask(entry, name, digest)?),
            _ => None,
        };
        Ok((image, mask))
    }

    /// Reads an image without its mask.
    ///
    /// # Errors
    /// As [`OpenDataset::read`].
    pub fn read_image(&self, entry: &Entry) -> Result<Micrograph, DataError> {
        let path = self.path(&entry.image)?;
        let bytes = read_checked(&path, &entry.image_digest)?;
        let (width, height) = entry.cropped();
        // Without its info band, an image may have no colours.
        let image = decode::decode_image(&path, &bytes, self.manifest.bits)?
            .crop_top_left(width, height)
            .grey_if_equal_channels();
        Ok(if entry.resized_from.is_some() { image.resize(entry.width, entry.height) } else { image })
    }

    fn read_mask(&self, entry: &Entry, name: &str, digest: &str) -> Result<Mask, DataError> {
        let (path, size) = (self.path(name)?, entry.cropped());
        let mask = self.masks.read((name, &path, digest), &entry.image, size)?.crop_top_left(size.0, size.1);
        Ok(if entry.resized_from.is_some() { mask.resize(entry.width, entry.height) } else { mask })
    }

    fn path(&self, name: &str) -> Result<PathBuf, DataError> {
        match &self.root {
            Root::Folder(folder) => Ok(folder.join(name)),
            Root::Files(files) => files
                .get(name)
                .cloned()
                .ok_or_else(|| DataError::not_there(Path::new(name), "run the stage that makes the data set again")),
        }
    }
}
