//! The parameter `encoder` of a training stage: architecture and initial weights.

use super::errors::weights_error;
use super::{Context, Places, Progress, StageError, StageKind};
use crate::data::{MOST_CHANNELS, RGB};
use crate::nn::weights::{self, Published, PublishedFile};
use crate::nn::{Arch, Parameters, ResNetConfig, Variant};
use anyhow::Context as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Name of the weight file among the external files of a stage.
const WEIGHTS: &str = "weights";
/// Folder of published weights in the data folder.
const FOLDER: &str = "weights";
/// Maximum number of missing tensors that the progress names.
const NAMED: usize = 3;

/// A ResNet and its initial weights: `{ arch = "resnet50", weights = "weights/resnet50.pth" }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EncoderSpec {
    /// Architecture: `"resnet18"`, `"resnet34"`, `"resnet50"` or `"resnet101"`.
    pub(super) arch: Arch,
    /// Number of channels of the stem: 64 in every published network.
    #[serde(default = "published_width")]
    pub(super) width: usize,
    /// Position of the strides in bottleneck blocks: `"v1.5"` as in torchvision, or `"v1"`.
    #[serde(default)]
    pub(super) variant: Variant,
    /// Number of channels of the images, 1 to 8. With 3 (the default) grey images are shown as red, green and blue. The first
    /// convolution of a weight file is adapted to any other number as in segmentation_models_pytorch: summed for 1, else
    /// repeated and scaled by 3 / `in_channels`. All channels are then normalised alike (mean 0.449, deviation 0.226 of values
    /// from 0 to 1), and augmentation changes no colours.
    #[serde(default = "rgb", skip_serializing_if = "is_rgb")]
    pub(super) in_channels: usize,
    /// Initial weights: `"random"`, `"imagenet"`, `"micronet"`, `"image-micronet"`, or a file with torchvision's names.
    pub(super) weights: Weights,
    /// Whether tensors that are missing in the file start with random values and are listed. Otherwise they are an
    /// error.
    #[serde(default)]
    pub(super) allow_missing: bool,
}

fn published_width() -> usize {
    64
}

fn rgb() -> usize {
    RGB
}

/// Whether the default applies. It is left out of the JSON, so that keys do not change.
fn is_rgb(channels: &usize) -> bool {
    *channels == RGB
}

/// Source of the initial weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
pub(super) enum Weights {
    /// Random values from the seed.
    Random,
    /// Published weights, in `weights/` of the data folder.
    Published(Published),
    /// A `.safetensors` or `.pth` file, below the data folder if the path is relative.
    File(PathBuf),
}

impl From<String> for Weights {
    fn from(text: String) -> Self {
        if text == "random" {
            return Weights::Random;
        }
        let published = Published::ALL.into_iter().find(|published| published.word() == text);
        published.map_or_else(|| Weights::File(text.into()), Weights::Published)
    }
}

impl From<Weights> for String {
    fn from(weights: Weights) -> String {
        match weights {
            Weights::Random => "random".into(),
            Weights::Published(published) => published.word().into(),
            Weights::File(path) => path.to_string_lossy().into_owned(),
        }
    }
}

impl EncoderSpec {
    /// The configuration of the network.
    pub(super) fn config(&self) -> ResNetConfig {
        ResNetConfig { arch: self.arch, width: self.width, variant: self.variant, in_channels: self.in_channels }
    }

    /// Checks what serde cannot check.
    ///
    /// # Errors
    /// One line with the remedy.
    pub(super) fn check(&self) -> Result<(), String> {
        if !(1..=1024).contains(&self.width) {
            return Err(format!("width = {}; expected 1 to 1024 (64 in every published network)", self.width));
        }
        if !(1..=MOST_CHANNELS).contains(&self.in_channels) {
            return Err(format!("in_channels = {}; expected 1 to {MOST_CHANNELS}", self.in_channels));
        }
        if self.allow_missing && self.weights == Weights::Random {
            return Err("`allow_missing` needs weights from a file".into());
        }
        Ok(())
    }

