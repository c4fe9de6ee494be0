//! The table of specimens.

use super::content::{PredictionsPage, SpecimenRow};
use super::image_table::swatch;
use super::number::{cell, corrected, percent};
use maud::{Markup, html};

impl PredictionsPage {
    /// One row a specimen: the mean over its fields with its interval, and the standard deviation between fields.
    pub(super) fn specimen_table(&self) -> Markup {
        let mut fractions = self.specimens.iter().flat_map(|row| &row.fractions);
        let is_corrected = fractions.any(|(fraction, _)| corrected(fraction).is_some());
        let span = if is_corrected { 2 } else { 1 };
        let classes = self.classes.len();
        html! {
            div.scroll {
                table.sortable {
                    thead {
                        tr {
                            th rowspan="2" data-column="0" { "specimen" }
                            th rowspan="2" data-column="1" { "fields" }
                            @for (name, colour) in &self.classes {
                                th.class colspan=(span) { (swatch(*colour)) (name) " (%)" }
                            }
                        }
                        tr {
                            @for class in 0..classes {
                                th data-column=(2 + class * span) { "raw" }
                                @if is_corrected { th data-column=(3 + class * span) { "corrected" } }
                            }
                        }
                    }
                    tbody { @for row in &self.specimens { (specimen(row, classes, is_corrected)) } }
                }
            }
        }
    }
}

fn specimen(row: &SpecimenRow, classes: usize, is_corrected: bool) -> Markup {
    html! {
        tr data-name=(row.specimen) {
            td.name { (row.specimen) }
            td.number data-value=(row.fields) { (row.fields) }
            @for class in 0..classes {
                @let found = row.fractions.get(class);
                @let spread = found.and_then(|(_, spread)| *spread).map(|spread| format!("s = {}", percent(spread)));
                (cell(found.map(|(fraction, _)| &fraction.raw), spread))
                @if is_corrected { (cell(found.and_then(|(fraction, _)| corrected(fraction)), None)) }
            }
        }
    }
}
