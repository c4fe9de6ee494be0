//! Format `folder`: annotations in the place of masks.

use super::*;
use crate::annotations::{Overlap, WithoutShapes};

fn annotated(pattern: &str) -> DatasetParams {
    let mut params = folder(&["matrix", "austenite", "pore"]);
    params.masks = None;
    params.values = None;
    params.annotations = Some(pattern.into());
    params.background = Some("matrix".into());
    params
}

fn write(root: &Path, name: &str, text: &str) {
    fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
    fs::write(root.join(name), text).unwrap();
}

/// A labelme file: one square of two by two pixels at the top left.
fn labelme(image: &str, label: &str) -> String {
    format!(
        "{{\"version\": \"5.5.0\", \"shapes\": [{{\"label\": \"{label}\", \"points\": [[0, 0], [2, 0], [2, 2], [0, 2]], \
         \"shape_type\": \"polygon\"}}], \"imagePath\": \"{image}\", \"imageData\": null, \"imageHeight\": 6, \"imageWidth\": 8}}"
    )
}

/// A COCO file of images, each with as many squares as said.
fn coco(images: &[(&str, usize)], category: &str) -> String {
    let listed = images
        .iter()
        .enumerate()
        .map(|(i, (name, _))| format!("{{\"id\": {i}, \"file_name\": \"{name}\", \"width\": 8, \"height\": 6}}"));
    let squares = images.iter().enumerate().flat_map(|(i, (_, count))| (0..*count).map(move |k| (i, k)));
    let squares = squares.map(|(i, k)| {
        let (left, right) = (2 * k, 2 * k + 2);
        format!(
            "{{\"id\": {k}, \"image_id\": {i}, \"category_id\": 1, \"segmentation\": [[{left}, 0, {right}, 0, {right}, 2, {left}, 2]]}}"
        )
    });
    format!(
        "{{\"images\": [{}], \"categories\": [{{\"id\": 1, \"name\": \"{category}\"}}], \"annotations\": [{}]}}",
        listed.collect::<Vec<_>>().join(", "),
        squares.collect::<Vec<_>>().join(", ")
    )
}

fn images(root: &Path, folder: &str, count: u8) {
    for i in 0..count {
        grey(root, &format!("{folder}/s{i}.png"), (8, 6), i, 200 + folder.len() as u8);
    }
}

#[test]
fn one_file_annotates_all_images_and_the_same_masks_are_read_again() {
    let root = tempfile::tempdir().unwrap();
    images(root.path(), "images", 5);
    write(
        root.path(),
        "labels.json",
        &coco(&[("s0.png", 1), ("s1.png", 0), ("s2.jpg", 3), ("images/s3.png", 2)], "Pore"),
    );
    let mut params = annotated("labels.json");
    params.split = split(0.0, 1.0, 0);
    params.names = Some([("Pore".into(), "pore".into())].into());
    assert_eq!(params.check(), Ok(()));
    let manifest = read(&params, root.path()).unwrap();
    assert_eq!(by_split(&manifest), [3, 0, 1, 1]);
    let pixels: Vec<&[u64]> = manifest.images.iter().map(|entry| entry.class_pixels.as_slice()).collect();
    assert_eq!(pixels, [&[44, 0, 4][..], &[48, 0, 0], &[36, 0, 12], &[40, 0, 8], &[]]);
    assert_eq!(manifest.label_values, [(0, 0), (1, 1), (2, 2)].into());
    let digest = blake3::hash(&fs::read(root.path().join("labels.json")).unwrap()).to_hex().to_string();
    for entry in &manifest.images[..4] {
        assert_eq!((entry.mask.as_deref(), entry.mask_digest.as_ref()), (Some("labels.json"), Some(&digest)));
    }
    manifest.write(root.path()).unwrap();
    let path = root.path().join(Manifest::FILE);
    let open = OpenDataset::open(&path, Root::Folder(root.path().into())).unwrap();
    assert_eq!(open.manifest, manifest);
    let mask = open.read(&manifest.images[2]).unwrap().1.unwrap();
    assert_eq!(mask.labels[..16], [2, 2, 2, 2, 2, 2, 0, 0, 2, 2, 2, 2, 2, 2, 0, 0]);
    assert!(open.read(&manifest.images[4]).unwrap().1.is_none());

    params.resize = std::num::NonZeroUsize::new(12);
    let resized = read(&params, root.path()).unwrap();
    let open = OpenDataset::new(resized.clone(), Root::Folder(root.path().into()));
    let mask = open.read(&resized.images[0]).unwrap().1.unwrap();
    assert_eq!((mask.width, mask.labels.iter().filter(|label| **label == 2).count()), (12, 12));

    // The file has changed since.
    write(root.path(), "labels.json", &coco(&[("s0.png", 1)], "Pore"));
    let open = OpenDataset::open(&path, Root::Folder(root.path().into())).unwrap();
    assert!(open.read(&manifest.images[0]).unwrap_err().to_string().contains("changed since the data set was checked"));
}

