//! The provenance of a record.

use super::job::Job;
use super::program::Program;
use crate::cache::{Provenance, Store, host_name};
use matssl_base::machine;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Provenance of the stage of `job`, started at `started` and finished now on `device`, by `program` on this machine.
pub(super) fn provenance(program: &Program, job: &Job, started: Instant, store: &Store, device: String) -> Provenance {
    let seconds = started.elapsed().as_secs_f64();
    Provenance {
        stage: format!("{}/{}", job.experiment, job.stage),
        program: program.name.to_owned(),
        build: Some(program.build(store)),
        host: host_name(),
        cpu: machine::cpu_model(),
        cpu_features: machine::vector_features(),
        device,
        threads: job.threads,
        finished_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        seconds,
    }
}
