//! The worker: one process, one stage. The same locally and, later, on a cluster node.

use super::attempt::{Ground, Made, attempt, material_of};
use super::check::check;
use super::job::{Job, Message};
use super::program::Program;
use crate::cache::Store;
use crate::events::ErrorClass;
use crate::stage::{Kind, Stage, StageError};
use anyhow::{Context as _, anyhow};
use matssl_base::machine::{Asked, Group};
use std::io::{BufRead, Read, Write};
use std::sync::Arc;
use std::time::Instant;

/// Reads a [`Job`] from standard input, does it, and says how it went on standard output. True if it was done.
///
/// # Errors
/// If the job cannot be read at all.
pub fn work(program: &'static Program) -> anyhow::Result<bool> {
    ignore_checkpoint_signals();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("no job on standard input")?;
    let job: Job = serde_json::from_str(&line).context("the job on standard input is not one of this program's")?;
    die_with_the_run();
    // This thread belongs to the pool: handing each of a step's many small jobs over to another would cost two wake-ups.
    rayon::ThreadPoolBuilder::new().num_threads(job.threads).use_current_thread().build_global()?;
    let started = Instant::now();
    let message = match do_stage(program, &job, started) {
        Ok(message) => message,
        Err(error) => Message::Failed { class: ErrorClass::from(&error), message: error.to_string() },
    };
    say(&message);
    Ok(!matches!(message, Message::Failed { .. }))
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

/// The stage that `job` describes.
fn stage_of(program: &Program, job: &Job) -> anyhow::Result<Arc<dyn Stage>> {
    let kind =
        Kind::named(program.kinds, &job.kind).ok_or_else(|| anyhow!("no kind of stage is called {}", job.kind))?;
    (kind.decode)(&job.params).with_context(|| format!("parameters of a {} stage", kind.name))
}

/// The last message, of a stage begun at `started` that did not fail.
fn do_stage(program: &'static Program, job: &Job, started: Instant) -> Result<Message, StageError> {
    let stage = stage_of(program, job)?;
    let stage = stage.as_ref();
    let ground = Ground {
        program,
        store: Store::open(&job.cache)?,
        records: Vec::new(),
        // What does not train has nothing to save: SIGTERM ends it at once.
        asked: if stage.kind().trains { Asked::listen()? } else { Asked::default() },
        group: Group::default(),
        log: None,
        mark: None,
        tell: Arc::new(|message| say(&message)),
    };
    let material = material_of(job, stage, &ground.store)?;
    let key = material.key();
    if job.check {
        return Ok(Message::Checked { differences: check(job, stage, &material, &ground)? });
    }
    let finished = |ran| Message::Finished { key, ran, seconds: started.elapsed().as_secs_f64() };
    match attempt(job, stage, material, &ground)? {
        Made::Found(_) => Ok(finished(false)),
        Made::Fresh(fresh) => {
            let (draft, end) = fresh.split();
            let written = ground.store.commit(vec![draft]);
            end();
            written.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
            Ok(finished(true))
        }
    }
}