#[test]
fn each_image_may_have_its_own_file_also_beside_it() {
    let root = tempfile::tempdir().unwrap();
    images(root.path(), "images", 4);
    for i in 0..3 {
        write(root.path(), &format!("labels/s{i}.json"), &labelme(&format!("..\\\\images\\\\s{i}.png"), "pore"));
        write(root.path(), &format!("images/s{i}.json"), &labelme(&format!("s{i}.png"), "austenite"));
    }
    write(root.path(), "labels/notes.txt", "x");
    for (pattern, pixels) in [("labels/{stem}.json", [44, 0, 4]), ("images/{stem}.json", [44, 4, 0])] {
        let mut params = annotated(pattern);
        params.split = split(0.0, 1.0, 0);
        let manifest = read(&params, root.path()).unwrap();
        assert_eq!((by_split(&manifest), manifest.images.len()), ([2, 0, 1, 1], 4));
        assert_eq!(manifest.images[0].class_pixels, pixels);
        assert_eq!(manifest.images[1].mask, Some(pattern.replace("{stem}", "s1")));
    }
    let mut params = annotated("labels/{stem}.json");
    params.split = split(0.0, 1.0, 0);
    write(root.path(), "labels/s9.json", &labelme("s9.png", "pore"));
    assert_eq!(
        message(&params, root.path()),
        "labels/s9.json: annotations without an image (no s9.png, .tif, .jpg or .bmp among them); give image and annotations the \
         same stem"
    );
    fs::remove_file(root.path().join("labels/s9.json")).unwrap();
    write(root.path(), "labels/s3.json", &labelme("s2.png", "pore"));
    assert_eq!(
        message(&params, root.path()),
        "labels/s3.json: annotates s2.png, and by its name it is that of images/s3.png; correct the name of the image in the \
         file, or the file's own name"
    );
}

#[test]
fn folders_that_are_splits_share_a_file_or_have_one_each() {
    let root = tempfile::tempdir().unwrap();
    for folder in ["train/images", "val/images"] {
        images(root.path(), folder, 2);
    }
    let both = coco(&[("train/s0.png", 1), ("train/s1.png", 2), ("val/s0.png", 3), ("val/s1.png", 4)], "pore");
    write(root.path(), "all.json", &both);
    for (name, count) in [("train", 1), ("val", 3)] {
        write(root.path(), &format!("{name}/labels.json"), &coco(&[("s0.png", count), ("s1.png", count + 1)], "pore"));
    }
    for pattern in ["all.json", "{split}/labels.json"] {
        let manifest = read(&annotated(pattern), root.path()).unwrap();
        assert_eq!(by_split(&manifest), [2, 2, 0, 0]);
        let pores: Vec<u64> = manifest.images.iter().map(|entry| entry.class_pixels[2]).collect();
        assert_eq!(pores, [4, 8, 12, 16], "{pattern}");
    }
    // The names alone do not tell.
    write(root.path(), "all.json", &coco(&[("s0.png", 1), ("s1.png", 1)], "pore"));
    assert_eq!(
        message(&annotated("all.json"), root.path()),
        "all.json: its entry \"s0.png\" fits two images: train/images/s0.png and val/images/s0.png; add their folders to the \
         names, or use `{split}`"
    );
    write(root.path(), "val/labels.json", &coco(&[("s0.png", 1)], "pore"));
    assert_eq!(
        message(&annotated("{split}/labels.json"), root.path()),
        "val/images/s1.png: has no annotations; add the mask, or move the image to `unlabeled`"
    );
}

