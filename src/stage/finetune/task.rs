//! The training that a fine-tuning describes, before its first step.

use super::Finetune;
use super::encoder_norms::EncoderNorms;
use super::samples::Samples;
use crate::data::augment::FinetuneAugment;
use crate::metrics::SelectedOn;
use crate::nn::{Parameters, SegmentationNetwork};
use crate::stage::segmentation::{Segmentation, Validation};
use crate::train::memory::Needs;
use std::num::NonZeroUsize;
use std::sync::Arc;

impl Finetune {
    /// Number of crops in an epoch on `images` images.
    pub(super) fn crops_in_epoch(&self, images: usize) -> usize {
        self.crops_per_epoch.map_or(images * self.crops_per_image.get(), NonZeroUsize::get)
    }

    /// The validation on `samples`.
    pub(super) fn validation(&self, samples: Samples, ignore_classes: &[u8]) -> Validation {
        Validation {
            samples,
            ignore_classes: ignore_classes.to_vec(),
            every: self.validate_every.get(),
            epochs: self.training.epochs.get(),
            overlap: self.validation_overlap,
            selects: self.select_on != SelectedOn::Last,
        }
    }

    /// `parameters` for `network`, with what of its encoder stays as it is.
    pub(super) fn frozen(&self, parameters: Parameters, network: &SegmentationNetwork) -> Parameters {
        let parameters = if self.freeze { parameters.with_frozen(network.encoder_prefix()) } else { parameters };
        match self.encoder_norms {
            EncoderNorms::Frozen => parameters.with_frozen_norms(network.encoder_prefix()),
            EncoderNorms::Batch => parameters,
        }
    }

    /// The training of `network` on `samples` in batches of `batch_size`, all classes alike.
    pub(super) fn task(
        &self,
        (network, parameters): (SegmentationNetwork, Parameters),
        class_names: Vec<String>,
        (samples, validation): (Samples, Validation),
        batch_size: usize,
        seed: u64,
    ) -> Segmentation {
        let crops_per_epoch = self.crops_in_epoch(samples.len());
        Segmentation {
            rate_factors: self.rate_factors(&network),
            parameters,
            network,
            freeze_epochs: self.freeze_epochs,
            loss: self.loss.clone(),
            class_weights: None,
            samples: Arc::new(samples),
            augment: FinetuneAugment { crop_size: Some(self.crop_size.get()), ..self.augment.clone() },
            rare: None,
            batch_size,
            crops_per_epoch,
            seed,
            class_names,
            validation,
        }
    }

    /// Estimate of the peak memory of `task`.
    ///
    /// # Errors
    /// If the crops do not fit the network.
    pub(super) fn needs(&self, task: &Segmentation) -> anyhow::Result<Needs> {
        let (accumulates, averages) = (self.accumulate.get() > 1, self.ema.is_some());
        Ok(Needs { accumulates, averages, ..task.memory(self.training.optimizer)? })
    }
}
