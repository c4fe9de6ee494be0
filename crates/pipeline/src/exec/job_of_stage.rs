//! Builds a worker's job from a stage of a plan.

use super::job::Job;
use super::outcome::Options;
use crate::cache::Store;
use crate::plan::{Plan, ResolvedInput};
use crate::stage::Places;
use matssl_base::device_name::DeviceName;

/// The job of `stage`.
#[expect(clippy::too_many_arguments, reason = "a job combines all of these")]
pub(super) fn job_of(
    plan: &Plan,
    stage: usize,
    inputs: Vec<ResolvedInput>,
    store: &Store,
    places: &Places,
    options: &Options,
    device: DeviceName,
    threads: usize,
) -> Job {
    let (instance, experiment) = (&plan.experiment.instances[stage], &plan.experiment.name);
    let tensorboard = options.tensorboard.as_ref();
    Job {
        experiment: experiment.clone(),
        stage: instance.name.clone(),
        kind: instance.kind.name.to_owned(),
        params: instance.params.clone(),
        seed: instance.seed,
        inputs,
        places: places.clone(),
        cache: store.root().to_owned(),
        force: options.forced[stage],
        check: false,
        device,
        checkpoint_wait: options.checkpoint_wait,
        tensorboard: tensorboard.map(|folder| folder.join(experiment).join(&instance.name)),
        threads,
    }
}
