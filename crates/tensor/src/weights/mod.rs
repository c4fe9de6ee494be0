//! Weight files: PyTorch's names and layouts, as `.safetensors` (written and read) and `.pth` (read).

mod pickle;
mod pth;
mod published;
mod storage;

pub use published::{Published, PublishedFile};

use super::init::join;
use super::{Parameter, Parameters, Role};
use candle_core::{DType, Device, Tensor};
use safetensors::SafeTensors;
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The one entry of a file's metadata: the network's configuration.
const CONFIG: &str = "config";
/// torchvision's classifier, which an encoder has no use for.
const CLASSIFIER: [&str; 2] = ["fc.weight", "fc.bias"];

/// What is wrong with a weight file.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// It cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not a weight file.
    #[error("{path} is no weight file: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// It belongs to another network.
    #[error("{path} does not fit the network:{}", lines(.missing, .unused, .misshapen))]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Tensors of the network that the file lacks, by the file's names.
        missing: Vec<String>,
        /// Tensors of the file that the network has not.
        unused: Vec<String>,
        /// Tensors of another shape: `name: [file's] instead of [network's]`, in PyTorch's layout.
        misshapen: Vec<String>,
    },
    /// Not one of its tensors is the network's.
    #[error(
        "{path} holds not one tensor of the network: the file has {}, the network {}; is there a prefix to take off the \
         file's names?", some(.found), some(.expected)
    )]
    Unrelated {
        /// The file.
        path: PathBuf,
        /// The file's tensors.
        found: Vec<String>,
        /// The network's, by the names a file should give them.
        expected: Vec<String>,
    },
    /// It is no longer the file that the result is to be kept under.
    #[error("{path} changed since the run began; run again")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// It has a published file's name, but is another one.
    #[error(
        "{path} is not the published file: its SHA-256 begins with {found}, not with {published}; fetch it again from \
         {url}, or give a file of your own another name"
    )]
    NotPublished {
        /// The file.
        path: PathBuf,
        /// What its SHA-256 begins with.
        found: String,
        /// What it should begin with.
        published: &'static str,
        /// Where the published file is.
        url: String,
    },
    /// The tensors themselves failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

fn lines(missing: &[String], unused: &[String], misshapen: &[String]) -> String {
    let mut text = String::new();
    for (what, names) in [("wrong shape", misshapen), ("missing", missing), ("not in the network", unused)] {
        for name in names {
            text += &format!("\n  {what}: {name}");
        }
    }
    text
}

/// The first of many names, for a message.
fn some(names: &[String]) -> String {
    match names {
        [] => "none".into(),
        [first, second, third, _, ..] => format!("{first}, {second}, {third}, …"),
        few => few.join(", "),
    }
}

/// What [`load`] left out, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Tensors of the network that the file lacks (their values stay), by the file's names.
    pub missing: Vec<String>,
}

/// Writes the parameters under `prefix_filter` (the prefix taken off their names), or all, to the safetensors file
/// `path`: float32, PyTorch's layouts, counters as int64, and `config`, unless empty, as the only metadata. The
/// same parameters give the same bytes.
///
/// # Errors
/// If the file cannot be written.
pub fn save(
    parameters: &Parameters,
    prefix_filter: Option<&str>,
    path: &Path,
    config: &str,
) -> Result<(), WeightsError> {
    let mut tensors = BTreeMap::new();
    for (name, parameter) in under(parameters, prefix_filter.unwrap_or_default()) {
        let tensor = to_pytorch(parameter)?;
        let dtype = if tensor.dtype().is_float() { DType::F32 } else { DType::I64 };
        tensors.insert(name, tensor.to_dtype(dtype)?.to_device(&Device::Cpu)?.contiguous()?);
    }
    let metadata = (!config.is_empty()).then(|| HashMap::from([(CONFIG.to_owned(), config.to_owned())]));
    let bytes = safetensors::serialize(tensors, metadata).map_err(|error| format(path, error))?;
    std::fs::write(path, bytes).map_err(|error| io(path, error))
}

/// Sets the parameters under `prefix` (empty: all) from the file `path`, whose names lack the prefix. Floating-point
/// tensors of any precision convert. Either all is set or, on an error, nothing. torchvision's classifier is passed
/// over, and a missing `num_batches_tracked` (files older than PyTorch 0.4.1) is no fault.
///
/// # Errors
/// If the file cannot be read; if it holds other tensors or others' shapes, or not one of the network; and, unless
/// `allow_missing`, if it lacks tensors: each by name.
pub fn load(
    parameters: &Parameters,
    prefix: &str,
    path: &Path,
    allow_missing: bool,
) -> Result<LoadReport, WeightsError> {
    set(parameters, prefix, path, read(path, None)?, allow_missing)
}

