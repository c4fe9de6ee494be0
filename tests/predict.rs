//! `matssl-run predict` as a user runs it, on a model folder with random weights.

mod common;

#[path = "predict/model.rs"]
#[allow(unreachable_pub, reason = "a file of this test")]
mod model;

use common::{Done, Project};
use model::{image, write_model, write_model_of};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

/// A project with a model and three images in two folders.
fn project() -> Project {
    let project = Project::new("");
    write_model(&project.path("model"), 1);
    for (name, seed, size) in [("in/a.png", 1, (50, 41)), ("in/b.tif", 2, (96, 64)), ("in/sub/a.png", 3, (33, 70))] {
        image(&project.path(name), seed, size);
    }
    project
}

fn ok(done: Done) -> Done {
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    done
}

/// The rows of a csv file, by column.
fn table(project: &Project, name: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(project.path(name)).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

fn files(project: &Project) -> Vec<String> {
    let mut names: Vec<String> = project.files("out").into_iter().map(|(name, _)| name).collect();
    names.retain(|name| !name.starts_with(".matssl-predict"));
    names
}

#[test]
fn a_folder_of_images_becomes_masks_tables_and_a_page() {
    let project = project();
    let done = ok(project.run(&["predict", "model", "in", "-o", "out", "--recursive"]));
    assert!(done.stdout.contains("matrix") && done.stdout.trim_end().ends_with("out/index.html"), "{}", done.stdout);
    assert_eq!(done.stderr.lines().last(), Some("3 images predicted"));
    let expected = [
        "fractions.csv",
        "masks/a.png",
        "masks/b.png",
        "masks/sub/a.png",
        "overlays/a.jpg",
        "overlays/b.jpg",
        "overlays/sub/a.jpg",
        "predict.json",
        "summary.csv",
        "thumbnails/a.jpg",
        "thumbnails/b.jpg",
        "thumbnails/sub/a.jpg",
    ];
    assert_eq!(files(&project), expected);
    assert!(fs::read_to_string(project.path("out/index.html")).unwrap().starts_with("<!DOCTYPE html>"));
    let rows = table(&project, "out/fractions.csv");
    let keys: Vec<(&str, &str)> = rows.iter().map(|row| (&*row["image"], &*row["class"])).collect();
    assert_eq!(keys[..3], [("a.png", "matrix"), ("a.png", "carbide"), ("b.tif", "matrix")]);
    for image in ["a", "b", "sub/a"] {
        // The mask holds the classes' values (7 and 200), with their colours as palette; fractions are what it says.
        let file = fs::File::open(project.path(&format!("out/masks/{image}.png"))).unwrap();
        let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().unwrap();
        assert_eq!(reader.info().palette.as_ref().unwrap()[7 * 3..][..3], [10, 20, 30]);
        let mut values = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut values).unwrap();
        assert!(values.iter().all(|value| [7, 200].contains(value)));
        let found = values.iter().filter(|&&value| value == 200).count();
        let row = rows.iter().find(|row| row["image"].starts_with(&format!("{image}.")) && row["class"] == "carbide");
        let row = row.unwrap();
        assert_eq!(row["pixels"], found.to_string());
        assert_eq!(row["fraction"], format!("{:.6}", found as f64 / values.len() as f64));
    }
    let summary = table(&project, "out/summary.csv");
    assert_eq!((summary.len(), &*summary[0]["specimen"], &*summary[0]["fields"]), (2, "all", "3"));
    let json: serde_json::Value = serde_json::from_slice(&fs::read(project.path("out/predict.json")).unwrap()).unwrap();
    assert_eq!(json["complete"], true);
    assert_eq!(json["images"][1]["width"], 96);
    assert_eq!(json["images"][1]["files"]["mask"], "masks/b.png");
}

