//! Where and by what a record is made.

use super::job::Job;
use crate::cache::{Build, Digest, Provenance, host_name};
use crate::machine;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Of the stage that `job` names, begun at `started` and finished now, by this program on this machine.
pub(super) fn provenance(job: &Job, started: Instant) -> Provenance {
    Provenance {
        stage: format!("{}/{}", job.experiment, job.stage),
        program: format!("matssl-run {}", machine::VERSION),
        build: Some(build()),
        host: host_name(),
        cpu: machine::cpu_model(),
        cpu_features: machine::vector_features(),
        device: "cpu".into(),
        threads: job.threads,
        finished_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        seconds: started.elapsed().as_secs_f64(),
    }
}

/// The version alone does not name a build, nor does the commit: compiler, flags and dependencies differ. The
/// program's own bytes do.
fn build() -> Build {
    let executable = machine::executable().and_then(|path| Digest::of_file(&path));
    Build {
        commit: machine::COMMIT.map(str::to_owned),
        executable: executable.ok().map(|(digest, _)| digest),
        compiler: machine::COMPILER.into(),
        target: machine::TARGET.into(),
        target_features: machine::TARGET_FEATURES.into(),
        profile: machine::PROFILE.into(),
    }
}
