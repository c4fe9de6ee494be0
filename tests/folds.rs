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
