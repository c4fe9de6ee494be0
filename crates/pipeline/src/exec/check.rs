//! A cached stage done once more beside the cache.

use super::attempt::{Ground, produce};
use super::difference::{Difference, differences};
use super::job::Job;
use crate::cache::KeyMaterial;
use crate::stage::{Stage, StageError};
use anyhow::Context as _;

/// Does `job` in a private folder and holds what comes out against the record of `material`.
///
/// # Errors
/// As the stage itself.
pub(super) fn check(
    job: &Job,
    stage: &dyn Stage,
    material: &KeyMaterial,
    ground: &Ground,
) -> Result<Vec<Difference>, StageError> {
    let store = &ground.store;
    let record = store.find(material.key()).context("its record is gone from the cache")?;
    let scratch = store.private_folder()?;
    // Not the key's own: a checkpoint would make it another thing than doing it once more.
    let checkpoint = scratch.folder().join("checkpoint");
    produce(job, stage, checkpoint, &scratch, material, ground)?;
    Ok(differences(&record, &scratch.out(), store)?)
}
