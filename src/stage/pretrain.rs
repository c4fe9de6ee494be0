//! `pretrain`: an encoder from patches without masks.

use super::encoder::{EncoderSpec, fingerprint};
use super::memory::admit;
use super::monitor::Monitor;
use super::pretraining::Pretraining;
use super::training::{CHECKPOINT_SHARE, has, is_yes, train, yes};
use super::{Context, Places, Stage, StageError, open_dataset};
use crate::data::augment::ViewParams;
use crate::data::patches::{PATCHES, Patches};
use crate::experiment::{self, Input, ParamError, ReferenceSpec, SpannedTable};
use crate::nn::{Parameters, Precision, ResNet, weights};
use crate::random::Stream;
use crate::ssl::{ENCODER, MethodSpec};
use crate::train::{OptimizerSpec, ScheduleSpec, Training};
use candle_core::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;

/// The encoder in a pretraining's output.
pub(super) const ENCODER_FILE: &str = "encoder.safetensors";

/// Leaves `encoder.safetensors` (torchvision's names) and `history.csv` (epoch, step, loss, learning_rate, gradient_norm,
/// the parts of the method's loss, what [`Watch`](crate::ssl::Watch) sees of the embeddings, and what else the method tells). A collapse to a
/// point stops the stage.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Pretrain {
    /// Where the patches come from; several sets are joined.
    patches: Input,
    /// What is trained, and from where.
    encoder: EncoderSpec,
    /// How.
    method: MethodSpec,
    /// Passes over the patches: 50 in the paper.
    epochs: NonZeroU64,
    /// Pairs of views in a step: 128 in the paper. The patches that do not fill a batch wait for another epoch's order.
    #[serde(default = "default_batch_size")]
    batch_size: NonZeroUsize,
    /// Side of a view in pixels, 8 to 4096; that of the patches by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crop_size: Option<NonZeroUsize>,
    /// How two views of a patch differ.
    #[serde(default, serialize_with = "without_size")]
    views: ViewParams,
    /// SGD, 0.1, momentum 0.9, weight decay 1e-6 in the paper.
    #[serde(default = "default_optimizer")]
    optimizer: OptimizerSpec,
    /// Constant by default; cosine in the paper.
    #[serde(default)]
    schedule: ScheduleSpec,
    /// `"float32"`; `"tf32"` or `"bf16"` on a GPU.
    #[serde(default, skip_serializing_if = "Precision::is_default")]
    precision: Precision,
    /// The same bits each time, as in the paper; false allows a GPU what is faster.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    deterministic: bool,
    /// A labelled data set whose training and validation images watch the encoder: `knn_accuracy` in the history says how
    /// often the nearest patches of other images are of a patch's own class (mean over the classes). Nothing is trained on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    monitor: Option<Input>,
    /// Epochs from one look at it to the next.
    #[serde(default = "every_epoch", skip_serializing_if = "is_every_epoch")]
    monitor_every: NonZeroU64,
    /// Computes activations again in the backward pass instead of keeping them: less memory, more time, the same bits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    recompute: bool,
}

fn default_batch_size() -> NonZeroUsize {
    const { NonZeroUsize::new(128).unwrap() }
}

fn every_epoch() -> NonZeroU64 {
    NonZeroU64::MIN
}

fn is_every_epoch(every: &NonZeroU64) -> bool {
    *every == every_epoch()
}

fn default_optimizer() -> OptimizerSpec {
    OptimizerSpec::sgd(0.1, 0.9, 1e-6)
}

/// `crop_size` says the size; another one beside it would be a lie in the key.
fn without_size<S: Serializer>(views: &ViewParams, serializer: S) -> Result<S::Ok, S::Error> {
    let mut value = serde_json::to_value(views).map_err(serde::ser::Error::custom)?;
    value.as_object_mut().map(|views| views.remove("size"));
    value.serialize(serializer)
}

