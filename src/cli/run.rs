//! `matssl-run FILE`: run an experiment.

mod args;
mod options;
mod reproduction;
mod results;
mod slurm;

pub(super) use args::RunArgs;
pub(super) use slurm::settings as slurm_settings;

use super::device::say_device;
use super::foreseen::Foresights;
use super::open_experiment::{self, OpenExperiment, not_usable};
use super::outcome::{Ending, Stop};
use super::output::say;
use super::progress::Display;
use super::remote;
use super::signals;
use super::time_left::TimeLeft;
use crate::events::Event;
use crate::exec::{self, Options};
use crate::experiment::Instance;
use crate::machine::check_writable;
use crate::nn;
use crate::plan::{CacheState, Forecast};
use crate::stage::START_FROM;
use options::options;
use reproduction::check_repro;
use results::finish;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn run(args: &RunArgs) -> Result<Ending, Stop> {
    let slurm = slurm::options(args)?;
    // On a cluster the nodes have the GPUs, not this machine.
    let gpus = if slurm.is_some() { Vec::new() } else { args.device.gpus()? };
    // Before any training, not after it.
    for (flag, folder) in [("--reports", Some(&args.reports)), ("--tensorboard", args.tensorboard.as_ref())] {
        let Some(folder) = folder else { continue };
        check_writable(folder).map_err(|problem| not_usable(flag, folder, &problem))?;
    }
    let shared = args.remote.open(args.quiet)?;
    let mut experiment = open_experiment::open(&args.experiment)?;
    if !args.quiet {
        experiment.left_out_in_words().lines().for_each(say);
    }
    if !args.check_repro.is_empty() {
        return check_repro(&experiment, args, gpus);
    }
    let (wanted, forced) = select(&experiment, &args.only, &args.force)?;
    if let Some(shared) = &shared {
        experiment = remote::attach(shared, experiment, &wanted, &forced)?;
    }
    let folder = args.reports.join(&experiment.plan.experiment.name);
    let total = wanted.iter().filter(|wanted| **wanted).count();
    if !forced.contains(&true)
        && let Some(outcome) = exec::all_cached(&experiment.plan, &experiment.store, &wanted, &mut experiment.gate)
    {
        let ending = finish(&mut experiment, &outcome, total, &folder, args, None);
        std::mem::forget(outcome);
        experiment.leave();
        return ending;
    }
    experiment.store.make().map_err(|error| {
        let stop = Stop::from(error);
        if stop.ending == Ending::Internal { Stop::new(Ending::BadRequest, stop.message) } else { stop }
    })?;
    let is_hit = |stage: usize| matches!(experiment.plan.states[stage], CacheState::Hit(_));
    let must_run: Vec<bool> = (0..wanted.len()).map(|i| wanted[i] && (forced[i] || !is_hit(i))).collect();
    check(&experiment, &must_run, args.keep_going)?;
    let on_gpu: Vec<bool> = experiment
        .plan
        .experiment
        .instances
        .iter()
        .map(|instance| match &slurm {
            Some(slurm) => slurm.device.is_some() && slurm.settings.has_gpu(instance.kind.name),
            None => !gpus.is_empty(),
        })
        .collect();
    let both = |wants_gpu: bool| -> Vec<bool> {
        must_run.iter().zip(&on_gpu).map(|(&runs, &gpu)| runs && gpu == wants_gpu).collect()
    };
    check_precision(&experiment, &both(false))?;
    check_gpu(&experiment, &both(true))?;
    let forecast = Forecast::new(&experiment.plan, &experiment.store, &must_run, !gpus.is_empty());
    let options = Options { slurm, ..options(args, &experiment, &forecast, wanted, forced, gpus)? };
    let signals = Arc::new(exec::Signals::default());
    signals::listen(&signals)?;
    if !args.quiet {
        say_settled(&experiment, &must_run);
        say_device(args.device, &options.gpus);
    }
    let time_left = TimeLeft::new(&experiment.plan, forecast.seconds(), &must_run);
    let mut display = Display::new(args.quiet, time_left);
    let mut push = match &shared {
        Some(shared) => remote::push_in_background(shared, &experiment)?,
        None => None,
    };
    let gate = experiment.gate.take();
    let OpenExperiment { plan, store, places, .. } = &experiment;
    remote::pause_progress(true);
    let outcome = exec::run(plan, store, places, &options, &signals, gate, &mut |event| {
        display.show(event);
        if let (Some(push), Event::StageFinished { key, .. }) = (&mut push, event) {
            push.push(*key);
        }
    })?;
    remote::pause_progress(false);
    let ending = finish(&mut experiment, &outcome, total, &folder, args, Some(&signals));
    if let (Some(push), Some(shared)) = (push, &shared) {
        remote::finish_push(push, shared, &experiment, &outcome, &signals, &args.experiment.file, args.quiet);
    }
    ending
}

