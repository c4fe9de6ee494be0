//! The readers on small made files of the published layouts, and on the real ones where `MATSSL_DATA` is set.

use super::*;
use crate::decode::decode_image;
use crate::{DataError, IGNORE, Manifest, OpenDataset, Root, Split};
use image::{GrayImage, Luma, Rgb, RgbImage};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

mod annotations;
mod ebc;
mod folders;
mod geometry;
mod groups;
#[cfg(unix)]
mod links;
mod masks;
mod neighbours;
mod options;
mod published;
mod resize;

/// Grey, every pixel `value` but the first, which is `first`.
fn grey(root: &Path, name: &str, (width, height): (u32, u32), value: u8, first: u8) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut image = GrayImage::from_pixel(width, height, Luma([value]));
    image.put_pixel(0, 0, Luma([first]));
    image.save(path).unwrap();
}

fn files(params: &DatasetParams, root: &Path) -> Result<Vec<SourceFile>, DataError> {
    let hash = |(name, path): (String, PathBuf)| {
        let digest = blake3::hash(&fs::read(&path).unwrap()).to_hex().to_string();
        SourceFile { name, path, digest }
    };
    Ok(list_files(params, root)?.into_iter().map(hash).collect())
}

fn read(params: &DatasetParams, root: &Path) -> Result<Manifest, DataError> {
    scan(params, root, &files(params, root)?, &|_, _| {})
}

/// The message without the temporary folder.
fn message(params: &DatasetParams, root: &Path) -> String {
    read(params, root).unwrap_err().to_string().replace(&format!("{}/", root.display()), "")
}

fn folder(names: &[&str]) -> DatasetParams {
    let mut params = DatasetParams::of(Format::Folder, "");
    params.classes = Some(Classes::Names(names.iter().map(|&name| name.into()).collect()));
    params
}

fn by_split(manifest: &Manifest) -> [usize; 4] {
    [Split::Train, Split::Val, Split::Test, Split::Unlabeled].map(|split| manifest.entries(split).len())
}

/// Ten pairs in images/ and masks/, two images without masks, and two files of the operating system.
fn my_steel() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for i in 0..12 {
        grey(root.path(), &format!("images/s{i:02}.tif"), (8, 6), i, 200);
        if i < 10 {
            grey(root.path(), &format!("masks/s{i:02}.png"), (8, 6), 0, 1);
        }
    }
    fs::write(root.path().join("images/Thumbs.db"), "x").unwrap();
    fs::write(root.path().join("images/.hidden.png"), "x").unwrap();
    root
}

fn split(val: f64, test: f64, seed: u64) -> Option<SplitParams> {
    Some(SplitParams { train: None, val, test, seed })
}

