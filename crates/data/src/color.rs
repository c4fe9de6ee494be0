//! A colour that stands for a class in a mask.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Red, green and blue. Written `"#ff0000"` or `[255, 0, 0]`; both give the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "ColorText", into = "String")]
#[schemars(with = "ColorText", title = "a colour: \"#ff0000\" or [255, 0, 0]")]
pub struct Color(pub [u8; 3]);

/// How a colour may be written.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a colour: \"#ff0000\" or [255, 0, 0]")]
enum ColorText {
    /// `"#rrggbb"`.
    Hex(String),
    /// `[r, g, b]`, each 0 to 255.
    Rgb([u8; 3]),
}

impl TryFrom<ColorText> for Color {
    type Error = String;

    fn try_from(written: ColorText) -> Result<Self, String> {
        match written {
            ColorText::Rgb(rgb) => Ok(Color(rgb)),
            ColorText::Hex(text) => text
                .strip_prefix('#')
                .filter(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
                .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                .map(|value| Color([(value >> 16) as u8, (value >> 8) as u8, value as u8]))
                .ok_or_else(|| format!("\"{text}\" is not a colour: write \"#ff0000\" or [255, 0, 0]")),
        }
    }
}

impl From<Color> for String {
    fn from(color: Color) -> String {
        color.to_string()
    }
}

impl std::fmt::Display for Color {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [r, g, b] = self.0;
        write!(f, "#{r:02x}{g:02x}{b:02x}")
    }
}

/// The colour of a class in masks: one colour, or every colour that no other class has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "ClassColorText", into = "String")]
#[schemars(with = "ClassColorText", title = "a colour (\"#ff0000\" or [255, 0, 0]) or \"other\"")]
pub enum ClassColor {
    /// This colour.
    One(Color),
    /// Every other colour. Written `"other"`.
    Other,
}

/// How the colour of a class may be written.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a colour (\"#ff0000\" or [255, 0, 0]) or \"other\"")]
enum ClassColorText {
    /// `"#rrggbb"` or `"other"`.
    Word(String),
    /// `[r, g, b]`, each 0 to 255.
    Rgb([u8; 3]),
}

const OTHER: &str = "other";

impl TryFrom<ClassColorText> for ClassColor {
    type Error = String;

    fn try_from(written: ClassColorText) -> Result<Self, String> {
        match written {
            ClassColorText::Word(word) if word == OTHER => Ok(ClassColor::Other),
            ClassColorText::Word(word) => Color::try_from(ColorText::Hex(word))
                .map(ClassColor::One)
                .map_err(|error| format!("{error}, or \"{OTHER}\" for every other colour")),
            ClassColorText::Rgb(rgb) => Ok(ClassColor::One(Color(rgb))),
        }
    }
}

impl From<ClassColor> for String {
    fn from(color: ClassColor) -> String {
        match color {
            ClassColor::One(color) => color.to_string(),
            ClassColor::Other => OTHER.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn hex_and_list_are_the_same_colour() {
        let read = |text: &str| toml::from_str::<BTreeMap<String, Color>>(text).map_err(|e| e.to_string());
        let colors = read("a = \"#FF8000\"\nb = [255, 128, 0]").unwrap();
        assert_eq!(colors["a"], colors["b"]);
        assert_eq!(serde_json::to_string(&colors).unwrap(), r##"{"a":"#ff8000","b":"#ff8000"}"##);
        assert!(read("a = \"#ff80\"").unwrap_err().contains("\"#ff80\" is not a colour: write \"#ff0000\" or"));
        assert!(read("a = \"#+f8000\"").is_err());
        assert!(read("a = [1, 2]").unwrap_err().contains("expected a colour: \"#ff0000\" or [255, 0, 0]"));
        let read = |text: &str| toml::from_str::<BTreeMap<String, ClassColor>>(text).map_err(|e| e.to_string());
        let classes = read("a = \"other\"\nb = [255, 0, 0]").unwrap();
        assert_eq!(serde_json::to_string(&classes).unwrap(), r##"{"a":"other","b":"#ff0000"}"##);
        assert!(read("a = \"others\"").unwrap_err().contains("[255, 0, 0], or \"other\" for every other colour"));
        let keys: BTreeMap<Color, u8> = serde_json::from_str(r##"{"#0000ff":1}"##).unwrap();
        assert_eq!(keys[&Color([0, 0, 255])], 1);
    }
}
