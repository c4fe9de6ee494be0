//! All that was predicted in one run.

use super::{Field, Specimen};
use crate::model::{ClassDescription, ModelFolder};
use crate::output::OutputOptions;
use matssl_metrics::{ClassFraction, Confusion, fractions};
use rayon::prelude::*;
use serde_json::Value;

/// An image that could not be predicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// What it is called.
    pub image: String,
    /// The file, the problem and the cure.
    pub reason: String,
}

/// Predicted images, and what they were predicted with.
pub struct Results {
    pub(super) models: Vec<ModelFolder>,
    pub(super) options: Value,
    /// Classes whose objects were measured.
    pub(super) objects: Vec<u8>,
    pub(super) fields: Vec<Field>,
    /// By field and class.
    pub(super) fractions: Vec<Vec<ClassFraction>>,
    pub(super) failed: Vec<Failed>,
    /// Whether all images are in it that were asked for; otherwise the run was interrupted.
    pub(super) complete: bool,
    pub(super) validation: Vec<Confusion>,
}

impl Results {
    /// Of `fields`, predicted by `models` with `options` (for programs).
    pub fn new(
        models: &[ModelFolder],
        options: Value,
        outputs: &OutputOptions,
        fields: Vec<Field>,
        failed: Vec<Failed>,
        complete: bool,
    ) -> Self {
        let validation = validation(models);
        let of = |field: &Field| fractions(&[&field.result.measured.counts], &validation);
        let fractions = fields.par_iter().map(of).collect();
        let options = with_outputs(options, outputs, &models[0].description.classes);
        let (models, objects) = (models.to_vec(), outputs.objects.clone());
        Results { models, options, objects, fields, fractions, failed, complete, validation }
    }

    /// The classes, by index.
    pub fn classes(&self) -> &[ClassDescription] {
        &self.models[0].description.classes
    }

    /// The specimens; all images as one where specimens are not known.
    pub fn specimens(&self) -> Vec<Specimen<'_>> {
        Specimen::all(&self.fields, &self.validation)
    }

    /// Images that were predicted.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Images that could not be predicted.
    pub fn failed(&self) -> &[Failed] {
        &self.failed
    }
}

/// `options` with what was asked for beside masks: classes whose objects are measured, by name, and maps of the uncertainty.
fn with_outputs(mut options: Value, outputs: &OutputOptions, classes: &[ClassDescription]) -> Value {
    if let Some(options) = options.as_object_mut() {
        let name = |&class: &u8| classes.get(usize::from(class)).map(|class| class.name.clone());
        options.insert("objects".to_owned(), outputs.objects.iter().filter_map(name).collect());
        options.insert("uncertainty".to_owned(), outputs.uncertainty.into());
    }
    options
}

/// The confusion matrix of each validation image: of several models, the sum over the models that were validated on the same
/// number of images; else none.
fn validation(models: &[ModelFolder]) -> Vec<Confusion> {
    let mut all = models.iter().map(|model| &model.description.validation);
    let Some(mut sum) = all.next().cloned() else { return Vec::new() };
    for other in all {
        let same = other.len() == sum.len() && other.iter().zip(&sum).all(|(a, b)| a.classes() == b.classes());
        if !same {
            return Vec::new();
        }
        sum.iter_mut().zip(other).for_each(|(sum, confusion)| sum.merge(confusion));
    }
    sum
}
