//! VGG Image Annotator 2, annotations exported as CSV: a row for each region, with JSON in two columns.

use super::file::AnnotationFile;
use super::problem::Problem;
use super::via::{Regions, ShapeAttributes, ViaImage, ViaRegion, shapes};
use serde_json::Value;
use std::collections::BTreeMap;

const COLUMNS: [&str; 3] = ["filename", "region_shape_attributes", "region_attributes"];

/// Whether the first line names the columns of such a table.
pub(super) fn is_table(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.len() < 1000 && String::from_utf8_lossy(line).contains(COLUMNS[1])
}

/// Reads a table.
///
/// # Errors
/// What cannot be read, with its row.
pub(super) fn parse(bytes: &[u8], attribute: Option<&str>) -> Result<AnnotationFile, Problem> {
    let unreadable = |error: csv::Error| Problem::unreadable("a table of VIA", error);
    let mut table = csv::Reader::from_reader(bytes);
    let header = table.headers().map_err(unreadable)?.clone();
    let column = |name: &str| {
        let found = header.iter().position(|column| column.trim().trim_start_matches('#') == name);
        found.ok_or_else(|| Problem::unreadable("a table of VIA", format!("no column `{name}`")))
    };
    let [file, shape, attributes] = [column(COLUMNS[0])?, column(COLUMNS[1])?, column(COLUMNS[2])?];
    let mut images: Vec<ViaImage> = Vec::new();
    let mut index: BTreeMap<String, usize> = BTreeMap::new();
    for (i, row) in table.records().enumerate() {
        let row = row.map_err(unreadable)?;
        let cell = |column: usize| row.get(column).unwrap_or_default();
        let name = cell(file);
        let image = *index.entry(name.to_owned()).or_insert_with(|| {
            images.push(ViaImage { filename: name.to_owned(), regions: Regions::default() });
            images.len() - 1
        });
        let bad = |column: &str, error: serde_json::Error| {
            Problem::unreadable("a table of VIA", format!("row {} of {name}, `{column}`: {error}", i + 1))
        };
        let shape_attributes: ShapeAttributes =
            serde_json::from_str(cell(shape)).map_err(|error| bad(COLUMNS[1], error))?;
        let region_attributes: BTreeMap<String, Value> =
            serde_json::from_str(cell(attributes)).map_err(|error| bad(COLUMNS[2], error))?;
        // The row of an image without regions has `{}`.
        if let (Some(_), Regions::List(regions)) = (&shape_attributes.name, &mut images[image].regions) {
            regions.push(ViaRegion { shape_attributes, region_attributes });
        }
    }
    shapes(images, attribute)
}
