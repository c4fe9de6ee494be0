//! From the shapes of an image to its mask.

use super::coverage::Coverage;
use super::file::{AnnotatedImage, AnnotationFile};
use super::problem::{Place, Problem};
use super::rules::{AnnotationRules, Overlap};
use super::shape::Shape;
use crate::Mask;

impl AnnotationFile {
    /// The mask of `image` (a path inside the data set), which is `size` = (width, height) as it is displayed.
    ///
    /// # Errors
    /// The image has no entry or another size, a shape has no class, reaches far out of the image, or must not overlap.
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
        let cover = |shape: &Shape| {
            Coverage::of(&shape.region, size).map_err(|problem| {
                place(entry, shape).problem(problem, "correct the shape, or use the image that was annotated")
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
        for (i, &(shape, class)) in shapes.iter().enumerate() {
            let pixels = cover(shape)?;
            if rules.overlap == Overlap::Refuse {
                let of_other_class = |&(x, y): &(usize, usize)| {
                    let at = y * size.0 + x;
                    owners[at] > 0 && mask.labels[at] != class
                };
                let mut overlap = pixels.pixels().filter(of_other_class);
                if let Some((x, y)) = overlap.next() {
                    let other = place(entry, shapes[owners[y * size.0 + x] as usize - 1].0);
                    let problem = format!(
                        "overlaps {} (\"{}\") in {} pixels, the first in column {x}, row {y}",
                        other.shape,
                        other.name,
                        1 + overlap.count()
                    );
                    let cure = "correct the shapes, or set `overlap = \"last\"` or `\"smallest_on_top\"`";
                    return Err(place(entry, shape).problem(problem, cure));
                }
            }
            for (x, y) in pixels.pixels() {
                mask.labels[y * size.0 + x] = class;
                if let Some(owner) = owners.get_mut(y * size.0 + x) {
                    *owner = i as u32 + 1;
                }
            }
        }
        Ok(mask)
    }
}

fn place<'a>(image: &'a AnnotatedImage, shape: &'a Shape) -> Place<'a> {
    Place { image: &image.name, shape: &shape.place, name: &shape.name }
}

fn check_size(entry: &AnnotatedImage, image: &str, (width, height): (usize, usize)) -> Result<(), Problem> {
    let Some(stated) = entry.size.filter(|stated| *stated != (width as u64, height as u64)) else { return Ok(()) };
    let cure = if stated == (height as u64, width as u64) {
        "the image was turned after or before it was annotated: annotate it as it is displayed now"
    } else {
        "use the image that was annotated, at its full size"
    };
    Err(Problem::new(format!("annotates {image} at {}×{}, and it is {width}×{height}", stated.0, stated.1), cure))
}