#[test]
fn two_folders_split_by_share_or_count_and_images_without_masks_are_unlabelled() {
    let root = my_steel();
    let mut params = folder(&["matrix", "pore"]);
    params.split = split(0.2, 3.0, 0);
    let manifest = read(&params, root.path()).unwrap();
    assert_eq!(by_split(&manifest), [5, 2, 3, 2]);
    assert_eq!(manifest.classes, ["matrix", "pore"]);
    let entry = &manifest.images[0];
    assert_eq!((entry.image.as_str(), entry.mask.as_deref()), ("images/s00.tif", Some("masks/s00.png")));
    assert_eq!((entry.width, entry.height, entry.channels, entry.stem()), (8, 6, 1, "s00"));
    assert_eq!(entry.class_pixels, [47, 1]);
    assert_eq!(manifest.images[11].class_pixels, [0; 0]);
    assert_eq!(manifest, read(&params, root.path()).unwrap());

    params.split = split(0.2, 3.0, 1);
    let other = read(&params, root.path()).unwrap();
    assert_eq!(by_split(&other), [5, 2, 3, 2]);
    assert_ne!(other, manifest);

    params.split = split(4.0, 6.0, 1);
    assert!(message(&params, root.path()).ends_with(
        "10 images with masks cannot be split into some train, 4 val and 6 test; add images with masks, or change `split`"
    ));
    params.split = None;
    params.test_images = Some(vec!["s03".into(), "s07.tif".into()]);
    let named = read(&params, root.path()).unwrap();
    let test: Vec<&str> = named.entries(Split::Test).iter().map(|entry| entry.stem()).collect();
    assert_eq!((test, by_split(&named)), (vec!["s03", "s07"], [8, 0, 2, 2]));
    params.val_images = Some(vec!["s03".into(), "s04".into()]);
    assert!(
        message(&params, root.path())
            .ends_with("s03 is in both `test_images` and `val_images`; keep it in one of them")
    );
    params.val_images = None;
    // A stem may contain dots: an image is named by its stem or its file name, not by less.
    for name in ["run.1", "run.2"] {
        let value = name.as_bytes()[4];
        grey(root.path(), &format!("images/{name}.png"), (8, 6), value, 201);
        grey(root.path(), &format!("masks/{name}.png"), (8, 6), 0, 1);
    }
    params.test_images = Some(vec!["run.2".into()]);
    let test = read(&params, root.path()).unwrap();
    assert_eq!(test.entries(Split::Test).iter().map(|entry| entry.stem()).collect::<Vec<_>>(), ["run.2"]);
    params.test_images = Some(vec!["run".into()]);
    assert!(message(&params, root.path()).contains("has no image with a mask named run, which"));
    params.test_images = Some(vec!["s99".into()]);
    assert!(message(&params, root.path()).contains("has no image with a mask named s99, which `test_images` names"));
}

#[test]
fn sub_folders_are_splits_and_values_are_mapped_to_classes() {
    let root = tempfile::tempdir().unwrap();
    for (split, value) in [("train", 3), ("test", 4)] {
        grey(root.path(), &format!("{split}/images/a b#1.png"), (4, 4), value, 9);
        grey(root.path(), &format!("{split}/masks/a b#1.png"), (4, 4), 128, 255);
    }
    grey(root.path(), "more/c.png", (4, 4), 1, 1);
    let mut params = folder(&["a", "b"]);
    params.values = Some(vec![0, 128]);
    params.ignore_label = Some(255);
    params.unlabeled = Some("more".into());
    let manifest = read(&params, root.path()).unwrap();
    assert_eq!(by_split(&manifest), [1, 0, 1, 1]);
    assert_eq!(manifest.class_pixels(Split::Train), [0, 15]);

    manifest.write(root.path()).unwrap();
    let path = root.path().join(Manifest::FILE);
    let open = OpenDataset::open(&path, Root::Folder(root.path().into())).unwrap();
    assert_eq!(open.manifest, manifest);
    let (image, mask) = open.read(open.entries(Split::Train)[0]).unwrap();
    let mut expected = [1; 16];
    expected[0] = IGNORE;
    assert_eq!((image.pixels[..2].to_vec(), mask.unwrap().labels), (vec![9, 3], expected.to_vec()));
    grey(root.path(), "train/images/a b#1.png", (4, 4), 4, 9);
    let error = open.read(open.entries(Split::Train)[0]).unwrap_err().to_string();
    assert!(
        error.ends_with("a b#1.png: changed since the data set was checked; run the experiment again, which checks the data set again"),
        "{error}"
    );

    fs::remove_file(root.path().join("test/masks/a b#1.png")).unwrap();
    assert_eq!(
        message(&params, root.path()),
        "test/images/a b#1.png: has no mask of the same stem in test/masks; add the mask, or move the image to `unlabeled`"
    );
}

