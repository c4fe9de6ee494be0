//! `matssl-run data`: what is in place, what is missing, what leaks.

mod common;
use common::Project;
use common::steel::{self, bmp, micrograph, png};
use image::codecs::jpeg::JpegEncoder;
use image::{GrayImage, Luma};
use serde_json::Value;

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

/// Two test, one validation, three training and four unlabelled images.
fn steel() -> Project {
    steel::steel(EXPERIMENT)
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
            "leaks: none found (10 images compared)",
        ],
    );
    assert!(done.stderr.contains("checking steel") && done.stderr.contains("comparing images"), "{}", done.stderr);
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
    assert_eq!(json["compared"], 10);
    // Compared once, whoever asks, and once more only where what was kept is damaged.
    let findings = || -> Vec<String> {
        let names = project.names("cache/findings");
        names.into_iter().filter(|name| std::fs::read_to_string(name).unwrap().contains("\"leaks\"")).collect()
    };
    assert!(!cached.stderr.contains("comparing images"), "{}", cached.stderr);
    let [file] = &findings()[..] else { panic!("{:?}", findings()) };
    let whole = std::fs::read(file).unwrap();
    std::fs::write(file, &whole[..whole.len() - 3]).unwrap();
    assert!(project.run(&["data", "experiment.toml"]).ok().stderr.contains("comparing images"));
    assert_eq!(std::fs::read(file).unwrap(), whole);
    // `--specimen` asks for more than is kept, `--no-leaks` for nothing.
    assert!(!project.run(&["data", "experiment.toml", "--no-leaks"]).ok().stdout.contains("leaks:"));
    // Another image, or another use of them, is another state.
    project.edit("use = \"unlabeled\"", "use = \"train\"");
    assert!(project.run(&["data", "experiment.toml"]).ok().stderr.contains("comparing images"));
    assert_eq!(findings().len(), 2);
    project.run(&["cache", "verify"]).ok();
    project.run(&["cache", "ls"]).ok();
    project.run(&["cache", "gc", "--yes", "--older-than", "0s"]).ok();
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
            "42 labelled images, 164 unlabelled ones; size unknown, hash unknown",
            "missing imagenet  resnet50 v1.5",
            "https://download.pytorch.org/models/resnet50-0676ba61.pth: 97.8 MiB, SHA-256 0676ba61…",
            "missing mine.pth  resnet18",
            "leaks: none found (10 images compared)\n        not compared, for they are not there: metaldam\n",
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
    assert_eq!(run.code, Some(5), "{}", run.stderr);
    says(&run.stderr, &["error: metaldam: ", "error: segment-metaldam.a@0: ", "is not the published file"]);
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
    // Without pretraining on it, an unlabelled image harms nobody.
    project.edit("use = \"unlabeled\"", "use = \"train\"");
    let done = project.run(&["data", "experiment.toml"]).ok();
    says(&done.stdout, &["leaks: 1 pair of images", "images/a-7.png (pretraining, training)"]);
}

/// Small enough to train in a second.
const REPORTED: &str = r#"
[[tables]]
file = "scores"
rows = { "SimCLR" = "test", "plain" = "test-plain" }
"#;

#[test]
fn a_run_says_what_leaks_and_its_page_shows_it() {
    let small = "decoder_channels = [16, 16, 8, 8, 8]\ncrop_size = 64\nbatch_size = 2\n";
    let text = EXPERIMENT.replace("encoder = \"ssl\"\n", &format!("encoder = \"ssl\"\n{small}"));
    let plain = format!(
        "[stages.plain]\nkind = \"finetune\"\ndataset = \"steel\"\nepochs = 1\n{small}encoder = {{ arch = \"resnet18\", \
         width = 8, weights = \"random\" }}\n[stages.test-plain]\nkind = \"evaluate\"\ndataset = \"steel\"\nmodel = \"plain\"\n"
    );
    let project = steel::steel(&format!("{text}{plain}{REPORTED}"));
    let clean = project.run(&["experiment.toml"]).ok();
    assert!(!clean.stderr.contains("warning"), "{}", clean.stderr);
    let page = || std::fs::read_to_string(project.path("reports/experiment/index.html")).unwrap();
    let json = || -> Value {
        serde_json::from_slice(&std::fs::read(project.path("reports/experiment/run.json")).unwrap()).unwrap()
    };
    says(
        &page(),
        &["Leaks: none found (10 images compared)", "240×240", "8-bit grey png; all are grey", "75.00 % (3)"],
    );
    assert_eq!((&json()["leaks"]["compared"], &json()["leaks"]["found"]), (&10.into(), &Value::Array(Vec::new())));
    assert!(!page().contains("class=\"leak\""), "no row is marked");

    // The test image itself and a part of it, turned, among the unlabelled.
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
            "steel test images/t-0.png is scored on, steel unlabeled unlabeled/u-8.bmp is trained on (pretraining)",
            "160×150 at (30, 50), turned by 270°, 42 % of the scored image",
            "<td>SimCLR <a class=\"leak\"",
            "<td>plain</td>",
            "up to 2 of the images",
        ],
    );
    assert_eq!(page().matches("data:image/jpeg;base64,").count(), 4, "two pairs of pictures");
    let found = &json()["leaks"]["found"];
    assert_eq!(found[1]["trained"]["region"], serde_json::json!({"left": 0, "top": 0, "width": 150, "height": 160}));
    assert_eq!(found[1]["scored"]["region"], serde_json::json!({"left": 30, "top": 50, "width": 160, "height": 150}));
    assert_eq!(json()["tables"][0]["leaks"], serde_json::json!([{"label": "SimCLR", "images": 2}]));

    // Said again each time, not looked for again, by whichever verb; also with a cache that cannot be written.
    let (kept, html) = (project.files("cache/findings"), page());
    for verb in [&["experiment.toml"][..], &["report", "experiment.toml"]] {
        let again = project.run(verb).ok();
        assert_eq!(again.stderr.matches(warning).count(), 1, "{}", again.stderr);
        assert_eq!(page(), html);
    }
    let data = project.run(&["data", "experiment.toml"]).ok();
    assert!(!data.stderr.contains("comparing images"), "{}", data.stderr);
    says(&data.stdout, &["leaks: 2 pairs of images", "160×150 at (30, 50), turned by 270°"]);
    assert_eq!(project.files("cache/findings"), kept);
    std::fs::remove_dir_all(project.path("cache/findings")).unwrap();
    project.write("cache/findings", "in the way");
    let again = project.run(&["experiment.toml"]).ok();
    assert_eq!(again.stderr.matches(warning).count(), 1, "{}", again.stderr);
    assert_eq!(page(), html);
}

#[test]
fn specimens_on_both_sides_are_named_when_asked_for() {
    let project = steel();
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
