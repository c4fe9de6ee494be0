//! A file outside the cache that cannot be read.

use std::path::PathBuf;

/// A file outside the cache could not be read: it is gone, nobody may read it, or its disk fails.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {source}", path.display())]
pub struct UnreadableFile {
    /// The file.
    pub path: PathBuf,
    /// The system's error.
    pub source: std::io::Error,
}

impl UnreadableFile {
    /// Whether there is no such file (any more).
    pub fn is_gone(&self) -> bool {
        self.source.kind() == std::io::ErrorKind::NotFound
    }
}
