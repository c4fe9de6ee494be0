//! `pretrain`: trains an encoder on patches without masks.

use super::artifacts::{EncoderFile, HistoryFile, ModelFile};
use super::batch_size::BatchSize;
use super::data_set::manifests_of;
use super::encoder::{EncoderSpec, fingerprint};
use super::errors::data_error;
use super::memory::admit;
use super::monitor::{self, Monitor};
use super::outlook::Outlook;
use super::patchify::patch_params;
use super::pretraining::{self, Pretraining};
use super::training::{has, train};
use super::training_parameters::{TrainingDefaults, TrainingParameters};
use super::{Context, Foresight, InputStages, Known, Places, StageError, StageKind, open_dataset};
use crate::data::augment::ViewParams;
use crate::data::check_channels;
use crate::data::patches::Patches;
use crate::experiment::{self, Input, ParamError, ReferenceSpec, SpannedTable};
use crate::nn::{Encoder, Parameters};
use crate::random::Stream;
use crate::ssl::{ENCODER, MethodSpec, Watch};
use crate::train::memory::Needs;
use crate::train::{OptimizerSpec, Task};
use candle_core::{DType, Device};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;

mod start_from;

/// The parameter that names a training whose encoder it starts from, and the role of this input.
pub(crate) const START_FROM: &str = "start_from";

/// Trains an encoder. Writes `encoder.safetensors` (torchvision's names) and `history.csv` (epoch, step, loss,
/// learning_rate, gradient_norm, parts of the method's loss, statistics of the embeddings by
/// [`Watch`](crate::ssl::Watch), other columns of the method). If all embeddings collapse to one point, the stage
/// fails.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Pretrain {
    /// Stages that cut the patches; several sets are concatenated.
    patches: Input,
    /// The encoder and its initial weights.
    encoder: EncoderSpec,
    /// A `pretrain` or `finetune` stage whose encoder it starts from, e.g. a network that was trained on synthetic micrographs with
    /// masks; `encoder` says which network that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_from: Option<Input>,
    /// The SSL method.
    method: MethodSpec,
    #[serde(flatten)]
    training: TrainingParameters<Pretrain>,
    /// Side of a view in pixels, 8 to 4096. By default the side of the patches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crop_size: Option<NonZeroUsize>,
    /// Random augmentation of the two views of a patch.
    #[serde(default, serialize_with = "without_size")]
    views: ViewParams,
    /// Number of neighbouring patches, as they were cut, that stay together in a batch: its negatives then come from few micrographs,
    /// which cannot be told apart by their brightness, contrast or noise. A divisor of `batch_size`; 1 draws every patch by itself.
    #[serde(default = "alone", skip_serializing_if = "is_alone")]
    together: NonZeroUsize,
    /// A labelled data set that monitors the encoder: `knn_accuracy` in the history is the balanced accuracy of a k-NN
    /// vote between patches of different training and validation images. The encoder is not trained on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    monitor: Option<Input>,
    /// Number of epochs from one evaluation of `monitor` to the next.
    #[serde(default = "every_epoch", skip_serializing_if = "is_every_epoch")]
    monitor_every: NonZeroU64,
}

fn alone() -> NonZeroUsize {
    NonZeroUsize::MIN
}

fn is_alone(together: &NonZeroUsize) -> bool {
    *together == alone()
}

/// The largest batch that `"auto"` chooses.
const MOST_BATCH: usize = 256;

fn refused(error: anyhow::Error) -> ParamError {
    ParamError::Check { param: BatchSize::NAME, message: error.to_string() }
}

fn every_epoch() -> NonZeroU64 {
    NonZeroU64::MIN
}

fn is_every_epoch(every: &NonZeroU64) -> bool {
    *every == every_epoch()
}

impl TrainingDefaults for Pretrain {
    fn batch_size() -> NonZeroUsize {
        const { NonZeroUsize::new(128).unwrap() }
    }

    fn optimizer() -> OptimizerSpec {
        OptimizerSpec::sgd(0.1, 0.9, 1e-6)
    }
}

