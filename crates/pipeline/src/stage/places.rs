//! Locations of files outside the cache.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Files outside the cache: (name inside the data set, path).
pub type ExternalFiles = Vec<(String, PathBuf)>;

/// Locations of files outside the cache on this machine; never part of a key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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
