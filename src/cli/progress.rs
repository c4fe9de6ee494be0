//! Progress on standard error: bars on a terminal, lines in a pipe or beside a log.

use super::logging;
use super::output::say;
use super::time_left::TimeLeft;
use super::wording::{plural, short_time};
use crate::events::Event;
use crate::stage::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Minimum time between two progress lines of a stage.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// What is shown of a stage that another run is making.
pub(super) const WAITS_FOR_OTHER_RUN: &str = "waiting for another run of this stage";

/// Shows events as they come.
pub(super) struct Display {
    quiet: bool,
    bars: Option<MultiProgress>,
    overall: Option<ProgressBar>,
    stages: usize,
    done: usize,
    running: BTreeMap<String, Running>,
    time_left: TimeLeft,
    /// When the time left was last estimated. It is not estimated at each of a thousand events.
    estimated_at: Option<Instant>,
    left: Option<Duration>,
    /// Stages that were skipped, by the failed stage that they depend on.
    skipped: BTreeMap<String, Vec<String>>,
    /// Stages that were refused for one reason: each with the words for all of them.
    refused: BTreeMap<String, String>,
}

struct Running {
    /// Time, progress and its unit at the first report of work. Speed counts from there: neither the progress that a
    /// checkpoint brought counts, nor the time before the first step.
    first: Option<(Instant, u64, String)>,
    last_line: Option<Instant>,
    bar: Option<ProgressBar>,
}

impl Display {
    pub(super) fn new(quiet: bool, time_left: TimeLeft) -> Self {
        let bars = (!quiet && std::io::stderr().is_terminal() && !logging::is_on()).then(MultiProgress::new);
        Display {
            quiet,
            bars,
            overall: None,
            stages: 0,
            done: 0,
            running: BTreeMap::new(),
            time_left,
            estimated_at: None,
            left: None,
            skipped: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }

    pub(super) fn show(&mut self, event: &Event) {
        tracing::trace!(?event, "event of the run");
        match event {
            Event::RunStarted { stages, cached, jobs, .. } => {
                self.stages = *stages;
                self.time_left.set_slots(*jobs);
                if let (Some(bars), true) = (&self.bars, cached < stages) {
                    let bar = bars.add(ProgressBar::new(*stages as u64));
                    bar.set_style(style("{bar:30} {pos}/{len} stages  {elapsed}{msg}"));
                    bar.enable_steady_tick(Duration::from_millis(500));
                    self.overall = Some(bar);
                }
            }
            Event::StageHit { stage, .. } => {
                self.time_left.closed(stage);
                self.one_more();
            }
            Event::StageStarted { stage, threads, device, .. } => {
                self.time_left.started(stage, Instant::now());
                self.begin(stage);
                let on = device.as_ref().map(|device| format!(", {device}")).unwrap_or_default();
                self.line(format!("{stage}: started ({}{on})", plural(*threads, "thread")));
            }
            Event::StageSubmitted { .. } => {}
            Event::StageQueued { stage, job, adopted } => {
                self.begin(stage);
                let earlier = if *adopted { ", submitted by another run" } else { "" };
                self.state(stage, &format!("Slurm job {job} waits{earlier}"));
            }
            Event::StageRuns { stage, host } => {
                self.time_left.started(stage, Instant::now());
                self.state(stage, &format!("runs on {host}"));
            }
            Event::StageRequeued { stage, why } => self.state(stage, &format!("{why}; queued again")),
            Event::StageWithdrawn { stage } => {
                self.end(stage);
                self.time_left.closed(stage);
                self.line(format!("{stage}: its job is taken back before it ran"));
            }
            Event::StageWaits { stage } => {
                self.state(stage, WAITS_FOR_OTHER_RUN);
            }
            Event::StageProgress { stage, progress } => self.progress(stage, progress),
            Event::StageFinished { stage, seconds, .. } => {
                self.end(stage);
                self.time_left.finished(stage, *seconds);
                self.one_more();
                let left = self.left.map(|left| format!(", about {} left", short_time(left))).unwrap_or_default();
                self.line(format!("{stage}: done in {seconds:.1} s [{}/{}{left}]", self.done, self.stages));
            }
            Event::GpuWaits { stage, device } => {
                self.always(&format!("{stage}: waiting for {device}, which another run uses"));
            }
            Event::StageBegins { stage } => self.line(format!("{stage}: started, the other run has ended")),
            Event::StageRetried { stage, attempt, message, .. } => {
                self.end(stage);
                self.always(&format!("warning: {stage}: {message}; starting attempt {attempt}"));
            }
            Event::StageFailed { stage, message, key, log, last_lines, .. } => {
                self.end(stage);
                self.time_left.closed(stage);
                let mut text = format!("error: {stage}: {message}");
                for line in last_lines {
                    text += &format!("\n  | {line}");
                }
                if let Some(log) = log {
                    text += &format!("\n  log: {log}");
                }
                if let Some(key) = key {
                    text += &format!("\n  key: {}", key.0.short());
                }
                self.always(&text);
            }
            Event::StagesRefused { stages, message, .. } => {
                let names = listed(stages);
                for stage in stages {
                    self.time_left.closed(stage);
                    self.refused.entry(stage.clone()).or_insert_with(|| names.clone());
                }
                self.always(&format!("error: {names}: {message}"));
            }
            Event::StageSkipped { stage, because_of } => {
                self.time_left.closed(stage);
                let because_of = self.refused.get(because_of).unwrap_or(because_of);
                self.skipped.entry(because_of.clone()).or_default().push(stage.clone());
            }
            Event::Warning { message } => self.always(&format!("warning: {message}")),
            Event::RunFinished { .. } => {
                for (failed, skipped) in std::mem::take(&mut self.skipped) {
                    self.always(&format!("skipped because {failed} failed: {}", listed(&skipped)));
                }
                if let Some(bar) = self.overall.take() {
                    bar.finish_and_clear();
                }
            }
        }
    }

    /// Shows a stage from now on.
    fn begin(&mut self, stage: &str) {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new(1));
            bar.set_style(style("  {prefix} {bar:20} {msg}"));
            bar.set_prefix(stage.to_owned());
            bar
        });
        self.running.insert(stage.to_owned(), Running { first: None, last_line: None, bar });
    }

    /// Shows what a stage does or waits for.
    fn state(&self, stage: &str, text: &str) {
        if let Some(Running { bar: Some(bar), .. }) = self.running.get(stage) {
            bar.set_message(text.to_owned());
        }
        self.line(format!("{stage}: {text}"));
    }

    fn one_more(&mut self) {
        self.done += 1;
        if let Some(bar) = &self.overall {
            bar.set_position(self.done as u64);
        }
        self.estimate();
    }

    /// Estimates the time left of the whole run, at most once a second.
    fn estimate(&mut self) {
        let now = Instant::now();
        if self.quiet || self.estimated_at.is_some_and(|last| now.duration_since(last) < Duration::from_secs(1)) {
            return;
        }
        self.estimated_at = Some(now);
        self.left = self.time_left.at(now).filter(|left| left.as_secs() > 0);
        if let (Some(bar), Some(left)) = (&self.overall, self.left) {
            bar.set_message(format!(", about {} left", short_time(left)));
        }
    }

    fn end(&mut self, stage: &str) {
        if let Some(Running { bar: Some(bar), .. }) = self.running.remove(stage) {
            bar.finish_and_clear();
        }
    }

    fn progress(&mut self, stage: &str, progress: &Progress) {
        let Some(running) = self.running.get_mut(stage) else { return };
        let left = time_left(&mut running.first, progress, Instant::now());
        if progress.total > 0 {
            self.time_left.progressed(stage, progress.done as f64 / progress.total as f64);
        }
        let mut text = words(progress);
        if let Some(left) = left.filter(|_| progress.done < progress.total) {
            text += &format!(", {} left", short_time(left));
        }
        if let Some(bar) = &running.bar {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
            bar.set_message(text);
        } else if running.last_line.is_none_or(|at| at.elapsed() >= PLAIN_EVERY) {
            running.last_line = Some(Instant::now());
            self.line(format!("{stage}: {text}"));
        }
    }

    fn line(&self, text: String) {
        if !self.quiet && self.bars.is_none() {
            say(&text);
        }
    }

    fn always(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| say(text)),
            None => say(text),
        }
    }
}

