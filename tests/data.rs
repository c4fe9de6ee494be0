//! `matssl-run data`: which data sets are there, which are missing, which images leak.

mod common;
use common::steel::{EXPERIMENT, SMALL, bmp, micrograph, png, small_experiment, steel};
use image::codecs::jpeg::JpegEncoder;
use image::{GrayImage, Luma};
use serde_json::Value;

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is missing from:\n{text}");
    }
}

#[test]
fn data_sets_are_counted_with_and_without_a_cache() {
    let project = steel(EXPERIMENT);
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
            // 240 pixels in steps of 32: 6 positions in each direction.
            "unlabeled of steel, 64² overlap 0.5 drop  144",
            "leaks: none found (10 images compared)",
        ],
    );
    assert!(done.stderr.contains("checking steel") && done.stderr.contains("comparing images"), "{}", done.stderr);
    assert_eq!(project.run(&["data", "experiment.toml", "--quiet"]).ok().stderr, "");
    // The output is the same after the data set's stage has run.
    project.run(&["experiment.toml", "--only", "patches"]).ok();
    let cached = project.run(&["data", "experiment.toml"]).ok();
    assert_eq!(cached.stdout, done.stdout);
    let json: Value = serde_json::from_str(&project.run(&["data", "experiment.toml", "--json"]).ok().stdout).unwrap();
    assert_eq!(json["datasets"][0]["state"], "found");
    assert_eq!(json["datasets"][0]["splits"][2]["images"], 2);
    assert_eq!(json["patches"][0]["patches"], 144);
    assert_eq!(json["leaks"], Value::Array(Vec::new()));
    assert_eq!(json["compared"], 10);
    // Images are compared once, and again only if the stored result is damaged.
    let findings = || -> Vec<String> {
        let names = project.names("cache/findings");
        names.into_iter().filter(|name| std::fs::read_to_string(name).unwrap().contains("\"leaks\"")).collect()
    };
    assert!(!cached.stderr.contains("comparing images"), "{}", cached.stderr);
    let [file] = &findings()[..] else { panic!("{:?}", findings()) };
    let stored = std::fs::read(file).unwrap();
    std::fs::write(file, &stored[..stored.len() - 3]).unwrap();
    assert!(project.run(&["data", "experiment.toml"]).ok().stderr.contains("comparing images"));
    assert_eq!(std::fs::read(file).unwrap(), stored);
    // With `--no-leaks` nothing is compared.
    assert!(!project.run(&["data", "experiment.toml", "--no-leaks"]).ok().stdout.contains("leaks:"));
    // Another use of the images needs another comparison.
    project.edit("use = \"unlabeled\"", "use = \"train\"");
    assert!(project.run(&["data", "experiment.toml"]).ok().stderr.contains("comparing images"));
    assert_eq!(findings().len(), 2);
    project.run(&["cache", "verify"]).ok();
    project.run(&["cache", "ls"]).ok();
    project.run(&["cache", "gc", "--yes", "--older-than", "0s"]).ok();
}

/// The key of a stage holds the manifest of the images that it reads, not that of the others.
#[test]
fn a_renamed_test_image_reruns_no_training() {
    let project = steel(&small_experiment());
    project.run(&["experiment.toml"]).ok();
    let rename = |old: &str, new: &str| {
        for folder in ["images", "masks"] {
            let path = |stem: &str| project.path(&format!("steel/{folder}/{stem}.png"));
            std::fs::rename(path(old), path(new)).unwrap();
        }
    };
    rename("t-1", "t-9");
    project.edit("\"t-1\"", "\"t-9\"");
    let stages = |text: &str| -> Vec<String> {
        let json: Value = serde_json::from_str(text).unwrap();
        let stages = json["stages"].as_array().unwrap().iter();
        stages
            .map(|stage| format!("{} {}", stage["stage"].as_str().unwrap(), stage["state"].as_str().unwrap()))
            .collect()
    };
    project.run(&["experiment.toml", "--only", "steel"]).ok();
    let planned = project.run(&["plan", "experiment.toml", "--json"]).ok();
    assert_eq!(
        stages(&planned.stdout),
        ["steel cached", "patches cached", "ssl@0 cached", "segment@0 cached", "test@0 run"]
    );
    assert!(project.run(&["experiment.toml"]).ok().stderr.contains("1 ran, 4 cached"));
    // A training image with another name is read in another order, perhaps.
    rename("a-1", "a-9");
    project.run(&["experiment.toml", "--only", "steel"]).ok();
    let why = project.run(&["explain", "experiment.toml", "segment"]).ok();
    says(&why.stdout, &["manifest.train.json"]);
    assert!(!why.stdout.contains("manifest.json"), "{}", why.stdout);
    project.run(&["cache", "gc", "--keep", "experiment.toml", "--yes"]).ok();
    let planned = project.run(&["plan", "experiment.toml", "--json"]).ok();
    assert_eq!(
        stages(&planned.stdout),
        ["steel cached", "patches cached", "ssl@0 cached", "segment@0 run", "test@0 waits"]
    );
}

