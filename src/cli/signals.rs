//! Signals to a run: Ctrl-C, SIGTERM and a closed terminal end it in order; SIGUSR1 asks for checkpoints.

use crate::exec::Signals;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Counts SIGINT, SIGTERM and SIGHUP, and notes SIGUSR1, in `signals`.
///
/// A SIGINT or SIGHUP that is ignored when this program starts stays ignored, as `nohup` and a shell's `&` want it.
///
/// # Errors
/// If the system refuses the handler.
pub(super) fn listen(signals: &Arc<Signals>) -> Result<()> {
    let ignored: Vec<i32> = [libc::SIGINT, libc::SIGHUP].into_iter().filter(|&signal| is_ignored(signal)).collect();
    let counted = Arc::clone(signals);
    ctrlc::set_handler(move || {
        counted.interrupts.fetch_add(1, Ordering::Relaxed);
    })?;
    signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::clone(&signals.checkpoint))?;
    for signal in ignored {
        // SAFETY: plain system call; ignoring a signal runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    Ok(())
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: a zeroed sigaction is a valid value of this plain struct.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: with no new action this call only writes the present one to `now`.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), &mut now) };
    asked == 0 && now.sa_sigaction == libc::SIG_IGN
}
