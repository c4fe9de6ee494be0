//! Cross-validation from the file to the table: folds, their ensembles, test-time augmentation and further scores.

mod common;
use common::Project;
use std::fs;

const EXPERIMENT: &str = r#"
name = "folds"
seeds = [0, 1]

[stages.micrographs]
kind = "synthesize"
size = 64
unlabeled = 0
train = 3
val = 0
test = 2

[stages.segment]
kind = "finetune"
dataset = "micrographs"
encoder = { arch = "resnet18", width = 4, weights = "random" }
decoder_channels = [8, 8, 8, 4, 4]
folds = 3
epochs = 1
batch_size = 2
crop_size = 32

[stages.each]
kind = "evaluate"
dataset = "micrographs"
boundary = 0.02
matrix.model = ["segment.*"]

[stages.folds]
kind = "evaluate"
dataset = "micrographs"
model = "segment"
ensemble = true
boundary = 0.02

[stages.seeds]
kind = "evaluate"
dataset = "micrographs"
model = ["segment.*"]
ensemble = "seeds"
tta = "flips"
boundary = 0.02

[[tables]]
file = "table"
rows = { "each fold" = "each.*", "ensemble of folds" = "folds", "of folds and seeds" = "seeds" }
columns = ["boundary_iou", "calibration_error"]
"#;

