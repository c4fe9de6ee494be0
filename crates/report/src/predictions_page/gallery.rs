//! Pictures of all images, and those that are unusual.

use super::content::PredictionsPage;
use super::number::percent;
use crate::address::address;
use maud::{Markup, html};

/// Larger galleries are closed at first: a browser loads no picture of a closed one.
const MOST_OPEN: usize = 120;

impl PredictionsPage {
    /// A grid of small overlays, each with the fractions of its image; a click opens the large one.
    pub(super) fn gallery(&self) -> Markup {
        html! {
            details open[self.images.len() <= MOST_OPEN] {
                summary { (self.images.len()) " overlays" }
                div.gallery {
                    @for image in &self.images {
                        figure data-name=(image.image) {
                            a href=(address(&image.overlay)) {
                                img loading="lazy" decoding="async" alt=(image.image) src=(address(&image.thumbnail));
                            }
                            figcaption {
                                @if !image.unusual.is_empty() { a.mark href="#unusual" { "⚠ " } }
                                (image.image)
                                @if !image.fractions.is_empty() {
                                    br;
                                    span.soft {
                                        @for (class, ((name, _), fraction)) in self.classes.iter().zip(&image.fractions).enumerate() {
                                            @if class > 0 { ", " }
                                            (name) " " (percent(fraction.raw.value)) " %"
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// The images that are unlike the training images, with the reasons; `None` if there are none.
    pub(super) fn unusual(&self) -> Option<Markup> {
        let unusual = || self.images.iter().filter(|image| !image.unusual.is_empty());
        unusual().next().map(|_| {
            html! {
                p.hint { "These images differ from those that the model was trained on. Look at their overlays before you use \
                          their numbers." }
                ul.unusual {
                    @for image in unusual() {
                        li {
                            a href=(address(&image.overlay)) { (image.image) }
                            ul { @for reason in &image.unusual { li { (reason) } } }
                        }
                    }
                }
            }
        })
    }
}