#[test]
fn names_and_images_that_are_not_known_are_listed_with_the_cure() {
    let root = tempfile::tempdir().unwrap();
    images(root.path(), "images", 2);
    write(root.path(), "labels/s0.json", &labelme("s0.png", "Pore"));
    write(root.path(), "labels/s1.json", &labelme("s1.png", "Pore").replace("polygon", "linestrip"));
    let mut params = annotated("labels/{stem}.json");
    params.split = split(0.0, 1.0, 0);
    let text = message(&params, root.path());
    assert_eq!(
        text,
        "2 files of the data set cannot be used:\n  labels/s0.json: names that are not in `classes`: \"Pore\" (1 shape); correct \
         `classes`, or add `names = { \"Pore\" = \"pore\" }` (or \"ignore\" for ignored pixels, \"none\" for shapes that are \
         not drawn)\n  labels/s1.json: 1 shape without area (linestrip): s1.png, shape 1 (\"Pore\"); delete them, draw them \
         as polygons, or map their name to \"none\" in `names`"
    );
    params.annotations = Some("all.json".into());
    params.names = Some([("Pore".into(), "ignore".into())].into());
    write(root.path(), "all.json", &coco(&[("s0.png", 4), ("s1.png", 1), ("s2.png", 1), ("x/s3.png", 0)], "Pore"));
    assert_eq!(
        message(&params, root.path()),
        "all.json: annotates 2 images that are not there: s2.png, x/s3.png; add the images, or remove their annotations"
    );
    write(root.path(), "all.json", &coco(&[("s0.png", 4), ("s1.png", 1)], "Pore"));
    assert_eq!(read(&params, root.path()).unwrap().class_pixels(Split::Train).iter().sum::<u64>() % 4, 0);
    write(root.path(), "all.json", &coco(&[("s0.png", 4), ("s0.png", 1)], "Pore"));
    assert_eq!(
        message(&params, root.path()),
        "all.json: has two entries for images/s0.png: s0.png twice; delete one, or tell them apart by their folders"
    );
    write(root.path(), "all.json", "[{\"type\": \"Feature\", \"geometry\": null, \"properties\": null}]");
    assert!(message(&params, root.path()).contains("all.json: feature 1 (\"\"): no geometry"));
    write(root.path(), "all.geojson", "{\"type\": \"FeatureCollection\", \"features\": []}");
    params.annotations = Some("all.geojson".into());
    assert_eq!(
        message(&params, root.path()),
        "all.geojson: does not say which image it annotates; one file for each image: `annotations = \"labels/{stem}.geojson\"`"
    );
    params.annotations = Some("labels".into());
    assert_eq!(
        message(&params, root.path()),
        "labels: `annotations` is a folder; name the file, or one file for each image: `annotations = \"labels/{stem}.json\"`"
    );
    params.annotations = Some("none.json".into());
    assert_eq!(
        message(&params, root.path()),
        "none.json: not there; put the annotations there, or correct `annotations`"
    );
}

