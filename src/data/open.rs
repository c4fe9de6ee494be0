//! A checked data set, open for reading.

use super::{DataError, Entry, Manifest, Mask, Micrograph, Split, decode};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the files of a data set lie.
#[derive(Clone, Debug)]
pub enum Root {
    /// Below one folder, under the manifest's own paths.
    Folder(PathBuf),
    /// Each somewhere of its own (objects of the cache): path inside the data set → file.
    Files(BTreeMap<String, PathBuf>),
}

/// A manifest and the files it speaks of.
#[derive(Clone, Debug)]
pub struct OpenDataset {
    /// What is in it.
    pub manifest: Manifest,
    root: Root,
}

impl OpenDataset {
    /// Opens the data set whose manifest lies at `manifest`.
    ///
    /// # Errors
    /// [`DataError`] if the manifest cannot be read.
    pub fn open(manifest: &Path, files: Root) -> Result<Self, DataError> {
        Ok(OpenDataset::new(Manifest::read(manifest)?, files))
    }

    /// A data set whose manifest is at hand.
    pub fn new(manifest: Manifest, files: Root) -> Self {
        OpenDataset { manifest, root: files }
    }

    /// The images of one split, in order.
    pub fn entries(&self, split: Split) -> Vec<&Entry> {
        self.manifest.entries(split)
    }

    /// Reads an image and its mask (class indices), cropped as the manifest says.
    ///
    /// # Errors
    /// [`DataError`] if a file is gone, or is not the one that was checked.
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
        let (path, bytes) = self.bytes(&entry.image, &entry.image_digest)?;
        // An info band may be all that is in colour.
        Ok(decode::decode_image(&path, &bytes)?.crop_top_left(entry.width, entry.height).grey_if_it_is())
    }

    fn read_mask(&self, entry: &Entry, name: &str, digest: &str) -> Result<Mask, DataError> {
        let (path, bytes) = self.bytes(name, digest)?;
        let mut mask = decode::decode_mask(&path, &bytes)?.crop_top_left(entry.width, entry.height);
        map_labels(&path, &mut mask, &self.manifest.label_values)?;
        Ok(mask)
    }

    fn bytes(&self, name: &str, digest: &str) -> Result<(PathBuf, Vec<u8>), DataError> {
        let path = match &self.root {
            Root::Folder(folder) => folder.join(name),
            Root::Files(files) => files
                .get(name)
                .cloned()
                .ok_or_else(|| DataError::not_there(Path::new(name), "run the stage that makes the data set again"))?,
        };
        let bytes = read_checked(&path, digest)?;
        Ok((path, bytes))
    }
}

/// Reads a file and holds it against the digest it had when it was listed.
pub(super) fn read_checked(path: &Path, digest: &str) -> Result<Vec<u8>, DataError> {
    let bytes = std::fs::read(path).map_err(DataError::reading(path))?;
    if blake3::hash(&bytes).to_hex().as_str() != digest {
        return Err(DataError::bad(path, "changed since the data set was checked", "run again to check it anew"));
    }
    Ok(bytes)
}

/// Replaces the values of a mask file by class indices, and counts nothing.
pub(super) fn map_labels(path: &Path, mask: &mut Mask, values: &BTreeMap<u8, u8>) -> Result<(), DataError> {
    let mut table = [None; 256];
    for (&value, &class) in values {
        table[usize::from(value)] = Some(class);
    }
    for (i, label) in mask.labels.iter_mut().enumerate() {
        let Some(class) = table[usize::from(*label)] else {
            let known: Vec<String> = values.keys().map(u8::to_string).collect();
            let place = (i % mask.width, i / mask.width);
            return Err(DataError::bad(
                path,
                format!("label value {label} at column {}, row {} is no class", place.0, place.1),
                format!(
                    "the experiment knows {}: correct the mask, or `classes`, `values` or `ignore_label`",
                    known.join(", ")
                ),
            ));
        };
        *label = class;
    }
    Ok(())
}