/// As [`load`], from the very bytes whose blake3 is `digest` (hex).
///
/// # Errors
/// As [`load`]; [`WeightsError::Changed`] if the file is another one.
pub fn load_verified(
    parameters: &Parameters,
    prefix: &str,
    path: &Path,
    digest: &str,
    allow_missing: bool,
) -> Result<LoadReport, WeightsError> {
    set(parameters, prefix, path, read(path, Some(digest))?, allow_missing)
}

fn set(
    parameters: &Parameters,
    prefix: &str,
    path: &Path,
    mut tensors: BTreeMap<String, Tensor>,
    allow_missing: bool,
) -> Result<LoadReport, WeightsError> {
    let names: Vec<String> = tensors.keys().cloned().collect();
    let (mut report, mut misshapen, mut found) = (LoadReport::default(), Vec::new(), Vec::new());
    for (name, parameter) in under(parameters, prefix) {
        let Some(tensor) = tensors.remove(name) else {
            if !name.ends_with("num_batches_tracked") {
                report.missing.push(name.to_owned());
            }
            continue;
        };
        let expected = pytorch_shape(parameter);
        // Files of PyTorch 0.3, and some converted ones, keep a counter as one number in a row; PyTorch takes them too.
        let tensor = if expected.is_empty() && tensor.dims() == [1] { tensor.squeeze(0)? } else { tensor };
        if tensor.dims() == expected {
            found.push((parameter, tensor));
        } else {
            misshapen.push(format!("{name}: {:?} instead of {expected:?}", tensor.dims()));
        }
    }
    if found.is_empty() && misshapen.is_empty() {
        return Err(WeightsError::Unrelated { path: path.to_owned(), found: names, expected: report.missing });
    }
    let unused: Vec<String> = tensors.into_keys().filter(|name| !CLASSIFIER.contains(&name.as_str())).collect();
    if !misshapen.is_empty() || !unused.is_empty() || (!report.missing.is_empty() && !allow_missing) {
        let missing = if allow_missing { Vec::new() } else { report.missing };
        return Err(WeightsError::Mismatch { path: path.to_owned(), missing, unused, misshapen });
    }
    let converted: Vec<(&Parameter, Tensor)> = found
        .into_iter()
        .map(|(parameter, tensor)| Ok((parameter, from_pytorch(parameter, &tensor)?)))
        .collect::<candle_core::Result<_>>()?;
    for (parameter, tensor) in converted {
        parameter.var.set(&tensor)?;
    }
    Ok(report)
}

/// The configuration that [`save`] wrote into `path`; none if the file has none, as files from elsewhere.
///
/// # Errors
/// If the file cannot be read or is no safetensors file.
pub fn read_config(path: &Path) -> Result<Option<String>, WeightsError> {
    let mut file = std::fs::File::open(path).map_err(|error| io(path, error))?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|error| io(path, error))?;
    let mut header = Vec::new();
    file.take(u64::from_le_bytes(length)).read_to_end(&mut header).map_err(|error| io(path, error))?;
    let header: serde_json::Value = serde_json::from_slice(&header).map_err(|error| format(path, error))?;
    Ok(header["__metadata__"][CONFIG].as_str().map(str::to_owned))
}

/// Parameters whose names begin with `prefix` and a dot, and the rest of their names.
fn under<'p>(parameters: &'p Parameters, prefix: &str) -> impl Iterator<Item = (&'p str, &'p Parameter)> {
    let prefix = join(prefix, "");
    parameters.iter().filter_map(move |(name, parameter)| Some((name.strip_prefix(&prefix)?, parameter)))
}

fn read(path: &Path, digest: Option<&str>) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    let bytes = std::fs::read(path).map_err(|error| io(path, error))?;
    if digest.is_some_and(|digest| blake3::hash(&bytes).to_hex().as_str() != digest) {
        return Err(WeightsError::Changed { path: path.to_owned() });
    }
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if matches!(extension, "pth" | "pt") || pth::is_one(&bytes) {
        return pth::read(&bytes).map_err(|error| format(path, error));
    }
    let file = SafeTensors::deserialize(&bytes).map_err(|error| format(path, error))?;
    let load = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        Ok((name, candle_core::safetensors::Load::load(&view, &Device::Cpu)?))
    };
    file.tensors().into_iter().map(load).collect()
}

