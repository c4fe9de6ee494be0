//! Files and folders to remove.

use super::super::scratch::remove_all;
use anyhow::{Context as _, Result};
use std::fs;
use std::io;
use std::path::PathBuf;
use tracing::debug;

/// A file or folder to remove.
#[derive(Debug)]
pub(super) struct Removal {
    pub(super) path: PathBuf,
    /// Why it may go, for the log.
    pub(super) reason: &'static str,
}

impl Removal {
    /// Removes it, if it still exists.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(super) fn carry_out(&self) -> Result<()> {
        let Removal { path, reason } = self;
        let removed = match fs::symlink_metadata(path) {
            Ok(file) if file.is_dir() => remove_all(path),
            Ok(_) => fs::remove_file(path),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => {
                debug!(path = %path.display(), reason, "gc removed");
                Ok(())
            }
        }
    }
}
