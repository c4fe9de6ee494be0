//! Pairs of images of which one is scored on and the other trained on, side by side.

use super::plural::plural;
use matssl_data::leaks::{Pair, PairImage};
use maud::{Markup, html};
use serde::Serialize;

/// Maximum number of pairs that are listed without pictures. `run.json` has all.
const LISTED: usize = 100;

/// The leaks of an experiment.
#[derive(Clone, Debug, Serialize)]
pub struct LeaksView {
    /// Number of images that were compared; none if they were not.
    pub compared: Option<usize>,
    /// Number of scored images that were also trained on, in whole or in part.
    pub scored: usize,
    /// Pairs of a scored and a training image that share a part.
    pub found: Vec<Pair>,
    /// Names of data sets that were not at hand.
    pub absent: Vec<String>,
    /// Why images could not be compared.
    pub problem: Option<String>,
}

impl LeaksView {
    pub(super) fn markup(&self) -> Markup {
        html! {
            div #leaks class=(if self.found.is_empty() { "" } else { "warning" }) {
                (self.sentence())
                @if !self.found.is_empty() { (self.pairs()) }
                @if !self.absent.is_empty() {
                    p.hint { "Not compared, because their images are not there: " (self.absent.join(", ")) "." }
                }
            }
        }
    }

    fn sentence(&self) -> Markup {
        html! {
            @match (self.compared, self.found.len()) {
                (None, _) => p {
                    "Images were not compared with each other"
                    @if let Some(problem) = &self.problem { ": " (problem) } @else { " yet" } "."
                },
                (Some(images), 0) => p {
                    "No leaks found: none of the scored images was trained on, in whole or in part ("
                    (images) " images compared)."
                },
                (Some(images), count) => {
                    h3 { "⚠ Leaks: " (plural(count, "pair")) " of images" }
                    p {
                        (plural(self.scored, "scored image")) " " (if self.scored == 1 { "was" } else { "were" })
                        " also trained on, in whole or in part (" (images) " images compared). Scores on such images are "
                        "too high. To remove a leak, take the training image out of its data set (out of the unlabelled "
                        "images if it is used for pretraining), or put both images into the same split. Then run again."
                    }
                }
            }
        }
    }

    fn pairs(&self) -> Markup {
        let pictured = self.found.iter().take_while(|pair| pair.scored.picture.is_some()).count();
        let listed = &self.found[pictured..];
        html! {
            @for pair in &self.found[..pictured] {
                figure.pair {
                    (picture(&pair.scored)) (picture(&pair.trained))
                    figcaption { (words(pair)) }
                }
            }
            @if !listed.is_empty() {
                details {
                    summary { (plural(listed.len(), "more pair")) }
                    ul { @for pair in listed.iter().take(LISTED) { li { (words(pair)) } } }
                    @if listed.len() > LISTED { p { "See run.json for the others." } }
                }
            }
        }
    }
}

/// An image with a frame around the shared part.
fn picture(image: &PairImage) -> Markup {
    let (width, height) = image.size;
    let region = image.region;
    html! {
        @if let Some(picture) = &image.picture {
            svg viewBox={ "0 0 " (width) " " (height) } width={ (drawn(width, width, height)) }
                height={ (drawn(height, width, height)) } role="img" aria-label=(image.words()) {
                image href={ "data:image/jpeg;base64," (picture) } width=(width) height=(height) {}
                rect x=(region.left) y=(region.top) width=(region.width) height=(region.height) {}
            }
        }
    }
}

/// Length on the page, in pixels, of a side of `length` image pixels. The longer side gets 160.
fn drawn(length: usize, width: usize, height: usize) -> usize {
    (160 * length / width.max(height).max(1)).max(1)
}

fn words(pair: &Pair) -> Markup {
    let leak = &pair.leak;
    html! {
        strong { (leak.kind.words()) } ": scored on " (pair.scored.words()) "; trained on " (pair.trained.words())
        " (" (pair.how) "). Shared: " (leak.place_in_words()) ", "
        (format!("{:.0} % of the scored image, score {:.3}.", 100.0 * leak.share, leak.score))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use matssl_data::Split;
    use matssl_data::leaks::Leak;

    fn pair(picture: Option<&str>) -> Pair {
        let leak = Leak { offset: (30, 50), overlap: (160, 150), share: 0.42, ..Leak::same(0, 0, (240, 240)) };
        let image = |dataset: &str, split, size, region| PairImage {
            dataset: dataset.into(),
            also_in: Vec::new(),
            split,
            image: "a<b>.png".into(),
            size,
            region,
            picture: picture.map(str::to_owned),
        };
        Pair {
            scored: image("steel", Split::Test, (240, 240), leak.in_scored()),
            trained: image("more", Split::Unlabeled, (160, 150), leak.in_trained((160, 150))),
            how: "pretraining".into(),
            leak,
        }
    }

    fn view(found: Vec<Pair>) -> LeaksView {
        LeaksView { compared: Some(12), scored: found.len().min(1), found, absent: vec!["uhcs".into()], problem: None }
    }

    #[test]
    fn pairs_are_side_by_side_with_a_frame_around_the_shared_part() {
        let text = view(vec![pair(Some("AQID")), pair(None)]).markup().into_string();
        for words in [
            "Leaks: 2 pairs of images",
            "1 scored image was also trained on, in whole or in part (12 images compared)",
            "data:image/jpeg;base64,AQID",
            "<rect x=\"30\" y=\"50\" width=\"160\" height=\"150\">",
            "<rect x=\"0\" y=\"0\" width=\"160\" height=\"150\">",
            "scored on steel test a&lt;b&gt;.png; trained on more unlabeled a&lt;b&gt;.png (pretraining)",
            "160×150 at (30, 50), 42 % of the scored image, score 1.000",
            "1 more pair",
            "images are not there: uhcs",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert_eq!(text.matches("<svg").count(), 2, "{text}");
    }

    #[test]
    fn the_page_says_if_there_are_no_leaks_or_if_images_were_not_compared() {
        assert!(view(Vec::new()).markup().into_string().contains("No leaks found"));
        let not = |problem: Option<&str>| {
            let view = LeaksView { compared: None, problem: problem.map(str::to_owned), ..view(Vec::new()) };
            view.markup().into_string()
        };
        assert!(not(None).contains("not compared with each other yet."));
        assert!(not(Some("x.png: changed")).contains("not compared with each other: x.png: changed."));
    }

    #[test]
    fn json_holds_everything_but_the_pictures() {
        let json = serde_json::to_value(view(vec![pair(Some("AQID"))])).unwrap();
        let found = &json["found"][0];
        assert_eq!((&found["kind"], &found["how"]), (&"same".into(), &"pretraining".into()));
        assert_eq!(found["scored"]["region"]["left"], 30);
        assert_eq!(found["scored"].get("picture"), None);
        assert_eq!(json["compared"], 12);
    }
}
