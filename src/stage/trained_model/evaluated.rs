//! Scores of a model on a split, from the files of an `evaluate` stage.

use crate::metrics::{Confusion, Evaluation, ImageConfusions};
use crate::predict::model::SplitScores;
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A finished evaluation.
pub(crate) struct Evaluated {
    /// Name of the data set.
    pub(crate) dataset: String,
    /// Content hash of the split's manifest.
    pub(crate) content: String,
    /// What it measured.
    pub(crate) evaluation: Evaluation,
    /// The confusion matrix over all images.
    pub(crate) confusion: Option<Confusion>,
}

impl Evaluated {
    /// Reads the `files` of an `evaluate` stage. `content` says the hash of the manifest of a split of `dataset`.
    ///
    /// # Errors
    /// A damaged file.
    pub(crate) fn read(
        files: &BTreeMap<String, PathBuf>,
        dataset: &str,
        content: impl FnOnce(&str) -> String,
    ) -> Result<Option<Self>> {
        let Some(metrics) = files.get(Evaluation::FILE) else { return Ok(None) };
        let evaluation = Evaluation::read(metrics)?;
        let matrices = files.get(ImageConfusions::FILE).map(|path| ImageConfusions::read(path)).transpose()?;
        let confusion = matrices.map(|ImageConfusions(matrices)| {
            let mut sum = Confusion::new(evaluation.classes.len());
            matrices.iter().for_each(|(_, matrix)| sum.merge(matrix));
            sum
        });
        let content = content(&evaluation.split);
        Ok(Some(Evaluated { dataset: dataset.to_owned(), content, evaluation, confusion }))
    }
}

impl From<Evaluated> for SplitScores {
    fn from(evaluated: Evaluated) -> Self {
        let Evaluated { dataset, content, evaluation, confusion } = evaluated;
        SplitScores {
            split: evaluation.split,
            dataset,
            content,
            images: evaluation.images,
            miou: evaluation.miou,
            iou: evaluation.classes.iter().map(|class| class.iou).collect(),
            confusion,
        }
    }
}