/// Otherwise test images could be pretrained on.
#[test]
fn a_file_in_two_splits_is_refused_also_under_another_name() {
    let root = my_steel();
    let mut params = folder(&["matrix", "pore"]);
    params.test_images = Some(vec!["s03".into()]);
    params.unlabeled = Some("more".into());
    fs::create_dir(root.path().join("more")).unwrap();
    fs::copy(root.path().join("images/s05.tif"), root.path().join("images/s10.tif")).unwrap();
    fs::copy(root.path().join("images/s03.tif"), root.path().join("more/a copy.tif")).unwrap();
    let text = message(&params, root.path());
    let expected = [
        "images/s10.tif: in the split unlabeled, is the same file as images/s05.tif in the split train; keep it in one split",
        "more/a copy.tif: in the split unlabeled, is the same file as images/s03.tif in the split test; keep it in one split",
    ];
    assert!(expected.iter().all(|line| text.contains(line)), "{text}");
    fs::remove_file(root.path().join("images/s10.tif")).unwrap();
    fs::remove_file(root.path().join("more/a copy.tif")).unwrap();
    // A copy in the same split is no leak.
    for name in ["a", "b"] {
        fs::copy(root.path().join("images/s11.tif"), root.path().join(format!("more/{name}.tif"))).unwrap();
    }
    assert_eq!(by_split(&read(&params, root.path()).unwrap()), [9, 0, 1, 3]);
    params.unlabeled = Some("images".into());
    let text = message(&params, root.path());
    assert!(
        text.contains("images/s03.tif: in the split unlabeled, is the same file as images/s03.tif in the split test"),
        "{text}"
    );
}

#[test]
fn all_bad_files_are_reported_at_once_each_with_problem_and_cure() {
    let root = my_steel();
    let mut params = folder(&["matrix", "pore"]);
    params.split = split(0.0, 1.0, 0);
    grey(root.path(), "masks/s01.png", (8, 5), 0, 1);
    assert_eq!(
        message(&params, root.path()),
        "masks/s01.png: is 8×5, its image 8×6; export the mask at the size of its image"
    );
    grey(root.path(), "masks/s01.png", (8, 6), 0, 7);
    assert_eq!(
        message(&params, root.path()),
        "masks/s01.png: label value 7 at column 0, row 0 has no class; the classes have the values 0, 1: correct `values`, add \
         it to `classes` and `values`, or set `ignore_label = 7`"
    );
    let whole = fs::read(root.path().join("images/s02.tif")).unwrap();
    fs::write(root.path().join("images/s02.tif"), &whole[..whole.len() / 2]).unwrap();
    let several = read(&params, root.path()).unwrap_err();
    assert_eq!(several.exit_code(), 5);
    let text = several.to_string();
    assert!(text.starts_with("2 files of the data set cannot be used:\n") && text.lines().count() == 3, "{text}");
    assert!(text.contains("s01.png: label value 7") && text.contains("s02.tif: damaged or cut short"), "{text}");

    grey(root.path(), "masks/other.png", (8, 6), 0, 1);
    assert_eq!(
        message(&params, root.path()),
        "masks/other.png: a mask without an image (no other.png, .tif, .jpg or .bmp among the images); give image and \
         mask the same name"
    );
    grey(root.path(), "images/s00.png", (8, 6), 0, 1);
    assert_eq!(
        message(&params, root.path()),
        "images/s00.tif: has the same stem as images/s00.png; keep one of the two, or rename one; if one is a mask, \
         move it to a folder of masks"
    );
}

#[test]
fn missing_and_empty_folders_are_reported() {
    let root = tempfile::tempdir().unwrap();
    let params = folder(&["a", "b"]);
    let error = list_files(&params, root.path()).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert_eq!(
        message(&params, root.path()),
        "train/images: not there; make train/images and train/masks (and val, test), or images and masks with `split`"
    );
    fs::create_dir_all(root.path().join("train/images")).unwrap();
    fs::create_dir_all(root.path().join("train/masks")).unwrap();
    let error = list_files(&params, root.path()).unwrap_err();
    assert_eq!(error.exit_code(), 5);
    assert_eq!(
        error.to_string(),
        format!("{}: holds no images; put png, tif, jpg or bmp files there, or correct `path`", root.path().display())
    );
    let gone = list_files(&params, &root.path().join("no")).unwrap_err();
    assert!(gone.to_string().ends_with("no: not there; put the data set there, or correct its `path`"));
    let mut only = DatasetParams::of(Format::Folder, "");
    only.unlabeled = Some(".".into());
    grey(root.path(), "a.png", (4, 4), 3, 9);
    fs::remove_dir_all(root.path().join("train")).unwrap();
    assert_eq!(only.check(), Ok(()));
    assert_eq!(by_split(&read(&only, root.path()).unwrap()), [0, 0, 0, 1]);
}

