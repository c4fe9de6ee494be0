//! What was loaded from a weight file, for the user, and where the file is.

use super::{Context, Progress};
use crate::data::composed;
use crate::nn::weights::LoadReport;
use crate::nn::{Encoder, EncoderConfig};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Maximum number of missing tensors that the progress names.
const NAMED: usize = 3;

/// The names of the encoder's tensors.
pub(super) fn tensors(encoder: &EncoderConfig) -> BTreeSet<String> {
    Encoder::new(encoder.clone()).shapes().into_iter().map(|(name, _)| name).collect()
}

/// Reports where a network was found in the external file `name`, what was interpolated and what is missing: as progress and as
/// telemetry (of the file `weights`: `weights_found`, `weights_passed_over`, `weights_resized`, `missing_weights`).
pub(super) fn tell(name: &str, loaded: &LoadReport, context: &mut Context) {
    let mut notes = Vec::new();
    if let Some(found) = loaded.found() {
        notes.push(format!("{} found: {found}", name.replace('_', " ")));
        context.telemetry.insert(format!("{name}_found"), found.into());
    }
    if !loaded.passed_over.is_empty() {
        context.telemetry.insert(format!("{name}_passed_over"), loaded.passed_over.clone().into());
    }
    if !loaded.resized.is_empty() {
        let names: Vec<&String> = loaded.resized.iter().map(|(name, _)| name).collect();
        context.telemetry.insert(format!("{name}_resized"), serde_json::json!(names));
    }
    let missing = &loaded.missing;
    if !missing.is_empty() {
        let first = missing[..missing.len().min(NAMED)].join(", ");
        let more = if missing.len() > NAMED { ", …" } else { "" };
        let count = missing.len();
        notes.push(format!("{count} tensors are missing in the file and start with random values: {first}{more}"));
        context.telemetry.insert(format!("missing_{name}"), missing.clone().into());
    }
    if !notes.is_empty() {
        let note = Some(notes.join("; "));
        context.progress(Progress { unit: "epoch".into(), note, ..Progress::default() });
    }
}

/// `path` as the disk writes it: a name may be composed differently there (`é` as `e` and an accent, from macOS).
pub(super) fn as_written(path: PathBuf) -> PathBuf {
    if path.symlink_metadata().is_ok() {
        return path;
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return path;
    };
    let folder = as_written(folder.to_owned());
    let same = |other: &Path| {
        other.file_name().and_then(|other| other.to_str()).is_some_and(|other| composed(other) == composed(name))
    };
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    files.into_iter().find(|other| same(other)).unwrap_or(path)
}
