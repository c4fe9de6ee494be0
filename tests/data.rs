//! `matssl-run data`: what is in place, what is missing, what leaks.

mod common;
use common::Project;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, GrayImage, ImageFormat, Luma};
use serde_json::Value;
use std::io::Cursor;

const EXPERIMENT: &str = r#"
name = "experiment"

[datasets.steel]
format  = "folder"
path    = "steel"
classes = ["matrix", "island"]
unlabeled = "unlabeled"
test_images = ["t-0", "t-1"]
val_images = ["v-0"]

[stages.patches]
kind = "patchify"
dataset = "steel"
use = "unlabeled"
size = 64
overlap = 0.5

[stages.ssl]
kind = "pretrain"
patches = "patches"
method = "simclr"
encoder = { arch = "resnet18", width = 8, weights = "random" }
epochs = 1
batch_size = 4

[stages.segment]
kind = "finetune"
dataset = "steel"
encoder = "ssl"
epochs = 1

[stages.test]
kind = "evaluate"
dataset = "steel"
model = "segment"
"#;

/// Smooth noise: the sum of a few thousand soft spots, drawn by a counter.
fn micrograph(seed: u32) -> GrayImage {
    const SIZE: usize = 240;
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(2_891_336_453) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize
    };
    let mut values = vec![128.0f64; SIZE * SIZE];
    for _ in 0..900 {
        let (x, y, radius) = (next() % SIZE, next() % SIZE, 2 + next() % 9);
        let height = if next() % 2 == 0 { 60.0 } else { -60.0 };
        for dy in 0..=2 * radius {
            for dx in 0..=2 * radius {
                let (px, py) = ((x + dx).wrapping_sub(radius), (y + dy).wrapping_sub(radius));
                let far = (dx.abs_diff(radius).pow(2) + dy.abs_diff(radius).pow(2)) as f64 / radius.pow(2) as f64;
                if px < SIZE && py < SIZE && far < 1.0 {
                    values[py * SIZE + px] += height * (1.0 - far) * 0.5;
                }
            }
        }
    }
    GrayImage::from_fn(SIZE as u32, SIZE as u32, |x, y| {
        Luma([values[y as usize * SIZE + x as usize].clamp(0.0, 255.0) as u8])
    })
}

fn png(image: &GrayImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(image.clone()).write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Two test, one validation, three training and four unlabelled images, none like another.
fn steel() -> Project {
    let project = Project::new(EXPERIMENT);
    for (i, stem) in ["t-0", "t-1", "v-0", "a-0", "a-1", "a-2"].into_iter().enumerate() {
        project.write(&format!("steel/images/{stem}.png"), png(&micrograph(i as u32)));
        let mask = GrayImage::from_fn(240, 240, |x, _| Luma([u8::from(x < 60)]));
        project.write(&format!("steel/masks/{stem}.png"), png(&mask));
    }
    for i in 0..4u32 {
        project.write(&format!("steel/unlabeled/u-{i}.png"), png(&micrograph(100 + i)));
    }
    project
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is missing from:\n{text}");
    }
}

#[test]
fn what_is_there_is_counted_with_and_without_a_cache() {
    let project = steel();
    let done = project.run(&["data", "experiment.toml"]).ok();
    says(
        &done.stdout,
        &[
            "experiment: 1 data set, 1 found",
            "10: 3 train, 1 val, 2 test, 4 unlabeled",
            "sizes     240×240\n",
            "stored    8-bit grey png; all are grey",
            "matrix  75.00 % (3)",
            "island  25.00 % (3)",
            // 240 pixels in steps of 32: 6 places each way.
            "unlabeled of steel, 64² overlap 0.5 drop  144",
            "leaks: none found",
        ],
    );
    assert!(done.stderr.contains("checking steel"), "{}", done.stderr);
    assert_eq!(project.run(&["data", "experiment.toml", "--quiet"]).ok().stderr, "");
    // The data set's stage says the same, once it has run.
    project.run(&["experiment.toml", "--only", "patches"]).ok();
    let cached = project.run(&["data", "experiment.toml"]).ok();
    assert_eq!(cached.stdout, done.stdout);
    let json: Value = serde_json::from_str(&project.run(&["data", "experiment.toml", "--json"]).ok().stdout).unwrap();
    assert_eq!(json["datasets"][0]["state"], "found");
    assert_eq!(json["datasets"][0]["splits"][2]["images"], 2);
    assert_eq!(json["patches"][0]["patches"], 144);
    assert_eq!(json["leaks"], Value::Array(Vec::new()));
}

