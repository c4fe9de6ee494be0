//! Progress of the comparison of images at the end of a run, shown once it takes more than a second.

use super::output::say;
use crate::exec::Signals;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Nothing is shown before.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time between two lines in a pipe.
const PLAIN_EVERY: Duration = Duration::from_secs(10);
const WHAT: &str = "looking for images that are both trained on and scored on";

/// Shown from its creation until it is dropped.
pub(super) struct ComparisonProgress<'a> {
    quiet: bool,
    /// Ctrl-C ends the comparison.
    signals: Option<&'a Signals>,
    started: Instant,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    bar: Option<ProgressBar>,
    last_line: Option<Instant>,
}

impl<'a> ComparisonProgress<'a> {
    pub(super) fn new(quiet: bool, signals: Option<&'a Signals>) -> Self {
        ComparisonProgress { quiet, signals, started: Instant::now(), shown: Mutex::default() }
    }

    /// Called when `done` of `total` images are done. Returns whether to go on.
    pub(super) fn seen(&self, done: usize, total: usize) -> bool {
        if !self.quiet && self.started.elapsed() > PATIENCE {
            self.show(done, total);
        }
        !self.is_stopped()
    }

    /// Whether a signal asked to stop.
    pub(super) fn is_stopped(&self) -> bool {
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

impl Drop for ComparisonProgress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.shown.get_mut().unwrap_or_else(PoisonError::into_inner).bar {
            bar.finish_and_clear();
        }
    }
}
