//! `runs/<run>/` in the cache: where a run's event log and its stages' logs are.

use crate::cache::{Alive, Store, host_name};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The folder of a run that lives.
#[derive(Debug)]
pub(super) struct RunFolder {
    path: PathBuf,
    /// Others see by it that this process lives.
    _alive: Alive,
}

/// `run.json`: what a run is, written when it starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Name of the experiment.
    pub experiment: String,
    /// Where it runs.
    pub host: String,
    /// Its process.
    pub process: u32,
    /// Seconds since 1970.
    pub started_at: u64,
}

/// What a run is.
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

    /// The folder's name: no other run of any cache on this host has it.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}
