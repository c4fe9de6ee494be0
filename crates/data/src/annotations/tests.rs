//! Each format: a file as its tool writes it, with the mask that it must give. The rules of drawing, and what is refused.

use super::*;
use crate::IGNORE;
use proptest::prelude::*;
use std::path::Path;

mod coco;
mod cvat;
mod drawing;
mod geojson;
mod labelme;
mod refused;
mod via;

/// Classes matrix (shown as `.`), austenite (`a`) and pore (`p`); `scratch` is ignored (`x`), `scale` is not drawn.
fn rules() -> AnnotationRules {
    let meanings = [("matrix", Some(0)), ("austenite", Some(1)), ("pore", Some(2)), ("scratch", Some(IGNORE))];
    let names = meanings.into_iter().chain([("scale", None)]).map(|(name, class)| (name.to_owned(), class)).collect();
    AnnotationRules { names, background: 0, overlap: Overlap::Last, attribute: None }
}

fn parse(text: &str) -> Result<AnnotationFile, String> {
    AnnotationFile::parse(Path::new("labels.json"), text.as_bytes(), None).map_err(|error| error.to_string())
}

/// The mask of `image`, which is `size`, as rows of characters.
fn drawn(text: &str, image: &str, size: (usize, usize), rules: &AnnotationRules) -> Result<Vec<String>, String> {
    let path = Path::new("labels.json");
    let file = AnnotationFile::parse(path, text.as_bytes(), rules.attribute.as_deref());
    let mask = file.and_then(|file| file.mask(image, size, rules).map_err(|problem| problem.of(path)));
    let mask = mask.map_err(|error| error.to_string())?;
    assert_eq!((mask.width, mask.height, mask.labels.len()), (size.0, size.1, size.0 * size.1));
    let show = |label: &u8| match *label {
        IGNORE => 'x',
        class => ['.', 'a', 'p'][usize::from(class)],
    };
    Ok(mask.labels.chunks(size.0).map(|row| row.iter().map(show).collect()).collect())
}

fn mask(text: &str, image: &str) -> Vec<String> {
    drawn(text, image, (8, 6), &rules()).unwrap()
}
