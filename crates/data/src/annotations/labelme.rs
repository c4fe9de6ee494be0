//! labelme: a JSON file for each image; also X-AnyLabeling, which writes the same with a few more kinds of shapes.

use super::file::{AnnotatedImage, AnnotationFile};
use super::problem::{Place, Problem};
use super::shape::{Region, Shape};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

// `imageData`, a copy of the image, is passed over.
#[derive(Deserialize)]
struct Labelme {
    shapes: Vec<LabelmeShape>,
    #[serde(rename = "imagePath")]
    image_path: Option<String>,
    #[serde(rename = "imageWidth")]
    width: Option<u64>,
    #[serde(rename = "imageHeight")]
    height: Option<u64>,
}

#[derive(Deserialize)]
struct LabelmeShape {
    label: String,
    #[serde(default)]
    points: Vec<(f64, f64)>,
    // Early versions had polygons only.
    shape_type: Option<String>,
    mask: Option<String>,
}

/// Reads a labelme file.
///
/// # Errors
/// What cannot be read, with its shape.
pub(super) fn parse(bytes: &[u8]) -> Result<AnnotationFile, Problem> {
    let file: Labelme = serde_json::from_slice(bytes).map_err(|error| Problem::unreadable("labelme", error))?;
    let path = file.image_path.unwrap_or_default();
    let mut image = AnnotatedImage::new(&path, (file.width, file.height));
    for (i, shape) in file.shapes.into_iter().enumerate() {
        let place = format!("shape {}", i + 1);
        let region = region(&Place { image: &image.name, shape: &place, name: &shape.label }, &shape)?;
        image.shapes.push(Shape { place, name: shape.label, region });
    }
    Ok(AnnotationFile::new(vec![image], false))
}

fn region(place: &Place<'_>, shape: &LabelmeShape) -> Result<Region, Problem> {
    let points = &shape.points;
    let kind = shape.shape_type.as_deref().unwrap_or("polygon");
    match (kind, points.as_slice()) {
        // X-AnyLabeling writes all four corners of a rectangle.
        ("polygon" | "rotation", _) | ("rectangle", [_, _, _, _]) => Region::polygon(place, points.clone()),
        ("rectangle", &[a, b]) => Region::rectangle(place, (a, b), 0.0),
        ("circle", &[center, edge]) => {
            let radius = (edge.0 - center.0).hypot(edge.1 - center.1);
            Region::ellipse(place, center, (radius, radius), 0.0)
        }
        ("mask", &[a, b]) => {
            let bytes = shape.mask.as_ref().and_then(|text| BASE64_STANDARD.decode(text).ok());
            let bytes = bytes.ok_or_else(|| place.incomplete("`mask`"))?;
            // The points are the first and the last pixel.
            let (left, top) = (a.0 as i64, a.1 as i64);
            let length = |from: i64, to: f64| usize::try_from((to as i64).saturating_sub(from).saturating_add(1)).ok();
            match (length(left, b.0), length(top, b.1)) {
                (Some(width), Some(height)) => Ok(Region::Png { left, top, size: (width, height), bytes }),
                _ => Err(place.incomplete("points of its `mask`")),
            }
        }
        ("rectangle" | "circle" | "mask", points) => {
            let problem = format!("a {kind} of {} points, not 2", points.len());
            Err(place.problem(problem, "correct the shape or delete it"))
        }
        (kind, _) => Ok(Region::NoArea(kind.to_owned())),
    }
}