#[test]
fn ebc_is_read_as_downloaded_in_three_classes_or_two() {
    let root = tempfile::tempdir().unwrap();
    for (split, count) in [("train", 4), ("val", 3), ("test", 3)] {
        for i in 0..count {
            let name = format!("04061{i}#2_S127(2)0015.tif");
            grey(root.path(), &format!("{split}_annot/{name}"), (10, 10), 1, 2);
            let path = root.path().join(split);
            fs::create_dir_all(&path).unwrap();
            RgbImage::from_pixel(10, 10, Rgb([i + count * split.len() as u8; 3])).save(path.join(name)).unwrap();
        }
    }
    let mut params = DatasetParams::of(Format::Ebc, "");
    let manifest = read(&params, root.path()).unwrap();
    assert_eq!(by_split(&manifest), [4, 3, 3, 0]);
    assert_eq!(manifest.classes, ["background", "oxide", "crack"]);
    assert_eq!((manifest.images[0].channels, manifest.class_pixels(Split::Val)), (1, vec![0, 297, 3]));
    params.classes = Some(Classes::Scheme("oxide".into()));
    assert_eq!(read(&params, root.path()).unwrap().class_pixels(Split::Val), [0, 300]);
    fs::remove_file(root.path().join("val_annot/040610#2_S127(2)0015.tif")).unwrap();
    assert!(message(&params, root.path()).starts_with("val/040610#2_S127(2)0015.tif: has no mask of the same stem"));
    fs::remove_dir_all(root.path().join("test")).unwrap();
    assert_eq!(read(&params, root.path()).unwrap_err().exit_code(), 4);
}

#[test]
fn the_info_band_of_metaldam_is_cut_off() {
    let root = tempfile::tempdir().unwrap();
    for i in 0..14 {
        grey(root.path(), &format!("images/micrograph{i}.jpg"), (32, 96), 90 + 8 * i as u8, 90);
        grey(root.path(), &format!("labels/micrograph{i}.png"), (32, 31), 4, 0);
    }
    // As published: one label is RGB with equal channels, and a band in colour.
    RgbImage::from_pixel(32, 30, Rgb([2; 3])).save(root.path().join("labels/micrograph5.png")).unwrap();
    fs::create_dir(root.path().join("Additive_unlabeled_publish")).unwrap();
    let mut colour = RgbImage::from_pixel(32, 96, Rgb([9; 3]));
    colour.put_pixel(3, 80, Rgb([255, 0, 0]));
    colour.save(root.path().join("Additive_unlabeled_publish/micrograph0.tif")).unwrap();

    let params = DatasetParams::of(Format::Metaldam, "");
    let manifest = read(&params, root.path()).unwrap();
    assert_eq!(by_split(&manifest), [1, 4, 9, 1]);
    assert_eq!(manifest.ignore_classes, [3]);
    let entry = |name: &str| manifest.images.iter().find(|entry| entry.image.ends_with(name)).unwrap();
    assert_eq!((entry("micrograph5.jpg").height, &entry("micrograph5.jpg").class_pixels), (30, &vec![0, 0, 960, 0, 0]));
    let unlabeled = entry("micrograph0.tif");
    assert_eq!((unlabeled.height, unlabeled.channels), (31, 1));
    let open = OpenDataset::new(manifest.clone(), Root::Folder(root.path().into()));
    let (image, mask) = open.read(entry("micrograph5.jpg")).unwrap();
    assert_eq!((image.pixels.len(), mask.unwrap().labels), (960, vec![2; 960]));
    assert_eq!(open.read(unlabeled).unwrap().0.pixels, [9; 32 * 31]);
}

