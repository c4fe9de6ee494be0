//! What must fail later is said by `data`, `plan` and the start of a run, before any training.

mod common;
use common::steel::{micrograph, png, small_experiment, steel};
use common::{Done, Project};
use image::{GrayImage, Luma};
use serde_json::Value;

/// An experiment on a folder of images that can run as a whole.
const OWN: &str = r#"
name = "own"
seeds = [0, 1]
[datasets.steel]
format = "folder"
path = "steel"
classes = ["matrix", "pore"]
unlabeled = "unlabeled"
[stages.patches]
kind = "patchify"
dataset = "steel"
size = 16
[stages.ssl]
kind = "pretrain"
patches = "patches"
method = "simclr"
encoder = { arch = "resnet18", width = 4, weights = "random" }
epochs = 1
batch_size = 4
[stages.segment]
kind = "finetune"
dataset = "steel"
encoder = "ssl"
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
[[figures]]
file = "curve"
series = ["segment"]
[[overlays]]
file = "pictures"
dataset = "steel"
rows = ["test"]
"#;

const TRAIN: &[&str] = &["train", "train", "train"];
const ALL: &[&str] = &["train", "train", "train", "val", "test"];

#[track_caller]
fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is missing from:\n{text}");
    }
}

/// Writes a data set with a labelled image of 48×40 pixels for each of `splits`, and two unlabelled ones. The masks hold
/// the values 0 and `value`.
fn folder(project: &Project, name: &str, splits: &[&str], value: u8) {
    let save = |path: String, image: GrayImage| {
        let path = project.path(&path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image.save(path).unwrap();
    };
    let grey = |seed: u32| GrayImage::from_fn(48, 40, |x, y| Luma([((x * 7 + y * 13 + seed * 31) % 200) as u8]));
    for (i, split) in splits.iter().enumerate() {
        let mask = GrayImage::from_fn(48, 40, |x, y| Luma([if x + y > 40 { value } else { 0 }]));
        save(format!("{name}/{split}/images/m{i}.png"), grey(i as u32));
        save(format!("{name}/{split}/masks/m{i}.png"), mask);
    }
    for i in 0..2 {
        save(format!("{name}/unlabeled/u{i}.png"), grey(100 + i));
    }
}

fn own(splits: &[&str]) -> Project {
    let project = Project::new(OWN);
    folder(&project, "steel", splits, 1);
    project
}

/// Whether a training or a stage that needs one has started in any run.
fn trained(project: &Project) -> bool {
    let logs = project.files("cache/runs").into_iter().filter(|(name, _)| name.ends_with(".jsonl"));
    let started = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        let kinds = ["ssl", "segment", "test"];
        event["event"] == "stage_started" && kinds.iter().any(|kind| event["stage"].as_str().unwrap().starts_with(kind))
    };
    let mut lines = 0;
    let any = logs.into_iter().any(|(_, bytes)| {
        let text = String::from_utf8(bytes).unwrap();
        lines += text.lines().count();
        text.lines().any(started)
    });
    assert!(lines > 0, "no event of a run was found");
    any
}

#[track_caller]
fn ended(done: &Done, code: i32) {
    assert_eq!(done.code, Some(code), "stdout: {}\nstderr: {}", done.stdout, done.stderr);
}

