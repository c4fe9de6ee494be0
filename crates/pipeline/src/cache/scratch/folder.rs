//! Private folders to work in, used again and again by one process.
//!
//! Making and removing folders is slow on some file systems (on ext4 with `discard` each removal of anything but an empty
//! file waits for the disk), moving them is not. So what is done with is emptied and kept for the next, and what has to
//! go is moved aside until the process ends.

use super::work::host_name;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// One private folder. Removed when the last of its users drops it.
#[derive(Debug)]
pub struct Scratch {
    root: PathBuf,
    /// Empty folders below `spare/`.
    spare: Mutex<Vec<PathBuf>>,
    rubbish: Arc<Rubbish>,
    /// Says that its process lives, also to other machines and containers.
    _lock: File,
    /// A file, locked, to be linked to where a stage is claimed. A new file for each stage, removed when it is done, would
    /// make ext4 look past all of those, for minutes, whenever it makes another.
    _claim: File,
}

/// What this process no longer needs, in one folder.
#[derive(Debug)]
struct Rubbish {
    work: PathBuf,
    /// Made, and locked, when there is some.
    folder: OnceLock<(PathBuf, File)>,
    count: AtomicUsize,
    bytes: AtomicU64,
    /// Somebody else removes everything when this process has ended.
    left: AtomicBool,
}

/// What the names of all private folders begin with.
pub(super) const PREFIX: &str = "attempt-";

/// So many bytes of rubbish are kept for later at most: a disk shall not fill up with what nobody needs.
const MOST_RUBBISH: u64 = 64 << 20;

/// The file in each that is locked while its process lives.
pub(super) const LOCK: &str = "lock";

/// Another file that is.
const CLAIM: &str = "claim";

/// What the names of folders begin with that are being made, and not locked yet.
pub(super) const MAKING: &str = ".tmp-";

/// What the names of folders begin with that are being removed: whoever finds one goes on with that.
pub(super) const GONE: &str = ".gone-";

/// A new private folder, locked before it has a name that others would take for a dead one's.
fn locked_folder(work: &Path) -> io::Result<(PathBuf, File)> {
    loop {
        match try_locked_folder(work) {
            // Somebody who clears up took it for a dead process's, between two steps of its making.
            Err(error) if error.kind() == io::ErrorKind::NotFound && work.is_dir() => {}
            made => return made,
        }
    }
}

fn try_locked_folder(work: &Path) -> io::Result<(PathBuf, File)> {
    let making = tempfile::Builder::new().prefix(MAKING).tempdir_in(work)?;
    let lock = File::create(making.path().join(LOCK))?;
    // Not `try_lock`: somebody may be trying this moment whether it is locked. Where locks do not work, dead folders stay
    // until `gc`.
    let _ = lock.lock();
    let unique = making.path().file_name().unwrap_or_default().to_string_lossy().replace(MAKING, "");
    let root = work.join(format!("{}{unique}", prefix(std::process::id())));
    fs::rename(making.path(), &root)?;
    let _ = making.keep();
    Ok((root, lock))
}

/// Removes the private folder `folder`. It loses its name first: half removed, without its lock, nobody could tell it from
/// one of somebody who lives.
fn remove(folder: &Path) {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let gone = folder.with_file_name(format!("{GONE}{name}"));
    // Another may have been faster.
    if fs::rename(folder, &gone).is_ok() {
        let _ = remove_all(&gone);
    }
}

/// Removes a folder with all that is in it, folders that a program has made read-only, too.
pub(super) fn remove_all(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let _ = make_writable(folder);
            fs::remove_dir_all(folder)
        }
        removed => removed,
    }
}

fn make_writable(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

/// Whether the private folder `folder` is somebody's who lives, as far as locks tell.
pub(super) fn is_alive(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        Ok(lock) => lock.try_lock_shared().is_err(),
        // One of an older program, or just being removed by somebody.
        Err(_) => true,
    }
}

