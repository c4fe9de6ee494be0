//! `matssl-run FILE`: run an experiment.

use super::place::{self, Place};
use super::progress::Display;
use super::signals;
use super::{ExperimentArgs, Stop, print};
use crate::exec::{self, ErrorClass, Options, Outcome, StageOutcome};
use crate::exit_code;
use crate::experiment::Section;
use crate::stage;
use clap::Args;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

#[derive(Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// Where tables, figures and pictures go, in a folder named after the experiment.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    reports: PathBuf,
    /// What to train on: auto, cpu, cuda or cuda:N.
    #[arg(long, default_value = "auto")]
    device: Device,
    /// Run at most N stages at a time [default: as many as cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Run only this stage (or family) and what it rests on; may be repeated.
    #[arg(long, value_name = "STAGE")]
    only: Vec<String>,
    /// Run this stage (or family) again although it is cached; may be repeated.
    #[arg(long, value_name = "STAGE")]
    force: Vec<String>,
    /// After a failure go on with what does not rest on the failed stage.
    #[arg(long)]
    keep_going: bool,
    /// No progress, only errors and results.
    #[arg(long, short)]
    quiet: bool,
}

/// `--device`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Device {
    Auto,
    Cpu,
    Cuda(usize),
}

impl FromStr for Device {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Device::Auto),
            "cpu" => Ok(Device::Cpu),
            "cuda" => Ok(Device::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Device::Cuda)
                .ok_or_else(|| "expected auto, cpu, cuda or cuda:N".to_owned()),
        }
    }
}

pub(super) fn run(args: &RunArgs) -> Result<u8, Stop> {
    if let Device::Cuda(index) = args.device {
        let message = format!("error: --device cuda:{index}: this build has no CUDA in it; use --device cpu");
        return Err(Stop::new(exit_code::NOT_THERE, message));
    }
    let place = place::open(&args.experiment)?;
    let (wanted, forced) = select(&place, &args.only, &args.force)?;
    place.check_available(&wanted)?;
    let options = Options { jobs: args.jobs.map(usize::from), keep_going: args.keep_going, wanted, forced };
    let interrupted = Arc::new(AtomicBool::new(false));
    signals::raise_on_end(Arc::clone(&interrupted))?;
    let mut display = Display::new(args.quiet);
    let outcome = exec::run(&place.plan, &place.store, &place.places, &options, &interrupted, &mut |event| {
        display.show(event);
    })?;
    let folder = args.reports.join(&place.plan.experiment.name);
    let total = options.wanted.iter().filter(|wanted| **wanted).count();
    finish(&place, &outcome, total, &folder, args.quiet)
}

/// For each stage whether it is asked for, and whether it is forced.
fn select(place: &Place, only: &[String], force: &[String]) -> Result<(Vec<bool>, Vec<bool>), Stop> {
    let count = place.plan.states.len();
    let mut wanted = vec![true; count];
    if !only.is_empty() {
        let found = only.iter().map(|name| place.stages_called(name, "--only")).collect::<Result<Vec<_>, _>>()?;
        wanted = place.plan.dag.with_ancestors(&found.concat());
    }
    let mut forced = vec![false; count];
    for name in force {
        let mut found = place.stages_called(name, "--force")?;
        found.retain(|&stage| wanted[stage]);
        if found.is_empty() {
            let message = format!("error: --force: `{name}` is not among the stages that --only asks for");
            return Err(Stop::new(exit_code::BAD_EXPERIMENT, message));
        }
        for stage in found {
            forced[stage] = true;
        }
    }
    Ok((wanted, forced))
}

/// Copies the reports out, prints the tables, says how it ended; `total` stages were asked for.
fn finish(place: &Place, outcome: &Outcome, total: usize, folder: &Path, quiet: bool) -> Result<u8, Stop> {
    let mut exported = 0;
    let mut tables = String::new();
    for (instance, stage) in place.plan.experiment.instances.iter().zip(&outcome.stages) {
        let StageOutcome::Done(record) = stage else { continue };
        let section = stage::kind(instance.kind).map(|kind| kind.spec.section);
        if !matches!(section, Some(Section::Tables | Section::Figures | Section::Overlays)) {
            continue;
        }
        exec::export(&place.store, [record.as_ref()], folder)?;
        exported += 1;
        for output in record.outputs.iter().filter(|output| output.path.ends_with(".txt")) {
            let text = std::fs::read_to_string(place.store.object(output.digest)).map_err(anyhow::Error::from)?;
            tables += &text;
            tables.push('\n');
        }
    }
    print(&tables);
    let done = outcome.stages.iter().filter(|stage| matches!(stage, StageOutcome::Done(_))).count();
    if !quiet {
        let cached = done - outcome.ran;
        eprintln!("{done} of {total} stages done: {} ran, {cached} cached, {:.2} s", outcome.ran, outcome.seconds);
        if exported > 0 {
            eprintln!("reports in {}", folder.display());
        }
    }
    if outcome.interrupted {
        eprintln!("interrupted: finished stages are kept, training goes on from its last checkpoint next time");
        return Ok(exit_code::INTERRUPTED);
    }
    let first_failure = outcome.stages.iter().find_map(|stage| match stage {
        StageOutcome::Failed(failure) => Some(failure.class),
        _ => None,
    });
    Ok(match first_failure {
        None => exit_code::DONE,
        Some(ErrorClass::NotThere) => exit_code::NOT_THERE,
        Some(ErrorClass::BadData) => exit_code::BAD_DATA,
        Some(ErrorClass::Failed) => exit_code::STAGE_FAILED,
    })
}
