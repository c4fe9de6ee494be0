//! Where, when and by which build a record was made.

use super::Digest;
use serde::{Deserialize, Serialize};

/// Where and when a record was made. Two records of one key differ only in this and in their telemetry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The stage that needed the record first, as `experiment/stage`.
    pub stage: String,
    /// Program and version.
    pub program: String,
    /// Build of the program; `None` in records of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
    /// Host name.
    pub host: String,
    /// Kind of processor: results are equal to the bit only for one build and one kind.
    pub cpu: String,
    /// Vector instructions of the processor among which kernels choose at run time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cpu_features: Vec<String>,
    /// The device that computed.
    pub device: String,
    /// Number of threads that the stage could use.
    pub threads: usize,
    /// When the stage finished, in seconds since 1970.
    pub finished_at: u64,
    /// Wall time in seconds of the attempt that finished the stage.
    pub seconds: f64,
}

/// Build of the program. Results are equal to the bit for one `build_id` on one kind of processor; the other fields say how
/// to make the same build again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Commit of the sources, with `-dirty` if they differed from it; `None` if they were not in a clone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Build ID that the linker wrote into the program, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_id: Option<String>,
    /// Hash of the program's own file, if the linker wrote no build ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<Digest>,
    /// Compiler and its version.
    pub compiler: String,
    /// Target triple.
    pub target: String,
    /// Instructions that the compiler could use everywhere.
    pub target_features: String,
    /// Cargo profile and level of optimisation.
    pub profile: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the program wrote it before it recorded builds and vector instructions.
    #[test]
    fn provenance_of_older_programs_is_read_and_new_provenance_survives_json() {
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
}
