//! Files of stages that lie beside the page.

use super::stage::button;
use crate::address::address;
use maud::{Markup, html};
use serde::Serialize;

/// Longer lists are closed at first.
const MOST_OPEN: usize = 20;

/// The copies of one `[[files]]`.
#[derive(Clone, Debug, Serialize)]
pub struct FilesView {
    /// The name of its folder.
    pub file: String,
    /// Path of each copy, relative to the page, with its size in bytes.
    pub copies: Vec<(String, u64)>,
    /// The stages that left them, by label.
    pub stages: Vec<(String, Vec<String>)>,
}

impl FilesView {
    /// Links to all copies, and the stages that left them.
    pub(super) fn markup(&self) -> Markup {
        html! {
            h3 { (self.file) }
            details.origins open[self.copies.len() <= MOST_OPEN] {
                summary { (self.copies.len()) (if self.copies.len() == 1 { " file" } else { " files" }) }
                ul {
                    @for (path, bytes) in &self.copies {
                        li { a href=(address(path)) { (path) } " " span.soft { (size(*bytes)) } }
                    }
                }
            }
            p.hint {
                "Left by "
                @for (number, stage) in self.stages.iter().flat_map(|(_, stages)| stages).enumerate() {
                    @if number > 0 { ", " }
                    (button(stage, stage))
                }
            }
        }
    }
}

/// A size in the unit that suits it, e.g. `2.0 KiB`.
fn size(bytes: u64) -> String {
    let steps = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match steps.into_iter().find(|(_, power)| bytes >> power > 0) {
        Some((unit, power)) => format!("{:.1} {unit}", bytes as f64 / f64::from(1u32 << power)),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_is_a_link_with_its_size() {
        let copies = vec![("errors/a b@0/per_image.csv".to_owned(), 2560), ("errors/<x>/n.csv".to_owned(), 7)];
        let view = FilesView { file: "errors".into(), copies, stages: vec![("x".into(), vec!["test.x@0".into()])] };
        let text = view.markup().into_string();
        for words in [
            "href=\"./errors/a%20b%400/per_image.csv\">errors/a b@0/per_image.csv</a> <span class=\"soft\">2.5 KiB<",
            "href=\"./errors/%3Cx%3E/n.csv\">errors/&lt;x&gt;/n.csv</a> <span class=\"soft\">7 bytes<",
            "<summary>2 files</summary>",
            "data-stage=\"test.x@0\"",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert_eq!([size(1023), size(3 << 20), size(5 << 30)], ["1023 bytes", "3.0 MiB", "5.0 GiB"]);
    }
}
