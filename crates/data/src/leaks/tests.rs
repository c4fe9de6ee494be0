//! Copies, crops and changed copies are found with their position; unrelated images are not reported.

use super::*;
use crate::synthesize::{SynthesizeParams, synthesize_one};
use crate::{Entry, Manifest, Micrograph, OpenDataset, Root, Split};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use std::collections::BTreeMap;
use std::path::Path;

const SIZE: usize = 320;

fn drawn(index: usize, params: &SynthesizeParams) -> Micrograph {
    synthesize_one(params, Split::Unlabeled, index).0
}

fn params() -> SynthesizeParams {
    SynthesizeParams { size: SIZE, ..SynthesizeParams::default() }
}

fn part(image: &Micrograph, (left, top): (usize, usize), (width, height): (usize, usize)) -> Micrograph {
    let rows = image.pixels.chunks_exact(image.width).skip(top).take(height);
    let pixels = rows.flat_map(|row| row[left..left + width].to_vec()).collect();
    Micrograph { width, height, channels: 1, pixels }
}

fn changed(image: &Micrograph, change: impl Fn(f64) -> f64) -> Micrograph {
    let pixels = image.pixels.iter().map(|&v| change(f64::from(v)).clamp(0.0, 255.0) as u8).collect();
    Micrograph { pixels, ..image.clone() }
}

fn turned(image: &Micrograph, symmetry: Symmetry) -> Micrograph {
    let size = (image.width, image.height);
    let (width, height) = symmetry.size(size);
    Micrograph { width, height, channels: 1, pixels: symmetry.apply(&image.pixels, size) }
}

fn jpeg(image: &Micrograph, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
    encoder.write_image(&image.pixels, image.width as u32, image.height as u32, ExtendedColorType::L8).unwrap();
    bytes
}

fn png(image: &Micrograph) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    encoder.write_image(&image.pixels, image.width as u32, image.height as u32, ExtendedColorType::L8).unwrap();
    bytes
}

/// Writes files and opens them as a data set.
fn dataset(root: &Path, files: &[(Vec<u8>, (usize, usize))]) -> OpenDataset {
    let mut images = Vec::new();
    for (i, (bytes, (width, height))) in files.iter().enumerate() {
        let name = format!("{i:03}");
        std::fs::write(root.join(&name), bytes).unwrap();
        images.push(Entry {
            image: name,
            image_digest: blake3::hash(bytes).to_hex().to_string(),
            mask: None,
            mask_digest: None,
            width: *width,
            height: *height,
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
            split: Split::Unlabeled,
            class_pixels: Vec::new(),
        });
    }
    let manifest = Manifest {
        annotations: None,
        format: "folder".into(),
        classes: Vec::new(),
        ignore_classes: Vec::new(),
        label_values: BTreeMap::new(),
        label_colors: Default::default(),
        other_color: None,
        is_part: false,
        options: Default::default(),
        images,
    };
    OpenDataset::new(manifest, Root::Folder(root.into()))
}

fn leaks(files: &[(Vec<u8>, (usize, usize))], scored: usize) -> Vec<Leak> {
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path(), files);
    let samples: Vec<Sample<'_>> = data.manifest.images.iter().map(|entry| Sample { dataset: &data, entry }).collect();
    find(&samples, &|a, b| a < scored && b >= scored, &|_, _| true).unwrap().unwrap()
}

fn file(image: &Micrograph) -> (Vec<u8>, (usize, usize)) {
    (png(image), (image.width, image.height))
}

#[test]
fn copies_crops_and_changed_copies_are_found_with_their_position() {
    let params = params();
    let test: Vec<Micrograph> = (0..6).map(|i| drawn(i, &params)).collect();
    let bright = |image: &Micrograph| changed(image, |v| 0.7 * v + 60.0);
    let mut files: Vec<_> = test.iter().map(file).collect();
    files.push(file(&test[0]));
    files.push(file(&part(&test[1], (37, 91), (150, 130))));
    files.push((jpeg(&bright(&test[2]), 60), (SIZE, SIZE)));
    // A neighbouring field of view: 200 × 280 pixels in common.
    let (left, right) = (part(&test[3], (0, 0), (240, 320)), part(&test[3], (40, 40), (280, 280)));
    files[3] = file(&left);
    files.push((jpeg(&right, 80), (280, 280)));
    files.push(file(&turned(&part(&test[4], (61, 20), (200, 180)), Symmetry::Turned90)));
    files.push(file(&turned(&bright(&test[5]), Symmetry::MirroredX)));
    files.extend((6..16).map(|i| file(&drawn(i, &params))));
    let found = leaks(&files, 6);
    let seen: Vec<_> = found.iter().map(|l| (l.scored, l.trained, l.kind, l.symmetry, l.offset, l.overlap)).collect();
    let all = (SIZE, SIZE);
    assert_eq!(
        seen,
        [
            (0, 6, Kind::Same, Symmetry::Identity, (0, 0), all),
            (1, 7, Kind::Crop, Symmetry::Identity, (37, 91), (150, 130)),
            (2, 8, Kind::NearDuplicate, Symmetry::Identity, (0, 0), all),
            (3, 9, Kind::Overlap, Symmetry::Identity, (40, 40), (200, 280)),
            // The change that turns it back.
            (4, 10, Kind::Crop, Symmetry::Turned270, (61, 20), (200, 180)),
            (5, 11, Kind::NearDuplicate, Symmetry::MirroredX, (0, 0), all),
        ]
    );
    for leak in &found {
        assert!(leak.score > 0.7 && leak.score <= 1.0 + 1e-9, "{leak:?}");
    }
    assert!((found[1].share - 150.0 * 130.0 / 320.0 / 320.0).abs() < 1e-12);
}

