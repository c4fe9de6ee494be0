//! `index.html` beside the pictures of a preview: all of them, with a choice of splits. It needs no script and no network.

use crate::address::address;
use matssl_data::Split;
use maud::{DOCTYPE, PreEscaped, html};
use std::fmt::Write as _;

/// The pictures of one data set.
#[derive(Clone, Debug)]
pub struct PreviewSet {
    /// Its name.
    pub name: String,
    /// One sentence about the number of pictures, or why there are none.
    pub note: String,
    /// The pictures, in order.
    pub pictures: Vec<PreviewPicture>,
}

/// A picture of a preview.
#[derive(Clone, Debug)]
pub struct PreviewPicture {
    /// The image that it shows, as a path inside the data set.
    pub image: String,
    /// The split of that image.
    pub split: Split,
    /// Path of the picture, relative to the page, with `/`.
    pub file: String,
}

const STYLE: &str = "
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 110rem; padding: 1rem; font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: .3rem 0; } h2 { font-size: 1.1rem; margin: 1.5rem 0 .3rem; }
p { margin: .3rem 0; } label { margin-right: 1rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(32rem, 100%), 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .85rem; overflow-wrap: anywhere; }
img { width: 100%; height: auto; min-height: 6rem; background: #fff; border: 1px solid #8886; }
";

/// The page. `title` is that of the experiment.
pub fn preview_page(title: &str, sets: &[PreviewSet]) -> String {
    let has = |split: &Split| sets.iter().flat_map(|set| &set.pictures).any(|picture| picture.split == *split);
    let splits: Vec<Split> = Split::ALL.into_iter().filter(has).collect();
    let mut style = STYLE.to_owned();
    for split in &splits {
        let name = split.name();
        let _ = writeln!(style, "body:has(#split-{name}:checked) figure:not(.{name}) {{ display: none; }}");
    }
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Annotations: " (title) }
                style { (PreEscaped(style)) }
            }
            body {
                h1 { "Annotations: " (title) }
                p { "Left the micrograph, right the same with its classes in colour. Are the names in the legend those of the \
                     areas? If not, correct the order of " code { "classes" } " (with " code { "values" } " or "
                    code { "colors" } ") before you train." }
                p {
                    label { input type="radio" name="split" id="split-all" checked; " all splits" }
                    @for split in &splits {
                        label { input type="radio" name="split" id={ "split-" (split.name()) }; " " (split.name()) }
                    }
                }
                @for set in sets {
                    section {
                        h2 { (set.name) }
                        p { (set.note) }
                        div.pictures {
                            @for picture in &set.pictures {
                                @let address = address(&picture.file);
                                figure class=(picture.split.name()) {
                                    a href=(address) { img loading="lazy" alt=(picture.image) src=(address); }
                                    figcaption { (picture.split.name()) ": " (picture.image) }
                                }
                            }
                        }
                    }
                }
            }
        }
    };
    page.into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_lists_every_picture_and_offers_the_splits_that_there_are() {
        let picture =
            |image: &str, split: Split, file: &str| PreviewPicture { image: image.into(), split, file: file.into() };
        let sets = [
            PreviewSet {
                name: "steel".into(),
                note: "2 labelled images".into(),
                pictures: vec![
                    picture("train/images/a b#1.png", Split::Train, "steel/train/a b#1.png"),
                    picture("test/images/ü<.png", Split::Test, "steel/test/ü<.png"),
                ],
            },
            PreviewSet { name: "drawn".into(), note: "not there yet".into(), pictures: Vec::new() },
        ];
        let page = preview_page("a <title>", &sets);
        for words in [
            "a &lt;title&gt;",
            "src=\"./steel/train/a%20b%231.png\"",
            "href=\"./steel/test/%C3%BC%3C.png\"",
            "train: train/images/a b#1.png",
            "test: test/images/ü&lt;.png",
            "id=\"split-train\"",
            "body:has(#split-test:checked) figure:not(.test)",
            "not there yet",
        ] {
            assert!(page.contains(words), "{words}:\n{page}");
        }
        assert_eq!(page.matches("loading=\"lazy\"").count(), 2);
        assert!(!page.contains("split-val") && !page.contains("http") && !page.contains("<script"));
    }
}