/// What the names of those of a process of this host begin with.
fn prefix(process: u32) -> String {
    format!("{PREFIX}{}-{process}-", host_name())
}

impl Scratch {
    fn new(work: &Path, rubbish: &Arc<Rubbish>) -> io::Result<Self> {
        let (root, lock) = locked_folder(work)?;
        for folder in ["out", "folder", "spare"] {
            fs::create_dir(root.join(folder))?;
        }
        let claim = File::create(root.join(CLAIM))?;
        let _ = claim.try_lock();
        Ok(Scratch { root, spare: Mutex::default(), rubbish: Arc::clone(rubbish), _lock: lock, _claim: claim })
    }

    /// A file that is locked while this folder's process lives, other than the one that says so.
    pub(super) fn claim(&self) -> PathBuf {
        self.root.join(CLAIM)
    }

    /// The empty folder that a stage fills with its output.
    pub fn out(&self) -> PathBuf {
        self.root.join("out")
    }

    /// Another empty folder, for what is no output.
    pub fn folder(&self) -> PathBuf {
        self.root.join("folder")
    }

    /// Makes the folder `path`, which lies in one of the two, and those above it that are missing.
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

    /// Empties it, and keeps its folders for the next.
    fn clear(&self) -> io::Result<()> {
        self.empty(&self.out())?;
        self.empty(&self.folder())
    }

    fn empty(&self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                self.rubbish.take(&entry.path())?;
                continue;
            }
            self.empty(&entry.path())?;
            let count = self.spare().len();
            if count < 64 {
                let kept = self.root.join("spare").join(count.to_string());
                fs::rename(entry.path(), &kept)?;
                self.spare().push(kept);
            } else {
                fs::remove_dir(entry.path())?;
            }
        }
        Ok(())
    }

    fn spare(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.rubbish.remove(&self.root);
    }
}