    /// The weight file, if there is one: an external file of the stage.
    ///
    /// # Errors
    /// [`StageError::NotThere`] if the file is missing.
    pub(super) fn external_files(&self, places: &Places) -> Result<Vec<(String, PathBuf)>, StageError> {
        let path = match &self.weights {
            Weights::Random => return Ok(Vec::new()),
            Weights::File(path) => places.resolve(path),
            Weights::Published(published) => self.published(*published, places)?.0,
        };
        if !path.is_file() {
            let message =
                format!("{}: no such weight file; put it there, or correct `encoder.weights`", path.display());
            return Err(StageError::NotThere(message));
        }
        Ok(vec![(WEIGHTS.into(), path)])
    }

    /// The first existing file of the published weights.
    fn published(&self, published: Published, places: &Places) -> Result<(PathBuf, PublishedFile), StageError> {
        let folder = places.resolve(Path::new(FOLDER));
        let files = published.files(self.arch);
        if let Some(file) = files.iter().find(|file| folder.join(&file.name).is_file()) {
            return Ok((folder.join(&file.name), file.clone()));
        }
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let from = files.iter().find_map(|file| file.url.as_deref()).unwrap_or_default();
        Err(StageError::NotThere(format!(
            "`weights = \"{}\"`: {} holds none of {}; download {from} into that folder, or set `encoder.weights` to \
             the path of a file",
            published.word(),
            folder.display(),
            names.join(", "),
        )))
    }

    /// Checks, before the run starts, that published weights have the right hash and match the network.
    ///
    /// # Errors
    /// [`StageError::BadData`] if not, [`StageError::NotThere`] if they are missing.
    pub(super) fn ready(&self, places: &Places) -> Result<(), StageError> {
        let Weights::Published(published) = &self.weights else { return Ok(()) };
        let (path, file) = self.published(*published, places)?;
        file.check(&path).map_err(weights_error)?;
        match file.variant.filter(|variant| *variant != self.variant) {
            Some(variant) => Err(StageError::BadData(format!(
                "{} is for a ResNet {}, but the experiment has `variant = \"{}\"`: the tensors have the same names, \
                 but the networks differ; correct `encoder.variant`",
                path.display(),
                variant.name(),
                self.variant.name()
            ))),
            None => Ok(()),
        }
    }

    /// The folder of the weight file, if there is one.
    pub(super) fn source(&self, places: &Places) -> Option<PathBuf> {
        match &self.weights {
            Weights::Random => None,
            Weights::Published(_) => Some(places.resolve(Path::new(FOLDER))),
            Weights::File(path) => places.resolve(path).parent().map(PathBuf::from),
        }
    }

    /// Loads the encoder's parameters below `prefix` from the file, if there is one. Reports tensors that are missing
    /// in the file: the first ones as progress, all as telemetry `missing_weights`.
    ///
    /// # Errors
    /// If the file is damaged, of another network, or lacks tensors without `allow_missing`.
    pub(super) fn load(&self, parameters: &Parameters, prefix: &str, context: &mut Context) -> Result<(), StageError> {
        if self.weights == Weights::Random {
            return Ok(());
        }
        let (path, digest) =
            context.external.get(WEIGHTS).context("the weights were not listed among the files of the stage")?;
        let loaded =
            weights::load_verified(parameters, prefix, path, digest, self.allow_missing).map_err(weights_error)?;
        let missing = loaded.missing;
        if !missing.is_empty() {
            let first = missing[..missing.len().min(NAMED)].join(", ");
            let more = if missing.len() > NAMED { ", …" } else { "" };
            let note = format!(
                "{} tensors are missing in the file and start with random values: {first}{more}",
                missing.len()
            );
            context.progress(Progress { unit: "epoch".into(), note: Some(note), ..Progress::default() });
            context.telemetry.insert("missing_weights".into(), missing.into());
        }
        Ok(())
    }
}

