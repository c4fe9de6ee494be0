//! A table of scores: methods down, scores across, mean ± std over seeds.

mod baseline;
mod beside;
mod csv;
pub(super) mod latex;
pub(super) mod markdown;
mod notes;
mod sheet;
mod statistics;
pub(super) mod terminal;

pub use statistics::{Comparison, NoSuchRow, PerImage};

use super::published::Published;
use matssl_metrics::{Averaging, ClassScores, Evaluation, SelectedOn, Summary};

/// Put behind the label of a method whose epoch was chosen on the images it is scored on.
pub(super) const TEST_MARK: &str = "†";

/// A column of scores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// In CSV: `miou`, `iou_austenite`, `dice`, `pixel_accuracy`.
    pub key: String,
    /// For people, without the unit: `mIoU`, `IoU austenite`.
    pub heading: String,
}

/// A method, one that only its authors ran, or the baseline that closes the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The method's name.
    pub label: String,
    /// Rows of one number were scored on the same images: only they compare. `None` for a row that is only published.
    pub group: Option<usize>,
    /// How the epoch was chosen; `None` for the baseline, which has none.
    pub selected_on: Option<SelectedOn>,
    /// The split it was scored on (`"test"`, `"val"`, `"train"`), and the number of its images.
    pub scored_on: (String, usize),
    /// The epoch was chosen on the very images that are scored.
    pub optimistic: bool,
    /// Over how many seeds the scores are averaged; `None` for the baseline and for a row that is only published.
    pub seeds: Option<usize>,
    /// One for each column, in percent; `None` where the row has no such score.
    pub cells: Vec<Option<Summary>>,
    /// 95 % interval of the mIoU, percent.
    pub interval: Option<[f64; 2]>,
    /// With the row that its group is compared with.
    pub comparison: Option<Comparison>,
    /// What its authors published.
    pub published: Option<&'static Published>,
}

/// A table of scores in percent, to be rendered as CSV, Markdown, LaTeX and plain text.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Stands above it.
    pub title: Option<String>,
    /// Across.
    pub columns: Vec<Column>,
    /// Down; baselines last.
    pub rows: Vec<Row>,
    /// Classes that are in no mean and have no column.
    pub left_out: Vec<String>,
    /// How mIoU is taken over images, and with how many a batch; all other scores are pooled.
    pub averaging: (Averaging, usize),
    /// Intervals and tests were asked for.
    pub tested: bool,
}

/// Seeds of one label that were scored on different images: their mean would mean nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the seeds of {0:?} were not all scored on the same images and classes, so that they have no common mean")]
pub struct MixedImages(pub String);

impl Table {
    /// [`Table::averaged`] with the mIoU pooled over the images.
    ///
    /// # Errors
    /// [`MixedImages`].
    pub fn new(title: Option<String>, methods: &[(String, Vec<Evaluation>)]) -> Result<Table, MixedImages> {
        Table::averaged(title, methods, (Averaging::Pooled, 1))
    }

    /// The table of `methods`: a label and the evaluation of each of its seeds (at least one). Columns are mIoU, the
    /// IoU of each class that is in the mean, mean Dice and pixel accuracy; the last row (one for each set of images
    /// the methods were scored on) is the majority-class baseline.
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

        let scored = methods.iter().filter(|(_, seeds)| !seeds.is_empty());
        let mut rows: Vec<Row> = scored
            .zip(group_of)
            .map(|((label, seeds), group)| Row {
                label: label.clone(),
                group: Some(group),
                selected_on: seeds.iter().map(|e| e.selected_on).max_by_key(|&on| on == SelectedOn::Test),
                scored_on: (seeds[0].split.clone(), seeds[0].images),
                optimistic: seeds.iter().any(optimistic),
                seeds: Some(seeds.len()),
                cells: cells(
                    seeds,
                    &classes,
                    |e| e.miou_by(averaging.0).0,
                    class_iou,
                    |e| e.mean_dice,
                    |e| e.pixel_accuracy,
                ),
                interval: None,
                comparison: None,
                published: None,
            })
            .collect();
        for (number, group) in groups.iter().enumerate() {
            let Some(majority) = &group.majority else { continue };
            rows.push(Row {
                label: format!("majority class ({})", majority.class),
                group: Some(number),
                selected_on: None,
                scored_on: (group.split.clone(), group.images),
                optimistic: false,
                seeds: None,
                cells: cells(
                    &[(*group, majority)],
                    &classes,
                    |(e, _)| e.miou_by(averaging.0).1,
                    |(e, m), name| {
                        let at = e.classes.iter().position(|class| class.name == name && !class.ignored)?;
                        m.iou.get(at).copied().flatten()
                    },
                    |(_, m)| m.mean_dice,
                    |(_, m)| m.pixel_accuracy,
                ),
                interval: None,
                comparison: None,
                published: None,
            });
        }
        baseline::tell_apart(&mut rows);
        Ok(Table { title, columns: columns(&classes), rows, left_out, averaging, tested: false })
    }

    /// Whether this cell holds the best value of its column among the rows scored on the same images (the baseline is
    /// one of them). Values that print alike are all best; a row alone is not.
    fn is_best(&self, row: &Row, column: usize) -> bool {
        let Some(own) = &row.cells[column] else { return false };
        let rivals: Vec<&Summary> =
            self.rows.iter().filter(|r| r.group == row.group).filter_map(|r| r.cells[column].as_ref()).collect();
        rivals.len() > 1 && rivals.iter().all(|rival| rival.mean <= own.mean || number(rival.mean) == number(own.mean))
    }

    fn has_published(&self) -> bool {
        self.rows.iter().any(|row| row.published.is_some())
    }

    fn several_seeds(&self) -> bool {
        self.rows.iter().any(|row| row.seeds.is_some_and(|n| n > 1))
    }
}

