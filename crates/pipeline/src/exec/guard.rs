//! The guard: a process that outlives a killed run and ends the processes which that run had started.

use crate::cache;
use anyhow::{Context as _, Result};
use matssl_base::machine;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The guard of this run.
pub(super) struct Guard {
    /// Its standard input stays open as long as this process lives.
    process: Child,
}

impl Guard {
    /// Starts a guard over everything that carries the mark of `run`.
    pub(super) fn start(program: &Path, run: &str, work: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command
            .args(["guard", run])
            .arg(std::process::id().to_string())
            .arg(work)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // The guard must not keep the run's folder in use: a user may want to unmount or remove it.
        command.env_remove(machine::MARK).current_dir("/").process_group(0);
        Ok(Guard { process: command.spawn().context("cannot start the guard process")? })
    }

    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }
}

/// Maximum time that a run may take to end after it has released its guard.
const LAST_WORDS: Duration = Duration::from_secs(60);

/// Runs the guard. First it kills processes left by runs whose guard was killed too. Then it waits until its run, the
/// process `parent`, has ended, kills processes with the run's mark, and removes private folders of dead processes
/// below `work`, so that no other run waits for them.
pub fn guard(run: &str, parent: u32, work: &Path) {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1] {
        // SAFETY: plain system call; ignoring a signal runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    machine::kill_marked(&orphaned(work));
    let mut rest = [0; 64];
    while !matches!(std::io::stdin().lock().read(&mut rest), Ok(0) | Err(_)) {}
    machine::kill_marked(&[run.to_owned()]);
    // The system closes a process's files one after the other, so its folders may stay locked for a moment after our
    // standard input has closed. All locks are released when its children have another parent.
    let since = Instant::now();
    while std::os::unix::process::parent_id() == parent && since.elapsed() < LAST_WORDS {
        std::thread::sleep(Duration::from_millis(2));
    }
    cache::remove_dead(work);
}

/// Marks of processes whose run has ended. Only runs on the cache of `work` are known.
fn orphaned(work: &Path) -> Vec<String> {
    let runs = work.with_file_name("runs");
    let is_over = |mark: &String| !mark.contains('/') && cache::life(&runs.join(mark)) == cache::Life::Ended;
    machine::marks().into_iter().filter(is_over).collect()
}