#[test]
fn everything_that_is_missing_is_named_with_its_source() {
    let project = steel(EXPERIMENT);
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
            "42 labelled images, 164 unlabelled ones; size unknown, hash unknown",
            "missing imagenet  resnet50 v1.5",
            "https://download.pytorch.org/models/resnet50-0676ba61.pth: 97.8 MiB, SHA-256 0676ba61…",
            "missing mine.pth  resnet18",
            "leaks: none found (10 images compared)\n        not compared, because missing: metaldam\n",
        ],
    );
    says(
        &done.stderr,
        &["error: metaldam: ", "holds none of resnet50-imagenet.safetensors", "mine.pth: no such weight"],
    );
    // Files with the right name and the wrong content.
    project.write("weights/resnet50-0676ba61.pth", "not weights");
    project.write("mine.pth", "whatever");
    let done = project.run(&["data", "experiment.toml"]);
    says(&done.stdout, &["bad     imagenet", "its SHA-256 begins with ", "not with 0676ba61"]);
    assert_eq!(done.code, Some(5));
    // A run reports the same before any stage starts.
    let run = project.run(&["experiment.toml", "--only", "segment-metaldam.a"]);
    assert_eq!(run.code, Some(5), "{}", run.stderr);
    says(&run.stderr, &["error: metaldam: ", "error: segment-metaldam.a@0: ", "is not the published file"]);
    // An image that cannot be decoded is bad.
    project.write("experiment.toml", EXPERIMENT).write("steel/unlabeled/u-9.png", &png(&micrograph(9))[..2000]);
    let done = project.run(&["data", "experiment.toml"]);
    assert_eq!(done.code, Some(5));
    says(&done.stdout, &["bad     steel"]);
    says(&done.stderr, &["u-9.png: damaged or cut short"]);
}

#[test]
fn what_is_passed_over_is_counted() {
    let project = steel(EXPERIMENT);
    for name in ["a.gif", "b.gif", "c.gif", "._u-1.tif", ".hidden"] {
        project.write(&format!("steel/unlabeled/{name}"), "x");
    }
    for i in 0..12 {
        project.write(&format!("steel/unlabeled/old/{i}.png"), png(&micrograph(i)));
    }
    let words = "passed over: 3 .gif, 2 hidden files, 1 folder (unlabeled/old, 12 images)\n";
    says(&project.run(&["data", "experiment.toml"]).ok().stdout, &[words]);
    let json = project.run(&["data", "experiment.toml", "--json"]).ok().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let expected = serde_json::json!({
        "formats": { ".gif": 3 }, "hidden": 2, "images": 0, "folders": [["unlabeled/old", 12]], "animated": []
    });
    assert_eq!(json["datasets"][0]["passed_over"], expected);
}

#[test]
fn leaks_are_warnings_and_with_strict_errors() {
    let project = steel(EXPERIMENT);
    let test = micrograph(0);
    // A darker jpg of a part of a test image is among the unlabelled images, and a part of the validation image among the training
    // images. A copy of a training image among the unlabelled ones is no leak.
    let part = image::imageops::crop_imm(&test, 30, 50, 160, 150).to_image();
    let dark = GrayImage::from_fn(160, 150, |x, y| Luma([part.get_pixel(x, y)[0] / 2 + 10]));
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 70).encode_image(&dark).unwrap();
    project.write("steel/unlabeled/leak.jpg", jpeg);
    let part = image::imageops::crop_imm(&micrograph(2), 0, 20, 240, 200).to_image();
    project.write("steel/images/a-7.png", png(&part));
    project.write("steel/masks/a-7.png", png(&GrayImage::from_pixel(240, 200, Luma([1]))));
    project.write("steel/unlabeled/u-9.bmp", bmp(&micrograph(3)));
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
    assert!(strict.stderr.contains("error: 2 leaks of images or specimens (--strict)"), "{}", strict.stderr);
    let json: Value = serde_json::from_str(&strict.stdout).unwrap();
    assert_eq!(json["leaks"][0]["trained"]["image"], "unlabeled/leak.jpg");
    assert_eq!(json["leaks"][0]["kind"], "crop");
    project.run(&["data", "experiment.toml", "--strict", "--no-leaks"]).ok();
    // An unlabelled image that is not pretrained on is no leak.
    project.edit("use = \"unlabeled\"", "use = \"train\"");
    let done = project.run(&["data", "experiment.toml"]).ok();
    says(&done.stdout, &["leaks: 1 pair of images", "images/a-7.png (pretraining, training)"]);
}

/// A table of the evaluations with and without pretraining.
const REPORTED: &str = r#"
[[tables]]
file = "scores"
rows = { "SimCLR" = "test", "plain" = "test-plain" }
"#;

