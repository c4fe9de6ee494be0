//! Parameters of every training.

use super::batch_size::BatchSize;
use super::device::open_device;
use super::training::{CHECKPOINT_SHARE, is_yes, yes};
use super::{Context, StageError};
use crate::experiment::ParamError;
use crate::nn::{Parameters, Precision};
use crate::train::{OptimizerSpec, ScheduleSpec, Training};
use candle_core::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::num::{NonZeroU64, NonZeroUsize};

/// Default parameters of a kind of training.
pub(super) trait TrainingDefaults {
    /// Number of images, or of pairs of views, in a step.
    fn batch_size() -> NonZeroUsize;
    /// The optimiser with its learning rate.
    fn optimizer() -> OptimizerSpec;
}

/// Length and settings of a training: part of the parameters of `pretrain` and `finetune`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(bound = "D: TrainingDefaults")]
#[schemars(bound = "D: TrainingDefaults", rename = "TrainingParameters")]
pub(super) struct TrainingParameters<D> {
    /// Number of passes over the training images. In the paper: 50 for pretraining, 200 for fine-tuning.
    pub(super) epochs: NonZeroU64,
    /// `pretrain`: pairs of views per step, 128 by default and in the paper; each epoch drops the patches that do not
    /// fill a batch. `finetune`: crops per step, 8 by default; the last batch of an epoch may be smaller. `"auto"`: the largest power
    /// of two, at most 256 in `pretrain` and 32 in `finetune`, that is estimated to fit into half of the memory of the machine
    /// that reads the experiment (`MATSSL_MEMORY_LIMIT` replaces it), whatever the data set and the GPU. The number that is chosen
    /// counts as if it were written: with less memory it is another experiment, so write a number where results are to be compared.
    #[serde(default = "default_batch_size::<D>")]
    pub(super) batch_size: BatchSize,
    /// Optimiser, by default as in the paper. `pretrain`: SGD, 0.1, momentum 0.9, weight decay 1e-6. `finetune`: Adam,
    /// 1e-4, weight decay 1e-5.
    #[serde(default = "D::optimizer")]
    pub(super) optimizer: OptimizerSpec,
    /// Schedule of the learning rate, constant by default. In the paper: cosine for pretraining.
    #[serde(default)]
    pub(super) schedule: ScheduleSpec,
    /// Precision of computations: `"float32"`, or on a GPU also `"tf32"` or `"bf16"`.
    #[serde(default, skip_serializing_if = "Precision::is_default")]
    pub(super) precision: Precision,
    /// Whether results are bit-identical each time, as in the paper. `false` allows faster algorithms on a GPU.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub(super) deterministic: bool,
    /// Whether the backward pass recomputes activations instead of storing them: less memory, more time, identical
    /// results.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) recompute: bool,
    #[serde(skip)]
    defaults: PhantomData<D>,
}

fn default_batch_size<D: TrainingDefaults>() -> BatchSize {
    BatchSize::Number(D::batch_size())
}

impl<D> TrainingParameters<D> {
    /// Checks the schedule against the epochs and the learning rate.
    ///
    /// # Errors
    /// If `schedule` does not fit them.
    pub(super) fn check(&self) -> Result<(), ParamError> {
        let checked = self.schedule.check(self.epochs.get(), self.optimizer.learning_rate());
        checked.map_err(|message| ParamError::Check { param: "schedule", message })
    }

    /// The setting that needs a GPU, as written in the experiment file.
    pub(super) fn needs_gpu(&self) -> Option<String> {
        self.precision.needs_gpu().then(|| format!("precision = \"{}\"", self.precision.name()))
    }

    /// Opens the stage's device and returns an empty set of parameters on it.
    ///
    /// # Errors
    /// [`StageError::NotThere`] if the device is missing or does not support the precision.
    pub(super) fn parameters(&self, context: &mut Context) -> Result<Parameters, StageError> {
        let device = open_device(context, self.precision, self.deterministic)?;
        Ok(Parameters::new(DType::F32, &device).with_precision(self.precision).with_recompute(self.recompute))
    }

    /// The training with `fingerprint` and the checkpoint path of `context`. Without averaging of gradients or weights,
    /// and without early stopping.
    pub(super) fn training(&self, fingerprint: String, context: &Context) -> Training {
        Training {
            epochs: self.epochs.get(),
            optimizer: self.optimizer,
            schedule: self.schedule.clone(),
            accumulate: NonZeroU64::MIN,
            ema: None,
            patience: None,
            patience_from: 0,
            checkpoint: context.checkpoint.clone(),
            checkpoint_share: CHECKPOINT_SHARE,
            checkpoint_wait: context.checkpoint_wait,
            fingerprint,
            asked: context.asked.clone(),
        }
    }
}
