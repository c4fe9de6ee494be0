//! Progress on standard error: bars where a person looks, plain lines in a pipe.

use super::threads as threads_text;
use super::time_left::TimeLeft;
use crate::events::Event;
use crate::stage::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Plain lines of one stage are at least so far apart.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// Shows events as they come.
pub(super) struct Display {
    quiet: bool,
    bars: Option<MultiProgress>,
    overall: Option<ProgressBar>,
    stages: usize,
    done: usize,
    running: BTreeMap<String, Running>,
    time_left: TimeLeft,
    /// When the whole run's time left was last worked out: not at each of a thousand events.
    worked_out: Option<Instant>,
    left: Option<Duration>,
    /// Stages that were not tried, by the one whose failure is the cause.
    skipped: BTreeMap<String, Vec<String>>,
}

struct Running {
    /// Time, progress and its unit at the first report of work: what a checkpoint brought does not count as speed, nor
    /// does what comes before the first step.
    first: Option<(Instant, u64, String)>,
    last_line: Option<Instant>,
    bar: Option<ProgressBar>,
}

impl Display {
    pub(super) fn new(quiet: bool, time_left: TimeLeft) -> Self {
        let bars = (!quiet && std::io::stderr().is_terminal()).then(MultiProgress::new);
        Display {
            quiet,
            bars,
            overall: None,
            stages: 0,
            done: 0,
            running: BTreeMap::new(),
            time_left,
            worked_out: None,
            left: None,
            skipped: BTreeMap::new(),
        }
    }

    pub(super) fn show(&mut self, event: &Event) {
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
                let bar = self.bars.as_ref().map(|bars| {
                    let bar = bars.add(ProgressBar::new(1));
                    bar.set_style(style("  {prefix} {bar:20} {msg}"));
                    bar.set_prefix(stage.clone());
                    bar
                });
                let running = Running { first: None, last_line: None, bar };
                self.running.insert(stage.clone(), running);
                let on = device.as_ref().map(|device| format!(", {device}")).unwrap_or_default();
                self.line(format!("{stage}: started ({}{on})", threads_text(*threads)));
            }
            Event::StageWaits { stage } => {
                let text = "waits for somebody else who is making the same";
                if let Some(Running { bar: Some(bar), .. }) = self.running.get(stage) {
                    bar.set_message(text);
                }
                self.line(format!("{stage}: {text}"));
            }
            Event::StageProgress { stage, progress } => self.progress(stage, progress),
            Event::StageFinished { stage, seconds, .. } => {
                self.end(stage);
                self.time_left.finished(stage, *seconds);
                self.one_more();
                let left = self.left.map(|left| format!(", about {} left", short(left))).unwrap_or_default();
                self.line(format!("{stage}: done in {seconds:.1} s [{}/{}{left}]", self.done, self.stages));
            }
            Event::GpuWaits { stage, device } => {
                self.always(&format!("{stage}: waits for {device}, which another run has"));
            }
            Event::StageBegins { stage } => self.line(format!("{stage}: begins, the other run is gone")),
            Event::StageRetried { stage, attempt, message, .. } => {
                self.end(stage);
                self.always(&format!("warning: {stage}: {message}; attempt {attempt} follows"));
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
            Event::StageSkipped { stage, because_of } => {
                self.time_left.closed(stage);
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

    fn one_more(&mut self) {
        self.done += 1;
        if let Some(bar) = &self.overall {
            bar.set_position(self.done as u64);
        }
        self.work_out();
    }

    /// How long the whole run takes yet, once a second.
    fn work_out(&mut self) {
        let now = Instant::now();
        if self.quiet || self.worked_out.is_some_and(|last| now.duration_since(last) < Duration::from_secs(1)) {
            return;
        }
        self.worked_out = Some(now);
        self.left = self.time_left.at(now).filter(|left| left.as_secs() > 0);
        if let (Some(bar), Some(left)) = (&self.overall, self.left) {
            bar.set_message(format!(", about {} left", short(left)));
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
            text += &format!(", {} left", short(left));
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

/// The first few of them, and how many more there are.
fn listed(names: &[String]) -> String {
    let shown = names.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > 5 { format!("{shown} and {} more", names.len() - 5) } else { shown }
}

/// A line on standard error, if anybody listens: a closed terminal is no reason to lose a training.
pub(super) fn say(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// How long the rest takes at the speed since `first`, once there is one.
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

/// `42 s`, `7 min`, `3.2 h`.
pub(super) fn short(time: Duration) -> String {
    match time.as_secs() {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7200 => format!("{} min", s / 60),
        s => format!("{:.1} h", s as f64 / 3600.0),
    }
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