fn to_pytorch(parameter: &Parameter) -> candle_core::Result<Tensor> {
    let tensor = parameter.var.as_detached_tensor();
    if parameter.role == Role::ConvWeight { tensor.permute((3, 2, 0, 1)) } else { Ok(tensor) }
}

fn from_pytorch(parameter: &Parameter, tensor: &Tensor) -> candle_core::Result<Tensor> {
    let var = &parameter.var;
    let tensor = if parameter.role == Role::ConvWeight { tensor.permute((2, 3, 1, 0))? } else { tensor.clone() };
    tensor.to_dtype(var.dtype())?.to_device(var.device())?.contiguous()
}

fn pytorch_shape(parameter: &Parameter) -> Vec<usize> {
    match (parameter.role, parameter.var.dims()) {
        (Role::ConvWeight, &[height, width, channels_in, channels_out]) => {
            vec![channels_out, channels_in, height, width]
        }
        (_, shape) => shape.to_vec(),
    }
}

fn io(path: &Path, source: std::io::Error) -> WeightsError {
    WeightsError::Io { path: path.to_owned(), source }
}

fn format(path: &Path, reason: impl std::fmt::Display) -> WeightsError {
    WeightsError::Format { path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arch, ResNet, ResNetConfig, Variant};
    use matssl_base::random::Stream;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    fn encoder(dtype: DType, prefix: &str, seed: u64) -> candle_core::Result<Parameters> {
        let net = ResNet::new(ResNetConfig { arch: Arch::ResNet18, width: 4, variant: Variant::V15 });
        let mut parameters = Parameters::new(dtype, &Device::Cpu);
        net.init(&mut parameters, prefix, &Stream::new(seed, "init", 0, 0))?;
        Ok(parameters)
    }

    fn values(parameters: &Parameters, name: &str) -> candle_core::Result<Vec<f64>> {
        parameters.tensor(name)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
    }

    #[test]
    fn what_was_saved_loads_under_another_prefix_and_precision() -> Outcome {
        let folder = tempfile::tempdir()?;
        let (path, again) = (folder.path().join("encoder.safetensors"), folder.path().join("again.safetensors"));
        let from = encoder(DType::F32, "net.encoder", 1)?;
        save(&from, Some("net.encoder"), &path, r#"{"arch":"resnet18"}"#)?;
        save(&from, Some("net.encoder"), &again, r#"{"arch":"resnet18"}"#)?;
        assert_eq!(std::fs::read(&path)?, std::fs::read(&again)?);
        assert_eq!(read_config(&path)?.as_deref(), Some(r#"{"arch":"resnet18"}"#));
        let to = encoder(DType::F64, "", 2)?;
        let name = "layer2.0.downsample.0.weight";
        assert_ne!(values(&to, name)?, values(&from, &format!("net.encoder.{name}"))?);
        assert_eq!(load(&to, "", &path, false)?, LoadReport::default());
        for (name, _) in to.iter() {
            assert_eq!(values(&to, name)?, values(&from, &format!("net.encoder.{name}"))?, "{name}");
        }
        Ok(())
    }

    #[test]
    fn convolutions_are_written_as_pytorch_lays_them_out() -> Outcome {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("w.safetensors");
        let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
        let weight = Tensor::arange(0f32, 24.0, &Device::Cpu)?.reshape((1, 2, 3, 4))?;
        parameters.insert("conv.weight", weight, Role::ConvWeight)?;
        parameters.insert("bn.num_batches_tracked", Tensor::new(7i64, &Device::Cpu)?, Role::Buffer)?;
        save(&parameters, None, &path, "")?;
        let bytes = std::fs::read(&path)?;
        let file = SafeTensors::deserialize(&bytes)?;
        let view = file.tensor("conv.weight")?;
        assert_eq!((view.shape(), view.dtype()), ([4, 3, 1, 2].as_slice(), safetensors::Dtype::F32));
        // Output channel 1, input channel 2, column 1 is number 1·12 + 2·4 + 1 in HWIO.
        assert_eq!(view.data()[4 * (6 + 4 + 1)..][..4], 21f32.to_le_bytes());
        let view = file.tensor("bn.num_batches_tracked")?;
        assert_eq!((view.shape(), view.data()), ([].as_slice(), 7i64.to_le_bytes().as_slice()));
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name_and_changes_nothing() -> Outcome {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("odd.safetensors");
        let target = encoder(DType::F32, "", 1)?;
        let before = values(&target, "bn1.weight")?;
        let odd = |conv1: &[usize]| -> candle_core::Result<HashMap<String, Tensor>> {
            Ok(HashMap::from([
                ("conv1.weight".into(), Tensor::ones(conv1, DType::BF16, &Device::Cpu)?),
                ("bn1.weight".into(), Tensor::zeros(4, DType::F16, &Device::Cpu)?),
                ("head.weight".into(), Tensor::zeros(4, DType::F32, &Device::Cpu)?),
                ("fc.bias".into(), Tensor::zeros(4, DType::F32, &Device::Cpu)?),
            ]))
        };
        candle_core::safetensors::save(&odd(&[4, 3, 7, 7])?, &path)?;
        let error = load(&target, "", &path, false).unwrap_err().to_string();
        for part in ["missing: layer4.1.bn2.running_var", "not in the network: head.weight"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("fc.bias") && !error.contains("num_batches_tracked"), "{error}");
        assert_eq!(values(&target, "bn1.weight")?, before);
        let error = load(&target, "", &path, true).unwrap_err().to_string();
        assert!(error.ends_with("does not fit the network:\n  not in the network: head.weight"), "{error}");
        let mut fitting = odd(&[4, 3, 7, 7])?;
        fitting.remove("head.weight");
        candle_core::safetensors::save(&fitting, &path)?;
        assert_eq!(load(&target, "", &path, true)?.missing.len(), 20 * 5 - 2);
        assert_eq!(values(&target, "bn1.weight")?, [0.0; 4]);
        assert_eq!(values(&target, "conv1.weight")?, [1.0; 4 * 3 * 49]);
        candle_core::safetensors::save(&odd(&[4, 3, 3, 3])?, &path)?;
        let error = load(&target, "", &path, true).unwrap_err().to_string();
        assert!(error.contains("wrong shape: conv1.weight: [4, 3, 3, 3] instead of [4, 3, 7, 7]"), "{error}");
        fitting.insert("bn1.num_batches_tracked".into(), Tensor::new(&[5i64], &Device::Cpu)?);
        candle_core::safetensors::save(&fitting, &path)?;
        load(&target, "", &path, true)?;
        assert_eq!(target.tensor("bn1.num_batches_tracked")?.to_scalar::<i64>()?, 5);
        fitting.remove("bn1.num_batches_tracked");
        let prefixed: HashMap<String, Tensor> =
            fitting.into_iter().map(|(name, tensor)| (format!("module.{name}"), tensor)).collect();
        candle_core::safetensors::save(&prefixed, &path)?;
        let error = load(&target, "", &path, true).unwrap_err().to_string();
        let expected = "holds not one tensor of the network: the file has module.bn1.weight, module.conv1.weight, \
            module.fc.bias, the network conv1.weight, bn1.weight, bn1.bias, …; is there a prefix";
        assert!(error.contains(expected), "{error}");
        let other = load_verified(&target, "", &path, &"0".repeat(64), true);
        assert!(matches!(other, Err(WeightsError::Changed { .. })));
        std::fs::write(&path, "nonsense")?;
        assert!(matches!(load(&target, "", &path, true), Err(WeightsError::Format { .. })));
        assert!(matches!(load(&target, "", &folder.path().join("no.pth"), true), Err(WeightsError::Io { .. })));
        Ok(())
    }

    /// A real file that lacks nine convolutions and their batch norms: each is named, and they alone start at random.
    #[test]
    fn what_a_real_file_lacks_is_listed() -> Outcome {
        let Some(data) = std::env::var_os("MATSSL_DATA") else {
            println!("skipped: MATSSL_DATA is not set");
            return Ok(());
        };
        let path = Path::new(&data).join("weights/resnet50-imagenet-partial.safetensors");
        let net = ResNet::new(ResNetConfig { arch: Arch::ResNet50, width: 64, variant: Variant::V1 });
        let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
        net.init(&mut parameters, "", &Stream::new(0, "init", 0, 0))?;
        let Err(WeightsError::Mismatch { missing, unused, misshapen, .. }) = load(&parameters, "", &path, false) else {
            panic!("a file that lacks tensors was loaded");
        };
        assert!(unused.is_empty() && misshapen.is_empty(), "{unused:?} {misshapen:?}");
        let of = |kind: fn(&str) -> bool| missing.iter().filter(|name| kind(name)).count();
        let convolutions = of(|name| name.contains("conv") || name.ends_with("downsample.0.weight"));
        assert_eq!((convolutions, missing.len()), (9, 9 * 5), "{missing:?}");
        assert_eq!(load(&parameters, "", &path, true)?.missing, missing);
        Ok(())
    }
}
