//! The record of a finished stage.

use super::folder::{files_below, relative_name};
use super::seal::{is_sealed, seal};
use super::{Digest, Key, KeyMaterial, Provenance};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// A finished stage: what it was computed from, which files it left, where and when. It does not change once written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Hash of `material`.
    pub key: Key,
    /// Everything that the output depends on.
    pub material: KeyMaterial,
    /// The files that the stage left, sorted by path.
    pub outputs: Vec<Output>,
    /// Hash over paths and hashes of all outputs: later stages depend on it.
    pub content: Digest,
    /// Where and when the stage ran.
    pub made: Provenance,
    /// Seconds, images a second, memory: facts about this computation, not about its result.
    pub telemetry: BTreeMap<String, serde_json::Value>,
}

/// One file of a stage's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Path inside the output, with `/`.
    pub path: String,
    /// Hash of its content: the name of the object that holds it.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
}

impl Output {
    /// Every file below `folder`, sorted by path.
    ///
    /// # Errors
    /// If a file cannot be read, or its name is not UTF-8.
    pub fn of_folder(folder: &Path) -> anyhow::Result<Vec<Output>> {
        let output = |path: PathBuf| -> anyhow::Result<Output> {
            let (digest, size) = Digest::of_file(&path)?;
            Ok(Output { path: relative_name(folder, &path)?, digest, size })
        };
        let mut outputs = files_below(folder)?.into_iter().map(output).collect::<anyhow::Result<Vec<_>>>()?;
        outputs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(outputs)
    }
}

impl Record {
    /// Hash over the names and contents of `outputs`.
    pub(super) fn content_of(outputs: &[Output]) -> Digest {
        let mut text = String::new();
        for output in outputs {
            // A digest holds no blank and a path no newline, so two different lists never give the same text.
            text += &format!("{} {}\n", output.digest, output.path);
        }
        Digest::of(text.as_bytes())
    }

    /// Hash over the names and contents of the output files `reads`; of all files if `reads` is empty.
    pub fn content_for(&self, reads: &[String]) -> Digest {
        if reads.is_empty() {
            return self.content;
        }
        let read = self.outputs.iter().filter(|output| reads.contains(&output.path));
        Record::content_of(&read.cloned().collect::<Vec<_>>())
    }

    /// Whether key and content are the hashes of what the record says.
    pub fn is_consistent(&self) -> bool {
        self.material.key() == self.key && self.content == Record::content_of(&self.outputs)
    }

    /// Whether all outputs have names inside their folder. Those of this program always have; a record from elsewhere must not
    /// make a copy of its files write to other places.
    pub fn has_safe_paths(&self) -> bool {
        let is_normal = |part: Component<'_>| matches!(part, Component::Normal(_));
        let is_safe = |output: &Output| !output.path.is_empty() && Path::new(&output.path).components().all(is_normal);
        self.outputs.iter().all(is_safe)
    }

    /// The bytes of the record's file: JSON with a seal, because key and content show damage only to what they are hashes of.
    pub(super) fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        Ok(seal(serde_json::to_vec(self)?))
    }

    /// `None` if these are not the bytes of a record.
    pub fn from_bytes(bytes: &[u8]) -> Option<Record> {
        if Record::is_intact(bytes) { serde_json::from_slice(bytes).ok() } else { None }
    }

    /// Whether the seal of a record's file fits. Records of programs that wrote no seal end in the brace of the telemetry.
    pub(super) fn is_intact(bytes: &[u8]) -> bool {
        bytes.ends_with(b"}}") || is_sealed(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::material;
    use super::*;

    #[test]
    fn a_flipped_bit_anywhere_in_a_record_is_detected() {
        let material = material(0);
        let (key, made) = (material.key(), Provenance { host: "h".into(), ..Provenance::default() });
        let content = Record::content_of(&[]);
        let record = Record { key, material, outputs: Vec::new(), content, made, telemetry: BTreeMap::new() };
        let bytes = record.to_bytes().unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()["made"]["host"], "h");
        assert_eq!(Record::from_bytes(&bytes).as_ref(), Some(&record));
        assert_eq!(Record::from_bytes(&serde_json::to_vec(&record).unwrap()), Some(record), "of an older program");
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::from_bytes(&flipped), None, "bit {bit}");
        }
        (0..bytes.len()).for_each(|end| assert_eq!(Record::from_bytes(&bytes[..end]), None));
    }
}
