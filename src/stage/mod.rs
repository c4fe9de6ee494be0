//! The kinds of stages: trait [`Stage`] and the table of kinds. One file a kind.
//!
//! A stage is a pure function of its parameters, its seed and the contents of its inputs: it reads what its
//! [`Context`] shows it, writes files into `context.out`, and knows nothing of caches, processes or other stages.

mod command;
mod context;
mod data_table;
mod dataset;
mod encoder;
mod evaluate;
mod figure;
mod finetune;
mod kinds;
mod memory;
mod monitor;
mod overlay;
mod patchify;
mod pretrain;
mod pretraining;
mod segmentation;
mod synthesize;
mod table;
mod training;

pub use context::{Context, InputFiles, Progress};
pub use encoder::{StartWeights, start_weights};
pub use kinds::{Kind, kind, vocabulary};

use crate::data::{OpenDataset, Root};
use crate::exit_code;
use crate::experiment::{self, LabelledInput, ParamError, ReferenceSpec, Section, SpannedTable};
use crate::nn::Precision;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The parameter of every stage that reads images: a data set as downloaded, or a synthesised one.
const DATASET: ReferenceSpec = ReferenceSpec::one("dataset", &["dataset", "synthesize"]);

/// One kind of stage. The implementing type holds its parameters as the user writes them.
pub trait Stage: Serialize + DeserializeOwned + JsonSchema + 'static {
    /// The word in the experiment file.
    const KIND: &'static str;
    /// Part of the key: goes up when the same inputs would give other bytes.
    const CODE_VERSION: u32;
    /// Where it is written in the file.
    const SECTION: Section = Section::Stages;
    /// Draws at random from the experiment's seed, whatever its parameters.
    const SEEDED: bool = false;
    /// A training stage: worth a checkpoint and a line of progress.
    const TRAINS: bool = false;
    /// Computes on the device that the run was given, whatever its parameters; all else does without.
    const COMPUTES: bool = false;
    /// Reads files from outside the cache, whatever its parameters.
    const READS_FILES: bool = false;
    /// Runs another program and waits for it: a worker process in between would do nothing.
    const SPAWNS: bool = false;
    /// The labels of inputs enter the output (and so the key).
    const LABELLED: bool = false;
    /// Has something to say in [`Stage::check_labels`].
    const CHECKS_LABELS: bool = false;
    /// Parameters (dotted for nested ones) that say where things lie, not what they are: kept out of the key.
    const UNKEYED: &'static [&'static str] = &[];
    /// Parameters that name other stages.
    const REFERENCES: &'static [ReferenceSpec] = &[];

    /// Reads the parameters; a kind overrides this only for what its type cannot say.
    ///
    /// # Errors
    /// All that is wrong with the table, each with its place.
    fn parse(table: SpannedTable<'_>) -> Result<Self, Vec<ParamError>> {
        experiment::deserialize(table)
    }

    /// What serde cannot say about the parameters: relations between them.
    ///
    /// # Errors
    /// Names the parameter to underline and says the cure.
    fn check(&self) -> Result<(), ParamError> {
        Ok(())
    }

    /// Relations between the parameters and the labels of the inputs, once these are known.
    ///
    /// # Errors
    /// As [`Stage::check`].
    fn check_labels(&self, _labels: &[LabelledInput<'_>]) -> Result<(), ParamError> {
        Ok(())
    }

    /// Whether a stage with these parameters draws at random from the experiment's seed.
    fn draws(_params: &Value) -> bool {
        Self::SEEDED
    }

    /// Whether a stage with these parameters computes on the device that the run was given.
    fn computes(_params: &Value) -> bool {
        Self::COMPUTES
    }

    /// Whether a stage with these parameters may have [`Stage::external_files`].
    fn reads_files(_params: &Value) -> bool {
        Self::READS_FILES
    }

    /// Looks, before anything starts, whether what it needs besides data is there: a program.
    ///
    /// # Errors
    /// [`StageError::NotThere`] with what is missing.
    fn ready(&self, _places: &Places) -> Result<(), StageError> {
        Ok(())
    }

    /// How exactly it computes; what needs a GPU is refused without one before anything starts.
    fn precision(&self) -> Precision {
        Precision::default()
    }

    /// Files outside the cache that this stage reads: (name inside the data set, path). Sorted by name.
    ///
    /// # Errors
    /// [`StageError::NotThere`] if the folder is missing.
    fn external_files(&self, _places: &Places) -> Result<ExternalFiles, StageError> {
        Ok(Vec::new())
    }

    /// The folder that [`Stage::external_files`] are in: later stages read them where they lie.
    fn source(&self, _places: &Places) -> Option<PathBuf> {
        None
    }

    /// Does the work.
    ///
    /// # Errors
    /// A [`StageError`] says what is wrong with data, weights or numbers; nothing of the attempt then counts.
    fn run(&self, context: &mut Context) -> Result<(), StageError>;
}

/// Files outside the cache: (name inside the data set, path).
pub type ExternalFiles = Vec<(String, PathBuf)>;

/// Where things outside the cache lie on this machine; never part of a key.
#[derive(Clone, Debug, Default, Serialize, serde::Deserialize)]
pub struct Places {
    /// Relative data-set paths are looked up here (`--data`, `MATSSL_DATA`, or the experiment file's folder).
    pub data: PathBuf,
    /// The experiment file's folder: programs and scripts are looked up here.
    #[serde(default)]
    pub experiment: PathBuf,
}

impl Places {
    /// `path` as given, or below the data folder if it is relative.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.data.join(path)
    }
}

/// Why a stage failed; decides the exit code.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A data set, weight file or device is not there (exit code 4).
    #[error("{0}")]
    NotThere(String),
    /// The data is not what the experiment says (exit code 5).
    #[error("{0}")]
    BadData(String),
    /// The work itself failed: NaN losses, a full disk, a fault (exit code 3).
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
    /// A signal asked it to end; a training wrote a checkpoint before (exit code 3).
    #[error("{0}")]
    Stopped(String),
    /// What did the work died of a signal that nobody of ours sent (exit code 3).
    #[error("{message}")]
    Lost {
        /// Which signal.
        signal: Option<i32>,
        /// What died of it.
        message: String,
    },
}

impl From<std::io::Error> for StageError {
    fn from(error: std::io::Error) -> Self {
        StageError::Failed(error.into())
    }
}

impl From<candle_core::Error> for StageError {
    fn from(error: candle_core::Error) -> Self {
        StageError::Failed(error.into())
    }
}

impl From<crate::data::DataError> for StageError {
    fn from(error: crate::data::DataError) -> Self {
        match error.exit_code() {
            exit_code::NOT_THERE => StageError::NotThere(error.to_string()),
            exit_code::BAD_DATA => StageError::BadData(error.to_string()),
            _ => StageError::Failed(error.into()),
        }
    }
}

/// Opens the data set that a `dataset` or `synthesize` stage left.
///
/// # Errors
/// If its manifest cannot be read.
pub(crate) fn open_dataset(input: &InputFiles) -> Result<OpenDataset, StageError> {
    let root = match &input.source {
        Some(folder) => Root::Folder(folder.clone()),
        None => Root::Files(input.files.clone()),
    };
    Ok(OpenDataset::open(input.file("manifest.json")?, root)?)
}
