//! What the page says of model folders.

use crate::report::page::ModelFacts;
use crate::stage;
use serde::Deserialize;

/// The part of `model.json` that the page shows.
#[derive(Deserialize)]
struct Summary {
    classes: Vec<Class>,
    #[serde(default)]
    scores: Vec<Score>,
}

#[derive(Deserialize)]
struct Class {
    name: String,
}

#[derive(Deserialize)]
struct Score {
    split: String,
    images: usize,
    miou: Option<f64>,
}

/// Of the folder `path` with the description `json`; `None` for that of an ensemble, which lists folders and no classes.
pub(super) fn facts(path: &str, json: &str) -> Option<ModelFacts> {
    let Summary { classes, scores } = serde_json::from_str(json).ok()?;
    Some(ModelFacts {
        path: path.to_owned(),
        classes: classes.into_iter().map(|class| class.name).collect(),
        scores: scores.into_iter().map(|score| (score.split, score.images, score.miou)).collect(),
    })
}

/// The folder of `[[models]]` `file`, relative to the page.
pub(super) fn path(file: &str) -> String {
    format!("{}/{file}", stage::MODELS_FOLDER)
}
