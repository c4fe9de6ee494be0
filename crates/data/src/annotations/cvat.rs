//! CVAT for images 1.1: XML with the shapes of all images of a task. Shapes are drawn by `z_order`. The tool lists all images,
//! so one without shapes may not be annotated yet.
//!
//! A document type, with which XML can name other files or grow without bounds, is an error.

use super::file::{AnnotatedImage, AnnotationFile};
use super::problem::{Place, Problem};
use super::runs::Runs;
use super::shape::{Region, Shape};
use crate::rasterize::Corner;
use roxmltree::{Document, Node, ParsingOptions};

/// Largest number of elements, attributes and texts.
const MAX_NODES: u32 = 20_000_000;

/// Reads a CVAT file.
///
/// # Errors
/// What cannot be read, with its image and shape.
pub(super) fn parse(bytes: &[u8]) -> Result<AnnotationFile, Problem> {
    let unreadable = |error: &dyn std::fmt::Display| Problem::unreadable("XML of CVAT", error);
    let text = std::str::from_utf8(bytes).map_err(|error| unreadable(&error))?;
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| unreadable(&error))?;
    let root = document.root_element();
    let children = |name: &'static str| root.children().filter(move |node| node.has_tag_name(name));
    if !root.has_tag_name("annotations") || children("image").next().is_none() {
        let (problem, cure) = match children("track").next() {
            Some(_) => ("CVAT's annotations of a video", "export the task as \"CVAT for images 1.1\""),
            None => ("XML without CVAT's images", "export the task as \"CVAT for images 1.1\""),
        };
        return Err(Problem::new(problem, cure));
    }
    Ok(AnnotationFile::new(children("image").map(image).collect::<Result<_, _>>()?, true))
}

fn image(node: Node<'_, '_>) -> Result<AnnotatedImage, Problem> {
    let side = |name: &str| node.attribute(name).and_then(|value| value.parse().ok());
    let mut image = AnnotatedImage::new(node.attribute("name").unwrap_or_default(), (side("width"), side("height")));
    if image.name.is_empty() {
        return Err(Problem::unreadable("XML of CVAT", "an image without name"));
    }
    let mut shapes: Vec<(i64, Shape)> = Vec::new();
    // Tags are labels of whole images.
    for node in node.children().filter(|node| node.is_element() && !node.has_tag_name("tag")) {
        let place = format!("{} (shape {})", node.tag_name().name(), shapes.len() + 1);
        let name = node.attribute("label").unwrap_or_default().to_owned();
        let region = region(&Place { image: &image.name, shape: &place, name: &name }, node)?;
        let order = node.attribute("z_order").and_then(|order| order.parse().ok()).unwrap_or(0);
        shapes.push((order, Shape { place, name, region }));
    }
    // The sort is stable: shapes of one layer keep their order.
    shapes.sort_by_key(|(order, _)| *order);
    image.shapes = shapes.into_iter().map(|(_, shape)| shape).collect();
    Ok(image)
}

fn region(place: &Place<'_>, node: Node<'_, '_>) -> Result<Region, Problem> {
    let text = |name: &str| node.attribute(name).ok_or_else(|| place.incomplete(&format!("`{name}`")));
    let number = |name: &str| match text(name)?.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(place.incomplete(&format!("`{name}`"))),
    };
    let turn = || if node.has_attribute("rotation") { number("rotation").map(f64::to_radians) } else { Ok(0.0) };
    match node.tag_name().name() {
        "polygon" => {
            let corner = |pair: &str| -> Option<Corner> {
                let (x, y) = pair.split_once(',')?;
                Some((x.trim().parse().ok()?, y.trim().parse().ok()?))
            };
            let corners: Option<Vec<Corner>> = text("points")?.split(';').map(corner).collect();
            Region::polygon(place, corners.ok_or_else(|| place.incomplete("`points`"))?)
        }
        "box" => {
            let corners = ((number("xtl")?, number("ytl")?), (number("xbr")?, number("ybr")?));
            Region::rectangle(place, corners, turn()?)
        }
        "ellipse" => Region::ellipse(place, (number("cx")?, number("cy")?), (number("rx")?, number("ry")?), turn()?),
        "mask" => {
            let lengths: Result<Vec<u32>, _> = text("rle")?.split(',').map(|length| length.trim().parse()).collect();
            let lengths = lengths.map_err(|_| place.incomplete("`rle`"))?;
            let size = (number("width")? as usize, number("height")? as usize);
            let (left, top) = (number("left")? as i64, number("top")? as i64);
            let runs = Runs { left, top, size, by_column: false, lengths };
            if !runs.fit() {
                let problem = format!("run lengths that do not add up to {}×{} pixels", size.0, size.1);
                return Err(place.problem(problem, "export the annotations again"));
            }
            Ok(Region::Runs(runs))
        }
        kind => Ok(Region::NoArea(kind.to_owned())),
    }
}
