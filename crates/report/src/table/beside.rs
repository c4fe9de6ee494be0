//! Published values beside one's own.

use super::{Row, Table};
use crate::published::{Published, PublishedId};
use std::collections::BTreeMap;

impl Table {
    /// Sets published values beside the rows of the labels that name them. A label without a row becomes one that is
    /// only published, above the baselines, in the order in which the values were published.
    pub fn with_published(mut self, published: &BTreeMap<String, PublishedId>) -> Table {
        let mut without: Vec<(usize, &String, &'static Published)> = Vec::new();
        for (label, id) in published {
            let Some((place, value)) = id.value() else { continue };
            match self.rows.iter_mut().find(|row| row.seeds.is_some() && row.label == *label) {
                Some(row) => row.published = Some(value),
                None => without.push((place, label, value)),
            }
        }
        without.sort_by_key(|(place, ..)| *place);
        let columns = self.columns.len();
        let row = |(_, label, value): (usize, &String, &'static Published)| Row {
            label: label.clone(),
            group: None,
            selected_on: None,
            scored_on: (String::new(), 0),
            optimistic: false,
            seeds: None,
            cells: vec![None; columns],
            interval: None,
            comparison: None,
            published: Some(value),
        };
        let above = self.rows.iter().position(Row::is_baseline).unwrap_or(self.rows.len());
        self.rows.splice(above..above, without.into_iter().map(row));
        self
    }
}
