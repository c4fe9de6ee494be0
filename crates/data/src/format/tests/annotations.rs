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
        "labels/s9.json: annotations without an image (no s9.png, .tif, .jpg or .bmp among the images); give image and annotations the \
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
    write(root.path(), "all.json", &coco(&[("s0.png", 4), ("s1.png", 1), ("s2.png", 1)], "Pore"));
    assert_eq!(
        message(&params, root.path()),
        "all.json: annotates 1 image that is not there: s2.png; add the images, or remove their annotations"
    );
    write(root.path(), "all.json", &coco(&[("s0.png", 4), ("s0.png", 1)], "Pore"));
    assert_eq!(
        message(&params, root.path()),
        "all.json: has two entries for images/s0.png: s0.png twice; delete one, or tell them apart by their folders"
    );
    write(root.path(), "all.json", "[{\"type\": \"Feature\", \"geometry\": null, \"properties\": null}]");
    assert!(message(&params, root.path()).contains("all.json: feature 1 (without a class): no geometry"));
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

#[test]
fn a_fault_of_many_files_or_images_is_one_line() {
    let root = tempfile::tempdir().unwrap();
    images(root.path(), "images", 5);
    let mut params = annotated("labels/{stem}.json");
    params.split = split(0.0, 1.0, 0);
    let write_all = |change: &dyn Fn(usize, String) -> String| {
        for i in 0..5 {
            let text = change(i, labelme(&format!("s{i}.png"), "pore"));
            write(root.path(), &format!("labels/s{i}.json"), &text);
        }
    };
    write_all(&|_, text| text.replace("\"imageHeight\": 6", "\"imageHeight\": 7"));
    assert_eq!(
        message(&params, root.path()),
        "annotations of another size in 5 images (labels/s0.json: images/s0.png (8×7, and it is 8×6), s1.json: \
         images/s1.png (8×7, and it is 8×6), s2.json: images/s2.png (8×7, and it is 8×6), …); use the image that was \
         annotated, at its full size"
    );
    write_all(&|_, text| text.replace(", [2, 2], [0, 2]", ""));
    assert_eq!(
        message(&params, root.path()),
        "a polygon of 2 corners in 5 images (labels/s0.json: s0.png shape 1, s1.json: s1.png shape 1, s2.json: s2.png \
         shape 1, …); correct the shape or delete it"
    );
    write_all(&|_, text| text.replace("[2, 2]", "[2, 99]"));
    assert!(
        message(&params, root.path())
            .starts_with("a shape that reaches far outside of the image in 5 images (labels/s0")
    );
    write_all(&|_, text| text.replace("[2, 0]", "[1, 0]").replace("[2, 2]", "[1, 1]").replace("[0, 2]", "[0, 1]"));
    assert!(
        message(&params, root.path()).starts_with("coordinates from 0 to 1 in 5 images (labels/s0.json: images/s0.png")
    );
    write_all(&|i, text| text.replace(&format!("s{i}.png"), &format!("s{}.png", i + 1)));
    assert_eq!(
        message(&params, root.path()),
        "the name of another image than the file's own in 5 annotation files (labels/s0.json: s1.png, s1.json: s2.png, \
         s2.json: s3.png, …); correct the name of the image in the file, or the file's own name"
    );
    write_all(&|_, text| text[..text.len() - 9].to_owned());
    let text = message(&params, root.path());
    assert!(text.starts_with("5 files (labels/s0.json, s1.json, s2.json, …): cannot be read as JSON; "), "{text}");
    let all: Vec<(String, usize)> = (0..5).map(|i| (format!("s{i}.png"), 1)).collect();
    let all: Vec<(&str, usize)> = all.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    write_all(&|_, _| coco(&all, "pore"));
    assert_eq!(
        message(&params, root.path()),
        "5 files (labels/s0.json, s1.json, s2.json, …): annotations of several images, and with `{stem}` each file is of one \
         image; export one file for each image, or name the file of all images without `{stem}`"
    );
    fs::remove_dir_all(root.path().join("labels")).unwrap();
    params.annotations = Some("all.json".into());
    write(root.path(), "all.json", &coco(&all, "pore").replace("\"height\": 6", "\"height\": 7"));
    assert_eq!(
        message(&params, root.path()),
        "annotations of another size in 5 images (all.json: images/s0.png (8×7, and it is 8×6), images/s1.png (8×7, and it \
         is 8×6), images/s2.png (8×7, and it is 8×6), …); use the image that was annotated, at its full size"
    );
}

