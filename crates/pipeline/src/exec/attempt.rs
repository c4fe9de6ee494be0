//! One attempt at one stage: waits until no other run works on it, runs it, and stores its files in the cache.

use super::full_disk::with_room_needed;
use super::job::{Job, Message};
use super::program::Program;
use super::provenance::provenance;
use crate::cache::{Attempt, Digest, Draft, Key, KeyMaterial, Record, Scratch, Store, WorkFolder};
use crate::plan::{KeyedInput, KeyedStage, ResolvedInput, material};
use crate::stage::{Context, InputFiles, Kind, Stage, StageError};
use anyhow::anyhow;
use matssl_base::machine::{self, Asked, Group, Waker};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a stage that waits for another run's attempt looks whether that has ended. No event tells of it: the lock
/// belongs to a folder that the other process goes on using after the attempt.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Everything that an attempt uses besides its job.
pub(super) struct Services {
    pub(super) program: &'static Program,
    pub(super) store: Store,
    /// Records of inputs in memory; they may not be in the cache yet.
    pub(super) records: Vec<Record>,
    /// Requests from signals; only a training receives them.
    pub(super) asked: Asked,
    /// Process group of the programs that the stage starts.
    pub(super) group: Group,
    /// Log file of these programs; `None`: standard error of this process.
    pub(super) log: Option<PathBuf>,
    /// Mark in their environment variables.
    pub(super) mark: Option<String>,
    /// Receives every message of the attempt.
    pub(super) tell: Arc<dyn Fn(Message) + Send + Sync>,
}

/// Outcome of an attempt.
pub(super) enum AttemptOutcome {
    /// Another run has finished the stage in the meantime.
    Found(Arc<Record>),
    /// The files are in the cache; the record is not written yet.
    Computed(Box<Computed>),
}

/// A finished attempt whose record is not written yet. It holds the lock of its key until [`Computed::end`].
pub(super) struct Computed {
    pub(super) draft: Draft,
    attempt: Attempt,
    work: WorkFolder,
}

impl Computed {
    /// Removes its folder. Call this once the record is written or has failed to be written.
    pub(super) fn end(attempt: Attempt, work: &WorkFolder) {
        work.remove(attempt);
    }

    /// The draft, and a function to call after its record is written.
    pub(super) fn split(self) -> (Draft, impl FnOnce()) {
        let Computed { draft, attempt, work } = self;
        (draft, move || Computed::end(attempt, &work))
    }
}

/// Key material of a job, from the same function as in the plan.
///
/// # Errors
/// If the data set is missing or its files cannot be read.
pub(super) fn material_of(job: &Job, stage: &dyn Stage, store: &Store) -> Result<KeyMaterial, StageError> {
    let of = KeyedStage { stage, params: &job.params, seed: job.seed };
    material(of, job.inputs.iter().map(KeyedInput::from), store, &job.places)
}

/// Runs the stage that `job` describes; `material` yields its key.
///
/// # Errors
/// The errors of the stage; the attempt then has no effect.
pub(super) fn attempt(
    job: &Job,
    stage: &dyn Stage,
    material: KeyMaterial,
    services: &Services,
) -> Result<AttemptOutcome, StageError> {
    let key = material.key();
    let work = services.store.work(key);
    match wait_and_run(job, stage, &work, material, services) {
        // Another process may have finished the stage and removed the work folder: our error does not matter then.
        Err(error) => match finished_record(job, key, &services.store) {
            Some(record) => Ok(AttemptOutcome::Found(record)),
            None => Err(error),
        },
        outcome => outcome,
    }
}

fn finished_record(job: &Job, key: Key, store: &Store) -> Option<Arc<Record>> {
    if job.force { None } else { store.find(key).map(Arc::new) }
}

/// Waits until no other run works on the stage, then runs it.
fn wait_and_run(
    job: &Job,
    stage: &dyn Stage,
    work: &WorkFolder,
    material: KeyMaterial,
    services: &Services,
) -> Result<AttemptOutcome, StageError> {
    let mut waits = false;
    loop {
        if waits && let Some(record) = finished_record(job, material.key(), &services.store) {
            return Ok(AttemptOutcome::Found(record));
        }
        match work.begin()? {
            Some(attempt) => {
                // The previous holder of the lock may have finished the stage.
                if let Some(record) = finished_record(job, material.key(), &services.store) {
                    work.remove(attempt);
                    return Ok(AttemptOutcome::Found(record));
                }
                if waits {
                    (services.tell)(Message::Begins);
                }
                return match run(job, stage, work, &attempt, material, services) {
                    Ok(draft) => {
                        Ok(AttemptOutcome::Computed(Box::new(Computed { draft, attempt, work: work.clone() })))
                    }
                    Err(error) => {
                        let error = with_room_needed(error, attempt.out(), services.store.root());
                        work.give_up(attempt);
                        Err(error)
                    }
                };
            }
            None => {
                if !waits {
                    (services.tell)(Message::WaitsForOther);
                    waits = true;
                }
                let waker = Waker::default();
                services.group.wake_on_close(&waker);
                services.asked.wake_on_stop(&waker);
                if services.group.is_closed() || services.asked.stop() {
                    return Err(StageError::Stopped("stopped while waiting for another run of this stage".into()));
                }
                waker.wait_for(LOOK_AGAIN);
            }
        }
    }
}

