//! Format `folder`: where the folders lie, what is said about their neighbours, and how names are matched.

use super::*;
use crate::format::{PassedOver, SplitFolders};
use crate::{ClassColor, Color};

/// An image and its mask for each of `names`; every image has other pixels.
fn pairs(root: &Path, images: &str, masks: &str, names: &[&str]) {
    for name in names {
        let hash = blake3::hash(format!("{images}/{name}").as_bytes());
        let [value, first, ..] = *hash.as_bytes();
        grey(root, &format!("{images}/{name}.png"), (8, 6), value, first);
        grey(root, &format!("{masks}/{name}.png"), (8, 6), 0, 1);
    }
}

fn placed(images: &str, masks: &str) -> DatasetParams {
    let mut params = folder(&["matrix", "pore"]);
    params.images = Some(images.into());
    params.masks = Some(masks.into());
    params
}

fn names(manifest: &Manifest, split: Split) -> Vec<(&str, Option<&str>)> {
    manifest.entries(split).into_iter().map(|entry| (entry.image.as_str(), entry.mask.as_deref())).collect()
}

#[test]
fn the_folder_of_a_split_may_be_anywhere() {
    for (images, masks) in [("{split}", "{split}_annot"), ("images/{split}", "masks/{split}"), ("{split}/x", "y")] {
        let root = tempfile::tempdir().unwrap();
        let params = placed(images, masks);
        assert_eq!(params.check(), Ok(()));
        for (split, count) in [("train", 3), ("val", 2), ("test", 1)] {
            let place = |template: &str| match template {
                "y" => format!("{split}/y"),
                template => template.replace("{split}", split),
            };
            pairs(root.path(), &place(images), &place(masks), &["a", "b", "c"][..count]);
        }
        let manifest = read(&params, root.path()).unwrap();
        assert_eq!(by_split(&manifest), [3, 2, 1, 0], "{images} {masks}");
        let (image, mask) = names(&manifest, Split::Test)[0];
        assert_eq!(image, format!("{}/a.png", images.replace("{split}", "test")));
        assert_eq!(mask.unwrap().rsplit_once('/').unwrap().1, "a.png");
        // What is read at training is the same.
        let open = OpenDataset::new(manifest.clone(), Root::Folder(root.path().into()));
        assert_eq!(open.read(open.entries(Split::Test)[0]).unwrap().1.unwrap().labels[..2], [1, 0]);
    }
}

#[test]
fn folders_of_splits_may_have_other_names_and_lie_outside() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("steel");
    for (split, letter) in [("train", "a"), ("validate", "b"), ("holdout", "c")] {
        pairs(&root, &format!("{split}/images"), &format!("{split}/masks"), &[letter]);
    }
    pairs(outer.path(), "more", "unused", &["d"]);
    let mut params = folder(&["matrix", "pore"]);
    params.splits = Some(SplitFolders { val: Some("validate".into()), test: Some("holdout".into()), train: None });
    params.unlabeled = Some("../more".into());
    assert_eq!(params.check(), Ok(()));
    let manifest = read(&params, &root).unwrap();
    assert_eq!(by_split(&manifest), [1, 1, 1, 1]);
    assert_eq!(names(&manifest, Split::Val), [("validate/images/b.png", Some("validate/masks/b.png"))]);
    // A folder that is named must be there.
    fs::remove_dir_all(root.join("holdout")).unwrap();
    let error = read(&params, &root).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains("holdout/images: not there"), "{error}");
}

