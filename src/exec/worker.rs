//! The worker: one process, one stage. The same locally and, later, on a cluster node.

use super::job::{ErrorClass, Job, Message};
use super::provenance::provenance;
use crate::cache::{Attempt, Key, KeyMaterial, Store, WorkFolder};
use crate::machine::{self, Asked};
use crate::nn::OpenDevice;
use crate::plan::{ResolvedInput, material};
use crate::stage::{self, Context, InputFiles, Kind, StageError};
use anyhow::{Context as _, anyhow};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Read, Write};
use std::time::{Duration, Instant};

/// Reads a [`Job`] from standard input, does it, and says how it went on standard output. True if it was done.
///
/// # Errors
/// If the job cannot be read at all.
pub fn work() -> anyhow::Result<bool> {
    ignore_checkpoint_signals();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("no job on standard input")?;
    let job: Job = serde_json::from_str(&line).context("the job on standard input is not one of this program's")?;
    die_with_the_run();
    // This thread belongs to the pool: handing each of a step's many small jobs over to another would cost two wake-ups.
    rayon::ThreadPoolBuilder::new().num_threads(job.threads).use_current_thread().build_global()?;
    let started = Instant::now();
    let message = match do_stage(&job) {
        Ok((key, ran)) => Message::Finished { key, ran, seconds: started.elapsed().as_secs_f64() },
        Err(error) => Message::Failed { class: ErrorClass::from(&error), message: error.to_string() },
    };
    say(&message);
    Ok(matches!(message, Message::Finished { .. }))
}

/// Standard input stays open as long as the run lives, however it ends. When it closes, this process and all that it
/// started (they share its process group) are killed.
fn die_with_the_run() {
    std::thread::spawn(|| {
        let mut rest = [0; 64];
        while !matches!(std::io::stdin().lock().read(&mut rest), Ok(0) | Err(_)) {}
        // SAFETY: plain system call; the run made this process the leader of a group of its own.
        unsafe { libc::kill(-libc::getpgrp(), libc::SIGKILL) };
    });
}

/// Until a training listens: whoever sends SIGUSR1 to all processes of a job does not mean to end those that have nothing to
/// save.
fn ignore_checkpoint_signals() {
    // SAFETY: plain system call; ignoring a signal runs no code of ours.
    unsafe { libc::signal(libc::SIGUSR1, libc::SIG_IGN) };
}

fn say(message: &Message) {
    let Ok(mut line) = serde_json::to_string(message) else { return };
    line.push('\n');
    let mut out = std::io::stdout().lock();
    // If nobody listens any more the run is gone, and `die_with_the_run` sees to the rest.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

fn do_stage(job: &Job) -> Result<(Key, bool), StageError> {
    let kind = stage::kind(&job.kind).ok_or_else(|| anyhow!("no kind of stage is called {}", job.kind))?;
    let store = Store::open(&job.cache)?;
    let material = material(&job.kind, &job.params, job.seed, &job.inputs, &store, &job.places)?;
    let key = material.key();
    let work = store.work(key);
    match attempt_stage(job, kind, &store, &work, material) {
        Ok(ran) => Ok((key, ran)),
        // Another process has finished the same meanwhile and taken the work folder away: no matter how we fared.
        Err(_) if !job.force && store.find(key).is_some() => Ok((key, false)),
        Err(error) => Err(error),
    }
}

/// Waits until nobody else is at it, and does it. False if another process has done it.
fn attempt_stage(
    job: &Job,
    kind: &Kind,
    store: &Store,
    work: &WorkFolder,
    material: KeyMaterial,
) -> Result<bool, StageError> {
    let is_done = || !job.force && store.find(material.key()).is_some();
    let mut waits = false;
    loop {
        if is_done() {
            return Ok(false);
        }
        match work.begin()? {
            // Whoever held the lock until now may have finished in between.
            Some(attempt) if is_done() => {
                work.remove(attempt);
                return Ok(false);
            }
            Some(attempt) => {
                make(job, kind, store, work, &attempt, material)?;
                work.remove(attempt);
                return Ok(true);
            }
            None => {
                if !waits {
                    say(&Message::WaitsForOther);
                    waits = true;
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }
}

/// Does the stage and writes its record.
fn make(
    job: &Job,
    kind: &Kind,
    store: &Store,
    work: &WorkFolder,
    attempt: &Attempt,
    material: KeyMaterial,
) -> Result<(), StageError> {
    let started = Instant::now();
    let external = (kind.external_files)(&job.params, &job.places)?;
    let external = external
        .into_iter()
        .filter_map(|(name, path)| material.files.get(&name).map(|digest| (name, (path, digest.to_string()))))
        .collect();
    let mut context = Context {
        name: job.stage.clone(),
        seed: material.seed.unwrap_or(0),
        inputs: open_inputs(&job.inputs, job, store)?,
        external,
        out: attempt.out(),
        checkpoint: work.checkpoint(),
        device: job.device,
        opened: None,
        places: job.places.clone(),
        checkpoint_wait: job.checkpoint_wait,
        tensorboard: job.tensorboard.clone(),
        // What does not train has nothing to save: SIGTERM ends it at once.
        asked: if kind.trains { Asked::listen()? } else { Asked::default() },
        telemetry: BTreeMap::new(),
        on_progress: Box::new(|progress| say(&Message::Progress(progress.clone()))),
    };
    (kind.run)(&job.params, &mut context)?;
    let mut telemetry = context.telemetry;
    if let Some(peak) = machine::peak_memory_mib() {
        telemetry.insert("peak_memory_mib".into(), peak.into());
    }
    let device = context.opened.as_ref();
    if let Some(peak) = device.and_then(OpenDevice::peak_memory) {
        telemetry.insert("peak_gpu_memory_mib".into(), peak.div_ceil(1 << 20).into());
    }
    let device = device.map_or_else(|| "cpu".to_owned(), OpenDevice::describe);
    store.publish(material, &attempt.out(), provenance(job, started, store, device), telemetry, job.force)?;
    Ok(())
}

/// Finds the files of each input, reads each once to see that it is whole, and groups them by role.
fn open_inputs(
    inputs: &[ResolvedInput],
    job: &Job,
    store: &Store,
) -> Result<BTreeMap<String, Vec<InputFiles>>, StageError> {
    let mut roles: BTreeMap<String, Vec<InputFiles>> = BTreeMap::new();
    let mut whole = BTreeSet::new();
    for input in inputs {
        let name = &input.stage;
        let record = store.find(input.key).ok_or_else(|| anyhow!("the output of {name} is gone from the cache"))?;
        if record.content != input.content {
            return Err(anyhow!("the output of {name} was made anew meanwhile and differs; run again").into());
        }
        if let Some(output) = store.damaged(&record, &mut whole) {
            let object = store.object(output.digest);
            let (path, object) = (&output.path, object.display());
            let message = "is damaged in the cache; make it anew with";
            return Err(anyhow!("{path} of {name} {message} `--force {name}` (its file is {object})").into());
        }
        let kind = stage::kind(&input.kind).ok_or_else(|| anyhow!("no kind of stage is called {}", input.kind))?;
        let source = (kind.source)(&input.params, &job.places)?;
        let files = InputFiles { label: input.label.clone(), seed: input.seed, files: store.files(&record), source };
        roles.entry(input.role.clone()).or_default().push(files);
    }
    Ok(roles)
}
