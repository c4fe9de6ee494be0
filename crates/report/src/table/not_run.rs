//! Rows that should have been run.

use super::row::Row;
use super::scores::Table;
use std::collections::BTreeMap;

impl Table {
    /// Adds a row for each label of `reasons`, which was not run because what the reason names is not there. Such rows are above the
    /// baselines.
    pub fn with_not_run(mut self, reasons: &BTreeMap<String, String>) -> Table {
        let columns = self.columns.len();
        let row = |(label, reason): (&String, &String)| Row {
            not_run: Some(reason.clone()),
            ..Row::without_scores(label, columns)
        };
        let above = self.rows.iter().position(Row::is_baseline).unwrap_or(self.rows.len());
        self.rows.splice(above..above, reasons.iter().map(row));
        self
    }
}
