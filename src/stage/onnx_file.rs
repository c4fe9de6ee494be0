//! The network of a model folder as an ONNX file in it.

use crate::nn::{Parameters, SegmentationNetwork, trace, weights};
use crate::predict::model::{ModelDescription, ModelFolder, Normalisation};
use crate::random::Stream;
use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device};
use matssl_onnx::OnnxModel;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{fs, io};

/// Its name.
const FILE: &str = ModelFolder::ONNX;
/// Why a network of another kind has no such file.
pub(super) const REFUSAL: &str = "only networks of convolutions (U-Net and U-Net++ on a ResNet) are written as ONNX yet, no attention and no small head";
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
    ensure!(description.network.is_convolutional(), "{}: {REFUSAL}", description.name);
    let network = SegmentationNetwork::new(description.network.clone());
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    network.init(&mut parameters, &Stream::new(0, "overwritten", 0, 0))?;
    weights::load(&parameters, "", &folder.weights(), false)?;
    // Any size will do: the graph does not depend on it.
    let shape = [1, 32, 32, description.network.encoder.in_channels()];
    let graph = trace(&parameters, shape, |tape, x| network.forward(tape, x))?;
    let [scale, shift] = factors(&description.normalisation);
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

/// `(pixel / 255 - mean) / std` as a factor and a summand by channel, as the program itself computes it.
fn factors(Normalisation { mean, std }: &Normalisation) -> [Vec<f32>; 2] {
    let scale = std.iter().map(|std| 1.0 / (WHITE * std)).collect();
    [scale, mean.iter().zip(std).map(|(mean, std)| -mean / std).collect()]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::augment::normalization;
    use serde_json::json;

    #[test]
    fn the_normalisation_has_the_bits_of_the_programs() {
        assert_eq!(factors(&Normalisation::of(3)), normalization().map(|values| values.to_vec()));
    }

    #[test]
    fn the_file_lies_in_the_folder_which_knows_its_hash() {
        let network = json!({
            "encoder": { "arch": "resnet18", "width": 4 }, "decoder_channels": [8, 8, 4, 4, 4], "classes": 2,
        });
        let class =
            |name: &str, value: u8| json!({ "name": name, "value": value, "color": "#ff0000", "ignored": false });
        let description = json!({
            "format_version": 1, "name": "segment@1", "network": network,
            "classes": [class("matrix", 0), class("pore", 255)],
            "normalisation": Normalisation::of(3), "read_as": {}, "tile": 64, "overlap": 0.5,
            "provenance": { "experiment": "", "stage": "", "key": "k", "seed": 1, "program": "p", "inputs": {} },
            "files": {},
        });
        let config =
            json!({ "network": network, "crop_size": 64, "class_names": ["matrix", "pore"], "selected_on": "val" });
        let made = SegmentationNetwork::new(serde_json::from_value(network).unwrap());
        let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
        made.init(&mut parameters, &Stream::new(1, "onnx", 0, 0)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weights.safetensors");
        weights::save(&parameters, None, &file, &config.to_string()).unwrap();
        let description: ModelDescription = serde_json::from_value(description).unwrap();
        let place = folder.path().join("model");
        let mut model = ModelFolder::write(&place, &description, &file, None).unwrap();
        let before = model.digest.clone();
        write_onnx(&mut model).unwrap();
        let opened = ModelFolder::open(&place).unwrap();
        assert!(opened.digest == model.digest && opened.digest == before);
        assert_eq!(opened.description.files.keys().collect::<Vec<_>>(), [FILE, ModelFolder::WEIGHTS]);
        let bytes = fs::read(place.join(FILE)).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds("encoder.layer1.0.conv1.weight") && holds(r#""name":"pore","value":255"#));
        fs::write(place.join(FILE), &bytes[1..]).unwrap();
        assert!(ModelFolder::open(&place).is_err());
    }
}
