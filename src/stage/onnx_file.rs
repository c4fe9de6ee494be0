//! The network of a model folder as an ONNX file in it.

use crate::nn::{Parameters, SegmentationNetwork, trace, weights};
use crate::predict::model::{ModelDescription, ModelFolder};
use crate::random::Stream;
use anyhow::{Context, Result};
use candle_core::{DType, Device};
use matssl_onnx::OnnxModel;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{fs, io};

/// Its name.
const FILE: &str = "model.onnx";
/// The largest value of a pixel.
const WHITE: f32 = 255.0;

/// Writes `model.onnx` into `folder`, and adds its hash to `model.json`.
///
/// # Errors
/// The weights are damaged, or the folder cannot be written to.
pub(crate) fn write_onnx(folder: &mut ModelFolder) -> Result<()> {
    let bytes = encode(folder)?;
    let path = folder.path.join(FILE);
    publish(&folder.path, &path, &bytes).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(folder.add_file(FILE)?)
}

/// Puts `bytes` at `path`, whole or not at all.
fn publish(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o666)).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The file's bytes.
fn encode(folder: &ModelFolder) -> Result<Vec<u8>> {
    let description = &folder.description;
    let network = SegmentationNetwork::new(description.network.clone());
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    network.init(&mut parameters, &Stream::new(0, "overwritten", 0, 0))?;
    weights::load(&parameters, "", &folder.weights(), false)?;
    // Any size will do: the graph does not depend on it.
    let shape = [1, 32, 32, description.network.encoder.in_channels];
    let graph = trace(&parameters, shape, |tape, x| network.forward(tape, x))?;
    let normalisation = &description.normalisation;
    // (pixel / 255 - mean) / std as a factor and a summand, as the program itself computes it.
    let scale: Vec<f32> = normalisation.std.iter().map(|std| 1.0 / (WHITE * std)).collect();
    let shift: Vec<f32> = normalisation.mean.iter().zip(&normalisation.std).map(|(mean, std)| -mean / std).collect();
    let model = OnnxModel {
        name: &description.name,
        description: "Segmentation of micrographs. Input `image`: pixels from 0 to 255 as float32, not normalised: the network does \
                      that itself. Height and width are multiples of 32. Output `logits`: the class of a pixel is the largest; \
                      probabilities are the softmax of the logits, divided by `temperature` if the metadata has one.",
        graph: &graph,
        parameters: &parameters,
        scale: &scale,
        shift: &shift,
        metadata: &metadata(description)?,
    };
    model.encode().context("the network as an ONNX file")
}

/// Keys and values for programs that read the file without `model.json`.
fn metadata(description: &ModelDescription) -> Result<Vec<(String, String)>> {
    let provenance = &description.provenance;
    let mut entries = vec![
        ("model", description.name.clone()),
        ("classes", serde_json::to_string(&description.classes)?),
        ("input", "pixels from 0 to 255; the normalisation is inside of the network".to_owned()),
        ("normalisation", serde_json::to_string(&description.normalisation)?),
        ("size_multiple", "32".to_owned()),
        ("tile", description.tile.to_string()),
        ("overlap", description.overlap.to_string()),
        ("program", provenance.program.clone()),
        ("key", provenance.key.clone()),
    ];
    entries.extend(description.pixel_size_nm.map(|size| ("pixel_size_nm", size.to_string())));
    entries.extend(description.calibration.as_ref().map(|known| ("temperature", known.temperature.to_string())));
    Ok(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}
