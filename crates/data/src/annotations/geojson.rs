//! GeoJSON as QuPath exports it: a feature for each object, coordinates in pixels, the class in
//! `properties.classification.name`. A file holds the objects of one image and does not name it.

use super::file::{AnnotatedImage, AnnotationFile};
use super::problem::{Place, Problem};
use super::shape::{Region, Shape, ring};
use crate::rasterize::Corner;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A FeatureCollection, or a feature.
#[derive(Deserialize)]
struct GeoJson {
    features: Option<Vec<Feature>>,
    geometry: Option<Geometry>,
    properties: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
struct Feature {
    geometry: Option<Geometry>,
    properties: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Geometry {
    Polygon {
        coordinates: Vec<Vec<Position>>,
    },
    MultiPolygon {
        coordinates: Vec<Vec<Vec<Position>>>,
    },
    #[serde(rename = "GeometryCollection")]
    Collection {
        geometries: Vec<Geometry>,
    },
    Point,
    MultiPoint,
    LineString,
    MultiLineString,
}

/// x, y, and perhaps more.
#[derive(Deserialize)]
#[serde(try_from = "Vec<f64>")]
struct Position(Corner);

impl TryFrom<Vec<f64>> for Position {
    type Error = &'static str;

    fn try_from(numbers: Vec<f64>) -> Result<Self, Self::Error> {
        match numbers.as_slice() {
            &[x, y, ..] => Ok(Position((x, y))),
            _ => Err("a position needs x and y"),
        }
    }
}

/// Reads a GeoJSON file.
///
/// # Errors
/// What cannot be read, with its feature.
pub(super) fn parse(bytes: &[u8], attribute: Option<&str>) -> Result<AnnotationFile, Problem> {
    let unreadable = |error| Problem::unreadable("GeoJSON", error);
    let features: Vec<Feature> = if bytes.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice(bytes).map_err(unreadable)?
    } else {
        let GeoJson { features, geometry, properties } = serde_json::from_slice(bytes).map_err(unreadable)?;
        features.unwrap_or_else(|| vec![Feature { geometry, properties }])
    };
    let mut image = AnnotatedImage::default();
    let keys = features.iter().filter_map(|feature| feature.properties.as_ref()).flat_map(BTreeMap::keys);
    let attributes: BTreeSet<String> = keys.cloned().collect();
    for (i, feature) in features.into_iter().enumerate() {
        let place = format!("feature {}", i + 1);
        let name = name_of(&feature.properties.unwrap_or_default(), attribute);
        let at = Place { image: "", shape: &place, name: &name };
        let geometry = feature.geometry.ok_or_else(|| at.incomplete("geometry"))?;
        let mut polygons = Vec::new();
        let region = match add(&at, geometry, &mut polygons)? {
            Some(kind) => Region::NoArea(kind.into()),
            None if polygons.is_empty() => return Err(at.incomplete("geometry")),
            None => Region::Polygons(polygons),
        };
        image.shapes.push(Shape { place, name, region });
    }
    Ok(AnnotationFile::new(vec![image], false).with_attributes(attributes))
}

/// The class: the property `attribute`, or else the classification, whose names QuPath joins itself. Empty if there is none.
fn name_of(properties: &BTreeMap<String, Value>, attribute: Option<&str>) -> String {
    let value = properties.get(attribute.unwrap_or("classification"));
    match value {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Object(class)) => match (class.get("name"), class.get("names")) {
            (Some(Value::String(name)), _) => name.clone(),
            (_, Some(Value::Array(names))) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(": "),
            _ => String::new(),
        },
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// Adds the polygons of a geometry. Gives the kind of one that has no area.
fn add(
    place: &Place<'_>,
    geometry: Geometry,
    polygons: &mut Vec<Vec<Vec<Corner>>>,
) -> Result<Option<&'static str>, Problem> {
    let mut polygon = |rings: Vec<Vec<Position>>| -> Result<(), Problem> {
        if rings.is_empty() {
            return Err(place.incomplete("outline"));
        }
        let corners =
            |positions: Vec<Position>| ring(place, positions.into_iter().map(|position| position.0).collect());
        polygons.push(rings.into_iter().map(corners).collect::<Result<_, _>>()?);
        Ok(())
    };
    match geometry {
        Geometry::Polygon { coordinates } => polygon(coordinates)?,
        Geometry::MultiPolygon { coordinates } => coordinates.into_iter().try_for_each(polygon)?,
        Geometry::Collection { geometries } => {
            for geometry in geometries {
                if let Some(kind) = add(place, geometry, polygons)? {
                    return Ok(Some(kind));
                }
            }
        }
        Geometry::Point | Geometry::MultiPoint => return Ok(Some("point")),
        Geometry::LineString | Geometry::MultiLineString => return Ok(Some("line")),
    }
    Ok(None)
}
