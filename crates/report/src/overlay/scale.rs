//! How long things in a micrograph are: the size of a pixel, and the bar that shows it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The size of a pixel as a metallographer knows it: `"0.05 µm"`, or a scale bar and its length in the image,
/// `"5 µm / 504 px"`. Units are nm, µm (or um), mm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct PixelSize(String);

/// Spelt with the micro sign, with the Greek letter, and without either.
const UNITS: [(&str, f64); 5] = [("nm", 1e-3), ("µm", 1.0), ("μm", 1.0), ("um", 1.0), ("mm", 1e3)];

impl PixelSize {
    /// Micrometres a pixel.
    pub fn micrometres(&self) -> Option<f64> {
        micrometres(&self.0)
    }
}

impl TryFrom<String> for PixelSize {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        match micrometres(&text) {
            Some(_) => Ok(PixelSize(text)),
            None => {
                let shown: String = text.escape_debug().take(80).collect();
                Err(format!("`{shown}` is no size of a pixel; expected e.g. \"0.05 µm\" or \"5 µm / 504 px\""))
            }
        }
    }
}

impl From<PixelSize> for String {
    fn from(size: PixelSize) -> String {
        size.0
    }
}

fn micrometres(text: &str) -> Option<f64> {
    let (length, pixels) = match text.split_once('/') {
        Some((length, pixels)) => (length, pixels.trim().strip_suffix("px")?.trim().parse::<f64>().ok()?),
        None => (text, 1.0),
    };
    let length = length.trim();
    let (number, unit) = UNITS.iter().find_map(|(unit, factor)| Some((length.strip_suffix(unit)?, factor)))?;
    let size = number.trim().parse::<f64>().ok()? * unit / pixels;
    // Beyond these it is a slip of the pen, whatever the microscope.
    (1e-6..=1e6).contains(&size).then_some(size)
}

/// A bar of a round length.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bar {
    /// Its length in pixels of the image.
    pub(super) pixels: f64,
    /// What it says.
    pub(super) words: String,
}

/// The bar takes at most this part of the image's width.
const MOST: f64 = 0.4;

/// The longest bar of 1, 2 or 5 times a power of ten that fits into an image `width` pixels wide: in the unit that
/// `pixel_size` (micrometres a pixel across) calls for, in pixels where that is not known.
pub(super) fn bar(width: usize, pixel_size: Option<f64>) -> Bar {
    let size = pixel_size.unwrap_or(1.0);
    let room = MOST * width as f64 * size;
    let power = 10f64.powi(room.log10().floor() as i32);
    let times = [5.0, 2.0, 1.0].into_iter().find(|times| times * power <= room).unwrap_or(1.0);
    // Half a pixel is none.
    let length = if pixel_size.is_none() { (times * power).max(1.0) } else { times * power };
    let words = if pixel_size.is_none() { format!("{length} px") } else { words(length) };
    Bar { pixels: length / size, words }
}

/// A length in micrometres to three digits: `20 nm`, `1.46 µm`, `2 mm`.
pub(super) fn words(length: f64) -> String {
    let (number, unit) = match length {
        length if length < 1.0 => (1e3 * length, "nm"),
        length if length >= 1e3 => (length / 1e3, "mm"),
        length => (length, "µm"),
    };
    let digits = 10f64.powi(2 - number.log10().floor() as i32);
    format!("{} {unit}", (number * digits).round() / digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        let read = |text: &str| PixelSize::try_from(text.to_owned()).unwrap().micrometres().unwrap();
        for (text, size) in [
            ("0.05 µm", 0.05),
            ("0.05 μm", 0.05),
            ("0.05um", 0.05),
            ("50 nm", 0.05),
            ("0.002 mm", 2.0),
            ("1 µm / 34 px", 1.0 / 34.0),
            (" 5 µm/504px ", 5.0 / 504.0),
        ] {
            assert!((read(text) - size).abs() < 1e-12, "{text}");
        }
        for text in
            ["", "0.05", "µm", "0 µm", "-1 µm", "1 m", "5 µm / 0 px", "5 µm / 504", "nan µm", "1e30 µm", "inf nm"]
        {
            assert!(PixelSize::try_from(text.to_owned()).is_err(), "{text} was taken");
        }
    }

    #[test]
    fn bars_are_round_and_fit() {
        let words = |width: usize, size: Option<f64>| bar(width, size).words;
        assert_eq!(
            [1, 2, 64, 128, 512, 1024].map(|width| words(width, None)),
            ["1 px", "1 px", "20 px", "50 px", "200 px", "200 px"]
        );
        assert_eq!(words(1024, Some(1.0 / 34.0)), "10 µm");
        assert_eq!(words(1280, Some(10.0 / 504.0)), "10 µm");
        assert_eq!(words(256, Some(0.002)), "200 nm");
        assert_eq!(words(1000, Some(10.0)), "2 mm");
        assert_eq!([0.0294, 1.4567, 146.0, 0.05].map(super::words), ["29.4 nm", "1.46 µm", "146 µm", "50 nm"]);
        for width in [3, 64, 333, 1024, 4000] {
            for size in [None, Some(0.001), Some(0.0294), Some(1.7), Some(350.0)] {
                let bar = bar(width, size);
                let part = bar.pixels / width as f64;
                assert!((0.1..=MOST + 1e-9).contains(&part), "{width} {size:?}: {bar:?}");
            }
        }
        // 10 µm at 34 pixels a micrometre.
        assert!((bar(1024, Some(1.0 / 34.0)).pixels - 340.0).abs() < 1e-9);
    }
}
