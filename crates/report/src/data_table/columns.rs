//! The columns of a table of data.

use super::row::{DataRow, edge_name};
use super::rows::DataTable;
use crate::published::Quantity;
use std::collections::BTreeMap;

/// A column without its label; `key` names it in CSV.
pub(super) struct Column {
    pub(super) key: String,
    pub(super) heading: String,
    pub(super) cells: Vec<Cell>,
}

/// The content of a cell. Parts go below each other in a narrow column.
pub(super) enum Cell {
    None,
    Count(u64),
    Difference(i64),
    Parts(Vec<String>),
}

impl DataTable {
    /// Quantities that are published for at least one row.
    pub(super) fn compared(&self) -> Vec<Quantity> {
        let published = |quantity: &Quantity| self.rows.iter().any(|row| row.published(*quantity).is_some());
        Quantity::ALL.into_iter().filter(published).collect()
    }

    /// A column with `cell` of each row.
    pub(super) fn column(&self, key: &str, heading: &str, cell: impl Fn(&DataRow) -> Option<Cell>) -> Column {
        let cells = self.rows.iter().map(|row| cell(row).unwrap_or(Cell::None)).collect();
        Column { key: key.to_owned(), heading: heading.to_owned(), cells }
    }

    /// The columns of own counts. A column without values is left out.
    pub(super) fn counted(&self) -> Vec<Column> {
        let count = |quantity: Quantity, heading: &str| {
            self.column(quantity.name(), heading, |row| row.count(quantity).map(Cell::Count))
        };
        let word = |text: String| Some(Cell::Parts(vec![text]));
        let mut columns = vec![
            count(Quantity::Images, "images"),
            count(Quantity::Train, "train"),
            count(Quantity::Val, "val"),
            count(Quantity::Test, "test"),
            count(Quantity::Unlabeled, "unlabelled"),
            self.column("sizes", "image size", |row| sizes(&row.holdings.as_ref()?.sizes)),
            self.column("classes", "classes", |row| {
                let classes = row.holdings.as_ref()?.classes.len() as u64;
                (classes > 0).then_some(Cell::Count(classes))
            }),
            self.column("patch_size", "patch size", |row| Some(Cell::Count(row.cut?.size as u64))),
            self.column("overlap", "overlap", |row| word(format!("{:.2}", row.cut?.overlap?))),
            self.column("edge", "edge", |row| word(edge_name(row.cut?.edge?).to_owned())),
            count(Quantity::Patches, "patches"),
        ];
        // A split without images has no column. A rule that gives no patches has one.
        columns.retain(|column| {
            let empty = |cell: &Cell| match cell {
                Cell::None => true,
                Cell::Count(count) => *count == 0 && column.key != Quantity::Patches.name(),
                Cell::Difference(_) | Cell::Parts(_) => false,
            };
            !column.cells.iter().all(empty)
        });
        columns
    }
}

/// More sizes are only counted.
const MOST_SIZES: usize = 3;

/// `645×484`; for several sizes `1024×703 (26)`, the most frequent first.
fn sizes(sizes: &BTreeMap<(usize, usize), usize>) -> Option<Cell> {
    let mut frequent: Vec<_> = sizes.iter().collect();
    frequent.sort_by_key(|(_, images)| std::cmp::Reverse(**images));
    let parts = match &frequent[..] {
        [] => return None,
        [((width, height), _)] => vec![format!("{width}×{height}")],
        several if several.len() <= MOST_SIZES => {
            several.iter().map(|((width, height), images)| format!("{width}×{height} ({images})")).collect()
        }
        many => vec![format!("{} sizes", many.len())],
    };
    Some(Cell::Parts(parts))
}
