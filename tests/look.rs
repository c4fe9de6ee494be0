//! `matssl-run new --from FOLDER` and `matssl-run data FILE --preview DIR`, on made folders.

mod common;
use common::Project;
use common::steel::{EXPERIMENT, png, steel};
use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage};
use matssl_run::{experiment, stage};
use serde_json::Value;
use std::io::Cursor;

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is missing from:\n{text}");
    }
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A grey image in which no two of different seeds are the same.
fn grey(seed: u32, width: u32, height: u32) -> Vec<u8> {
    png(&GrayImage::from_fn(width, height, |x, y| Luma([(x * 7 + y * 13 + seed * 31 + x * y * seed % 17) as u8])))
}

/// Stripes of the values, from left to right.
fn striped(values: &[u8], width: u32, height: u32) -> Vec<u8> {
    png(&GrayImage::from_fn(width, height, |x, _| Luma([values[(x as usize * values.len()) / width as usize]])))
}

/// Writes images `FOLDER/images/NAME` and masks next to them.
fn both(project: &Project, images: &str, masks: &str, stems: &[&str], values: &[u8]) {
    for stem in stems {
        let seed = stem.bytes().fold(7u32, |seed, byte| seed * 31 % 1009 + u32::from(byte));
        project.write(&format!("{images}/{stem}.png"), grey(seed, 96, 64));
        project.write(&format!("{masks}/{stem}.png"), striped(values, 96, 64));
    }
}

/// Runs `new --from data`, and returns the table of the data set and what was printed. The experiment is loaded and its data
/// checked if the program knows all of `params`; then the images must be split as `counts` says.
#[track_caller]
fn looked_at(project: &Project, params: &[&str], counts: &[(&str, usize)]) -> (String, String) {
    let done = project.run(&["new", "--from", "data"]).ok();
    let text = std::fs::read_to_string(project.path("data.toml")).unwrap();
    let schema = project.run(&["schema"]).ok().stdout;
    if let Some(unknown) = params.iter().find(|param| !schema.contains(&format!("\"{param}\""))) {
        println!("not loaded: the program does not know `{unknown}`");
    } else {
        experiment::load(&project.path("data.toml"), &[], stage::KINDS)
            .unwrap_or_else(|wrong| panic!("{wrong}\n{text}"));
        project.run(&["plan", "data.toml"]).ok();
        let data = project.run(&["data", "data.toml", "--json", "--no-leaks"]);
        assert_eq!(data.code, Some(0), "{}\n{text}", data.stderr);
        let json: Value = serde_json::from_str(&data.stdout).unwrap();
        let splits = json["datasets"][0]["splits"].as_array().unwrap().iter();
        let found: Vec<(&str, usize)> = splits
            .map(|split| (split["split"].as_str().unwrap(), split["images"].as_u64().unwrap() as usize))
            .collect();
        assert_eq!(found, counts, "{text}");
    }
    let table = text.split_once("[datasets.micrographs]\n").unwrap().1.split("\n\n").next().unwrap().to_owned();
    // Without the comments.
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.map(|line| line.split("  # ").next().unwrap().split(" # ").next().unwrap().trim_end());
    (lines.collect::<Vec<_>>().join("\n"), done.stdout)
}