/// Runs the stage and moves its files into the cache.
fn run(
    job: &Job,
    stage: &dyn Stage,
    work: &WorkFolder,
    attempt: &Attempt,
    material: KeyMaterial,
    services: &Services,
) -> Result<Draft, StageError> {
    let started = Instant::now();
    let (telemetry, device) = produce(job, stage, work.checkpoint(), attempt.scratch(), &material, services)?;
    let store = &services.store;
    let made = provenance(services.program, job, started, store, device);
    Ok(store.draft(material, &attempt.out(), made, telemetry, job.force)?)
}

/// Runs the stage in a private folder. Returns its telemetry and the device it used.
///
/// # Errors
/// The errors of the stage.
pub(super) fn produce(
    job: &Job,
    stage: &dyn Stage,
    checkpoint: PathBuf,
    scratch: &Arc<Scratch>,
    material: &KeyMaterial,
    services: &Services,
) -> Result<(BTreeMap<String, serde_json::Value>, String), StageError> {
    let Services { store, tell, .. } = services;
    let spawns = stage.kind().spawns;
    let external = stage.external_files(&job.places)?;
    let has_files = !external.is_empty();
    let external = external
        .into_iter()
        .filter_map(|(name, path)| material.files.get(&name).map(|digest| (name, (path, digest.to_string()))))
        .collect();
    let report = Arc::clone(tell);
    let mut context = Context {
        name: job.stage.clone(),
        seed: material.seed.unwrap_or(0),
        inputs: open_inputs(job, services)?,
        external,
        out: scratch.out(),
        scratch: Some(Arc::clone(scratch)),
        checkpoint,
        threads: job.threads,
        log: services.log.clone(),
        group: services.group.clone(),
        mark: services.mark.clone(),
        device: job.device,
        opened: None,
        places: job.places.clone(),
        checkpoint_wait: job.checkpoint_wait,
        tensorboard: job.tensorboard.clone(),
        asked: services.asked.clone(),
        telemetry: BTreeMap::new(),
        on_progress: Box::new(move |progress| report(Message::Progress(progress.clone()))),
    };
    stage.run(&mut context)?;
    if spawns && has_files && material_of(job, stage, store)?.files != material.files {
        let message = "its input files changed while it ran; run again";
        return Err(StageError::BadData(message.into()));
    }
    let mut telemetry = context.telemetry;
    if !spawns && let Some(peak) = machine::peak_memory_mib() {
        telemetry.insert("peak_memory_mib".into(), peak.into());
    }
    let device = match context.opened {
        Some(device) => {
            telemetry.extend(device.telemetry());
            device.describe()
        }
        None if spawns => job.device.to_string(),
        None => "cpu".to_owned(),
    };
    Ok((telemetry, device))
}

/// Finds the files of each input, verifies each file once against its hash, and groups them by role.
fn open_inputs(job: &Job, services: &Services) -> Result<BTreeMap<String, Vec<InputFiles>>, StageError> {
    let store = &services.store;
    let mut roles: BTreeMap<String, Vec<InputFiles>> = BTreeMap::new();
    let mut verified: BTreeSet<Digest> = BTreeSet::new();
    for input in &job.inputs {
        let name = &input.stage;
        let at_hand = services.records.iter().find(|record| record.key == input.key).cloned();
        let record = at_hand.or_else(|| store.find(input.key));
        let record = record.ok_or_else(|| anyhow!("the output of {name} is no longer in the cache"))?;
        if record.content_for(&input.reads) != input.content {
            return Err(anyhow!("the output of {name} was recomputed in the meantime and differs; run again").into());
        }
        if let Some(output) = store.damaged(&record, &mut verified) {
            let object = store.object(output.digest);
            let (path, object) = (&output.path, object.display());
            let message = "is damaged in the cache; recompute it with";
            return Err(anyhow!("{path} of {name} {message} `--force {name}` (the file is {object})").into());
        }
        let ResolvedInput { label, seed, role, source, .. } = input;
        let (label, source) = (label.clone(), source.clone());
        let mut files = store.files(&record);
        if !input.reads.is_empty() {
            let kind = Kind::named(services.program.kinds, &record.material.kind);
            files.retain(|name, _| input.reads.contains(name) || !kind.is_some_and(|kind| kind.leaves(name)));
        }
        let files = InputFiles { label, seed: *seed, files, source };
        roles.entry(role.clone()).or_default().push(files);
    }
    Ok(roles)
}
