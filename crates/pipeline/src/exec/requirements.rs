//! The requirements of the stages of a plan, for the scheduler.

use super::outcome::Options;
use super::scheduler::{Requirements, Role};
use crate::experiment::{Instance, Section};
use crate::plan::Plan;

/// Requirements of each stage. Data sets are checks: they end before any training starts.
pub(super) fn requirements(plan: &Plan, options: &Options) -> Vec<Requirements> {
    let of_stage = |(stage, instance): (usize, &Instance)| {
        let kind = instance.kind;
        let role = match kind.section {
            Section::Datasets => Role::Check,
            _ if kind.trains => Role::Training,
            _ => Role::Other,
        };
        let expected = options.expected[stage];
        Requirements {
            role,
            computes: instance.stage.computes(),
            is_submitted: is_submitted(instance, options),
            eager: kind.spawns && !is_submitted(instance, options),
            threads: instance.limits.threads,
            memory: instance.limits.memory.unwrap_or(expected.memory),
            cost: expected.cost,
        }
    };
    plan.experiment.instances.iter().enumerate().map(of_stage).collect()
}

/// Whether `options` run a stage as a job of the batch system.
pub(super) fn is_submitted(instance: &Instance, options: &Options) -> bool {
    options.slurm.is_some() && runs_as_job(instance)
}

/// Whether a stage is a job where a run uses a batch system. Checks of data sets, tables and figures take seconds: they run where the
/// run runs.
pub fn runs_as_job(instance: &Instance) -> bool {
    let kind = instance.kind;
    kind.trains || kind.spawns || instance.stage.computes()
}