#[test]
fn folders_in_folders_are_read_if_the_data_set_is_recursive() {
    let root = tempfile::tempdir().unwrap();
    for place in ["", "/one", "/one/two"] {
        pairs(root.path(), &format!("images{place}"), &format!("images/masks{place}"), &["a", "b"]);
    }
    grey(root.path(), "images/one/alone.tif", (8, 6), 9, 10);
    let mut params = placed("images", "images/masks");
    params.split = split(1.0, 2.0, 0);
    assert_eq!(
        by_split(
            &read(
                &{
                    let mut p = params.clone();
                    p.split = split(0.0, 1.0, 0);
                    p
                },
                root.path()
            )
            .unwrap()
        ),
        [1, 0, 1, 0]
    );
    params.recursive = Some(true);
    let manifest = read(&params, root.path()).unwrap();
    assert_eq!(by_split(&manifest), [3, 1, 2, 1]);
    // The folder of masks lies inside that of images and is no folder of images.
    for entry in &manifest.images {
        let expected = entry.image.replace("images/", "images/masks/");
        assert_eq!(entry.mask.as_deref().unwrap_or("images/masks/one/alone.tif"), expected);
    }
    params.split = None;
    params.test_images = Some(vec!["one/a".into(), "images/b.png".into()]);
    let manifest = read(&params, root.path()).unwrap();
    let test: Vec<&str> = manifest.entries(Split::Test).iter().map(|entry| entry.image.as_str()).collect();
    assert_eq!(test, ["images/b.png", "images/one/a.png"]);
    params.test_images = Some(vec!["a".into()]);
    assert!(message(&params, root.path()).contains(
        "a in `test_images` names more than one image: images/a.png, images/one/a.png; write the path of the image"
    ));
    // In the whole folder, each folder that has a name of its own counts once.
    params.images = Some(".".into());
    params.test_images = None;
    params.split = split(0.0, 1.0, 0);
    pairs(root.path(), "more", "masks", &["m"]);
    params.masks = Some("images/masks".into());
    params.unlabeled = Some("more".into());
    assert!(message(&params, root.path()).contains("a mask without an image"));
}

#[test]
fn folders_that_cannot_work_are_refused() {
    let check = |text: &str| toml::from_str::<DatasetParams>(text).unwrap().check().map_err(|error| error.to_string());
    let head = "format = \"folder\"\npath = \"x\"\nclasses = [\"a\", \"b\"]\n";
    let cases = [
        (
            "images = \"/data/raw\"",
            "`images`: is an absolute path, and would tie results to this computer: give it relative to `path`",
        ),
        ("masks = \"\"", "`masks`: is empty: for the folder of the data set itself write \".\""),
        (
            "masks = \"images\"",
            "`masks`: is also the folder of the images: add `mask_pattern`, e.g. \"{stem}_mask\", to tell them apart",
        ),
        (
            "images = \"{split}\"\nsplit = { test = 1 }",
            "`images`: {split} names the folder of a split, but the splits are drawn or listed: leave out one of the two",
        ),
        (
            "splits = { val = \"v\" }\ntest_images = [\"a\"]",
            "`splits`: names folders of splits, but the splits are drawn or listed",
        ),
        ("splits = { val = \"test\" }", "`splits`: \"test\" is the folder of two splits"),
        ("unlabeled = \"{split}/more\"", "`unlabeled`: {split} has a meaning in `images` and `masks` only"),
    ];
    for (line, expected) in cases {
        assert_eq!(check(&format!("{head}{line}")).unwrap_err(), expected);
    }
    let unknown = toml::from_str::<DatasetParams>(&format!("{head}splits = {{ valid = \"v\" }}")).unwrap_err();
    assert!(unknown.to_string().contains("unknown field `valid`, expected one of `train`, `val`, `test`"), "{unknown}");
    let names = |names: &str| check(&format!("format = \"folder\"\npath = \"x\"\nclasses = {names}")).unwrap_err();
    assert_eq!(
        names("[\"a\", \"\"]"),
        "`classes`: the name of class 1, \"\", is empty: every class needs a name that can be seen in tables"
    );
    for (list, words) in [
        ("[\" \", \"b\"]", "the name of class 0, \" \", is empty"),
        ("[\"a\", \"\\u200B\"]", "the name of class 1, \"\\u{200b}\", is empty"),
        ("[\"a\\nb\", \"b\"]", "the name of class 0, \"a\\nb\", holds a line break"),
        ("[\"a\", \"b \"]", "the name of class 1, \"b \", begins or ends with a space"),
        ("[\"a\", \"b\\u00A0\"]", "begins or ends with a space"),
        ("[\"a\", \"b\\u200Bc\"]", "holds a character that cannot be seen"),
    ] {
        assert!(names(list).contains(words), "{}", names(list));
    }
}

