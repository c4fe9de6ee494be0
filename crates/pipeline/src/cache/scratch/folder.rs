//! One private folder.

use super::locked_folder::locked_folder;
use super::trash::Trash;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A private folder with two empty folders in it. It is removed when its last user drops it.
#[derive(Debug)]
pub struct Scratch {
    root: PathBuf,
    /// Empty folders in `spare/`, to be used again.
    spare: Mutex<Vec<PathBuf>>,
    trash: Arc<Trash>,
    /// Tells other processes, also on other machines and in other containers, that this process lives.
    _lock: File,
    /// A locked file of which a claimed stage's lock file is a hard link. After a thousand stages that each made and removed a
    /// file of their own, ext4 would take longer to make any file, for minutes.
    _claim: File,
}

/// Name of the file to which claims of stages are linked.
const CLAIM: &str = "claim";

/// Maximum number of empty folders that are kept to be used again.
const MOST_SPARE: usize = 64;

impl Scratch {
    /// Makes a private folder in `work`.
    pub(super) fn new(work: &Path, trash: &Arc<Trash>) -> io::Result<Self> {
        let (root, lock) = locked_folder(work)?;
        for folder in ["out", "folder", "spare"] {
            fs::create_dir(root.join(folder))?;
        }
        let claim = File::create(root.join(CLAIM))?;
        let _ = claim.try_lock();
        Ok(Scratch { root, spare: Mutex::default(), trash: Arc::clone(trash), _lock: lock, _claim: claim })
    }

    /// Whether the folder still exists.
    pub(super) fn exists(&self) -> bool {
        self.root.exists()
    }

    /// The file that is locked while this folder's process lives, and to which claims of stages are linked.
    pub(in super::super) fn claim(&self) -> PathBuf {
        self.root.join(CLAIM)
    }

    /// The folder that a stage fills with its output.
    pub fn out(&self) -> PathBuf {
        self.root.join("out")
    }

    /// Another folder, for files that are not output.
    pub fn folder(&self) -> PathBuf {
        self.root.join("folder")
    }

    /// Makes the folder `path`, which must be below one of the two, and its missing parents.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn make_folder(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent().filter(|parent| !parent.is_dir()) {
            self.make_folder(parent)?;
        }
        match self.spare().pop() {
            Some(spare) => fs::rename(spare, path),
            None => fs::create_dir(path),
        }
    }

    /// Empties both folders, and keeps the folders in them to be used again.
    pub(super) fn clear(&self) -> io::Result<()> {
        self.empty(&self.out())?;
        self.empty(&self.folder())
    }

    fn empty(&self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                self.trash.discard(&entry.path())?;
                continue;
            }
            self.empty(&entry.path())?;
            let count = self.spare().len();
            if count < MOST_SPARE {
                let spare = self.root.join("spare").join(count.to_string());
                fs::rename(entry.path(), &spare)?;
                self.spare().push(spare);
            } else {
                fs::remove_dir(entry.path())?;
            }
        }
        Ok(())
    }

    pub(super) fn spare(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.trash.remove_folder(&self.root);
    }
}
