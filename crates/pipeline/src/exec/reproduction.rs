//! Reproduction check: runs a cached stage again, outside the cache, and compares the outputs.

use super::difference::Difference;
use super::gpu_locks::GpuLocks;
use super::job::Message;
use super::job_of_stage::job_of;
use super::local::LocalExecutor;
use super::log_tail::last_lines;
use super::notice::Notice;
use super::outcome::Options;
use crate::cache::Store;
use crate::events::ErrorClass;
use crate::plan::{CacheState, Plan, ResolvedInput};
use crate::stage::Places;
use anyhow::{Context as _, Result, bail};
use matssl_base::device_name::DeviceName;
use matssl_base::machine::{self, Waker};
use std::sync::{Arc, mpsc};

/// Outcome of a reproduction check.
#[derive(Debug)]
pub enum Reproduction {
    /// All files are identical, byte for byte.
    Same {
        /// Number of files.
        files: usize,
    },
    /// Some files differ.
    Differs(Vec<Difference>),
    /// The stage failed.
    Failed {
        /// Decides the exit code.
        class: ErrorClass,
        /// What went wrong.
        message: String,
        /// The last lines of its log.
        last_lines: Vec<String>,
    },
}

/// Runs the cached `stage` again with all threads of this machine and compares the outputs. The cache does not change.
///
/// # Errors
/// If the stage is not cached, or no process can be started.
pub fn check_reproduction(
    plan: &Plan,
    stage: usize,
    store: &Store,
    places: &Places,
    options: &Options,
) -> Result<Reproduction> {
    let instance = &plan.experiment.instances[stage];
    let CacheState::Hit(record) = &plan.states[stage] else { bail!("{} is not cached: run it first", instance.name) };
    let mut inputs = Vec::new();
    let mut records = Vec::new();
    for input in &instance.inputs {
        let CacheState::Hit(of) = &plan.states[input.instance] else {
            bail!("{} is no longer cached: run it first", plan.experiment.instances[input.instance].name);
        };
        inputs.push(ResolvedInput::new(
            instance.stage.as_ref(),
            input,
            &plan.experiment.instances[input.instance],
            of,
            places,
        ));
        records.push(of.as_ref().clone());
    }
    let computes = instance.stage.computes();
    let device = options.gpus.first().filter(|_| computes).map(|gpu| gpu.name).unwrap_or_default();
    let waker = Waker::default();
    let freed = waker.clone();
    let mut lock = GpuLocks::new(&options.gpus, Arc::new(move |_| freed.wake()));
    while device != DeviceName::Cpu && !lock.take(0, 0)? {
        waker.wait();
    }
    let mut job = job_of(plan, stage, inputs, store, places, options, device, machine::cores());
    job.check = true;
    job.tensorboard = None;
    let (sender, reports) = mpsc::channel();
    let name = format!("check-{}", std::process::id());
    let mut executor = LocalExecutor::new(options.program, &name, store, sender)?;
    let log = tempfile::NamedTempFile::new().context("cannot create a temporary log file")?;
    let records = instance.kind.spawns.then_some(records);
    executor.start(0, &instance.stage, job, record.material.clone(), records, log.path())?;
    loop {
        let Notice::Stage(report) = reports.recv()? else { continue };
        match report.message {
            Message::Checked { differences } if differences.is_empty() => {
                return Ok(Reproduction::Same { files: record.outputs.len() });
            }
            Message::Checked { differences } => return Ok(Reproduction::Differs(differences)),
            Message::Failed { class, message } => {
                return Ok(Reproduction::Failed { class, message, last_lines: last_lines(log.path()) });
            }
            _ => {}
        }
    }
}