#[test]
fn folds_become_an_ensemble_and_a_row_of_a_table() {
    let project = Project::new(EXPERIMENT);
    let done = project.run(&["experiment.toml"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let table = fs::read_to_string(project.path("reports/folds/table.md")).unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).collect();
    assert!(rows[0].contains("boundary IoU (%) | calibration error (%) | seeds | folds |"), "{table}");
    for (row, ending) in rows[2..].iter().zip(["| 2 | 3 |", "| 2 | – |", "| 1 | – |"]) {
        assert!(row.ends_with(ending), "{table}");
    }
    assert!(table.contains("Mean ± sample standard deviation over seeds and folds."), "{table}");
    assert!(table.contains("ensemble of folds: mean of the probabilities of 3 models."), "{table}");
    let all = "of folds and seeds: mean of the probabilities of 6 models, for 4 copies of each tile";
    assert!(table.contains(all), "{table}");
    let explained = project.run(&["explain", "experiment.toml", "--cell", "each fold,boundary_iou"]);
    assert_eq!(explained.code, Some(0), "{}", explained.stderr);
}

#[test]
fn folds_that_cannot_be_made_are_refused_before_the_run() {
    let refused = |from: &str, to: &str| {
        let project = Project::new(EXPERIMENT);
        project.edit(from, to);
        let done = project.run(&["experiment.toml"]);
        assert!(matches!(done.code, Some(2 | 5)), "{}", done.stderr);
        assert!(!project.path("reports/folds").exists());
        done.stderr
    };
    let few = refused("folds = 3\n", "folds = 4\n");
    assert!(few.contains("`folds = 4` needs at least as many training images with masks"), "{few}");
    let aside = refused("val = 0\n", "val = 1\n");
    assert!(aside.contains("data set micrographs has validation images of its own"), "{aside}");
    let range = refused("folds = 3\n", "folds = 30\n");
    assert!(range.contains("30 is out of range: 2 to 20, e.g. 5"), "{range}");
    let both = refused("folds = 3\n", "folds = 3\nval_fraction = 0.5\n");
    assert!(both.contains("both `folds` and `val_fraction` take validation images"), "{both}");
    let one = refused("model = \"segment\"\nensemble = true\n", "model = \"segment\"\n");
    assert!(one.contains("`segment` names 3 stages"), "{one}");
    let unmeasured = refused("tta = \"flips\"\nboundary = 0.02\n", "tta = \"flips\"\n");
    assert!(
        unmeasured.contains("of folds and seeds was evaluated without boundary IoU: set `boundary = 0.02`"),
        "{unmeasured}"
    );
}

#[test]
fn all_images_are_scored_once_each_by_the_model_that_was_not_trained_on_it() {
    let text = EXPERIMENT.replace("tta = \"flips\"\n", "").replace("boundary = 0.02\n", "");
    let text = text.replace("columns = [\"boundary_iou\", \"calibration_error\"]\n", "");
    let text = text.replace("model = \"segment\"\nensemble = true\n", "model = \"segment\"\nsplit = \"out-of-fold\"\n");
    let text = text.replace("\"ensemble of folds\" = \"folds\"", "\"out of fold\" = \"folds\"");
    let project = Project::new(&text);
    let done = project.run(&["experiment.toml"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let table = fs::read_to_string(project.path("reports/folds/table.md")).unwrap();
    let row = table.lines().find(|line| line.starts_with("| out of fold")).unwrap();
    assert!(row.ends_with("| 2 | – |"), "{table}");
    assert!(table.contains("out of fold: scored on the 3 out-of-fold images."), "{table}");
    // Each epoch was chosen on the images that its model scores.
    assert!(row.contains('†') && table.contains("Epoch chosen on the scored images"), "{table}");
    // What the folds' trainings measured on their own parts is what the pooled matrix has.
    let outputs = project.outputs();
    let text = |stage: &str, file: &str| {
        let (.., digest) = outputs.iter().find(|(of, name, _)| of.ends_with(stage) && name == file).unwrap();
        let objects = project.files("cache/objects");
        let (_, bytes) = objects.into_iter().find(|(name, _)| name.replace('/', "").contains(digest)).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let scored = text("folds@0", "per_image.csv");
    let miou = |row: &str| row.split(',').nth(1).unwrap().parse::<f64>().unwrap();
    let mut pooled: Vec<f64> = scored.lines().skip(1).map(miou).collect();
    assert_eq!(pooled.len(), 3, "{scored}");
    let mut own: Vec<f64> = (1..=3)
        .map(|fold| {
            let history = text(&format!("segment.fold{fold}@0"), "history.csv");
            let columns: Vec<&str> = history.lines().next().unwrap().split(',').collect();
            let at = columns.iter().position(|column| *column == "val_miou").unwrap();
            history.lines().nth(1).unwrap().split(',').nth(at).unwrap().parse().unwrap()
        })
        .collect();
    pooled.sort_by(f64::total_cmp);
    own.sort_by(f64::total_cmp);
    assert!(pooled.iter().zip(&own).all(|(a, b)| (a - b).abs() < 0.05), "{pooled:?} {own:?}");
}

#[test]
fn out_of_fold_needs_all_folds() {
    let refused = |from: &str, to: &str| {
        let project = Project::new(EXPERIMENT);
        project.edit(from, to);
        let done = project.run(&["plan", "experiment.toml"]);
        assert_eq!(done.code, Some(2), "{}", done.stderr);
        done.stderr
    };
    let model = "model = \"segment\"\nensemble = true\n";
    let few = refused(model, "model = [\"segment.fold1\", \"segment.fold3\"]\nsplit = \"out-of-fold\"\n");
    assert!(few.contains("fold 2 of 3 is not among the models: name a stage with `folds`"), "{few}");
    let both = refused(model, "model = \"segment\"\nensemble = true\nsplit = \"out-of-fold\"\n");
    assert!(both.contains("has no effect with `split = \"out-of-fold\"`"), "{both}");
    let project = Project::new(&EXPERIMENT.replace("segment.*", "segment"));
    project.edit("folds = 3\n", "val_fraction = 0.4\n").edit(model, "model = \"segment\"\nsplit = \"out-of-fold\"\n");
    let plain = project.run(&["plan", "experiment.toml"]).stderr;
    assert!(plain.contains("segment was trained without `folds`"), "{plain}");
}

/// A second training of each fold starts from the first one of the same fold; any other has seen the images that validate it.
#[test]
fn a_fold_starts_from_the_model_of_the_same_fold() {
    let again = |more: &str| {
        let stage = format!(
            "\n[stages.again]\nkind = \"finetune\"\ndataset = \"micrographs\"\nepochs = 1\ncrop_size = 32\n{more}\n"
        );
        Project::new(&EXPERIMENT.replace("[[tables]]", &format!("{stage}[[tables]]")))
    };
    let whole = again("model = \"segment\"").run(&["plan", "experiment.toml"]);
    assert_eq!(whole.code, Some(2), "{}", whole.stderr);
    assert!(
        whole.stderr.contains("`segment` names 3 stages") && whole.stderr.contains("segment.fold1"),
        "{}",
        whole.stderr
    );
    let same = again("model = \"segment.fold2\"\nfolds = 3\nfold = 2").run(&["plan", "experiment.toml"]);
    assert_eq!(same.code, Some(0), "{}", same.stderr);
    let other = again("model = \"segment.fold2\"\nfolds = 3\nfold = 1").run(&["plan", "experiment.toml"]);
    assert_eq!(other.code, Some(5), "{}", other.stderr);
    let text = "which validates this training, and its scores would be too good: start from the model of the same fold (`fold = 1`)";
    assert!(other.stderr.contains("again@0, again@1: `model`: segment.fold2 was trained on "), "{}", other.stderr);
    assert!(other.stderr.contains(text), "{}", other.stderr);
    let drawn = again("model = \"segment.fold2\"\nval_fraction = 0.4").run(&["plan", "experiment.toml"]);
    assert_eq!(drawn.code, Some(0), "{}", drawn.stderr);
    // Also through a pretraining between the two.
    let through = |fold: u8| {
        let ssl = "[stages.patches]\nkind = \"patchify\"\ndataset = \"micrographs\"\nuse = \"train\"\nsize = 32\n\n\
            [stages.ssl]\nkind = \"pretrain\"\npatches = \"patches\"\nmethod = \"simclr\"\nepochs = 1\nbatch_size = 4\n\
            encoder = { arch = \"resnet18\", width = 4, weights = \"random\" }\nstart_from = \"segment.fold2\"\n\n";
        let project = again(&format!("encoder = \"ssl\"\nfolds = 3\nfold = {fold}"));
        project.edit("[stages.again]", &format!("{ssl}[stages.again]"));
        project.run(&["plan", "experiment.toml"])
    };
    let same = through(2);
    assert_eq!(same.code, Some(0), "{}", same.stderr);
    let other = through(1);
    assert_eq!(other.code, Some(5), "{}", other.stderr);
    assert!(other.stderr.contains("again@0, again@1: `encoder`: ssl was trained on "), "{}", other.stderr);
}

#[test]
fn out_of_fold_scores_the_images_of_the_folds_and_no_others() {
    let other = "[stages.other]\nkind = \"synthesize\"\nsize = 64\nunlabeled = 0\ntrain = 4\nval = 0\ntest = 0\n\n[stages.folds]";
    let project = Project::new(&EXPERIMENT.replace("[stages.folds]", other));
    project.edit(
        "dataset = \"micrographs\"\nmodel = \"segment\"\nensemble = true\n",
        "dataset = \"other\"\nmodel = \"segment\"\nsplit = \"out-of-fold\"\n",
    );
    let refused = project.run(&["plan", "experiment.toml"]);
    assert_eq!(refused.code, Some(5), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("no fold was validated on images/train-003.png of data set other"),
        "{}",
        refused.stderr
    );
}
