//! Runs a cached stage again, outside the cache, and compares the outputs.

use super::attempt::{Services, produce};
use super::difference::{Difference, differences};
use super::job::Job;
use crate::cache::KeyMaterial;
use crate::stage::{Stage, StageError};
use anyhow::Context as _;

/// Runs `job` in a private folder and compares its output with the record of `material`.
///
/// # Errors
/// The errors of the stage.
pub(super) fn check(
    job: &Job,
    stage: &dyn Stage,
    material: &KeyMaterial,
    services: &Services,
) -> Result<Vec<Difference>, StageError> {
    let store = &services.store;
    let record = store.find(material.key()).context("its record is no longer in the cache")?;
    let scratch = store.private_folder()?;
    // Not the key's own folder: the check must not resume from a checkpoint.
    let checkpoint = scratch.folder().join("checkpoint");
    produce(job, stage, checkpoint, &scratch, material, services)?;
    Ok(differences(&record, &scratch.out(), store)?)
}
