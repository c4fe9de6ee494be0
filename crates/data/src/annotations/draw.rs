//! From the shapes of an image to its mask.

use super::coverage::{Coverage, is_in_unit_square};
use super::file::{AnnotatedImage, AnnotationFile};
use super::problem::{IMAGES, Place, Problem};
use super::rules::{AnnotationRules, Overlap};
use super::shape::Shape;
use crate::Mask;

impl AnnotationFile {
    /// The mask of `image` (a path inside the data set), which is `size` = (width, height) as it is displayed.
    ///
    /// # Errors
    /// The image has no entry or another size, a shape has no class, reaches far out of the image, or must not overlap, or no shape
    /// covers a pixel.
    pub(super) fn mask(&self, image: &str, size: (usize, usize), rules: &AnnotationRules) -> Result<Mask, Problem> {
        let Some(entry) = self.find(image)?.map(|i| &self.images[i]) else {
            let cure = "run the experiment again, which lists the data set again";
            return Err(Problem::new(format!("has no entry for {image}"), cure));
        };
        check_size(entry, image, size)?;
        let mut shapes = Vec::new();
        for shape in &entry.shapes {
            match rules.names.get(&shape.name) {
                Some(Some(class)) => shapes.push((shape, *class)),
                Some(None) => {}
                None => return Err(place(entry, shape).problem("its name is no class", "add it to `names`")),
            }
        }
        check_unit(image, &shapes, size)?;
        let cover = |shape: &Shape| {
            Coverage::of(&shape.region, size).map_err(|(fault, problem)| {
                let cure = "correct the shape, or use the image that was annotated";
                place(entry, shape).problem_of_kind(problem, fault, cure)
            })
        };
        let mut mask = Mask { width: size.0, height: size.1, labels: vec![rules.background; size.0 * size.1] };
        if rules.overlap == Overlap::SmallestOnTop {
            // Only areas are kept, not pixels: many large shapes would need much memory.
            let mut areas = Vec::with_capacity(shapes.len());
            for &(shape, class) in &shapes {
                areas.push((cover(shape)?.area(), (shape, class)));
            }
            areas.sort_by_key(|(area, _)| std::cmp::Reverse(*area));
            shapes = areas.into_iter().map(|(_, shape)| shape).collect();
        }
        // Which shape a pixel belongs to, from 1; only for the check.
        let mut owners = vec![0u32; if rules.overlap == Overlap::Refuse { mask.labels.len() } else { 0 }];
        let mut are_seen = shapes.is_empty();
        for (i, &(shape, class)) in shapes.iter().enumerate() {
            let pixels = cover(shape)?;
            are_seen |= pixels.pixels().next().is_some();
            if rules.overlap == Overlap::Refuse {
                let of_other_class = |&(x, y): &(usize, usize)| {
                    let at = y * size.0 + x;
                    owners[at] > 0 && mask.labels[at] != class
                };
                let mut overlap = pixels.pixels().filter(of_other_class);
                if let Some((x, y)) = overlap.next() {
                    let other = place(entry, shapes[owners[y * size.0 + x] as usize - 1].0);
                    let other = Place { image: "", ..other };
                    let count = 1 + overlap.count();
                    let problem = format!("overlaps {other} in {count} pixels, the first in column {x}, row {y}");
                    let cure = "correct the shapes, or set `overlap = \"last\"` or `\"smallest_on_top\"`";
                    return Err(place(entry, shape).problem_of_kind(problem, "shapes that overlap", cure));
                }
            }
            for (x, y) in pixels.pixels() {
                mask.labels[y * size.0 + x] = class;
                if let Some(owner) = owners.get_mut(y * size.0 + x) {
                    *owner = i as u32 + 1;
                }
            }
        }
        match shapes.first() {
            Some((first, _)) if !are_seen => Err(no_pixel(entry, first, shapes.len())),
            _ => Ok(mask),
        }
    }
}

fn place<'a>(image: &'a AnnotatedImage, shape: &'a Shape) -> Place<'a> {
    Place { image: &image.name, shape: &shape.place, name: &shape.name }
}

/// Refuses an image all of whose shapes lie between 0 and 1: coordinates as parts of its sides.
fn check_unit(image: &str, shapes: &[(&Shape, u8)], (width, height): (usize, usize)) -> Result<(), Problem> {
    let is_scaled = shapes.iter().all(|(shape, _)| is_in_unit_square(&shape.region));
    if shapes.is_empty() || !is_scaled || width.min(height) < 2 {
        return Ok(());
    }
    let problem = format!("annotates {image} with coordinates from 0 to 1");
    Err(Problem::new(problem, "export them in pixels").shared("coordinates from 0 to 1", IMAGES, format!(": {image}")))
}

fn no_pixel(entry: &AnnotatedImage, first: &Shape, count: usize) -> Problem {
    let problem = match count {
        1 => "covers no pixel".to_owned(),
        count => format!("covers no pixel, as all {count} shapes of the image"),
    };
    let cure = "export the coordinates in pixels, or delete the shapes";
    place(entry, first).problem_of_kind(problem, "no shape that covers a pixel", cure)
}

fn check_size(entry: &AnnotatedImage, image: &str, (width, height): (usize, usize)) -> Result<(), Problem> {
    let Some(stated) = entry.size.filter(|stated| *stated != (width as u64, height as u64)) else { return Ok(()) };
    let cure = if stated == (height as u64, width as u64) {
        "the image was turned after or before it was annotated: annotate it as it is displayed now"
    } else {
        "use the image that was annotated, at its full size"
    };
    let sizes = format!("{}×{}, and it is {width}×{height}", stated.0, stated.1);
    let problem = Problem::new(format!("annotates {image} at {sizes}"), cure);
    Err(problem.shared("annotations of another size", IMAGES, format!(": {image} ({sizes})")))
}
