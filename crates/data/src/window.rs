//! `window`: a rectangle of each image that is used, the same for all images of a split.

use crate::Split;
use crate::crop::Part;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `window = { x = 256, y = 356, width = 512, height = 512 }`: a rectangle of each image of the given splits; the rest of
/// these images is not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Columns left of it, in pixels, counted after `crop` and before any scaling.
    pub x: usize,
    /// Rows above it, likewise.
    pub y: usize,
    /// Columns of it.
    pub width: usize,
    /// Rows of it.
    pub height: usize,
    /// The splits whose images are cut, by default `["val", "test"]`: images that are scored, as NASA does with EBC. Training
    /// images are used whole.
    #[serde(default = "scored")]
    pub splits: Vec<Split>,
}

fn scored() -> Vec<Split> {
    vec![Split::Val, Split::Test]
}

impl Window {
    /// Whether the images of `split` are cut.
    pub(crate) fn cuts(&self, split: Split) -> bool {
        self.splits.contains(&split)
    }

    /// The window inside `micrograph`; `None` if it is not wholly inside.
    pub(crate) fn part(&self, micrograph: Part) -> Option<Part> {
        let ((left, top), (width, height)) = micrograph;
        let fits = |from: usize, length: usize, whole: usize| from.checked_add(length).is_some_and(|end| end <= whole);
        let inside = fits(self.x, self.width, width) && fits(self.y, self.height, height);
        inside.then_some(((left + self.x, top + self.y), (self.width, self.height)))
    }

    /// What is wrong with it, whatever the images are.
    ///
    /// # Errors
    /// An empty window; no split, or one twice.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.width == 0 || self.height == 0 {
            return Err(format!("is {}×{} pixels; expected at least 1×1", self.width, self.height));
        }
        if self.splits.is_empty() {
            return Err("cuts no split; name some in `splits`, e.g. [\"val\", \"test\"], or leave `window` out".into());
        }
        match self.splits.iter().enumerate().find(|(at, split)| self.splits[..*at].contains(split)) {
            Some((_, twice)) => Err(format!("names {} twice in `splits`", twice.name())),
            None => Ok(()),
        }
    }

    /// `512×512 px at (256, 356) of val, test`.
    pub fn in_words(&self) -> String {
        let splits: Vec<&str> = self.splits.iter().map(|split| split.name()).collect();
        format!("{}×{} px at ({}, {}) of {}", self.width, self.height, self.x, self.y, splits.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(text: &str) -> Window {
        toml::from_str::<std::collections::BTreeMap<String, Window>>(&format!("w = {text}")).unwrap()["w"].clone()
    }

    #[test]
    fn it_is_inside_of_its_image_or_nowhere() {
        let nasa = window("{ x = 256, y = 356, width = 512, height = 512 }");
        assert_eq!(nasa.part(((0, 0), (1024, 1024))), Some(((256, 356), (512, 512))));
        assert_eq!(nasa.part(((3, 5), (768, 868))), Some(((259, 361), (512, 512))));
        assert_eq!(nasa.part(((0, 0), (767, 868))), None);
        assert_eq!(nasa.part(((0, 0), (768, 867))), None);
        assert_eq!(Window { x: usize::MAX, ..nasa.clone() }.part(((0, 0), (1024, 1024))), None);
        assert_eq!([Split::Train, Split::Val, Split::Test].map(|split| nasa.cuts(split)), [false, true, true]);
        assert_eq!(nasa.in_words(), "512×512 px at (256, 356) of val, test");
        assert_eq!(
            serde_json::to_string(&nasa).unwrap(),
            r#"{"x":256,"y":356,"width":512,"height":512,"splits":["val","test"]}"#
        );
    }

    #[test]
    fn a_window_that_cuts_nothing_is_refused() {
        let check = |text: &str| window(text).check().unwrap_err();
        assert_eq!(check("{ x = 0, y = 0, width = 0, height = 4 }"), "is 0×4 pixels; expected at least 1×1");
        assert!(check("{ x = 0, y = 0, width = 4, height = 4, splits = [] }").starts_with("cuts no split"));
        let twice = check("{ x = 0, y = 0, width = 4, height = 4, splits = [\"val\", \"test\", \"val\"] }");
        assert_eq!(twice, "names val twice in `splits`");
    }
}
