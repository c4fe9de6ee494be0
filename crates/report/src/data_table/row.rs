//! A row of a table of data.

use super::holdings::Holdings;
use crate::published::{Counts, Quantity};
use matssl_data::Split;
use matssl_data::patches::Edge;

/// The patches of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// Side of a patch in pixels.
    pub size: usize,
    /// The part of its side by which a patch overlaps the next; `None` if it differs or if no patch has a neighbour.
    pub overlap: Option<f64>,
    /// The rule for edges; `None` if only the patches are known.
    pub edge: Option<Edge>,
    /// Number of patches.
    pub patches: usize,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct DataRow {
    /// The name of the data. Rows with the same label differ in the rule for edges.
    pub label: String,
    /// Its images; `None` for a row that is only published.
    pub holdings: Option<Holdings>,
    /// Its patches; `None` if it was not cut.
    pub cut: Option<Cut>,
    /// The published counts.
    pub published: Option<&'static Counts>,
}

impl DataRow {
    /// The own count.
    pub(super) fn count(&self, quantity: Quantity) -> Option<u64> {
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

    /// The published count.
    pub(super) fn published(&self, quantity: Quantity) -> Option<u64> {
        self.published?.of(quantity)
    }

    /// The own count minus the published one.
    pub(super) fn difference(&self, quantity: Quantity) -> Option<i64> {
        Some(i64::try_from(self.count(quantity)?).ok()? - i64::try_from(self.published(quantity)?).ok()?)
    }

    /// Whether it was not counted here.
    pub(super) fn is_published_only(&self) -> bool {
        self.holdings.is_none()
    }
}

/// The word for a rule in experiments.
pub(super) fn edge_name(edge: Edge) -> &'static str {
    match edge {
        Edge::Drop => "drop",
        Edge::Shift => "shift",
        Edge::Pad => "pad",
    }
}
