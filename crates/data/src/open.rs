//! A checked data set, open for reading.

use super::checked_file::read_checked;
use super::geometry::Geometry;
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
        let masks = MaskReader::new(manifest.legend()).with_annotations(manifest.annotations.clone());
        let masks = Arc::new(masks);
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
        let geometry = Geometry::of(entry);
        let image = self.decode(entry)?;
        let full = (image.width, image.height);
        let mask = match (&entry.mask, &entry.mask_digest) {
            (Some(name), Some(digest)) => {
                let path = self.path(name)?;
                Some(geometry.mask(self.masks.read((name, &path, digest), &entry.image, full)?, full, &path)?)
            }
            _ => None,
        };
        Ok((geometry.image(image), mask))
    }

    /// Reads an image without its mask.
    ///
    /// # Errors
    /// As [`OpenDataset::read`].
    pub fn read_image(&self, entry: &Entry) -> Result<Micrograph, DataError> {
        Ok(Geometry::of(entry).image(self.decode(entry)?))
    }

    /// The image as its file holds it, turned upright.
    fn decode(&self, entry: &Entry) -> Result<Micrograph, DataError> {
        let path = self.path(&entry.image)?;
        let bytes = read_checked(&path, &entry.image_digest)?;
        decode::decode_image(&path, &bytes, &self.manifest.options)
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
