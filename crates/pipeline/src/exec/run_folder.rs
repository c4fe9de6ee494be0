//! `runs/<run>/` in the cache: the folder of a run's event log and its stages' logs.

use crate::cache::{Alive, Store, host_name};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The folder of a live run.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    /// Shows other processes that this one is alive.
    _alive: Alive,
}

/// `run.json`: facts about a run, written when it starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Name of the experiment.
    pub experiment: String,
    /// Host name.
    pub host: String,
    /// Process number.
    pub process: u32,
    /// Start in seconds since 1970.
    pub started_at: u64,
}

/// File name of [`RunFacts`].
pub(super) const FACTS: &str = "run.json";

impl RunFolder {
    /// `runs/<seconds since 1970>-<experiment>-<process>/`.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub(super) fn create(store: &Store, experiment: &str) -> Result<Self> {
        let started_at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let process = std::process::id();
        let runs = store.root().join("runs");
        // Another run may have the same number: in another container, or on another host.
        let mut path = runs.join(format!("{started_at}-{experiment}-{process}"));
        let mut again = 1;
        while let Err(error) = std::fs::create_dir(&path) {
            if error.kind() != std::io::ErrorKind::AlreadyExists || again > 1000 {
                return Err(error).with_context(|| format!("cannot make {}", path.display()));
            }
            path = runs.join(format!("{started_at}-{experiment}-{process}{again:03}"));
            again += 1;
        }
        let make = || -> std::io::Result<Alive> {
            let alive = Alive::hold(&path)?;
            let facts = RunFacts { experiment: experiment.to_owned(), host: host_name(), process, started_at };
            std::fs::write(path.join(FACTS), serde_json::to_vec(&facts)?)?;
            Ok(alive)
        };
        let alive = make().with_context(|| format!("cannot make {}", path.display()))?;
        Ok(RunFolder { path, _alive: alive })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder's name, unique among all runs on this host.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}
