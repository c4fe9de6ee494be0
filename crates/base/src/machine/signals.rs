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
        signal_hook::flag::register(SIGTERM, asked.stop.clone())?;
        // A signal handler may not wake a thread, but it may write to a pipe.
        let (mut read, write) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(SIGTERM, write)?;
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
