//! CSV: one row per method, means and standard deviations in columns of their own.

use super::number::{number, signed};
use super::row::Row;
use super::scores::Table;
use matssl_metrics::SelectedOn;

/// Columns for intervals and tests.
const TESTS: [&str; 10] = [
    "miou_low",
    "miou_high",
    "compared_with",
    "difference_to_it",
    "difference_low",
    "difference_high",
    "p_bootstrap",
    "p_bootstrap_holm",
    "p_wilcoxon",
    "p_wilcoxon_holm",
];
/// Columns for published values.
const PUBLISHED: [&str; 4] = ["published", "difference", "published_id", "published_only"];

impl Table {
    /// `method,seeds,selected_on,miou,miou_std,…`, in percent, with the same numbers as in the other forms. A score or deviation
    /// that does not exist is empty. Intervals and tests add `miou_low`, `miou_high` (95 %), `compared_with` (a label), the difference to it with its 95 %
    /// interval, and the p-values, raw and corrected. Published values add `published`, `difference`, `published_id` and `published_only`, folds add `folds`, their
    /// number; rows that were not run add `not_run`: what is to be fetched.
    ///
    /// # Errors
    /// None that come from the numbers: the writer is in memory.
    pub fn csv(&self) -> anyhow::Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut header = vec!["method".to_owned(), "seeds".into(), "selected_on".into()];
        for column in &self.columns {
            header.push(column.key.clone());
            header.push(format!("{}_std", column.key));
        }
        if self.tested {
            header.extend(TESTS.map(str::to_owned));
        }
        if self.has_published() {
            header.extend(PUBLISHED.map(str::to_owned));
        }
        let has_folds = self.has_folds();
        if has_folds {
            header.push("folds".into());
        }
        let not_run = self.rows.iter().any(|row| row.not_run.is_some());
        if not_run {
            header.push("not_run".into());
        }
        writer.write_record(&header)?;
        for row in &self.rows {
            let selected_on = match row.selected_on {
                Some(SelectedOn::Val) => "val",
                Some(SelectedOn::Test) => "test",
                Some(SelectedOn::Last) => "last",
                None => "",
            };
            let mut record =
                vec![row.label.clone(), row.seeds.map(|n| n.to_string()).unwrap_or_default(), selected_on.into()];
            for cell in &row.cells {
                record.push(cell.map(|c| number(c.mean)).unwrap_or_default());
                record.push(cell.and_then(|c| c.std).map(number).unwrap_or_default());
            }
            if self.tested {
                record.extend(test_cells(row));
            }
            if self.has_published() {
                record.extend(published_cells(row));
            }
            if has_folds {
                record.push(row.folds.map(|n| n.to_string()).unwrap_or_default());
            }
            if not_run {
                record.push(row.not_run.clone().unwrap_or_default());
            }
            writer.write_record(&record)?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }
}

/// The cells of the columns [`TESTS`].
fn test_cells(row: &Row) -> [String; TESTS.len()] {
    let bound = |at: usize| row.interval.map(|bounds| number(bounds[at]));
    let with = row.comparison.as_ref();
    let difference = |at: usize| with.and_then(|with| with.difference_interval).map(|bounds| signed(bounds[at]));
    let p = |p: Option<f64>| p.map(|p| p.to_string());
    let cells = [
        bound(0),
        bound(1),
        with.map(|with| with.with.clone()),
        with.map(|with| signed(with.difference)),
        difference(0),
        difference(1),
        p(with.and_then(|with| with.bootstrap)),
        p(with.and_then(|with| with.bootstrap_holm)),
        p(with.and_then(|with| with.wilcoxon)),
        p(with.and_then(|with| with.wilcoxon_holm)),
    ];
    cells.map(Option::unwrap_or_default)
}

/// The cells of the columns [`PUBLISHED`].
fn published_cells(row: &Row) -> [String; PUBLISHED.len()] {
    let cells = [
        row.published.map(|value| number(value.score)),
        row.difference().map(signed),
        row.published.map(|value| value.id.clone()),
        Some(row.is_published_only().to_string()),
    ];
    cells.map(Option::unwrap_or_default)
}
