//! What an annotation file says, whatever its format.

use super::problem::Problem;
use super::shape::Shape;
use crate::stem::stem;
use std::collections::{BTreeMap, BTreeSet};

/// The annotations of one file.
#[derive(Debug, Default)]
pub(crate) struct AnnotationFile {
    /// The images that it names.
    pub(super) images: Vec<AnnotatedImage>,
    /// Whether the tool lists all images of a project, so that one without shapes may not be annotated yet.
    pub(super) lists_all: bool,
    /// The attributes that shapes have, where the class is one of them.
    pub(super) attributes: BTreeSet<String>,
    by_stem: BTreeMap<String, Vec<usize>>,
}

/// The annotations of one image.
#[derive(Debug, Default)]
pub(crate) struct AnnotatedImage {
    /// Its name, perhaps with folders, with `/` between them; empty if the file does not say it.
    pub(super) name: String,
    /// Width and height, if the file says them.
    pub(super) size: Option<(u64, u64)>,
    /// In the order of drawing.
    pub(super) shapes: Vec<Shape>,
}

impl AnnotatedImage {
    /// An image of this name (with `/` or `\` between folders) and size. A side of 0 stands for an unknown size.
    pub(super) fn new(name: &str, size: (Option<u64>, Option<u64>)) -> Self {
        let name = name.replace('\\', "/");
        let size = size.0.zip(size.1).filter(|size| size.0 > 0 && size.1 > 0);
        AnnotatedImage { name, size, shapes: Vec::new() }
    }

    /// Its name as the file says it; empty if it does not.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Number of shapes.
    pub(crate) fn shapes(&self) -> usize {
        self.shapes.len()
    }
}

impl AnnotationFile {
    /// With its images.
    pub(super) fn new(images: Vec<AnnotatedImage>, lists_all: bool) -> Self {
        let mut by_stem: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (i, image) in images.iter().enumerate() {
            by_stem.entry(stem(&image.name).to_owned()).or_default().push(i);
        }
        AnnotationFile { images, lists_all, attributes: BTreeSet::new(), by_stem }
    }

    /// With the attributes that its shapes have.
    #[must_use]
    pub(super) fn with_attributes(self, attributes: BTreeSet<String>) -> Self {
        AnnotationFile { attributes, ..self }
    }

    /// Its images.
    pub(crate) fn images(&self) -> &[AnnotatedImage] {
        &self.images
    }

    /// Whether an image without shapes may be one that is not annotated yet.
    pub(crate) fn lists_all(&self) -> bool {
        self.lists_all
    }

    /// The index of the entry of `image` (a path inside the data set): the only one, if it has no name; otherwise the one of
    /// the same file name, or else of the same stem. Folders decide between several.
    ///
    /// # Errors
    /// If two entries fit equally well.
    pub(crate) fn find(&self, image: &str) -> Result<Option<usize>, Problem> {
        if let [only] = self.images.as_slice()
            && only.name.is_empty()
        {
            return Ok(Some(0));
        }
        let found = self.by_stem.get(stem(image)).map(Vec::as_slice).unwrap_or_default();
        let fit = |i: &usize| how_well(&self.images[*i].name, image);
        let Some(best) = found.iter().map(fit).max() else { return Ok(None) };
        let mut best = found.iter().filter(|i| fit(i) == best);
        let first = best.next().copied();
        if let (Some(first), Some(second)) = (first, best.next()) {
            let (first, second) = (&self.images[first].name, &self.images[*second].name);
            let names = if first == second { format!("{first} twice") } else { format!("{first} and {second}") };
            return Err(Problem::new(
                format!("has two entries for {image}: {names}"),
                "delete one, or tell them apart by their folders",
            ));
        }
        Ok(first)
    }
}

/// How well the name in an entry fits an image of the same stem: whether the file names are equal, and how many of the entry's
/// folders are on the image's path.
fn how_well(entry: &str, image: &str) -> (bool, usize) {
    let (mut entry, mut image) = (entry.rsplit('/'), image.rsplit('/'));
    let same_file = entry.next() == image.next();
    let folders = entry.filter(|folder| !folder.is_empty() && image.any(|other| other == *folder)).count();
    (same_file, folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(names: &[&str]) -> AnnotationFile {
        AnnotationFile::new(names.iter().map(|name| AnnotatedImage::new(name, (None, None))).collect(), false)
    }

    #[test]
    fn an_entry_is_found_by_file_name_then_by_stem_and_folders_decide() {
        let names = ["a.png", "b.jpg", "train/c.png", "val/c.png", "C:\\x\\images\\d.tif", "d.png"];
        let file = file(&names);
        let find = |image: &str| file.find(image).map_err(|_| ());
        assert_eq!(find("images/a.png"), Ok(Some(0)));
        assert_eq!(find("images/b.tif"), Ok(Some(1)));
        assert_eq!(find("train/images/c.png"), Ok(Some(2)));
        assert_eq!(find("val/images/c.png"), Ok(Some(3)));
        assert_eq!(find("images/c.png"), Err(()));
        assert_eq!(find("images/d.tif"), Ok(Some(4)));
        assert_eq!(find("images/d.png"), Ok(Some(5)));
        assert_eq!(find("images/e.png"), Ok(None));
        let error = super::AnnotationFile::find(&super::tests::file(&["x/a.png", "y/a.png"]), "a.png").unwrap_err();
        assert_eq!(
            error.of(std::path::Path::new("l.json")).to_string(),
            "l.json: has two entries for a.png: x/a.png and y/a.png; delete one, or tell them apart by their folders"
        );
        assert_eq!(super::tests::file(&[""]).find("any.png").map_err(|_| ()), Ok(Some(0)));
    }
}
