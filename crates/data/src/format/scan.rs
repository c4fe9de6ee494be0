//! Lists a data set of any format and checks each file once.

use super::layout::{Layout, LayoutImage};
use super::params::DatasetParams;
use super::passed_over::PassedOver;
use super::reader::reader;
use crate::checked_file::read_checked;
use crate::mask_reader::MaskReader;
use crate::{DataError, Entry, IGNORE, Manifest, decode, sources};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file of a data set with its hash.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Path inside the data set.
    pub name: String,
    /// Path of the file.
    pub path: PathBuf,
    /// blake3 of its bytes, in hex.
    pub digest: String,
}

/// Every file of the data set that is read: (path inside the data set, file), sorted. The result of [`scan`] depends only on
/// their names and hashes and on the parameters.
///
/// # Errors
/// [`DataError::NotThere`] if a folder is missing; [`DataError::Bad`] if there is no image.
pub fn list_files(params: &DatasetParams, root: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let params = params.clone().with_defaults();
    if !root.is_dir() {
        let cure = match sources::source(params.format.name()) {
            Some(source) => format!("fetch {} ({}), or correct its `path`", source.fetch, source.url),
            None => "put the data set there, or correct its `path`".into(),
        };
        return Err(DataError::not_there(root, cure));
    }
    let mut files = reader(params.format).list(&params, root)?;
    files.sort();
    files.dedup();
    if files.is_empty() {
        let others = PassedOver::of(root, &[]).in_words().map(|others| format!(", but {others}")).unwrap_or_default();
        return Err(DataError::bad(
            root,
            format!("holds no images{others}"),
            "put png, tif, jpg or bmp files there, or correct `path`",
        ));
    }
    Ok(files)
}

/// Decodes and checks every file of `files` (as [`list_files`] gave them), in parallel; `progress(done, total)`
/// counts images.
///
/// # Errors
/// All problems of the data set at once.
pub fn scan(
    params: &DatasetParams,
    root: &Path,
    files: &[SourceFile],
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Manifest, DataError> {
    let params = params.clone().with_defaults();
    let by_name: BTreeMap<&str, &SourceFile> = files.iter().map(|file| (file.name.as_str(), file)).collect();
    let names: Vec<&str> = by_name.keys().copied().collect();
    let mut layout = reader(params.format).layout(&params, root, &names)?;
    layout.images.sort_by(|a, b| a.image.cmp(&b.image));
    if layout.images.is_empty() {
        return Err(DataError::bad(root, "holds no images", "put png, tif, jpg or bmp files there, or correct `path`"));
    }
    let masks = MaskReader::new(layout.legend());
    let (done, total) = (AtomicUsize::new(0), layout.images.len());
    let checked: Vec<Result<Entry, DataError>> = layout
        .images
        .par_iter()
        .map(|listed| {
            let entry = check(&params, root, &layout, &masks, listed, &by_name);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            entry
        })
        .collect();
    let (mut images, mut errors) = (Vec::with_capacity(total), Vec::new());
    for entry in checked {
        match entry {
            Ok(entry) => images.push(entry),
            Err(error) => errors.push(error),
        }
    }
    DataError::check_all(errors)?;
    check_splits(root, &images)?;
    Ok(Manifest {
        bits: params.bits,
        format: params.format.name().into(),
        classes: layout.classes,
        ignore_classes: layout.ignore_classes,
        label_values: layout.label_values,
        label_colors: layout.label_colors,
        other_color: layout.other_color,
        images,
    })
}

/// Refuses the same file in two splits: a test image could be trained or pretrained on.
fn check_splits(root: &Path, images: &[Entry]) -> Result<(), DataError> {
    let mut first: BTreeMap<&str, &Entry> = BTreeMap::new();
    let mut errors = Vec::new();
    for entry in images {
        let other = *first.entry(&entry.image_digest).or_insert(entry);
        if other.split != entry.split {
            let (own, others) = (entry.split.name(), other.split.name());
            let problem = format!("in the split {own}, is the same file as {} in the split {others}", other.image);
            errors.push(DataError::bad(&root.join(&entry.image), problem, "keep it in one split"));
        }
    }
    DataError::check_all(errors)
}

fn check(
    params: &DatasetParams,
    root: &Path,
    layout: &Layout,
    masks: &MaskReader,
    listed: &LayoutImage,
    files: &BTreeMap<&str, &SourceFile>,
) -> Result<Entry, DataError> {
    let file = |name: &str| {
        let gone = || {
            DataError::not_there(
                &root.join(name),
                "put the file back, or run the experiment again, which lists the data set again",
            )
        };
        files.get(name).copied().ok_or_else(gone)
    };
    let source = file(&listed.image)?;
    let image = decode::decode_image(&source.path, &read_checked(&source.path, &source.digest)?, params.bits)?;
    let mask = match &listed.mask {
        Some(name) => {
            let source = file(name)?;
            let file = (source.name.as_str(), source.path.as_path(), source.digest.as_str());
            Some((source, masks.read(file, &listed.image, (image.width, image.height))?))
        }
        None => None,
    };
    let (width, height) =
        reader(params.format).crop(params, &source.path, &image, mask.as_ref().map(|(_, mask)| mask))?;
    let image = image.crop_top_left(width, height).grey_if_equal_channels();
    let (resized_from, size) = match params.resize {
        Some(side) => (Some((width, height)), (side.get(), side.get())),
        None => (None, (width, height)),
    };
    let mut class_pixels = Vec::new();
    let mut mask_digest = None;
    if let Some((source, mask)) = mask {
        if (mask.width, mask.height) != (width, height) {
            let problem = format!("is {}×{}, its image {width}×{height}", mask.width, mask.height);
            return Err(DataError::bad(&source.path, problem, "export the mask at the size of its image"));
        }
        let mask = if resized_from.is_some() { mask.resize(size.0, size.1) } else { mask };
        let mut counts = [0u64; 256];
        for &label in &mask.labels {
            counts[usize::from(label)] += 1;
        }
        class_pixels = counts[..layout.classes.len()].to_vec();
        if counts[usize::from(IGNORE)] == mask.labels.len() as u64 {
            return Err(DataError::bad(&source.path, "every pixel is ignored", "remove the mask or annotate it"));
        }
        mask_digest = Some(source.digest.clone());
    }
    Ok(Entry {
        image: listed.image.clone(),
        image_digest: source.digest.clone(),
        mask: listed.mask.clone(),
        mask_digest,
        width: size.0,
        height: size.1,
        resized_from,
        channels: image.channels,
        split: listed.split,
        specimen: listed.specimen.clone(),
        class_pixels,
    })
}
