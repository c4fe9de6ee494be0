//! What signals ask of a training: a checkpoint, or a checkpoint and an end.

use signal_hook::consts::{SIGTERM, SIGUSR1};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What has been asked of this process. Cheap to clone; the clones are one.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    checkpoint: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

impl Asked {
    /// Listens from now on: SIGUSR1 asks for a checkpoint, SIGTERM for a checkpoint and an end (batch systems send either
    /// before they kill).
    ///
    /// # Errors
    /// If the system refuses.
    pub fn listen() -> std::io::Result<Self> {
        let asked = Asked::default();
        signal_hook::flag::register(SIGUSR1, asked.checkpoint.clone())?;
        signal_hook::flag::register(SIGTERM, asked.stop.clone())?;
        Ok(asked)
    }

    /// Whether a checkpoint is asked for; once told, it is no longer.
    pub fn checkpoint(&self) -> bool {
        self.checkpoint.swap(false, Ordering::Relaxed)
    }

    /// Whether an end is asked for.
    pub fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Asks for a checkpoint, as SIGUSR1 does.
    pub fn ask_for_checkpoint(&self) {
        self.checkpoint.store(true, Ordering::Relaxed);
    }

    /// Asks for an end, as SIGTERM does.
    pub fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