/// A run and `data` refuse the experiment with `words`, and so does `plan` once the data sets are in the cache; no training
/// starts. The words of a run stand in one line of its standard error.
#[track_caller]
fn refused(project: &Project, words: &[&str]) {
    let run = project.run(&["experiment.toml"]);
    ended(&run, 5);
    let lines: Vec<&str> = run.stderr.lines().filter(|line| words.iter().all(|word| line.contains(word))).collect();
    assert_eq!(lines.len(), 1, "{words:?} in:\n{}", run.stderr);
    assert!(lines[0].starts_with("error: "), "{}", run.stderr);
    assert!(!trained(project), "{}", run.stderr);
    let data = project.run(&["data", "experiment.toml", "--no-leaks", "--quiet"]);
    ended(&data, 5);
    says(&data.stdout, &["\nstages that must fail\n"]);
    says(&data.stdout, words);
    says(&data.stderr, &["must fail with these data"]);
    let plan = project.run(&["plan", "experiment.toml"]);
    ended(&plan, 5);
    says(&plan.stdout, &["own: "]);
    assert!(plan.stderr.contains(lines[0]), "the same line:\n{}{}", lines[0], plan.stderr);
    // The next run says it before anything starts.
    let again = project.run(&["experiment.toml"]);
    ended(&again, 5);
    assert!(again.stderr.contains(lines[0]) && !again.stderr.contains("started ("), "{}", again.stderr);
}

#[test]
fn an_experiment_without_problems_runs_and_says_nothing() {
    let project = own(ALL);
    let data = project.run(&["data", "experiment.toml"]);
    ended(&data, 0);
    assert!(!data.stdout.contains("must fail") && !data.stdout.contains("\nwarnings\n"), "{}", data.stdout);
    let done = project.run(&["experiment.toml"]).ok();
    assert!(!done.stderr.contains("warning"), "{}", done.stderr);
    project.run(&["plan", "experiment.toml"]).ok();
}

#[test]
fn splits_that_lack_images_are_named_before_any_training() {
    let no_test = own(&["train", "train", "val"]);
    let words = ["data set steel has no test images, and `evaluate` scores them (2 train, 1 val, 0 test, 2 unlabeled)"];
    refused(&no_test, &[words[0], "test@0, test@1: ", "add `split = { test = 0.2 }` or `test_images = […]`"]);

    let no_val = own(&["train", "train", "test"]);
    let words = ["`select_on = \"val\"` needs validation images, but data set steel has none", "`val_fraction = 0.2`"];
    refused(&no_val, &words);

    let other = own(&["train", "train", "val"]);
    other.edit("crop_size = 32", "crop_size = 32\nselect_on = \"test\"");
    refused(&other, &["`select_on = \"test\"` needs test images, but data set steel has none"]);

    refused(&own(&["val", "test"]), &["data set steel has no training images with masks"]);

    // Scored on another split.
    let validated = own(&["train", "train", "test"]);
    validated.edit("crop_size = 32", "crop_size = 32\nselect_on = \"last\"");
    validated.edit("model = \"segment\"", "model = \"segment\"\nsplit = \"val\"");
    refused(&validated, &["data set steel has no val images, and `evaluate` scores them"]);
}

#[test]
fn fractions_that_leave_no_image_are_named_before_any_training() {
    let cases: &[(&[&str], &str, &[&str])] = &[
        (&["train", "train", "test"], "val_fraction = 0.1", &["val_fraction = 0.1 selects 0 of 2 training images"]),
        (ALL, "val_fraction = 0.4", &["data set steel already has validation images: remove `val_fraction`"]),
        (ALL, "train_fraction = 0.1", &["train_fraction = 0.1 leaves none of 3 training images"]),
    ];
    for (splits, parameter, words) in cases {
        let project = own(splits);
        project.edit("crop_size = 32", &format!("crop_size = 32\n{parameter}"));
        refused(&project, words);
    }
}

#[test]
fn batches_that_cannot_be_trained_on_are_named_before_any_training() {
    let single = own(ALL);
    single.edit("batch_size = 2", "batch_size = 1");
    refused(&single, &["a batch of one crop of 32 pixels has no variance for batch norm"]);

    // 3×2 patches in each of two images.
    let few = own(ALL);
    few.edit("batch_size = 4", "batch_size = 13");
    refused(&few, &["ssl@0, ssl@1: ", "12 patches do not fill one batch of 13"]);
}

