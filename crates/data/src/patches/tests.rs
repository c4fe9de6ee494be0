//! Patches that are cut, written and read back.

use super::*;
use crate::{Entry, Manifest, OpenDataset, Root, Split};
use image::{GrayImage, Luma, Rgb, RgbImage};
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::path::Path;

/// Images of 10 × 7 pixels whose values give their position; with `colour` the unlabelled one is RGB.
fn dataset(root: &Path, colour: bool) -> OpenDataset {
    let mut images = Vec::new();
    for (name, split) in
        [("a.png", Split::Test), ("b.png", Split::Train), ("c.png", Split::Unlabeled), ("d.png", Split::Val)]
    {
        let path = root.join(name);
        let is_colour = colour && split == Split::Unlabeled;
        if is_colour {
            RgbImage::from_fn(10, 7, |x, y| Rgb([(10 * y + x) as u8, 1, 2])).save(&path).unwrap();
        } else {
            GrayImage::from_fn(10, 7, |x, y| Luma([(10 * y + x) as u8])).save(&path).unwrap();
        }
        images.push(Entry {
            image: name.into(),
            image_digest: blake3::hash(&std::fs::read(&path).unwrap()).to_hex().to_string(),
            mask: None,
            mask_digest: None,
            width: 10,
            height: 7,
            resized_from: None,
            resampled_by: None,
            file_size: None,
            window_of: None,
            offset: None,
            pixel_size: None,
            pixel_size_from: None,
            specimen: None,
            channels: if is_colour { 3 } else { 1 },
            orientation: None,
            split,
            class_pixels: Vec::new(),
        });
    }
    let manifest = Manifest {
        annotations: None,
        format: "folder".into(),
        classes: Vec::new(),
        ignore_classes: Vec::new(),
        label_values: BTreeMap::new(),
        label_colors: BTreeMap::new(),
        other_color: None,
        is_part: false,
        options: Default::default(),
        images,
    };
    OpenDataset::new(manifest, Root::Folder(root.into()))
}

fn cut_all(colour: bool, params: &PatchParams) -> (tempfile::TempDir, usize) {
    let root = tempfile::tempdir().unwrap();
    let count = cut(&dataset(root.path(), colour), params, root.path(), &mut |_, _| {}).unwrap();
    (root, count)
}

#[test]
fn patches_are_read_back_as_cut_and_test_images_are_left_out() {
    let params = PatchParams { size: 4, overlap: 0.25, edge: Edge::Shift, from: Use::AllButTest };
    let (grey, count) = cut_all(false, &params);
    // Columns 0, 3, 6; rows 0, 3.
    assert_eq!(count, 18);
    let index = std::fs::read_to_string(grey.path().join(Patches::INDEX)).unwrap();
    let lines: Vec<&str> = index.lines().collect();
    assert_eq!(lines[..3], ["image,x,y,split", "b.png,0,0,train", "b.png,3,0,train"]);
    assert_eq!((lines[6], lines[18], lines.len()), ("b.png,6,3,train", "d.png,6,3,val", 19));
    assert!(!index.contains("a.png"));
    let (colour, _) = cut_all(true, &params);
    let paths = [grey.path().join(Patches::FILE), colour.path().join(Patches::FILE)];
    let patches = Patches::open_all(&paths).unwrap();
    assert_eq!((patches.len(), patches.size(), patches.is_empty()), (36, 4, false));
    let expected = [36, 37, 38, 39, 46, 47, 48, 49, 56, 57, 58, 59, 66, 67, 68, 69];
    assert_eq!((patches.get(5).pixels, patches.get(5).channels), (&expected[..], 1));
    // In a file with an RGB image, grey values are repeated.
    assert_eq!(patches.get(18 + 5).pixels[..6], [36, 36, 36, 37, 37, 37]);
    assert_eq!(patches.get(18 + 6 + 5).pixels[..6], [36, 1, 2, 37, 1, 2]);
    // The safetensors crate reads the header that is written here.
    let bytes = std::fs::read(&paths[0]).unwrap();
    let (header, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!((header % 8, metadata.data_len()), (0, 18 * 16));
}

#[test]
fn patches_that_cannot_be_cut_or_read_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let data = dataset(root.path(), false);
    let params = PatchParams { size: 8, overlap: 0.0, edge: Edge::Drop, from: Use::Train };
    let error = cut(&data, &params, root.path(), &mut |_, _| {}).unwrap_err();
    assert_eq!(
        error.to_string(),
        "folder: no image holds a patch of 8 pixels, the largest is 10×7; change `use`, `size` or `edge`"
    );
    let padded = PatchParams { edge: Edge::Pad, ..params };
    assert_eq!(cut(&data, &padded, root.path(), &mut |_, _| {}).unwrap(), 2);
    let eight = root.path().join(Patches::FILE);
    let (four, _) = cut_all(false, &PatchParams { size: 4, ..params });
    let error = Patches::open_all(&[four.path().join(Patches::FILE), eight.clone()]).err().unwrap().to_string();
    assert!(error.ends_with("holds patches of 8 pixels, the files before it of 4; cut all patches to one `size`"));
    let mut bytes = std::fs::read(&eight).unwrap();
    bytes.pop();
    std::fs::write(&eight, bytes).unwrap();
    assert!(Patches::open(&eight).err().unwrap().to_string().contains("not a file of patches"));
    assert_eq!(Patches::open(&root.path().join("none")).err().unwrap().exit_code(), 4);
}

/// A file of patches of `channels` whose values are their number in the file.
fn file(folder: &Path, channels: usize) -> std::path::PathBuf {
    let values: Vec<u8> = (0..2 * 4 * 4 * channels).map(|i| i as u8).collect();
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::U8, vec![2, 4, 4, channels], &values).unwrap();
    let path = folder.join(format!("{channels}.safetensors"));
    std::fs::write(&path, safetensors::serialize([("patches", view)], None).unwrap()).unwrap();
    path
}

#[test]
fn patches_have_one_to_eight_channels() {
    let folder = tempfile::tempdir().unwrap();
    for channels in 1..=8 {
        let patches = Patches::open(&file(folder.path(), channels)).unwrap();
        assert_eq!((patches.len(), patches.channels()), (2, channels));
        assert_eq!(patches.get(1).pixels[0], 16 * channels as u8);
    }
    let error = Patches::open(&file(folder.path(), 9)).err().unwrap().to_string();
    assert!(error.contains("are U8 [2, 4, 4, 9]"), "{error}");
    let both = [1, 2].map(|channels| file(folder.path(), channels));
    assert_eq!(Patches::open_all(&both).unwrap().channels_by_file().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn patches_of_images_that_differ_in_channels_are_not_cut() {
    let root = tempfile::tempdir().unwrap();
    let mut dataset = dataset(root.path(), true);
    dataset.manifest.images[2].channels = 2;
    let params = PatchParams { size: 4, overlap: 0.0, edge: Edge::Drop, from: Use::AllButTest };
    let error = cut(&dataset, &params, root.path(), &mut |_, _| {}).unwrap_err().to_string();
    assert_eq!(
        error,
        "b.png: has 1 channel, and c.png has 2: only grey and RGB go together; pick the same channels of all images with \
         `channels` in the data set's table"
    );
}
