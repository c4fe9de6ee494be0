//! Rows and columns of a table.

use crate::published::Published;
use matssl_metrics::{SelectedOn, Summary};

/// Stands behind the label of a method whose epoch was chosen on the images that it is scored on.
pub(crate) const TEST_MARK: &str = "†";

/// A column of scores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in CSV: `miou`, `iou_austenite`, `dice`, `pixel_accuracy`.
    pub key: String,
    /// Its heading, without the unit: `mIoU`, `IoU austenite`.
    pub heading: String,
    /// Whether smaller values are better.
    pub is_error: bool,
}

/// A row: a method that was run here, one that is only published, or a baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The method's name.
    pub label: String,
    /// Number of the set of images that it was scored on. Only rows of one group can be compared. `None` for a row that is only
    /// published, or was not run.
    pub group: Option<usize>,
    /// How the epoch was chosen; `None` for a baseline.
    pub selected_on: Option<SelectedOn>,
    /// The split that it was scored on (`"test"`, `"val"`, `"train"`), and the number of its images.
    pub scored_on: (String, usize),
    /// Whether the epoch was chosen on the images that are scored.
    pub optimistic: bool,
    /// Number of seeds that the scores are averaged over; `None` for a baseline and for a row that is only published.
    pub seeds: Option<usize>,
    /// Number of folds of a cross-validation that the scores are averaged over, for each seed; `None` without folds.
    pub folds: Option<usize>,
    /// What its probabilities are the mean of, if they are: several models, or copies of each tile.
    pub mean_of: Option<String>,
    /// One score for each column, in percent; `None` where the row has none.
    pub cells: Vec<Option<Summary>>,
    /// 95 % interval of the mIoU, in percent.
    pub interval: Option<[f64; 2]>,
    /// Its comparison with the reference row of its group.
    pub comparison: Option<Comparison>,
    /// The value that its authors published.
    pub published: Option<&'static Published>,
    /// Why it was not run, if it should have been: what is to be fetched.
    pub not_run: Option<String>,
}

/// The mIoU of a row compared with that of the reference row of its group.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Label of the reference row.
    pub with: String,
    /// Whether the reference row was not named but is the best row, by the same scores that are compared.
    pub chosen_after: bool,
    /// Its mIoU minus that of the reference row, in points.
    pub difference: f64,
    /// 95 % interval of the difference, in points, from resamples of the same images and seeds.
    pub difference_interval: Option<[f64; 2]>,
    /// Two-sided p of the paired bootstrap.
    pub bootstrap: Option<f64>,
    /// The same, with Holm's correction for all comparisons with the reference row.
    pub bootstrap_holm: Option<f64>,
    /// Two-sided p of the signed-rank test over seeds; `None` for too few seeds.
    pub wilcoxon: Option<f64>,
    /// The same, with the same correction.
    pub wilcoxon_holm: Option<f64>,
    /// Number of seeds that both rows were run with.
    pub common_seeds: usize,
    /// Number of images that both were scored on.
    pub images: usize,
}

impl Comparison {
    /// The difference with its interval, if the reference row was named: the best row was chosen by the scores that are compared.
    pub(super) fn shown_difference(&self) -> Option<(f64, [f64; 2])> {
        self.difference_interval.filter(|_| !self.chosen_after).map(|interval| (self.difference, interval))
    }
}

impl Row {
    /// A row whose method was not run here.
    pub(super) fn without_scores(label: &str, columns: usize) -> Row {
        Row {
            label: label.to_owned(),
            group: None,
            selected_on: None,
            scored_on: (String::new(), 0),
            optimistic: false,
            seeds: None,
            folds: None,
            mean_of: None,
            cells: vec![None; columns],
            interval: None,
            comparison: None,
            published: None,
            not_run: None,
        }
    }

    /// The label with its mark, if it has one.
    pub(super) fn marked_label(&self) -> String {
        if self.not_run.is_some() {
            format!("{} (not run)", self.label)
        } else if self.is_published_only() {
            format!("{} (published only)", self.label)
        } else if self.optimistic {
            format!("{} {TEST_MARK}", self.label)
        } else {
            self.label.clone()
        }
    }

    /// Whether it predicts one class everywhere.
    pub(super) fn is_baseline(&self) -> bool {
        self.seeds.is_none() && self.group.is_some()
    }

    /// Whether an experiment has only its published value.
    pub fn is_published_only(&self) -> bool {
        self.group.is_none() && self.not_run.is_none()
    }

    /// Its mIoU minus the published one, in points.
    pub(super) fn difference(&self) -> Option<f64> {
        Some(self.cells.first()?.as_ref()?.mean - self.published?.score)
    }
}