/// Leaves `size` out of the key, because `crop_size` is the size.
fn without_size<S: Serializer>(views: &ViewParams, serializer: S) -> Result<S::Ok, S::Error> {
    let mut value = serde_json::to_value(views).map_err(serde::ser::Error::custom)?;
    value.as_object_mut().map(|views| views.remove("size"));
    value.serialize(serializer)
}

impl Pretrain {
    /// Checks that `count` patches fill a batch.
    ///
    /// # Errors
    /// One line with the numbers and the cure.
    fn check_count(&self, count: usize) -> Result<(), String> {
        let batch_size = self.training.batch_size.get();
        if count >= batch_size {
            return Ok(());
        }
        Err(format!(
            "{count} patches do not fill one batch of {batch_size}: choose a smaller `batch_size`, or cut more patches (a \
             higher `overlap`, a smaller `size`, more images)"
        ))
    }

    /// Checks the batch against the method and `together`, if its size is decided.
    fn check_batch(&self) -> Result<(), ParamError> {
        if self.training.batch_size.is_auto() {
            return Ok(());
        }
        let error = |param, message| ParamError::Check { param, message };
        let (size, together) = (self.training.batch_size.get(), self.together);
        if size < 2 {
            return Err(error(BatchSize::NAME, "a batch needs at least 2 patches".into()));
        }
        if !size.is_multiple_of(together.get()) {
            let message =
                format!("{together} neighbours do not divide a batch of {size}: choose a divisor of `batch_size`");
            return Err(error("together", message));
        }
        self.method.check_batch(size).map_err(|message| error("method", message))
    }

    /// Estimate of the memory for the largest batch that is chosen by it, of views with a side of `size` pixels.
    fn sketched(&self, size: usize) -> anyhow::Result<Needs> {
        self.encoder.network.check_side(size).map_err(anyhow::Error::msg)?;
        let parameters = Parameters::new(DType::F32, &Device::Cpu).for_sizes();
        let mut parameters = parameters.with_precision(self.training.precision).with_recompute(self.training.recompute);
        let encoder = Encoder::new(self.encoder.network.clone());
        let drawn = Stream::new(0, "sketch", 0, 0);
        encoder.init(&mut parameters, ENCODER, &drawn)?;
        let method = self.method.build(&encoder, &mut parameters, &drawn)?;
        let sizes = (MOST_BATCH, size, encoder.config().in_channels());
        let needs = pretraining::memory(&parameters, &encoder, &*method, sizes)?;
        Ok(Needs { optimizer: Some(self.training.optimizer), ..needs })
    }

    /// Columns of the history, with all that the method may add.
    fn columns(&self) -> Vec<String> {
        let own = ["step", "learning_rate", "gradient_norm", Pretraining::LOSS].into_iter().chain(Watch::COLUMNS);
        let monitored = self.monitor.as_ref().map(|_| monitor::COLUMN);
        own.chain(self.method.columns().iter().copied()).chain(monitored).map(str::to_owned).collect()
    }

    /// The problems that the sizes of its patches, `(label, number, side)`, and the monitored data set show.
    fn problems(&self, patches: &[Option<(&str, usize, usize)>], known: &Known<'_>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut sizes = patches.iter().flatten();
        let size = sizes.next().map(|&(.., size)| size);
        if let (Some(&Some((first, ..))), Some(size)) = (patches.iter().find(|set| set.is_some()), size)
            && let Some((other, _, side)) = sizes.find(|&&(.., other)| other != size)
        {
            problems.push(format!(
                "`patches`: those of {first} have {size} pixels, those of {other} {side}; cut all patches to one `size`"
            ));
        }
        if let Some(count) = patches.iter().map(|set| set.map(|(_, count, _)| count)).sum::<Option<usize>>() {
            problems.extend(self.check_count(count).err());
        }
        let size = self.crop_size.map(NonZeroUsize::get).or(size);
        if let Some(Err(message)) = size.map(|size| self.encoder.network.check_side(size)) {
            problems.push(format!("{message}; set `crop_size`, or cut patches of another `size`"));
        }
        if let (Some((name, manifest)), Some(size)) = (Outlook::images(known, "monitor"), size) {
            problems.extend(monitor::check(manifest, name, size, self.encoder.network.in_channels()).err());
        }
        problems
    }

