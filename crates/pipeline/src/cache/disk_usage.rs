//! How much a file or folder occupies, and when it was last changed.

use super::amount::Amount;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// What lies at or below a path.
#[derive(Default)]
pub(super) struct DiskUsage {
    /// All files.
    pub(super) files: Amount,
    /// When the last of the files or folders was changed; `None` if nothing is there.
    pub(super) newest: Option<SystemTime>,
}

/// Number of bytes of all files at or below `path`. Links are not followed.
pub fn bytes_below(path: &Path) -> u64 {
    disk_usage(path).files.bytes
}

/// All files at or below `path`. Links are not followed.
pub(super) fn disk_usage(path: &Path) -> DiskUsage {
    let mut usage = DiskUsage::default();
    let mut waiting = vec![path.to_owned()];
    while let Some(path) = waiting.pop() {
        let Ok(file) = fs::symlink_metadata(&path) else { continue };
        usage.newest = usage.newest.max(file.modified().ok());
        if file.is_dir() {
            waiting.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        } else {
            usage.files += file.len();
        }
    }
    usage
}
