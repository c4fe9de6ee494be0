//! What is said about files and folders beside those that are read, and about many files with one fault.

use super::folders::pairs;
use super::*;
use crate::format::PassedOver;

#[test]
fn neighbours_of_missing_folders_are_named_with_the_cure() {
    type Make = fn(&Path);
    let draw = split(0.0, 1.0, 0);
    let cases: &[(&str, Make, Option<SplitParams>, &str)] = &[
        (
            "labels",
            |r| pairs(r, "train/images", "train/labels", &["a"]),
            None,
            "train/masks: not there; found `train/labels`: add `masks = \"labels\"`",
        ),
        (
            "annotations",
            |r| pairs(r, "train/images", "train/Annotations", &["a"]),
            None,
            "train/masks: not there; found `train/Annotations`: add `masks = \"Annotations\"`",
        ),
        (
            "gt",
            |r| pairs(r, "train/images", "train/ground_truth", &["a"]),
            None,
            "found `train/ground_truth`: add `masks = \"ground_truth\"`",
        ),
        (
            "imgs",
            |r| pairs(r, "train/imgs", "train/masks", &["a"]),
            None,
            "train/images: not there; found `train/imgs`: add `images = \"imgs\"`",
        ),
        (
            "both",
            |r| pairs(r, "train/img", "train/gt", &["a"]),
            None,
            "found `train/img` and `train/gt`: add `images = \"img\"` and `masks = \"gt\"`",
        ),
        (
            "case",
            |r| pairs(r, "train/IMAGES", "train/masks", &["a"]),
            None,
            "found `train/IMAGES`: add `images = \"IMAGES\"`",
        ),
        (
            "Train",
            |r| pairs(r, "Train/images", "Train/masks", &["a"]),
            None,
            "train/images: not there; found `Train`: add `splits = { train = \"Train\" }`",
        ),
        (
            "both levels",
            |r| pairs(r, "Train/Images", "Train/Masks", &["a"]),
            None,
            "found `Train/Images` and `Train/Masks`: add `splits = { train = \"Train\" }`, `images = \"Images\"` and \
             `masks = \"Masks\"`",
        ),
        (
            "both levels, masks only",
            |r| pairs(r, "training/images", "training/labels", &["a"]),
            None,
            "found `training/labels`: add `splits = { train = \"training\" }`, `masks = \"labels\"`",
        ),
        (
            "annot",
            |r| pairs(r, "train", "train_annot", &["a"]),
            None,
            "found `train` and `train_annot`: add `images = \"{split}\"` and `masks = \"{split}_annot\"`",
        ),
        (
            "swapped",
            |r| pairs(r, "images/train", "labels/train", &["a"]),
            None,
            "found `images/train` and `labels/train`: add `images = \"images/{split}\"` and `masks = \"labels/{split}\"`",
        ),
        (
            "flat",
            |r| pairs(r, "images", "labels", &["a"]),
            None,
            "found `images` and `labels`: add `masks = \"labels\"`, `split = { val = 0.2, test = 0.2 }`, which draws the splits",
        ),
        (
            "drawn",
            |r| pairs(r, "images", "labels", &["a"]),
            draw,
            "masks: not there; found `labels`: add `masks = \"labels\"`",
        ),
        (
            "split",
            |r| pairs(r, "train/images", "train/masks", &["a"]),
            draw,
            "found `train/images`: leave out what draws or lists the splits",
        ),
        (
            "beside",
            |r| {
                grey(r, "train/images/a.png", (8, 6), 1, 2);
                grey(r, "train/images/a_mask.png", (8, 6), 0, 1);
            },
            None,
            "train/masks: not there; found masks named {stem}_mask in `train/images`: add `masks = \"images\"` and \
             `mask_pattern = \"{stem}_mask\"`",
        ),
        (
            "nothing",
            |r| pairs(r, "x", "y", &["a"]),
            None,
            "train/images: not there; make train/images and train/masks (and val, test), or images and masks with `split`",
        ),
    ];
    for (case, make, split, expected) in cases {
        let root = tempfile::tempdir().unwrap();
        make(root.path());
        let mut params = folder(&["a", "b"]);
        params.split = *split;
        let error = list_files(&params, root.path()).unwrap_err();
        assert_eq!(error.exit_code(), 4, "{case}");
        assert!(message_of(&error, root.path()).contains(expected), "{case}: {error}");
    }
}

fn message_of(error: &DataError, root: &Path) -> String {
    error.to_string().replace(&format!("{}/", root.display()), "")
}

