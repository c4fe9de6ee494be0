//! What the cache knows of one finished stage.

use super::{Digest, Key, KeyMaterial};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// Program version.
    pub program: String,
    /// Host name.
    pub host: String,
    /// Kind of processor: bits are promised for one build and one kind.
    pub cpu: String,
    /// Device that computed.
    pub device: String,
    /// Threads it had.
    pub threads: usize,
    /// Seconds since 1970 at the end.
    pub finished_at: u64,
    /// Wall time of the attempt that finished it.
    pub seconds: f64,
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
