//! One try at one stage: wait until nobody else is at it, do it, and have its files in the cache.

use super::job::{Job, Message};
use super::program::Program;
use super::provenance::provenance;
use crate::cache::{Attempt, Digest, Draft, Key, KeyMaterial, Record, Scratch, Store, WorkFolder};
use crate::plan::{KeyedInput, KeyedStage, ResolvedInput, material};
use crate::stage::{Context, InputFiles, Stage, StageError};
use anyhow::anyhow;
use matssl_base::machine::{self, Asked, Group, Waker};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// What a try works with besides its job.
pub(super) struct Ground {
    pub(super) program: &'static Program,
    pub(super) store: Store,
    /// Records of inputs that are at hand, and may not be in the cache yet.
    pub(super) records: Vec<Record>,
    /// What signals ask of a training; others hear nothing.
    pub(super) asked: Asked,
    /// What the programs that it starts belong to.
    pub(super) group: Group,
    /// Where those say what they have to say, if not to this process's standard error.
    pub(super) log: Option<PathBuf>,
    /// What they carry in their environment.
    pub(super) mark: Option<String>,
    /// Who is told of all that happens.
    pub(super) tell: Arc<dyn Fn(Message) + Send + Sync>,
}

/// How a try ended.
pub(super) enum Made {
    /// Somebody else has finished it meanwhile.
    Found(Arc<Record>),
    /// Its files are in the cache; its record is to be written.
    Fresh(Box<Fresh>),
}

/// A finished try whose record is not written yet. It holds the lock of its key until it is [ended](Fresh::end).
pub(super) struct Fresh {
    pub(super) draft: Draft,
    attempt: Attempt,
    work: WorkFolder,
}

impl Fresh {
    /// Clears its folder away; to be called when the record is written, or cannot be.
    pub(super) fn end(attempt: Attempt, work: &WorkFolder) {
        work.remove(attempt);
    }

    /// The draft, and what is to be ended after its record is written.
    pub(super) fn split(self) -> (Draft, impl FnOnce()) {
        let Fresh { draft, attempt, work } = self;
        (draft, move || Fresh::end(attempt, &work))
    }
}

/// The key material of a job: the same function here as in the plan.
///
/// # Errors
/// If its data set is not there or its files cannot be read.
pub(super) fn material_of(job: &Job, stage: &dyn Stage, store: &Store) -> Result<KeyMaterial, StageError> {
    let of = KeyedStage { stage, params: &job.params, seed: job.seed };
    material(of, job.inputs.iter().map(KeyedInput::from), store, &job.places)
}

/// Does the stage that `job` describes, whose key is that of `material`.
///
/// # Errors
/// As the stage itself; nothing of the try then counts.
pub(super) fn attempt(
    job: &Job,
    stage: &dyn Stage,
    material: KeyMaterial,
    ground: &Ground,
) -> Result<Made, StageError> {
    let key = material.key();
    let work = ground.store.work(key);
    match wait_and_make(job, stage, &work, material, ground) {
        // Another process has finished the same meanwhile and taken the work folder away: no matter how we fared.
        Err(error) => match found(job, key, &ground.store) {
            Some(record) => Ok(Made::Found(record)),
            None => Err(error),
        },
        made => made,
    }
}

fn found(job: &Job, key: Key, store: &Store) -> Option<Arc<Record>> {
    if job.force { None } else { store.find(key).map(Arc::new) }
}

/// Waits until nobody else is at it, and does it.
fn wait_and_make(
    job: &Job,
    stage: &dyn Stage,
    work: &WorkFolder,
    material: KeyMaterial,
    ground: &Ground,
) -> Result<Made, StageError> {
    let mut waits = false;
    loop {
        if waits && let Some(record) = found(job, material.key(), &ground.store) {
            return Ok(Made::Found(record));
        }
        match work.begin()? {
            Some(attempt) => {
                // Whoever held the lock until now may have finished in between.
                if let Some(record) = found(job, material.key(), &ground.store) {
                    work.remove(attempt);
                    return Ok(Made::Found(record));
                }
                if waits {
                    (ground.tell)(Message::Begins);
                }
                return match make(job, stage, work, &attempt, material, ground) {
                    Ok(draft) => Ok(Made::Fresh(Box::new(Fresh { draft, attempt, work: work.clone() }))),
                    Err(error) => {
                        work.give_up(attempt);
                        Err(error)
                    }
                };
            }
            None => {
                if !waits {
                    (ground.tell)(Message::WaitsForOther);
                    waits = true;
                }
                let waker = Waker::default();
                work.wake_when_free(waker.clone());
                ground.group.wake_on_close(&waker);
                ground.asked.wake_on_stop(&waker);
                if ground.group.is_closed() || ground.asked.stop() {
                    return Err(StageError::Stopped("stopped while it waited for another run".into()));
                }
                waker.wait();
            }
        }
    }
}

