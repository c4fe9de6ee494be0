//! VGG Image Annotator 2: a project (`_via_img_metadata`) or an export of annotations as JSON. [`super::via_csv`] reads the
//! export as CSV.
//!
//! A region has attributes that the user defined. The class is the one of them that all regions have, unless `attribute` names
//! it. The tool lists all images of a project, so one without regions may not be annotated yet.

use super::file::{AnnotatedImage, AnnotationFile};
use super::problem::{Place, Problem};
use super::shape::{Region, Shape};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
struct Project {
    #[serde(rename = "_via_img_metadata")]
    images: BTreeMap<String, ViaImage>,
}

/// An image.
#[derive(Deserialize)]
pub(super) struct ViaImage {
    pub(super) filename: String,
    #[serde(default)]
    pub(super) regions: Regions,
}

/// A list; a table by number in version 1.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Regions {
    List(Vec<ViaRegion>),
    ByNumber(BTreeMap<String, ViaRegion>),
}

impl Default for Regions {
    fn default() -> Self {
        Regions::List(Vec::new())
    }
}

/// A region.
#[derive(Deserialize)]
pub(super) struct ViaRegion {
    pub(super) shape_attributes: ShapeAttributes,
    #[serde(default)]
    pub(super) region_attributes: BTreeMap<String, Value>,
}

/// The region's shape: `name` is its kind.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ShapeAttributes {
    pub(super) name: Option<String>,
    all_points_x: Vec<f64>,
    all_points_y: Vec<f64>,
    x: Option<f64>,
    y: Option<f64>,
    width: Option<f64>,
    height: Option<f64>,
    cx: Option<f64>,
    cy: Option<f64>,
    r: Option<f64>,
    rx: Option<f64>,
    ry: Option<f64>,
    theta: f64,
}

const FORMAT: &str = "VIA";

/// Reads a saved project.
///
/// # Errors
/// What cannot be read, with its image and region.
pub(super) fn parse_project(bytes: &[u8], attribute: Option<&str>) -> Result<AnnotationFile, Problem> {
    let project: Project = serde_json::from_slice(bytes).map_err(|error| Problem::unreadable(FORMAT, error))?;
    shapes(project.images.into_values().collect(), attribute)
}

/// Whether a JSON object is an export of annotations: a table of images.
pub(super) fn is_export(bytes: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Named {
        #[serde(rename = "filename")]
        _filename: String,
    }
    serde_json::from_slice::<BTreeMap<String, Named>>(bytes).is_ok_and(|images| !images.is_empty())
}

/// Reads an export of annotations.
///
/// # Errors
/// As [`parse_project`].
pub(super) fn parse_export(bytes: &[u8], attribute: Option<&str>) -> Result<AnnotationFile, Problem> {
    let images: BTreeMap<String, ViaImage> =
        serde_json::from_slice(bytes).map_err(|error| Problem::unreadable(FORMAT, error))?;
    shapes(images.into_values().collect(), attribute)
}

