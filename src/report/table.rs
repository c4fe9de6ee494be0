//! A table of scores: methods down, scores across, mean ± std over seeds.

mod csv;
mod markdown;
mod terminal;

use crate::metrics::{ClassScores, Evaluation, SelectedOn, Summary};

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

/// A method, or the baseline that closes the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The method's name.
    pub label: String,
    /// Rows of one number were scored on the same images: only they compare.
    pub group: usize,
    /// How the epoch was chosen; `None` for the baseline, which has none.
    pub selected_on: Option<SelectedOn>,
    /// The split it was scored on (`"test"`, `"val"`, `"train"`), and the number of its images.
    pub scored_on: (String, usize),
    /// The epoch was chosen on the very images that are scored.
    pub optimistic: bool,
    /// Over how many seeds the scores are averaged; `None` for the baseline.
    pub seeds: Option<usize>,
    /// One for each column, in percent; `None` where the row has no such score.
    pub cells: Vec<Option<Summary>>,
}

/// A table of scores in percent, to be rendered as CSV, Markdown and plain text.
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
}

/// Seeds of one label that were scored on different images: their mean would mean nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the seeds of {0:?} were not all scored on the same images and classes, so that they have no common mean")]
pub struct MixedImages(pub String);

impl Table {
    /// The table of `methods`: a label and the evaluation of each of its seeds (at least one). Columns are mIoU, the
    /// IoU of each class that is in the mean, mean Dice and pixel accuracy; the last row (one for each set of images
    /// the methods were scored on) is the majority-class baseline.
    ///
    /// # Errors
    /// [`MixedImages`].
    pub fn new(title: Option<String>, methods: &[(String, Vec<Evaluation>)]) -> Result<Table, MixedImages> {
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
                group,
                selected_on: seeds.iter().map(|e| e.selected_on).max_by_key(|&on| on == SelectedOn::Test),
                scored_on: (seeds[0].split.clone(), seeds[0].images),
                optimistic: seeds.iter().any(optimistic),
                seeds: Some(seeds.len()),
                cells: cells(seeds, &classes, |e| e.miou, class_iou, |e| e.mean_dice, |e| e.pixel_accuracy),
            })
            .collect();
        for (number, group) in groups.iter().enumerate() {
            let Some(majority) = &group.majority else { continue };
            rows.push(Row {
                label: format!("majority class ({})", majority.class),
                group: number,
                selected_on: None,
                scored_on: (group.split.clone(), group.images),
                optimistic: false,
                seeds: None,
                cells: cells(
                    &[(*group, majority)],
                    &classes,
                    |(_, m)| m.miou,
                    |(e, m), name| {
                        let at = e.classes.iter().position(|class| class.name == name && !class.ignored)?;
                        m.iou.get(at).copied().flatten()
                    },
                    |(_, m)| m.mean_dice,
                    |(_, m)| m.pixel_accuracy,
                ),
            });
        }
        Ok(Table { title, columns: columns(&classes), rows, left_out })
    }

    /// Whether this cell holds the best value of its column among the rows scored on the same images (the baseline is
    /// one of them). Values that print alike are all best; a row alone is not.
    fn is_best(&self, row: &Row, column: usize) -> bool {
        let Some(own) = &row.cells[column] else { return false };
        let rivals: Vec<&Summary> =
            self.rows.iter().filter(|r| r.group == row.group).filter_map(|r| r.cells[column].as_ref()).collect();
        rivals.len() > 1 && rivals.iter().all(|rival| rival.mean <= own.mean || number(rival.mean) == number(own.mean))
    }

    fn several_seeds(&self) -> bool {
        self.rows.iter().any(|row| row.seeds.is_some_and(|n| n > 1))
    }

    /// What a reader must know, a sentence each; `best` says how the best values are marked.
    fn notes(&self, best: &str) -> Vec<String> {
        let several_groups = self.rows.iter().any(|row| row.group > 0);
        let mut notes = vec![match several_groups {
            true => format!("{best}: best of its column among the rows scored on the same images."),
            false => format!("{best}: best of its column."),
        }];
        if self.several_seeds() {
            notes.push("Mean ± sample standard deviation over seeds.".into());
        }
        if self.rows.iter().any(|row| row.seeds.is_none()) {
            notes.push("Majority class: always answers the most frequent class of the training masks.".into());
        }
        if !self.left_out.is_empty() {
            notes.push(format!("Left out of the means: {}.", self.left_out.join(", ")));
        }
        notes.extend(self.other_splits());
        let optimistic = || self.rows.iter().filter(|row| row.optimistic);
        if optimistic().all(|row| row.scored_on.0 == "test") && optimistic().next().is_some() {
            notes.push(format!("{TEST_MARK} Epoch chosen on the test images: these scores are optimistic."));
        } else if optimistic().next().is_some() {
            notes.push(format!("{TEST_MARK} Epoch chosen on the images that are scored: these scores are optimistic."));
        }
        notes
    }

    /// A sentence for each set of images that are not test images; where rows differ, with the names of its methods.
    fn other_splits(&self) -> Vec<String> {
        let mut sets: Vec<&(String, usize)> = Vec::new();
        for row in &self.rows {
            if row.scored_on.0 != "test" && !sets.contains(&&row.scored_on) {
                sets.push(&row.scored_on);
            }
        }
        let sentence = |set: &(String, usize)| {
            let images = if set.1 == 1 { "image" } else { "images" };
            let scored = format!("cored on the {} {} {images}.", set.1, set.0);
            if self.rows.iter().all(|row| row.scored_on == *set) {
                return format!("S{scored}");
            }
            let methods = self.rows.iter().filter(|row| row.scored_on == *set && row.seeds.is_some());
            format!("{}: s{scored}", methods.map(|row| row.label.as_str()).collect::<Vec<_>>().join(", "))
        };
        sets.into_iter().map(sentence).collect()
    }
}

impl Row {
    /// The label with its mark, if it has one.
    fn marked_label(&self) -> String {
        if self.optimistic { format!("{} {TEST_MARK}", self.label) } else { self.label.clone() }
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

#[cfg(test)]
mod tests;
