//! The facts at the top of the page: models, options, program.

use super::Results;
use matssl_data::ReadAs;
use serde_json::Value;

impl Results {
    /// Name and value of each: models, options that were given, program.
    pub(super) fn facts(&self) -> Vec<(String, String)> {
        let models = self.models.iter().map(|model| {
            let description = &model.description;
            let short = &model.digest[..model.digest.len().min(12)];
            ("model".to_owned(), format!("{} ({}, {short})", description.name, model.path.display()))
        });
        let options = self.options.as_object().into_iter().flatten();
        let options = options.filter_map(|(name, value)| Some((name.replace('_', " "), option(name, value)?)));
        let program = ("program".to_owned(), concat!("matssl-run ", env!("CARGO_PKG_VERSION")).to_owned());
        models.chain(options).chain([program]).collect()
    }
}

/// The value of an option in words; `None` if it was not given, or is `none`.
fn option(name: &str, value: &Value) -> Option<String> {
    let text = match value {
        Value::Null | Value::Bool(false) => return None,
        Value::Bool(true) => "yes".to_owned(),
        Value::String(text) if text == "none" => return None,
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(_) if name == "read_as" => {
            serde_json::from_value(value.clone()).map_or_else(|_| value.to_string(), read_as)
        }
        _ => value.to_string(),
    };
    (!text.is_empty()).then_some(text)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// How image files were read; empty where they say it themselves.
fn read_as(read_as: ReadAs) -> String {
    let options = read_as.options;
    let channels = |channels: Vec<usize>| {
        let numbers: Vec<String> = channels.iter().map(usize::to_string).collect();
        format!("channels {} (from 0)", numbers.join(", "))
    };
    let size = |sizes| match sizes {
        matssl_data::PixelSizes::All(size) => format!("a pixel is {} wide", String::from(size)),
        matssl_data::PixelSizes::Each(sizes) => format!("sizes of pixels by name ({})", sizes.len()),
    };
    let parts = [
        options.bits.map(|bits| format!("{bits} bits")),
        options.range.map(|[black, white]| format!("{black} is black, {white} is white")),
        options.page.map(|page| format!("page {page}")),
        options.channels.map(channels),
        read_as.crop.map(|crop| format!("without {}", crop.in_words())),
        read_as.pixel_size.map(size),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn options_are_said_in_words() {
        let read =
            json!({"bits": 12, "page": 2, "channels": [0, 2], "crop": {"top": 2, "bottom": 65}, "pixel_size": "50 nm"});
        let words = "12 bits; page 2; channels 0, 2 (from 0); without the margins top 2, bottom 65 (pixels); a pixel is 50 nm wide";
        assert_eq!(option("read_as", &read).unwrap(), words);
        let read = json!({"range": [0.0, 4095.5], "crop": "auto"});
        assert_eq!(
            option("read_as", &read).unwrap(),
            "0 is black, 4095.5 is white; without the info bar (by the metadata)"
        );
        for nothing in [json!({}), json!(null), json!([]), json!(false), json!("none")] {
            assert_eq!(option("read_as", &nothing), None, "{nothing}");
        }
        let values = [json!(["carbide", "pores"]), json!(true), json!(64), json!("npz")];
        assert_eq!(values.map(|value| option("x", &value).unwrap()), ["carbide, pores", "yes", "64", "npz"]);
    }
}
