//! The columns of Markdown and LaTeX, which show all of them.

use super::number::{number, p_value, signed};
use super::row::Row;
use super::scores::Table;
use matssl_metrics::Summary;

/// A column, with one cell per row.
pub(super) struct Sheet {
    pub(super) heading: String,
    pub(super) cells: Vec<Cell>,
}

/// The content of a cell.
pub(super) enum Cell {
    None,
    Score {
        of: Summary,
        best: bool,
    },
    Interval([String; 2]),
    /// With its interval.
    Difference(String, [String; 2]),
    Plain(String),
}

impl Table {
    /// All columns except the labels.
    pub(super) fn sheets(&self) -> Vec<Sheet> {
        let column = |heading: &str, cell: &dyn Fn(&Row) -> Option<Cell>| Sheet {
            heading: heading.to_owned(),
            cells: self.rows.iter().map(|row| cell(row).unwrap_or(Cell::None)).collect(),
        };
        let mut scores: Vec<Sheet> = Vec::new();
        for (at, head) in self.columns.iter().enumerate() {
            let score = |row: &Row| row.cells[at].map(|of| Cell::Score { of, best: self.is_best(row, at) });
            scores.push(column(&format!("{} (%)", head.heading), &score));
        }
        // Columns that refer to the mIoU are next to it.
        let mut beside: Vec<Sheet> = Vec::new();
        let interval = |row: &Row| row.interval.map(|bounds| Cell::Interval(bounds.map(number)));
        if self.rows.iter().any(|row| row.interval.is_some()) {
            beside.push(column("95 % interval", &interval));
        }
        if self.has_published() {
            beside.push(column("published (%)", &|row| Some(Cell::Plain(number(row.published?.score)))));
            beside.push(column("difference", &|row| Some(Cell::Plain(signed(row.difference()?)))));
        }
        let difference = |row: &Row| row.comparison.as_ref()?.shown_difference();
        if self.rows.iter().any(|row| difference(row).is_some()) {
            beside.push(column("paired difference", &|row| {
                let (difference, [low, high]) = difference(row)?;
                Some(Cell::Difference(signed(difference), [low, high].map(signed)))
            }));
        }
        let bootstrap = |row: &Row| row.comparison.as_ref()?.bootstrap_holm;
        let wilcoxon = |row: &Row| row.comparison.as_ref()?.wilcoxon_holm;
        if self.rows.iter().any(|row| bootstrap(row).is_some()) {
            beside.push(column("p", &|row| Some(Cell::Plain(p_value(bootstrap(row)?)))));
        }
        if self.rows.iter().any(|row| wilcoxon(row).is_some()) {
            beside.push(column("p (Wilcoxon)", &|row| Some(Cell::Plain(p_value(wilcoxon(row)?)))));
        }
        let seeds = column("seeds", &|row| Some(Cell::Plain(row.seeds?.to_string())));
        let folds = column("folds", &|row| Some(Cell::Plain(row.folds?.to_string())));
        let folds = self.has_folds().then_some(folds);
        let after = 1.min(scores.len());
        let rest = scores.split_off(after);
        scores.into_iter().chain(beside).chain(rest).chain([seeds]).chain(folds).collect()
    }
}
