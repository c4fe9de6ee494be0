//! `crop`: the margins of images that are no part of the micrograph.

use crate::instrument::Bar;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `crop = "auto"`, or a table of margins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected \"auto\", or a table of margins in pixels, e.g. { bottom = 60 }")]
#[schemars(title = "\"auto\", or a table of margins in pixels, e.g. { bottom = 60 }")]
pub enum Crop {
    /// The bottom margin from each image's metadata.
    Auto(Auto),
    /// Margins by side.
    Sides(Sides),
}

/// The word `"auto"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Auto {
    /// From the metadata.
    Auto,
}

/// Margins; sides that are not given have none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sides {
    /// Above the micrograph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top: Option<usize>,
    /// Below it: pixels, or `"auto"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bottom: Option<Margin>,
    /// Left of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<usize>,
    /// Right of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<usize>,
}

impl Crop {
    /// What is cut off: `the info bar (by the metadata)`, `the margins top 2, bottom 65 (pixels)`.
    pub fn in_words(&self) -> String {
        let sides = match self {
            Crop::Auto(_) => return "the info bar (by the metadata)".to_owned(),
            Crop::Sides(sides) => sides,
        };
        let bottom = match sides.bottom {
            Some(Margin::Auto(_)) => Some("the info bar".to_owned()),
            Some(Margin::Pixels(pixels)) => Some(pixels.to_string()),
            None => None,
        };
        let pixels = |side: Option<usize>| side.map(|pixels| pixels.to_string());
        let all = [
            ("top", pixels(sides.top)),
            ("bottom", bottom),
            ("left", pixels(sides.left)),
            ("right", pixels(sides.right)),
        ];
        let all: Vec<String> =
            all.into_iter().filter_map(|(name, margin)| Some(format!("{name} {}", margin?))).collect();
        format!("the margins {} (pixels)", all.join(", "))
    }
}

/// A margin in pixels, or `"auto"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number of pixels, or \"auto\"")]
#[schemars(title = "a number of pixels, or \"auto\"")]
pub enum Margin {
    /// So many pixels.
    Pixels(usize),
    /// The height of the info bar, from each image's metadata.
    Auto(Auto),
}

/// The part of an image that is used: columns from the left and rows from the top, and its width and height.
pub(crate) type Part = ((usize, usize), (usize, usize));

/// Why a crop gives no part of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoPart {
    /// The height of the info bar is not known, for this reason.
    Unknown(String),
    /// Nothing would be left.
    Nothing,
}

impl Crop {
    /// The part of an image of `width` × `height` pixels with the info bar `bar`.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn part(self, (width, height): (usize, usize), bar: &Bar) -> Result<Part, NoPart> {
        let (top, bottom, left, right) = self.margins();
        let bottom = match (bottom, bar) {
            (Some(rows), _) => rows,
            (None, Bar::Rows(rows)) => *rows,
            (None, Bar::Unknown(reason)) => return Err(NoPart::Unknown(reason.clone())),
        };
        let rest = |length: usize, margins: [usize; 2]| {
            margins.iter().try_fold(length, |rest, margin| rest.checked_sub(*margin)).filter(|&rest| rest > 0)
        };
        match (rest(width, [left, right]), rest(height, [top, bottom])) {
            (Some(columns), Some(rows)) => Ok(((left, top), (columns, rows))),
            _ => Err(NoPart::Nothing),
        }
    }

    /// The four margins; `None` for one that comes from the metadata: top, bottom, left, right.
    pub(crate) fn margins(self) -> (usize, Option<usize>, usize, usize) {
        match self {
            Crop::Auto(_) => (0, None, 0, 0),
            Crop::Sides(Sides { top, bottom, left, right }) => {
                let bottom = match bottom {
                    None => Some(0),
                    Some(Margin::Pixels(rows)) => Some(rows),
                    Some(Margin::Auto(_)) => None,
                };
                (top.unwrap_or(0), bottom, left.unwrap_or(0), right.unwrap_or(0))
            }
        }
    }

    /// Whether no side has a margin.
    pub(crate) fn cuts_nothing(self) -> bool {
        self.margins() == (0, Some(0), 0, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_are_numbers_or_come_from_the_metadata() {
        let read = |text: &str| toml::from_str::<std::collections::BTreeMap<String, Crop>>(text).map(|t| t["crop"]);
        assert_eq!(read("crop = \"auto\"").unwrap().margins(), (0, None, 0, 0));
        assert_eq!(read("crop = { bottom = \"auto\", left = 3 }").unwrap().margins(), (0, None, 3, 0));
        assert_eq!(read("crop = { bottom = 60, top = 1, right = 2 }").unwrap().margins(), (1, Some(60), 0, 2));
        for wrong in
            ["\"off\"", "60", "{ below = 60 }", "{ bottom = -1 }", "{ top = \"auto\" }", "{ bottom = \"all\" }"]
        {
            assert!(read(&format!("crop = {wrong}")).is_err(), "{wrong}");
        }
        assert!(read("crop = { bottom = 0 }").unwrap().cuts_nothing());
        assert!(read("crop = {}").unwrap().cuts_nothing());
        // What was written is what the key holds.
        for text in [r#""auto""#, r#"{"bottom":60}"#, r#"{"bottom":"auto"}"#] {
            assert_eq!(serde_json::to_string(&serde_json::from_str::<Crop>(text).unwrap()).unwrap(), text);
        }
    }
}
