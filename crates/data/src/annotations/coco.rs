//! COCO: `images`, `annotations` and `categories` in one JSON file, as CVAT, Label Studio, Roboflow, makesense.ai and
//! pycocotools write it.
//!
//! A `segmentation` is a list of polygons, which together are one object, or run-length encoded, in numbers or in compressed
//! text. Crowds (`iscrowd`) are regions of their class like others.

use super::file::{AnnotatedImage, AnnotationFile};
use super::problem::{Place, Problem};
use super::runs::{Runs, lengths_from_text};
use super::shape::{Region, Shape, ring};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

#[derive(Deserialize)]
struct Coco {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    #[serde(default)]
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: Id,
    file_name: String,
    width: Option<u64>,
    height: Option<u64>,
}

#[derive(Deserialize)]
struct Category {
    id: Id,
    name: String,
}

#[derive(Deserialize)]
struct Annotation {
    id: Option<Id>,
    image_id: Id,
    category_id: Id,
    segmentation: Option<Segmentation>,
}

/// Numbers in the format; some tools write text.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(untagged, expecting = "an id must be a whole number or text")]
enum Id {
    Number(i64),
    Text(String),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Number(id) => id.fmt(f),
            Id::Text(id) => id.fmt(f),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`segmentation` must be a list of polygons, or `size` and `counts`")]
enum Segmentation {
    Polygons(Vec<Vec<f64>>),
    Runs { size: (usize, usize), counts: Counts },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Counts {
    Lengths(Vec<u32>),
    Text(String),
}

/// Reads a COCO file.
///
/// # Errors
/// What cannot be read, with its image and annotation.
pub(super) fn parse(bytes: &[u8]) -> Result<AnnotationFile, Problem> {
    let coco: Coco = serde_json::from_slice(bytes).map_err(|error| Problem::unreadable("COCO", error))?;
    let mut categories: BTreeMap<Id, String> = BTreeMap::new();
    for category in coco.categories {
        if let Some(other) = categories.insert(category.id.clone(), category.name.clone())
            && other != category.name
        {
            let problem = format!("the category {} is \"{other}\" and \"{}\"", category.id, category.name);
            return Err(Problem::new(problem, "give each category an id of its own"));
        }
    }
    let mut images = Vec::with_capacity(coco.images.len());
    let mut index = BTreeMap::new();
    for image in coco.images {
        if index.insert(image.id.clone(), images.len()).is_some() {
            return Err(Problem::new(format!("two images of the id {}", image.id), "give each image an id of its own"));
        }
        images.push(AnnotatedImage::new(&image.file_name, (image.width, image.height)));
    }
    for (i, annotation) in coco.annotations.into_iter().enumerate() {
        let place = match &annotation.id {
            Some(id) => format!("annotation {id}"),
            None => format!("annotation number {}", i + 1),
        };
        let unknown = |what: &str, id: &Id| {
            Problem::new(format!("{place}: no {what} has the id {id}"), "export the annotations again")
        };
        let image = index.get(&annotation.image_id).ok_or_else(|| unknown("image", &annotation.image_id))?;
        let image = &mut images[*image];
        let name = categories.get(&annotation.category_id);
        let name = name.ok_or_else(|| unknown("category", &annotation.category_id))?.clone();
        let at = Place { image: &image.name, shape: &place, name: &name };
        let region = region(&at, annotation.segmentation, &mut image.size)?;
        image.shapes.push(Shape { place, name, region });
    }
    Ok(AnnotationFile::new(images, false))
}

fn region(
    place: &Place<'_>,
    segmentation: Option<Segmentation>,
    size: &mut Option<(u64, u64)>,
) -> Result<Region, Problem> {
    match segmentation {
        Some(Segmentation::Polygons(polygons)) if !polygons.is_empty() => {
            let polygon = |numbers: Vec<f64>| {
                let (pairs, rest) = numbers.as_chunks::<2>();
                if !rest.is_empty() {
                    return Err(place.problem(
                        format!("a polygon of {} numbers, which are no pairs", numbers.len()),
                        "export the annotations again",
                    ));
                }
                Ok(vec![ring(place, pairs.iter().map(|[x, y]| (*x, *y)).collect())?])
            };
            Ok(Region::Polygons(polygons.into_iter().map(polygon).collect::<Result<_, _>>()?))
        }
        Some(Segmentation::Runs { size: (height, width), counts }) => {
            let stated = (width as u64, height as u64);
            if *size.get_or_insert(stated) != stated {
                let (w, h) = size.unwrap_or(stated);
                let problem = format!("run lengths for {width}×{height} pixels in an image of {w}×{h}");
                return Err(place.problem(problem, "export the annotations again"));
            }
            let lengths = match counts {
                Counts::Lengths(lengths) => lengths,
                Counts::Text(text) => lengths_from_text(&text)
                    .ok_or_else(|| place.problem("run lengths that cannot be read", "export the annotations again"))?,
            };
            let runs = Runs { left: 0, top: 0, size: (width, height), by_column: true, lengths };
            if !runs.fit() {
                let problem = format!("run lengths that do not add up to {width}×{height} pixels");
                return Err(place.problem(problem, "export the annotations again"));
            }
            Ok(Region::Runs(runs))
        }
        _ => Err(place.problem("no segmentation, at most a box", "export segmentations, not only boxes")),
    }
}
