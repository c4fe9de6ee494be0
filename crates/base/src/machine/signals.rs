//! What signals ask of a training: to write a checkpoint, or to write one and stop.

use super::Waker;
use signal_hook::consts::{SIGTERM, SIGUSR1};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What signals have asked of this process. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    checkpoint: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    /// Who waits for a stop.
    waiting: Arc<Mutex<Option<Waker>>>,
}

impl Asked {
    /// Handles signals from now on: SIGUSR1 asks for a checkpoint, SIGTERM for a checkpoint and a stop. Batch systems send either
    /// of them before they kill a job.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub fn listen() -> std::io::Result<Self> {
        let asked = Asked::default();
        signal_hook::flag::register(SIGUSR1, asked.checkpoint.clone())?;
        asked.listen_to(&[SIGTERM])
    }

    /// Handles signals from now on, in a job of a batch system that sends SIGUSR1 some time before it kills the job: both
    /// SIGUSR1 and SIGTERM ask for a checkpoint and a stop. Also returns whether SIGUSR1 came.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub fn listen_in_job() -> std::io::Result<(Self, Arc<AtomicBool>)> {
        let (asked, came) = (Asked::default(), Arc::new(AtomicBool::new(false)));
        signal_hook::flag::register(SIGUSR1, came.clone())?;
        Ok((asked.listen_to(&[SIGTERM, SIGUSR1])?, came))
    }

    /// Handles `signals` from now on: each asks for a stop.
    fn listen_to(self, signals: &[i32]) -> std::io::Result<Self> {
        let asked = self;
        // A signal handler may not wake a thread, but it may write to a pipe.
        let (mut read, write) = UnixStream::pair()?;
        for &signal in signals {
            signal_hook::flag::register(signal, asked.stop.clone())?;
            signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
        }
        let stopped = asked.clone();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            let mut byte = [0];
            while read.read_exact(&mut byte).is_ok() {
                stopped.wake();
            }
        })?;
        Ok(asked)
    }

    /// Wakes `waker` when a stop is asked for, or now if that was before.
    pub fn wake_on_stop(&self, waker: &Waker) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
        if self.stop() {
            waker.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waiting.lock().unwrap_or_else(PoisonError::into_inner) {
            waker.wake();
        }
    }

    /// Whether a checkpoint was asked for since the last call.
    pub fn checkpoint(&self) -> bool {
        self.checkpoint.swap(false, Ordering::Relaxed)
    }

    /// Whether a stop was asked for.
    pub fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Asks for a checkpoint, as SIGUSR1 does.
    pub fn ask_for_checkpoint(&self) {
        self.checkpoint.store(true, Ordering::Relaxed);
    }

    /// Asks for a stop, as SIGTERM does.
    pub fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake();
    }
}

/// Ignores SIGUSR1 until a training listens: sent to all processes of a job, it must not kill stages without checkpoints.
pub fn ignore_checkpoint_signals() {
    // SAFETY: plain system call; ignoring a signal runs no code of ours.
    unsafe { libc::signal(SIGUSR1, libc::SIG_IGN) };
}
