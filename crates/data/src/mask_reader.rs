//! From the file that holds a mask to class indices. The file holds label values, colours, annotated shapes, or polygons.

use super::annotations::{AnnotationReader, AnnotationRules};
use super::checked_file::read_checked;
use super::legend::Legend;
use super::polygons::Polygons;
use super::{DataError, Mask};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Reads the masks of one data set. A mask depends on its file's bytes, on the image's name and size (polygons), and on the
/// manifest's meaning of values and colours. So it is the same each time the data set is opened.
#[derive(Debug)]
pub(super) struct MaskReader {
    legend: Legend,
    /// Reads every mask, if the data set has annotations.
    annotations: Option<AnnotationReader>,
    /// The table of polygons that was read last, with its digest. One table holds the masks of all images.
    polygons: Mutex<Option<(String, Arc<Polygons>)>>,
}

impl MaskReader {
    /// A reader with the meaning of label values or colours.
    pub(super) fn new(legend: Legend) -> Self {
        MaskReader { legend, annotations: None, polygons: Mutex::new(None) }
    }

    /// Draws every mask from an annotation file if there are `rules` for that.
    #[must_use]
    pub(super) fn with_annotations(self, rules: Option<AnnotationRules>) -> Self {
        MaskReader { annotations: rules.map(AnnotationReader::new), ..self }
    }

    /// The mask of the image `image` from the file `name` (both paths inside the data set), which lies at `path` and
    /// has the blake3 `digest`. An annotation file and a table of polygons (`.csv`) give a mask of `size` = (width, height): that of
    /// the whole image, before any crop. Every other file gives one of its own size.
    ///
    /// # Errors
    /// [`DataError`] if the file has changed, cannot be read as a mask, or holds a value that is no class.
    pub(super) fn read(
        &self,
        (name, path, digest): (&str, &Path, &str),
        image: &str,
        size: (usize, usize),
    ) -> Result<Mask, DataError> {
        if let Some(annotations) = &self.annotations {
            return annotations.read(path, digest, image, size);
        }
        if name.ends_with(".csv") {
            return self.polygons(path, digest)?.mask(path, image, size);
        }
        self.legend.read(path, &read_checked(path, digest)?)
    }

    fn polygons(&self, path: &Path, digest: &str) -> Result<Arc<Polygons>, DataError> {
        // The lock is held while the table is read, so that several threads read it once.
        let mut last = self.polygons.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, polygons)) = last.as_ref().filter(|(seen, _)| seen == digest) {
            return Ok(Arc::clone(polygons));
        }
        let polygons = Arc::new(Polygons::parse(path, &read_checked(path, digest)?)?);
        *last = Some((digest.to_owned(), Arc::clone(&polygons)));
        Ok(polygons)
    }
}
