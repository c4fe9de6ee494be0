//! Synthetic micrographs as files.

use super::draw::synthesize_one;
use super::likeness::{Likeness, StyleReport};
use super::params::SynthesizeParams;
use crate::{DataError, Entry, Manifest, Mask, Micrograph, Split};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Folder of the images in the output.
const IMAGES: &str = "images";
/// Folder of the masks in the output.
const MASKS: &str = "masks";

/// Writes `images/SPLIT-000.png`, `masks/SPLIT-000.png` (without those of unlabelled images) and [`Manifest::FILE`] into the
/// folder `out`, and returns the manifest. `progress(done, total)` counts images.
///
/// # Errors
/// [`DataError::Write`].
pub fn synthesize(
    params: &SynthesizeParams,
    out: &Path,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Manifest, DataError> {
    write_all(params, out, progress, &|split, index| synthesize_one(params, split, index))
}

/// As [`synthesize`], in the style of a real data set. Also writes [`StyleReport::FILE`].
///
/// # Errors
/// As there.
pub fn synthesize_like(
    params: &SynthesizeParams,
    likeness: &Likeness,
    out: &Path,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<(Manifest, StyleReport), DataError> {
    let manifest = write_all(params, out, progress, &|split, index| likeness.draw(split, index))?;
    let report = likeness.report();
    report.write(out)?;
    Ok((manifest, report))
}

/// How one image is drawn.
type Draw<'a> = &'a (dyn Fn(Split, usize) -> (Micrograph, Mask) + Sync);

fn write_all(
    params: &SynthesizeParams,
    out: &Path,
    progress: &(dyn Fn(usize, usize) + Sync),
    draw: Draw<'_>,
) -> Result<Manifest, DataError> {
    for folder in [IMAGES, MASKS] {
        let folder = out.join(folder);
        std::fs::create_dir_all(&folder).map_err(DataError::writing(&folder))?;
    }
    let wanted = wanted(params);
    let done = AtomicUsize::new(0);
    let made: Result<Vec<Entry>, DataError> = wanted
        .par_iter()
        .map(|&(split, index)| {
            let entry = write_one(params, (split, index), out, draw)?;
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, wanted.len());
            Ok(entry)
        })
        .collect();
    let manifest = manifest(params, made?);
    manifest.write(out)?;
    Ok(manifest)
}

/// The manifest of [`synthesize`] as it is known before the images are drawn: without digests and pixels of classes.
pub fn outline(params: &SynthesizeParams) -> Manifest {
    manifest(params, wanted(params).into_iter().map(|(split, index)| undrawn(params, split, index)).collect())
}

/// All images: split and number.
fn wanted(params: &SynthesizeParams) -> Vec<(Split, usize)> {
    let counts = [
        (Split::Train, params.train),
        (Split::Val, params.val),
        (Split::Test, params.test),
        (Split::Unlabeled, params.unlabeled),
    ];
    counts.iter().flat_map(|&(split, count)| (0..count).map(move |i| (split, i))).collect()
}

fn manifest(params: &SynthesizeParams, mut images: Vec<Entry>) -> Manifest {
    let classes = params.structure.classes();
    images.sort_by(|a, b| a.image.cmp(&b.image));
    Manifest {
        annotations: None,
        format: "synthesize".into(),
        classes: classes.iter().map(|&class| class.into()).collect(),
        ignore_classes: Vec::new(),
        label_values: (0..classes.len() as u8).map(|class| (class, class)).collect(),
        label_colors: BTreeMap::new(),
        other_color: None,
        is_part: false,
        options: Default::default(),
        images,
    }
}

fn undrawn(params: &SynthesizeParams, split: Split, index: usize) -> Entry {
    let name = |folder: &str| format!("{folder}/{}-{index:03}.png", split.name());
    Entry {
        image: name(IMAGES),
        image_digest: String::new(),
        mask: (split != Split::Unlabeled).then(|| name(MASKS)),
        mask_digest: None,
        width: params.size,
        height: params.size,
        resized_from: None,
        resampled_by: None,
        file_size: None,
        window_of: None,
        offset: None,
        pixel_size: None,
        pixel_size_from: None,
        specimen: None,
        channels: 1,
        orientation: None,
        split,
        class_pixels: Vec::new(),
    }
}

fn write_one(
    params: &SynthesizeParams,
    (split, index): (Split, usize),
    out: &Path,
    draw: Draw<'_>,
) -> Result<Entry, DataError> {
    let (image, mask) = draw(split, index);
    let (size, mut entry) = ((image.width, image.height), undrawn(params, split, index));
    entry.image_digest = write_png(&out.join(&entry.image), &image.pixels, size)?;
    if let Some(name) = &entry.mask {
        entry.mask_digest = Some(write_png(&out.join(name), &mask.labels, size)?);
        let count = |class: usize| mask.labels.iter().filter(|&&label| usize::from(label) == class).count() as u64;
        entry.class_pixels = (0..params.structure.classes().len()).map(count).collect();
    }
    Ok(entry)
}

/// Writes 8-bit grey and returns the digest of the file.
fn write_png(path: &Path, pixels: &[u8], (width, height): (usize, usize)) -> Result<String, DataError> {
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive)
        .write_image(pixels, width as u32, height as u32, ExtendedColorType::L8)
        .map_err(|error| DataError::Write { path: path.into(), source: std::io::Error::other(error) })?;
    std::fs::write(path, &bytes).map_err(DataError::writing(path))?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OpenDataset, Root};

    #[test]
    fn files_are_read_back_as_they_were_drawn() {
        let params = SynthesizeParams { size: 48, unlabeled: 2, train: 2, val: 1, test: 1, ..Default::default() };
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let manifest = synthesize(&params, first.path(), &|_, _| {}).unwrap();
        assert_eq!(manifest, synthesize(&params, second.path(), &|_, _| {}).unwrap());
        // What is known before is as it comes out.
        let (outline, mut drawn) = (outline(&params), manifest.clone());
        for entry in &mut drawn.images {
            (entry.image_digest, entry.mask_digest, entry.class_pixels) = (String::new(), None, Vec::new());
        }
        assert_eq!(outline, drawn);
        let names: Vec<&str> = manifest.images.iter().map(|entry| entry.image.as_str()).collect();
        assert_eq!(names[..3], ["images/test-000.png", "images/train-000.png", "images/train-001.png"]);
        // As the cache gives it to a stage: each file at its own path.
        let wanted = |entry: &Entry| [Some(entry.image.clone()), entry.mask.clone()];
        let paths =
            manifest.images.iter().flat_map(wanted).flatten().map(|name| (name.clone(), first.path().join(name)));
        let open = OpenDataset::open(&first.path().join(Manifest::FILE), Root::Files(paths.collect())).unwrap();
        for (split, count) in [(Split::Train, 2), (Split::Val, 1), (Split::Test, 1), (Split::Unlabeled, 2)] {
            let entries = open.entries(split);
            assert_eq!(entries.len(), count);
            for (index, entry) in entries.into_iter().enumerate() {
                let (image, mask) = open.read(entry).unwrap();
                let drawn = synthesize_one(&params, split, index);
                assert_eq!(image, drawn.0);
                assert_eq!(mask, (split != Split::Unlabeled).then_some(drawn.1));
                assert_eq!(entry.class_pixels.iter().sum::<u64>(), if entry.mask.is_some() { 48 * 48 } else { 0 });
            }
        }
    }
}
