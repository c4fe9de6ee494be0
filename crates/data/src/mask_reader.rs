//! From the file that holds a mask to class indices. The file holds label values, colours, annotated shapes, or polygons.

use super::annotations::{AnnotationReader, AnnotationRules};
use super::checked_file::read_checked;
use super::instances::number_of_instances;
use super::polygons::Polygons;
use super::{Color, DataError, Mask, decode};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Reads the masks of one data set. A mask depends on its file's bytes, on the image's name and size (polygons), and on the
/// manifest's meaning of values and colours. So it is the same each time the data set is opened.
#[derive(Debug)]
pub(super) struct MaskReader {
    values: BTreeMap<u8, u8>,
    colors: BTreeMap<Color, u8>,
    /// Reads every mask, if the data set has annotations.
    annotations: Option<AnnotationReader>,
    /// The page of masks that have several.
    page: Option<usize>,
    /// The table of polygons that was read last, with its digest. One table holds the masks of all images.
    polygons: Mutex<Option<(String, Arc<Polygons>)>>,
}

impl MaskReader {
    /// A reader with the meaning of label values and, if there are any, of colours; `page` (from 1) is read of masks that
    /// have several.
    pub(super) fn new(values: &BTreeMap<u8, u8>, colors: &BTreeMap<Color, u8>, page: Option<usize>) -> Self {
        let (values, colors) = (values.clone(), colors.clone());
        MaskReader { values, colors, page, annotations: None, polygons: Mutex::new(None) }
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
        let bytes = read_checked(path, digest)?;
        if !self.colors.is_empty() {
            return self.by_color(path, &bytes);
        }
        let mut mask = decode::decode_mask(path, &bytes, self.page)?;
        let mut classes = [None; 256];
        for (&value, &class) in &self.values {
            classes[usize::from(value)] = Some(class);
        }
        let instances = mask.labels.iter().any(|label| classes[usize::from(*label)].is_none());
        let instances = instances.then(|| number_of_instances(&mask.labels, self.values.len())).flatten();
        for (i, label) in mask.labels.iter_mut().enumerate() {
            *label = classes[usize::from(*label)].ok_or_else(|| {
                let problem = format!("label value {label} at {} is no class", pixel_in_words(i, mask.width));
                let known: Vec<String> = self.values.keys().map(u8::to_string).collect();
                let cure = match instances {
                    Some(count) => &format!(
                        "its values 1 to {count} look like numbers of objects (instances), which are not classes: save the \
                         class of each object as its value, e.g. 1 for all objects of one class"
                    ),
                    None => "correct the mask, or `classes`, `values` or `ignore_label`",
                };
                DataError::bad(path, problem, format!("the experiment knows {}: {cure}", known.join(", ")))
            })?;
        }
        Ok(mask)
    }

    fn by_color(&self, path: &Path, bytes: &[u8]) -> Result<Mask, DataError> {
        let image = decode::decode_colors(path, bytes, self.page)?;
        let mut last = None;
        let mut labels = Vec::with_capacity(image.width * image.height);
        for (i, pixel) in image.pixels.chunks_exact(image.channels).enumerate() {
            let color = Color(<[u8; 3]>::try_from(pixel).unwrap_or([pixel[0]; 3]));
            // Neighbouring pixels mostly have the same colour, so the last class is kept.
            let class = match last {
                Some((seen, class)) if seen == color => class,
                _ => *self.colors.get(&color).ok_or_else(|| {
                    let problem = format!("the colour {color} at {} is no class", pixel_in_words(i, image.width));
                    let known: Vec<String> = self.colors.keys().map(Color::to_string).collect();
                    let cure = "correct the mask (no smoothed edges), `colors` or `ignore_color`";
                    DataError::bad(path, problem, format!("the experiment knows {}: {cure}", known.join(", ")))
                })?,
            };
            last = Some((color, class));
            labels.push(class);
        }
        Ok(Mask { width: image.width, height: image.height, labels })
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

fn pixel_in_words(i: usize, width: usize) -> String {
    format!("column {}, row {}", i % width, i / width)
}
