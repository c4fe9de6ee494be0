//! The table itself.

use super::baseline;
use super::number::number;
use super::row::{Column, Row};
use matssl_metrics::{Averaging, ClassScores, Evaluation, SelectedOn, Summary};
use std::collections::BTreeSet;

/// A table of scores in percent, which is written as CSV, Markdown, LaTeX and plain text.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Stands above it.
    pub title: Option<String>,
    /// From left to right.
    pub columns: Vec<Column>,
    /// From top to bottom; baselines last.
    pub rows: Vec<Row>,
    /// Classes that are left out of means and have no column.
    pub left_out: Vec<String>,
    /// How mIoU is averaged over images, and the number of images per batch. All other scores are pooled.
    pub averaging: (Averaging, usize),
    /// Whether intervals and tests were asked for.
    pub tested: bool,
    /// How the scores of further columns were measured, a sentence each.
    pub definitions: Vec<String>,
}

/// Seeds of one label were scored on different images, so that their mean has no meaning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the seeds of {0:?} were not all scored on the same images and classes: their mean has no meaning")]
pub struct MixedImages(pub String);

impl Table {
    /// [`Table::averaged`] with the mIoU pooled over the images.
    ///
    /// # Errors
    /// [`MixedImages`].
    pub fn new(title: Option<String>, methods: &[(String, Vec<Evaluation>)]) -> Result<Table, MixedImages> {
        Table::averaged(title, methods, (Averaging::Pooled, 1))
    }

    /// The table of `methods`: a label and the evaluation of each of its seeds (at least one). Columns are mIoU, the IoU of each
    /// class that is in the mean, mean Dice and pixel accuracy. The last rows are the majority-class baselines, one for each set
    /// of images that methods were scored on.
    ///
    /// # Errors
    /// [`MixedImages`].
    pub fn averaged(
        title: Option<String>,
        methods: &[(String, Vec<Evaluation>)],
        averaging: (Averaging, usize),
    ) -> Result<Table, MixedImages> {
        let mut groups: Vec<&Evaluation> = Vec::new();
        let mut group_of = Vec::new();
        for (label, seeds) in methods {
            let Some(first) = seeds.first() else { continue };
            if !seeds.iter().all(|seed| seed.same_images(first)) {
                return Err(MixedImages(label.clone()));
            }
            let known = groups.iter().position(|group| group.same_images(first));
            group_of.push(known.unwrap_or(groups.len()));
            if known.is_none() {
                groups.push(first);
            }
        }
        let classes = distinct(&groups, |class| !class.ignored);
        let mut left_out = distinct(&groups, |class| class.ignored);
        left_out.retain(|class| !classes.contains(class));
        let scored = methods.iter().filter(|(_, seeds)| !seeds.is_empty()).zip(group_of);
        let mut rows: Vec<Row> =
            scored.map(|((label, seeds), group)| method_row(label, seeds, group, &classes, averaging.0)).collect();
        let groups = groups.iter().enumerate();
        rows.extend(groups.filter_map(|(number, group)| baseline_row(group, number, &classes, averaging.0)));
        baseline::name_images(&mut rows);
        Ok(Table {
            title,
            columns: columns(&classes),
            rows,
            left_out,
            averaging,
            tested: false,
            definitions: Vec::new(),
        })
    }

    /// Whether this cell holds the best value of its column among the rows that were scored on the same images, baselines
    /// included. Values that are printed alike are all best. A row alone has no best values.
    pub(super) fn is_best(&self, row: &Row, column: usize) -> bool {
        let Some(own) = &row.cells[column] else { return false };
        let sign = if self.columns[column].is_error { -1.0 } else { 1.0 };
        let rivals: Vec<&Summary> =
            self.rows.iter().filter(|r| r.group == row.group).filter_map(|r| r.cells[column].as_ref()).collect();
        let is_no_better = |rival: f64| sign * rival <= sign * own.mean || number(rival) == number(own.mean);
        rivals.len() > 1 && rivals.iter().all(|rival| is_no_better(rival.mean))
    }

    pub(super) fn has_published(&self) -> bool {
        self.rows.iter().any(|row| row.published.is_some())
    }

    pub(super) fn several_seeds(&self) -> bool {
        self.rows.iter().any(|row| row.seeds.is_some_and(|n| n > 1))
    }

    pub(super) fn has_folds(&self) -> bool {
        self.rows.iter().any(|row| row.folds.is_some())
    }

    /// What the scores of any row are averaged over.
    pub(super) fn averaged_over(&self) -> Option<&'static str> {
        let several_folds = self.rows.iter().any(|row| row.folds.is_some_and(|n| n > 1));
        match (self.several_seeds(), several_folds) {
            (true, true) => Some("seeds and folds"),
            (true, false) => Some("seeds"),
            (false, true) => Some("folds"),
            (false, false) => None,
        }
    }
}

