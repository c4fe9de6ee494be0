//! The whole page.

use super::content::PredictionsPage;
use super::number::counted;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// A part of the page: its id, its heading, what it shows.
type Section = (&'static str, &'static str, Markup);

/// The page: HTML, style and script in one; the pictures are files beside it.
pub fn predictions_page(page: &PredictionsPage) -> String {
    let sections = page.sections();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                header {
                    h1 { (page.title) }
                    p { (page.state()) }
                    @if !page.facts.is_empty() {
                        dl.facts { @for (name, value) in &page.facts { dt { (name) } dd { (value) } } }
                    }
                    nav { @for (id, heading, _) in &sections { a href={ "#" (id) } { (heading) } " " } }
                }
                main {
                    (page.failures())
                    @for note in &page.notes { p.note { (prose(note)) } }
                    @for (id, heading, content) in &sections { section id=(id) { h2 { (heading) } (content) } }
                }
                script { (PreEscaped(include_str!("script.js"))) }
            }
        }
    };
    page.into_string()
}

/// Text in which what stands between backticks is code.
fn prose(text: &str) -> Markup {
    // An odd one is no pair: the text stays as it is.
    let pairs = text.matches('`').count().is_multiple_of(2);
    html! {
        @if pairs {
            @for (number, part) in text.split('`').enumerate() {
                @if number % 2 == 1 { code { (part) } } @else { (part) }
            }
        } @else { (text) }
    }
}

impl PredictionsPage {
    /// One sentence: how many images, how many failed, how many are unusual.
    fn state(&self) -> String {
        let unusual = self.images.iter().filter(|image| !image.unusual.is_empty()).count();
        let mut state = format!("{} predicted", counted(self.images.len(), "image"));
        if !self.failed.is_empty() {
            state += &format!(", {} failed", self.failed.len());
        }
        if unusual > 0 {
            state += &format!(", {unusual} unlike the training images");
        }
        state
    }

    /// What failed, at the top; nothing if all is well.
    fn failures(&self) -> Markup {
        html! {
            @if !self.failed.is_empty() {
                div.warning {
                    h3 { (counted(self.failed.len(), "image")) " failed" }
                    ul { @for (image, reason) in &self.failed { li { strong { (image) } ": " (prose(reason)) } } }
                }
            }
        }
    }

    /// The parts that have something to show.
    fn sections(&self) -> Vec<Section> {
        let mut sections = Vec::new();
        if !self.images.is_empty() {
            let legend = html! {
                p.hint {
                    "Area fractions in per cent; below them 95 % intervals. "
                    strong { "raw" } ": pixels of the class by all pixels. "
                    @if self.is_corrected() {
                        strong { "corrected" } ": for the model's errors on its validation images, where these give an interval. "
                    }
                    span.scripted { "Click a heading to sort by it." }
                }
                (self.image_table())
            };
            sections.push(("images", "Images", legend));
        }
        sections.extend(self.unusual().map(|unusual| ("unusual", "Unusual images", unusual)));
        if !self.specimens.is_empty() {
            let hint =
                "Mean over the fields of a specimen, its 95 % interval, and the standard deviation s between fields.";
            sections.push(("specimens", "Specimens", html! { p.hint { (hint) } (self.specimen_table()) }));
        }
        sections.extend(self.histograms().map(|histograms| ("fractions", "Distribution of fractions", histograms)));
        if !self.objects.is_empty() {
            sections.push(("objects", "Objects", self.objects()));
        }
        if !self.images.is_empty() {
            sections.push(("overlays", "Overlays", self.gallery()));
        }
        if !self.calibrations.is_empty() {
            sections.push(("calibration", "Calibration", self.calibration()));
        }
        sections
    }
}