#[test]
fn a_file_of_one_image_among_others_points_to_the_stem() {
    let root = tempfile::tempdir().unwrap();
    images(root.path(), "images", 4);
    for i in 0..4 {
        write(root.path(), &format!("labels/s{i}.json"), &labelme(&format!("s{i}.png"), "pore"));
    }
    let mut params = annotated("labels/s0.json");
    params.split = split(0.0, 1.0, 0);
    assert_eq!(
        message(&params, root.path()),
        "labels/s0.json: annotates one image, and there are s1.json, s2.json, s3.json beside it; read one file for each \
         image: `annotations = \"labels/{stem}.json\"`"
    );
    params.annotations = Some("labels/{stem}.json".into());
    write(root.path(), "labels/s1.json", &coco(&[("s0.png", 1), ("s1.png", 1), ("s2.png", 1)], "pore"));
    assert_eq!(
        message(&params, root.path()),
        "labels/s1.json: annotates s0.png, s2.png: with `{stem}` each file is of one image; export one file for each image, \
         or name the file of all images without `{stem}`"
    );
}

#[test]
fn shapes_without_a_class_and_wrong_attributes_are_said_so() {
    let root = tempfile::tempdir().unwrap();
    images(root.path(), "images", 3);
    let mut params = annotated("labels/{stem}.geojson");
    params.split = split(0.0, 1.0, 0);
    let feature = |kind: &str, properties: &str| {
        let corners = if kind == "Polygon" { "[[[0, 0], [2, 0], [2, 2], [0, 2]]]" } else { "[0, 0]" };
        format!(
            "[{{\"type\": \"Feature\", \"geometry\": {{\"type\": \"{kind}\", \"coordinates\": {corners}}}, \
             \"properties\": {properties}}}]"
        )
    };
    let write_all = |kind: &str, properties: &str| {
        for i in 0..3 {
            write(root.path(), &format!("labels/s{i}.geojson"), &feature(kind, properties));
        }
    };
    write_all("Polygon", "{\"objectType\": \"annotation\"}");
    let cure = "give them one where they were drawn, or add `names = { \"\" = \"none\" }` (or a class, or \"ignore\")";
    assert_eq!(message(&params, root.path()), format!("labels/s0.geojson: 3 shapes without a class; {cure}"));
    write_all("Point", "{}");
    assert_eq!(
        message(&params, root.path()),
        "labels/s0.geojson: 3 shapes without area (point), the first: feature 1 (without a class); delete them, draw them as \
         polygons, or map their name to \"none\" in `names`"
    );
    write_all("Polygon", "{\"phase\": \"pore\"}");
    params.attribute = Some("Phase".into());
    assert_eq!(
        message(&params, root.path()),
        "labels/s0.geojson: no region has the attribute Phase (found: phase); correct `attribute`"
    );
    params.attribute = Some("phase".into());
    assert_eq!(by_split(&read(&params, root.path()).unwrap()), [2, 0, 1, 0]);
    params.annotations = Some("via.json".into());
    params.attribute = Some("Phase".into());
    let region = "{\"shape_attributes\": {\"name\": \"rect\", \"x\": 0, \"y\": 0, \"width\": 2, \"height\": 2}, \
                  \"region_attributes\": {\"phase\": \"pore\", \"quality\": \"good\"}}";
    let image = |i: usize| format!("\"s{i}.png1\": {{\"filename\": \"s{i}.png\", \"regions\": [{region}]}}");
    write(root.path(), "via.json", &format!("{{{}}}", (0..3).map(image).collect::<Vec<_>>().join(", ")));
    assert_eq!(
        message(&params, root.path()),
        "via.json: no region has the attribute Phase (found: phase, quality); correct `attribute`"
    );
}

#[test]
fn the_cure_names_the_class_that_is_meant_or_none() {
    let root = tempfile::tempdir().unwrap();
    images(root.path(), "images", 5);
    let mut params = annotated("labels/{stem}.json");
    params.split = split(0.0, 1.0, 0);
    for (i, name) in [" PORE", "auustenite", "ferrite", "scratch"].into_iter().enumerate() {
        write(root.path(), &format!("labels/s{i}.json"), &labelme(&format!("s{i}.png"), name));
    }
    let text = message(&params, root.path());
    let cure =
        "add `names = { \" PORE\" = \"pore\", \"auustenite\" = \"austenite\", \"ferrite\" = \"<class>\", … }` (or";
    assert!(text.contains(cure), "{text}");
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
