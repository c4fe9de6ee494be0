//! `matssl-run FILE`: run an experiment.

use super::device::{Device, say_device};
use super::looking::Looking;
use super::place::{self, Place};
use super::progress::{Display, say};
use super::signals;
use super::time_left::TimeLeft;
use super::{ExperimentArgs, Stop, print, usage};
use crate::events::ErrorClass;
use crate::exec::{self, Difference, Expectation, Gpu, Options, Outcome, Reproduction, StageOutcome};
use crate::exit_code;
use crate::machine;
use crate::nn::{self, DeviceName};
use crate::page;
use crate::plan::{Expected, Forecast, State};
use clap::Args;
use std::path::{Path, PathBuf};
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
    /// Run only this stage, or a family, or a pattern ('tables.*'), and what it rests on; may be repeated.
    #[arg(long, value_name = "STAGE")]
    only: Vec<String>,
    /// Run this stage (or family, or pattern) again although it is cached; may be repeated.
    #[arg(long, value_name = "STAGE")]
    force: Vec<String>,
    /// Do this cached stage (or family, or pattern) once more beside the cache and compare every file; may be repeated.
    #[arg(long, value_name = "STAGE", conflicts_with_all = ["only", "force"])]
    check_repro: Vec<String>,
    /// After a failure go on with what does not rest on the failed stage.
    #[arg(long)]
    keep_going: bool,
    /// Trainings write their curves for TensorBoard to DIR/EXPERIMENT/STAGE/ while they run; cached stages write nothing.
    #[arg(long, value_name = "DIR", env = "MATSSL_TENSORBOARD")]
    tensorboard: Option<PathBuf>,
    /// Minutes between the checkpoints inside a long epoch. They take no more than a twentieth of a training's time, but
    /// after five times as long one is written whatever it costs.
    #[arg(long, value_name = "N", default_value_t = CHECKPOINT_MINUTES, value_parser = minutes)]
    checkpoint_minutes: f64,
    /// No progress, only errors and results.
    #[arg(long, short)]
    quiet: bool,
}

impl RunArgs {
    /// Of `stages` and what they rest on, in the order given, with all else as by default.
    pub(super) fn only(experiment: ExperimentArgs, reports: PathBuf, quiet: bool, stages: Vec<String>) -> Self {
        RunArgs {
            experiment,
            reports,
            device: Device::Auto,
            jobs: None,
            only: stages,
            force: Vec::new(),
            check_repro: Vec::new(),
            keep_going: true,
            tensorboard: None,
            checkpoint_minutes: CHECKPOINT_MINUTES,
            quiet,
        }
    }
}

/// Between the checkpoints inside a long epoch, if nobody says otherwise.
const CHECKPOINT_MINUTES: f64 = 2.0;

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        // A week is more than any batch system lets a job run.
        Ok(minutes) if minutes > 0.0 && minutes <= 10080.0 => Ok(minutes),
        _ => Err("expected minutes above 0 and up to 10080, e.g. 10".to_owned()),
    }
}

