//! A file that is written under a temporary name.

use anyhow::{Context, Result};
use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Seek};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// What a file is written through.
pub(super) type Write = BufWriter<File>;

/// A file that is whole or not there: it is written in a work folder, and renamed when it is finished. Dropped before, it is
/// removed.
#[derive(Debug)]
pub struct WholeFile {
    temporary: NamedTempFile,
    path: PathBuf,
}

impl WholeFile {
    /// A new file that will be `path`, in the folder `work` of the same file system.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(super) fn create(work: &Path, path: &Path) -> Result<Self> {
        // What a umask leaves of this is what the user wants; a temporary file alone is private.
        let made = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(work);
        let temporary = made.with_context(|| format!("{}: cannot be written", work.display()))?;
        Ok(WholeFile { temporary, path: path.to_path_buf() })
    }

    /// A buffered writer at the file's beginning.
    ///
    /// # Errors
    /// If the system has no handle left.
    pub(super) fn writer(&self) -> Result<Write> {
        let mut file = self.temporary.as_file().try_clone()?;
        file.rewind()?;
        Ok(BufWriter::with_capacity(1 << 16, file))
    }

    /// Where it will be.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the finished file its name, in the place of an older one.
    ///
    /// # Errors
    /// If its folder cannot be made, or it cannot be renamed.
    pub(super) fn finish(self) -> Result<PathBuf> {
        let WholeFile { temporary, path } = self;
        let written = || format!("{}: cannot be written", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(written)?;
        }
        temporary.persist(&path).map_err(|error| error.error).with_context(written)?;
        Ok(path)
    }

    /// Writes `bytes` as the file `path`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(work: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
        let file = WholeFile::create(work, path)?;
        let mut writer = file.writer()?;
        let written = io::Write::write_all(&mut writer, bytes).and_then(|()| io::Write::flush(&mut writer));
        written.with_context(|| format!("{}: cannot be written", path.display()))?;
        file.finish()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_finished_leaves_nothing_and_the_old_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.txt");
        WholeFile::write(folder.path(), &path, b"old").unwrap();
        let file = WholeFile::create(folder.path(), &path).unwrap();
        io::Write::write_all(&mut file.writer().unwrap(), b"half").unwrap();
        drop(file);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
        WholeFile::write(folder.path(), &path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_ne!(mode & 0o044, 0, "{mode:o}: readable as other files are");
    }
}
