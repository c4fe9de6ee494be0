//! The worker: one process, one stage. The same locally and, later, on a cluster node.

use super::job::{ErrorClass, Job, Message};
use super::machine;
use crate::cache::{Key, Provenance, Store, host_name};
use crate::plan::{ResolvedInput, material};
use crate::stage::{self, Context, InputFiles, StageError};
use anyhow::{Context as _, anyhow};
use std::collections::BTreeMap;
use std::io::{BufRead, Read, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reads a [`Job`] from standard input, does it, and says how it went on standard output. True if it was done.
///
/// # Errors
/// If the job cannot be read at all.
pub fn work() -> anyhow::Result<bool> {
    machine::keep_freed_memory();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("no job on standard input")?;
    let job: Job = serde_json::from_str(&line).context("the job on standard input is not one of this program's")?;
    die_with_the_run();
    rayon::ThreadPoolBuilder::new().num_threads(job.threads).build_global()?;
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
    let attempt = loop {
        if store.find(key).is_some() {
            return Ok((key, false));
        }
        match work.begin()? {
            // Whoever held the lock until now may have finished in between.
            Some(_) if store.find(key).is_some() => return Ok((key, false)),
            Some(attempt) => break attempt,
            None => {
                say(&Message::WaitsForOther);
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    };
    let started = Instant::now();
    let external = (kind.external_files)(&job.params, &job.places)?;
    let external = external
        .into_iter()
        .filter_map(|(name, path)| material.files.get(&name).map(|digest| (name, (path, digest.to_string()))))
        .collect();
    let mut context = Context {
        name: job.stage.clone(),
        seed: material.seed.unwrap_or(0),
        inputs: open_inputs(&job.inputs, job, &store)?,
        external,
        out: attempt.out(),
        checkpoint: work.checkpoint(),
        places: job.places.clone(),
        telemetry: BTreeMap::new(),
        on_progress: Box::new(|progress| say(&Message::Progress(progress.clone()))),
    };
    (kind.run)(&job.params, &mut context)?;
    let mut telemetry = context.telemetry;
    if let Some(peak) = machine::peak_memory_mib() {
        telemetry.insert("peak_memory_mib".into(), peak.into());
    }
    let made = Provenance {
        stage: format!("{}/{}", job.experiment, job.stage),
        program: format!("matssl-run {}", env!("CARGO_PKG_VERSION")),
        host: host_name(),
        cpu: machine::cpu_model(),
        device: "cpu".into(),
        threads: job.threads,
        finished_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        seconds: started.elapsed().as_secs_f64(),
    };
    store.publish(material, &attempt.out(), made, telemetry)?;
    drop(attempt);
    work.remove();
    Ok((key, true))
}

/// Finds the files of each input and groups them by role.
fn open_inputs(
    inputs: &[ResolvedInput],
    job: &Job,
    store: &Store,
) -> Result<BTreeMap<String, Vec<InputFiles>>, StageError> {
    let mut roles: BTreeMap<String, Vec<InputFiles>> = BTreeMap::new();
    for input in inputs {
        let record =
            store.find(input.key).ok_or_else(|| anyhow!("the output of {} is gone from the cache", input.label))?;
        let kind = stage::kind(&input.kind).ok_or_else(|| anyhow!("no kind of stage is called {}", input.kind))?;
        let source = (kind.source)(&input.params, &job.places)?;
        let files = InputFiles { label: input.label.clone(), seed: input.seed, files: store.files(&record), source };
        roles.entry(input.role.clone()).or_default().push(files);
    }
    Ok(roles)
}
