//! The parameter `encoder` of a training stage: architecture and initial weights.

use super::encoder_table::EncoderTable;
use super::errors::weights_error;
use super::initial_weights::Weights;
use super::loaded_weights::{as_written, tell, tensors};
use super::{Context, Places, StageError, StageKind};
use crate::nn::weights::{self, LoadReport, Published, PublishedFile, Request};
use crate::nn::{Encoder, EncoderConfig, Parameters, Variant};
use anyhow::Context as _;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Name of the weight file among the external files of a stage.
const WEIGHTS: &str = "weights";
/// Likewise of the file of a CS-UNet's transformer.
pub(super) const TRANSFORMER_WEIGHTS: &str = "transformer_weights";
/// Likewise of the whole model that a fine-tuning starts from; also the parameter that names it.
pub(super) const MODEL: &str = "model";
/// Folder of published weights in the data folder.
const FOLDER: &str = "weights";

/// An encoder and its initial weights: `{ arch = "resnet50", weights = "weights/resnet50.pth" }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "EncoderTable")]
pub(super) struct EncoderSpec {
    /// The network.
    #[serde(flatten)]
    pub(super) network: EncoderConfig,
    /// Its initial weights.
    pub(super) weights: Weights,
    /// Whether tensors that are missing in the file start with random values.
    pub(super) allow_missing: bool,
    /// The key of the file under which the network lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    /// What stands before the network's names in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prefix: Option<String>,
}

impl TryFrom<EncoderTable> for EncoderSpec {
    type Error = String;

    fn try_from(table: EncoderTable) -> Result<Self, String> {
        let network = table.network()?;
        let EncoderTable { weights, allow_missing, key, prefix, .. } = table;
        Ok(EncoderSpec { network, weights, allow_missing, key, prefix })
    }
}

impl JsonSchema for EncoderSpec {
    fn schema_name() -> Cow<'static, str> {
        "EncoderSpec".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        EncoderTable::json_schema(generator)
    }
}

impl EncoderSpec {
    /// Checks what serde cannot check.
    ///
    /// # Errors
    /// One line with the remedy.
    pub(super) fn check(&self) -> Result<(), String> {
        self.network.check()?;
        self.check_published()?;
        if self.allow_missing && self.weights == Weights::Random {
            return Err("`allow_missing` needs weights from a file".into());
        }
        let chosen = [("key", &self.key), ("prefix", &self.prefix)];
        if let Some((name, _)) = chosen.iter().find(|(_, value)| value.is_some())
            && self.weights == Weights::Random
        {
            return Err(format!("`{name}` needs weights from a file"));
        }
        Ok(())
    }

    /// Checks that weights that are called by name are published for this architecture.
    fn check_published(&self) -> Result<(), String> {
        let Weights::Published(published) = &self.weights else { return Ok(()) };
        let is_published = |published: &Published| published.files(&self.network).iter().any(|file| file.url.is_some());
        if is_published(published) {
            return Ok(());
        }
        let words: Vec<String> = Published::ALL
            .iter()
            .filter(|other| is_published(other))
            .map(|other| format!("\"{}\"", other.word()))
            .collect();
        let choice = if words.is_empty() { String::new() } else { format!("{}, ", words.join(", ")) };
        let (word, arch) = (published.word(), self.network.arch());
        Err(format!("no weights \"{word}\" of {arch} are published: use {choice}\"random\" or the path of a file"))
    }

    /// The weight file, if there is one: an external file of the stage.
    ///
    /// # Errors
    /// [`StageError::NotThere`] if the file is missing.
    pub(super) fn external_files(&self, places: &Places) -> Result<Vec<(String, PathBuf)>, StageError> {
        Ok(self.file(places)?.map(|path| (WEIGHTS.to_owned(), path)).into_iter().collect())
    }

    /// The weight file, if there is one.
    ///
    /// # Errors
    /// As [`EncoderSpec::external_files`].
    pub(super) fn file(&self, places: &Places) -> Result<Option<PathBuf>, StageError> {
        let path = match &self.weights {
            Weights::Random => return Ok(None),
            Weights::File(path) => as_written(places.resolve(path)),
            Weights::Published(published) => self.published(*published, places)?.0,
        };
        if path.is_dir() {
            return Err(StageError::NotThere(format!(
                "{} is a folder: set `encoder.weights` to the weight file in it",
                path.display()
            )));
        }
        if !path.is_file() {
            let link = path.clone();
            let path = path.display();
            let message = match std::fs::read_link(&link) {
                Ok(target) => format!(
                    "{path} is a link to {}, which does not exist; fetch it (`dvc pull`, `git annex get`), or correct \
                     `encoder.weights`",
                    target.display()
                ),
                Err(_) => format!("{path}: no such weight file; put it there, or correct `encoder.weights`"),
            };
            return Err(StageError::NotThere(message));
        }
        Ok(Some(path))
    }

