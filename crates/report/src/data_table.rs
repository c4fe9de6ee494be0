//! A table of data: what data sets hold, how many patches they give, and what was published of them.

mod forms;
mod notes;
#[cfg(test)]
mod tests;

use super::published::{Counts, CountsId, Quantity};
use matssl_data::patches::Edge;
use matssl_data::{Manifest, Split};
use std::collections::BTreeMap;

/// A class's name, and whether it is left out of means.
pub type Class = (String, bool);

/// The images of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Holdings {
    /// How many images each split has.
    pub splits: BTreeMap<Split, usize>,
    /// (width, height) in pixels, and how many images have it; empty where it is not known.
    pub sizes: BTreeMap<(usize, usize), usize>,
    /// In order; empty without masks.
    pub classes: Vec<Class>,
}

impl Holdings {
    /// What `manifest` holds in `splits`.
    pub fn of(manifest: &Manifest, splits: &[Split]) -> Holdings {
        let mut holdings = Holdings::default();
        for entry in manifest.images.iter().filter(|entry| splits.contains(&entry.split)) {
            *holdings.splits.entry(entry.split).or_default() += 1;
            *holdings.sizes.entry((entry.width, entry.height)).or_default() += 1;
        }
        let ignored = |class: usize| manifest.ignore_classes.iter().any(|&ignored| usize::from(ignored) == class);
        let classes = manifest.classes.iter().enumerate();
        holdings.classes = classes.map(|(class, name)| (name.clone(), ignored(class))).collect();
        holdings
    }

    /// Adds the images of another data set.
    pub fn add(&mut self, other: Holdings) {
        for (split, images) in other.splits {
            *self.splits.entry(split).or_default() += images;
        }
        for (size, images) in other.sizes {
            *self.sizes.entry(size).or_default() += images;
        }
        for class in other.classes {
            if !self.classes.contains(&class) {
                self.classes.push(class);
            }
        }
    }
}

/// The patches of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// Side of a patch in pixels.
    pub size: usize,
    /// The part of its side by which a patch overlaps the next; `None` where it differs or no patch has a neighbour.
    pub overlap: Option<f64>,
    /// What happens at the edges; `None` where only the patches themselves are known.
    pub edge: Option<Edge>,
    /// How many there are.
    pub patches: usize,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct DataRow {
    /// What the data is called. Rows of one label differ by the rule for edges.
    pub label: String,
    /// Its images; `None` for a row that is only published.
    pub holdings: Option<Holdings>,
    /// Its patches, if it was cut.
    pub cut: Option<Cut>,
    /// What others counted.
    pub published: Option<&'static Counts>,
}

impl DataRow {
    /// What is counted here.
    fn count(&self, quantity: Quantity) -> Option<u64> {
        let holdings = self.holdings.as_ref()?;
        let of = |split: Split| Some(holdings.splits.get(&split).copied().unwrap_or(0) as u64);
        match quantity {
            Quantity::Images => Some(holdings.splits.values().sum::<usize>() as u64),
            Quantity::Train => of(Split::Train),
            Quantity::Val => of(Split::Val),
            Quantity::Test => of(Split::Test),
            Quantity::Unlabeled => of(Split::Unlabeled),
            Quantity::Patches => Some(self.cut?.patches as u64),
        }
    }

    fn published(&self, quantity: Quantity) -> Option<u64> {
        self.published?.of(quantity)
    }

    /// What is counted here, less what was published.
    fn difference(&self, quantity: Quantity) -> Option<i64> {
        Some(i64::try_from(self.count(quantity)?).ok()? - i64::try_from(self.published(quantity)?).ok()?)
    }

    /// Nobody counted it here.
    fn is_published_only(&self) -> bool {
        self.holdings.is_none()
    }
}

/// A table of data, to be rendered as CSV, Markdown, LaTeX and plain text.
#[derive(Clone, Debug, PartialEq)]
pub struct DataTable {
    /// Stands above it.
    pub title: Option<String>,
    /// Down.
    pub rows: Vec<DataRow>,
}

