//! The local executor: worker processes on this machine.

use super::job::{ErrorClass, Job, Message};
use crate::machine;
use anyhow::{Context as _, Result};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;

/// Something a worker said, or its end. The last message of each job is `Finished` or `Failed`.
pub(super) struct Report {
    /// The number under which the job was started.
    pub(super) id: usize,
    pub(super) message: Message,
}

/// Worker processes of this run.
pub(super) struct LocalExecutor {
    program: PathBuf,
    reports: Sender<Report>,
    /// Held open while a worker lives: closing it, by will or by death, ends the worker.
    lifelines: HashMap<usize, Lifeline>,
}

struct Lifeline {
    group: i32,
    _stdin: ChildStdin,
}

impl LocalExecutor {
    pub(super) fn new(reports: Sender<Report>) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        Ok(LocalExecutor { program, reports, lifelines: HashMap::new() })
    }

    /// Starts a worker on `job`; its standard error goes to `log`.
    pub(super) fn start(&mut self, id: usize, job: &Job, log: &Path) -> Result<()> {
        let log_file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(&self.program);
        machine::tune_allocator(&mut command);
        let mut child = command
            .arg("worker")
            // candle and gemm ask these; the worker's own pool is built from the job.
            .env("RAYON_NUM_THREADS", job.threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file)
            // A group of its own: Ctrl-C in the terminal reaches the run alone, and one signal reaches the worker
            // and all that it started.
            .process_group(0)
            .spawn()
            .context("cannot start a worker process")?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            anyhow::bail!("the worker has no pipes");
        };
        let mut line = serde_json::to_vec(job)?;
        line.push(b'\n');
        // A worker that died at once is reported by its exit status, not by this broken pipe.
        let _ = stdin.write_all(&line);
        let group = child.id() as i32;
        self.lifelines.insert(id, Lifeline { group, _stdin: stdin });
        let reports = self.reports.clone();
        std::thread::spawn(move || {
            let mut last = None;
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(message @ (Message::Finished { .. } | Message::Failed { .. })) => last = Some(message),
                    Ok(message) => drop(reports.send(Report { id, message })),
                    // Output of a library: not ours, not worth stopping for.
                    Err(_) => {}
                }
            }
            let status = child.wait();
            let ended = status.as_ref().ok().and_then(ExitStatusExt::signal) == Some(libc::SIGTERM);
            let message = last.unwrap_or_else(|| Message::Failed {
                class: if ended { ErrorClass::Stopped } else { ErrorClass::Failed },
                message: match status {
                    Ok(status) => format!("the worker died without a word ({})", describe(status)),
                    Err(error) => format!("the worker was lost: {error}"),
                },
            });
            let _ = reports.send(Report { id, message });
        });
        Ok(())
    }

    /// Forgets a worker that has ended, and ends whatever it left running.
    pub(super) fn ended(&mut self, id: usize) {
        self.lifelines.remove(&id);
    }

    /// Asks all workers to end: one that trains writes a checkpoint first.
    pub(super) fn ask_to_stop(&self) {
        self.send(libc::SIGTERM);
    }

    /// Asks those that train for a checkpoint; others hear nothing.
    pub(super) fn ask_for_checkpoints(&self) {
        self.send(libc::SIGUSR1);
    }

    fn send(&self, signal: i32) {
        for lifeline in self.lifelines.values() {
            // SAFETY: plain system call. The worker may be gone already, which is no error here.
            unsafe { libc::kill(lifeline.group, signal) };
        }
    }

    /// Whether no worker is left.
    pub(super) fn is_idle(&self) -> bool {
        self.lifelines.is_empty()
    }

    /// Ends all workers now; their checkpoints stay.
    pub(super) fn stop_all(&mut self) {
        self.lifelines.clear();
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        // SAFETY: plain system call. The group may be gone already, which is no error here.
        unsafe { libc::kill(-self.group, libc::SIGKILL) };
    }
}

fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(libc::SIGKILL) => "killed by signal 9: by somebody, or by the system for want of memory".into(),
        Some(signal) => format!("signal {signal}"),
        None => status.to_string(),
    }
}
