//! The record of a finished stage.

use super::folder::{files_below, relative_name};
use super::seal::{is_sealed, seal};
use super::{Digest, Key, KeyMaterial, Provenance};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// The largest output of a stage that is believed, in bytes: 1 PiB.
const MOST_BYTES: u64 = 1 << 50;
/// The last second of the year 9999, counted from 1970.
const LAST_SECOND: u64 = 253_402_300_799;

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

    /// Why a record from another machine must not be used although its hashes are right; `None` if it may. Records of this
    /// program have no such flaw. With one of another origin a copy of its files could write to other places, its numbers could
    /// stop the program, and its names could write to the terminal.
    pub fn flaw(&self) -> Option<&'static str> {
        let Provenance { stage, program, host, cpu, device, finished_at, seconds, .. } = &self.made;
        let is_normal = |part: Component<'_>| matches!(part, Component::Normal(_));
        let is_inside =
            |output: &Output| !output.path.is_empty() && Path::new(&output.path).components().all(is_normal);
        let paths = || self.outputs.iter().map(|output| output.path.as_str());
        let size = self.outputs.iter().try_fold(0, |sum: u64, output| sum.checked_add(output.size));
        if !self.outputs.iter().all(is_inside) {
            Some("names files outside of its output")
        } else if [stage, program, host, cpu, device].into_iter().any(|name| has_control(name))
            || paths().any(has_control)
        {
            Some("has names with control characters")
        } else if !paths().is_sorted_by(|a, b| a < b) {
            Some("does not list its files in order")
        } else if size.is_none_or(|size| size > MOST_BYTES) {
            Some("names more bytes than there can be")
        } else if *finished_at > LAST_SECOND || !(0.0..=LAST_SECOND as f64).contains(seconds) {
            Some("has a time that cannot be")
        } else {
            None
        }
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

fn has_control(name: &str) -> bool {
    name.contains(char::is_control)
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

    #[test]
    fn a_record_from_elsewhere_is_refused_for_what_no_stage_can_leave() {
        let output = |path: &str| Output { path: path.into(), digest: Digest::of(b"a"), size: 1 };
        let record = |paths: &[&str], change: &dyn Fn(&mut Record)| {
            let outputs: Vec<Output> = paths.iter().map(|path| output(path)).collect();
            let (material, content) = (material(0), Record::content_of(&outputs));
            let made =
                Provenance { host: "h".into(), finished_at: 1_800_000_000, seconds: 1.5, ..Provenance::default() };
            let mut record =
                Record { key: material.key(), material, outputs, content, made, telemetry: BTreeMap::new() };
            change(&mut record);
            record.flaw().map(|flaw| flaw.split(' ').next_back().unwrap_or_default().to_owned())
        };
        let as_it_is = |paths: &[&str]| record(paths, &|_| ());
        assert_eq!(as_it_is(&["a", "b/c", "b/d..e"]), None);
        for path in ["../a", "/a", "", ".", "..", "a/../../b", "./a"] {
            assert_eq!(as_it_is(&[path]).as_deref(), Some("output"), "{path}");
        }
        // A newline in a path would make two lists of files have one hash.
        assert_eq!(as_it_is(&["a\n00 b"]).as_deref(), Some("characters"));
        assert_eq!(as_it_is(&["b", "a"]).as_deref(), Some("order"));
        assert_eq!(as_it_is(&["a", "a"]).as_deref(), Some("order"));
        let changed = |change: &dyn Fn(&mut Record)| record(&["a", "b"], change);
        assert_eq!(changed(&|record| record.made.host = "\u{1b}[2J".into()).as_deref(), Some("characters"));
        let huge = changed(&|record| record.outputs.iter_mut().for_each(|output| output.size = u64::MAX));
        assert_eq!(huge.as_deref(), Some("be"));
        assert_eq!(changed(&|record| record.made.finished_at = u64::MAX).as_deref(), Some("be"));
        for seconds in [-1.0, 1e300, f64::INFINITY] {
            assert_eq!(changed(&|record| record.made.seconds = seconds).as_deref(), Some("be"));
        }
    }
}