    /// The first existing file of the published weights.
    fn published(&self, published: Published, places: &Places) -> Result<(PathBuf, PublishedFile), StageError> {
        let folder = places.resolve(Path::new(FOLDER));
        let files = published.files(&self.network);
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

    /// What to fetch if the weight file is not there, without folders of this machine.
    pub(super) fn wants(&self, places: &Places) -> Option<String> {
        if !matches!(self.file(places), Err(StageError::NotThere(_))) {
            return None;
        }
        match &self.weights {
            Weights::Random => None,
            Weights::File(path) => Some(format!("{} (weights of {})", path.display(), self.network.arch())),
            Weights::Published(published) => {
                let files = published.files(&self.network);
                let (name, url) = files.into_iter().find_map(|file| Some((file.name, file.url?)))?;
                Some(format!("{url} as {FOLDER}/{name} of the data folder"))
            }
        }
    }

    /// What to look for in the weight file.
    pub(super) fn request(&self) -> Request<'_> {
        Request {
            allow_missing: self.allow_missing,
            key: self.key.as_deref(),
            prefix: self.prefix.as_deref(),
            without: None,
            only: None,
        }
    }

    /// Checks, before the run starts, that published weights have the right hash and that the file holds this network.
    /// Returns where it was found; `None` if the weights are random.
    ///
    /// # Errors
    /// [`StageError::BadData`] if not, [`StageError::NotThere`] if the file is missing.
    pub(super) fn ready(&self, places: &Places) -> Result<Option<LoadReport>, StageError> {
        self.ready_as(&Encoder::new(self.network.clone()).shapes(), places)
    }

    /// As [`EncoderSpec::ready`], of a file that holds the network `expected` (names and shapes).
    ///
    /// # Errors
    /// As there.
    pub(super) fn ready_as(
        &self,
        expected: &[(String, Vec<usize>)],
        places: &Places,
    ) -> Result<Option<LoadReport>, StageError> {
        if let Weights::Published(published) = &self.weights {
            let (path, file) = self.published(*published, places)?;
            file.check(&path).map_err(weights_error)?;
            self.check_variant(&path, file.variant)?;
        }
        let Some(path) = self.file(places)? else { return Ok(None) };
        let report = weights::check(&path, expected, &self.request());
        let report = report.map_err(weights_error)?;
        self.check_variant(&path, report.config.as_deref().and_then(written_variant))?;
        Ok(Some(report))
    }

