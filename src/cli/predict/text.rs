//! The table on standard output.

use super::super::wording::plural;
use matssl_metrics::Estimate;
use matssl_predict::results::{Results, ResultsFolder};
use std::fmt::Write;

/// Specimens in the table; summary.csv has all.
const MOST: usize = 12;

/// The area fractions in per cent, by specimen and class, and where the page is.
pub(super) fn of(results: &Results, folder: &ResultsFolder) -> String {
    let mut text = String::new();
    let page = folder.root().join(ResultsFolder::PAGE);
    if results.fields().is_empty() {
        return format!("no image was predicted; see {}\n", page.display());
    }
    let specimens = results.specimens();
    let heading = ["specimen", "images", "class", "fraction", "95 % interval", "corrected", "95 % interval"];
    let mut rows = vec![heading.map(str::to_owned)];
    for specimen in specimens.iter().take(MOST) {
        for (class, of) in results.classes().iter().zip(specimen.fractions()) {
            let images = specimen.fields.len().to_string();
            let first = if class.name == results.classes()[0].name {
                [specimen.name.clone(), images]
            } else {
                Default::default()
            };
            let [specimen, images] = first;
            let [corrected, its_interval] =
                Results::corrected(&of).map_or_else(Default::default, |of| [percent(of), interval(of)]);
            let class = class.name.clone();
            rows.push([specimen, images, class, percent(&of.raw), interval(&of.raw), corrected, its_interval]);
        }
    }
    if rows[1..].iter().all(|row| row[5].is_empty()) {
        rows[0][5..].iter_mut().for_each(String::clear);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    if specimens.len() > MOST {
        let more = plural(specimens.len() - MOST, "more specimen");
        let _ = writeln!(text, "… {more} in {}", folder.root().join(ResultsFolder::SUMMARY).display());
    }
    let flagged = results.fields().iter().filter(|field| !field.result.unusual.is_empty()).count();
    if flagged > 0 {
        let _ = writeln!(text, "{} unlike the training images: see the page", plural(flagged, "image"));
    }
    let unmatched = results.unmatched().filter(|_| !results.has_specimens());
    for note in results.notes().into_iter().filter(|note| Some(note) != unmatched.as_ref()) {
        let _ = writeln!(text, "{note}");
    }
    let _ = writeln!(text, "{}", page.display());
    text
}

fn percent(estimate: &Estimate) -> String {
    format!("{:.2} %", 100.0 * estimate.value)
}

fn interval(estimate: &Estimate) -> String {
    estimate.interval.map(|[low, high]| format!("{:.2} to {:.2} %", 100.0 * low, 100.0 * high)).unwrap_or_default()
}
