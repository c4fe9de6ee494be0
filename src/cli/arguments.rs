//! Arguments that several verbs take.

use clap::Args;
use std::path::PathBuf;

/// What every verb that reads an experiment takes.
#[derive(Args)]
pub(super) struct ExperimentArgs {
    /// The experiment file (TOML).
    pub(super) file: PathBuf,
    /// Replace a value of the file, e.g. `--set stages.ssl.epochs=3`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Folder in which relative data-set paths are looked up [default: the experiment file's folder].
    #[arg(long, value_name = "DIR", env = "MATSSL_DATA")]
    pub(super) data: Option<PathBuf>,
    /// The cache folder.
    #[arg(long, value_name = "DIR", env = "MATSSL_CACHE", default_value = "cache")]
    pub(super) cache: PathBuf,
}
