//! Model folders that lie beside the page.

use super::plural::plural;
use super::stage::button;
use crate::address::address;
use maud::{Markup, html};
use serde::Serialize;

/// The folders of one `[[models]]`.
#[derive(Clone, Debug, Serialize)]
pub struct ModelsView {
    /// The name of the folder in `models`.
    pub file: String,
    /// The path that `matssl-run predict` takes, relative to the page.
    pub path: String,
    /// Whether all of them predict together.
    pub ensemble: bool,
    /// Each folder with one model.
    pub folders: Vec<ModelFacts>,
    /// The stages that trained them, by label.
    pub stages: Vec<(String, Vec<String>)>,
}

/// What is said of one model folder.
#[derive(Clone, Debug, Serialize)]
pub struct ModelFacts {
    /// The path of its folder, relative to the page.
    pub path: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Split, number of images and mean IoU from 0 to 1, of each split that it is scored on.
    pub scores: Vec<(String, usize, Option<f64>)>,
}

impl ModelsView {
    /// The folders with their scores, and the command that applies them.
    pub(super) fn markup(&self) -> Markup {
        html! {
            h3 { (self.file) }
            ul {
                @for folder in &self.folders {
                    li {
                        a href=(address(&format!("{}/README.md", folder.path))) { (folder.path) }
                        " " span.soft { (folder.words()) }
                    }
                }
            }
            p.hint {
                "In the folder of this page, this predicts micrographs"
                @if self.ensemble { " by all of them together" }
                ": "
                code { "matssl-run predict '" (self.command_path()) "' IMAGES… -o RESULTS" }
            }
            p.hint {
                "Trained by "
                @for (number, stage) in self.stages.iter().flat_map(|(_, stages)| stages).enumerate() {
                    @if number > 0 { ", " }
                    (button(stage, stage))
                }
            }
        }
    }

    /// The ensemble, or the first model.
    fn command_path(&self) -> &str {
        match self.folders.first() {
            Some(first) if !self.ensemble => &first.path,
            _ => &self.path,
        }
    }
}

impl ModelFacts {
    fn words(&self) -> String {
        let score = |(split, images, miou): &(String, usize, Option<f64>)| {
            let miou = miou.map_or_else(|| "no mIoU".to_owned(), |miou| format!("mIoU {:.2}", 100.0 * miou));
            format!("{miou} on {} ({split})", plural(*images, "image"))
        };
        let scores = self.scores.iter().map(score);
        [format!("classes {}", self.classes.join(", "))].into_iter().chain(scores).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(path: &str) -> ModelFacts {
        let scores = vec![("val".to_owned(), 1, Some(0.5)), ("test".to_owned(), 9, Some(0.4567))];
        ModelFacts { path: path.into(), classes: vec!["matrix".into(), "pores".into()], scores }
    }

    #[test]
    fn each_folder_has_its_scores_and_the_command() {
        let folders = vec![facts("models/steel/x@0"), facts("models/steel/<y>@0")];
        let stages = vec![("x".into(), vec!["segment.x@0".into()])];
        let path = "models/steel".to_owned();
        let mut view = ModelsView { file: "steel".into(), path, ensemble: false, folders, stages };
        let text = view.markup().into_string();
        for words in [
            "href=\"./models/steel/x%400/README.md\">models/steel/x@0</a>",
            "classes matrix, pores; mIoU 50.00 on 1 image (val); mIoU 45.67 on 9 images (test)",
            "models/steel/&lt;y&gt;@0</a>",
            "<code>matssl-run predict 'models/steel/x@0' IMAGES… -o RESULTS</code>",
            "data-stage=\"segment.x@0\"",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        view.ensemble = true;
        let text = view.markup().into_string();
        assert!(text.contains("by all of them together: <code>matssl-run predict 'models/steel' IMAGES…"), "{text}");
    }
}