#[test]
fn only_what_changed_is_predicted_again() {
    let project = project();
    let run = |more: &[&str]| {
        let args = [&["predict", "model", "in", "-o", "out", "--recursive"], more].concat();
        ok(project.run(&args)).stderr.lines().last().unwrap().to_owned()
    };
    assert_eq!(run(&[]), "3 images predicted");
    let first = project.files("out");
    assert_eq!(run(&[]), "0 images predicted, 3 unchanged");
    assert_eq!(project.files("out"), first, "the same bytes");
    // Another image, a file that is gone or damaged, another option, another model.
    image(&project.path("in/a.png"), 9, (50, 41));
    assert_eq!(run(&[]), "1 image predicted, 2 unchanged");
    // What a microscope wrote beside an image.
    project.write("in/b.txt", "[SemImageFile]\nPixelSize=50\nDataSize=96x64\n");
    assert_eq!(run(&[]), "1 image predicted, 2 unchanged");
    fs::remove_file(project.path("out/masks/b.png")).unwrap();
    fs::write(project.path("out/overlays/a.jpg"), "not this").unwrap();
    assert_eq!(run(&[]), "2 images predicted, 1 unchanged");
    assert_eq!(run(&["--tile", "64"]), "3 images predicted");
    assert_eq!(run(&["--tile", "64", "--jobs", "1", "--batch", "1"]), "0 images predicted, 3 unchanged");
    write_model(&project.path("model"), 2);
    assert_eq!(run(&["--tile", "64"]), "3 images predicted");
    assert_eq!(run(&["--tile", "64", "--force"]), "3 images predicted");
    // An image that is gone is in no table; its files stay.
    fs::remove_file(project.path("in/a.png")).unwrap();
    assert_eq!(run(&["--tile", "64"]), "0 images predicted, 2 unchanged");
    assert_eq!(table(&project, "out/fractions.csv").len(), 4);
    assert!(project.path("out/masks/a.png").is_file());
}

#[test]
fn bad_files_do_not_stop_the_others() {
    let project = project();
    project.write("in/not-an-image.png", "hello");
    project.write("in/empty.tif", "");
    let whole = fs::read(project.path("in/a.png")).unwrap();
    project.write("in/short.png", &whole[..whole.len() / 2]);
    symlink("nowhere.png", project.path("in/dangling.png")).unwrap();
    ::image::RgbaImage::from_pixel(40, 40, ::image::Rgba([9, 9, 9, 0])).save(project.path("in/clear.png")).unwrap();
    let done = project.run(&["predict", "model", "in", "-o", "out", "--quiet"]);
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    assert!(done.stderr.starts_with("error: 5 of 7 images could not be predicted:\n"), "{}", done.stderr);
    for reason in ["dangling.png: is a link to a file that is not there", "empty.tif: is empty (0 bytes)"] {
        assert!(done.stderr.contains(reason), "{}", done.stderr);
    }
    let bad = ["clear.png", "dangling.png", "empty.tif", "not-an-image.png", "short.png"];
    assert!(bad.iter().all(|name| done.stderr.contains(name)), "{}", done.stderr);
    assert_eq!(table(&project, "out/fractions.csv").len(), 4, "both good images are there");
    let json: serde_json::Value = serde_json::from_slice(&fs::read(project.path("out/predict.json")).unwrap()).unwrap();
    let failed: Vec<&str> = json["failed"].as_array().unwrap().iter().map(|f| f["image"].as_str().unwrap()).collect();
    assert_eq!(failed, bad);
    // All bad: also 5.
    let done = project.run(&["predict", "model", "in/empty.tif", "-o", "all-bad"]);
    assert_eq!(done.code, Some(5));
    assert!(done.stdout.starts_with("no image was predicted; see all-bad/index.html"), "{}", done.stdout);
}