/// The shapes of `images`.
///
/// # Errors
/// A shape that cannot be read, or attributes that do not tell the class.
pub(super) fn shapes(images: Vec<ViaImage>, attribute: Option<&str>) -> Result<AnnotationFile, Problem> {
    let images: Vec<(String, Vec<ViaRegion>)> = images
        .into_iter()
        .map(|image| match image.regions {
            Regions::List(regions) => (image.filename, regions),
            Regions::ByNumber(regions) => {
                let mut regions: Vec<(String, ViaRegion)> = regions.into_iter().collect();
                regions.sort_by_key(|(number, _)| number.parse::<u64>().unwrap_or(u64::MAX));
                (image.filename, regions.into_iter().map(|(_, region)| region).collect())
            }
        })
        .collect();
    let keys = images.iter().flat_map(|(_, regions)| regions).flat_map(|region| region.region_attributes.keys());
    let attributes: BTreeSet<String> = keys.cloned().collect();
    let attribute = match attribute {
        Some(attribute) => attribute.to_owned(),
        None => class_attribute(images.iter().flat_map(|(_, regions)| regions))?,
    };
    let shapes = |(filename, regions): (String, Vec<ViaRegion>)| {
        let mut image = AnnotatedImage::new(&filename, (None, None));
        for (i, region) in regions.into_iter().enumerate() {
            let place = format!("region {}", i + 1);
            let name = region.region_attributes.get(&attribute).map_or(Ok(String::new()), |value| {
                chosen(value).ok_or_else(|| {
                    let problem =
                        format!("{}, {place}: several values of its attribute `{attribute}`: {value}", image.name);
                    Problem::new(problem, "leave one of them")
                })
            })?;
            let at = Place { image: &image.name, shape: &place, name: &name };
            let region = region_of(&at, &region.shape_attributes)?;
            image.shapes.push(Shape { place, name, region });
        }
        Ok(image)
    };
    let images = images.into_iter().map(shapes).collect::<Result<_, Problem>>()?;
    Ok(AnnotationFile::new(images, true).with_attributes(attributes))
}

/// The attribute that all regions have.
fn class_attribute<'a>(regions: impl Iterator<Item = &'a ViaRegion>) -> Result<String, Problem> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut total = 0;
    for region in regions {
        total += 1;
        for (name, _) in
            region.region_attributes.iter().filter(|(_, value)| chosen(value).is_none_or(|v| !v.is_empty()))
        {
            *counts.entry(name).or_default() += 1;
        }
    }
    let of_all: Vec<&str> = counts.iter().filter(|(_, count)| **count == total).map(|(name, _)| *name).collect();
    match of_all.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] if counts.is_empty() => Ok(String::new()),
        [] if counts.len() == 1 => Ok(counts.keys().next().map_or(String::new(), |name| (*name).to_owned())),
        _ => {
            let names: Vec<&str> = counts.keys().copied().collect();
            let problem = format!("regions have the attributes {}", names.join(", "));
            Err(Problem::new(problem, format!("say which holds the class: `attribute = \"{}\"`", names[0])))
        }
    }
}

/// The value of an attribute: text, a number, or the only box that is checked. Empty if there is none, `None` if there are
/// several.
fn chosen(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(boxes) => {
            let mut checked = boxes.iter().filter(|(_, value)| **value == Value::Bool(true)).map(|(name, _)| name);
            let first = checked.next().cloned().unwrap_or_default();
            checked.next().is_none().then_some(first)
        }
        _ => Some(String::new()),
    }
}

fn region_of(place: &Place<'_>, shape: &ShapeAttributes) -> Result<Region, Problem> {
    let number = |what: &str, value: Option<f64>| value.ok_or_else(|| place.incomplete(&format!("`{what}`")));
    let center = || Ok((number("cx", shape.cx)?, number("cy", shape.cy)?));
    match shape.name.as_deref().unwrap_or_default() {
        "polygon" => {
            let (xs, ys) = (&shape.all_points_x, &shape.all_points_y);
            if xs.len() != ys.len() {
                let problem = format!("a polygon of {} x and {} y", xs.len(), ys.len());
                return Err(place.problem(problem, "correct the shape or delete it"));
            }
            Region::polygon(place, xs.iter().copied().zip(ys.iter().copied()).collect())
        }
        "rect" => {
            let (x, y) = (number("x", shape.x)?, number("y", shape.y)?);
            let (width, height) = (number("width", shape.width)?, number("height", shape.height)?);
            Region::rectangle(place, ((x, y), (x + width, y + height)), 0.0)
        }
        "circle" => {
            let r = number("r", shape.r)?;
            Region::ellipse(place, center()?, (r, r), 0.0)
        }
        "ellipse" => Region::ellipse(place, center()?, (number("rx", shape.rx)?, number("ry", shape.ry)?), shape.theta),
        "" => Err(place.incomplete("`name` of its shape")),
        kind => Ok(Region::NoArea(kind.to_owned())),
    }
}
