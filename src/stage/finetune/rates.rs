//! How the encoder of a fine-tuning is trained: from which epoch on, with which learning rates, and with which batch norms.

use super::Finetune;
use super::encoder_norms::EncoderNorms;
use crate::nn::{Architecture, EncoderConfig, SegmentationNetwork};
use crate::stage::initial_weights::Weights;
use std::collections::BTreeMap;

impl Finetune {
    /// Checks what an experiment says of the training of the encoder.
    ///
    /// # Errors
    /// A parameter, and one line with the cure.
    pub(super) fn check_encoder_training(&self) -> Result<(), (&'static str, String)> {
        let (epochs, word) = (self.training.epochs.get(), self.architecture().word());
        if let Some(decay) = self.layer_decay
            && !(decay > 0.0 && decay <= 1.0)
        {
            return Err(("layer_decay", format!("{decay} is out of range: above 0, up to 1, e.g. 0.8")));
        }
        if let Some(rate) = self.encoder_learning_rate
            && !(rate > 0.0 && rate.is_finite())
        {
            let message =
                format!("{rate} is out of range: above 0 (for an encoder that stays as it is, `freeze = true`)");
            return Err(("encoder_learning_rate", message));
        }
        let without_effect = [
            ("layer_decay", self.layer_decay.is_some()),
            ("encoder_learning_rate", self.encoder_learning_rate.is_some()),
            ("freeze_epochs", self.freeze_epochs > 0),
            ("encoder_norms", !self.encoder_norms.is_default()),
        ];
        if let Some((param, _)) = without_effect.into_iter().find(|(_, is_set)| self.freeze && *is_set) {
            return Err((param, "has no effect with `freeze = true`: choose one of them".into()));
        }
        if self.freeze_epochs > 0 && matches!(self.architecture(), Architecture::SwinUnet | Architecture::CsUnet) {
            let message =
                format!("architecture = \"{word}\" trains its encoder and its decoder together: leave it out");
            return Err(("freeze_epochs", message));
        }
        if self.freeze_epochs >= epochs {
            let message = format!(
                "{} epochs of {epochs} never train the encoder: use fewer, or `freeze = true`",
                self.freeze_epochs
            );
            return Err(("freeze_epochs", message));
        }
        if self.encoder_norms == EncoderNorms::Frozen
            && let Some(encoder) = self.encoder()
            && encoder.weights == Weights::Random
            && self.model.is_none()
        {
            let message = "\"frozen\" needs an encoder that starts with weights: with random ones its batch norms have \
                           seen no image, and would normalise nothing";
            return Err(("encoder_norms", message.into()));
        }
        match self.encoder() {
            Some(encoder) => self.check_norms(&encoder.network),
            None => Ok(()),
        }
    }

    /// Checks that `encoder` has batch norms if they are to be frozen.
    ///
    /// # Errors
    /// A parameter, and one line with the cure.
    pub(super) fn check_norms(&self, encoder: &EncoderConfig) -> Result<(), (&'static str, String)> {
        if self.encoder_norms == EncoderNorms::Batch || encoder.is_convolutional() {
            return Ok(());
        }
        Err(("encoder_norms", format!("{} has no batch norms: leave it out", encoder.arch())))
    }

    /// What of the encoder's learning rates cannot run on a GPU yet.
    pub(super) fn rates_on_cpu(&self) -> Option<String> {
        let set = [
            ("layer_decay", self.layer_decay.is_some()),
            ("encoder_learning_rate", self.encoder_learning_rate.is_some()),
            ("freeze_epochs", self.freeze_epochs > 0),
        ];
        set.into_iter().find_map(|(param, is_set)| is_set.then(|| param.to_owned()))
    }

    /// The factors of the learning rate by parameter; 1 for all that are not named.
    pub(super) fn rate_factors(&self, network: &SegmentationNetwork) -> BTreeMap<String, f64> {
        if self.layer_decay.is_none() && self.encoder_learning_rate.is_none() {
            return BTreeMap::new();
        }
        let whole = self.training.optimizer.learning_rate();
        let factor = self.encoder_learning_rate.map_or(1.0, |rate| rate / whole);
        network.rate_factors(factor, self.layer_decay.unwrap_or(1.0))
    }
}