#[test]
fn unrelated_images_are_not_reported() {
    // Coarse grains, fine ones, hardly any noise, much of it.
    let kinds = [(40.0, 1.0), (12.0, 0.5), (120.0, 0.0), (25.0, 3.0)];
    let files: Vec<_> = (0..24)
        .map(|i| {
            let (grain, noise) = kinds[i % 4];
            file(&drawn(i, &SynthesizeParams { grain, noise, ..params() }))
        })
        .collect();
    assert_eq!(leaks(&files, 12), []);
    // Images with the same layers and different texture: a coating, photographed at two places.
    let layered = |index: usize| {
        let texture = drawn(index, &params());
        let pixels = texture.pixels.iter().enumerate().map(|(i, &v)| {
            let y = i / SIZE;
            let layer = if y < 90 {
                20.0
            } else if y < 110 {
                220.0
            } else if y < 240 {
                120.0
            } else {
                60.0
            };
            (layer + 0.25 * (f64::from(v) - 128.0)).clamp(0.0, 255.0) as u8
        });
        Micrograph { pixels: pixels.collect(), ..texture }
    };
    let files: Vec<_> = (0..8).map(|i| file(&layered(i))).collect();
    assert_eq!(leaks(&files, 4), []);
    // Images without structure.
    let flat = |value: u8| file(&Micrograph { width: 200, height: 200, channels: 1, pixels: vec![value; 40_000] });
    assert_eq!(leaks(&[flat(3), flat(4)], 1), []);
}

#[test]
fn the_hash_of_a_mirrored_tile_follows_from_its_hash() {
    let image = drawn(3, &params());
    let tiles = landmark::tiles(&band::Grey::of(&image));
    assert!(tiles.len() > 60, "{}", tiles.len());
    for symmetry in Symmetry::ALL {
        let turned = landmark::tiles(&band::Grey::of(&turned(&image, symmetry)));
        let by_centre: BTreeMap<_, _> = turned.iter().map(|tile| ((tile.level, tile.centre), tile.hash)).collect();
        let expected =
            |tile: &landmark::Tile| by_centre.get(&(tile.level, symmetry.apply_to_pixel(tile.centre, (SIZE, SIZE))));
        let (mut found, mut alike) = (0, 0);
        for tile in &tiles {
            if let Some(hash) = expected(tile) {
                found += 1;
                // Sums in another order may change the sign of a value close to 0.
                alike += usize::from((hash ^ tile.hash_after(symmetry)).count_ones() <= 1);
            }
        }
        assert!(found + 2 >= tiles.len() && alike == found, "{symmetry:?}: {alike} of {found} of {}", tiles.len());
    }
}

#[test]
fn the_same_leaks_for_any_number_of_threads() {
    let params = params();
    let mut files: Vec<_> = (0..5).map(|i| file(&drawn(i, &params))).collect();
    files.extend((0..3).map(|i| (jpeg(&part(&drawn(i, &params), (11, 30), (200, 200)), 70), (200, 200))));
    let with = |threads: usize| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| leaks(&files, 5))
    };
    let one = with(1);
    assert_eq!(one.len(), 3);
    assert_eq!(one, with(3));
}

/// A data set that is resized when it is read is compared as its files are.
#[test]
fn a_crop_is_found_also_where_the_other_image_is_resized_for_training() {
    let image = drawn(3, &params());
    let folder = tempfile::tempdir().unwrap();
    let mut data = dataset(folder.path(), &[file(&image), file(&part(&image, (40, 50), (200, 200)))]);
    let entry = &mut data.manifest.images[0];
    (entry.width, entry.height, entry.resized_from) = (64, 64, Some((SIZE, SIZE)));
    let samples: Vec<Sample<'_>> = data.manifest.images.iter().map(|entry| Sample { dataset: &data, entry }).collect();
    let found = find(&samples, &|a, b| a < b, &|_, _| true).unwrap().unwrap();
    assert_eq!((found[0].offset, found[0].overlap, found.len()), ((40, 50), (200, 200), 1));
}

#[test]
fn the_progress_function_can_stop_the_search() {
    let folder = tempfile::tempdir().unwrap();
    let data = dataset(folder.path(), &[file(&drawn(0, &params())), file(&drawn(0, &params()))]);
    let samples: Vec<Sample<'_>> = data.manifest.images.iter().map(|entry| Sample { dataset: &data, entry }).collect();
    for last in 0..3 {
        let found = find(&samples, &|a, b| a < b, &|done, total| done <= last || total != 3).unwrap();
        assert_eq!(found, None, "stopped after {last}");
    }
    let found = find(&samples, &|a, b| a < b, &|_, _| true).unwrap();
    assert_eq!(found.map(|leaks| leaks.len()), Some(1));
}