    /// Checks that the file `path` is for this variant, if it is known for which.
    fn check_variant(&self, path: &Path, variant: Option<Variant>) -> Result<(), StageError> {
        let Some(ours) = self.network.variant() else { return Ok(()) };
        match variant.filter(|variant| *variant != ours) {
            Some(variant) => Err(StageError::BadData(format!(
                "{} is for a ResNet {}, but the experiment has `variant = \"{}\"`: the tensors have the same names, \
                 but the networks differ; correct `encoder.variant`",
                path.display(),
                variant.name(),
                ours.name()
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

    /// Loads the encoder's parameters below `prefix` (which may be empty beside other parameters) from the file, if there is one.
    /// Reports where it was found, and tensors that are missing in the file: the first ones as progress, all as telemetry
    /// `missing_weights`.
    ///
    /// # Errors
    /// If the file is damaged, of another network, or lacks tensors without `allow_missing`.
    pub(super) fn load(&self, parameters: &Parameters, prefix: &str, context: &mut Context) -> Result<(), StageError> {
        let only = tensors(&self.network);
        let request = Request { only: Some(&only), ..self.request() };
        self.load_as(&request, parameters, prefix, context).map(drop)
    }

    /// As [`EncoderSpec::load`], of the tensors that `request` chooses; returns what was found.
    ///
    /// # Errors
    /// As there.
    pub(super) fn load_as(
        &self,
        request: &Request<'_>,
        parameters: &Parameters,
        prefix: &str,
        context: &mut Context,
    ) -> Result<Option<LoadReport>, StageError> {
        self.load_file(WEIGHTS, request, parameters, prefix, context)
    }

    /// As [`EncoderSpec::load_as`], from the external file `name` of the stage.
    ///
    /// # Errors
    /// As there.
    pub(super) fn load_file(
        &self,
        name: &str,
        request: &Request<'_>,
        parameters: &Parameters,
        prefix: &str,
        context: &mut Context,
    ) -> Result<Option<LoadReport>, StageError> {
        if self.weights == Weights::Random {
            return Ok(None);
        }
        let (path, digest) =
            context.external.get(name).context("the weights were not listed among the files of the stage")?;
        let loaded = weights::load_verified(parameters, prefix, path, digest, request).map_err(weights_error)?;
        self.check_variant(path, loaded.config.as_deref().and_then(written_variant))?;
        tell(name, &loaded, context);
        Ok(Some(loaded))
    }
}

/// The variant in the configuration that this program wrote into an encoder's or a model's file.
fn written_variant(config: &str) -> Option<Variant> {
    let config: serde_json::Value = serde_json::from_str(config).ok()?;
    let encoder = config.pointer("/network/encoder").unwrap_or(&config);
    serde_json::from_value(encoder.get("variant")?.clone()).ok()
}

/// Everything that the result of a training depends on, as text: the parameters of its stage, with the hash of the
/// weight file instead of its path; the seed; `data`.
///
/// # Errors
/// Never in practice: writing JSON to memory.
pub(super) fn fingerprint<S: StageKind>(stage: &S, data: impl Serialize, context: &Context) -> anyhow::Result<String> {
    let mut parameters = serde_json::to_value(stage)?;
    for (name, pointer) in
        [(WEIGHTS, "/encoder/weights"), (TRANSFORMER_WEIGHTS, "/transformer/weights"), (MODEL, "/model")]
    {
        if let (Some((_, digest)), Some(weights)) = (context.external.get(name), parameters.pointer_mut(pointer)) {
            *weights = digest.clone().into();
        }
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

    fn network(text: &str) -> EncoderConfig {
        serde_json::from_str(text).unwrap()
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
        let Err(StageError::BadData(message)) = image_micronet.ready(&places) else { panic!("no weights") };
        assert!(message.contains("v1.0.pth.tar is no weight file: it is a text file"), "{message}");
        image_micronet.network = network(r#"{"arch":"resnet50","variant":"v1"}"#);
        let Err(StageError::BadData(message)) = image_micronet.ready(&places) else { panic!("a wrong variant") };
        assert!(message.contains("is for a ResNet v1.5, but the experiment has `variant = \"v1\"`"), "{message}");
        assert_eq!(spec("random").ready(&places).unwrap(), None);
    }

    /// Any file is checked before a run, not only published ones, and what this program wrote knows its variant.
    #[test]
    fn files_are_checked_before_the_run() {
        let data = tempfile::tempdir().unwrap();
        let places = Places { data: data.path().into(), ..Places::default() };
        let config = network(r#"{"arch":"resnet18","width":2}"#);
        let encoder = Encoder::new(config.clone());
        let mut parameters = Parameters::new(candle_core::DType::F32, &candle_core::Device::Cpu);
        encoder.init(&mut parameters, "", &crate::random::Stream::new(0, "init", 0, 0)).unwrap();
        let path = data.path().join("own.safetensors");
        weights::save(&parameters, None, &path, &serde_json::to_string(&config).unwrap()).unwrap();
        let own = EncoderSpec { network: config, ..spec("own.safetensors") };
        assert_eq!(own.ready(&places).unwrap().unwrap().found(), None);
        let refused = |spec: EncoderSpec| match spec.ready(&places) {
            Err(StageError::BadData(message)) => message,
            other => panic!("{other:?}"),
        };
        let message = refused(EncoderSpec { network: network(r#"{"arch":"resnet34","width":2}"#), ..own.clone() });
        assert!(
            message.contains("these look like a resnet18 (width 2); the network is a resnet34 (width 2)"),
            "{message}"
        );
        assert!(message.contains("correct `encoder.arch`"), "{message}");
        let message =
            refused(EncoderSpec { network: network(r#"{"arch":"resnet18","width":2,"variant":"v1"}"#), ..own.clone() });
        assert!(message.contains("is for a ResNet v1.5"), "{message}");
        let message = refused(EncoderSpec { key: Some("teacher".into()), ..own.clone() });
        assert!(
            message.contains("no tensors of the network under the key `teacher`: they are at the top"),
            "{message}"
        );
        // A name that macOS has written: e and an accent.
        std::fs::create_dir(data.path().join("re\u{301}seaux")).unwrap();
        std::fs::copy(&path, data.path().join("re\u{301}seaux/e\u{301}.safetensors")).unwrap();
        let decomposed =
            EncoderSpec { weights: Weights::File("r\u{e9}seaux/\u{e9}.safetensors".into()), ..own.clone() };
        assert!(decomposed.ready(&places).unwrap().is_some());
        for (file, expected) in
            [("gone.pth", "gone.pth is a link to ../dvc/gone.pth, which does not exist"), ("", "is a folder")]
        {
            if !file.is_empty() {
                std::os::unix::fs::symlink("../dvc/gone.pth", data.path().join(file)).unwrap();
            }
            let spec = EncoderSpec { weights: Weights::File(data.path().join(file)), ..own.clone() };
            let Err(StageError::NotThere(message)) = spec.ready(&places) else { panic!("{file}") };
            assert!(message.contains(expected), "{message}");
        }
        assert!(
            EncoderSpec { key: Some("a".into()), ..spec("random") }
                .check()
                .unwrap_err()
                .contains("`key` needs weights")
        );
    }

    #[test]
    fn weights_are_serialised_as_written() {
        for word in ["random", "imagenet", "micronet", "image-micronet", "a/file.pth"] {
            let json = serde_json::to_value(spec(word)).unwrap();
            assert_eq!(json["weights"], word);
        }
    }
}