/// `epoch 3/50, loss 2.3144, val mIoU 0.71`.
pub(super) fn words(progress: &Progress) -> String {
    let mut text = format!("{} {}/{}", progress.unit, progress.done, progress.total);
    if let Some(loss) = progress.loss {
        text += &format!(", loss {loss:.4}");
    }
    if let Some(note) = &progress.note {
        text += &format!(", {note}");
    }
    text
}

/// The first five names, and the number of the others.
fn listed(names: &[String]) -> String {
    let shown = names.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > 5 { format!("{shown} and {} more", names.len() - 5) } else { shown }
}

/// Time for the rest at the speed since `first`; none before there is a speed.
fn time_left(first: &mut Option<(Instant, u64, String)>, progress: &Progress, now: Instant) -> Option<Duration> {
    let at_work = progress.done > 0 || progress.loss.is_some();
    if first.as_ref().is_none_or(|(.., unit)| *unit != progress.unit) {
        *first = at_work.then(|| (now, progress.done, progress.unit.clone()));
    }
    let (since, from, _) = first.as_ref()?;
    let gained = progress.done.checked_sub(*from).filter(|gained| *gained > 0)?;
    Some(now.duration_since(*since).mul_f64(progress.total.saturating_sub(progress.done) as f64 / gained as f64))
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_counts_from_the_first_step_of_this_process() {
        let start = Instant::now();
        let mut first = None;
        let mut left = |seconds: u64, done: u64, loss: Option<f64>| {
            let progress = Progress { done, total: 10, unit: "epoch".into(), loss, note: None };
            time_left(&mut first, &progress, start + Duration::from_secs(seconds)).map(|left| left.as_secs())
        };
        assert_eq!(left(0, 0, None), None, "reading weights");
        assert_eq!(left(60, 4, Some(1.0)), None, "a checkpoint brought four epochs");
        assert_eq!(left(70, 5, Some(1.0)), Some(50));
        assert_eq!(left(80, 6, Some(1.0)), Some(40));
    }
}
