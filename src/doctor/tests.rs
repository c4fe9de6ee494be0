//! Checks on the pretended GPU: they pass, and they detect every missing kernel.

use super::networks;
use super::{STEPS, Step, step};
use crate::nn::DeviceName;
use crate::nn::ops::gpu::pretend;
use std::collections::BTreeSet;
use std::path::Path;

/// The result of a step on the pretended GPU; `None` without a C++ compiler.
fn check(step: &Step) -> Option<anyhow::Result<String>> {
    pretend::on(|| step.check(DeviceName::Cpu, &mut |_| ()))
}

/// Steps that need no driver.
fn steps() -> impl Iterator<Item = &'static Step> {
    STEPS.iter().filter(|step| !step.needs_gpu)
}

/// The names in `kernels/*.cuh`.
fn kernels() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/tensor/src/ops/gpu/kernels");
    let mut names = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let found = text.split("KERNEL(").skip(1).filter_map(|rest| rest.split(')').next());
        names.extend(found.map(str::to_owned));
    }
    names
}

#[test]
fn every_step_passes_on_a_pretended_gpu_and_on_a_cpu() {
    for step in steps() {
        if let Some(found) = check(step) {
            found.unwrap_or_else(|error| panic!("{}: {error:#}", step.name));
        }
        step.check(DeviceName::Cpu, &mut |_| ()).unwrap_or_else(|error| panic!("{} on a CPU: {error:#}", step.name));
    }
}

#[test]
fn a_resnet_50_agrees_with_the_cpu() {
    let run = || networks::check(DeviceName::Cpu, |n, mode| networks::resnet_of("resnet50", n, mode), &mut |_| ());
    if let Some(found) = pretend::on(run) {
        found.unwrap();
    }
}

/// Outputs are poisoned, so that a check detects values that a kernel did not write.
#[test]
fn a_missing_kernel_is_detected() {
    let steps = [step("operations").unwrap(), step("batches").unwrap()];
    let fails = |step: &&Step| check(step).is_some_and(|found| found.is_err());
    assert!(!steps.iter().any(&fails), "a step fails with all kernels");
    if check(steps[0]).is_none() {
        return;
    }
    let unmissed: Vec<String> =
        kernels().into_iter().filter(|kernel| !pretend::without(kernel, || steps.iter().any(&fails))).collect();
    assert!(unmissed.is_empty(), "no step misses {unmissed:?}");
}

#[test]
fn the_sum_of_the_time_limits_is_at_most_5_minutes() {
    assert!(STEPS.iter().map(|step| step.seconds).sum::<u64>() <= 300);
}
