//! The table of all images.

use super::content::{PredictedImage, PredictionsPage};
use super::number::{cell, corrected, counted, pixel_size};
use crate::address::address;
use crate::palette::hex;
use maud::{Markup, html};

/// Thousands of images make a long page: the table then scrolls inside of its own box.
const MOST_UNBOXED: usize = 30;

impl PredictionsPage {
    /// Whether any image has corrected fractions with intervals.
    pub(super) fn is_corrected(&self) -> bool {
        self.images.iter().flat_map(|image| &image.fractions).any(|fraction| corrected(fraction).is_some())
    }

    /// One row an image: size, fraction of each class with its interval, what is unusual. A heading sorts by its column, cells by
    /// their `data-value` or, without one, their text.
    pub(super) fn image_table(&self) -> Markup {
        let is_corrected = self.is_corrected();
        let knows_sizes = self.images.iter().any(|image| image.pixel_size_nm.is_some());
        let marks = self.images.iter().any(|image| !image.unusual.is_empty());
        // The columns in their order: what a heading sorts by.
        let mut columns = 0..;
        let mut heading = |text: &str, rows: u8| {
            let column = columns.next().unwrap_or(usize::MAX);
            html! { th data-column=(column) rowspan=(rows) { (text) } }
        };
        let rows = 2;
        let first = [heading("image", rows), heading("size", rows)];
        let size = knows_sizes.then(|| heading("pixel", rows));
        let of_classes: Vec<Markup> = (self.classes.iter())
            .map(|_| html! { (heading("raw", 1)) @if is_corrected { (heading("corrected", 1)) } })
            .collect();
        let last = marks.then(|| heading("unusual", rows));
        let span = if is_corrected { 2 } else { 1 };
        let boxed = if self.images.len() > MOST_UNBOXED { "scroll boxed" } else { "scroll" };
        html! {
            div class=(boxed) {
                table.sortable {
                    thead {
                        tr {
                            th rowspan="2" { span.hidden { "preview" } }
                            @for heading in first { (heading) }
                            @if let Some(heading) = size { (heading) }
                            @for (name, colour) in &self.classes {
                                th.class colspan=(span) { (swatch(*colour)) (name) " (%)" }
                            }
                            @if let Some(heading) = last { (heading) }
                        }
                        tr { @for headings in of_classes { (headings) } }
                    }
                    tbody { @for image in &self.images { (row(image, self.classes.len(), is_corrected, knows_sizes, marks)) } }
                }
            }
        }
    }
}

/// A square in the colour of a class.
pub(super) fn swatch(colour: [u8; 3]) -> Markup {
    html! { span.swatch style={ "background:" (hex(colour)) } {} }
}

fn row(image: &PredictedImage, classes: usize, is_corrected: bool, knows_sizes: bool, marks: bool) -> Markup {
    let (width, height) = image.size;
    html! {
        tr data-name=(image.image) {
            td.preview {
                a href=(address(&image.overlay)) {
                    img loading="lazy" decoding="async" width="72" height="54" alt="" src=(address(&image.thumbnail));
                }
            }
            td.name { a href=(address(&image.overlay)) { (image.image) } }
            td.number data-value=(width * height) { (width) "×" (height) }
            @if knows_sizes {
                @match image.pixel_size_nm {
                    Some(size) => { td.number data-value=(size) { (pixel_size(size)) } }
                    None => { td.number { span.soft { "–" } } }
                }
            }
            @for class in 0..classes {
                @let fraction = image.fractions.get(class);
                (cell(fraction.map(|fraction| &fraction.raw), None))
                @if is_corrected { (cell(fraction.and_then(corrected), None)) }
            }
            @if marks {
                td data-value=(image.unusual.len()) {
                    @if !image.unusual.is_empty() {
                        a.mark href="#unusual" title=(image.unusual.join("; ")) { "⚠ " (counted(image.unusual.len(), "reason")) }
                    }
                }
            }
        }
    }
}
