//! The size of a pixel as users write it.

use crate::stem::stem;
use matssl_base::units;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Sizes that a pixel of a micrograph can have, in nanometres. A value outside is a typing error, or no size of a pixel.
const POSSIBLE: std::ops::RangeInclusive<f64> = 1e-3..=1e9;

/// `size`, in nanometres, if a micrograph can have such pixels.
pub(crate) fn possible(size: f64) -> Option<f64> {
    POSSIBLE.contains(&size).then_some(size)
}

/// The size of a pixel: `"0.05 µm"`, `"5e-8 m"`, or the length of a scale bar and its pixels, `"5 µm / 504 px"`. Units are
/// nm, µm (or um), mm, m.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct PixelSize(String);

impl PixelSize {
    /// Nanometres per pixel.
    pub fn nanometres(&self) -> Option<f64> {
        nanometres(&self.0)
    }

    /// Micrometres per pixel.
    pub fn micrometres(&self) -> Option<f64> {
        Some(self.nanometres()? / 1e3)
    }
}

impl TryFrom<String> for PixelSize {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        match nanometres(&text) {
            Some(_) => Ok(PixelSize(text)),
            None => {
                let shown: String = text.escape_debug().take(80).collect();
                Err(format!(
                    "`{shown}` is not the size of a pixel; expected e.g. \"50 nm\", \"0.05 µm\" or \"5 µm / 504 px\""
                ))
            }
        }
    }
}

impl From<PixelSize> for String {
    fn from(size: PixelSize) -> String {
        size.0
    }
}

fn nanometres(text: &str) -> Option<f64> {
    let (length, pixels) = match text.split_once('/') {
        Some((length, pixels)) => (length, units::decimal(pixels.trim().strip_suffix("px")?, 0)?),
        None => (text, 1.0),
    };
    possible(units::length(length).ok()? / pixels)
}

/// `pixel_size`: one size for all images, or one per image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected the size of a pixel, e.g. \"50 nm\", \"0.05 µm\" or \"5 µm / 504 px\", or a table of these by image"
)]
#[schemars(
    title = "the size of a pixel, e.g. \"50 nm\", \"0.05 µm\" or \"5 µm / 504 px\", or a table of these by image"
)]
pub enum PixelSizes {
    /// Size for all images.
    All(PixelSize),
    /// Sizes by file stem or file name; `"*"` for all others.
    Each(BTreeMap<String, PixelSize>),
}

impl PixelSizes {
    /// The size for `image` (a path inside the data set).
    pub fn of(&self, image: &str) -> Option<&PixelSize> {
        match self {
            PixelSizes::All(size) => Some(size),
            PixelSizes::Each(sizes) => {
                sizes.get(file_name(image)).or_else(|| sizes.get(stem(image))).or_else(|| sizes.get("*"))
            }
        }
    }

    /// The names in the table that none of `images` has.
    pub fn unknown<'a>(&self, images: impl Iterator<Item = &'a str> + Clone) -> Vec<&str> {
        let PixelSizes::Each(sizes) = self else { return Vec::new() };
        let is_known = |name: &str| name == "*" || images.clone().any(|i| file_name(i) == name || stem(i) == name);
        sizes.keys().map(String::as_str).filter(|name| !is_known(name)).collect()
    }
}

fn file_name(image: &str) -> &str {
    image.rsplit('/').next().unwrap_or(image)
}

/// A length to three digits: `20 nm`, `1.46 µm`, `2 mm`.
pub fn in_words(nanometres: f64) -> String {
    let (number, unit) = match nanometres {
        length if length < 1e3 => (length, "nm"),
        length if length >= 1e6 => (length / 1e6, "mm"),
        length => (length / 1e3, "µm"),
    };
    let digits = 10f64.powi(2 - number.log10().floor() as i32);
    format!("{} {unit}", (number * digits).round() / digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_all_spellings() {
        let read = |text: &str| PixelSize::try_from(text.to_owned()).unwrap().micrometres().unwrap();
        for (text, size) in [
            ("0.05 µm", 0.05),
            ("0.05 μm", 0.05),
            ("0.05um", 0.05),
            ("50 nm", 0.05),
            ("5e-8 m", 0.05),
            ("0.002 mm", 2.0),
            ("1 µm / 34 px", 1.0 / 34.0),
            (" 5 µm/504px ", 5.0 / 504.0),
        ] {
            assert!((read(text) - size).abs() < 1e-12, "{text}");
        }
        for text in [
            "",
            "0.05",
            "µm",
            "0 µm",
            "-1 µm",
            "2 m",
            "5 µm / 0 px",
            "5 µm / 504",
            "nan µm",
            "1e30 µm",
            "inf nm",
            "0,5 µm",
        ] {
            assert!(PixelSize::try_from(text.to_owned()).is_err(), "{text} was taken");
        }
    }

    #[test]
    fn a_table_names_images_by_stem_or_file_name() {
        let sizes: PixelSizes =
            serde_json::from_str(r#"{ "a": "1 nm", "b.tif": "2 nm", "b": "3 nm", "*": "4 nm" }"#).unwrap();
        let of = |image: &str| sizes.of(image).and_then(PixelSize::nanometres);
        assert_eq!(["x/a.png", "x/b.tif", "b.png", "c.png"].map(of), [1.0, 2.0, 3.0, 4.0].map(Some),);
        assert_eq!(sizes.unknown(["x/a.png", "x/b.tif"].into_iter()), [""; 0]);
        assert_eq!(sizes.unknown(["x/b.tif"].into_iter()), ["a"]);
        assert_eq!(
            [50.0, 1456.7, 146_000.0, 2e6, 12.5, 0.5582].map(in_words),
            ["50 nm", "1.46 µm", "146 µm", "2 mm", "12.5 nm", "0.558 nm"]
        );
    }
}