#[test]
fn folders_of_splits() {
    let project = Project::new("");
    both(&project, "data/train/images", "data/train/masks", &["a", "b", "c"], &[0, 1, 2]);
    both(&project, "data/val/images", "data/val/masks", &["d", "dd"], &[0, 1, 2]);
    both(&project, "data/test/images", "data/test/masks", &["e", "ee"], &[0, 1, 2]);
    project.write("data/more/u.png", grey(99, 96, 64)).write("data/notes.pdf", "x").write("data/.hidden", "x");
    let counts = [("train", 3), ("val", 2), ("test", 2), ("unlabeled", 1)];
    let (table, said) = looked_at(&project, &[], &counts);
    insta::assert_snapshot!(table, @r#"
    format       = "folder"
    path         = "data"
    images       = "images"
    masks        = "masks"
    unlabeled    = "more"
    classes      = ["class_0", "class_1", "class_2"]
    values       = [0, 1, 2]
    "#);
    says(&said, &["7 with a mask, 1 without", "96×64 (8)", "8-bit grey png (8)", "1 .pdf file", "1 hidden file"]);
    says(&said, &["3 train, 2 val, 2 test, by folders", "--preview look", "matssl-run plan data.toml"]);
    // Nothing is overwritten.
    let again = project.run(&["new", "--from", "data"]);
    assert_eq!(
        (again.code, again.stderr.as_str()),
        (Some(2), "error: data.toml exists already; choose another name\n")
    );
    project.run(&["new", "--from", "data", "other"]).ok();
    std::fs::create_dir(project.path("inner")).unwrap();
    project.run(&["new", "--from", "data/train", "inner/third.toml"]).ok();
    let third = std::fs::read_to_string(project.path("inner/third.toml")).unwrap();
    // It is not below the file: the path is absolute.
    says(&third, &["name  = \"third\"", "/data/train\"", "split        = { val = 1, test = 1 }"]);
    experiment::load(&project.path("inner/third.toml"), &[], stage::KINDS).unwrap();
}

#[test]
fn folders_of_splits_with_other_names() {
    let project = Project::new("");
    both(&project, "data/set/training", "data/set/training_annot", &["a", "b", "c"], &[0, 128]);
    both(&project, "data/set/validate", "data/set/validate_annot", &["d", "dd"], &[0, 128]);
    let (table, _) = looked_at(&project, &["splits"], &[("train", 3), ("val", 2)]);
    insta::assert_snapshot!(table, @r#"
    format       = "folder"
    path         = "data"
    images       = "set/{split}"
    masks        = "set/{split}_annot"
    splits       = { train = "training", val = "validate" }
    classes      = ["class_0", "class_1"]
    values       = [0, 128]
    "#);
    let text = std::fs::read_to_string(project.path("data.toml")).unwrap();
    // No test images: those of validation are scored, and the file says what that means.
    says(&text, &["split        = \"val\"", "there are no test images"]);
}

#[test]
fn masks_beside_their_images_by_a_suffix_and_two_grey_values() {
    let project = Project::new("");
    for i in 0..6u32 {
        project.write(&format!("data/s1_{i}.png"), grey(i, 300, 200));
        project.write(&format!("data/s1_{i}_mask.png"), striped(&[0, 255], 300, 200));
    }
    project.write("data/s2_0.png", grey(50, 300, 200));
    let counts = [("train", 4), ("val", 1), ("test", 1), ("unlabeled", 1)];
    let (table, said) = looked_at(&project, &[], &counts);
    insta::assert_snapshot!(table, @r#"
    format       = "folder"
    path         = "data"
    images       = "."
    masks        = "."
    mask_pattern = "{stem}_mask"
    split        = { val = 1, test = 1 }
    classes      = ["class_0", "class_1"]
    values       = [0, 255]
    "#);
    says(&said, &["named {stem}_mask; values 0, 255"]);
    let text = std::fs::read_to_string(project.path("data.toml")).unwrap();
    // The largest multiple of 32 that every image holds.
    says(&text, &["size    = 192", "crop_size      = 192", "batch_size     = 4"]);
}

#[test]
fn masks_in_colours() {
    let project = Project::new("");
    for i in 0..5u32 {
        project.write(&format!("data/imgs/m{i}.png"), grey(i, 64, 64));
        let mask = RgbImage::from_fn(64, 64, |x, _| {
            if x < 40 { Rgb([255, 0, 0]) } else { Rgb([0, 0, if x < 60 { 255 } else { 0 }]) }
        });
        project.write(&format!("data/annotations/m{i}.png"), encoded(mask, ImageFormat::Png));
    }
    let (table, _) = looked_at(&project, &[], &[("train", 3), ("val", 1), ("test", 1)]);
    insta::assert_snapshot!(table, @r##"
    format       = "folder"
    path         = "data"
    images       = "imgs"
    masks        = "annotations"
    split        = { val = 1, test = 1 }
    classes      = ["class_0", "class_1", "class_2"]
    colors       = { class_0 = "#000000", class_1 = "#ff0000", class_2 = "#0000ff" }
    "##);
}

#[test]
fn sixteen_bit_images_and_255_beside_small_numbers() {
    let project = Project::new("");
    for i in 0..5u32 {
        let image = ImageBuffer::<Luma<u16>, Vec<u16>>::from_fn(64, 64, |x, y| Luma([(x * 50 + y * 5 + i) as u16]));
        project.write(&format!("data/images/m{i}.tif"), encoded(image, ImageFormat::Tiff));
        project.write(&format!("data/masks/m{i}.png"), striped(&[0, 1, 2, 255], 64, 64));
    }
    let (table, said) = looked_at(&project, &[], &[("train", 3), ("val", 1), ("test", 1)]);
    insta::assert_snapshot!(table, @r#"
    format       = "folder"
    path         = "data"
    images       = "images"
    masks        = "masks"
    split        = { val = 1, test = 1 }
    bits         = 12
    classes      = ["class_0", "class_1", "class_2"]
    values       = [0, 1, 2]
    ignore_label = 255
    "#);
    says(&said, &["16-bit grey tif (5); 12 bits are used"]);
}

#[test]
fn masks_that_are_shorter_by_an_info_bar() {
    let project = Project::new("");
    for i in 0..5u32 {
        project.write(&format!("data/images/m{i}.png"), grey(i, 96, 80));
        project.write(&format!("data/masks/m{i}.png"), striped(&[0, 1], 96, 64));
    }
    let (table, said) = looked_at(&project, &["crop"], &[("train", 3), ("val", 1), ("test", 1)]);
    insta::assert_snapshot!(table, @r#"
    format       = "folder"
    path         = "data"
    images       = "images"
    masks        = "masks"
    split        = { val = 1, test = 1 }
    crop         = { bottom = 16 }
    classes      = ["class_0", "class_1"]
    values       = [0, 1]
    "#);
    says(&said, &["info bar   16 rows at the bottom", "96×64 (5)"]);
}

#[test]
fn images_without_masks() {
    let project = Project::new("");
    for i in 0..4u32 {
        project.write(&format!("data/scans/m{i}.png"), grey(i, 96, 64));
    }
    let (table, said) = looked_at(&project, &[], &[("unlabeled", 4)]);
    insta::assert_snapshot!(table, @r#"
    format       = "folder"
    path         = "data"
    unlabeled    = "scans"
    "#);
    says(&said, &["0 with a mask, 4 without"]);
    let text = std::fs::read_to_string(project.path("data.toml")).unwrap();
    says(&text, &["use     = \"unlabeled\""]);
    assert!(!text.contains("finetune"), "{text}");
}

#[test]
fn annotations_of_coco_and_one_file_for_each_image() {
    let project = Project::new("");
    let mut images = Vec::new();
    for i in 0..5u32 {
        project.write(&format!("data/images/m{i}.png"), grey(i, 96, 64));
        images.push(serde_json::json!({ "id": i, "file_name": format!("m{i}.png"), "width": 96, "height": 64 }));
    }
    let shape = |i: u32| {
        let polygon = [0, 0, 40, 0, 40, 40, 0, 40];
        serde_json::json!({ "id": i, "image_id": i, "category_id": 7, "iscrowd": 0, "segmentation": [polygon] })
    };
    let coco = serde_json::json!({
        "images": images, "annotations": (0..5).map(shape).collect::<Vec<_>>(), "categories": [{ "id": 7, "name": "pore" }]
    });
    project.write("data/labels.json", coco.to_string()).write("data/settings.json", "{}");
    let (table, said) = looked_at(&project, &["annotations"], &[("train", 3), ("val", 1), ("test", 1)]);
    insta::assert_snapshot!(table, @r#"
    format       = "folder"
    path         = "data"
    images       = "images"
    split        = { val = 1, test = 1 }
    annotations  = "labels.json"
    classes      = ["background", "pore"]
    background   = "background"
    "#);
    says(&said, &["COCO in labels.json: pore"]);

    let project = Project::new("");
    for i in 0..3u32 {
        project.write(&format!("data/m{i}.png"), grey(i, 96, 64));
        let points = [[0.0, 0.0], [30.0, 0.0], [30.0, 30.0]];
        let shape = serde_json::json!({ "label": "grain", "points": points, "shape_type": "polygon" });
        let file = serde_json::json!({ "imagePath": format!("m{i}.png"), "shapes": [shape], "imageWidth": 96, "imageHeight": 64 });
        project.write(&format!("data/m{i}.json"), file.to_string());
    }
    let (table, _) = looked_at(&project, &["annotations"], &[("train", 1), ("val", 1), ("test", 1)]);
    says(
        &table,
        &["images       = \".\"", "annotations  = \"{stem}.json\"", "classes      = [\"background\", \"grain\"]"],
    );
}

#[test]
fn what_cannot_be_looked_at_is_refused_with_what_is_there() {
    let project = Project::new("");
    let refused = |code: i32, words: &[&str]| {
        let done = project.run(&["new", "--from", "data"]);
        assert_eq!(done.code, Some(code), "{}{}", done.stdout, done.stderr);
        says(&done.stderr, words);
        assert!(!project.path("data.toml").exists());
    };
    refused(4, &["data: not there"]);
    std::fs::create_dir(project.path("data")).unwrap();
    refused(5, &["no images found in it or below (png, tif", "it is empty"]);
    project.write("data/a.czi", "x").write("data/masks/a.png", striped(&[0, 1], 64, 64));
    refused(5, &["1 .czi file", "1 image file in masks"]);
    // Masks whose names say nothing about their images.
    project.write("data/images/micro-1.png", grey(1, 64, 64));
    refused(5, &["data/masks: no mask in it has a name with that of an image in images", "a.png", "micro-1.png"]);
    std::fs::remove_file(project.path("data/masks/a.png")).unwrap();
    // Masks stored as jpg.
    let mask = GrayImage::from_fn(64, 64, |x, _| Luma([u8::from(x < 32) * 255]));
    project.write("data/masks/micro-1.jpg", encoded(mask, ImageFormat::Jpeg));
    refused(5, &["micro-1.jpg: a mask stored as jpg"]);
    let none = project.run(&["new"]);
    assert_eq!(none.code, Some(2));
    assert_eq!(project.run(&["new", "x", "--from", "data", "--made-data"]).code, Some(2));
}

#[test]
fn masks_that_cannot_be_used_are_never_images_to_pretrain_on() {
    type Make = fn(&Project, u32);
    let cases: [(&str, Make, &[&str]); 5] = [
        (
            "one stem",
            |project, i| {
                project.write(&format!("data/m{i}.bmp"), encoded(noise(i), ImageFormat::Bmp));
                project.write(&format!("data/m{i}.png"), striped(&[0, 1], 96, 64));
            },
            &[
                "data: 6 images have a file of the same stem beside it, which looks like its mask (m0.bmp and m0.png); move \
                 the masks (.png) into a folder of their own (masks/)",
            ],
        ),
        (
            "twice",
            |project, i| {
                project.write(&format!("data/more/m{i}.bmp"), encoded(noise(i), ImageFormat::Bmp));
                project.write(&format!("data/more/m{i}.png"), grey(i, 96, 64));
            },
            &["data/more: 6 images have a file of the same stem beside it (m0.bmp and m0.png); keep one of two files"],
        ),
        (
            "nnU-Net",
            |project, i| {
                project.write(&format!("data/imagesTr/m{i}_0000.png"), grey(i, 96, 64));
                project.write(&format!("data/labelsTr/m{i}.png"), striped(&[0, 1], 96, 64));
                project.write(&format!("data/imagesTs/t{i}{i}_0000.png"), grey(i + 50, 96, 64));
            },
            &["data/labelsTr: its masks are called {stem}, and their images in imagesTr {stem}_0000 (e.g. m0.png and \
                 m0_0000.png); remove `_0000` from the names of the images"],
        ),
        (
            "gif",
            |project, i| {
                project.write(&format!("data/train/images/m{i}.png"), grey(i, 96, 64));
                project.write(&format!("data/train/masks/m{i}.gif"), "GIF89a");
            },
            &[
                "data/train/masks: 6 masks (e.g. m0.gif) in a format that is not read (.gif); convert masks to png, tif or bmp",
            ],
        ),
        (
            "grey levels",
            |project, i| {
                let values: Vec<u8> = (7..52).map(|i| i * 5).collect();
                both(project, "data/images", "data/masks", &[&format!("m{i}")], &values);
            },
            &["data/masks: its masks hold 45 values (35, 40, 45, …): grey levels"],
        ),
    ];
    for (what, make, words) in cases {
        let project = Project::new("");
        (0..6).for_each(|i| make(&project, i));
        let done = project.run(&["new", "--from", "data"]);
        assert_eq!(done.code, Some(5), "{what}: {}{}", done.stdout, done.stderr);
        says(&done.stderr, words);
        assert!(!project.path("data.toml").exists(), "{what}");
    }
}

fn noise(seed: u32) -> GrayImage {
    image::load_from_memory(&grey(seed, 96, 64)).unwrap().to_luma8()
}

#[test]
fn folders_to_test_on_and_masks_are_not_pretrained_on() {
    let project = Project::new("");
    for i in 0..4u32 {
        project.write(&format!("data/train/images/m{i}.png"), grey(i, 96, 64));
        project.write(&format!("data/test/images/t{i}.png"), grey(20 + i, 96, 64));
        project.write(&format!("data/test/images/u{i}.png"), grey(30 + i, 96, 64));
        project.write(&format!("data/odd/z{i}.png"), striped(&[0, 1], 96, 64));
    }
    let (table, said) = looked_at(&project, &[], &[("unlabeled", 4)]);
    says(&table, &["unlabeled    = \"train/images\""]);
    says(&said, &["8 image files in test/images: by their folder's name they are to validate or to test on"]);
    says(&said, &["4 image files in odd: they hold few values, as masks do"]);
}

#[test]
fn labelled_images_of_other_specimens_are_counted_with_the_cure() {
    let project = Project::new("");
    for specimen in ["S1", "S2", "S3"] {
        let stems = ["a", "b", "c", "d"].map(|stem| format!("{specimen}{stem}"));
        let stems: Vec<&str> = stems.iter().map(String::as_str).collect();
        both(&project, &format!("data/{specimen}/images"), &format!("data/{specimen}/masks"), &stems, &[0, 1]);
    }
    let (table, said) = looked_at(&project, &[], &[("train", 2), ("val", 1), ("test", 1)]);
    assert!(!table.contains("unlabeled"), "{table}");
    says(
        &said,
        &[
            "8 images with a mask in S1/images, S2/images are left out, only S3/images is used: move all images into one \
             folder and all masks into another, with sub folders of the same names (images/A and masks/A), and add \
             `recursive = true`",
        ],
    );
}

#[test]
fn annotations_of_via_as_a_table() {
    let project = Project::new("");
    let mut table =
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
            .to_owned();
    for i in 0..5u32 {
        project.write(&format!("data/images/m{i}.png"), grey(i, 96, 64));
        table += &format!(
            "m{i}.png,9,\"{{}}\",1,0,\"{{\"\"name\"\":\"\"rect\"\",\"\"x\"\":5,\"\"y\"\":6,\"\"width\"\":20,\"\"height\"\":30}}\",\
             \"{{\"\"phase\"\":\"\"pore\"\"}}\"\n"
        );
    }
    project.write("data/labels.csv", table).write("data/more.json", "{}");
    let (table, said) = looked_at(&project, &["annotations"], &[("train", 3), ("val", 1), ("test", 1)]);
    insta::assert_snapshot!(table, @r#"
    format       = "folder"
    path         = "data"
    images       = "images"
    split        = { val = 1, test = 1 }
    annotations  = "labels.csv"
    classes      = ["background", "pore"]
    background   = "background"
    attribute    = "phase"
    without_shapes = "unlabeled"
    "#);
    says(&said, &["VIA in labels.csv: pore", "1 .json file"]);
}

#[test]
fn a_preview_shows_classes_in_colour_and_lists_all_pictures() {
    let project = steel(EXPERIMENT);
    let done = project.run(&["data", "experiment.toml", "--no-leaks", "--preview", "look"]).ok();
    says(&done.stdout, &["preview: 6 pictures in look/index.html", "steel  6 labelled images"]);
    says(&done.stderr, &["drawing steel"]);
    let mut names = project.files("look").into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    names.sort();
    let pictures = ["test/t-0", "test/t-1", "train/a-0", "train/a-1", "train/a-2", "val/v-0"];
    let expected: Vec<String> = pictures.iter().map(|name| format!("steel/{name}.png")).collect();
    assert_eq!(names, [&[".matssl-preview".to_owned()], &expected[..]].concat());
    let page = std::fs::read_to_string(project.path("look/index.html")).unwrap();
    for name in &expected {
        says(&page, &[&format!("src=\"./{name}\"")]);
    }
    says(&page, &["id=\"split-train\"", "id=\"split-val\"", "id=\"split-test\"", "train: images/a-0.png"]);
    // The mask is class 1 left of column 60 of 240; pictures are shown twice as large. The micrograph is left of it.
    let picture = image::open(project.path("look/steel/train/a-0.png")).unwrap().to_rgb8();
    assert_eq!(picture.width(), 2 * 480 + 3 * 8);
    let micrograph = image::open(project.path("steel/images/a-0.png")).unwrap().to_luma8();
    let over =
        |under: u8, colour: [u8; 3]| colour.map(|c| (f64::from(under) * 0.55 + f64::from(c) * 0.45).round() as u8);
    for (x, y, colour) in [(20u32, 100u32, [0xe6, 0x9f, 0x00]), (150, 30, [0x2b, 0x2f, 0x36])] {
        let under = micrograph.get_pixel(x, y)[0];
        let at = |panel: u32| picture.get_pixel(8 + panel * (480 + 8) + 2 * x, 52 + 2 * y).0;
        assert_eq!(at(0), [under; 3]);
        assert_eq!(at(1), over(under, colour));
    }
    // Again: replaced. Pictures that are not wanted any more are removed, other files in it stay.
    project.write("look/notes.txt", "mine");
    let few = ["data", "experiment.toml", "--no-leaks", "--preview", "look", "--preview-count", "2", "--json"];
    let done = project.run(&few).ok();
    let json: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(json["preview"]["pictures"], 2);
    assert_eq!(json["preview"]["datasets"][0]["note"], "2 of 6 labelled images, evenly spaced (--preview-count)");
    let left = project.files("look").into_iter().filter(|(name, _)| name.ends_with(".png")).count();
    assert_eq!((left, project.path("look/notes.txt").exists()), (2, true));
    // A folder with files of others, and a file, are left alone, before any image is read.
    for (folder, words) in [("steel", "holds files that no preview wrote"), ("experiment.toml", "not a folder")] {
        let before = project.files(folder);
        let refused = project.run(&["data", "experiment.toml", "--preview", folder]);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        says(&refused.stderr, &["error: --preview ", words]);
        assert!(!refused.stderr.contains("checking") && project.files(folder) == before);
    }
    assert_eq!(project.run(&["data", "experiment.toml", "--preview-count", "2"]).code, Some(2));
}

#[test]
fn a_preview_of_what_is_not_there_says_so() {
    let text = format!("{EXPERIMENT}\n[stages.drawn]\nkind = \"synthesize\"\nsize = 64\ntrain = 1\n");
    let project = steel(&text);
    let done = project.run(&["data", "experiment.toml", "--no-leaks", "--preview", "look"]).ok();
    says(&done.stdout, &["drawn", "not there yet: a run draws it"]);
    let page = std::fs::read_to_string(project.path("look/index.html")).unwrap();
    says(&page, &["<h2>drawn</h2>", "not there yet"]);
    // A data set that is wrong is reported as without a preview, and the page says so.
    project.write("steel/images/a-0.png", "no image");
    let done = project.run(&["data", "experiment.toml", "--no-leaks", "--preview", "look"]);
    assert_eq!(done.code, Some(5));
    says(&done.stdout, &["cannot be shown: it is missing or wrong"]);
    says(&done.stderr, &["a-0.png"]);
}
