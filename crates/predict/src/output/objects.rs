//! The objects of an image, one a line.

use crate::measure::{Measured, Unit};
use crate::model::ClassDescription;
use anyhow::Result;

/// `class,area_px,centre_x,centre_y,equivalent_diameter,aspect_ratio,nearest_neighbour,touches_edge`, with the unit of lengths in
/// the heading: `equivalent_diameter_um` or `equivalent_diameter_px`.
pub(super) fn objects_csv(measured: &Measured, classes: &[ClassDescription]) -> Result<Vec<u8>> {
    let unit = if measured.unit == Unit::Micrometre { "um" } else { "px" };
    let mut writer = csv::Writer::from_writer(Vec::new());
    let lengths = ["centre_x", "centre_y", "equivalent_diameter", "nearest_neighbour"];
    let [x, y, diameter, nearest] = lengths.map(|name| format!("{name}_{unit}"));
    let heading = ["class", "area_px", &x, &y, &diameter, "aspect_ratio", &nearest, "touches_edge"];
    writer.write_record(heading)?;
    for of_class in &measured.objects {
        let name = classes[usize::from(of_class.class)].name.as_str();
        for object in &of_class.objects {
            let [x, y] = object.centroid;
            writer.serialize((
                name,
                object.area,
                x,
                y,
                object.equivalent_diameter,
                object.aspect_ratio,
                object.nearest,
                object.touches_edge,
            ))?;
        }
    }
    Ok(writer.into_inner()?)
}
