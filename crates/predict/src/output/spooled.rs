//! Bytes that wait on disk until the file that they are for can be written.

use anyhow::{Context, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A file without a name in the work folder; the system removes it when it is closed.
pub(super) struct Spooled {
    file: File,
    length: u64,
}

impl Spooled {
    pub(super) fn create(work: &Path) -> Result<Self> {
        let file = tempfile::tempfile_in(work).with_context(|| format!("{}: cannot be written", work.display()))?;
        Ok(Spooled { file, length: 0 })
    }

    /// Adds bytes at the end.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.write(self.length, bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Writes `bytes` at `offset`.
    pub(super) fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, offset).context("a temporary file cannot be written")
    }

    /// The `count` bytes at `offset`.
    pub(super) fn read(&self, offset: u64, count: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.file.read_exact_at(&mut bytes, offset).context("a temporary file cannot be read")?;
        Ok(bytes)
    }
}
