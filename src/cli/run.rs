//! `matssl-run FILE`: run an experiment.

use super::place::{self, Place};
use super::progress::Display;
use super::{ExperimentArgs, Stop, print};
use crate::exec::{self, ErrorClass, Options, Outcome, StageOutcome};
use crate::exit_code;
use crate::experiment::Section;
use crate::stage;
use clap::Args;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    place.check_available()?;
    let select = |names: &[String], flag: &str| -> Result<Vec<usize>, Stop> {
        let found = names.iter().map(|name| place.stages_called(name, flag)).collect::<Result<Vec<_>, _>>()?;
        Ok(found.concat())
    };
    let options = Options {
        jobs: args.jobs.map(usize::from),
        keep_going: args.keep_going,
        only: select(&args.only, "--only")?,
        force: select(&args.force, "--force")?,
    };
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    // A second Ctrl-C finds the flag set already: the run is ending its workers, at once.
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).map_err(anyhow::Error::from)?;
    let mut display = Display::new(args.quiet);
    let outcome = exec::run(&place.plan, &place.store, &place.places, &options, &interrupted, &mut |event| {
        display.show(event);
    })?;
    let folder = args.reports.join(&place.plan.experiment.name);
    finish(&place, &outcome, &folder, args.quiet)
}

/// Copies the reports out, prints the tables, says how it ended.
fn finish(place: &Place, outcome: &Outcome, folder: &Path, quiet: bool) -> Result<u8, Stop> {
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
    let total = outcome.stages.len();
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
