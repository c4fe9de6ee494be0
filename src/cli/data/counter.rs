//! Progress of work on many images.

use super::super::output::say;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

/// Progress on standard error: a bar on a terminal, one line in a pipe.
pub(in super::super) struct Counter {
    pub(in super::super) quiet: bool,
}

impl Counter {
    /// Shows progress of `what` while `work` runs. `work` reports (done, total), from any thread.
    pub(in super::super) fn during<R>(&self, what: &str, work: impl FnOnce(&(dyn Fn(usize, usize) + Sync)) -> R) -> R {
        self.during_with_detail(what, |progress, _| work(progress))
    }

    /// The same; the second argument of `work` says what it is doing, after the bar.
    pub(in super::super) fn during_with_detail<R>(
        &self,
        what: &str,
        work: impl FnOnce(&(dyn Fn(usize, usize) + Sync), &(dyn Fn(String) + Sync)) -> R,
    ) -> R {
        if self.quiet {
            return work(&|_, _| {}, &|_| {});
        }
        if !std::io::stderr().is_terminal() {
            say(what);
            return work(&|_, _| {}, &|_| {});
        }
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}{prefix}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(what.to_owned());
        let progress = |done: usize, total: usize| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        };
        let result = work(&progress, &|detail| bar.set_prefix(detail));
        bar.finish_and_clear();
        result
    }
}