/// Does the stage and takes its files into the cache.
fn make(
    job: &Job,
    stage: &dyn Stage,
    work: &WorkFolder,
    attempt: &Attempt,
    material: KeyMaterial,
    ground: &Ground,
) -> Result<Draft, StageError> {
    let started = Instant::now();
    let (telemetry, device) = produce(job, stage, work.checkpoint(), attempt.scratch(), &material, ground)?;
    let store = &ground.store;
    let made = provenance(ground.program, job, started, store, device);
    Ok(store.draft(material, &attempt.out(), made, telemetry, job.force)?)
}

/// Does the stage in a private folder; returns its telemetry and the device that it computed on.
///
/// # Errors
/// As the stage itself.
pub(super) fn produce(
    job: &Job,
    stage: &dyn Stage,
    checkpoint: PathBuf,
    scratch: &Arc<Scratch>,
    material: &KeyMaterial,
    ground: &Ground,
) -> Result<(BTreeMap<String, serde_json::Value>, String), StageError> {
    let Ground { store, tell, .. } = ground;
    let spawns = stage.kind().spawns;
    let external = stage.external_files(&job.places)?;
    let has_files = !external.is_empty();
    let external = external
        .into_iter()
        .filter_map(|(name, path)| material.files.get(&name).map(|digest| (name, (path, digest.to_string()))))
        .collect();
    let told = Arc::clone(tell);
    let mut context = Context {
        name: job.stage.clone(),
        seed: material.seed.unwrap_or(0),
        inputs: open_inputs(job, ground)?,
        external,
        out: scratch.out(),
        scratch: Some(Arc::clone(scratch)),
        checkpoint,
        threads: job.threads,
        log: ground.log.clone(),
        group: ground.group.clone(),
        mark: ground.mark.clone(),
        device: job.device,
        opened: None,
        places: job.places.clone(),
        checkpoint_wait: job.checkpoint_wait,
        tensorboard: job.tensorboard.clone(),
        asked: ground.asked.clone(),
        telemetry: BTreeMap::new(),
        on_progress: Box::new(move |progress| told(Message::Progress(progress.clone()))),
    };
    stage.run(&mut context)?;
    if spawns && has_files && material_of(job, stage, store)?.files != material.files {
        let message = "files that it reads were changed while it ran; run again";
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

/// Finds the files of each input, reads each once to see that it is whole, and groups them by role.
fn open_inputs(job: &Job, ground: &Ground) -> Result<BTreeMap<String, Vec<InputFiles>>, StageError> {
    let store = &ground.store;
    let mut roles: BTreeMap<String, Vec<InputFiles>> = BTreeMap::new();
    let mut whole: BTreeSet<Digest> = BTreeSet::new();
    for input in &job.inputs {
        let name = &input.stage;
        let at_hand = ground.records.iter().find(|record| record.key == input.key).cloned();
        let record = at_hand.or_else(|| store.find(input.key));
        let record = record.ok_or_else(|| anyhow!("the output of {name} is gone from the cache"))?;
        if record.content != input.content {
            return Err(anyhow!("the output of {name} was made anew meanwhile and differs; run again").into());
        }
        if let Some(output) = store.damaged(&record, &mut whole) {
            let object = store.object(output.digest);
            let (path, object) = (&output.path, object.display());
            let message = "is damaged in the cache; make it anew with";
            return Err(anyhow!("{path} of {name} {message} `--force {name}` (its file is {object})").into());
        }
        let ResolvedInput { label, seed, role, source, .. } = input;
        let (label, source) = (label.clone(), source.clone());
        let files = InputFiles { label, seed: *seed, files: store.files(&record), source };
        roles.entry(role.clone()).or_default().push(files);
    }
    Ok(roles)
}
