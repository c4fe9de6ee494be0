//! The processes of a run, found in the system's table, and signals to them.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

/// What there is to strike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Part {
    /// A program that a stage started.
    Program,
    /// A worker process.
    Worker,
    /// The process that outlives a killed run.
    Guard,
}

/// How a run ended.
pub(crate) struct Ended {
    /// None if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

/// The living children of the process `run`, which works on the cache `cache`.
pub(crate) fn children(run: u32, part: Part, cache: &Path) -> Vec<i32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter(|&process| parent(process) == Some(run) && is(process, part, cache)).collect()
}

/// Fields of `stat` follow the name in brackets: state, parent.
fn stat(process: i32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn parent(process: i32) -> Option<u32> {
    stat(process).filter(|(state, _)| *state != 'Z').map(|(_, parent)| parent)
}

fn is(process: i32, part: Part, cache: &Path) -> bool {
    let command = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let second = command.split(|byte| *byte == 0).nth(1).unwrap_or_default();
    match part {
        Part::Worker => second == b"worker",
        Part::Guard => second == b"guard",
        Part::Program => {
            fs::read_link(format!("/proc/{process}/cwd")).is_ok_and(|cwd| cwd.starts_with(cache.join("work")))
        }
    }
}

/// True if the process was there.
pub(crate) fn send(signal: i32, process: i32) -> bool {
    // SAFETY: plain system call on a process of this test's project.
    unsafe { libc::kill(process, signal) == 0 }
}

/// Whether a process to which SIGSTOP was sent does stand still.
pub(crate) fn stands_still(process: i32) -> bool {
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(100) {
        match stat(process) {
            Some(('T', _)) => return true,
            Some(('Z', _)) | None => return false,
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    false
}

/// Waits for the end of a run; None, and it is killed, if that takes longer than any run may.
pub(crate) fn wait(mut run: Child) -> Option<Ended> {
    /// A hundred times what an undisturbed run takes.
    const LIMIT: Duration = Duration::from_secs(90);
    let since = Instant::now();
    while run.try_wait().unwrap().is_none() {
        if since.elapsed() > LIMIT {
            run.kill().unwrap();
            run.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let output = run.wait_with_output().unwrap();
    Some(Ended { code: output.status.code(), stderr: String::from_utf8_lossy(&output.stderr).into_owned() })
}
