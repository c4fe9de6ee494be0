//! `preset` and `window`: EBC measured as others have measured it.

use super::*;
use crate::Window;

/// A folder of EBC's layout with so many images of 20×16 in each split, each mask oxide but for one pixel of crack at (5, 9).
fn made(counts: [u8; 3]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (split, count) in ["train", "val", "test"].into_iter().zip(counts) {
        for i in 0..count {
            let stem =
                if split == "train" && i == 1 { EbcPreset::ONE.into() } else { format!("04061{i}#2_S127(2)0015") };
            grey(root.path(), &format!("{split}/{stem}.tif"), (20, 16), i + 40 * split.len() as u8, 255);
            let path = root.path().join(format!("{split}_annot/{stem}.tif"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            GrayImage::from_fn(20, 16, |x, y| Luma([1 + u8::from((x, y) == (5, 9))])).save(path).unwrap();
        }
    }
    root
}

fn params(more: &str) -> DatasetParams {
    toml::from_str(&format!("format = \"ebc\"\npath = \"x\"\n{more}")).unwrap()
}

#[test]
fn a_preset_has_the_images_that_others_have_scored() {
    let (first, second, third) = (made([18, 3, 3]), made([4, 3, 3]), made([15, 3, 6]));
    let read = |preset: &str, root: &TempDir| read(&params(&format!("preset = \"{preset}\"")), root.path());
    assert_eq!(by_split(&read("ebc1", &first).unwrap()), [18, 3, 3, 0]);
    assert_eq!(by_split(&read("ebc2", &second).unwrap()), [4, 3, 3, 0]);
    assert_eq!(by_split(&read("ebc3-folder", &third).unwrap()), [15, 3, 6, 0]);
    for folder in [&first, &second] {
        let one = read("oneshot", folder).unwrap();
        assert_eq!((by_split(&one), one.entries(Split::Train)[0].stem()), ([1, 3, 3, 0], EbcPreset::ONE));
        // The other training images are in no key.
        assert_eq!(files(&params("preset = \"oneshot\""), folder.path()).unwrap().len(), 2 * 7);
    }
    let refused = |preset: &str, root: &TempDir| {
        message(&params(&format!("preset = \"{preset}\"")), root.path())
            .replace(&root.path().display().to_string(), "EBC")
    };
    assert_eq!(
        refused("ebc1", &second),
        "EBC: has 4, 3 and 3 images for training, validation and test, `preset = \"ebc1\"` 18, 3 and 3; set `path` to EBC1 as \
         downloaded, or leave `preset` out"
    );
    for stem in [EbcPreset::ONE, "040610#2_S127(2)0015"] {
        for folder in ["train", "train_annot"] {
            fs::remove_file(second.path().join(format!("{folder}/{stem}.tif"))).unwrap();
        }
    }
    assert_eq!(
        refused("oneshot", &second),
        "EBC: has no training image 111418#4_1426_100Cyc0032, which `preset = \"oneshot\"` trains on; set `path` to EBC1 or \
         EBC2 as downloaded, or leave `preset` out"
    );
}

#[test]
fn presets_and_windows_are_words_of_the_experiment_and_leave_old_keys_alone() {
    let check = |more: &str| params(more).check().map_err(|problem| format!("{}: {}", problem.param, problem.message));
    assert_eq!(check("preset = \"oneshot\"\nclasses = \"oxide\""), Ok(()));
    assert!(toml::from_str::<DatasetParams>("format = \"ebc\"\npath = \"x\"\npreset = \"ebc3\"").is_err());
    let mut uhcs = DatasetParams::of(Format::Uhcs, "x");
    uhcs.preset = Some(EbcPreset::Ebc1);
    assert_eq!(uhcs.check().unwrap_err().param, "preset");
    assert_eq!(
        check("window = { x = 1, y = 1, width = 0, height = 1 }").unwrap_err(),
        "window: is 0×1 pixels; expected at least 1×1"
    );
    let json = serde_json::to_string(&params("").with_defaults()).unwrap();
    assert_eq!(json, r#"{"format":"ebc","path":"x","classes":"three"}"#, "keys stay");
    let json = serde_json::to_value(params("window = { x = 1, y = 2, width = 3, height = 4 }")).unwrap();
    assert_eq!(json["window"]["splits"], serde_json::json!(["val", "test"]), "a default is in the key");
}

#[test]
fn a_window_is_cut_from_the_images_of_its_splits_and_their_masks() {
    let root = made([2, 1, 2]);
    let manifest = read(&params("window = { x = 4, y = 8, width = 10, height = 6 }"), root.path()).unwrap();
    let open = OpenDataset::new(manifest.clone(), Root::Folder(root.path().into()));
    for entry in &manifest.images {
        let (image, mask) = open.read(entry).unwrap();
        let mask = mask.unwrap();
        let crack = mask.labels.iter().position(|&label| label == 2);
        if entry.split == Split::Train {
            assert_eq!((entry.width, entry.height, entry.offset, entry.window_of), (20, 16, None, None));
            assert_eq!((entry.class_pixels.clone(), crack), (vec![0, 319, 1], Some(9 * 20 + 5)));
        } else {
            assert_eq!((entry.width, entry.height, entry.offset), (10, 6, Some((4, 8))));
            assert_eq!(entry.window_of, Some(((0, 0), (20, 16))));
            assert_eq!((image.width, image.height, entry.class_pixels.clone()), (10, 6, vec![0, 59, 1]));
            assert_eq!(crack, Some(10 + 1));
        }
    }
    let survey = crate::survey::survey(&manifest, &|_| None);
    assert_eq!(survey.crops_in_words().unwrap(), "all but 10×6 px at (4, 8) (3), nothing (2)");
    let outside = message(&params("window = { x = 11, y = 8, width = 10, height = 8 }"), root.path());
    assert!(
        outside.starts_with("3 files (test/040610#2_S127(2)0015.tif,")
            && outside.ends_with(
                "is 20×16, and `window` goes to column 21 and row 16; correct `window`: it must be inside of each image of \
                 its splits"
            ),
        "{outside}"
    );
    let all = "window = { x = 4, y = 8, width = 10, height = 6, splits = [\"train\", \"val\", \"test\"] }\nresize = 8";
    let manifest = read(&params(all), root.path()).unwrap();
    assert!(manifest.images.iter().all(|entry| (entry.width, entry.resized_from) == (8, Some((10, 6)))));
}

/// With `crop`, a window counts from what is left, and a mask without the bar's rows is cut as its image is.
#[test]
fn a_window_counts_from_the_crop() {
    let root = tempfile::tempdir().unwrap();
    let at = |x: u32, y: u32| u8::from((x, y) == (6, 5));
    for folder in ["images", "masks"] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    for (stem, rows) in [("a", 24), ("b", 20), ("c", 20)] {
        let value = stem.as_bytes()[0];
        let pixels = GrayImage::from_fn(30, 24, |x, y| Luma([value + 100 * at(x, y)]));
        pixels.save(root.path().join(format!("images/{stem}.png"))).unwrap();
        let mask = GrayImage::from_fn(30, rows, |x, y| Luma([at(x, y)]));
        mask.save(root.path().join(format!("masks/{stem}.png"))).unwrap();
    }
    let text = "format = \"folder\"\npath = \"x\"\nclasses = [\"m\", \"p\"]\ntest_images = [\"a\", \"b\"]\n\
                crop = { bottom = 4 }\nwindow = { x = 5, y = 3, width = 9, height = 7 }";
    let manifest = read(&toml::from_str(text).unwrap(), root.path()).unwrap();
    let open = OpenDataset::new(manifest.clone(), Root::Folder(root.path().into()));
    for entry in manifest.entries(Split::Test) {
        assert_eq!((entry.offset, entry.window_of), (Some((5, 3)), Some(((0, 0), (30, 20)))));
        let (image, mask) = open.read(entry).unwrap();
        let brightest = image.pixels.iter().enumerate().max_by_key(|(_, value)| **value).unwrap().0;
        assert_eq!(mask.unwrap().labels.iter().position(|&label| label == 1), Some(2 * 9 + 1));
        assert_eq!(brightest, 2 * 9 + 1);
    }
    let low = text.replace("y = 3", "y = 14");
    let outside = message(&toml::from_str(&low).unwrap(), root.path());
    assert!(outside.contains("is 30×20, and `window` goes to column 14 and row 21; correct `window`"), "{outside}");
}

#[test]
fn nasas_window_of_ebc_2_and_of_the_one_shot_split() {
    let Ok(data) = std::env::var("MATSSL_DATA") else {
        println!("skipped: MATSSL_DATA is not set");
        return;
    };
    let root = Path::new(&data).join("ebc/EBC2");
    let window = "window = { x = 256, y = 356, width = 512, height = 512 }";
    let read = |more: &str| read(&params(&format!("{window}\n{more}")), &root).unwrap();
    for (preset, train, oxide) in [("ebc2", 4, 871_232), ("oneshot", 1, 152_332)] {
        let two = read(&format!("preset = \"{preset}\"\nclasses = \"oxide\""));
        assert_eq!(by_split(&two), [train, 3, 3, 0]);
        assert_eq!(two.class_pixels(Split::Train), [train as u64 * 1024 * 1024 - oxide, oxide], "whole images");
        assert_eq!(two.class_pixels(Split::Val), [456_307, 330_125]);
        assert_eq!(two.class_pixels(Split::Test), [553_830, 232_602]);
        assert!(two.entries(Split::Test).iter().all(|entry| (entry.width, entry.height) == (512, 512)));
    }
    assert_eq!(read("preset = \"ebc2\"").class_pixels(Split::Test), [553_830, 227_395, 5_207]);
    let nasa: Window = toml::from_str("x = 256\ny = 356\nwidth = 512\nheight = 512").unwrap();
    assert_eq!(Some(nasa), params(window).window);
}
