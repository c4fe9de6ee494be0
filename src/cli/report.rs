//! `matssl-run report FILE`: writes tables, figures, pictures and the page again from the cache; trains nothing.

use super::arguments::ExperimentArgs;
use super::open_experiment;
use super::outcome::{Ending, Stop};
use super::output::say;
use super::run::{self, RunArgs};
use super::wording::plural;
use crate::plan::CacheState;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// Folder for tables, figures and pictures, in a folder named after the experiment.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    reports: PathBuf,
    /// No progress, only errors and results.
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn report(args: ReportArgs) -> Result<Ending, Stop> {
    let experiment = open_experiment::open(&args.experiment)?;
    let plan = &experiment.plan;
    let (mut ready, mut waiting) = (Vec::new(), Vec::new());
    for (instance, state) in plan.experiment.instances.iter().zip(&plan.states) {
        if !instance.kind.section.is_report() {
            continue;
        }
        match state {
            CacheState::Hit(_) | CacheState::Miss { .. } => ready.push(instance.name.clone()),
            CacheState::WaitsOn(on) => {
                waiting.push(format!("{} waits for {}", instance.name, plural(on.len(), "stage")))
            }
            CacheState::Unavailable(error) => waiting.push(format!("{}: {error}", instance.name)),
        }
    }
    if !args.quiet {
        waiting.iter().for_each(|line| say(&format!("not made: {line}")));
    }
    if ready.is_empty() {
        let file = args.experiment.file.display();
        let message = if waiting.is_empty() {
            format!("error: {file} has no tables, figures, overlays, models or files")
        } else {
            format!("error: nothing to report yet on {file}\nhelp: `matssl-run {file}` makes what is missing")
        };
        return Err(Stop::new(Ending::Failed, message));
    }
    drop(experiment);
    run::run(&RunArgs::only(args.experiment, args.reports, args.quiet, ready))
}
