//! What the scheduler is told of the stages of a plan.

use super::outcome::Options;
use super::scheduler::{Duty, Role};
use crate::experiment::{Instance, Section};
use crate::plan::Plan;

/// Data sets are checked before any training starts.
pub(super) fn duties(plan: &Plan, options: &Options) -> Vec<Duty> {
    let duty = |(stage, instance): (usize, &Instance)| {
        let kind = instance.kind;
        let role = match kind.section {
            Section::Datasets => Role::Check,
            _ if kind.trains => Role::Training,
            _ => Role::Other,
        };
        let expected = options.expected[stage];
        Duty {
            role,
            computes: instance.stage.computes(),
            eager: kind.spawns,
            threads: instance.limits.threads,
            memory: instance.limits.memory.unwrap_or(expected.memory),
            cost: expected.cost,
        }
    };
    plan.experiment.instances.iter().enumerate().map(duty).collect()
}
