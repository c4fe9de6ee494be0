//! The guard: a process that does nothing but outlive a run that was killed, and end what that run had started.

use crate::machine;
use anyhow::{Context as _, Result};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The guard of this run.
pub(super) struct Guard {
    /// Its standard input stays open as long as this process lives.
    process: Child,
}

impl Guard {
    /// Starts a guard over everything that carries the mark of `run`.
    pub(super) fn start(program: &Path, run: &str) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["guard", run]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Whoever unmounts or removes the folder of the run shall not find it in use.
        command.env_remove(machine::MARK).current_dir("/").process_group(0);
        Ok(Guard { process: command.spawn().context("cannot start the guard process")? })
    }

    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }
}

impl Drop for Guard {
    /// The run has ended in order: nothing is left to guard.
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// What the guard does: waits until its run is gone, then kills what carries its mark.
pub fn guard(run: &str) {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1] {
        // SAFETY: plain system call; ignoring a signal runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    let mut rest = [0; 64];
    while !matches!(std::io::stdin().lock().read(&mut rest), Ok(0) | Err(_)) {}
    machine::kill_marked(&[run.to_owned()]);
}