#[test]
fn a_split_under_another_name_is_not_left_out_in_silence() {
    let cases = [
        ("validate", "val"),
        ("valid", "val"),
        ("Val", "val"),
        ("dev", "val"),
        ("testing", "test"),
        ("holdout", "test"),
    ];
    for (name, split) in cases {
        let root = tempfile::tempdir().unwrap();
        pairs(root.path(), "train/images", "train/masks", &["a", "b"]);
        pairs(root.path(), &format!("{name}/images"), &format!("{name}/masks"), &["c"]);
        let params = folder(&["a", "b"]);
        let error = list_files(&params, root.path()).unwrap_err();
        assert_eq!(error.exit_code(), 5);
        assert_eq!(
            message_of(&error, root.path()),
            format!(
                "{name}: looks like the folder of the split {split}, which is named otherwise; add `splits = {{ {split} = \
                 \"{name}\" }}`, rename it to {split}, or move it away"
            )
        );
        // Beside a folder of the right name it is passed over, and `data` says so.
        pairs(root.path(), &format!("{split}/images"), &format!("{split}/masks"), &["d"]);
        let files = list_files(&params, root.path()).unwrap();
        assert_eq!(files.len(), 6);
        let passed = PassedOver::of(root.path(), &files).in_words().unwrap();
        assert_eq!(passed, format!("2 folders ({name}/images, 1 image; {name}/masks, 1 image)"));
    }
}

#[test]
fn masks_with_a_common_suffix_get_the_pattern_as_the_cure() {
    let root = tempfile::tempdir().unwrap();
    for i in [1, 2, 10] {
        grey(root.path(), &format!("train/images/s{i}.png"), (8, 6), i, 200);
        grey(root.path(), &format!("train/masks/s{i}_seg.png"), (8, 6), 0, 1);
    }
    let mut params = folder(&["a", "b"]);
    assert_eq!(
        message(&params, root.path()),
        "3 files (train/masks/s10_seg.png, s1_seg.png, s2_seg.png): a mask whose name is {stem}_seg, not that of its image; \
         add `mask_pattern = \"{stem}_seg\"`"
    );
    params.mask_pattern = Some("{stem}_mask".into());
    assert!(
        message(&params, root.path())
            .ends_with("does not fit `mask_pattern` ({stem}_mask); set `mask_pattern = \"{stem}_seg\"`")
    );
    params.mask_pattern = Some("{stem}_seg".into());
    assert_eq!(by_split(&read(&params, root.path()).unwrap()), [3, 0, 0, 0]);
    // Names that differ in upper and lower case.
    let root = tempfile::tempdir().unwrap();
    grey(root.path(), "train/images/a.PNG", (8, 6), 3, 200);
    grey(root.path(), "train/masks/A.png", (8, 6), 0, 1);
    assert_eq!(
        message(&folder(&["a", "b"]), root.path()),
        "train/masks/A.png: a mask without an image: train/images/a.PNG differs in upper and lower case; give image and mask \
         the same name"
    );
}

#[test]
fn masks_that_cannot_be_read_are_named() {
    let root = tempfile::tempdir().unwrap();
    pairs(root.path(), "train/images", "train/masks", &["a", "b", "c"]);
    for (name, other) in [("a", "a.gif"), ("b", "b.json")] {
        fs::rename(
            root.path().join(format!("train/masks/{name}.png")),
            root.path().join(format!("train/masks/{other}")),
        )
        .unwrap();
    }
    fs::write(root.path().join("train/masks/c.txt"), "notes").unwrap();
    let params = folder(&["a", "b"]);
    assert_eq!(
        message_of(&list_files(&params, root.path()).unwrap_err(), root.path()),
        "2 files of the data set cannot be used:\n  \
         train/images/a.png: its mask train/masks/a.gif cannot be read; masks are read from png, tif and bmp: convert it\n  \
         train/images/b.png: its mask train/masks/b.json cannot be read; masks are png, tif or bmp: draw it as one, or see \
         `annotations` for polygons"
    );
    fs::rename(root.path().join("train/masks/b.json"), root.path().join("train/masks/b.GIF")).unwrap();
    assert_eq!(
        message_of(&list_files(&params, root.path()).unwrap_err(), root.path()),
        "2 files (train/images/a.png: train/masks/a.gif, b.png: train/masks/b.GIF): the mask is a file .gif, which cannot be \
         read; masks are read from png, tif and bmp: convert it"
    );
}