#[test]
fn what_cannot_be_is_refused_before_anything_starts() {
    let project = project();
    let refused = |code: i32, args: &[&str]| {
        let done = project.run(&[&["predict"], args].concat());
        assert_eq!(done.code, Some(code), "{args:?}: {}", done.stderr);
        assert!(!project.path("out").exists());
        done.stderr
    };
    let no_model = refused(2, &["in", "-o", "out"]);
    assert!(no_model.contains("there is no model among the arguments; `matssl-run export FILE STAGE -o MODEL` writes"));
    assert!(refused(2, &["model", "-o", "out"]).contains("there are no images among the arguments"));
    assert!(
        refused(2, &["model/model.safetensors", "in", "-o", "out"])
            .contains("is a file of weights, not a model folder")
    );
    assert!(refused(4, &["model", "in/*.bmp", "-o", "out"]).contains("no image matches"));
    let all = refused(
        4,
        &[
            "model",
            "gone.png",
            "-o",
            "out",
            "--tile",
            "100",
            "--overlap",
            "1",
            "--objects",
            "carbides",
            "--bits",
            "3",
            "--specimen",
            "(",
            "--crop",
            "under",
            "--pixel-size",
            "5",
        ],
    );
    for problem in [
        "--tile 100: expected a multiple of 32, e.g. 96 or 128",
        "--overlap 1: expected 0 to below 1",
        "--objects carbides: the model has no such class; it has carbide, matrix",
        "--bits: 3 bits a pixel; expected 8 to 16",
        "--specimen: regex",
        "--crop under: expected auto, none, or margins",
        "--pixel-size: `5` is not the size of a pixel",
        "gone.png: not there; check the path",
    ] {
        assert!(all.contains(problem), "{problem}\n{all}");
    }
    project.write("damaged/model.json", "{");
    refused(5, &["damaged", "in", "-o", "out"]);
    fs::create_dir_all(project.path("weights-only")).unwrap();
    fs::copy(project.path("model/model.safetensors"), project.path("weights-only/model.safetensors")).unwrap();
    refused(4, &["weights-only", "in", "-o", "out"]);
}

#[test]
fn foreign_folders_are_not_touched_and_two_runs_do_not_share_one() {
    let project = project();
    project.write("mine/notes.txt", "mine");
    let done = project.run(&["predict", "model", "in", "-o", "mine"]);
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains("mine: holds files that `predict` did not write; choose another folder with -o"));
    assert_eq!(project.names("mine").len(), 1);
    ok(project.run(&["predict", "model", "in", "-o", "out"]));
    let lock = fs::File::create(project.path("out/.matssl-predict/lock")).unwrap();
    lock.lock().unwrap();
    let done = project.run(&["predict", "model", "in", "-o", "out"]);
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains("another run is writing results there"), "{}", done.stderr);
}

#[test]
fn other_outputs_are_written_on_request() {
    let project = project();
    let args = ["predict", "model", "in/b.tif", "in/a.png", "-o", "out", "--format", "tif", "--probabilities=tif"];
    let more = ["--uncertainty", "--objects", "carbide", "--specimen", "^(.)", "--pixel-size", "50 nm", "--json"];
    let done = ok(project.run(&[&args[..], &more[..]].concat()));
    let json: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(json["options"]["probabilities"], "tif");
    let expected = [
        "masks/a.tif",
        "masks/b.tif",
        "objects/a.csv",
        "objects/b.csv",
        "probabilities/a.tif",
        "probabilities/b.tif",
        "uncertainty/a.png",
        "uncertainty/b.png",
    ];
    let found = files(&project);
    assert!(expected.iter().all(|name| found.iter().any(|found| found == name)), "{found:?}");
    let mask = ::image::open(project.path("out/masks/b.tif")).unwrap().to_luma8();
    assert_eq!(mask.dimensions(), (96, 64));
    assert!(mask.pixels().all(|pixel| [7, 200].contains(&pixel.0[0])));
    let summary = table(&project, "out/summary.csv");
    let specimens: Vec<&str> = summary.iter().map(|row| &*row["specimen"]).collect();
    assert_eq!(specimens, ["a", "a", "b", "b"]);
    // The probabilities have the labels: 7 where the first is larger.
    ok(project.run(&["predict", "model", "in/b.tif", "in/a.png", "-o", "npz", "--probabilities", "--format", "tif"]));
    let mut zip = zip::ZipArchive::new(fs::File::open(project.path("npz/probabilities/b.npz")).unwrap()).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut zip.by_name("probabilities.npy").unwrap(), &mut bytes).unwrap();
    let half = |at: usize| half::f16::from_le_bytes([bytes[128 + 2 * at], bytes[129 + 2 * at]]).to_f32();
    for (at, pixel) in mask.pixels().enumerate() {
        let (first, second) = (half(at), half(96 * 64 + at));
        assert!((first + second - 1.0).abs() < 2e-3);
        assert!(first == second || (pixel.0[0] == 7) == (first > second));
    }
}

