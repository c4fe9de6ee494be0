//! What to tell a user whose disk is full.

use crate::cache::bytes_below;
use crate::stage::StageError;
use anyhow::anyhow;
use matssl_base::machine::{Bytes, free_space, is_disk_full};
use std::path::{Path, PathBuf};

/// If `error` comes from a full disk: the same error with the cache's folder, its free space, and how much the stage had
/// written to its private `folder`.
pub(super) fn with_room_needed(error: StageError, folder: PathBuf, cache: &Path) -> StageError {
    let StageError::Failed(error) = error else { return error };
    let is_full = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>()).any(is_disk_full);
    if !is_full {
        return StageError::Failed(error);
    }
    let free = free_space(cache).map(|bytes| format!("{} left", Bytes(bytes))).unwrap_or_default();
    let (cache, written) = (cache.display(), Bytes(bytes_below(&folder)));
    StageError::Failed(anyhow!(
        "the disk of {cache} is full ({free}): this stage had written {written} and needs more; free space there, or name \
         another folder with --cache: {error:#}"
    ))
}
