//! `matssl-run report FILE`: tables, figures, pictures and the page anew from the cache, training nothing.

use super::progress::say;
use super::run::{self, RunArgs};
use super::{ExperimentArgs, Stop, place};
use crate::exit_code;
use crate::plan::State;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// Where tables, figures and pictures go, in a folder named after the experiment.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    reports: PathBuf,
    /// Only errors and results.
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn report(args: ReportArgs) -> Result<u8, Stop> {
    let place = place::open(&args.experiment)?;
    let plan = &place.plan;
    let (mut ready, mut waiting) = (Vec::new(), Vec::new());
    for (instance, state) in plan.experiment.instances.iter().zip(&plan.states) {
        if !instance.kind.section.is_report() {
            continue;
        }
        match state {
            State::Hit(_) | State::Miss { .. } => ready.push(instance.name.clone()),
            State::WaitsOn(on) => waiting.push(format!("{} waits on {} stages", instance.name, on.len())),
            State::Unavailable(error) => waiting.push(format!("{}: {error}", instance.name)),
        }
    }
    if !args.quiet {
        waiting.iter().for_each(|line| say(&format!("not made: {line}")));
    }
    if ready.is_empty() {
        let why =
            if waiting.is_empty() { "has no tables, figures or overlays" } else { "has nothing to report on yet" };
        let file = args.experiment.file.display();
        let message = format!("error: {why}: {file}\nhelp: `matssl-run {file}` makes what is missing");
        return Err(Stop::new(exit_code::STAGE_FAILED, message));
    }
    drop(place);
    run::run(&RunArgs::only(args.experiment, args.reports, args.quiet, ready))
}