#[test]
fn everything_that_is_passed_over_is_counted() {
    let root = tempfile::tempdir().unwrap();
    pairs(root.path(), "train/images", "train/masks", &["a", "b"]);
    for name in [
        "train/images/x.gif",
        "train/images/y.GIF",
        "train/images/z.czi",
        "train/images/._a.tif",
        "train/masks/Thumbs.db",
        "readme.txt",
        "train/LICENSE",
        "other/deep/notes.txt",
        ".git/config",
    ] {
        fs::create_dir_all(root.path().join(name).parent().unwrap()).unwrap();
        fs::write(root.path().join(name), "x").unwrap();
    }
    for i in 0..12 {
        grey(root.path(), &format!("train/images/old/{i}.png"), (4, 4), i, 9);
    }
    fs::write(root.path().join("train/images/b.png"), animated()).unwrap();
    let files = list_files(&folder(&["a", "b"]), root.path()).unwrap();
    let passed = PassedOver::of(root.path(), &files);
    assert_eq!(
        passed.in_words().unwrap(),
        "2 .gif, 1 file without an extension, 1 .czi, 1 .txt, 2 hidden files, 1 folder (train/images/old, 12 images), all but \
         the first picture of 1 animated image (train/images/b.png)"
    );
    assert_eq!(serde_json::to_value(&passed).unwrap()["folders"], serde_json::json!([["train/images/old", 12]]));
    let root = my_steel();
    fs::remove_file(root.path().join("images/Thumbs.db")).unwrap();
    fs::remove_file(root.path().join("images/.hidden.png")).unwrap();
    let mut params = folder(&["a", "b"]);
    params.split = split(0.0, 1.0, 0);
    assert_eq!(PassedOver::of(root.path(), &list_files(&params, root.path()).unwrap()).in_words(), None);
}

/// The start of an animated png: signature, `IHDR`, `acTL`.
fn animated() -> Vec<u8> {
    let mut bytes =
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x00\x02\x00\x00\x00\x02\x08\x00\x00\x00\x00????".to_vec();
    bytes.extend(b"\x00\x00\x00\x08acTL\x00\x00\x00\x02\x00\x00\x00\x00????");
    bytes
}

#[test]
fn folders_whose_letters_are_composed_differently_are_named() {
    let root = tempfile::tempdir().unwrap();
    pairs(root.path(), "train/Gefu\u{308}ge", "train/masks", &["a"]);
    let mut params = folder(&["a", "b"]);
    params.images = Some("Gef\u{fc}ge".into());
    assert_eq!(
        message(&params, root.path()),
        "train/Gef\u{fc}ge: not there; found `train/Gefu\u{308}ge`, whose letters are composed differently (its name is NFD, \
         the name here NFC): rename it, or copy its name from the computer's list of files"
    );
    let mut params = DatasetParams::of(Format::Folder, "");
    let root = tempfile::tempdir().unwrap();
    grey(root.path(), "more/Gefu\u{308}ge/a.png", (8, 6), 3, 4);
    params.unlabeled = Some("more/Gef\u{fc}ge".into());
    assert!(message(&params, root.path()).contains("found `more/Gefu\u{308}ge`"));
}

#[test]
fn folders_of_splits_under_other_names_are_not_left_out() {
    for (found, images, masks) in
        [("tests", "images", "masks"), ("test_set", "Images", "Masks"), ("Hold-out", "images", "masks")]
    {
        let root = tempfile::tempdir().unwrap();
        pairs(root.path(), "train/images", "train/masks", &["a"]);
        pairs(root.path(), &format!("{found}/{images}"), &format!("{found}/{masks}"), &["t"]);
        let expected = format!(
            "{found}: looks like the folder of the split test, which is named otherwise; add `splits = {{ test = \
             \"{found}\" }}`, rename it to test, or move it away"
        );
        assert_eq!(message(&folder(&["a", "b"]), root.path()), expected);
    }
}

#[test]
fn one_wrong_value_in_many_masks_is_one_line() {
    let root = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..23).map(|i| format!("s{i:02}")).collect();
    for (i, name) in names.iter().enumerate() {
        grey(root.path(), &format!("train/images/{name}.png"), (8, 6), i as u8, 200);
        grey(root.path(), &format!("train/masks/{name}.png"), (8, 6), 255, if i == 3 { 7 } else { 0 });
    }
    assert_eq!(
        message(&folder(&["a", "b"]), root.path()),
        "23 files of the data set cannot be used:\n  \
         label value 255 has no class in 23 masks (train/masks/s00.png at column 1, row 0, s01.png at column 1, row 0, \
         s02.png at column 1, row 0, …); the classes have the values 0, 1: correct `values`, add it to `classes` and \
         `values`, or set `ignore_label = 255`\n  \
         train/masks/s03.png: label value 7 at column 0, row 0 has no class; the classes have the values 0, 1: correct \
         `values`, add it to `classes` and `values`, or set `ignore_label = 7`"
    );
}

/// A mask that lacks a class of another image: all of them are said at once.
#[test]
fn all_images_without_masks_are_one_line() {
    let root = tempfile::tempdir().unwrap();
    pairs(root.path(), "train/images", "train/masks", &["t"]);
    pairs(root.path(), "val/images", "val/masks", &["a", "b", "c", "d", "e"]);
    for name in ["a", "b", "c", "d"] {
        fs::remove_file(root.path().join(format!("val/masks/{name}.png"))).unwrap();
    }
    assert_eq!(
        message(&folder(&["a", "b"]), root.path()),
        "4 files (val/images/a.png, b.png, c.png, …): has no mask of the same stem in val/masks; add the mask, or move the \
         image to `unlabeled`"
    );
}
