//! Overlays on the page: pictures of predictions, one method at a time.

use super::stage::button;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use serde::Serialize;

/// An image's name, and the bytes of a PNG file.
pub type Picture = (String, Vec<u8>);

/// The pictures of one overlay: each method has one of each image.
#[derive(Clone, Debug, Serialize)]
pub struct OverlayView {
    /// The name of its folder.
    pub file: String,
    /// Methods, each with its pictures.
    #[serde(serialize_with = "names_only")]
    pub methods: Vec<(String, Vec<Picture>)>,
    /// The evaluations that each method's pictures show.
    pub stages: Vec<(String, Vec<String>)>,
}

/// JSON holds the images' names without their pixels.
fn names_only<S: serde::Serializer>(methods: &[(String, Vec<Picture>)], serializer: S) -> Result<S::Ok, S::Error> {
    let names = |(label, pictures): &(String, Vec<Picture>)| {
        (label.clone(), pictures.iter().map(|(image, _)| image.clone()).collect::<Vec<_>>())
    };
    serializer.collect_seq(methods.iter().map(names))
}

impl OverlayView {
    /// `number` tells the choices of one overlay from those of the others on the page.
    pub(super) fn markup(&self, number: usize) -> Markup {
        let group = format!("overlay-{number}");
        html! {
            article.overlay {
                h3 { (self.file) }
                @for (choice, (label, _)) in self.methods.iter().enumerate() {
                    input type="radio" name=(group) id={ (group) "-" (choice) } checked[choice == 0];
                    label for={ (group) "-" (choice) } { (label) }
                }
                @for (label, pictures) in &self.methods {
                    div.pictures {
                        @for (image, png) in pictures {
                            figure {
                                img loading="lazy" alt=(image) src={ "data:image/png;base64," (STANDARD.encode(png)) };
                                figcaption { (image) " " (self.evaluations(label)) }
                            }
                        }
                    }
                }
            }
        }
    }

    fn evaluations(&self, method: &str) -> Markup {
        let of_method = self.stages.iter().filter(|(label, _)| label == method);
        html! { @for stage in of_method.flat_map(|(_, stages)| stages) { "· " (button(stage, "evaluation")) " " } }
    }
}