/// NASA's Super sets paint two classes onto the grey micrograph.
#[test]
fn every_other_colour_may_be_a_class_as_in_nasas_super_sets() {
    let root = tempfile::tempdir().unwrap();
    for (split, count) in [("train", 2), ("val", 1), ("test", 1)] {
        for i in 0..count {
            let path = root.path().join(format!("{split}/s{i}.png"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let shade = |x: u32, y: u32| (37 * x + 11 * y + 50 * i + split.len() as u32) as u8;
            let picture = GrayImage::from_fn(8, 6, |x, y| Luma([shade(x, y)]));
            picture.save(&path).unwrap();
            let painted = RgbImage::from_fn(8, 6, |x, y| match x {
                0 => Rgb([255, 0, 0]),
                1 => Rgb([0, 0, 255]),
                _ => Rgb([shade(x, y); 3]),
            });
            let path = root.path().join(format!("{split}_annot/s{i}.png"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            painted.save(path).unwrap();
        }
    }
    let params: DatasetParams = toml::from_str(
        "format = \"folder\"\npath = \"x\"\nimages = \"{split}\"\nmasks = \"{split}_annot\"\n\
         classes = [\"matrix\", \"secondary\", \"tertiary\"]\n\
         colors = { matrix = \"other\", secondary = \"#ff0000\", tertiary = [0, 0, 255] }",
    )
    .unwrap();
    assert_eq!(params.check(), Ok(()));
    let manifest = read(&params, root.path()).unwrap();
    assert_eq!(by_split(&manifest), [2, 1, 1, 0]);
    assert_eq!(manifest.class_pixels(Split::Train), [72, 12, 12]);
    manifest.write(root.path()).unwrap();
    let path = root.path().join(Manifest::FILE);
    let open = OpenDataset::open(&path, Root::Folder(root.path().into())).unwrap();
    assert_eq!(open.manifest, manifest);
    assert_eq!(open.read(open.entries(Split::Test)[0]).unwrap().1.unwrap().labels[..4], [1, 2, 0, 0]);

    let mut twice = params.clone();
    twice.colors.as_mut().unwrap().insert("secondary".into(), ClassColor::Other);
    assert_eq!(twice.check().unwrap_err().to_string(), "`colors`: \"matrix\" and \"secondary\" are both other");
    let mut ignored = params;
    ignored.ignore_color = Some(Color([0, 0, 255]));
    assert_eq!(ignored.check().unwrap_err().to_string(), "`ignore_color`: is also the colour of \"tertiary\"");
}

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
fn names_that_look_alike_belong_together() {
    let (composed, decomposed) = ("gr\u{f6}\u{df}e", "gro\u{308}\u{df}e");
    let root = tempfile::tempdir().unwrap();
    pairs(root.path(), "images", "unused", &[composed, "b", "c"]);
    pairs(root.path(), "unused", "masks", &["b", "c"]);
    grey(root.path(), &format!("masks/{decomposed}_m\u{e4}ske.png"), (8, 6), 0, 1);
    for name in ["b", "c"] {
        fs::rename(
            root.path().join(format!("masks/{name}.png")),
            root.path().join(format!("masks/{name}_ma\u{308}ske.png")),
        )
        .unwrap();
    }
    let mut params = folder(&["a", "b"]);
    params.mask_pattern = Some("{stem}_m\u{e4}ske".into());
    params.test_images = Some(vec![decomposed.into()]);
    params.val_images = Some(vec!["b".into()]);
    let manifest = read(&params, root.path()).unwrap();
    let test = (format!("images/{composed}.png"), format!("masks/{decomposed}_m\u{e4}ske.png"));
    assert_eq!(names(&manifest, Split::Test), [(test.0.as_str(), Some(test.1.as_str()))]);
    // Two names that only differ so are refused.
    grey(root.path(), &format!("images/{decomposed}.png"), (8, 6), 77, 200);
    let text = message(&params, root.path());
    assert!(
        text.ends_with("with other bytes for the same letters (NFC and NFD); keep one of the two, or rename one"),
        "{text}"
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
