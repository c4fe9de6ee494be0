//! Format `folder`: where the folders lie, what is said about their neighbours, and how names are matched.

use super::*;
use crate::format::SplitFolders;
use crate::{ClassColor, Color};

/// An image and its mask for each of `names`; every image has other pixels.
pub(super) fn pairs(root: &Path, images: &str, masks: &str, names: &[&str]) {
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
        ("images = \"{splt}/images\"", "`images`: unknown placeholder {splt}; did you mean {split}?"),
        ("masks = \"{split}/{stem}\"", "`masks`: unknown placeholder {stem}; did you mean {split}?"),
        ("mask_pattern = \"{name}_mask\"", "`mask_pattern`: unknown placeholder {name}; did you mean {stem}?"),
        (
            "background = \"a\"\nannotations = \"x/{name}.json\"",
            "`annotations`: unknown placeholder {name}; did you mean {split} or {stem}?",
        ),
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

/// NASA's Super sets paint two classes onto the grey micrograph: `experiments/super.toml` on small made files of that form.
#[test]
fn every_other_colour_may_be_a_class_as_in_nasas_super_sets() {
    let root = tempfile::tempdir().unwrap();
    for (split, count) in [("train", 2), ("val", 1), ("test", 1), ("different_test", 1)] {
        for i in 0..count {
            let at = |name: String| {
                let path = root.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                path
            };
            let shade = |x: u32, y: u32| (37 * x + 11 * y + 50 * i + split.len() as u32) as u8;
            let picture = GrayImage::from_fn(8, 6, |x, y| Luma([shade(x, y)]));
            picture.save(at(format!("{split}/SE 15kv - spot{i}.tif"))).unwrap();
            let painted = RgbImage::from_fn(8, 6, |x, y| match x {
                0 => Rgb([255, 0, 0]),
                1 => Rgb([0, 0, 255]),
                _ => Rgb([shade(x, y); 3]),
            });
            painted.save(at(format!("{split}_annot/SE 15kv - spot{i}_mask.tif"))).unwrap();
        }
    }
    let experiment: toml::Table = toml::from_str(include_str!("../../../../../experiments/super.toml")).unwrap();
    let sets = experiment["datasets"].as_table().unwrap();
    assert_eq!(sets.len(), 4);
    let parsed = |set: &toml::Value| set.clone().try_into::<DatasetParams>().unwrap();
    let params = parsed(&sets["super1"]);
    for (name, set) in sets {
        assert_eq!(DatasetParams { path: "super/Super1".into(), ..parsed(set) }, params, "{name}");
    }
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
fn images_in_folders_below_need_recursive() {
    let root = tempfile::tempdir().unwrap();
    let cure = "; add `recursive = true`, which reads them, too";
    let says = |params: &DatasetParams, place: &str, inside: &str| {
        let said = message(params, root.path());
        let expected = format!("{place}: holds no images itself, and the folders inside it do ({inside}){cure}");
        assert_eq!(said, expected);
    };
    pairs(root.path(), "train/images/A/b", "train/masks/A/b", &["a", "b"]);
    let mut params = folder(&["a", "b"]);
    says(&params, "train/images", "train/images/A/b");
    params.recursive = Some(true);
    assert_eq!(by_split(&read(&params, root.path()).unwrap()), [2, 0, 0, 0]);
    pairs(root.path(), "images/A", "masks/A", &["a", "b"]);
    let mut params = folder(&["a", "b"]);
    params.split = split(0.0, 1.0, 0);
    says(&params, "images", "images/A");
    fs::remove_dir_all(root.path().join("train")).unwrap();
    let mut params = DatasetParams::of(Format::Folder, "");
    params.unlabeled = Some("images".into());
    says(&params, "images", "images/A");
    // Folders with a name of their own in the data set are none of its images.
    pairs(root.path(), "flat/masks", "flat/other", &["a"]);
    let mut params = placed("flat", "flat/masks");
    params.split = split(0.0, 1.0, 0);
    params.unlabeled = Some("flat/other".into());
    assert!(message(&params, root.path()).contains("a mask without an image"));
}

#[test]
fn two_unlabelled_files_of_one_stem_are_refused() {
    let root = tempfile::tempdir().unwrap();
    grey(root.path(), "more/u.png", (8, 6), 3, 4);
    grey(root.path(), "more/u.tif", (8, 6), 0, 1);
    let mut params = DatasetParams::of(Format::Folder, "");
    params.unlabeled = Some("more".into());
    assert_eq!(
        message(&params, root.path()),
        "more/u.tif: has the same stem as more/u.png; keep one of the two, or rename one; if one is a mask, move it to a \
         folder of masks"
    );
}

#[test]
fn class_names_that_look_the_same_are_refused() {
    let said = folder(&["Gef\u{fc}ge", "Gefu\u{308}ge"]).check().unwrap_err().to_string();
    let expected =
        "`classes`: \"Gefu\u{308}ge\" occurs twice, with letters that are composed differently (NFC and NFD)";
    assert_eq!(said, expected);
    assert_eq!(folder(&["a", "a"]).check().unwrap_err().to_string(), "`classes`: \"a\" occurs twice");
}

#[test]
fn images_to_train_on_may_be_unlabelled_ones() {
    let root = tempfile::tempdir().unwrap();
    grey(root.path(), "train/images/u.png", (8, 6), 3, 4);
    grey(root.path(), "train/images/v.png", (8, 6), 5, 6);
    let mut params = DatasetParams::of(Format::Folder, "");
    params.unlabeled = Some("train/images".into());
    assert_eq!(by_split(&read(&params, root.path()).unwrap()), [0, 0, 0, 2]);
}
