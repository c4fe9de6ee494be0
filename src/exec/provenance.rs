//! Where and by what a record is made.

use super::job::Job;
use crate::cache::{Build, Digest, Provenance, Store, host_name};
use crate::machine;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Of the stage that `job` names, begun at `started` and finished now on `device`, by this program on this machine.
pub(super) fn provenance(job: &Job, started: Instant, store: &Store, device: String) -> Provenance {
    let seconds = started.elapsed().as_secs_f64();
    Provenance {
        stage: format!("{}/{}", job.experiment, job.stage),
        program: format!("matssl-run {}", machine::VERSION),
        build: Some(build(store)),
        host: host_name(),
        cpu: machine::cpu_model(),
        cpu_features: machine::vector_features(),
        device,
        threads: job.threads,
        finished_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        seconds,
    }
}

/// The version alone does not name a build, nor does the commit: compiler, flags and dependencies differ. What the
/// linker wrote into the program does, or else its own bytes.
fn build(store: &Store) -> Build {
    static BUILD_ID: OnceLock<Option<String>> = OnceLock::new();
    let build_id = BUILD_ID.get_or_init(machine::build_id).clone();
    Build {
        commit: machine::COMMIT.map(str::to_owned),
        executable: if build_id.is_none() { executable(store) } else { None },
        build_id,
        compiler: machine::COMPILER.into(),
        target: machine::TARGET.into(),
        target_features: machine::TARGET_FEATURES.into(),
        profile: machine::PROFILE.into(),
    }
}

/// Hash of this program's file, read once a cache and build: later processes find it in the index of files.
fn executable(store: &Store) -> Option<Digest> {
    static OWN: OnceLock<Option<Digest>> = OnceLock::new();
    *OWN.get_or_init(|| hash_executable(store))
}

fn hash_executable(store: &Store) -> Option<Digest> {
    let path = machine::executable().ok()?;
    let name = std::fs::read_link(&path).unwrap_or_else(|_| path.clone()).to_string_lossy().into_owned();
    let root = path.clone();
    store.digests(&root, &[(name.clone(), path)]).ok()?.remove(&name)
}