/// Everything that the result of a training depends on, as text: the parameters of its stage, with the hash of the
/// weight file instead of its path; the seed; `data`.
///
/// # Errors
/// Never in practice: writing JSON to memory.
pub(super) fn fingerprint<S: StageKind>(stage: &S, data: impl Serialize, context: &Context) -> anyhow::Result<String> {
    let mut parameters = serde_json::to_value(stage)?;
    if let (Some((_, digest)), Some(weights)) =
        (context.external.get(WEIGHTS), parameters.pointer_mut("/encoder/weights"))
    {
        *weights = digest.clone().into();
    }
    // `recompute` does not change results: a training that ran out of memory may continue with it.
    parameters.as_object_mut().map(|parameters| parameters.remove("recompute"));
    Ok(serde_json::to_string(&(parameters, context.seed, data, S::CODE_VERSION))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(weights: &str) -> EncoderSpec {
        serde_json::from_value(serde_json::json!({ "arch": "resnet50", "weights": weights })).unwrap()
    }

    #[test]
    fn published_weights_are_found_by_name_or_an_error_names_their_source() {
        let data = tempfile::tempdir().unwrap();
        let places = Places { data: data.path().into(), ..Places::default() };
        for (name, file) in [
            ("imagenet", "resnet50-11ad3fa6.pth"),
            ("imagenet", "resnet50-imagenet.safetensors"),
            ("micronet", "resnet50_pretrained_microscopynet_v1.0.pth.tar"),
        ] {
            let Err(StageError::NotThere(message)) = spec("micronet").external_files(&places) else { panic!("{file}") };
            assert!(
                message.contains("models/resnet50_pretrained_microscopynet_v1.1.pth.tar into that folder")
                    && message.contains("encoder.weights"),
                "{message}"
            );
            let path = data.path().join("weights").join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            // A user's file takes precedence over a published one.
            assert_eq!(spec(name).external_files(&places).unwrap(), [(WEIGHTS.to_owned(), path)]);
        }
        assert_eq!(spec("random").external_files(&places).unwrap(), []);
        let Err(StageError::NotThere(message)) = spec("mine.pth").external_files(&places) else { panic!("mine") };
        assert!(message.contains("mine.pth: no such weight file"), "{message}");
    }

    #[test]
    fn published_weights_must_have_their_hash_and_match_the_network() {
        let data = tempfile::tempdir().unwrap();
        let places = Places { data: data.path().into(), ..Places::default() };
        let put = |file: &str| {
            std::fs::create_dir_all(data.path().join("weights")).unwrap();
            std::fs::write(data.path().join("weights").join(file), "not weights").unwrap();
        };
        put("resnet50-0676ba61.pth");
        let Err(StageError::BadData(message)) = spec("imagenet").ready(&places) else { panic!("a wrong hash") };
        assert!(message.contains("not with 0676ba61; fetch it again from https://download"), "{message}");
        // NASA has published no hash of this file.
        put("resnet50_pretrained_imagenet-microscopynet_v1.0.pth.tar");
        let mut image_micronet = spec("image-micronet");
        image_micronet.ready(&places).unwrap();
        image_micronet.variant = Variant::V1;
        let Err(StageError::BadData(message)) = image_micronet.ready(&places) else { panic!("a wrong variant") };
        assert!(message.contains("is for a ResNet v1.5, but the experiment has `variant = \"v1\"`"), "{message}");
        // A user's file is not checked.
        put("resnet50-imagenet.safetensors");
        EncoderSpec { variant: Variant::V1, ..spec("imagenet") }.ready(&places).unwrap();
        spec("random").ready(&places).unwrap();
    }

    #[test]
    fn weights_are_serialised_as_written() {
        for word in ["random", "imagenet", "micronet", "image-micronet", "a/file.pth"] {
            let json = serde_json::to_value(spec(word)).unwrap();
            assert_eq!(json["weights"], word);
        }
    }
}
