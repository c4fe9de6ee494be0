//! `matssl-run FILE`: run an experiment.

use super::place::{self, Place};
use super::progress::{Display, say};
use super::signals;
use super::{ExperimentArgs, Stop, print};
use crate::exec::{self, ErrorClass, Expectation, Options, Outcome, StageOutcome};
use crate::exit_code;
use crate::experiment::Section;
use crate::machine;
use crate::nn::{self, DeviceName};
use crate::plan::State;
use crate::stage;
use clap::Args;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

#[derive(Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// Where tables, figures and pictures go, in a folder named after the experiment.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    reports: PathBuf,
    /// What to train and predict on: cpu, cuda (all NVIDIA GPUs), cuda:N (one of them), or auto (GPUs where there are
    /// any). For tests of what shares GPUs out: pretended:N, N GPUs that compute on the CPU.
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
    /// Trainings write their curves for TensorBoard to DIR/EXPERIMENT/STAGE/ while they run; cached stages write nothing.
    #[arg(long, value_name = "DIR", env = "MATSSL_TENSORBOARD")]
    tensorboard: Option<PathBuf>,
    /// Minutes between the checkpoints inside a long epoch. They take no more than a twentieth of a training's time, but
    /// after five times as long one is written whatever it costs.
    #[arg(long, value_name = "N", default_value_t = 2.0, value_parser = minutes)]
    checkpoint_minutes: f64,
    /// No progress, only errors and results.
    #[arg(long, short)]
    quiet: bool,
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        // A week is more than any batch system lets a job run.
        Ok(minutes) if minutes > 0.0 && minutes <= 10080.0 => Ok(minutes),
        _ => Err("expected minutes above 0 and up to 10080, e.g. 10".to_owned()),
    }
}

/// `--device`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Device {
    /// All GPUs that there are, or else the CPU.
    Auto,
    /// All GPUs; it is an error if there is none.
    AllGpus,
    /// So many that are none.
    Pretended(usize),
    One(DeviceName),
}

impl FromStr for Device {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Device::Auto),
            "cuda" => Ok(Device::AllGpus),
            _ if text.starts_with("pretended:") => match text["pretended:".len()..].parse() {
                Ok(count @ 1..=64) => Ok(Device::Pretended(count)),
                _ => Err("expected pretended:N, N from 1 to 64".to_owned()),
            },
            _ => text.parse().map(Device::One).map_err(|_| "expected auto, cpu, cuda or cuda:N".to_owned()),
        }
    }
}

impl Device {
    /// The GPUs that it means; none for the CPU.
    fn gpus(self) -> Result<Vec<DeviceName>, Stop> {
        let not_there = |why: String| {
            let name = if let Device::One(name) = self { name.to_string() } else { "cuda".to_owned() };
            Stop::new(exit_code::NOT_THERE, format!("error: --device {name}: {why}; use --device cpu"))
        };
        let all = |count: usize| (0..count).map(DeviceName::Cuda).collect();
        match self {
            Device::One(DeviceName::Cpu | DeviceName::Pretended(_)) => Ok(Vec::new()),
            Device::Pretended(count) => Ok((0..count).map(DeviceName::Pretended).collect()),
            Device::Auto => Ok(nn::device::gpus().map_or_else(|_| Vec::new(), all)),
            Device::AllGpus => nn::device::gpus().map(all).map_err(not_there),
            Device::One(name @ DeviceName::Cuda(ordinal)) => match nn::device::gpus().map_err(not_there)? {
                count if ordinal < count => Ok(vec![name]),
                1 => Err(not_there("there is only one GPU, cuda:0".to_owned())),
                count => Err(not_there(format!("there are only {count} GPUs, cuda:0 to cuda:{}", count - 1))),
            },
        }
    }
}

/// Which GPUs are used; of a build that could use some, why it uses none although it was free to.
fn say_device(asked: Device, gpus: &[DeviceName]) {
    if !gpus.is_empty() {
        let named: Vec<String> = gpus.iter().map(|gpu| gpu.with_model()).collect();
        say(&format!("computing on {}", named.join(", ")));
    } else if let (Device::Auto, true, Err(why)) = (asked, cfg!(feature = "cuda"), nn::device::gpus()) {
        say(&format!("computing on the CPU: {why}"));
    }
}

/// What needs a GPU is refused before anything starts.
fn check_precision(place: &Place, wanted: &[bool]) -> Result<(), Stop> {
    let instances = place.plan.experiment.instances.iter().zip(&place.plan.states).zip(wanted);
    let mut message = String::new();
    for ((instance, _), _) in instances.filter(|((_, state), wanted)| **wanted && !matches!(state, State::Hit(_))) {
        let Some(kind) = stage::kind(instance.kind) else { continue };
        let precision = (kind.precision)(&instance.params).map_err(anyhow::Error::from)?;
        if precision.needs_gpu() {
            let name = precision.name();
            message += &format!("error: {}: `precision = \"{name}\"` needs a GPU\n", instance.name);
        }
    }
    if message.is_empty() {
        return Ok(());
    }
    let why = nn::device::gpus().map_or_else(|why| why, |_| "`--device cpu` was asked for".to_owned());
    message += &format!("help: {why}; say `precision = \"float32\"`, or give `--device cuda`");
    Err(Stop::new(exit_code::NOT_THERE, message))
}

pub(super) fn run(args: &RunArgs) -> Result<u8, Stop> {
    let gpus = args.device.gpus()?;
    let mut place = place::open(&args.experiment)?;
    let (wanted, forced) = select(&place, &args.only, &args.force)?;
    place.check_available(&wanted)?;
    if gpus.is_empty() {
        check_precision(&place, &wanted)?;
    }
    let options = Options {
        jobs: args.jobs.map(usize::from),
        keep_going: args.keep_going,
        expected: vec![Expectation { cost: 1.0, memory: 0 }; wanted.len()],
        memory: machine::room().map_err(anyhow::Error::msg)?.map(|room| room.bytes),
        wanted,
        forced,
        gpus: gpus.clone(),
        checkpoint_wait: Duration::from_secs_f64(60.0 * args.checkpoint_minutes),
        // Workers may run in another folder.
        tensorboard: args.tensorboard.as_ref().map(std::path::absolute).transpose().map_err(anyhow::Error::from)?,
    };
    let signals = Arc::new(exec::Signals::default());
    signals::listen(&signals)?;
    if !args.quiet {
        say_device(args.device, &gpus);
    }
    let mut display = Display::new(args.quiet);
    let gate = place.gate.take();
    let outcome = exec::run(&place.plan, &place.store, &place.places, &options, &signals, gate, &mut |event| {
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
        say(&format!("{done} of {total} stages done: {} ran, {cached} cached, {:.2} s", outcome.ran, outcome.seconds));
        if exported > 0 {
            say(&format!("reports in {}", folder.display()));
        }
    }
    if outcome.interrupted {
        say("interrupted: finished stages are kept, training goes on from its last checkpoint next time");
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
        Some(_) => exit_code::STAGE_FAILED,
    })
}
