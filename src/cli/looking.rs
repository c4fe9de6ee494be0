//! Says that images are being compared, if that takes long enough for somebody to wonder.

use super::progress::say;
use crate::exec::Signals;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Nobody wonders before.
const PATIENCE: Duration = Duration::from_secs(1);
/// Lines in a pipe are at least so far apart.
const PLAIN_EVERY: Duration = Duration::from_secs(10);
const WHAT: &str = "looking for images that are on both sides, trained on and scored on";

/// A search at the end of a run; dropped when that ends.
pub(super) struct Looking<'a> {
    quiet: bool,
    /// A Ctrl-C ends the search.
    signals: Option<&'a Signals>,
    started: Instant,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    bar: Option<ProgressBar>,
    last_line: Option<Instant>,
}

impl<'a> Looking<'a> {
    pub(super) fn new(quiet: bool, signals: Option<&'a Signals>) -> Self {
        Looking { quiet, signals, started: Instant::now(), shown: Mutex::default() }
    }

    /// `done` of `total` images are done; whether to go on.
    pub(super) fn seen(&self, done: usize, total: usize) -> bool {
        if !self.quiet && self.started.elapsed() > PATIENCE {
            self.show(done, total);
        }
        !self.stopped()
    }

    /// Somebody has asked to stop.
    pub(super) fn stopped(&self) -> bool {
        self.signals.is_some_and(|signals| signals.interrupts() > 0)
    }

    fn show(&self, done: usize, total: usize) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if std::io::stderr().is_terminal() {
            let bar = shown.bar.get_or_insert_with(|| {
                let bar = ProgressBar::new(total as u64);
                let style = ProgressStyle::with_template("{msg} {bar:20} {pos}/{len}");
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                bar.set_message(WHAT);
                bar
            });
            bar.set_position(bar.position().max(done as u64));
        } else if shown.last_line.is_none_or(|at| at.elapsed() > PLAIN_EVERY) {
            shown.last_line = Some(Instant::now());
            say(&format!("{WHAT}: {} %", 100 * done / total.max(1)));
        }
    }
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.shown.get_mut().unwrap_or_else(PoisonError::into_inner).bar {
            bar.finish_and_clear();
        }
    }
}