impl Stage for Pretrain {
    const KIND: &'static str = "pretrain";
    const CODE_VERSION: u32 = 5;
    const READS_FILES: bool = true;
    const SEEDED: bool = true;
    const TRAINS: bool = true;
    const COMPUTES: bool = true;
    // The weights themselves are in the key, by content; random ones leave no file there.
    const UNKEYED: &'static [&'static str] = &["encoder.weights", "recompute"];
    const REFERENCES: &'static [ReferenceSpec] = &[
        ReferenceSpec::many("patches", &["patchify"]),
        ReferenceSpec::one("monitor", &["dataset", "synthesize"]).or_value(),
    ];

    fn parse(table: SpannedTable<'_>) -> Result<Self, Vec<ParamError>> {
        let mut errors = Vec::new();
        if has(&table, "views", "size") {
            let message = "the size of a view is the stage's own `crop_size`".into();
            errors.push(ParamError::Check { param: "views.size", message });
        }
        let stage = experiment::deserialize::<Self>(table).map_err(|more| errors.extend(more)).ok();
        stage.filter(|_| errors.is_empty()).ok_or(errors)
    }

    fn check(&self) -> Result<(), ParamError> {
        let error = |param, message| Err(ParamError::Check { param, message });
        if self.batch_size.get() < 2 {
            return error("batch_size", "a contrast needs at least 2 patches in a batch".into());
        }
        if let Err(message) = self.method.check_batch(self.batch_size.get()) {
            return error("method", message);
        }
        if let Err(message) = self.encoder.check() {
            return error("encoder", message);
        }
        if let Some(size) = self.crop_size.filter(|size| !(8..=4096).contains(&size.get())) {
            return error("crop_size", format!("{size} is out of range: 8 to 4096 pixels"));
        }
        if let Err((name, message)) = self.views.check() {
            return error("views", format!("{name}: {message}"));
        }
        if let Err(message) = self.schedule.check(self.epochs.get(), self.optimizer.learning_rate()) {
            return error("schedule", message);
        }
        Ok(())
    }

    fn precision(&self) -> Precision {
        self.precision
    }

    fn ready(&self, places: &Places) -> Result<(), StageError> {
        self.encoder.ready(places)
    }

    fn external_files(&self, places: &Places) -> Result<Vec<(String, PathBuf)>, StageError> {
        self.encoder.external_files(places)
    }

    fn source(&self, places: &Places) -> Option<PathBuf> {
        self.encoder.source(places)
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let files = context.inputs("patches").iter().map(|input| Ok(input.file(PATCHES)?.to_path_buf()));
        let patches = Patches::open_all(&files.collect::<anyhow::Result<Vec<_>>>()?)?;
        let batch_size = self.batch_size.get();
        if patches.len() < batch_size {
            return Err(StageError::BadData(format!(
                "{} patches do not fill one batch of {batch_size}: give a smaller `batch_size`, or cut more patches (a \
                 higher `overlap`, a smaller `size`, more images)",
                patches.len(),
            )));
        }
        let seed = context.seed;
        let device = context.open_device(self.precision, self.deterministic)?;
        let mut parameters =
            Parameters::new(DType::F32, &device).with_precision(self.precision).with_recompute(self.recompute);
        let encoder = ResNet::new(self.encoder.config());
        encoder.init(&mut parameters, ENCODER, &Stream::new(seed, "encoder", 0, 0))?;
        self.encoder.load(&parameters, ENCODER, context)?;
        let method = self.method.build(&encoder, &mut parameters, &Stream::new(seed, "method", 0, 0))?;
        let size = self.crop_size.map_or(patches.size(), NonZeroUsize::get);
        let views = ViewParams { size, ..self.views.clone() };
        let training = Training {
            epochs: self.epochs.get(),
            optimizer: self.optimizer,
            schedule: self.schedule.clone(),
            accumulate: NonZeroU64::MIN,
            ema: None,
            checkpoint: context.checkpoint.clone(),
            checkpoint_share: CHECKPOINT_SHARE,
            checkpoint_wait: context.checkpoint_wait,
            fingerprint: fingerprint(self, patches.len(), context)?,
            asked: context.asked.clone(),
            patience: None,
        };
        let monitor = match &self.monitor {
            Some(_) => Some(Monitor::open(&open_dataset(context.input("monitor")?)?, size)?),
            None => None,
        };
        let (patches, epochs) = (Arc::new(patches), self.epochs.get());
        let mut task = Pretraining {
            parameters,
            encoder,
            method,
            patches,
            views,
            batch_size,
            epochs,
            seed,
            monitor,
            monitor_every: self.monitor_every.get(),
        };
        admit(&task.memory(self.optimizer)?, context)?;
        train(&mut task, &training, context)?;
        let config = serde_json::to_string(task.encoder.config()).map_err(anyhow::Error::from)?;
        weights::save(&task.parameters, Some(ENCODER), &context.out.join(ENCODER_FILE), &config)?;
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests;