/// The row of a method, from the evaluations of its seeds.
fn method_row(label: &str, seeds: &[Evaluation], group: usize, classes: &[String], averaging: Averaging) -> Row {
    let cells = cells(seeds, classes, |e| e.miou_by(averaging).0, class_iou, |e| e.mean_dice, |e| e.pixel_accuracy);
    let folds: BTreeSet<_> = seeds.iter().filter_map(|e| e.fold).collect();
    let folds = (!folds.is_empty()).then_some(folds.len());
    Row {
        label: label.to_owned(),
        group: Some(group),
        // Selection on test images is the one to warn of: it stands for all seeds.
        selected_on: seeds.iter().map(|e| e.selected_on).max_by_key(|&on| on == SelectedOn::Test),
        scored_on: (seeds[0].split.clone(), seeds[0].images),
        optimistic: seeds.iter().any(optimistic),
        seeds: Some(seeds.len().div_ceil(folds.unwrap_or(1))),
        folds,
        mean_of: mean_of(&seeds[0]),
        cells,
        interval: None,
        comparison: None,
        published: None,
        not_run: None,
    }
}

/// What the probabilities of a row are the mean of.
fn mean_of(evaluation: &Evaluation) -> Option<String> {
    match (evaluation.models, evaluation.copies) {
        (None, None) => None,
        (Some(models), None) => Some(format!("{models} models")),
        (None, Some(copies)) => Some(format!("{copies} copies of each tile (test-time augmentation)")),
        (Some(models), Some(copies)) => {
            Some(format!("{models} models, for {copies} copies of each tile (test-time augmentation)"))
        }
    }
}

/// The row of the classifier that predicts the majority class everywhere.
fn baseline_row(group: &Evaluation, number: usize, classes: &[String], averaging: Averaging) -> Option<Row> {
    let majority = group.majority.as_ref()?;
    let iou = |_: &(), name: &str| {
        let index = group.classes.iter().position(|class| class.name == name && !class.ignored)?;
        majority.iou.get(index).copied().flatten()
    };
    let miou = |_: &()| group.miou_by(averaging).1;
    Some(Row {
        label: format!("majority class ({})", majority.class),
        group: Some(number),
        selected_on: None,
        scored_on: (group.split.clone(), group.images),
        optimistic: false,
        seeds: None,
        folds: None,
        mean_of: None,
        cells: cells(&[()], classes, miou, iou, |()| majority.mean_dice, |()| majority.pixel_accuracy),
        interval: None,
        comparison: None,
        published: None,
        not_run: None,
    })
}

/// Whether the epoch was chosen on the images that are scored.
fn optimistic(evaluation: &Evaluation) -> bool {
    matches!(
        (evaluation.selected_on, evaluation.split.as_str()),
        (SelectedOn::Test, "test") | (SelectedOn::Val, "val" | "out-of-fold")
    )
}

fn class_iou(evaluation: &Evaluation, name: &str) -> Option<f64> {
    evaluation.classes.iter().find(|class| class.name == name && !class.ignored)?.iou
}

/// The cells of one row: the mean of each score over `items`, in percent. A class that is neither in the truth nor predicted for
/// some seeds is averaged over the other seeds.
fn cells<T>(
    items: &[T],
    classes: &[String],
    miou: impl Fn(&T) -> Option<f64>,
    iou: impl Fn(&T, &str) -> Option<f64>,
    dice: impl Fn(&T) -> Option<f64>,
    accuracy: impl Fn(&T) -> Option<f64>,
) -> Vec<Option<Summary>> {
    let mut cells = vec![summary(items, miou)];
    cells.extend(classes.iter().map(|name| summary(items, |item: &T| iou(item, name))));
    cells.push(summary(items, dice));
    cells.push(summary(items, accuracy));
    cells
}

/// Mean and deviation of a score over `items`, in percent; `None` if none has it.
pub(super) fn summary<T>(items: &[T], score: impl Fn(&T) -> Option<f64>) -> Option<Summary> {
    Summary::of(items.iter().filter_map(score).map(|share| 100.0 * share))
}

fn columns(classes: &[String]) -> Vec<Column> {
    let column = |key: &str, heading: &str| Column { key: key.into(), heading: heading.into(), is_error: false };
    let mut columns = vec![column("miou", "mIoU")];
    columns.extend(classes.iter().map(|name| column(&format!("iou_{name}"), &format!("IoU {name}"))));
    columns.push(column("dice", "Dice"));
    columns.push(column("pixel_accuracy", "pixel accuracy"));
    columns
}

/// Names of the `wanted` classes of all groups, in order of first appearance.
fn distinct(groups: &[&Evaluation], wanted: impl Fn(&ClassScores) -> bool) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for class in groups.iter().flat_map(|group| &group.classes).filter(|class| wanted(class)) {
        if !names.contains(&class.name) {
            names.push(class.name.clone());
        }
    }
    names
}
