//! Signals to a run: Ctrl-C, SIGTERM and a closed terminal end it in order; SIGUSR1 asks for checkpoints.

use crate::exec::Signals;
use anyhow::Result;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Counts SIGINT, SIGTERM and SIGHUP, and notes SIGUSR1, in `signals`.
///
/// A SIGINT or SIGHUP that is ignored when this program starts stays ignored, as `nohup` and a shell's `&` want it.
///
/// # Errors
/// If the system refuses a handler.
pub(super) fn listen(signals: &Arc<Signals>) -> Result<()> {
    let interrupts = [SIGINT, SIGTERM, SIGHUP];
    for signal in interrupts.into_iter().filter(|&signal| signal == SIGTERM || !is_ignored(signal)) {
        let counted = Arc::clone(signals);
        let count = move || {
            counted.interrupts.fetch_add(1, Ordering::Relaxed);
        };
        // SAFETY: `count` adds to an atomic number, which is allowed in a signal handler.
        unsafe { signal_hook::low_level::register(signal, count) }?;
    }
    signal_hook::flag::register(SIGUSR1, Arc::clone(&signals.checkpoint))?;
    wake_the_run(signals)
}

/// A signal handler may not wake a thread, but it may write to a pipe. Handlers run in the order of their registration: what
/// the thread reads has been counted.
fn wake_the_run(signals: &Arc<Signals>) -> Result<()> {
    let (mut read, write) = UnixStream::pair()?;
    let handled = [SIGINT, SIGTERM, SIGHUP, SIGUSR1];
    for signal in handled.into_iter().filter(|&signal| [SIGTERM, SIGUSR1].contains(&signal) || !is_ignored(signal)) {
        signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
    }
    let signals = Arc::clone(signals);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let mut byte = [0];
        while read.read_exact(&mut byte).is_ok() {
            signals.wake();
        }
    })?;
    Ok(())
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: a zeroed sigaction is a valid value of this plain struct.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: with no new action this call only writes the present one to `now`.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), &mut now) };
    asked == 0 && now.sa_sigaction == libc::SIG_IGN
}
