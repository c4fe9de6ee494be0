//! The guard: a process that does nothing but outlive a run that was killed, and end what that run had started.

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
        // Whoever unmounts or removes the folder of the run shall not find it in use.
        command.env_remove(machine::MARK).current_dir("/").process_group(0);
        Ok(Guard { process: command.spawn().context("cannot start the guard process")? })
    }

    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }
}

/// How long a run may still take for its last words after it has let go of its guard.
const LAST_WORDS: Duration = Duration::from_secs(60);

/// What the guard does: ends what runs left whose own guard was killed, too; waits until its run, the process `parent`, is
/// gone; then kills what carries the run's mark, and removes private folders below `work` whose processes are dead, the
/// run's among them, for which nobody shall have to wait.
pub fn guard(run: &str, parent: u32, work: &Path) {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1] {
        // SAFETY: plain system call; ignoring a signal runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    machine::kill_marked(&orphaned(work));
    let mut rest = [0; 64];
    while !matches!(std::io::stdin().lock().read(&mut rest), Ok(0) | Err(_)) {}
    machine::kill_marked(&[run.to_owned()]);
    // The system closes a process's files one after the other: its folders may be locked for a moment longer than this one's
    // standard input is open. It has let go of all when its children have another parent.
    let since = Instant::now();
    while std::os::unix::process::parent_id() == parent && since.elapsed() < LAST_WORDS {
        std::thread::sleep(Duration::from_millis(2));
    }
    cache::remove_dead(work);
}

/// The marks of processes whose run has ended. It was one on the cache of `work`: of others nothing is known.
fn orphaned(work: &Path) -> Vec<String> {
    let runs = work.with_file_name("runs");
    let is_over = |mark: &String| !mark.contains('/') && cache::life(&runs.join(mark)) == cache::Life::Ended;
    machine::marks().into_iter().filter(is_over).collect()
}
