//! Files that a process no longer needs, in one folder that is removed when the process ends.

use super::locked_folder::{locked_folder, remove_folder};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// The trash folder of this process.
#[derive(Debug)]
pub(super) struct Trash {
    work: PathBuf,
    /// Made, and locked, with the first file.
    folder: OnceLock<(PathBuf, File)>,
    count: AtomicUsize,
    bytes: AtomicU64,
    /// Whether another process removes this process's folders after its end.
    left: AtomicBool,
}

/// Maximum size of the trash in bytes. Further files are removed at once, so that the disk does not fill up.
const LARGEST_TRASH: u64 = 64 << 20;

/// Files larger than this are removed at once.
const LARGEST_FILE: u64 = 1 << 20;

/// What a small file occupies at least, in bytes.
const BLOCK: u64 = 4096;

impl Trash {
    /// An empty trash. Its folder will be in `work`.
    pub(super) fn new(work: PathBuf) -> Self {
        Trash {
            work,
            folder: OnceLock::new(),
            count: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            left: AtomicBool::new(false),
        }
    }

    /// Moves a file to the trash, or removes it if that is as fast, or if the file or the trash is large.
    pub(super) fn discard(&self, path: &Path) -> io::Result<()> {
        let file = fs::symlink_metadata(path)?;
        let is_removed_fast = file.nlink() > 1 || file.blocks() == 0;
        if is_removed_fast || file.len() > LARGEST_FILE {
            return fs::remove_file(path);
        }
        if self.bytes.fetch_add(file.len().max(BLOCK), Ordering::Relaxed) > LARGEST_TRASH {
            return fs::remove_file(path);
        }
        let folder = match self.folder.get() {
            Some((folder, _)) => folder,
            None => {
                let made = locked_folder(&self.work)?;
                let (folder, _) = self.folder.get_or_init(|| made);
                folder
            }
        };
        let name = self.count.fetch_add(1, Ordering::Relaxed).to_string();
        fs::rename(path, folder.join(name))
    }

    /// Removes a private folder, unless this process's folders are left to another.
    pub(super) fn remove_folder(&self, folder: &Path) {
        if !self.left.load(Ordering::Relaxed) {
            remove_folder(folder);
        }
    }

    /// Leaves this process's folders to another process.
    pub(super) fn leave_folders(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    /// Where discarded files are; `None` before the first.
    #[cfg(test)]
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.get().map(|(folder, _)| folder.as_path())
    }
}

impl Drop for Trash {
    fn drop(&mut self) {
        if let Some((folder, _)) = self.folder.get() {
            self.remove_folder(folder);
        }
    }
}
