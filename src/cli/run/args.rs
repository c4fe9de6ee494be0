//! The arguments of `matssl-run FILE`.

use super::super::arguments::ExperimentArgs;
use super::super::device::Device;
use super::super::remote::RemoteArgs;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args)]
pub(in super::super) struct RunArgs {
    #[command(flatten)]
    pub(super) experiment: ExperimentArgs,
    /// Folder for tables, figures and pictures, in a folder named after the experiment.
    #[arg(long, value_name = "DIR", default_value = "reports")]
    pub(super) reports: PathBuf,
    /// What to train and predict on: cpu, cuda (all NVIDIA GPUs), cuda:N (one of them), or auto (all GPUs, or the CPU if
    /// there are none).
    #[arg(long, default_value = "auto")]
    pub(super) device: Device,
    /// Run at most N stages at a time [default: the number of cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) jobs: Option<u16>,
    /// Run only this stage, family or pattern ('tables.*'), and what it depends on; may be repeated.
    #[arg(long, value_name = "STAGE")]
    pub(super) only: Vec<String>,
    /// Run this stage, family or pattern again although it is cached; may be repeated.
    #[arg(long, value_name = "STAGE")]
    pub(super) force: Vec<String>,
    /// Run this cached stage, family or pattern again outside the cache and compare every file; may be repeated.
    #[arg(long, value_name = "STAGE", conflicts_with_all = ["only", "force"])]
    pub(super) check_repro: Vec<String>,
    /// After a failure go on with all stages that do not depend on the failed one.
    #[arg(long)]
    pub(super) keep_going: bool,
    /// Write the curves of trainings for TensorBoard to DIR/EXPERIMENT/STAGE/ while they run; cached stages write nothing.
    #[arg(long, value_name = "DIR", env = "MATSSL_TENSORBOARD")]
    pub(super) tensorboard: Option<PathBuf>,
    /// Minutes between checkpoints inside a long epoch. Checkpoints take at most 5 % of a training's time, unless the last
    /// one is five times as old as this.
    #[arg(long, value_name = "N", default_value_t = CHECKPOINT_MINUTES, value_parser = minutes)]
    pub(super) checkpoint_minutes: f64,
    /// Where stages run: local, or slurm (trainings, predictions and programs as jobs; see `[slurm]` of the site file).
    #[arg(long, value_name = "WHERE", default_value = "local", env = "MATSSL_EXECUTOR")]
    pub(super) executor: ExecutorName,
    /// Maximum number of Slurm jobs of this run in the queue [default: `max_jobs` of the site file, or 1000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_jobs: Option<u32>,
    /// What becomes of Slurm jobs when the run is interrupted: leave, cancel, or ask (where nobody can answer: leave).
    #[arg(long, value_name = "WHAT", default_value = "ask")]
    pub(super) on_interrupt: OnInterruptName,
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
    /// No progress, only errors and results.
    #[arg(long, short)]
    pub(super) quiet: bool,
}

/// `--executor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in super::super) enum ExecutorName {
    Local,
    Slurm,
}

/// `--on-interrupt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in super::super) enum OnInterruptName {
    Ask,
    Leave,
    Cancel,
}

impl RunArgs {
    /// For `stages` and what they depend on; everything else has its default.
    pub(in super::super) fn only(
        experiment: ExperimentArgs,
        reports: PathBuf,
        quiet: bool,
        stages: Vec<String>,
    ) -> Self {
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
            executor: ExecutorName::Local,
            max_jobs: None,
            on_interrupt: OnInterruptName::Ask,
            remote: RemoteArgs::default(),
            quiet,
        }
    }
}

/// Default time between checkpoints inside a long epoch.
const CHECKPOINT_MINUTES: f64 = 2.0;

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        // A week is more than any batch system lets a job run.
        Ok(minutes) if minutes > 0.0 && minutes <= 10080.0 => Ok(minutes),
        _ => Err("expected minutes above 0 and up to 10080, e.g. 10".to_owned()),
    }
}
