//! What signals ask of a training: to write a checkpoint, or to write one and stop.

use signal_hook::consts::{SIGTERM, SIGUSR1};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What signals have asked of this process. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    checkpoint: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
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
        Ok(asked)
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
    }
}