/// Says what stages that run have decided by this machine.
fn say_settled(experiment: &OpenExperiment, must_run: &[bool]) {
    let mut settled: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (stage, instance) in
        experiment.plan.experiment.instances.iter().enumerate().filter(|(stage, _)| must_run[*stage])
    {
        if let Some(setting) = instance.stage.settled() {
            settled.entry(setting).or_default().push(stage);
        }
    }
    for (setting, stages) in settled {
        say(&format!("{}: {setting}, by the memory of this machine", experiment.plan.names(&stages)));
    }
}

/// Refuses a run that must fail, with all reasons that are known before anything starts. Told to keep going, the run
/// refuses only the stages concerned. Data sets that are not in the cache are judged when the run has checked them.
fn check(experiment: &OpenExperiment, must_run: &[bool], keep_going: bool) -> Result<(), Stop> {
    let ready = experiment.check_ready(must_run);
    let foreseen = match keep_going {
        true => None,
        false => Foresights::of(experiment, must_run, &BTreeMap::new()).stop(),
    };
    match (ready, foreseen) {
        (Err(unready), Some(foreseen)) => {
            Err(Stop::new(unready.ending.max(foreseen.ending), foreseen.message + &unready.message))
        }
        (ready, foreseen) => ready.and(foreseen.map_or(Ok(()), Err)),
    }
}

/// Refuses stages whose precision needs a GPU, before anything starts.
fn check_precision(experiment: &OpenExperiment, must_run: &[bool]) -> Result<(), Stop> {
    let instances = experiment.plan.experiment.instances.iter().zip(must_run);
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
    message += &format!("help: {why}; write `precision = \"float32\"`, or use `--device cuda`");
    Err(Stop::new(Ending::NotThere, message))
}

/// Refuses stages that cannot run on a GPU, and stages that compute with a network that cannot, before anything starts. How a network
/// was trained does not matter where only its weights are used.
fn check_gpu(experiment: &OpenExperiment, must_run: &[bool]) -> Result<(), Stop> {
    let instances = &experiment.plan.experiment.instances;
    let mut message = String::new();
    for (instance, _) in instances.iter().zip(must_run).filter(|(_, must_run)| **must_run) {
        if let Some(setting) = instance.stage.needs_cpu().or_else(|| inputs_need_cpu(instances, instance)) {
            message += &format!("error: {}: `{setting}` does not run on a GPU yet\n", instance.name);
        }
    }
    if message.is_empty() {
        return Ok(());
    }
    message += "help: use `--device cpu`";
    Err(Stop::new(Ending::BadRequest, message))
}

/// What of the networks that `instance` computes with cannot run on a GPU, also of those that these start from.
fn inputs_need_cpu(instances: &[Instance], instance: &Instance) -> Option<String> {
    // Of a model that a pretraining starts from only the encoder is used, and that is the stage's own.
    let inputs = instance.inputs.iter().filter(|input| instance.stage.computes() && input.role != START_FROM);
    let mut inputs = inputs.map(|input| &instances[input.instance]);
    inputs.find_map(|input| input.stage.output_needs_cpu().or_else(|| inputs_need_cpu(instances, input)))
}

/// For each stage whether it is asked for, and whether it is forced.
fn select(experiment: &OpenExperiment, only: &[String], force: &[String]) -> Result<(Vec<bool>, Vec<bool>), Stop> {
    let count = experiment.plan.states.len();
    let mut wanted = vec![true; count];
    if !only.is_empty() {
        let found = only.iter().map(|name| experiment.stages_called(name, "--only")).collect::<Result<Vec<_>, _>>()?;
        wanted = experiment.plan.dag.with_ancestors(&found.concat());
    }
    let mut forced = vec![false; count];
    for name in force {
        let mut found = experiment.stages_called(name, "--force")?;
        found.retain(|&stage| wanted[stage]);
        if found.is_empty() {
            return Err(Stop::bad_request(format!("--force: `{name}` is not among the stages that --only asks for")));
        }
        for stage in found {
            forced[stage] = true;
        }
    }
    Ok((wanted, forced))
}
