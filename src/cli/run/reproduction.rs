//! `--check-repro`: runs cached stages again, outside the cache, and compares every file.

use super::super::open_experiment::OpenExperiment;
use super::super::outcome::{Ending, Stop};
use super::super::output::{print, say};
use super::args::RunArgs;
use super::options::options;
use crate::exec::{self, Difference, Reproduction};
use crate::nn::DeviceName;
use crate::plan::{CacheState, Forecast};

/// Checks the stages that `args` names.
pub(super) fn check_repro(experiment: &OpenExperiment, args: &RunArgs, gpus: Vec<DeviceName>) -> Result<Ending, Stop> {
    let names = args.check_repro.iter().map(|name| experiment.stages_called(name, "--check-repro"));
    let stages = names.collect::<Result<Vec<_>, _>>()?.concat();
    let plan = &experiment.plan;
    let count = plan.states.len();
    let forecast = Forecast::new(plan, &experiment.store, &vec![false; count], false);
    let options = options(args, experiment, &forecast, vec![false; count], vec![false; count], gpus)?;
    let mut ending = Ending::Done;
    for stage in stages {
        let name = &plan.experiment.instances[stage].name;
        if !matches!(plan.states[stage], CacheState::Hit(_)) {
            return Err(Stop::bad_request(format!("--check-repro: {name} is not cached; run it first")));
        }
        if !args.quiet {
            say(&format!("{name}: running again, outside the cache"));
        }
        match exec::check_reproduction(plan, stage, &experiment.store, &experiment.places, &options)? {
            Reproduction::Same { files: 1 } => print(&format!("{name}: its file is the same\n")),
            Reproduction::Same { files } => print(&format!("{name}: all {files} files are the same\n")),
            Reproduction::Differs(differences) => {
                ending = Ending::Failed;
                print(&in_words(name, differences));
            }
            Reproduction::Failed { class, message, last_lines } => {
                ending = class.into();
                let lines: String = last_lines.iter().map(|line| format!("\n  | {line}")).collect();
                say(&format!("error: {name}: {message}{lines}"));
            }
        }
    }
    Ok(ending)
}

fn in_words(name: &str, differences: Vec<Difference>) -> String {
    let mut text = format!("{name}: different files: {}\n", differences.len());
    for Difference { path, cached, anew, largest } in differences {
        let how = match (cached, anew, largest) {
            (None, ..) => "is not in the cache".to_owned(),
            (_, None, _) => "was not made".to_owned(),
            (.., Some(largest)) => format!("differs in numbers, by {largest:.3e} at most"),
            (Some(cached), Some(anew), None) => format!("{} → {}", cached.short(), anew.short()),
        };
        text += &format!("  {path}: {how}\n");
    }
    text
}
