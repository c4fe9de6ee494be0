//! The size of a pixel as users write it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The size of a pixel: `"0.05 µm"`, or the length of a scale bar in micrometres and in the image's pixels,
/// `"5 µm / 504 px"`. Units are nm, µm (or um), mm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct PixelSize(String);

/// Units in micrometres. µm is spelt with the micro sign, with the Greek letter, or as um.
const UNITS: [(&str, f64); 5] = [("nm", 1e-3), ("µm", 1.0), ("μm", 1.0), ("um", 1.0), ("mm", 1e3)];

impl PixelSize {
    /// Micrometres per pixel.
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
                Err(format!("`{shown}` is not the size of a pixel; expected e.g. \"0.05 µm\" or \"5 µm / 504 px\""))
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
    // No microscope has pixels outside of this range: the value is a typing error.
    (1e-6..=1e6).contains(&size).then_some(size)
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
}
