//! Temporary files and folders in a cache.

use super::durable::TEMPORARY_PREFIX;
use super::folder::{files_in, folders_in};
use super::{Store, findings};
use anyhow::Result;
use std::path::PathBuf;

/// The temporary files and folders outside of `work/` and `objects/`.
///
/// # Errors
/// If a folder cannot be read.
pub(super) fn temporary_files(store: &Store) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let folders = ["records", "last", "stat", findings::FOLDER].map(|name| store.folder(name));
    for folder in [store.root().to_owned()].into_iter().chain(folders) {
        found.extend(files_in(&folder)?.into_iter().chain(folders_in(&folder)?));
    }
    let is_temporary =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TEMPORARY_PREFIX));
    found.retain(is_temporary);
    Ok(found)
}