#[test]
fn patches_that_cannot_be_cut_are_named_before_any_training() {
    let large = own(ALL);
    large.edit("size = 16", "size = 64");
    refused(
        &large,
        &["no image of data set steel holds a patch of 64 pixels, the largest is 48×40", "`edge = \"shift\"`"],
    );

    let unlabelled = own(ALL);
    unlabelled.edit("unlabeled = \"unlabeled\"\n", "");
    let words = ["data set steel has no unlabeled images to cut patches from (3 train, 1 val, 1 test, 0 unlabeled)"];
    refused(&unlabelled, &[words[0], "`use = \"train\"`"]);

    let sizes = own(ALL);
    sizes.edit("patches = \"patches\"", "patches = [\"patches\", \"more\"]");
    sizes.edit("[stages.ssl]", "[stages.more]\nkind = \"patchify\"\ndataset = \"steel\"\nsize = 24\n[stages.ssl]");
    refused(&sizes, &["those of patches have 16 pixels, those of more 24; cut all patches to one `size`"]);

    let table = own(ALL);
    table.edit("[[tables]]", "[stages.more]\nkind = \"patchify\"\ndataset = \"steel\"\nsize = 24\n[[tables]]");
    table.edit(
        "[[figures]]",
        "[[data_tables]]\nfile = \"data\"\nrows = { \"all\" = [\"patches\", \"more\"] }\n[[figures]]",
    );
    refused(&table, &["the row \"all\" has patches of 16 and of 24 pixels"]);
}

#[test]
fn a_monitor_that_cannot_judge_is_named_before_any_training() {
    let project = own(ALL);
    folder(&project, "mono", TRAIN, 0);
    let mono =
        "[datasets.mono]\nformat = \"folder\"\npath = \"mono\"\nclasses = [\"matrix\", \"pore\"]\n[stages.patches]";
    project.edit("[stages.patches]", mono).edit("batch_size = 4", "batch_size = 4\nmonitor = \"mono\"");
    refused(&project, &["`monitor`: expected at least two labelled", "in data set mono, and two classes in them"]);
}

#[test]
fn classes_that_do_not_fit_are_named_before_any_training() {
    let figure = own(ALL);
    figure.edit("file = \"curve\"", "file = \"curve\"\nmetric = \"iou_pores\"");
    refused(&figure, &["the history of segment: there is no column \"iou_pores\"", "iou_pore"]);

    let method = own(ALL);
    method.edit("file = \"curve\"", "file = \"curve\"\nmetric = \"knn_accuracy\"");
    refused(&method, &["the history of segment: there is no column \"knn_accuracy\""]);

    let other =
        "[datasets.other]\nformat = \"folder\"\npath = \"other\"\nclasses = [\"pore\", \"matrix\"]\n[stages.patches]";
    let classes = own(ALL);
    folder(&classes, "other", ALL, 1);
    classes.edit("[stages.patches]", other).edit("dataset = \"steel\"\nmodel", "dataset = \"other\"\nmodel");
    refused(&classes, &["the model was trained on the classes matrix, pore, but the data set has pore, matrix"]);

    let overlay = own(ALL);
    folder(&overlay, "other", &["train", "test", "test"], 1);
    overlay.edit("[stages.patches]", other);
    overlay.edit("file = \"pictures\"\ndataset = \"steel\"", "file = \"pictures\"\ndataset = \"other\"");
    refused(&overlay, &["test was not evaluated on the data set of this overlay"]);
}

#[test]
fn tables_that_cannot_be_made_are_named_before_any_training() {
    let project = own(ALL);
    let other =
        "[stages.test-2]\nkind = \"evaluate\"\ndataset = \"steel\"\nmodel = \"segment\"\nmiou_batch = 2\n[[tables]]";
    project.edit("[[tables]]", other).edit("rows = [\"test\"]\n[[figures]]", "rows = [\"test*\"]\n[[figures]]");
    project.edit("file = \"table\"", "file = \"table\"\nmiou = \"batches\"");
    refused(&project, &["rows were evaluated with batches of 2 and of 128 images"]);
}