impl Row {
    /// The label with its mark, if it has one.
    fn marked_label(&self) -> String {
        match () {
            () if self.is_published_only() => format!("{} (published only)", self.label),
            () if self.optimistic => format!("{} {TEST_MARK}", self.label),
            () => self.label.clone(),
        }
    }

    /// Always says one class.
    fn is_baseline(&self) -> bool {
        self.seeds.is_none() && !self.is_published_only()
    }

    /// Nobody ran it here.
    pub fn is_published_only(&self) -> bool {
        self.group.is_none()
    }

    /// Own mIoU less the published one, in points.
    fn difference(&self) -> Option<f64> {
        Some(self.cells.first()?.as_ref()?.mean - self.published?.score)
    }
}

fn optimistic(evaluation: &Evaluation) -> bool {
    matches!((evaluation.selected_on, evaluation.split.as_str()), (SelectedOn::Test, "test") | (SelectedOn::Val, "val"))
}

fn class_iou(evaluation: &Evaluation, name: &str) -> Option<f64> {
    evaluation.classes.iter().find(|class| class.name == name && !class.ignored)?.iou
}

/// One row's cells: each score's summary over `items`, in percent. A class that some seeds lack (neither in the truth
/// nor predicted) is averaged over the others.
fn cells<T>(
    items: &[T],
    classes: &[String],
    miou: impl Fn(&T) -> Option<f64>,
    iou: impl Fn(&T, &str) -> Option<f64>,
    dice: impl Fn(&T) -> Option<f64>,
    accuracy: impl Fn(&T) -> Option<f64>,
) -> Vec<Option<Summary>> {
    let summary = |score: &dyn Fn(&T) -> Option<f64>| Summary::of(items.iter().filter_map(score).map(|s| 100.0 * s));
    let mut cells = vec![summary(&miou)];
    cells.extend(classes.iter().map(|name| summary(&|item: &T| iou(item, name))));
    cells.push(summary(&dice));
    cells.push(summary(&accuracy));
    cells
}

fn columns(classes: &[String]) -> Vec<Column> {
    let column = |key: &str, heading: &str| Column { key: key.into(), heading: heading.into() };
    let mut columns = vec![column("miou", "mIoU")];
    columns.extend(classes.iter().map(|name| column(&format!("iou_{name}"), &format!("IoU {name}"))));
    columns.push(column("dice", "Dice"));
    columns.push(column("pixel_accuracy", "pixel accuracy"));
    columns
}

/// Names of the classes of all groups that `wanted` holds for, in order of first appearance.
fn distinct(groups: &[&Evaluation], wanted: impl Fn(&ClassScores) -> bool) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for class in groups.iter().flat_map(|group| &group.classes).filter(|class| wanted(class)) {
        if !names.contains(&class.name) {
            names.push(class.name.clone());
        }
    }
    names
}

/// Percent with two decimals, as the paper prints them: the one place that rounds.
fn number(percent: f64) -> String {
    format!("{percent:.2}")
}

/// [`number`] with its sign.
fn signed(points: f64) -> String {
    match number(points) {
        zero if zero.trim_start_matches('-') == "0.00" => "0.00".into(),
        negative if negative.starts_with('-') => negative,
        positive => format!("+{positive}"),
    }
}

#[cfg(test)]
mod tests;
