//! A colour that stands for a class in a mask.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Red, green and blue. Written `"#ff0000"` or `[255, 0, 0]`; both are the same in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Written", into = "String")]
#[schemars(with = "Written", title = "a colour: \"#ff0000\" or [255, 0, 0]")]
pub struct Color(pub [u8; 3]);

/// How a colour may be written.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a colour: \"#ff0000\" or [255, 0, 0]")]
enum Written {
    /// `"#rrggbb"`.
    Hex(String),
    /// `[r, g, b]`, each 0 to 255.
    Rgb([u8; 3]),
}

impl TryFrom<Written> for Color {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Rgb(rgb) => Ok(Color(rgb)),
            Written::Hex(text) => text
                .strip_prefix('#')
                .filter(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
                .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                .map(|value| Color([(value >> 16) as u8, (value >> 8) as u8, value as u8]))
                .ok_or_else(|| format!("\"{text}\" is no colour: write \"#ff0000\" or [255, 0, 0]")),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn both_ways_of_writing_are_the_same_colour() {
        let read = |text: &str| toml::from_str::<BTreeMap<String, Color>>(text).map_err(|e| e.to_string());
        let colors = read("a = \"#FF8000\"\nb = [255, 128, 0]").unwrap();
        assert_eq!(colors["a"], colors["b"]);
        assert_eq!(serde_json::to_string(&colors).unwrap(), r##"{"a":"#ff8000","b":"#ff8000"}"##);
        assert!(read("a = \"#ff80\"").unwrap_err().contains("\"#ff80\" is no colour: write \"#ff0000\" or"));
        assert!(read("a = \"#+f8000\"").is_err());
        assert!(read("a = [1, 2]").unwrap_err().contains("expected a colour: \"#ff0000\" or [255, 0, 0]"));
        let keys: BTreeMap<Color, u8> = serde_json::from_str(r##"{"#0000ff":1}"##).unwrap();
        assert_eq!(keys[&Color([0, 0, 255])], 1);
    }
}
