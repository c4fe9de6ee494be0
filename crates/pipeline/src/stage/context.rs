//! What a running stage sees of the world.

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

/// The files that one input stage left behind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InputFiles {
    /// The stage's name without its seed, or the label that a `series` or `rows` table gives it.
    pub label: String,
    /// The seed of that stage, if it or what it rests on was drawn at random.
    pub seed: Option<u64>,
    /// Path inside the stage's output → where that file lies now. Read-only.
    pub files: BTreeMap<String, PathBuf>,
    /// For a `dataset` stage: the folder of the files as downloaded.
    pub source: Option<PathBuf>,
}

impl InputFiles {
    /// Where `name` of this input lies.
    ///
    /// # Errors
    /// If the stage left no such file: a fault of the program, not of the user.
    pub fn file(&self, name: &str) -> anyhow::Result<&Path> {
        self.files.get(name).map(PathBuf::as_path).ok_or_else(|| anyhow::anyhow!("{} left no file {name}", self.label))
    }
}

/// What a running stage sees: inputs by role, where to write, its seed, whom to tell.
pub struct Context {
    /// The stage's full name, for messages only.
    pub name: String,
    /// 0 unless the kind is seeded.
    pub seed: u64,
    /// Inputs by the parameter that names them, in the file's order.
    pub inputs: BTreeMap<String, Vec<InputFiles>>,
    /// Its files from outside the cache, by name inside the data set or below the experiment's folder: where each lies, and the blake3 of its bytes.
    pub external: BTreeMap<String, (PathBuf, String)>,
    /// An empty folder; every file left in it is the stage's output.
    pub out: PathBuf,
    /// A private folder for what is no output.
    pub scratch: Option<Arc<Scratch>>,
    /// Threads it may use.
    pub threads: usize,
    /// Where programs that it starts say what they have to say; to this process's standard error if nowhere else.
    pub log: Option<PathBuf>,
    /// What programs that it starts belong to.
    pub group: Group,
    /// What they carry in their environment ([`MARK`](matssl_base::machine::MARK)).
    pub mark: Option<String>,
    /// A folder that survives a killed attempt of the same key: checkpoints go here, each written under a temporary
    /// name and renamed.
    pub checkpoint: PathBuf,
    /// What to compute on.
    pub device: DeviceName,
    /// That device, once the stage has opened it.
    pub opened: Option<Box<dyn OpenedDevice>>,
    /// Where data sets lie on this machine.
    pub places: Places,
    /// A folder for TensorBoard's event file, outside of the output: a training writes it along; none is asked for otherwise.
    pub tensorboard: Option<PathBuf>,
    /// The least time between a checkpoint and one inside an epoch.
    pub checkpoint_wait: Duration,
    /// What signals ask of a training.
    pub asked: Asked,
    /// Facts about this attempt that are no part of the output: seconds, images a second, peak memory.
    pub telemetry: BTreeMap<String, serde_json::Value>,
    /// Called with every progress report.
    pub on_progress: Box<dyn FnMut(&Progress) + Send>,
}

impl Context {
    /// The one input of `role`.
    ///
    /// # Errors
    /// If there is none: the plan let something through that it should not have.
    pub fn input(&self, role: &str) -> anyhow::Result<&InputFiles> {
        self.inputs(role).first().ok_or_else(|| anyhow::anyhow!("{} has no input {role}", self.name))
    }

    /// All inputs of `role`, in the file's order; none if the parameter was left out.
    pub fn inputs(&self, role: &str) -> &[InputFiles] {
        self.inputs.get(role).map_or(&[], Vec::as_slice)
    }

    /// Tells whoever watches how far the stage is.
    pub fn progress(&mut self, progress: Progress) {
        (self.on_progress)(&progress);
    }

    /// A counter of (done, total) images that several threads may call.
    pub fn image_counter(&mut self) -> impl Fn(usize, usize) + Sync + '_ {
        let tell = Mutex::new(&mut self.on_progress);
        move |done, total| {
            let (done, total) = (done as u64, total as u64);
            // A thread that panicked while telling is no reason for another to stop counting.
            if let Ok(mut tell) = tell.lock() {
                tell(&Progress { done, total, unit: "image".into(), ..Progress::default() });
            }
        }
    }
}
