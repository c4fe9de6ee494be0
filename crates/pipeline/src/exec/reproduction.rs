//! A cached stage done once more beside the cache: does the same come out?

use super::attempt::{Ground, produce};
use super::gpu_locks::GpuLocks;
use super::job::{Job, Message};
use super::job_of_stage::job_of;
use super::local::{LocalExecutor, Notice};
use super::log_tail::last_lines;
use super::outcome::Options;
use crate::cache::{Digest, KeyMaterial, Output, Record, Store};
use crate::events::ErrorClass;
use crate::plan::{CacheState, Plan, ResolvedInput};
use crate::stage::{Places, Stage, StageError};
use anyhow::{Context as _, Result, bail};
use matssl_base::device_name::DeviceName;
use matssl_base::machine::{self, Waker};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, mpsc};

/// A file that is not what the cache has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Path inside the stage's output.
    pub path: String,
    /// In the cache; `None` if it is not there.
    pub cached: Option<Digest>,
    /// Made anew; `None` if it was not.
    pub anew: Option<Digest>,
    /// If both are texts that differ in nothing but numbers: the largest difference between two of them.
    pub largest: Option<f64>,
}

/// How a check ended.
#[derive(Debug)]
pub enum Reproduction {
    /// All files are the same, byte for byte.
    Same {
        /// How many.
        files: usize,
    },
    /// Some are not.
    Differs(Vec<Difference>),
    /// It could not be done.
    Failed {
        /// Decides the exit code.
        class: ErrorClass,
        /// What went wrong.
        message: String,
        /// What the stage said last.
        last_lines: Vec<String>,
    },
}

/// Does `stage`, which is cached, once more, with all threads of this machine, and compares; the cache stays as it is.
///
/// # Errors
/// If it is not cached, or no process can be started.
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
            bail!("{} is not cached any more: run it first", plan.experiment.instances[input.instance].name);
        };
        inputs.push(ResolvedInput::new(input, &plan.experiment.instances[input.instance], of, places));
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
    let log = tempfile::NamedTempFile::new().context("no place for the stage's log")?;
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

/// Does `job` in a private folder and holds what comes out against the record of `material`.
///
/// # Errors
/// As the stage itself.
pub(super) fn check(
    job: &Job,
    stage: &dyn Stage,
    material: &KeyMaterial,
    ground: &Ground,
) -> Result<Vec<Difference>, StageError> {
    let store = &ground.store;
    let record = store.find(material.key()).context("its record is gone from the cache")?;
    let scratch = store.private_folder()?;
    // Not the key's own: a checkpoint would make it another thing than doing it once more.
    let checkpoint = scratch.folder().join("checkpoint");
    produce(job, stage, checkpoint, &scratch, material, ground)?;
    Ok(differences(&record, &scratch.out(), store)?)
}

fn differences(record: &Record, folder: &Path, store: &Store) -> Result<Vec<Difference>> {
    let anew = Output::of_folder(folder)?;
    let paths: BTreeSet<&String> = record.outputs.iter().chain(&anew).map(|output| &output.path).collect();
    let find = |outputs: &[Output], path: &str| outputs.iter().find(|output| output.path == path).cloned();
    let mut found = Vec::new();
    for path in paths {
        let (cached, made) = (find(&record.outputs, path), find(&anew, path));
        if cached.as_ref().map(|output| output.digest) == made.as_ref().map(|output| output.digest) {
            continue;
        }
        let largest = cached.as_ref().zip(made.as_ref()).and_then(|(cached, _)| {
            let before = std::fs::read_to_string(store.object(cached.digest)).ok()?;
            largest_difference(&before, &std::fs::read_to_string(folder.join(path)).ok()?)
        });
        let digest = |output: Option<Output>| output.map(|output| output.digest);
        found.push(Difference { path: path.clone(), cached: digest(cached), anew: digest(made), largest });
    }
    Ok(found)
}

/// The largest difference between numbers at the same place of two texts that are equal but for their numbers.
fn largest_difference(a: &str, b: &str) -> Option<f64> {
    let words = |text: &str| -> Vec<String> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
        let mut words = vec![String::new()];
        let mut inside = false;
        for c in text.chars() {
            if is_word(c) != inside {
                words.push(String::new());
                inside = !inside;
            }
            words.last_mut().expect("never empty").push(c);
        }
        words
    };
    let (a, b) = (words(a), words(b));
    if a.len() != b.len() {
        return None;
    }
    let mut largest = 0.0_f64;
    for (a, b) in a.iter().zip(&b).filter(|(a, b)| a != b) {
        largest = largest.max((a.parse::<f64>().ok()? - b.parse::<f64>().ok()?).abs());
    }
    Some(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_differ_in_numbers_only_are_told_by_how_much() {
        let text = |miou: &str| format!("{{\"miou\": {miou}, \"seed\": 3}}");
        assert_eq!(largest_difference(&text("0.5"), &text("0.75")), Some(0.25));
        assert_eq!(largest_difference(&text("1e-3"), &text("1e-3")), Some(0.0));
        assert_eq!(largest_difference(&text("0.5"), &text("nothing")), None);
        assert_eq!(largest_difference("a,1", "b,1"), None);
    }
}
