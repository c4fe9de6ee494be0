//! `pretrain`: an encoder from patches without masks.

use super::encoder::EncoderSpec;
use super::training::{CHECKPOINT_EVERY, has, take, train};
use super::{Context, Places, Stage, StageError};
use crate::data::augment::ViewParams;
use crate::data::loader::{prefetch, view_batch};
use crate::data::patches::{PATCHES, Patches};
use crate::experiment::{self, Input, ParamError, ReferenceSpec, SpannedTable};
use crate::nn::{Parameters, ResNet, weights};
use crate::random::Stream;
use crate::ssl::{self, ENCODER, MethodSpec, Online, SslMethod};
use crate::train::{EpochEnd, OptimizerSpec, ScheduleSpec, Step, Task, Training};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize, Serializer};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;

/// The encoder in a pretraining's output.
pub(super) const ENCODER_FILE: &str = "encoder.safetensors";

/// Leaves `encoder.safetensors` (torchvision's names) and `history.csv` (epoch, loss, learning_rate, gradient_norm,
/// embedding_std, and what the method adds).
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pretrain {
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
    /// Side of a view in pixels; that of the patches by default.
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
}

fn default_batch_size() -> NonZeroUsize {
    const { NonZeroUsize::new(128).unwrap() }
}

fn default_optimizer() -> OptimizerSpec {
    OptimizerSpec::Sgd { learning_rate: 0.1, momentum: 0.9, weight_decay: 1e-6 }
}

/// `crop_size` says the size; another one beside it would be a lie in the key.
fn without_size<S: Serializer>(views: &ViewParams, serializer: S) -> Result<S::Ok, S::Error> {
    let mut value = serde_json::to_value(views).map_err(serde::ser::Error::custom)?;
    value.as_object_mut().map(|views| views.remove("size"));
    value.serialize(serializer)
}

impl Stage for Pretrain {
    const KIND: &'static str = "pretrain";
    const CODE_VERSION: u32 = 1;
    const SEEDED: bool = true;
    const TRAINS: bool = true;
    const REFERENCES: &'static [ReferenceSpec] = &[ReferenceSpec {
        param: "patches",
        kinds: &["patchify"],
        many: true,
        optional: false,
        all_seeds: false,
    }];

    fn parse(mut table: SpannedTable<'_>) -> Result<Self, Vec<ParamError>> {
        let mut errors = Vec::new();
        if has(&table, "views", "size") {
            let message = "the size of a view is the stage's own `crop_size`".into();
            errors.push(ParamError::Check { param: "views.size", message });
        }
        let method = take(&mut table, "method", ssl::names()[0]).map(MethodSpec::from_toml);
        let mut stage = experiment::deserialize::<Self>(table).map_err(|more| errors.extend(more)).ok();
        match (method, &mut stage) {
            (Some(Ok(method)), Some(stage)) => stage.method = method,
            (Some(Err(more)), _) => errors.extend(more),
            _ => {}
        }
        stage.filter(|_| errors.is_empty()).ok_or(errors)
    }

    fn check(&self) -> Result<(), ParamError> {
        let error = |param, message| Err(ParamError::Check { param, message });
        if self.batch_size.get() < 2 {
            return error("batch_size", "a contrast needs at least 2 patches in a batch".into());
        }
        if let Err(message) = self.encoder.check() {
            return error("encoder", message);
        }
        if let Err((name, message)) = self.views.check() {
            return error("views", format!("{name}: {message}"));
        }
        if let Err(message) = self.schedule.check(self.epochs.get(), self.optimizer.learning_rate()) {
            return error("schedule", message);
        }
        Ok(())
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
        let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
        let encoder = ResNet::new(self.encoder.config());
        encoder.init(&mut parameters, ENCODER, &Stream::new(seed, "encoder", 0, 0))?;
        let missing = self.encoder.load(&parameters, ENCODER, &context.places)?;
        let method = self.method.build(&encoder, &mut parameters, &Stream::new(seed, "method", 0, 0))?;
        let size = self.crop_size.map_or(patches.size(), NonZeroUsize::get);
        let views = ViewParams { size, ..self.views.clone() };
        let fingerprint = serde_json::to_string(&(self, seed, patches.len(), Self::CODE_VERSION));
        let training = Training {
            epochs: self.epochs.get(),
            optimizer: self.optimizer,
            schedule: self.schedule,
            checkpoint: context.checkpoint.clone(),
            checkpoint_every: CHECKPOINT_EVERY,
            fingerprint: fingerprint.map_err(anyhow::Error::from)?,
        };
        let mut task = Pretraining { parameters, encoder, method, patches: Arc::new(patches), views, batch_size, seed };
        train(&mut task, &training, context)?;
        if !missing.is_empty() {
            context.telemetry.insert("missing_weights".into(), missing.into());
        }
        let config = serde_json::to_string(task.encoder.config()).map_err(anyhow::Error::from)?;
        weights::save(&task.parameters, Some(ENCODER), &context.out.join(ENCODER_FILE), &config)?;
        Ok(())
    }
}

/// Pretraining as the loop sees it.
struct Pretraining {
    parameters: Parameters,
    encoder: ResNet,
    method: Box<dyn SslMethod>,
    patches: Arc<Patches>,
    views: ViewParams,
    batch_size: usize,
    seed: u64,
}

impl Task for Pretraining {
    type Batch = [Tensor; 2];
    const LOSS: &'static str = "loss";

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn steps_per_epoch(&self) -> u64 {
        (self.patches.len() / self.batch_size) as u64
    }

    fn batches(&self, epoch: u64) -> anyhow::Result<Box<dyn Iterator<Item = anyhow::Result<[Tensor; 2]>>>> {
        let order = Stream::new(self.seed, "order", epoch, 0).permutation(self.patches.len());
        let (patches, views, batch, seed) = (self.patches.clone(), self.views.clone(), self.batch_size, self.seed);
        let make = move |step: usize| {
            let indices = &order[step * batch..(step + 1) * batch];
            Ok(view_batch(&patches, indices, &views, seed, epoch)?)
        };
        Ok(Box::new(prefetch(self.patches.len() / self.batch_size, make)))
    }

    fn step(&mut self, views: [Tensor; 2]) -> anyhow::Result<Step> {
        let mut online = Online::new(&self.encoder, &self.parameters);
        let made = self.method.loss(&mut online, &views)?;
        let loss = made.loss.to_dtype(DType::F64)?.to_scalar()?;
        let gradients = online.backward(&made.loss)?;
        Ok(Step { loss, gradients, measures: vec![made.embedding_std], images: self.batch_size as u64 })
    }

    fn measures(&self) -> Vec<String> {
        vec!["embedding_std".into()]
    }

    fn columns(&self) -> Vec<String> {
        self.method.columns().iter().map(|&column| column.into()).collect()
    }

    fn end_of_epoch(&mut self, _epoch: u64) -> anyhow::Result<EpochEnd> {
        let values = self.method.values(&self.parameters)?.into_iter().map(Some).collect();
        Ok(EpochEnd { values, ..EpochEnd::default() })
    }
}