/// VIA and CVAT list all images of a project, also those that nobody has annotated yet.
#[test]
fn images_without_shapes_are_decided_by_the_user_where_the_tool_lists_all() {
    let root = tempfile::tempdir().unwrap();
    images(root.path(), "images", 4);
    let shape = "<box label=\"pore\" xtl=\"0\" ytl=\"0\" xbr=\"2\" ybr=\"2\" z_order=\"0\"/>";
    let image = |i: usize| {
        format!(
            "<image id=\"{i}\" name=\"s{i}.png\" width=\"8\" height=\"6\">{}</image>",
            if i < 2 { shape } else { "" }
        )
    };
    let text = format!("<annotations>{}</annotations>", (0..4).map(image).collect::<String>());
    write(root.path(), "cvat.xml", &text);
    let mut params = annotated("cvat.xml");
    params.split = split(0.0, 1.0, 0);
    assert!(message(&params, root.path()).ends_with(
        ": 2 images without any shape in the annotations: images/s2.png, images/s3.png; add `without_shapes = \"unlabeled\"` \
         if they are not annotated yet, or `\"background\"` if they show nothing else"
    ));
    params.without_shapes = Some(WithoutShapes::Unlabeled);
    assert_eq!(by_split(&read(&params, root.path()).unwrap()), [1, 0, 1, 2]);
    params.without_shapes = Some(WithoutShapes::Background);
    assert_eq!(by_split(&read(&params, root.path()).unwrap()), [3, 0, 1, 0]);
    params.without_shapes = None;
    params.background = Some("ignore".into());
    let manifest = read(&params, root.path()).unwrap();
    assert_eq!((by_split(&manifest), manifest.images[0].class_pixels.as_slice()), ([1, 0, 1, 2], &[0, 0, 4][..]));
}

#[test]
fn impossible_parameters_are_refused_and_unused_ones_leave_no_trace() {
    let check = |text: &str| {
        let head = "format = \"folder\"\npath = \"x\"\nclasses = [\"a\", \"b\"]\n";
        toml::from_str::<DatasetParams>(&format!("{head}{text}")).unwrap().check().map_err(|error| error.to_string())
    };
    let with = |text: &str| check(&format!("annotations = \"l.json\"\nbackground = \"a\"\n{text}"));
    assert_eq!(with("names = { A = \"a\", x = \"ignore\", y = \"none\" }\noverlap = \"refuse\""), Ok(()));
    assert_eq!(check("annotations = \"{split}/{stem}.json\"\nbackground = \"ignore\""), Ok(()));
    let cases = [
        (
            "annotations = \"l.json\"",
            "`annotations`: say the class of pixels in no shape: `background = \"a\"`, or \"ignore\"",
        ),
        ("annotations = \"l.json\"\nbackground = \"c\"", "`background`: \"c\" is none of a, b, ignore"),
        ("annotations = \"l.json\"\nbackground = \"none\"", "`background`: \"none\" is none of a, b, ignore"),
        ("background = \"a\"", "`background`: needs `annotations`"),
        ("overlap = \"last\"", "`overlap`: needs `annotations`"),
    ];
    for (text, expected) in cases {
        assert_eq!(check(text).unwrap_err(), expected);
    }
    let cases = [
        ("names = { A = \"c\" }", "`names`: \"A\": \"c\" is none of a, b, ignore, none"),
        ("masks = \"m\"", "`masks`: there are no mask files: leave out this or `annotations`"),
        ("values = [0, 1]", "`values`: there are no mask files: leave out this or `annotations`"),
    ];
    for (text, expected) in cases {
        assert_eq!(with(text).unwrap_err(), expected);
    }
    for (pattern, expected) in [
        ("{stem}/l.json", "{stem} stands once, in the file's name: \"labels/{stem}.json\""),
        ("../l.json", "name a file in the data set's folder: \"labels.json\" or \"labels/{stem}.json\""),
        ("labels/{stem}.png", "an image file: label images are masks (`masks = \"…\"`)"),
    ] {
        let error = check(&format!("annotations = \"{pattern}\"\nbackground = \"a\"")).unwrap_err();
        assert_eq!(error, format!("`annotations`: {expected}"));
    }
    let drawn = check("annotations = \"{split}/l.json\"\nbackground = \"a\"\nsplit = { test = 1 }").unwrap_err();
    assert_eq!(drawn, "`annotations`: {split} needs the folders train, val and test, not drawn splits");
    // The default of `overlap` stands in the key.
    assert_eq!(annotated("l.json").with_defaults().overlap, Some(Overlap::Last));
    let json = serde_json::to_string(&annotated("l.json").with_defaults()).unwrap();
    assert!(!json.contains("masks") && !json.contains("values"), "{json}");
}
