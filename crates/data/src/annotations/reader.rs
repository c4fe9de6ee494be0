//! Reads annotation files, each once as far as memory allows.

use super::file::AnnotationFile;
use super::rules::AnnotationRules;
use crate::checked_file::read_checked;
use crate::{DataError, Mask};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Largest annotation file that is read.
const MAX_BYTES: u64 = 512 << 20;
/// Bytes of files up to which their contents are kept. The file that was read last is kept in any case.
const KEPT_BYTES: usize = 256 << 20;

/// Refuses a file that is too large to be read.
///
/// # Errors
/// [`DataError`] if it is too large or not there.
pub(crate) fn check_length(path: &Path) -> Result<(), DataError> {
    let length = std::fs::metadata(path).map_err(DataError::reading(path))?.len();
    if length > MAX_BYTES {
        let problem = format!("{} MiB of annotations, and {} are read at most", length >> 20, MAX_BYTES >> 20);
        return Err(DataError::bad(path, problem, "export them as one file an image, without the images' data"));
    }
    Ok(())
}

/// Draws masks from annotation files.
#[derive(Debug)]
pub(crate) struct AnnotationReader {
    rules: AnnotationRules,
    files: Mutex<Files>,
}

/// A file that a thread reads or has read.
type Slot = Arc<Mutex<Option<Arc<AnnotationFile>>>>;

/// Contents of files by their digests; the oldest are dropped first.
#[derive(Debug, Default)]
struct Files {
    by_digest: BTreeMap<String, Slot>,
    order: VecDeque<(String, usize)>,
    bytes: usize,
}

impl AnnotationReader {
    /// A reader by these rules.
    pub(crate) fn new(rules: AnnotationRules) -> Self {
        AnnotationReader { rules, files: Mutex::default() }
    }

    /// The mask of `image` (a path inside the data set) from the annotation file at `path`, which has the blake3 `digest`. It
    /// has the `size` (width, height) of the image.
    ///
    /// # Errors
    /// [`DataError`] if the file has changed, or has no mask for the image.
    pub(crate) fn read(&self, path: &Path, digest: &str, image: &str, size: (usize, usize)) -> Result<Mask, DataError> {
        let file = self.file(path, digest)?;
        file.mask(image, size, &self.rules).map_err(|problem| problem.of(path))
    }

    fn file(&self, path: &Path, digest: &str) -> Result<Arc<AnnotationFile>, DataError> {
        let slot = Arc::clone(lock(&self.files).by_digest.entry(digest.to_owned()).or_default());
        // The slot is locked while the file is read, so that several threads read it once.
        let mut slot = lock(&slot);
        if let Some(file) = &*slot {
            return Ok(Arc::clone(file));
        }
        check_length(path)?;
        let bytes = read_checked(path, digest)?;
        let file = Arc::new(AnnotationFile::parse(path, &bytes, self.rules.attribute.as_deref())?);
        *slot = Some(Arc::clone(&file));
        lock(&self.files).add(digest, bytes.len());
        Ok(file)
    }
}

impl Files {
    fn add(&mut self, digest: &str, bytes: usize) {
        self.order.push_back((digest.to_owned(), bytes));
        self.bytes += bytes;
        while self.bytes > KEPT_BYTES && self.order.len() > 1 {
            if let Some((oldest, bytes)) = self.order.pop_front() {
                self.by_digest.remove(&oldest);
                self.bytes -= bytes;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