#[test]
fn a_run_warns_of_leaks_and_its_page_shows_them() {
    let text = small_experiment();
    let plain = format!(
        "[stages.plain]\nkind = \"finetune\"\ndataset = \"steel\"\nepochs = 1\n{SMALL}encoder = {{ arch = \"resnet18\", \
         width = 8, weights = \"random\" }}\n[stages.test-plain]\nkind = \"evaluate\"\ndataset = \"steel\"\nmodel = \"plain\"\n"
    );
    let project = steel(&format!("{text}{plain}{REPORTED}"));
    let clean = project.run(&["experiment.toml"]).ok();
    assert!(!clean.stderr.contains("warning"), "{}", clean.stderr);
    let page = || std::fs::read_to_string(project.path("reports/experiment/index.html")).unwrap();
    let json = || -> Value {
        serde_json::from_slice(&std::fs::read(project.path("reports/experiment/run.json")).unwrap()).unwrap()
    };
    says(
        &page(),
        &[
            "No leaks found: none of the scored images was trained on, in whole or in part (10 images compared)",
            "240×240",
            "8-bit grey png; all are grey",
            "75.00 % (3)",
        ],
    );
    assert_eq!((&json()["leaks"]["compared"], &json()["leaks"]["found"]), (&10.into(), &Value::Array(Vec::new())));
    assert!(!page().contains("class=\"leak\""), "no row is marked");

    // A test image, and a turned part of another one, are among the unlabelled images.
    project.write("steel/unlabeled/u-8.bmp", bmp(&micrograph(0)));
    let part = image::imageops::crop_imm(&micrograph(1), 30, 50, 160, 150).to_image();
    project.write("steel/unlabeled/u-9.png", png(&image::imageops::rotate90(&part)));
    let leaky = project.run(&["experiment.toml"]).ok();
    let warning = "warning: data: 2 images that are scored on were also trained on, whole or in part; see \
                   reports/experiment/index.html or `matssl-run data experiment.toml`";
    assert_eq!(leaky.stderr.matches(warning).count(), 1, "{}", leaky.stderr);
    says(
        &page(),
        &[
            "Leaks: 2 pairs of images",
            "scored on steel test images/t-0.png; trained on steel unlabeled unlabeled/u-8.bmp (pretraining)",
            "160×150 at (30, 50), turned by 270°, 42 % of the scored image",
            "<td>SimCLR <a class=\"leak\"",
            "<td>plain</td>",
            "up to 2 images",
        ],
    );
    assert_eq!(page().matches("data:image/jpeg;base64,").count(), 4, "two pairs of pictures");
    let found = &json()["leaks"]["found"];
    assert_eq!(found[1]["trained"]["region"], serde_json::json!({"left": 0, "top": 0, "width": 150, "height": 160}));
    assert_eq!(found[1]["scored"]["region"], serde_json::json!({"left": 30, "top": 50, "width": 160, "height": 150}));
    assert_eq!(json()["tables"][0]["leaks"], serde_json::json!([{"label": "SimCLR", "images": 2}]));

    // Each command repeats the warning without a new comparison, also if the cache cannot be written.
    let (findings, html) = (project.files("cache/findings"), page());
    for verb in [&["experiment.toml"][..], &["report", "experiment.toml"]] {
        let again = project.run(verb).ok();
        assert_eq!(again.stderr.matches(warning).count(), 1, "{}", again.stderr);
        assert_eq!(page(), html);
    }
    let data = project.run(&["data", "experiment.toml"]).ok();
    assert!(!data.stderr.contains("comparing images"), "{}", data.stderr);
    says(&data.stdout, &["leaks: 2 pairs of images", "160×150 at (30, 50), turned by 270°"]);
    assert_eq!(project.files("cache/findings"), findings);
    std::fs::remove_dir_all(project.path("cache/findings")).unwrap();
    project.write("cache/findings", "in the way");
    let again = project.run(&["experiment.toml"]).ok();
    assert_eq!(again.stderr.matches(warning).count(), 1, "{}", again.stderr);
    assert_eq!(page(), html);
}

#[test]
fn specimens_in_two_splits_are_named_with_the_option_specimen() {
    let project = steel(EXPERIMENT);
    project.write("steel/images/t-9.png", png(&micrograph(77)));
    project.write("steel/masks/t-9.png", png(&GrayImage::from_pixel(240, 240, Luma([0]))));
    let done = project.run(&["data", "experiment.toml", "--specimen", "^([a-z]+)-"]).ok();
    says(
        &done.stdout,
        &[
            "specimens that are both trained on and scored on: 1\n",
            "warning steel  t  2 test  and  1 train  (training)",
        ],
    );
    let done = project.run(&["data", "experiment.toml", "--specimen", "^([a-z]+-", "--strict"]);
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains("error: --specimen: "), "{}", done.stderr);
}