/// Waits until `is_so`, at most five minutes.
fn wait(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(300), "waited for five minutes");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn many() -> Project {
    let project = Project::new("");
    write_model(&project.path("model"), 1);
    (0..20).for_each(|i| image(&project.path(&format!("in/{i:02}.png")), i, (150, 150)));
    project
}

#[test]
fn a_run_that_was_killed_or_interrupted_goes_on_with_whole_files() {
    for signal in [libc::SIGKILL, libc::SIGINT] {
        let project = many();
        let args = ["predict", "model", "in", "-o", "out", "--overlap", "0"];
        let child = project.start(&args);
        wait(|| fs::read_dir(project.path("out/.matssl-predict/records")).is_ok_and(|files| files.count() >= 2));
        // SAFETY: a signal to a child that was not waited for.
        unsafe { libc::kill(child.id() as i32, signal) };
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        if signal == libc::SIGINT {
            assert_eq!(ended.status.code(), Some(130), "{said}");
            assert!(said.contains("left; run the same command again to go on"), "{said}");
            let json: serde_json::Value =
                serde_json::from_slice(&fs::read(project.path("out/predict.json")).unwrap()).unwrap();
            assert_eq!(json["complete"], false);
        } else {
            assert!(!project.path("out/fractions.csv").exists(), "no table speaks of images that are not there");
        }
        for (name, bytes) in project.files("out").iter().filter(|(name, _)| name.starts_with("masks/")) {
            ::image::load_from_memory(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let done = ok(project.run(&args));
        let last = done.stderr.lines().last().unwrap();
        let known: usize = last.split(' ').nth(3).unwrap_or("0").parse().unwrap();
        assert!((1..20).contains(&known), "{last}");
        let fresh = Project::new("");
        let other = fresh.path("out").display().to_string();
        ok(project.run(&["predict", "model", "in", "-o", &other, "--overlap", "0"]));
        let state = |files: Vec<(String, Vec<u8>)>| -> Vec<(String, Vec<u8>)> {
            files.into_iter().filter(|(name, _)| !name.starts_with(".matssl-predict")).collect()
        };
        assert_eq!(state(project.files("out")), state(fresh.files("out")));
    }
}

const STAGE: &str = r#"
name = "toy"

[stages.micrographs]
kind = "synthesize"
size = 64
unlabeled = 2
train = 2
val = 1
test = 1

[stages.segment]
kind = "finetune"
dataset = "micrographs"
encoder = { arch = "resnet18", width = 8, weights = "random" }
decoder_channels = [16, 16, 8, 8, 8]
epochs = 1
batch_size = 2
crop_size = 32

[stages.new]
kind = "predict"
model = "segment"
dataset = "micrographs"
split = "unlabeled"
"#;

#[test]
fn a_table_of_fractions_is_part_of_an_experiment_and_its_model_predicts_new_files() {
    let project = Project::new(STAGE);
    let first = ok(project.run(&["experiment.toml", "--quiet"]));
    let outputs: Vec<String> = project
        .outputs()
        .into_iter()
        .filter(|(stage, ..)| stage.starts_with("toy/new"))
        .map(|(_, path, _)| path)
        .collect();
    assert_eq!(outputs.iter().filter(|path| path.starts_with("masks/")).count(), 2, "{outputs:?} {}", first.stderr);
    for name in ["fractions.csv", "summary.csv"] {
        assert!(outputs.iter().any(|path| path == name), "{outputs:?}");
    }
    let plan = ok(project.run(&["plan", "experiment.toml"]));
    assert!(plan.stdout.starts_with("toy: 3 stages, 3 cached"), "{}", plan.stdout);
    ok(project.run(&["export", "experiment.toml", "segment", "-o", "exported"]));
    image(&project.path("in/a.png"), 1, (80, 70));
    let done = ok(project.run(&["predict", "exported", "in/a.png", "-o", "out"]));
    assert!(done.stdout.contains("out/index.html"), "{}", done.stdout);
    let rows = table(&project, "out/fractions.csv");
    assert_eq!(rows.iter().map(|row| row["pixels"].parse::<usize>().unwrap()).sum::<usize>(), 80 * 70);
    // Wrong parameters are refused with their place.
    project.edit("split = \"unlabeled\"", "split = \"unlabeled\"\ntile = 100");
    let done = project.run(&["plan", "experiment.toml"]);
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains("a tile of 100 pixels; expected a multiple of 32, e.g. 96"), "{}", done.stderr);
}

#[test]
fn an_image_that_the_model_cannot_take_does_not_stop_the_others() {
    let project = project();
    write_model_of(&project.path("scaled"), 1, Some(50.0));
    // b.tif is of another scale by its side file.
    project.write("in/b.txt", "[SemImageFile]\nPixelSize=50000\nDataSize=96x64\n");
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.png");
    fs::copy(project.path("in/a.png"), project.path("in").join(name)).unwrap();
    let done = project.run(&["predict", "scaled", "in", "-o", "out", "--quiet"]);
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    assert!(done.stderr.starts_with("error: 2 of 3 images could not be predicted:\n"), "{}", done.stderr);
    assert!(done.stderr.contains("in/b.tif: a pixel of the image is 50 µm × 50 µm, and of the model's images 50 nm"));
    assert!(done.stderr.contains("has a name that is not UTF-8; rename it"), "{}", done.stderr);
    assert!(project.path("out/masks/a.png").is_file());
}

/// The names in a folder, sorted.
fn names(project: &Project, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(project.path(folder)).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn files_of_an_older_run_of_the_same_image_do_not_stay() {
    let project = project();
    let run = |more: &[&str]| project.run(&[&["predict", "model", "in", "-o", "out", "--quiet"], more].concat());
    ok(run(&["--uncertainty"]));
    assert!(project.path("out/masks/b.png").is_file() && project.path("out/uncertainty").is_dir());
    project.write("out/masks/mine.png", "mine");
    ok(run(&["--format", "tif"]));
    assert_eq!(names(&project, "out/masks"), ["a.tif", "b.tif", "mine.png"]);
    assert!(!project.path("out/uncertainty").exists());
    // The results of an image that is damaged now.
    project.write("in/b.tif", "damaged");
    assert_eq!(run(&["--format", "tif"]).code, Some(5));
    assert_eq!(names(&project, "out/masks"), ["a.tif", "mine.png"]);
}

#[test]
fn specimens_are_matched_by_the_names_of_images_and_no_match_is_said() {
    let project = project();
    let done = ok(project.run(&["predict", "model", "in", "-o", "out", "--specimen", "^([a-z])$"]));
    assert!(!done.stderr.contains("specimen"), "{}", done.stderr);
    let specimens: Vec<String> = table(&project, "out/summary.csv").iter().map(|row| row["specimen"].clone()).collect();
    assert_eq!(specimens, ["a", "a", "b", "b"]);
    let done = ok(project.run(&["predict", "model", "in", "-o", "out", "--specimen", "^in"]));
    let said =
        "The specimen is not known: `--specimen ^in` matches none of the names of images without folder and extension.";
    assert!(done.stderr.contains(&format!("warning: {said}")), "{}", done.stderr);
    assert!(fs::read_to_string(project.path("out/predict.json")).unwrap().contains("matches none of the names"));
}

#[test]
fn one_model_twice_and_a_full_standard_output_are_errors() {
    let project = project();
    write_model(&project.path("again"), 1);
    let done = project.run(&["predict", "model", "again", "in", "-o", "out"]);
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    assert!(done.stderr.contains("model and again are the same model; give each model once"), "{}", done.stderr);
    let full = fs::File::create("/dev/full").unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_matssl-run"))
        .args(["predict", "model", "in", "-o", "out", "--quiet"])
        .current_dir(project.path(""))
        .stdout(full)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(3), "{error}");
    assert!(error.contains("error: cannot write to standard output: No space left on device"), "{error}");
}