#[test]
fn weights_that_are_wrong_are_said_by_the_plan() {
    let project = own(ALL);
    project.edit("encoder = \"ssl\"", "encoder = { arch = \"resnet50\", weights = \"imagenet\" }");
    project.write("weights/resnet50-0676ba61.pth", "not weights");
    let plan = project.run(&["plan", "experiment.toml"]);
    ended(&plan, 5);
    says(&plan.stderr, &["error: segment@0, segment@1: ", "is not the published file"]);
    let run = project.run(&["experiment.toml"]);
    ended(&run, 5);
    assert!(!run.stderr.contains("started ("), "{}", run.stderr);
}

#[test]
fn of_a_data_set_that_is_not_drawn_yet_the_parameters_tell() {
    let project = Project::new(common::TOY);
    project.edit("test = 2", "test = 0");
    let plan = project.run(&["plan", "experiment.toml"]);
    ended(&plan, 5);
    let words =
        ["data set micrographs has no test images, and `evaluate` scores them (3 train, 1 val, 0 test, 4 unlabeled)"];
    says(&plan.stderr, &[words[0], "set `test = 1` or more in the stage `micrographs`"]);
    let run = project.run(&["experiment.toml"]);
    ended(&run, 5);
    says(&run.stderr, &words);
    assert!(!run.stderr.contains("started") && project.outputs().is_empty(), "{}", run.stderr);
    let json: Value = serde_json::from_str(&project.run(&["plan", "experiment.toml", "--json"]).stdout).unwrap();
    assert_eq!(json["problems"][0]["stages"].as_array().unwrap().len(), 4);
    let data = project.run(&["data", "experiment.toml", "--json"]);
    ended(&data, 5);
    let json: Value = serde_json::from_str(&data.stdout).unwrap();
    assert!(json["must_fail"][0]["message"].as_str().unwrap().starts_with(words[0]), "{json}");
}

#[test]
fn a_problem_of_forty_seeds_is_one_line_and_all_problems_are_said_together() {
    let project = own(&["train", "train", "test"]);
    let seeds: Vec<String> = (0..40).map(|seed| seed.to_string()).collect();
    project.edit("seeds = [0, 1]", &format!("seeds = [{}]", seeds.join(", ")));
    project.edit("batch_size = 4", "batch_size = 13");
    let run = project.run(&["experiment.toml"]);
    ended(&run, 5);
    let errors: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 2, "{}", run.stderr);
    says(errors[0], &["ssl@0, ssl@1, ", " more: 12 patches do not fill one batch of 13"]);
    says(errors[1], &["segment@0, segment@1, ", " more: `select_on = \"val\"`"]);
    assert_eq!(run.stderr.lines().filter(|line| line.starts_with("skipped because ")).count(), 1, "{}", run.stderr);
    let status = project.run(&["status"]).ok().stdout;
    says(&status, &["80 failed", "12 patches do not fill", "`select_on = \"val\"`", "and 78 more failed"]);
    // Before anything starts, likewise.
    let again = project.run(&["experiment.toml"]);
    assert_eq!(again.stderr.lines().filter(|line| line.starts_with("error: ")).count(), 2, "{}", again.stderr);
    says(&again.stderr, &["ssl@0, ssl@1, ssl@2 and 37 more: ", "segment@0, segment@1, segment@2 and 37 more: "]);
}

#[test]
fn stages_that_do_not_depend_on_the_problem_run_when_told_to_keep_going() {
    let project = own(&["train", "train", "val"]);
    folder(&project, "other", ALL, 1);
    let other =
        "[datasets.other]\nformat = \"folder\"\npath = \"other\"\nclasses = [\"matrix\", \"pore\"]\n[stages.patches]";
    project.edit("[stages.patches]", other);
    let branch = "[stages.good]\nkind = \"evaluate\"\ndataset = \"other\"\nmodel = \"segment\"\n[[tables]]";
    project.edit("[[tables]]", branch).edit("seeds = [0, 1]", "seeds = [0]");
    for turn in ["uncached", "cached"] {
        let done = project.run(&["experiment.toml", "--keep-going"]);
        ended(&done, 5);
        says(&done.stderr, &["error: test@0: data set steel has no test images", "skipped because test@0 failed: "]);
        assert_eq!(done.stderr.matches("has no test images").count(), 1, "{}", done.stderr);
        assert!(project.outputs().iter().any(|(stage, ..)| stage == "own/good@0"), "{turn}: {}", done.stderr);
        assert!(project.outputs().iter().all(|(stage, ..)| stage != "own/test@0"), "{turn}");
    }
}

