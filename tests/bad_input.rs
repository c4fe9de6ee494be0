//! Bad input is refused before work starts: what is printed, and which exit code.

mod common;
use common::{Project, TOY};
use image::{GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use std::path::Path;

/// Runs an experiment that must be refused; returns what it said.
#[track_caller]
fn refused(project: &Project, code: i32) -> String {
    let done = project.run(&["experiment.toml"]);
    assert_eq!(done.code, Some(code), "stdout: {}\nstderr: {}", done.stdout, done.stderr);
    done.stderr
}

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is missing from:\n{text}");
    }
}

#[test]
fn wrong_experiments_are_refused_with_place_and_suggestion_before_a_cache_is_made() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("\nsize = 32", "\nsise = 32", &["experiment.toml:17:1", "sise", "did you mean `size`"]),
        ("epochs = 3\nbatch_size = 8", "epochs = \"three\"\nbatch_size = 8", &["experiment.toml:24:10", "\"three\""]),
        ("temperature = 0.07", "temperature = nan", &["experiment.toml:22:", "temperature", "finite number"]),
        ("learning_rate = 1e-3", "learning_rate = -inf", &["learning_rate", "finite number"]),
        ("learning_rate = 0.05", "learning_rate = 1e999", &["learning_rate", "overflowed"]),
        ("[16, 16, 8, 8, 8]", "[16, 16, 8, 8, 8, 4]", &["experiment.toml:32:20", "expected a list of 5, found 6"]),
        ("epochs = 3\nbatch_size = 8", "epochs = 3\nviews = { ratio = [0.5] }", &["expected a list of 2, found 1"]),
        ("name = \"matssl\"", "name = \"matsll\"", &["matsll", "did you mean `matssl`"]),
        ("patches = \"patches\"", "patches = \"patchs\"", &["patchs", "did you mean `patches`"]),
        ("kind = \"patchify\"", "kind = \"patchfy\"", &["patchfy", "did you mean `patchify`"]),
        ("\nsize = 32\n", "\nsize = 32\noverlap = 1.5\n", &["1.5", "0 to below 1"]),
        ("matrix.model = ", "matrix.modle = ", &["modle", "did you mean `model`"]),
        ("matrix.model = [\"segment.*\"]", "matrix.model = []", &["the matrix gives `model` no value"]),
        ("[stages.patches]", "[stages.ssl]", &["`ssl` is defined twice"]),
        ("dataset = \"micrographs\"\nsize = 32", "dataset = \"patches\"\nsize = 32", &["patches"]),
    ];
    for (from, to, words) in cases {
        let project = Project::new(TOY);
        project.edit(from, to);
        let text = refused(&project, 2);
        says(&text, &["experiment.toml:"]);
        says(&text, words);
        assert!(!project.path("cache").exists(), "{to}: nothing may be made for a wrong file");
    }
}

#[test]
fn all_errors_of_a_file_are_shown_at_once() {
    let project = Project::new(TOY);
    project.edit("\nsize = 32", "\nsise = 32").edit("epochs = 3\nbatch_size = 2", "epochs = -3\nbatch_sise = 2");
    project.edit("patches = \"patches\"", "patches = \"patchs\"");
    let text = refused(&project, 2);
    says(&text, &["did you mean `size`", "did you mean `patches`", "did you mean `batch_size`", "-3"]);
}

/// The kinds of today take each other in one direction only, so a circle always holds a stage of a wrong kind; the
/// front end's own tests have kinds that allow circles.
#[test]
fn a_stage_that_waits_for_itself_is_refused() {
    let project = Project::new(TOY);
    project.edit("patches = \"patches\"", "patches = \"segment\"");
    says(
        &refused(&project, 2),
        &["experiment.toml:21:11", "`segment` is of the wrong kind", "`patches` takes a stage of kind `patchify`"],
    );
}

#[test]
fn files_that_are_no_experiment_are_refused() {
    for (bytes, words) in [
        (&b""[..], &["empty"][..]),
        (&b"name = \"\xff\xfe\"\n"[..], &["UTF-8"]),
        (&b"name = \n"[..], &["experiment.toml:1"]),
    ] {
        let project = Project::new("");
        project.write("experiment.toml", bytes);
        says(&refused(&project, 2), words);
    }
    let project = Project::new(TOY);
    assert_eq!(project.run(&["nowhere.toml"]).code, Some(2));
    assert_eq!(project.run(&["."]).code, Some(2));
}