    /// Checks that the network takes patches of the channels that `sets` (label, channels) have.
    fn check_channels<'a>(&self, sets: impl IntoIterator<Item = (&'a str, usize)>) -> Result<(), String> {
        let fit = check_channels("sets of patches", sets, self.encoder.network.in_channels());
        fit.map_err(|message| format!("`patches`: {message}"))
    }

    /// The encoder that it starts with.
    pub(super) fn encoder(&self) -> &EncoderSpec {
        &self.encoder
    }
}

impl StageKind for Pretrain {
    const KIND: &'static str = "pretrain";
    const CODE_VERSION: u32 = 5;
    const TRAINS: bool = true;
    // The key contains the content of the weight file. Random weights have no file.
    const UNKEYED: &'static [&'static str] = &["encoder.weights", "recompute"];
    const LEAVES: &'static [&'static str] = &[EncoderFile::FILE, HistoryFile::FILE];
    const REFERENCES: &'static [ReferenceSpec] = &[
        ReferenceSpec::many("patches", &["patchify"]),
        ReferenceSpec::one(START_FROM, &["pretrain", "finetune"]).or_value(),
        ReferenceSpec::one("monitor", &["dataset", "synthesize"]).or_value(),
    ];

    fn parse(table: SpannedTable<'_>) -> Result<Self, Vec<ParamError>> {
        let mut errors = Vec::new();
        if has(&table, "views", "size") {
            let message = "set the size of a view with the stage's `crop_size`".into();
            errors.push(ParamError::Check { param: "views.size", message });
        }
        let stage = experiment::deserialize::<Self>(table).map_err(|more| errors.extend(more)).ok();
        stage.filter(|_| errors.is_empty()).ok_or(errors)
    }

    fn check(&self) -> Result<(), ParamError> {
        let error = |param, message| Err(ParamError::Check { param, message });
        self.check_batch()?;
        if let Err(message) = self.encoder.check() {
            return error("encoder", message);
        }
        if let Err(message) = self.check_start() {
            return error("encoder", message);
        }
        if !self.encoder.network.has_four_stages() {
            let arch = self.encoder.network.arch();
            let message = format!(
                "{arch} has one map of features: pretraining needs an encoder with four stages, a ResNet or \"swin-tiny\""
            );
            return error("encoder", message);
        }
        if let Some(Err(message)) = self.crop_size.map(|size| self.encoder.network.check_side(size.get())) {
            return error("crop_size", message);
        }
        if let Some(size) = self.crop_size.filter(|size| !(8..=4096).contains(&size.get())) {
            return error("crop_size", format!("{size} is out of range: 8 to 4096 pixels"));
        }
        if let Err((name, message)) = self.views.check() {
            return error("views", format!("{name}: {message}"));
        }
        self.training.check()
    }

    fn settle(mut self, inputs: &mut InputStages<'_>) -> Result<Self, ParamError> {
        if self.training.batch_size.is_auto() {
            let cut = inputs.filter_map(|input| patch_params(input.stage)).next();
            let Some(size) = self.crop_size.map(NonZeroUsize::get).or(cut.map(|patches| patches.size)) else {
                return Ok(self);
            };
            self.training.batch_size = BatchSize::for_memory(&self.sketched(size).map_err(refused)?)?;
            self.check_batch()?;
        }
        Ok(self)
    }

    fn settled(&self) -> Option<String> {
        self.training.batch_size.settled()
    }

    fn needs_gpu(&self) -> Option<String> {
        self.training.needs_gpu()
    }

    fn needs_cpu(&self) -> Option<String> {
        let encoder = &self.encoder.network;
        (!encoder.runs_on_gpu()).then(|| format!("arch = \"{}\"", encoder.arch()))
    }

    fn output_needs_cpu(&self) -> Option<String> {
        self.needs_cpu()
    }

    fn ready(&self, places: &Places) -> Result<(), StageError> {
        self.encoder.ready(places).map(drop)
    }

    fn wants(&self, places: &Places) -> Option<String> {
        self.encoder.wants(places)
    }

    fn external_files(&self, places: &Places) -> Result<Vec<(String, PathBuf)>, StageError> {
        self.encoder.external_files(places)
    }

    fn source(&self, places: &Places) -> Option<PathBuf> {
        self.encoder.source(places)
    }

    fn draws(&self) -> bool {
        true
    }

    fn computes(&self) -> bool {
        true
    }

    fn reads(&self, role: &str) -> Vec<String> {
        match role {
            "monitor" => manifests_of(monitor::SPLITS),
            START_FROM => [EncoderFile::FILE, ModelFile::FILE].map(str::to_owned).into(),
            _ => Vec::new(),
        }
    }

    fn foresee(&self, known: &Known<'_>) -> Foresight {
        let patches: Vec<_> = known
            .inputs("patches")
            .map(|input| match Outlook::of(input) {
                Some(&Outlook::Patches { count, size, .. }) => Some((input.label, count, size)),
                _ => None,
            })
            .collect();
        let training = Outlook::Training {
            columns: Some(self.columns()),
            classes: None,
            in_channels: Some(self.encoder.network.in_channels()),
            encoder: Some(self.encoder.network.clone()),
            network: None,
            seen: Outlook::seen(known).collect(),
            has_onnx: true,
        };
        let channels = known.inputs("patches").filter_map(|input| match Outlook::of(input) {
            Some(&Outlook::Patches { channels, .. }) => Some((input.label, channels)),
            _ => None,
        });
        let mut problems = self.problems(&patches, known);
        problems.extend(self.check_channels(channels).err());
        problems.extend(self.start_problem(known));
        Foresight { prospect: training.prospect(), problems, ..Foresight::nothing() }
    }

    fn run(&self, context: &mut Context) -> Result<(), StageError> {
        let files = context.inputs("patches").iter().map(|input| Ok(input.file(Patches::FILE)?.to_path_buf()));
        let patches = Patches::open_all(&files.collect::<anyhow::Result<Vec<_>>>()?).map_err(data_error)?;
        let sets = context.inputs("patches").iter().zip(patches.channels_by_file());
        let sets = sets.map(|(input, channels)| (input.label.as_str(), channels));
        self.check_channels(sets).map_err(StageError::BadData)?;
        let batch_size = self.training.batch_size.get();
        self.check_count(patches.len()).map_err(StageError::BadData)?;
        let seed = context.seed;
        let mut parameters = self.training.parameters(context)?;
        let encoder = Encoder::new(self.encoder.network.clone());
        encoder.init(&mut parameters, ENCODER, &Stream::new(seed, "encoder", 0, 0)).map_err(StageError::failed)?;
        self.encoder.load(&parameters, ENCODER, context)?;
        self.load_start(&parameters, context)?;
        let drawn = Stream::new(seed, "method", 0, 0);
        let method = self.method.build(&encoder, &mut parameters, &drawn).map_err(StageError::failed)?;
        let size = self.crop_size.map_or(patches.size(), NonZeroUsize::get);
        let views = ViewParams { size, ..self.views.clone() };
        let training = self.training.training(fingerprint(self, patches.len(), context)?, context);
        let monitor = match &self.monitor {
            Some(_) => {
                let input = context.input("monitor")?;
                Some(Monitor::open(&open_dataset(input)?, &input.label, size, self.encoder.network.in_channels())?)
            }
            None => None,
        };
        let (patches, epochs) = (Arc::new(patches), self.training.epochs.get());
        let mut task = Pretraining {
            parameters,
            encoder,
            method,
            patches,
            views,
            batch_size,
            together: self.together.get(),
            epochs,
            seed,
            monitor,
            monitor_every: self.monitor_every.get(),
        };
        admit(&task.memory(self.training.optimizer)?, context)?;
        train(&mut task, &training, context)?;
        EncoderFile::write(&task.parameters, task.encoder.config(), &context.out)
    }
}

#[cfg(test)]
pub(super) mod tests;
