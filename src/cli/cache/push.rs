//! `matssl-run cache push`: brings what an experiment has in the cache to the shared cache.

use super::super::arguments::ExperimentArgs;
use super::super::open_experiment::{self, OpenExperiment};
use super::super::outcome::{Ending, Stop};
use super::super::output::print;
use super::super::remote::{RemoteArgs, say_failed};
use super::super::wording::plural;
use crate::cache::Key;
use crate::machine::Bytes;
use crate::plan::CacheState;
use anyhow::Context as _;
use clap::Args;
use matssl_remote::{Push, Pushed, SharedCache};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Args)]
pub(super) struct PushArgs {
    #[command(flatten)]
    pub(super) experiment: ExperimentArgs,
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
    /// Only this stage, family or pattern ('tables.*'), and what it depends on; may be repeated.
    #[arg(long, value_name = "STAGE")]
    pub(super) only: Vec<String>,
    /// Only say what would be sent.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// No progress.
    #[arg(long, short)]
    pub(super) quiet: bool,
}

impl PushArgs {
    /// For each stage whether it is asked for.
    pub(super) fn wanted(&self, experiment: &OpenExperiment) -> Result<Vec<bool>, Stop> {
        if self.only.is_empty() {
            return Ok(vec![true; experiment.plan.states.len()]);
        }
        let stages = self.only.iter().map(|name| experiment.stages_called(name, "--only"));
        Ok(experiment.plan.dag.with_ancestors(&stages.collect::<Result<Vec<_>, _>>()?.concat()))
    }
}

pub(super) fn push(args: &PushArgs) -> Result<Ending, Stop> {
    let shared = args.remote.required(args.quiet)?;
    if !args.dry_run {
        shared.writable()?;
    }
    let experiment = open_experiment::open_whole(&args.experiment)?;
    let wanted = args.wanted(&experiment)?;
    let plan = &experiment.plan;
    // Inputs first, so that an interrupted push leaves what others can use.
    let key = |stage: usize| match &plan.states[stage] {
        CacheState::Hit(record) => Some(record.key),
        _ => None,
    };
    let keys: Vec<Key> = plan.dag.topological().into_iter().filter(|stage| wanted[*stage]).filter_map(key).collect();
    let asked = wanted.iter().filter(|wanted| **wanted).count();
    let stop = stop_on_signals()?;
    let push = Push {
        store: &experiment.store,
        experiment: &plan.experiment.name,
        keys: &keys,
        all: keys.len() == wanted.len(),
        is_dry: args.dry_run,
    };
    let pushed = shared.push(&push, &|| stop.load(Ordering::Relaxed))?;
    say_failed(&pushed);
    print(&as_text(&pushed, &shared, args.dry_run, asked - keys.len()));
    Ok(ending(&pushed, &shared, &stop))
}

fn ending(pushed: &Pushed, shared: &SharedCache, stop: &AtomicBool) -> Ending {
    match pushed {
        _ if stop.load(Ordering::Relaxed) => Ending::Interrupted,
        _ if shared.is_lost() => Ending::NotThere,
        Pushed { failed, left: 0, .. } if failed.is_empty() => Ending::Done,
        _ => Ending::Failed,
    }
}

fn as_text(pushed: &Pushed, shared: &SharedCache, is_dry: bool, not_cached: usize) -> String {
    let Pushed { records, already, objects, failed, left } = pushed;
    let verb = if is_dry { "would push" } else { "pushed" };
    let files = format!("{} ({})", plural(objects.count, "file"), Bytes(objects.bytes));
    let mut text = format!("{verb} {} and {files} to {}", plural(*records, "record"), shared.shown());
    text += &format!("; there already: {already}");
    for (count, what) in [(failed.len(), "failed"), (*left, "not tried"), (not_cached, "not in this cache")] {
        if count > 0 {
            text += &format!("; {what}: {count}");
        }
    }
    text + "\n"
}

/// Set by Ctrl-C and SIGTERM. The second one ends the program at once.
pub(super) fn stop_on_signals() -> Result<Arc<AtomicBool>, Stop> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset.
        signal_hook::flag::register_conditional_shutdown(signal, Ending::Interrupted.code().into(), Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
            .context("cannot listen to signals")?;
    }
    Ok(stop)
}
