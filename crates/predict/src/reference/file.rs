//! The file of a reference: a safetensors file with the embeddings, and all else as JSON in its metadata.

use super::{Reference, ReferenceError};
use matssl_metrics::Calibration;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use std::collections::HashMap;
use std::path::Path;

/// Key of the JSON in the file's metadata.
const METADATA: &str = "reference";
/// Name of the tensor.
const EMBEDDINGS: &str = "embeddings";

impl Reference {
    /// File name in the output of a training and in a model folder.
    pub const FILE: &'static str = "reference.safetensors";

    /// Writes the file `path`. The same reference gives the same bytes.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ReferenceError> {
        let failed = |problem: String| ReferenceError {
            path: path.to_owned(),
            problem,
            cure: "check the permissions and the space on the disk",
        };
        let json = serde_json::to_string(self).map_err(|error| failed(error.to_string()))?;
        let bytes: Vec<u8> = self.embeddings.iter().flat_map(|value| value.to_le_bytes()).collect();
        let shape = vec![self.embeddings.len() / self.channels.max(1), self.channels];
        let tensor = TensorView::new(Dtype::F32, shape, &bytes).map_err(|error| failed(error.to_string()))?;
        // One entry, so that the bytes do not depend on the order of a hash map.
        let metadata = HashMap::from([(METADATA.to_owned(), json)]);
        let bytes = safetensors::serialize([(EMBEDDINGS, tensor)], Some(metadata));
        let bytes = bytes.map_err(|error| failed(error.to_string()))?;
        std::fs::write(path, bytes).map_err(|error| failed(error.to_string()))
    }

    /// Reads the file `path`, which [`Reference::write`] wrote.
    ///
    /// # Errors
    /// It is not there, damaged, or of a newer version.
    pub fn read(path: &Path) -> Result<Self, ReferenceError> {
        let bytes = std::fs::read(path).map_err(|error| ReferenceError {
            path: path.to_owned(),
            problem: error.to_string(),
            cure: "run the training again, or export the model again",
        })?;
        let reference = parse(&bytes).map_err(|problem| ReferenceError::damaged(path, problem))?;
        if reference.format_version > Self::VERSION {
            return Err(ReferenceError {
                path: path.to_owned(),
                problem: format!("format version {}, newer than {}", reference.format_version, Self::VERSION),
                cure: "use a newer matssl-run",
            });
        }
        check(&reference).map_err(|problem| ReferenceError::damaged(path, problem))?;
        Ok(reference)
    }
}

fn parse(bytes: &[u8]) -> Result<Reference, String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let json = metadata.metadata().as_ref().and_then(|all| all.get(METADATA));
    let json = json.ok_or_else(|| format!("no `{METADATA}` in its metadata"))?;
    let mut reference: Reference = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let tensor = tensors.tensor(EMBEDDINGS).map_err(|error| error.to_string())?;
    if tensor.dtype() != Dtype::F32 || tensor.shape().get(1..) != Some(&[reference.channels]) {
        return Err(format!(
            "`{EMBEDDINGS}` is {:?} {:?}, not F32 [.., {}]",
            tensor.dtype(),
            tensor.shape(),
            reference.channels
        ));
    }
    reference.embeddings = tensor.data().as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four)).collect();
    if reference.distance.is_some_and(|distance| distance.images == 0) {
        // Distances of single tiles set a limit that no mean over tiles reaches. The embeddings of validation images are not kept.
        reference.distance = reference.distance_of_training();
    }
    Ok(reference)
}

/// Whether the parts agree with each other.
fn check(reference: &Reference) -> Result<(), String> {
    let patches: usize = reference.training.iter().map(|image| image.patches).sum();
    if patches * reference.channels != reference.embeddings.len() {
        return Err(format!("{patches} patches, but {} embedded values", reference.embeddings.len()));
    }
    if !reference.embeddings.iter().all(|value| value.is_finite()) {
        return Err("embeddings that are no numbers".into());
    }
    let classes = reference.classes.len();
    if let Some(image) = reference.validation.iter().find(|image| image.confusion.classes() != classes) {
        return Err(format!("the matrix of {} has {} classes, not {classes}", image.image, image.confusion.classes()));
    }
    let [least, most] = Calibration::BOUNDS;
    match &reference.calibration {
        Some(calibration) if !(least..=most).contains(&calibration.temperature) => {
            Err(format!("a temperature of {}, out of {least} to {most}", calibration.temperature))
        }
        _ => Ok(()),
    }
}
