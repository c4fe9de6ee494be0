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

/// Whether a stage runs as a job of the batch system. Checks of data sets, tables and figures take seconds and run here.
pub(super) fn is_submitted(instance: &Instance, options: &Options) -> bool {
    let kind = instance.kind;
    options.slurm.is_some() && (kind.trains || kind.spawns || instance.stage.computes())
}