impl Rubbish {
    /// Takes a file away.
    fn take(&self, path: &Path) -> io::Result<()> {
        let file = fs::symlink_metadata(path)?;
        // Whose last name this is not, or what occupies nothing, is gone at once; much that does shall not wait either.
        if file.nlink() > 1 || file.blocks() == 0 || file.len() > 1 << 20 {
            return fs::remove_file(path);
        }
        // Of small files, too, there may be many; each takes up a block.
        if self.bytes.fetch_add(file.len().max(4096), Ordering::Relaxed) > MOST_RUBBISH {
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

    fn remove(&self, folder: &Path) {
        if !self.left.load(Ordering::Relaxed) {
            remove(folder);
        }
    }
}

impl Drop for Rubbish {
    fn drop(&mut self) {
        if let Some((folder, _)) = self.folder.get() {
            self.remove(folder);
        }
    }
}

/// The private folders of this process in one cache.
#[derive(Debug)]
pub(super) struct Pool {
    work: PathBuf,
    free: Mutex<Vec<Arc<Scratch>>>,
    rubbish: Arc<Rubbish>,
    /// What killed processes have left is looked for once.
    tidied: std::sync::Once,
}

impl Pool {
    pub(super) fn new(work: PathBuf) -> Self {
        let rubbish = Rubbish {
            work: work.clone(),
            folder: OnceLock::new(),
            count: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            left: AtomicBool::new(false),
        };
        Pool { work, free: Mutex::default(), rubbish: Arc::new(rubbish), tidied: std::sync::Once::new() }
    }

    /// One that nobody uses.
    pub(super) fn take(&self) -> io::Result<Arc<Scratch>> {
        self.tidied.call_once(|| remove_dead(&self.work));
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match free {
            Some(scratch) if scratch.root.exists() => Ok(scratch),
            _ => Scratch::new(&self.work, &self.rubbish).map(Arc::new),
        }
    }

    /// Somebody is done with it.
    pub(super) fn give_back(&self, scratch: Arc<Scratch>) {
        // One that cannot be emptied is dropped, and with that removed as far as it can be.
        if scratch.clear().is_ok() {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        }
    }

    /// Everything stays where it is when this process ends: [`remove_dead`] will be called for it.
    pub(super) fn leave(&self) {
        self.rubbish.left.store(true, Ordering::Relaxed);
    }
}

/// Removes the private folders below `work` whose processes are dead: killed, or ended and content that somebody else clears
/// up. No matter who removes them: another process may be at the same.
pub fn remove_dead(work: &Path) {
    for entry in fs::read_dir(work).into_iter().flatten().flatten() {
        let (name, folder) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        if name.starts_with(GONE) {
            let _ = remove_all(&folder);
        } else if name.starts_with(PREFIX) && !is_alive(&folder) || name.starts_with(MAKING) && !is_being_made(&folder)
        {
            remove(&folder);
        }
    }
}

/// Whether a folder that has not got its name yet is locked already. One that is not may be a living process's, too: that
/// will see it gone, and make another.
fn is_being_made(folder: &Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|lock| lock.try_lock_shared().is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_used_again_is_empty_and_its_folders_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let pool = Pool::new(dir.path().to_path_buf());
        let first = pool.take().unwrap();
        first.make_folder(&first.folder().join("a/b/c")).unwrap();
        fs::write(first.folder().join("a/b/file"), "x").unwrap();
        fs::write(first.out().join("file"), "x").unwrap();
        let place = first.folder();
        pool.give_back(first);
        let again = pool.take().unwrap();
        assert_eq!(again.folder(), place);
        for folder in [again.folder(), again.out()] {
            assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
        }
        assert_eq!(again.spare().len(), 3);
        assert!(pool.rubbish.folder.get().unwrap().0.join("1").exists(), "both files wait there");
        again.make_folder(&again.folder().join("x/y")).unwrap();
        again.make_folder(&again.folder().join("x/y")).unwrap();
        assert!(again.folder().join("x/y").is_dir());
        let other = pool.take().unwrap();
        assert_ne!(other.folder(), place, "the first is in use");
        drop((again, other, pool));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn no_more_than_a_little_is_kept_to_be_removed_later() {
        let dir = tempfile::tempdir().unwrap();
        let pool = Pool::new(dir.path().to_path_buf());
        for _ in 0..8 {
            let scratch = pool.take().unwrap();
            for file in 0..10 {
                fs::write(scratch.folder().join(file.to_string()), vec![1; 1 << 20]).unwrap();
            }
            pool.give_back(scratch);
        }
        let kept = fs::read_dir(&pool.rubbish.folder.get().unwrap().0).unwrap().count();
        assert!((60..70).contains(&kept), "{kept} MiB of 80");
    }

    #[test]
    fn what_a_dead_process_left_is_cleared_and_what_a_living_one_holds_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let dead = dir.path().join("attempt-elsewhere-1-x");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        let (living, lock) = locked_folder(dir.path()).unwrap();
        let _scratch = Pool::new(dir.path().to_path_buf()).take().unwrap();
        assert!(!dead.exists() && living.exists());
        drop(lock);
        remove_dead(dir.path());
        assert!(!living.exists());
    }

    #[test]
    fn what_was_killed_while_it_made_or_removed_a_folder_is_cleared() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".tmp-empty", ".tmp-locked-once", ".gone-attempt-here-1-x"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join(".tmp-locked-once").join(LOCK), "").unwrap();
        fs::write(dir.path().join(".gone-attempt-here-1-x/file"), "x").unwrap();
        remove_dead(dir.path());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    /// However often others clear up meanwhile, nobody's folder is taken away.
    #[test]
    fn folders_are_made_beside_those_who_clear_up() {
        let dir = tempfile::tempdir().unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let clearing = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    remove_dead(dir.path());
                }
            });
            let made: Vec<_> = (0..500).map(|_| locked_folder(dir.path()).unwrap()).collect();
            done.store(true, Ordering::Relaxed);
            clearing.join().unwrap();
            assert!(made.iter().all(|(folder, _)| folder.join(LOCK).exists()));
        });
    }
}
