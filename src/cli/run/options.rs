//! What a run is told: limits, devices, and what each stage is expected to need.

use super::super::open_experiment::OpenExperiment;
use super::super::outcome::Stop;
use super::args::RunArgs;
use crate::exec::{Expectation, Gpu, Options};
use crate::machine;
use crate::nn::{DeviceName, device};
use crate::plan::{Expected, Forecast};
use crate::program::PROGRAM;
use std::time::Duration;

/// For the stages that are `wanted` and `forced`, on `gpus`.
pub(super) fn options(
    args: &RunArgs,
    experiment: &OpenExperiment,
    forecast: &Forecast,
    wanted: Vec<bool>,
    forced: Vec<bool>,
    gpus: Vec<DeviceName>,
) -> Result<Options, Stop> {
    let seconds: Vec<f64> = forecast.stages.iter().flatten().map(|stage| stage.seconds).collect();
    // A stage without a forecast counts as an average one.
    let unknown = if seconds.is_empty() { 1.0 } else { seconds.iter().sum::<f64>() / seconds.len() as f64 };
    let expectation = |stage: &Option<Expected>| Expectation {
        cost: stage.as_ref().map_or(unknown, |stage| stage.seconds),
        memory: stage.as_ref().and_then(|stage| stage.memory_mib).unwrap_or(0) << 20,
    };
    debug_assert_eq!(forecast.stages.len(), experiment.plan.states.len(), "one expectation a stage");
    let memory = machine::room().map_err(Stop::bad_request)?.map(|room| room.bytes);
    tracing::debug!(jobs = args.jobs, memory, ?gpus, "options of the run");
    Ok(Options {
        program: &PROGRAM,
        jobs: args.jobs.map(usize::from),
        keep_going: args.keep_going,
        expected: forecast.stages.iter().map(expectation).collect(),
        memory,
        wanted,
        forced,
        gpus: gpus.into_iter().map(|name| Gpu { name, identity: device::identity(name) }).collect(),
        checkpoint_wait: Duration::from_secs_f64(60.0 * args.checkpoint_minutes),
        slurm: None,
        // Workers may run in another folder.
        tensorboard: args.tensorboard.as_ref().map(std::path::absolute).transpose().map_err(anyhow::Error::from)?,
    })
}
