//! The worker of a job: runs one task of a batch and leaves its messages there.

use super::super::job::{Job, Message};
use super::super::program::Program;
use super::super::worker::{Duties, do_stage};
use super::batch::{Batch, Task};
use super::commands;
use crate::cache::{Store, WorkFolder, host_name};
use crate::events::ErrorClass;
use crate::stage::Kind;
use anyhow::{Context as _, Result};
use matssl_base::machine::{self, Asked};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Least time between two messages of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);
/// Time between two looks at this process's memory.
const MEMORY_EVERY: Duration = Duration::from_secs(1);
/// Time for a last checkpoint after the stage's `timeout`.
const GRACE: Duration = Duration::from_secs(10);
/// How long to wait for Slurm to end this process after it was queued again.
const END: Duration = Duration::from_secs(120);

/// Runs task `number` of the batch in `folder`; work in progress goes to `scratch`, if there is one. True if it succeeded.
///
/// # Errors
/// If the task cannot be read, or its messages cannot be written.
pub fn work_task(program: &'static Program, folder: &Path, number: usize, scratch: Option<&Path>) -> Result<bool> {
    let started = Instant::now();
    let root = folder.parent().and_then(Path::parent).context("a batch lies in the folder slurm of a cache")?;
    let store = Store::open(root)?;
    let store = match scratch {
        Some(scratch) => store.with_scratch(scratch)?,
        None => store,
    };
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let batch = Batch::named(&store, &name);
    let Task { key, job, timeout } = batch.task(number)?;
    rayon::ThreadPoolBuilder::new().num_threads(job.threads).use_current_thread().build_global()?;
    let trains = Kind::named(program.kinds, &job.kind).is_some_and(|kind| kind.trains);
    // A stage without training has nothing to save: SIGTERM ends it at once, and the notice of the wall time changes nothing.
    let (asked, wall_time) = match trains {
        true => Asked::listen_in_job()?,
        false => {
            machine::ignore_checkpoint_signals();
            (Asked::default(), Arc::default())
        }
    };
    batch.say(number, &Message::Runs { host: host_name() })?;
    watch_memory(&batch, number);
    let timed_out = Arc::new(AtomicBool::new(false));
    if let Some(timeout) = timeout {
        watch_time(&batch, number, timeout, &asked, &timed_out);
    }
    let work = store.work(key);
    let before = work.newest_checkpoint();
    let message = run(program, &job, store, &batch, number, asked, started);
    let message = match message {
        Message::Failed { class: ErrorClass::Stopped, .. } if timed_out.load(Ordering::Relaxed) => {
            timed_out_message(timeout)
        }
        Message::Failed { class: ErrorClass::Stopped, message } => {
            match wall_time.load(Ordering::Relaxed) {
                // Preempted or cancelled: Slurm says which, and what becomes of it.
                false => return Ok(false),
                true => match go_on_later(&batch, number, &work, before)? {
                    Some(message) => message,
                    None => Message::Failed { class: ErrorClass::Lost, message },
                },
            }
        }
        message => message,
    };
    batch.end(number, &message)?;
    Ok(matches!(message, Message::Finished { .. }))
}

/// Runs the stage. Its messages go into the batch's folder; returns the last one.
fn run(
    program: &'static Program,
    job: &Job,
    store: Store,
    batch: &Batch,
    number: usize,
    asked: Asked,
    started: Instant,
) -> Message {
    let last = Mutex::new(None::<Instant>);
    let batch = batch.clone();
    let tell = move |message: Message| {
        if matches!(message, Message::Progress(_)) {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| last.elapsed() < PROGRESS_EVERY) {
                return;
            }
            *last = Some(Instant::now());
        }
        // Progress that cannot be written is no reason to end a training.
        let _ = batch.say(number, &message);
    };
    let duties = Duties { store, asked, tell: Arc::new(tell) };
    do_stage(program, job, duties, started)
        .unwrap_or_else(|error| Message::Failed { class: ErrorClass::from(&error), message: error.to_string() })
}

/// After a last checkpoint at the end of the wall time: queues this job again. Returns only if that cannot be, with the reason.
///
/// # Errors
/// If the message cannot be written.
fn go_on_later(
    batch: &Batch,
    number: usize,
    work: &WorkFolder,
    before: Option<std::time::SystemTime>,
) -> Result<Option<Message>> {
    if work.newest_checkpoint() <= before {
        let message = "its wall time is too short for one checkpoint; raise `time` in the site file's [slurm]";
        return Ok(Some(Message::Failed { class: ErrorClass::TimedOut, message: message.to_owned() }));
    }
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let task = format!("{}_{}", variable("SLURM_ARRAY_JOB_ID"), variable("SLURM_ARRAY_TASK_ID"));
    let why = "its wall time is over; it goes on from its checkpoint".to_owned();
    batch.say(number, &Message::Requeued { why })?;
    if commands::requeue(&task).is_ok() {
        std::thread::sleep(END);
    }
    // Requeueing may be switched off: the run submits it again, because a lost process is retried.
    Ok(None)
}

fn timed_out_message(timeout: Option<Duration>) -> Message {
    let limit = timeout.unwrap_or_default().as_secs_f64();
    let message = format!("took longer than its `timeout` of {limit} s and was ended");
    Message::Failed { class: ErrorClass::TimedOut, message }
}

/// Says how much memory this process has used at most, whenever that has grown by a twentieth. What is known when the system
/// kills it is all that anybody learns.
fn watch_memory(batch: &Batch, number: usize) {
    let batch = batch.clone();
    std::thread::spawn(move || {
        let mut said = 0;
        loop {
            let peak = machine::peak_memory_mib().unwrap_or(0);
            if peak > said + said / 20 {
                said = peak;
                let _ = batch.say(number, &Message::Memory { mib: peak });
            }
            std::thread::sleep(MEMORY_EVERY);
        }
    });
}

/// Ends the stage after its `timeout`: one that trains writes a checkpoint first.
fn watch_time(batch: &Batch, number: usize, timeout: Duration, asked: &Asked, timed_out: &Arc<AtomicBool>) {
    let (batch, asked, timed_out) = (batch.clone(), asked.clone(), Arc::clone(timed_out));
    std::thread::spawn(move || {
        std::thread::sleep(timeout);
        timed_out.store(true, Ordering::Relaxed);
        asked.ask_to_stop();
        std::thread::sleep(GRACE);
        let _ = batch.end(number, &timed_out_message(Some(timeout)));
        std::process::exit(3);
    });
}