/// An experiment on a folder of images.
const FOLDER: &str = r#"
name = "own"
[datasets.steel]
format = "folder"
path = "steel"
classes = ["matrix", "pore"]
[stages.segment]
kind = "finetune"
dataset = "steel"
encoder = { arch = "resnet18", width = 8, weights = "random" }
decoder_channels = [8, 8, 8, 8, 8]
epochs = 1
batch_size = 2
crop_size = 32
[stages.test]
kind = "evaluate"
dataset = "steel"
model = "segment"
[[tables]]
file = "table"
rows = ["test"]
"#;

fn grey(seed: u32) -> GrayImage {
    GrayImage::from_fn(48, 40, |x, y| Luma([((x * 7 + y * 13 + seed * 31) % 200) as u8]))
}

fn mask() -> GrayImage {
    GrayImage::from_fn(48, 40, |x, y| Luma([u8::from(x + y > 40)]))
}

/// A whole, good data set in the `folder` format.
fn folder_project() -> Project {
    let project = Project::new(FOLDER);
    for (i, split) in ["train", "train", "val", "test"].iter().enumerate() {
        for (kind, image) in [("images", grey(i as u32)), ("masks", mask())] {
            let path = project.path(&format!("steel/{split}/{kind}/m{i}.png"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            image.save(path).unwrap();
        }
    }
    project
}

#[test]
fn a_folder_of_ones_own_images_runs() {
    let project = folder_project();
    let done = project.run(&["experiment.toml"]).ok();
    says(&done.stdout, &["matrix", "pore", "mIoU"]);
    // Another place with the same files is the same data set.
    std::fs::rename(project.path("steel"), project.path("moved")).unwrap();
    assert_eq!(project.run(&["experiment.toml"]).code, Some(4));
    project.edit("path = \"steel\"", "path = \"moved\"");
    assert_eq!(project.run(&["experiment.toml"]).ok().ran(), 0);
}

#[test]
fn a_data_set_that_is_not_there_stops_everything_with_code_4() {
    let project = Project::new(FOLDER);
    let text = refused(&project, 4);
    says(&text, &["steel", "not there"]);
    assert!(project.files("cache/records").is_empty());
}

#[test]
fn bad_data_is_refused_by_name_before_training_with_code_5() {
    type Spoil = fn(&Path);
    let cases: &[(&str, Spoil, &[&str])] = &[
        (
            "train/images/m0.png",
            |path| {
                let bytes = std::fs::read(path).unwrap();
                std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
            },
            &["m0.png"],
        ),
        ("train/masks/m1.png", |path| GrayImage::new(48, 39).save(path).unwrap(), &["m1.png", "48×39", "48×40"]),
        (
            "val/masks/m2.png",
            |path| {
                let mut mask = mask();
                mask.put_pixel(3, 5, Luma([7]));
                mask.save(path).unwrap();
            },
            &["m2.png", "label value 7", "column 3, row 5"],
        ),
        (
            "train/images/m0.png",
            |path| RgbaImage::from_pixel(48, 40, Rgba([9, 9, 9, 128])).save(path).unwrap(),
            &["m0.png"],
        ),
        ("train/masks/m0.png", |path| RgbImage::from_pixel(48, 40, Rgb([255, 0, 0])).save(path).unwrap(), &["m0.png"]),
        ("test/images/m3.png", |path| std::fs::write(path, "not an image").unwrap(), &["m3.png"]),
    ];
    for (name, spoil, words) in cases {
        let project = folder_project();
        spoil(&project.path("steel").join(name));
        let text = refused(&project, 5);
        says(&text, words);
        assert!(project.outputs().is_empty(), "{name}: something ran on bad data");
    }
}

/// A new user's first mistake: 255 for a class in every mask.
#[test]
fn one_fault_of_many_masks_is_said_once_with_its_count() {
    let project = folder_project();
    for i in 0..12 {
        grey(20 + i).save(project.path(&format!("steel/train/images/n{i}.png"))).unwrap();
        let mut mask = mask();
        mask.put_pixel(3, 5, Luma([255]));
        mask.save(project.path(&format!("steel/train/masks/n{i}.png"))).unwrap();
    }
    let words =
        ["label value 255 has no class in 12 masks (", "n0.png at column 3, row 5, n1.png", "`ignore_label = 255`"];
    let text = refused(&project, 5);
    says(&text, &words);
    assert_eq!(text.matches("label value 255").count(), 1, "{text}");
    let done = project.run(&["data", "experiment.toml"]);
    assert_eq!(done.code, Some(5));
    says(&done.stdout, &words);
    // A second fault: the report has a line for each, the error only their number.
    GrayImage::new(48, 39).save(project.path("steel/train/masks/m1.png")).unwrap();
    let done = project.run(&["data", "experiment.toml"]);
    says(&done.stdout, &words);
    says(&done.stderr, &["error: steel: 13 files of the data set cannot be used: see the report"]);
    assert!(!done.stderr.contains("label value"), "{}", done.stderr);
}

/// Root may read everything, so permissions are no test; this file cannot be read by anybody.
#[test]
#[cfg(target_os = "linux")]
fn an_image_that_cannot_be_read_is_bad_data() {
    let project = folder_project();
    let path = project.path("steel/train/images/m0.png");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/proc/self/mem", &path).unwrap();
    let words = ["m0.png: Input/output error", "check its permissions and its disk"];
    says(&refused(&project, 5), &words);
    let done = project.run(&["data", "experiment.toml"]);
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    says(&done.stderr, &words);
}

#[test]
fn folders_beside_those_that_are_missing_are_named() {
    let project = folder_project();
    std::fs::rename(project.path("steel/train/masks"), project.path("steel/train/labels")).unwrap();
    says(&refused(&project, 4), &["train/masks: not there; found `train/labels`: add `masks = \"labels\"`"]);
    std::fs::rename(project.path("steel/train/labels"), project.path("steel/train/masks")).unwrap();
    std::fs::rename(project.path("steel/val"), project.path("steel/validate")).unwrap();
    says(
        &refused(&project, 5),
        &["validate: looks like the folder of the split val", "`splits = { val = \"validate\" }`"],
    );
}

#[test]
fn an_empty_folder_is_refused_and_sixteen_bit_images_are_read() {
    let project = Project::new(FOLDER);
    std::fs::create_dir_all(project.path("steel/train/images")).unwrap();
    std::fs::create_dir_all(project.path("steel/train/masks")).unwrap();
    let done = project.run(&["experiment.toml"]);
    assert!(matches!(done.code, Some(4 | 5)), "{:?}: {}", done.code, done.stderr);

    let project = folder_project();
    let deep = image::ImageBuffer::<Luma<u16>, Vec<u16>>::from_fn(48, 40, |x, y| Luma([(x * 900 + y * 300) as u16]));
    deep.save(project.path("steel/train/images/m0.png")).unwrap();
    project.run(&["experiment.toml"]).ok();
}

#[test]
fn no_training_starts_while_another_data_set_is_bad() {
    let project = folder_project();
    let other = "[datasets.other]\nformat = \"folder\"\npath = \"other\"\nclasses = [\"a\", \"b\"]\n[stages.segment]";
    project.edit("[stages.segment]", other);
    for (name, bytes) in project.files("steel") {
        project
            .write(&format!("other/{name}"), if name.ends_with("m0.png") { b"not an image".to_vec() } else { bytes });
    }
    // One job: by depth alone the training would come before the second check.
    let done = project.run(&["experiment.toml", "--jobs", "1"]);
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    says(&done.stderr, &["m0.png", "other"]);
    assert!(!done.stderr.contains("segment: started"), "{}", done.stderr);
    assert!(project.outputs().iter().all(|(stage, ..)| stage == "own/steel"), "{:?}", project.outputs());
    // What is not asked for is not looked at.
    std::fs::remove_dir_all(project.path("other")).unwrap();
    let only = project.run(&["experiment.toml", "--only", "steel"]).ok();
    says(&only.stderr, &["1 of 1 stages done: 0 ran, 1 cached"]);
}

#[test]
fn several_bad_files_are_named_together() {
    let project = folder_project();
    for name in ["train/images/m0.png", "val/images/m2.png"] {
        std::fs::write(project.path("steel").join(name), "not an image").unwrap();
    }
    says(&refused(&project, 5), &["m0.png", "m2.png"]);
}

/// What cannot fit into memory is refused before it starts, stage by stage, and what was done before stays done.
#[test]
fn a_training_that_cannot_fit_into_memory_is_refused_with_the_numbers() {
    let project = Project::new(TOY);
    let limited = |limit: &str| project.run_with(&[("MATSSL_MEMORY_LIMIT", limit)], &["experiment.toml"]);
    let refused = limited("1M");
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    says(&refused.stderr, &["the training needs about", "activations", "optimiser", "at 32 × 32"]);
    says(&refused.stderr, &["MATSSL_MEMORY_LIMIT allows 1.0 MiB", "crop_size", "width"]);
    let kinds = |project: &Project| project.outputs().into_iter().map(|(stage, ..)| stage).collect::<Vec<_>>();
    let before = kinds(&project);
    assert!(before.iter().any(|stage| stage == "toy/patches"), "{before:?}");
    assert!(before.iter().all(|stage| !stage.contains("ssl") && !stage.contains("segment")), "{before:?}");
    // A limit that no machine has is no error of the experiment: it says what would be right.
    let wrong = limited("plenty");
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    says(&wrong.stderr, &["MATSSL_MEMORY_LIMIT=plenty is not a size of memory", "20GiB"]);
    // The same cache with enough memory: nothing that was done is done again.
    let done = limited("4G").ok();
    says(&done.stdout, &["A table"]);
    assert!(before.iter().all(|stage| kinds(&project).contains(stage)));
}

/// A batch that is too large names one that fits; and that one is then taken.
#[test]
fn a_batch_that_cannot_fit_names_one_that_does() {
    let project = Project::new(TOY);
    // Patches enough for a batch of 200 pairs.
    project.edit("unlabeled = 4", "unlabeled = 30").edit("\nsize = 32\n", "\nsize = 32\noverlap = 0.5\n");
    project.edit("batch_size = 8", "batch_size = 200");
    let limited = || project.run_with(&[("MATSSL_MEMORY_LIMIT", "100M")], &["experiment.toml", "--only", "ssl@0"]);
    let refused = limited();
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    says(
        &refused.stderr,
        &["for a batch of 200 pairs of views", "MATSSL_MEMORY_LIMIT allows 100.0 MiB", "counts pairs"],
    );
    let (_, rest) = refused.stderr.split_once("use `batch_size = ").unwrap();
    let fits: u64 = rest.split_once('`').unwrap().0.parse().unwrap();
    assert!((2..200).contains(&fits), "{fits}");
    project.edit("batch_size = 200", &format!("batch_size = {fits}"));
    limited().ok();
}

/// Records say what was expected and what was seen, which build it was and on what processor.
#[test]
fn records_name_build_processor_and_memory() {
    let project = Project::new(TOY);
    project.run(&["experiment.toml"]).ok();
    let records = project.files("cache/records");
    let record = |stage: &str| -> serde_json::Value {
        let records = records.iter().map(|(_, bytes)| serde_json::from_slice::<serde_json::Value>(bytes).unwrap());
        records.into_iter().find(|record| record["made"]["stage"] == stage).unwrap()
    };
    for stage in ["toy/ssl@0", "toy/segment.random@0", "toy/test.segment.random@0"] {
        let record = record(stage);
        let telemetry = &record["telemetry"];
        let (estimated, peak) = (telemetry["estimated_memory_mib"].as_u64(), telemetry["peak_memory_mib"].as_u64());
        assert!(estimated.is_some_and(|mib| (1..4096).contains(&mib)), "{stage}: {telemetry}");
        assert!(peak.is_some_and(|mib| mib > 0), "{stage}: {telemetry}");
        let made = &record["made"];
        let build = &made["build"];
        // Or the hash of the program's file, where linkers write no such thing.
        let named = build["build_id"].as_str().or(build["executable"].as_str());
        assert!(named.is_some_and(|name| name.len() >= 16), "{made}");
        assert!(build["compiler"].as_str().unwrap().starts_with("rustc "), "{made}");
        assert!(!build["target"].as_str().unwrap().is_empty() && !made["cpu"].as_str().unwrap().is_empty(), "{made}");
        #[cfg(target_arch = "x86_64")]
        assert_eq!(
            made["cpu_features"].as_array().is_some_and(|features| features.contains(&"avx2".into())),
            std::arch::is_x86_feature_detected!("avx2"),
            "{made}"
        );
    }
}
