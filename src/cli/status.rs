//! `matssl-run status [FILE]`: the state of runs, during and after them, from any terminal.

use super::outcome::{Ending, Stop};
use super::output::print;
use super::progress::{WAITS_FOR_OTHER_RUN, words};
use super::wording::{plural, short_time, utc};
use crate::cache::Store;
use crate::exec::{self, QueuedJob, RunState, RunStatus};
use crate::experiment;
use crate::stage;
use clap::Args;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Maximum number of ended runs in the list. Running ones are all listed.
const MOST: usize = 5;
/// Maximum number of jobs in the list.
const MOST_JOBS: usize = 20;
/// Maximum number of failed stages in the list.
const MOST_FAILED: usize = 8;

#[derive(Args)]
pub(super) struct StatusArgs {
    /// Show only runs of this experiment.
    file: Option<PathBuf>,
    /// The cache folder.
    #[arg(long, value_name = "DIR", env = "MATSSL_CACHE", default_value = "cache")]
    cache: PathBuf,
    /// Print all runs as JSON, the latest first.
    #[arg(long)]
    json: bool,
    /// Show all runs that the cache knows, not only the latest of each experiment.
    #[arg(long)]
    all: bool,
}

pub(super) fn status(args: &StatusArgs) -> Result<Ending, Stop> {
    if !args.cache.exists() {
        print(if args.json { "[]\n" } else { "no runs in this cache\n" });
        return Ok(Ending::Done);
    }
    let store = Store::at(&args.cache)?;
    let name = match &args.file {
        Some(file) => Some(experiment::load(file, &[], stage::KINDS)?),
        None => None,
    };
    let mut runs: Vec<_> = exec::runs(&store, name.as_ref().map(|experiment| experiment.name.as_str())).collect();
    if args.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&runs).map_err(anyhow::Error::from)?));
        return Ok(Ending::Done);
    }
    if !args.all {
        let mut seen = BTreeSet::new();
        // Several runs of one experiment may run at a time.
        runs.retain(|run| seen.insert(run.facts.experiment.clone()) || run.state == RunState::Running);
        let mut ended = 0;
        runs.retain(|run| {
            ended += usize::from(run.state != RunState::Running);
            run.state == RunState::Running || ended <= MOST
        });
    }
    let jobs = exec::queued_jobs(&store, name.as_ref().map(|experiment| experiment.name.as_str()));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let text: String = runs.iter().map(|run| as_text(run, now)).collect();
    let text = text + &jobs_as_text(jobs);
    print(if text.is_empty() { "no runs in this cache\n" } else { &text });
    Ok(Ending::Done)
}

/// What Slurm has of this cache's stages, whether a run waits for them or not.
fn jobs_as_text(jobs: anyhow::Result<Vec<QueuedJob>>) -> String {
    let jobs = match jobs {
        Ok(jobs) if jobs.is_empty() => return String::new(),
        Ok(jobs) => jobs,
        Err(error) => return format!("Slurm: no answer ({error:#})\n"),
    };
    let running = jobs.iter().filter(|job| job.runs).count();
    let mut text = format!("Slurm: {running} of {} run, the others wait\n", plural(jobs.len(), "job"));
    for QueuedJob { stage, job, runs, reason, .. } in jobs.iter().take(MOST_JOBS) {
        let state = if *runs { "runs".to_owned() } else { format!("waits ({reason})") };
        let _ = writeln!(text, "  {stage}: job {job} {state}");
    }
    if jobs.len() > MOST_JOBS {
        let _ = writeln!(text, "  and {} more; `squeue --me` lists all", jobs.len() - MOST_JOBS);
    }
    text
}

fn as_text(run: &RunStatus, now: f64) -> String {
    let RunStatus { facts, state, last_event_at, stages, cached, finished, running, failed, skipped, folder } = run;
    let since = |at: f64| short_time(Duration::from_secs_f64((now - at).max(0.0)));
    let began = facts.started_at as f64;
    let lasted = short_time(Duration::from_secs_f64((last_event_at - began).max(0.0)));
    let (host, process) = (&facts.host, facts.process);
    let state = match state {
        RunState::Running => format!("running for {} on {host} (process {process})", since(began)),
        RunState::Finished => format!("ended {} ago on {host} after {lasted}", since(*last_event_at)),
        RunState::Interrupted => format!("interrupted {} ago on {host} after {lasted}", since(*last_event_at)),
        RunState::Died => format!("killed on {host}; last event {} ago, after {lasted}", since(*last_event_at)),
        RunState::Unknown => format!("state unknown; last event {} ago on {host}", since(*last_event_at)),
    };
    let mut text = format!("{}: {state}; started {}\n", facts.experiment, utc(facts.started_at));
    let _ = write!(text, "  {} of {stages} stages done ({finished} ran, {cached} cached)", finished + cached);
    for (count, what) in [(running.len(), "running"), (failed.len(), "failed"), (*skipped, "skipped")] {
        if count > 0 {
            let _ = write!(text, ", {count} {what}");
        }
    }
    text.push('\n');
    let width = running.keys().map(|name| name.chars().count()).max().unwrap_or(0).min(60);
    for (name, stage) in running {
        let progress = match &stage.progress {
            _ if stage.waits => WAITS_FOR_OTHER_RUN.to_owned(),
            _ if stage.job.as_ref().is_some_and(|job| job.host.is_none()) => "waits in Slurm's queue".to_owned(),
            Some(progress) => words(progress),
            None => String::new(),
        };
        let line = format!("  {name:<width$}  {:>7}  {progress}", since(stage.started_at));
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let (mut shown, mut messages) = (0, BTreeSet::new());
    for (name, stage) in failed {
        let message = stage.message.lines().next().unwrap_or_default();
        // Several stages that failed for one reason have one line.
        if shown == MOST_FAILED || !messages.insert(message) {
            continue;
        }
        shown += 1;
        let _ = writeln!(text, "  {name} failed: {message}");
        if let Some(log) = &stage.log {
            let _ = writeln!(text, "    log: {log}");
        }
    }
    if failed.len() > shown {
        let _ = writeln!(text, "  and {} more failed", failed.len() - shown);
    }
    let _ = writeln!(text, "  events and logs: {}", folder.display());
    text
}
