//! The loss of a fine-tuning and the weights of its classes.

use super::Finetune;
use crate::data::{IGNORE, Manifest, Mask, Micrograph};

impl Finetune {
    /// Checks the class weights and that the loss has some.
    ///
    /// # Errors
    /// A parameter, and one line with the cure.
    pub(super) fn check_loss(&self) -> Result<(), (&'static str, String)> {
        let Some(weights) = &self.class_weights else { return Ok(()) };
        if let Some(why) = self.loss.without_class_weights() {
            return Err(("class_weights", format!("{why}: leave them out, or choose another loss")));
        }
        weights.check().map_err(|message| ("class_weights", message))
    }

    /// Checks that the data set `name` has the classes that have weights.
    ///
    /// # Errors
    /// One line with the cure.
    pub(super) fn check_weighted_classes(&self, manifest: &Manifest, name: &str) -> Result<(), String> {
        let Some(weights) = &self.class_weights else { return Ok(()) };
        weights
            .check_classes(&manifest.classes)
            .map_err(|message| format!("`class_weights` for data set {name}: {message}"))
    }

    /// The weight of each of `classes` in the loss, from the masks of the training images.
    ///
    /// # Errors
    /// One line with the cure.
    pub(super) fn weights_of_classes(
        &self,
        classes: &[String],
        samples: &[(Micrograph, Mask)],
    ) -> Result<Option<Vec<f64>>, String> {
        let Some(weights) = &self.class_weights else { return Ok(None) };
        let mut pixels = vec![0; classes.len()];
        for label in samples.iter().flat_map(|(_, mask)| &mask.labels).filter(|label| **label != IGNORE) {
            if let Some(count) = pixels.get_mut(usize::from(*label)) {
                *count += 1;
            }
        }
        let found = weights.weights(classes, &pixels, samples.len());
        found.map(Some).map_err(|message| format!("`class_weights`: {message}"))
    }

    /// What of the loss has no GPU side, as written in the experiment file.
    pub(super) fn loss_on_cpu(&self) -> Option<String> {
        if let Some(name) = self.loss.only_on_cpu(false).first() {
            return Some(format!("loss = \"{name}\""));
        }
        let weighted = self.class_weights.is_some() && !self.loss.only_on_cpu(true).is_empty();
        weighted.then(|| "class_weights".to_owned())
    }
}