#[test]
fn what_is_not_asked_for_is_not_judged() {
    let project = own(&["train", "train", "val"]);
    project.run(&["experiment.toml", "--only", "segment"]).ok();
    let all = project.run(&["experiment.toml"]);
    ended(&all, 5);
    assert!(all.stderr.contains("test@0, test@1: data set steel has no test images"), "{}", all.stderr);
    project.run(&["experiment.toml", "--only", "segment"]).ok();
}

#[test]
fn suspicious_data_are_warnings() {
    let project = own(ALL);
    project.edit("classes = [\"matrix\", \"pore\"]", "classes = [\"matrix\", \"pore\", \"carbide\"]");
    project.edit("seeds = [0, 1]", "seeds = [0]").edit("crop_size = 32", "crop_size = 64");
    project.edit("file = \"pictures\"", "file = \"pictures\"\npixel_size = { m4 = \"1 µm\", m9 = \"1 µm\" }");
    let words = [
        "segment@0: no training image of data set steel has the class carbide: the model cannot learn it",
        "3 of 3 training images of data set steel are smaller than a crop of 64 pixels (the smallest is 48×40)",
        "pictures: `pixel_size` names the image m9, but data set steel has no such image",
    ];
    let data = project.run(&["data", "experiment.toml"]);
    ended(&data, 0);
    says(&data.stdout, &["\nwarnings\n"]);
    says(&data.stdout, &words);
    let run = project.run(&["experiment.toml", "--only", "patches"]).ok();
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    let plan = project.run(&["plan", "experiment.toml"]).ok();
    says(&plan.stdout, &words);
    let run = project.run(&["experiment.toml"]).ok();
    for word in words {
        assert_eq!(run.stderr.matches(word).count(), 1, "{word}:\n{}", run.stderr);
    }
    // Of what is cached nothing is said.
    assert!(!project.run(&["experiment.toml"]).ok().stderr.contains("warning"));
}

/// A long error is shown once: the report has its first line.
#[test]
fn the_report_does_not_repeat_a_long_error() {
    let project = own(ALL);
    for i in 0..3 {
        std::fs::write(project.path(&format!("steel/train/images/m{i}.png")), "not an image").unwrap();
    }
    let data = project.run(&["data", "experiment.toml"]);
    ended(&data, 5);
    for i in 0..3 {
        let shown = format!("{}{}", data.stdout, data.stderr).matches(&format!("m{i}.png")).count();
        assert!(shown <= 2, "m{i}.png {shown} times:\n{}{}", data.stdout, data.stderr);
    }
}

/// `plan` knows what `data` has found out, although no stage has run.
#[test]
fn plan_refuses_what_data_has_seen() {
    let project = steel(&small_experiment().replace("test_images = [\"t-0\", \"t-1\"]\n", ""));
    assert_eq!(project.run(&["plan", "experiment.toml"]).code, Some(0), "nobody has looked at the images yet");
    assert_eq!(project.run(&["data", "experiment.toml", "--no-leaks"]).code, Some(5));
    let plan = project.run(&["plan", "experiment.toml"]);
    assert_eq!(plan.code, Some(5));
    assert!(plan.stderr.contains("test@0: data set steel has no test images"), "{}", plan.stderr);
    // Another image makes it another data set.
    project.write("steel/unlabeled/u-9.png", png(&micrograph(77)));
    assert_eq!(project.run(&["plan", "experiment.toml"]).code, Some(0));
}
