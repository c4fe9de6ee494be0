//! What the shapes of annotation files mean in a data set.

use crate::IGNORE;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How masks are drawn from annotations. Part of the manifest, so that a mask is the same each time it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnotationRules {
    /// The meaning of each name of a shape: a class index, [`IGNORE`], or `None` for shapes that are not drawn.
    pub names: BTreeMap<String, Option<u8>>,
    /// The class of pixels in no shape, or [`IGNORE`].
    pub background: u8,
    /// What becomes of pixels in several shapes.
    pub overlap: Overlap,
    /// The attribute that holds the name, if the file has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
}

/// What becomes of a pixel that several shapes cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It gets the class of the last shape: in the file's order, or by CVAT's `z_order`.
    #[default]
    Last,
    /// It gets the class of the smallest shape.
    SmallestOnTop,
    /// Shapes of different classes must not overlap.
    Refuse,
}

/// What an image is whose entry in an annotation file has no shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WithoutShapes {
    /// Annotated: it shows nothing but background.
    Background,
    /// Not annotated yet.
    Unlabeled,
}

impl AnnotationRules {
    /// The word in `names` and `background` for pixels that are in no loss and no metric.
    pub const IGNORED: &'static str = "ignore";
    /// The word in `names` for shapes that are not drawn.
    pub const NOT_DRAWN: &'static str = "none";

    /// The meaning of `word` (a class, or one of the words above) among `classes`; `None` if it has none.
    pub fn meaning(word: &str, classes: &[String]) -> Option<Option<u8>> {
        match word {
            AnnotationRules::IGNORED => Some(Some(IGNORE)),
            AnnotationRules::NOT_DRAWN => Some(None),
            class => classes.iter().position(|name| name == class).and_then(|i| u8::try_from(i).ok()).map(Some),
        }
    }
}