#[test]
fn all_that_is_missing_is_named_with_its_source() {
    let project = steel();
    let more = r#"
[datasets.metaldam]
format = "metaldam"
path   = "metaldam/MetalDAM"

[stages.segment-metaldam]
kind = "finetune"
dataset = "metaldam"
matrix.encoder = { a = { arch = "resnet50", weights = "imagenet" }, b = { arch = "resnet18", weights = "mine.pth" } }
epochs = 1
"#;
    project.write("experiment.toml", EXPERIMENT.to_owned() + more);
    let done = project.run(&["data", "experiment.toml"]);
    assert_eq!(done.code, Some(4), "{}{}", done.stdout, done.stderr);
    says(
        &done.stdout,
        &[
            "2 data sets, 2 files of weights, 1 found, 3 missing",
            "missing metaldam  metaldam",
            "https://github.com/ari-dasci/OD-MetalDAM/releases",
            "42 labelled images, 164 unlabelled ones; size not known, hash not known",
            "missing imagenet  resnet50 v1.5",
            "https://download.pytorch.org/models/resnet50-0676ba61.pth: 97.8 MiB, SHA-256 0676ba61…",
            "missing mine.pth  resnet18",
            "leaks: none found\n        not compared, for they are not there: metaldam\n",
        ],
    );
    says(
        &done.stderr,
        &["error: metaldam: ", "holds none of resnet50-imagenet.safetensors", "mine.pth: no such weight"],
    );
    // A file that only has the name.
    project.write("weights/resnet50-0676ba61.pth", "not weights");
    project.write("mine.pth", "whatever");
    let done = project.run(&["data", "experiment.toml"]);
    says(&done.stdout, &["bad     imagenet", "its SHA-256 begins with ", "not with 0676ba61"]);
    assert_eq!(done.code, Some(5));
    // A run says so, too, before anything starts.
    let run = project.run(&["experiment.toml", "--only", "segment-metaldam.a"]);
    assert_eq!(run.code, Some(4), "what is missing comes first: {}", run.stderr);
    assert!(run.stderr.contains("metaldam"), "{}", run.stderr);
    // What cannot be decoded is bad.
    project.write("experiment.toml", EXPERIMENT).write("steel/unlabeled/u-9.png", &png(&micrograph(9))[..2000]);
    let done = project.run(&["data", "experiment.toml"]);
    assert_eq!(done.code, Some(5));
    says(&done.stdout, &["bad     steel"]);
    says(&done.stderr, &["u-9.png: damaged or cut short"]);
}

#[test]
fn leaks_into_what_is_scored_are_warnings_and_with_strict_errors() {
    let project = steel();
    let test = micrograph(0);
    // A darker jpg of a part of a test image among the unlabelled, a part of the validation image among the training images;
    // a copy of a training image among the unlabelled is no leak.
    let part = image::imageops::crop_imm(&test, 30, 50, 160, 150).to_image();
    let dark = GrayImage::from_fn(160, 150, |x, y| Luma([part.get_pixel(x, y)[0] / 2 + 10]));
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 70).encode_image(&dark).unwrap();
    project.write("steel/unlabeled/leak.jpg", jpeg);
    let part = image::imageops::crop_imm(&micrograph(2), 0, 20, 240, 200).to_image();
    project.write("steel/images/a-7.png", png(&part));
    project.write("steel/masks/a-7.png", png(&GrayImage::from_pixel(240, 200, Luma([1]))));
    project.write("steel/unlabeled/u-9.bmp", {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::from(micrograph(3)).write_to(&mut bytes, ImageFormat::Bmp).unwrap();
        bytes.into_inner()
    });
    let done = project.run(&["data", "experiment.toml"]).ok();
    says(
        &done.stdout,
        &[
            "leaks: 2 pairs of images",
            "steel test images/t-0.png",
            "steel unlabeled unlabeled/leak.jpg (pretraining)",
            "160×150 at (30, 50)",
            "42 % of it",
            "steel val images/v-0.png",
            "steel train images/a-7.png (training)",
            "240×200 at (0, 20)",
        ],
    );
    let strict = project.run(&["data", "experiment.toml", "--strict", "--json"]);
    assert_eq!(strict.code, Some(5));
    assert!(strict.stderr.contains("error: 2 of what is scored on was trained on (--strict)"), "{}", strict.stderr);
    let json: Value = serde_json::from_str(&strict.stdout).unwrap();
    assert_eq!(json["leaks"][0]["trained"]["image"], "unlabeled/leak.jpg");
    assert_eq!(json["leaks"][0]["kind"], "crop");
    project.run(&["data", "experiment.toml", "--strict", "--no-leaks"]).ok();
    // Without pretraining on it, an unlabelled image harms nobody.
    project.edit("use = \"unlabeled\"", "use = \"train\"");
    let done = project.run(&["data", "experiment.toml"]).ok();
    says(&done.stdout, &["leaks: 1 pair of images", "images/a-7.png (pretraining, training)"]);
}

#[test]
fn specimens_on_both_sides_are_named_when_asked_for() {
    let project = steel();
    project.write("steel/images/t-9.png", png(&micrograph(77)));
    project.write("steel/masks/t-9.png", png(&GrayImage::from_pixel(240, 240, Luma([0]))));
    let done = project.run(&["data", "experiment.toml", "--specimen", "^([a-z]+)-"]).ok();
    says(&done.stdout, &["specimens on both sides: 1\n", "warning steel  t  2 test  and  1 train  (training)"]);
    let done = project.run(&["data", "experiment.toml", "--specimen", "^([a-z]+-", "--strict"]);
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains("error: --specimen: "), "{}", done.stderr);
}
