//! The context of a running stage.

use super::{OpenedDevice, Places};
use crate::cache::Scratch;
use crate::events::Progress;
use matssl_base::device_name::DeviceName;
use matssl_base::machine::{Asked, Group};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The output files of one input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InputFiles {
    /// The stage's name without its seed, or its label in a `series` or `rows` table.
    pub label: String,
    /// The seed of that stage, if it or a stage it depends on draws at random.
    pub seed: Option<u64>,
    /// Path inside the stage's output → current path of that file. Read-only.
    pub files: BTreeMap<String, PathBuf>,
    /// For a `dataset` stage: the folder of the files as downloaded.
    pub source: Option<PathBuf>,
}

impl InputFiles {
    /// Path of the file `name` of this input.
    ///
    /// # Errors
    /// If the stage wrote no such file: an error of the program, not of the user.
    pub fn file(&self, name: &str) -> anyhow::Result<&Path> {
        self.files.get(name).map(PathBuf::as_path).ok_or_else(|| anyhow::anyhow!("{} wrote no file {name}", self.label))
    }
}

/// The context of a running stage: inputs by role, output folder, seed, device, progress.
pub struct Context {
    /// The stage's full name, for messages only.
    pub name: String,
    /// 0 unless the kind is seeded.
    pub seed: u64,
    /// Inputs by the parameter that names them, in the file's order.
    pub inputs: BTreeMap<String, Vec<InputFiles>>,
    /// Its files outside the cache: name inside the data set or the experiment's folder → (path, blake3 hash).
    pub external: BTreeMap<String, (PathBuf, String)>,
    /// The output folder, empty at first; every file in it at the end is the stage's output.
    pub out: PathBuf,
    /// A private folder for temporary files.
    pub scratch: Option<Arc<Scratch>>,
    /// Number of threads it may use.
    pub threads: usize,
    /// Log file of programs that it starts; `None`: standard error of this process.
    pub log: Option<PathBuf>,
    /// Process group of programs that it starts.
    pub group: Group,
    /// Mark in their environment variables ([`MARK`](matssl_base::machine::MARK)).
    pub mark: Option<String>,
    /// Folder for checkpoints. It survives a killed attempt of the same key. Write each file under a temporary name and
    /// rename it.
    pub checkpoint: PathBuf,
    /// Device to compute on.
    pub device: DeviceName,
    /// The device, once the stage has opened it.
    pub opened: Option<Box<dyn OpenedDevice>>,
    /// Locations of data sets on this machine.
    pub places: Places,
    /// Folder outside the output for a training's TensorBoard event file; `None`: no file.
    pub tensorboard: Option<PathBuf>,
    /// Minimum time from a checkpoint to one inside an epoch.
    pub checkpoint_wait: Duration,
    /// Requests from signals to a training.
    pub asked: Asked,
    /// Facts about this attempt outside the output: seconds, images per second, peak memory.
    pub telemetry: BTreeMap<String, serde_json::Value>,
    /// Called with every progress report.
    pub on_progress: Box<dyn FnMut(&Progress) + Send>,
}

impl Context {
    /// The one input of `role`.
    ///
    /// # Errors
    /// If there is none: an error of the plan, not of the user.
    pub fn input(&self, role: &str) -> anyhow::Result<&InputFiles> {
        self.inputs(role).first().ok_or_else(|| anyhow::anyhow!("{} has no input {role}", self.name))
    }

    /// All inputs of `role`, in the file's order; empty if the parameter is not set.
    pub fn inputs(&self, role: &str) -> &[InputFiles] {
        self.inputs.get(role).map_or(&[], Vec::as_slice)
    }

    /// Reports progress.
    pub fn progress(&mut self, progress: Progress) {
        (self.on_progress)(&progress);
    }

    /// A function that reports (done, total) images; several threads may call it.
    pub fn image_counter(&mut self) -> impl Fn(usize, usize) + Sync + '_ {
        let tell = Mutex::new(&mut self.on_progress);
        move |done, total| {
            let (done, total) = (done as u64, total as u64);
            // A thread that panicked during a report must not stop the others.
            if let Ok(mut tell) = tell.lock() {
                tell(&Progress { done, total, unit: "image".into(), ..Progress::default() });
            }
        }
    }
}
