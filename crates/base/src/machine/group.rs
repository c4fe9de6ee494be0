//! Programs that a stage starts, with everything that they start themselves.

use super::Waker;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Runs one program at a time, in a process group of its own, to which another thread may send signals. Clones share one group.
#[derive(Clone, Debug, Default)]
pub struct Group(Arc<Mutex<GroupState>>);

#[derive(Debug, Default)]
struct GroupState {
    /// The group's number until the program is reaped: until then no other group gets that number.
    running: Option<i32>,
    /// Whether no more programs may start.
    closed: bool,
    /// Who waits for that.
    waiting: Option<Waker>,
}

impl GroupState {
    fn close(&mut self) {
        self.closed = true;
        if let Some(waker) = &self.waiting {
            waker.wake();
        }
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// Peak memory in MiB: the largest of the program and the processes that it waited for.
    pub peak_memory_mib: u64,
    /// Processor time in seconds of the program and the processes that it waited for.
    pub cpu_seconds: f64,
    /// Whether it was asked to stop before it ended: then its output may be incomplete, whatever its exit code.
    pub asked_to_stop: bool,
}

impl Group {
    /// Runs `command` to its end, then kills the processes that it left running in its group.
    ///
    /// # Errors
    /// If it cannot be started, or the group was [closed](Group::close).
    pub fn run(&self, command: &mut Command) -> io::Result<Ended> {
        let process = {
            let mut state = self.state();
            if state.closed {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "the run was stopped"));
            }
            let process = command.process_group(0).spawn()?.id() as i32;
            state.running = Some(process);
            process
        };
        let waited = wait_unreaped(process);
        let mut state = self.state();
        // The leader is dead but not reaped yet, so the number still belongs to its group.
        kill_group(process, libc::SIGKILL);
        state.running = None;
        waited?;
        Ok(Ended { asked_to_stop: state.closed, ..reap(process)? })
    }

    /// Sends `signal` to the program and its whole group, if one runs.
    pub fn signal(&self, signal: i32) {
        if let Some(group) = self.state().running {
            kill_group(group, signal);
        }
    }

    /// Kills the program and its group. No more programs will start.
    pub fn close(&self) {
        self.state().close();
        self.signal(libc::SIGKILL);
    }

    /// Asks the program and its group to stop (SIGTERM). No more programs will start.
    pub fn ask_to_stop(&self) {
        self.state().close();
        self.signal(libc::SIGTERM);
        // A suspended process gets the first signal only when it continues.
        self.signal(libc::SIGCONT);
    }

    /// Wakes `waker` when no more programs may start, or now if that is so already.
    pub fn wake_on_close(&self, waker: &Waker) {
        let mut state = self.state();
        state.waiting = Some(waker.clone());
        if state.closed {
            waker.wake();
        }
    }

    /// Whether no more programs may start.
    pub fn is_closed(&self) -> bool {
        self.state().closed
    }

    fn state(&self) -> MutexGuard<'_, GroupState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kill_group(group: i32, signal: i32) {
    // SAFETY: plain system call. The group may be empty, which is no error here.
    unsafe { libc::kill(-group, signal) };
}

/// Waits until `process`, a child of this one, is dead, and returns how it ended. Does not reap it: until then no other process
/// or group gets its number.
///
/// # Errors
/// If it is not a child, or was reaped already.
pub fn wait_unreaped(process: i32) -> io::Result<ExitStatus> {
    loop {
        // SAFETY: a zeroed siginfo_t is a valid value of this plain struct, and the call writes nothing else.
        let (waited, info) = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            (libc::waitid(libc::P_PID, process as libc::id_t, &mut info, libc::WEXITED | libc::WNOWAIT), info)
        };
        match waited {
            0 => {
                // SAFETY: the call above has filled in what belongs to the end of a child.
                let status = unsafe { info.si_status() };
                // Packed as `wait` does it.
                let raw = match info.si_code {
                    libc::CLD_EXITED => status << 8,
                    libc::CLD_DUMPED => status | 0x80,
                    _ => status,
                };
                return Ok(ExitStatus::from_raw(raw));
            }
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

fn reap(process: i32) -> io::Result<Ended> {
    let mut status = 0;
    // SAFETY: a zeroed rusage is a valid value of this plain struct, and the call writes to it and to `status` alone.
    let (reaped, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(process, &mut status, 0, &mut usage), usage)
    };
    if reaped != process {
        return Err(io::Error::last_os_error());
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 * 1e-6;
    // KiB; bytes on Apple's systems.
    let unit = if cfg!(target_vendor = "apple") { 1 << 20 } else { 1 << 10 };
    Ok(Ended {
        status: ExitStatus::from_raw(status),
        peak_memory_mib: (usage.ru_maxrss.max(0) as u64).div_ceil(unit),
        cpu_seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        asked_to_stop: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read};
    use std::time::{Duration, Instant};

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn how_a_process_ended_is_known_before_it_is_reaped() {
        for (script, code, signal) in
            [("exit 3", Some(3), None), ("kill -TERM $$", None, Some(15)), ("exit 0", Some(0), None)]
        {
            let mut child = shell(script).spawn().unwrap();
            let status = wait_unreaped(child.id() as i32).unwrap();
            assert_eq!((status.code(), status.signal()), (code, signal));
            assert_eq!(child.wait().unwrap().into_raw(), status.into_raw());
            assert!(wait_unreaped(child.id() as i32).is_err());
        }
    }

    #[test]
    fn what_a_program_leaves_in_the_background_dies_with_it() {
        let (mut output, held) = io::pipe().unwrap();
        let since = Instant::now();
        let ended = Group::default().run(shell("sleep 100 & exit 3").stdout(held)).unwrap();
        assert_eq!(ended.status.code(), Some(3));
        // The pipe ends when the last process that holds it is gone.
        output.read_to_end(&mut Vec::new()).unwrap();
        assert!(since.elapsed() < Duration::from_secs(50), "`sleep` was not killed");
    }

    #[test]
    fn another_thread_ends_it_and_nothing_starts_afterwards() {
        let group = Group::default();
        let other = group.clone();
        let (output, held) = io::pipe().unwrap();
        let runs = std::thread::spawn(move || other.run(shell("echo started; sleep 100 & wait").stdout(held)));
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).unwrap();
        assert_eq!(line, "started\n");
        group.close();
        assert_eq!(runs.join().unwrap().unwrap().status.signal(), Some(libc::SIGKILL));
        assert_eq!(group.run(&mut shell("true")).unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
