//! Published values beside own ones.

use super::row::Row;
use super::scores::Table;
use crate::published::{Published, PublishedId};
use std::collections::BTreeMap;

impl Table {
    /// Puts published values beside the rows with these labels. A label without a row gets one that is only published. Such rows
    /// are above the baselines, in the order of the published tables.
    pub fn with_published(mut self, published: &BTreeMap<String, PublishedId>) -> Table {
        let mut without: Vec<(usize, &String, &'static Published)> = Vec::new();
        for (label, id) in published {
            let Some((order, value)) = id.value() else { continue };
            match self.rows.iter_mut().find(|row| !row.is_baseline() && row.label == *label) {
                Some(row) => row.published = Some(value),
                None => without.push((order, label, value)),
            }
        }
        without.sort_by_key(|(order, ..)| *order);
        let columns = self.columns.len();
        let row = |(_, label, value): (usize, &String, &'static Published)| Row {
            published: Some(value),
            ..Row::without_scores(label, columns)
        };
        let above = self.rows.iter().position(Row::is_baseline).unwrap_or(self.rows.len());
        self.rows.splice(above..above, without.into_iter().map(row));
        self
    }
}
