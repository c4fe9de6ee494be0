//! The worker process, which runs one stage.

use super::attempt::{AttemptOutcome, Services, attempt, material_of};
use super::check::check;
use super::job::{Job, Message};
use super::program::Program;
use crate::cache::Store;
use crate::events::ErrorClass;
use crate::stage::{Kind, Stage, StageError};
use anyhow::{Context as _, anyhow};
use matssl_base::machine::{self, Asked, Group};
use std::io::{BufRead, Read, Write};
use std::sync::Arc;
use std::time::Instant;

/// Reads a [`Job`] from standard input, runs it, and reports the outcome on standard output. True if it succeeded.
///
/// # Errors
/// If the job cannot be read at all.
pub fn work(program: &'static Program) -> anyhow::Result<bool> {
    machine::ignore_checkpoint_signals();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("no job on standard input")?;
    let job: Job = serde_json::from_str(&line).context("cannot read the job on standard input")?;
    die_with_the_run();
    // This thread joins the pool: handing each of a step's many small jobs to another thread would cost two wake-ups.
    rayon::ThreadPoolBuilder::new().num_threads(job.threads).use_current_thread().build_global()?;
    let started = Instant::now();
    let message = match begin(program, &job, started) {
        Ok(message) => message,
        Err(error) => Message::Failed { class: ErrorClass::from(&error), message: error.to_string() },
    };
    say(&message);
    Ok(!matches!(message, Message::Failed { .. }))
}

/// Kills this process and all processes it started (its process group) when standard input closes, which happens as
/// soon as the run ends for any reason.
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
    // If this fails the run has ended, and `die_with_the_run` ends this process.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}

/// The stage that `job` describes.
fn stage_of(program: &Program, job: &Job) -> anyhow::Result<Arc<dyn Stage>> {
    let kind = Kind::named(program.kinds, &job.kind).ok_or_else(|| anyhow!("unknown kind of stage {}", job.kind))?;
    (kind.decode)(&job.params).with_context(|| format!("parameters of a {} stage", kind.name))
}

fn begin(program: &'static Program, job: &Job, started: Instant) -> Result<Message, StageError> {
    let trains = Kind::named(program.kinds, &job.kind).is_some_and(|kind| kind.trains);
    let duties = Duties {
        store: Store::open(&job.cache)?,
        // A stage without training has nothing to save: SIGTERM ends it at once.
        asked: if trains { Asked::listen()? } else { Asked::default() },
        tell: Arc::new(|message| say(&message)),
    };
    do_stage(program, job, duties, started)
}

/// What a worker owes to whoever started it.
pub(super) struct Duties {
    pub(super) store: Store,
    /// Requests from signals.
    pub(super) asked: Asked,
    /// Receives every message but the last.
    pub(super) tell: Arc<dyn Fn(Message) + Send + Sync>,
}

/// Runs the stage. Returns the last message, with the time since `started`.
pub(super) fn do_stage(
    program: &'static Program,
    job: &Job,
    duties: Duties,
    started: Instant,
) -> Result<Message, StageError> {
    let stage = stage_of(program, job)?;
    let stage = stage.as_ref();
    let Duties { store, asked, tell } = duties;
    let services =
        Services { program, store, records: Vec::new(), asked, group: Group::default(), log: None, mark: None, tell };
    let material = material_of(job, stage, &services.store)?;
    let key = material.key();
    if job.check {
        return Ok(Message::Checked { differences: check(job, stage, &material, &services)? });
    }
    let finished = |ran| Message::Finished { key, ran, seconds: started.elapsed().as_secs_f64() };
    match attempt(job, stage, material, &services)? {
        AttemptOutcome::Found(_) => Ok(finished(false)),
        AttemptOutcome::Computed(computed) => {
            let (draft, end) = computed.split();
            let written = services.store.commit(vec![draft]);
            end();
            written.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
            Ok(finished(true))
        }
    }
}