#[test]
fn parameters_that_do_not_fit_the_format_are_refused() {
    let check = |text: &str| toml::from_str::<DatasetParams>(text).unwrap().check().map_err(|error| error.to_string());
    let ebc = "format = \"ebc\"\npath = \"x\"\n";
    assert_eq!(check(ebc), Ok(()));
    assert_eq!(
        check(&format!("{ebc}split = {{ test = 3 }}")).unwrap_err(),
        "`split`: format `ebc` takes only: classes, ignore_classes, preset"
    );
    assert_eq!(
        check(&format!("{ebc}classes = [\"a\"]")).unwrap_err(),
        "`classes`: format `ebc` takes \"three\" or \"oxide\""
    );
    let folder = "format = \"folder\"\npath = \"x\"\nclasses = [\"a\", \"b\"]\n";
    assert_eq!(check(folder), Ok(()));
    let cases = [
        ("values = [0]", "`values`: 1 values for 2 classes: give one for each"),
        ("values = [3, 3]", "`values`: 3 occurs twice"),
        ("ignore_label = 1", "`ignore_label`: is also the value of a class"),
        ("ignore_classes = [2]", "`ignore_classes`: 2 is no class: classes are numbered from 0 to 1"),
        ("split = { test = 1.5 }", "`split.test`: 1.5 is neither a share below 1 nor a count"),
        (
            "split = { train = 0.7, val = 0.1, test = 0.1 }",
            "`split.train`: the shares add up to 0.9000, not 1: correct one, or leave `train` out for the rest",
        ),
        ("split = { val = 0.5, test = 0.5 }", "`split.test`: `val` and `test` leave nothing to train on"),
    ];
    for (line, expected) in cases {
        assert_eq!(check(&format!("{folder}{line}")).unwrap_err(), expected);
    }
    assert_eq!(check(&format!("{folder}split = {{ train = 0.7, val = 0.15, test = 0.15 }}")), Ok(()));
    let unknown = toml::from_str::<DatasetParams>(&format!("{ebc}clases = \"oxide\"")).unwrap_err().to_string();
    assert!(unknown.contains("unknown field `clases`"), "{unknown}");
}

/// Defaults are written out once, and parameters that were not given stay out of the key.
#[test]
fn defaults_are_explicit_in_json() {
    let json = serde_json::to_string(&DatasetParams::of(Format::Metaldam, "m")).unwrap();
    assert_eq!(
        json,
        r#"{"format":"metaldam","path":"m","unlabeled":"Additive_unlabeled_publish","ignore_classes":[3],"split":{"val":4.0,"test":9.0,"seed":0}}"#
    );
}

#[test]
fn real_data_has_the_published_counts() {
    let Ok(data) = std::env::var("MATSSL_DATA") else {
        println!("skipped: MATSSL_DATA is not set");
        return;
    };
    let read = |format, folder: &str| {
        let root = Path::new(&data).join(folder);
        let params = DatasetParams::of(format, folder);
        let files = files(&params, &root).unwrap();
        let seen = AtomicUsize::new(0);
        let manifest = scan(&params, &root, &files, &|_, _| {
            seen.fetch_add(1, Ordering::Relaxed);
        });
        let manifest = manifest.unwrap();
        assert_eq!(seen.into_inner(), manifest.images.len());
        println!(
            "{folder}: {} files, {:?}, test {:?}",
            files.len(),
            by_split(&manifest),
            manifest.class_pixels(Split::Test)
        );
        // Each of them is refused if it is cut short.
        for file in &files {
            let bytes = fs::read(&file.path).unwrap();
            for part in [0.3, 0.7, 0.99] {
                let cut = &bytes[..(bytes.len() as f64 * part) as usize];
                assert!(decode_image(&file.path, cut, &Default::default()).is_err(), "{part} of {}", file.name);
            }
        }
        assert!(manifest.images.iter().all(|entry| entry.channels == 1), "{:?}", manifest.images);
        manifest
    };
    let ebc = read(Format::Ebc, "ebc/EBC2");
    assert_eq!(by_split(&ebc), [4, 3, 3, 0]);
    assert!(ebc.images.iter().all(|entry| (entry.width, entry.height) == (1024, 1024)));
    let metaldam = read(Format::Metaldam, "metaldam/MetalDAM");
    assert_eq!(by_split(&metaldam), [29, 4, 9, 33]);
    assert!(metaldam.images.iter().all(|entry| [702, 703, 895].contains(&entry.height)));
}
