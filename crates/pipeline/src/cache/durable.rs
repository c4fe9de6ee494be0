//! Files that appear complete or not at all, and folders whose changes survive a power cut.

use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::NamedTempFile;

/// Writes a file in one step: a reader sees the old file, none, or the complete new one, at any moment.
///
/// # Errors
/// A full or read-only disk.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut temporary = temporary_in(folder)?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path)?;
    sync_folder(folder)
}

/// A temporary file that others may read once it has its final name, because a group of users may share a cache.
///
/// # Errors
/// A full or read-only disk.
pub(super) fn temporary_in(folder: &Path) -> std::io::Result<NamedTempFile> {
    let readable = PermissionsExt::from_mode(0o644);
    tempfile::Builder::new().prefix(TEMPORARY_PREFIX).permissions(readable).tempfile_in(folder)
}

/// The names of temporary files begin with this.
pub(super) const TEMPORARY_PREFIX: &str = ".tmp";

/// Makes renames and links in `folder` durable.
///
/// # Errors
/// If the disk cannot be flushed.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)?.sync_all().with_context(|| format!("cannot flush {}", folder.display()))
}