/// What needs a GPU is refused before anything starts.
fn check_precision(place: &Place, must_run: &[bool]) -> Result<(), Stop> {
    let instances = place.plan.experiment.instances.iter().zip(must_run);
    let mut message = String::new();
    for (instance, _) in instances.filter(|(_, must_run)| **must_run) {
        if let Some(setting) = instance.stage.needs_gpu() {
            message += &format!("error: {}: `{setting}` needs a GPU\n", instance.name);
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
    if !args.check_repro.is_empty() {
        return check_repro(&place, args, gpus);
    }
    let (wanted, forced) = select(&place, &args.only, &args.force)?;
    let folder = args.reports.join(&place.plan.experiment.name);
    let total = wanted.iter().filter(|wanted| **wanted).count();
    if !forced.contains(&true)
        && let Some(outcome) = exec::all_cached(&place.plan, &place.store, &wanted, &mut place.gate)
    {
        let code = finish(&mut place, &outcome, total, &folder, args, None);
        std::mem::forget(outcome);
        place.leave();
        return code;
    }
    place.store.make()?;
    let is_hit = |stage: usize| matches!(place.plan.states[stage], State::Hit(_));
    let must_run: Vec<bool> = (0..wanted.len()).map(|i| wanted[i] && (forced[i] || !is_hit(i))).collect();
    place.check_ready(&must_run)?;
    if gpus.is_empty() {
        check_precision(&place, &must_run)?;
    }
    let forecast = Forecast::new(&place.plan, &place.store, &must_run, !gpus.is_empty());
    let options = options(args, &place, &forecast, wanted, forced, gpus)?;
    let signals = Arc::new(exec::Signals::default());
    signals::listen(&signals)?;
    if !args.quiet {
        say_device(args.device, &options.gpus);
    }
    let time_left = TimeLeft::new(&place.plan, forecast.seconds(), &must_run);
    let mut display = Display::new(args.quiet, time_left);
    let gate = place.gate.take();
    let outcome = exec::run(&place.plan, &place.store, &place.places, &options, &signals, gate, &mut |event| {
        display.show(event);
    })?;
    finish(&mut place, &outcome, total, &folder, args, Some(&signals))
}

fn options(
    args: &RunArgs,
    place: &Place,
    forecast: &Forecast,
    wanted: Vec<bool>,
    forced: Vec<bool>,
    gpus: Vec<DeviceName>,
) -> Result<Options, Stop> {
    let seconds: Vec<f64> = forecast.stages.iter().flatten().map(|stage| stage.seconds).collect();
    // What nobody knows counts as an average stage.
    let unknown = if seconds.is_empty() { 1.0 } else { seconds.iter().sum::<f64>() / seconds.len() as f64 };
    let expectation = |stage: &Option<Expected>| Expectation {
        cost: stage.as_ref().map_or(unknown, |stage| stage.seconds),
        memory: stage.as_ref().and_then(|stage| stage.memory_mib).unwrap_or(0) << 20,
    };
    debug_assert_eq!(forecast.stages.len(), place.plan.states.len(), "one expectation a stage");
    Ok(Options {
        jobs: args.jobs.map(usize::from),
        keep_going: args.keep_going,
        expected: forecast.stages.iter().map(expectation).collect(),
        memory: machine::room().map_err(usage)?.map(|room| room.bytes),
        wanted,
        forced,
        gpus: gpus.into_iter().map(|name| Gpu { name, identity: nn::device::identity(name) }).collect(),
        checkpoint_wait: Duration::from_secs_f64(60.0 * args.checkpoint_minutes),
        // Workers may run in another folder.
        tensorboard: args.tensorboard.as_ref().map(std::path::absolute).transpose().map_err(anyhow::Error::from)?,
    })
}

/// `--check-repro`: the named stages once more, beside the cache.
fn check_repro(place: &Place, args: &RunArgs, gpus: Vec<DeviceName>) -> Result<u8, Stop> {
    let names = args.check_repro.iter();
    let stages = names.map(|name| place.stages_called(name, "--check-repro")).collect::<Result<Vec<_>, _>>()?.concat();
    let count = place.plan.states.len();
    let forecast = Forecast::new(&place.plan, &place.store, &vec![false; count], false);
    let options = options(args, place, &forecast, vec![false; count], vec![false; count], gpus)?;
    let mut code = exit_code::DONE;
    for stage in stages {
        let name = &place.plan.experiment.instances[stage].name;
        if !matches!(place.plan.states[stage], State::Hit(_)) {
            let message = format!("error: --check-repro: {name} is not cached; run it first");
            return Err(Stop::new(exit_code::BAD_EXPERIMENT, message));
        }
        if !args.quiet {
            say(&format!("{name}: once more, beside the cache"));
        }
        let text = match exec::check_reproduction(&place.plan, stage, &place.store, &place.places, &options)? {
            Reproduction::Same { files: 1 } => format!("{name}: its file came out the same\n"),
            Reproduction::Same { files } => format!("{name}: all {files} files came out the same\n"),
            Reproduction::Differs(differences) => {
                code = exit_code::STAGE_FAILED;
                let mut text = format!("{name}: {} of its files came out differently\n", differences.len());
                for Difference { path, cached, anew, largest } in differences {
                    let of = match (cached, anew, largest) {
                        (None, ..) => "is not in the cache".to_owned(),
                        (_, None, _) => "did not come out".to_owned(),
                        (.., Some(largest)) => format!("differs in numbers, by {largest:.3e} at most"),
                        (Some(cached), Some(anew), None) => format!("{} → {}", cached.short(), anew.short()),
                    };
                    text += &format!("  {path}: {of}\n");
                }
                text
            }
            Reproduction::Failed { class, message, last_lines } => {
                code = code_of(class);
                let lines: String = last_lines.iter().map(|line| format!("\n  | {line}")).collect();
                say(&format!("error: {name}: {message}{lines}"));
                continue;
            }
        };
        print(&text);
    }
    Ok(code)
}

fn code_of(class: ErrorClass) -> u8 {
    match class {
        ErrorClass::NotThere => exit_code::NOT_THERE,
        ErrorClass::BadData => exit_code::BAD_DATA,
        _ => exit_code::STAGE_FAILED,
    }
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
fn finish(
    place: &mut Place,
    outcome: &Outcome,
    total: usize,
    folder: &Path,
    args: &RunArgs,
    signals: Option<&exec::Signals>,
) -> Result<u8, Stop> {
    let (mut exported, mut stopped) = (0, outcome.interrupted);
    let mut tables = String::new();
    for (instance, stage) in place.plan.experiment.instances.iter().zip(&outcome.stages) {
        let StageOutcome::Done(record) = stage else { continue };
        if !instance.kind.section.is_report() {
            continue;
        }
        exec::export(&place.store, [record.as_ref()], folder)?;
        exported += 1;
        for output in record.outputs.iter().filter(|output| output.path.ends_with(".txt")) {
            tables += &String::from_utf8_lossy(&place.store.read(output)?);
            tables.push('\n');
        }
    }
    print(&tables);
    if exported > 0 {
        for (state, stage) in place.plan.states.iter_mut().zip(&outcome.stages) {
            if let (StageOutcome::Done(record), State::WaitsOn(_) | State::Miss { .. }) = (stage, &*state) {
                *state = State::Hit(Arc::clone(record));
            }
        }
        stopped = write_page(place, outcome, folder, args, signals);
    }
    let done = outcome.stages.iter().filter(|stage| matches!(stage, StageOutcome::Done(_))).count();
    if !args.quiet {
        let cached = done - outcome.ran;
        say(&format!("{done} of {total} stages done: {} ran, {cached} cached, {:.2} s", outcome.ran, outcome.seconds));
        if exported > 0 {
            say(&format!("reports in {}", folder.display()));
        }
    }
    if stopped {
        say("interrupted: finished stages are kept, training goes on from its last checkpoint next time");
        return Ok(exit_code::INTERRUPTED);
    }
    let first_failure = outcome.stages.iter().find_map(|stage| match stage {
        StageOutcome::Failed(failure) => Some(failure.class),
        _ => None,
    });
    Ok(first_failure.map_or(exit_code::DONE, code_of))
}

/// The page of all results: tables and figures are there without it. Says what leaks; whether somebody asked to stop.
fn write_page(
    place: &Place,
    outcome: &Outcome,
    folder: &Path,
    args: &RunArgs,
    signals: Option<&exec::Signals>,
) -> bool {
    let looking = Looking::new(args.quiet, signals);
    let seen = |done: usize, total: usize| looking.seen(done, total);
    let progress: Option<page::PageProgress<'_>> = if outcome.interrupted { None } else { Some(&seen) };
    let written = page::write_page(&place.plan, &place.store, &place.places, folder, progress);
    let stopped = outcome.interrupted || looking.stopped();
    drop(looking);
    let mut command = format!("matssl-run data {}", args.experiment.file.display());
    if let Some(data) = &args.experiment.data {
        command += &format!(" --data {}", data.display());
    }
    match written {
        Ok(page::PageOutcome { page: Some(page), leaks, problem }) => {
            if let Some(leaks) = leaks.filter(|leaks| leaks.scored > 0) {
                let images = match leaks.scored {
                    1 => "1 image that is scored on was".to_owned(),
                    more => format!("{more} images that are scored on were"),
                };
                let page = page.display();
                say(&format!("warning: data: {images} also trained on, whole or in part; see {page} or `{command}`"));
            }
            if let Some(problem) = problem {
                say(&format!("warning: images were not compared with each other: {problem}"));
            }
        }
        Ok(_) => {}
        Err(error) => say(&format!("warning: the page of all results was not written: {error:#}")),
    }
    stopped
}
