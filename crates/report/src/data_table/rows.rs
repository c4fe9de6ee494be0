//! The rows of a table of data.

use super::row::DataRow;
use crate::published::CountsId;
use std::collections::BTreeMap;

/// A table of data, which is written as CSV, Markdown, LaTeX and plain text.
#[derive(Clone, Debug, PartialEq)]
pub struct DataTable {
    /// Stands above it.
    pub title: Option<String>,
    /// From top to bottom.
    pub rows: Vec<DataRow>,
}

impl DataTable {
    /// Puts published counts beside the rows with these labels. A label without a row gets one that is only published, at the end,
    /// in the order of the published tables.
    #[must_use]
    pub fn with_published(mut self, published: &BTreeMap<String, CountsId>) -> DataTable {
        let mut without: Vec<(usize, DataRow)> = Vec::new();
        for (label, id) in published {
            let Some((order, counts)) = id.value() else { continue };
            let mut rows = self.rows.iter_mut().filter(|row| row.label == *label).peekable();
            if rows.peek().is_none() {
                let row = DataRow { label: label.clone(), holdings: None, cut: None, published: Some(counts) };
                without.push((order, row));
            }
            rows.for_each(|row| row.published = Some(counts));
        }
        without.sort_by_key(|(order, _)| *order);
        self.rows.extend(without.into_iter().map(|(_, row)| row));
        self
    }
}
