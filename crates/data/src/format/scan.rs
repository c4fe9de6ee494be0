//! Lists a data set of any format and checks each file once.

use super::annotated;
use super::layout::{Layout, LayoutImage};
use super::params::DatasetParams;
use super::passed_over::PassedOver;
use super::placement::{Placement, Unplaced, not_known};
use super::reader::reader;
use crate::checked_file::read_checked;
use crate::geometry::Scaling;
use crate::instrument::{self, SideFiles};
use crate::legend::Legend;
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
    files.extend(instrument::side_files(&files));
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
    let names: Vec<&str> = by_name.keys().copied().filter(|name| !instrument::is_side_file(name)).collect();
    let side_files = SideFiles::among(by_name.keys().copied());
    let mut layout = reader(params.format).layout(&params, root, &names)?;
    layout.images.sort_by(|a, b| a.image.cmp(&b.image));
    if layout.images.is_empty() {
        return Err(DataError::bad(root, "holds no images", "put png, tif, jpg or bmp files there, or correct `path`"));
    }
    let named = params.pixel_size.as_ref();
    let unknown = named.map(|sizes| sizes.unknown(layout.images.iter().map(|image| image.image.as_str())));
    if let Some(name) = unknown.unwrap_or_default().first() {
        let problem = format!("has no image named {name}, which `pixel_size` names");
        return Err(DataError::bad(root, problem, "correct `pixel_size`"));
    }
    let legend = Legend { page: params.page, ..layout.legend() };
    let masks = MaskReader::new(legend).with_annotations(annotated::rules(&params));
    let (done, total) = (AtomicUsize::new(0), layout.images.len());
    let checked: Vec<Result<Entry, Unplaced>> = layout
        .images
        .par_iter()
        .map(|listed| {
            let entry = check(&params, root, &layout, &masks, listed, (&by_name, &side_files));
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            entry
        })
        .collect();
    let (mut images, mut errors, mut unknown) = (Vec::with_capacity(total), Vec::new(), BTreeMap::<_, Vec<_>>::new());
    for entry in checked {
        match entry {
            Ok(entry) => images.push(entry),
            Err(Unplaced::Bad(error)) => errors.push(error),
            Err(Unplaced::Unknown(fact, image)) => unknown.entry(fact).or_default().push(image),
        }
    }
    errors.extend(unknown.into_iter().map(|(fact, images)| not_known(root, fact, images, total)));
    DataError::check_all(errors)?;
    check_splits(root, &images)?;
    Ok(Manifest {
        options: params.image_options(),
        is_part: false,
        annotations: annotated::rules(&params),
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
    (files, side_files): (&BTreeMap<&str, &SourceFile>, &SideFiles<'_>),
) -> Result<Entry, Unplaced> {
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
    let bytes = read_checked(&source.path, &source.digest)?;
    let image = decode::decode_image(&source.path, &bytes, &params.image_options())?;
    let orientation = decode::orientation(&bytes, params.page);
    let full = (image.width, image.height);
    let side_file = side_files.of(&listed.image).map(file).transpose()?;
    let side_file = side_file.map(|side| read_checked(&side.path, &side.digest)).transpose()?;
    // Metadata know the picture as it is stored.
    let stored = if orientation > 4 { (full.1, full.0) } else { full };
    let instrument = instrument::read(&bytes, side_file.as_deref(), stored);
    drop(bytes);
    let mask = match &listed.mask {
        Some(name) => {
            let source = file(name)?;
            let file = (source.name.as_str(), source.path.as_path(), source.digest.as_str());
            Some((source, masks.read(file, &listed.image, full)?))
        }
        None => None,
    };
    let mask_alone = mask.as_ref().map(|(_, mask)| mask);
    let placement = Placement::of(params, (listed, &source.path), &image, mask_alone, &instrument)?;
    let geometry = placement.geometry;
    let image = geometry.crop(image);
    let mut class_pixels = Vec::new();
    let mut mask_digest = None;
    if let Some((source, mask)) = mask {
        let mask = geometry.mask(mask, full, &source.path).map_err(|error| turned(error, orientation))?;
        let mut counts = [0u64; 256];
        for &label in &mask.labels {
            counts[usize::from(label)] += 1;
        }
        class_pixels = counts[..layout.classes.len()].to_vec();
        if counts[usize::from(IGNORE)] == mask.labels.len() as u64 {
            let cure = "remove the mask or annotate it";
            return Err(DataError::bad(&source.path, "every pixel is ignored", cure).into());
        }
        mask_digest = Some(source.digest.clone());
    }
    Ok(Entry {
        image: listed.image.clone(),
        image_digest: source.digest.clone(),
        mask: listed.mask.clone(),
        mask_digest,
        width: geometry.size.0,
        height: geometry.size.1,
        resized_from: (geometry.scaling != Scaling::None).then_some(geometry.part),
        resampled_by: geometry.factors(),
        file_size: placement.file_size,
        offset: Some(geometry.offset).filter(|&offset| offset != (0, 0)),
        window_of: Some(geometry.micrograph).filter(|&whole| whole != (geometry.offset, geometry.part)),
        pixel_size: placement.pixel_size(),
        pixel_size_from: placement.pixel_size_from,
        channels: image.channels,
        orientation: (orientation != 1).then_some(orientation),
        split: listed.split,
        specimen: listed.specimen.clone(),
        class_pixels,
    })
}

/// The error of a mask whose image is turned, which may be the reason.
fn turned(error: DataError, orientation: u8) -> DataError {
    match error {
        DataError::Bad { path, problem, cure, shared } if orientation != 1 => {
            let problem = format!("{problem}, turned as its file says (orientation {orientation})");
            DataError::Bad { path, problem, cure, shared }
        }
        error => error,
    }
}
