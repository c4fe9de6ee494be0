//! OME-XML in the TIFF's description: `PhysicalSizeX` of the first image's `Pixels`, in `PhysicalSizeXUnit` (µm by default).

use super::statements::Statements;
use super::text::nanometres;
use super::tiff_resolution::is_for_printing;
use matssl_base::units;
use roxmltree::Document;

pub(super) fn statements(description: &str) -> Option<Statements> {
    if !description.contains("<OME") {
        return None;
    }
    // A declaration may stand after white space, which XML forbids.
    let document = Document::parse(description.trim()).ok()?;
    if document.root_element().tag_name().name() != "OME" {
        return None;
    }
    let pixels = document.descendants().find(|node| node.tag_name().name() == "Pixels")?;
    let size = |axis: &str| {
        let unit = pixels.attribute(format!("{axis}Unit").as_str()).unwrap_or("µm");
        // Bio-Formats takes sizes over from a resolution for printing.
        nanometres(pixels.attribute(axis)?, units::length_unit(unit)?).filter(|&size| !is_for_printing(size))
    };
    let across = size("PhysicalSizeX");
    let pixel_size = across.map(|across| [across, size("PhysicalSizeY").unwrap_or(across)]);
    Some(Statements { vendor: "OME", pixel_size, ..Statements::default() })
}