/// One column but the labels; `key` names it in CSV.
struct Column {
    key: String,
    heading: String,
    cells: Vec<Cell>,
}

/// What a cell holds. Parts stand below each other where there is little room.
enum Cell {
    None,
    Count(u64),
    Difference(i64),
    Parts(Vec<String>),
}

impl DataTable {
    /// Sets published counts beside the rows of the labels that name them. A label without a row becomes one that is only
    /// published, at the end, in the order in which the counts were published.
    #[must_use]
    pub fn with_published(mut self, published: &BTreeMap<String, CountsId>) -> DataTable {
        let mut without: Vec<(usize, DataRow)> = Vec::new();
        for (label, id) in published {
            let Some((place, counts)) = id.value() else { continue };
            let mut rows = self.rows.iter_mut().filter(|row| row.label == *label).peekable();
            if rows.peek().is_none() {
                let row = DataRow { label: label.clone(), holdings: None, cut: None, published: Some(counts) };
                without.push((place, row));
            }
            rows.for_each(|row| row.published = Some(counts));
        }
        without.sort_by_key(|(place, _)| *place);
        self.rows.extend(without.into_iter().map(|(_, row)| row));
        self
    }

    /// What some row has published.
    fn compared(&self) -> Vec<Quantity> {
        let published = |quantity: &Quantity| self.rows.iter().any(|row| row.published(*quantity).is_some());
        Quantity::ALL.into_iter().filter(published).collect()
    }

    fn column(&self, key: &str, heading: &str, cell: impl Fn(&DataRow) -> Option<Cell>) -> Column {
        let cells = self.rows.iter().map(|row| cell(row).unwrap_or(Cell::None)).collect();
        Column { key: key.to_owned(), heading: heading.to_owned(), cells }
    }

    /// What is counted, without what was published. A column that no row has is left out.
    fn counted(&self) -> Vec<Column> {
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
        // A split that no data set has is no column; that a rule gives no patches is worth one.
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

    /// `data_set,images,train,…`: plain numbers; what a row does not have is empty. With published counts come
    /// `published_X` and `difference_X` for each count X that was published, `published_id` and `published_only`.
    ///
    /// # Errors
    /// None that come from the numbers: the writer is in memory.
    pub fn csv(&self) -> anyhow::Result<String> {
        let mut columns = self.counted();
        let compared = self.compared();
        for &quantity in &compared {
            let name = quantity.name();
            let published = |row: &DataRow| row.published(quantity).map(Cell::Count);
            columns.push(self.column(&format!("published_{name}"), "", published));
            let difference = |row: &DataRow| row.difference(quantity).map(Cell::Difference);
            columns.push(self.column(&format!("difference_{name}"), "", difference));
        }
        if !compared.is_empty() {
            let id = |row: &DataRow| Some(Cell::Parts(vec![row.published?.id.clone()]));
            columns.push(self.column("published_id", "", id));
            let only = |row: &DataRow| Some(Cell::Parts(vec![row.is_published_only().to_string()]));
            columns.push(self.column("published_only", "", only));
        }
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["data_set"].into_iter().chain(columns.iter().map(|column| column.key.as_str())))?;
        for (number, row) in self.rows.iter().enumerate() {
            let cells = columns.iter().map(|column| match &column.cells[number] {
                Cell::None => String::new(),
                Cell::Count(count) => count.to_string(),
                Cell::Difference(difference) => difference.to_string(),
                Cell::Parts(parts) => parts.join("; "),
            });
            writer.write_record([row.label.clone()].into_iter().chain(cells))?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }
}

/// The word in experiments.
fn edge_name(edge: Edge) -> &'static str {
    match edge {
        Edge::Drop => "drop",
        Edge::Shift => "shift",
        Edge::Pad => "pad",
    }
}

/// More sizes than this are only counted.
const MOST_SIZES: usize = 3;

/// `645×484`, or `1024×703 (26)` where there are several, the most frequent first.
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
