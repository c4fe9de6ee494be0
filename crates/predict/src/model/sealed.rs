//! `model.json` with a digest over all that it says, so that damage anywhere in it is noticed.

use super::description::FORMAT_VERSION;
use super::error::ModelFolderError;
use super::file_names::ONNX;
use serde::Serialize;
use serde_json::{Map, Value};
use std::io::Read;
use std::path::Path;

/// The key of the digest.
const DIGEST: &str = "digest";
/// A description is never larger: it holds one matrix for each validation image.
const MOST_BYTES: u64 = 256 << 20;

/// blake3 of the compact JSON of `object`, whose keys are sorted.
fn digest(object: &Map<String, Value>) -> serde_json::Result<String> {
    Ok(blake3::hash(&serde_json::to_vec(object)?).to_hex().to_string())
}

/// blake3 of what a prediction depends on in `object`: everything but the hash of `model.onnx`.
pub(super) fn identity(mut object: Map<String, Value>) -> serde_json::Result<String> {
    object.remove(DIGEST);
    if let Some(Value::Object(files)) = object.get_mut("files") {
        files.remove(ONNX);
    }
    digest(&object)
}

/// `description` as JSON for people, with its digest at the end. Equal descriptions give equal bytes.
pub(super) fn seal(description: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let text = serde_json::to_string_pretty(description)?;
    // As a reader reads it: float32 have the digits of float32, not of the float64 in a `Value` of them.
    let object: Map<String, Value> = serde_json::from_str(&text)?;
    let all = text.trim_end().trim_end_matches('}').trim_end();
    Ok(format!("{all},\n  \"{DIGEST}\": \"{}\"\n}}\n", digest(&object)?).into_bytes())
}

/// The object in `file`, with its version and then its digest checked: a newer version may have another digest. A file without a
/// digest was written by hand; whoever reads it must refuse keys that he does not know, because one of them may be a damaged
/// `digest`.
pub(super) fn read(file: &Path) -> Result<Map<String, Value>, ModelFolderError> {
    let bad = |problem: String| Err(ModelFolderError::bad(file, problem, ModelFolderError::EXPORT_AGAIN));
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file);
    opened
        .and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes))
        .map_err(|error| ModelFolderError::reading(file, &error))?;
    let mut object: Map<String, Value> = match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return bad("is damaged (it holds no JSON object)".into()),
        Err(error) => return bad(format!("is damaged ({error})")),
    };
    if let Some(version) = object.get("format_version").and_then(Value::as_u64)
        && version > u64::from(FORMAT_VERSION)
    {
        return Err(ModelFolderError::bad(
            file,
            format!("has the format version {version}; this program reads versions up to {FORMAT_VERSION}"),
            "use a newer matssl-run, or export the model with this one",
        ));
    }
    match object.remove(DIGEST) {
        Some(Value::String(written)) if digest(&object).is_ok_and(|found| found == written) => {}
        None => {}
        Some(_) => {
            return Err(ModelFolderError::bad(
                file,
                "is damaged or was changed: its `digest` is that of another content",
                "export the model again, or remove the line `digest` if you changed it yourself",
            ));
        }
    }
    Ok(object)
}
