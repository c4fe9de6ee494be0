//! What the cache knows of one finished stage.

use super::publish::files_below;
use super::{Digest, Key, KeyMaterial};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One finished stage: what it was made from, what it left, where and when. Immutable once written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Hash of `material`.
    pub key: Key,
    /// What the output depends on.
    pub material: KeyMaterial,
    /// The files it left, sorted by path.
    pub outputs: Vec<Output>,
    /// Hash over paths and hashes of all outputs: what later stages depend on.
    pub content: Digest,
    /// Where and when it was made.
    pub made: Provenance,
    /// Seconds, images a second, memory: facts about the making, not about the result.
    pub telemetry: BTreeMap<String, serde_json::Value>,
}

/// One file of a stage's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Path inside the output, with `/`.
    pub path: String,
    /// The object that holds it.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
}

/// Where and when a record was made. Two records of one key differ in nothing else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Name of the stage that first needed it (`experiment` / `stage`).
    pub stage: String,
    /// Program and version.
    pub program: String,
    /// Which build of it; records of older programs do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
    /// Host name.
    pub host: String,
    /// Kind of processor: bits are promised for one build and one kind.
    pub cpu: String,
    /// Vector instructions that it offered to kernels chosen at run time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cpu_features: Vec<String>,
    /// Device that computed.
    pub device: String,
    /// Threads it had.
    pub threads: usize,
    /// Seconds since 1970 at the end.
    pub finished_at: u64,
    /// Wall time of the attempt that finished it.
    pub seconds: f64,
}

/// Which build of the program made a record. Bits are promised for one `build_id` on one kind of processor; the rest
/// says how to make it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Commit of the sources, `-dirty` if they differed from it; none if they did not lie in a clone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What the linker wrote into the program to tell builds apart, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// Hash of the program's own file, where its linker wrote no build ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<Digest>,
    /// Compiler and its version.
    pub compiler: String,
    /// What it was compiled for.
    pub target: String,
    /// Instructions that the compiler took for granted.
    pub target_features: String,
    /// Profile and level of optimisation.
    pub profile: String,
}

impl Output {
    /// Every file below `folder`, sorted by path.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn of_folder(folder: &Path) -> anyhow::Result<Vec<Output>> {
        let output = |path: PathBuf| -> anyhow::Result<Output> {
            let (digest, size) = Digest::of_file(&path)?;
            Ok(Output { path: name_in(folder, &path)?, digest, size })
        };
        let mut outputs = files_below(folder)?.into_iter().map(output).collect::<anyhow::Result<Vec<_>>>()?;
        outputs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(outputs)
    }
}

/// `path` inside `folder`, with `/`.
pub(super) fn name_in(folder: &Path, path: &Path) -> anyhow::Result<String> {
    let name = path.strip_prefix(folder)?;
    // Two such names may look the same once what is no text is replaced.
    let name = name.to_str().with_context(|| format!("{}: its name is no UTF-8; rename it", name.display()))?;
    Ok(name.replace(std::path::MAIN_SEPARATOR, "/"))
}

impl Record {
    /// Hash over the names and contents of `outputs`.
    pub fn content_of(outputs: &[Output]) -> Digest {
        let mut text = String::new();
        for output in outputs {
            // Neither part holds a newline or, in the digest, a blank: the text says which file is which.
            text += &format!("{} {}\n", output.digest, output.path);
        }
        Digest::of(text.as_bytes())
    }
}

/// Before the hash that closes a record's file.
const SEAL: &[u8] = b",\"seal\":\"";
/// Seal, hash, quote and brace.
const SEALED: usize = SEAL.len() + 64 + 2;

/// A JSON object with one field more, `seal`: the hash of all bytes before it.
pub(super) fn seal(mut json: Vec<u8>) -> Vec<u8> {
    json.pop();
    let seal = Digest::of(&json).to_string();
    json.extend([SEAL, seal.as_bytes(), b"\"}"].concat());
    json
}

/// What stands before the seal, if that fits.
pub(super) fn unsealed(bytes: &[u8]) -> Option<&[u8]> {
    let (sealed, end) = bytes.split_at_checked(bytes.len().checked_sub(SEALED)?)?;
    let seal = end.strip_prefix(SEAL)?.strip_suffix(b"\"}")?;
    (seal == Digest::of(sealed).to_string().as_bytes()).then_some(sealed)
}

impl Record {
    /// As it lies on disk: JSON whose last field, `seal`, is the hash of all bytes before it. Key and content show damage
    /// only to what they are hashes of; this shows a flipped bit anywhere.
    pub(super) fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        Ok(seal(serde_json::to_vec(self)?))
    }

    /// `None` if these are not the bytes of a record. Those of programs that knew of no seal end with that of telemetry.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Record> {
        if Record::is_sealed(bytes) { serde_json::from_slice(bytes).ok() } else { None }
    }

    /// Whether the seal of a record's file, if it must have one, fits.
    pub(super) fn is_sealed(bytes: &[u8]) -> bool {
        bytes.ends_with(b"}}") || unsealed(bytes).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the program wrote it before it knew of builds and vector instructions.
    #[test]
    fn old_provenance_is_still_read_and_a_new_one_survives() {
        let old = r#"{"stage":"toy/ssl","program":"matssl-run 0.1.0","host":"h","cpu":"c","device":"cpu","threads":2,
            "finished_at":7,"seconds":1.5}"#;
        let mut made: Provenance = serde_json::from_str(old).unwrap();
        assert_eq!((made.build.as_ref(), made.cpu_features.len(), made.threads), (None, 0, 2));
        let build = r#"{"compiler":"rustc 1.95.0","target":"t","target_features":"sse2","profile":"release"}"#;
        made.build = serde_json::from_str(build).unwrap();
        made.cpu_features = vec!["avx2".into()];
        let text = serde_json::to_string(&made).unwrap();
        assert_eq!(serde_json::from_str::<Provenance>(&text).unwrap(), made);
    }

    #[test]
    fn a_flipped_bit_anywhere_is_seen() {
        let material = KeyMaterial {
            schema: 1,
            kind: "toy".into(),
            code_version: 1,
            params: serde_json::json!({ "a": 1 }),
            seed: None,
            inputs: BTreeMap::new(),
            files: BTreeMap::new(),
        };
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
