//! Folders that belong to one process: a lock in each tells whether the process lives.

use matssl_base::machine::host_name;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tracing::debug;

/// The names of private folders begin with this.
const PREFIX: &str = "attempt-";

/// The file in each private folder that is locked while its process lives.
const LOCK: &str = "lock";

/// The names of folders that are being made, and are not locked yet, begin with this.
const MAKING: &str = ".tmp-";

/// The names of folders that are being removed begin with this. Any process may finish the removal.
const REMOVING: &str = ".gone-";

/// Makes a private folder in `work`. It is locked before it gets its name, so that no other process takes it for the folder of a
/// dead one.
///
/// # Errors
/// A full or read-only disk.
pub(super) fn locked_folder(work: &Path) -> io::Result<(PathBuf, File)> {
    loop {
        match try_locked_folder(work) {
            // Another process has removed the folder, as that of a dead process, before it was locked.
            Err(error) if error.kind() == io::ErrorKind::NotFound && work.is_dir() => {}
            made => return made,
        }
    }
}

fn try_locked_folder(work: &Path) -> io::Result<(PathBuf, File)> {
    let making = tempfile::Builder::new().prefix(MAKING).tempdir_in(work)?;
    let lock = File::create(making.path().join(LOCK))?;
    // Not `try_lock`, because another process may hold the lock for a moment to see whether it is free. Where locks do not
    // work, folders of dead processes stay until `gc`.
    let _ = lock.lock();
    let unique = making.path().file_name().unwrap_or_default().to_string_lossy().replace(MAKING, "");
    let root = work.join(format!("{PREFIX}{}-{}-{unique}", host_name(), std::process::id()));
    fs::rename(making.path(), &root)?;
    let _ = making.keep();
    Ok((root, lock))
}

/// Removes a private folder. It is renamed first: if this process died half-way, without the lock the folder would look like
/// that of a living process.
pub(super) fn remove_folder(folder: &Path) {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let removing = folder.with_file_name(format!("{REMOVING}{name}"));
    // The rename fails if another process was faster.
    if fs::rename(folder, &removing).is_ok() {
        let _ = remove_all(&removing);
    }
}

/// Removes a folder and everything in it, also folders that a program has made read-only.
///
/// # Errors
/// If something cannot be removed.
pub(in super::super) fn remove_all(folder: &Path) -> io::Result<()> {
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

/// Whether a private folder belongs to a process on this host, by its name. What a lock says of processes on other hosts depends on
/// the file system.
pub(in super::super) fn is_of_this_host(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name.strip_prefix(PREFIX).and_then(|name| name.strip_prefix(&host_name())).is_some_and(|rest| rest.starts_with('-'))
}

/// Removes the private folders in `work` whose processes on this host were killed, or ended and left them. Several processes may do
/// this at the same time.
pub fn remove_dead(work: &Path) {
    for entry in fs::read_dir(work).into_iter().flatten().flatten() {
        let (name, folder) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        if name.starts_with(REMOVING) {
            let _ = remove_all(&folder);
        } else if is_of_this_host(&folder) && !is_alive(&folder) || name.starts_with(MAKING) && !is_being_made(&folder)
        {
            debug!(folder = %folder.display(), "removing the private folder of a process that ended");
            remove_folder(&folder);
        }
    }
}

/// Whether the process of a private folder lives, as far as its lock tells.
fn is_alive(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        Ok(lock) => lock.try_lock_shared().is_err(),
        // The folder of an older program, or one that another process is removing.
        Err(_) => true,
    }
}

/// Whether a folder without its final name is locked already. One that is not may belong to a living process, too: that process
/// then makes another.
fn is_being_made(folder: &Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|lock| lock.try_lock_shared().is_err())
}

/// Whether no living process is known to use a private folder: its lock is free, or it has none.
pub(in super::super) fn is_abandoned(folder: &Path) -> bool {
    !is_alive(folder) || !folder.join(LOCK).exists()
}

/// Whether a folder is a private one, by its name; also one that is being made or removed.
pub(in super::super) fn is_private_folder(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    [PREFIX, MAKING, REMOVING].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn folders_of_dead_processes_are_removed_and_those_of_living_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let dead = dir.path().join(format!("attempt-{}-1-x", host_name()));
        // Nobody here knows whether its process lives.
        let foreign = dir.path().join("attempt-elsewhere-1-x");
        for folder in [&dead, &foreign] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join(LOCK), "").unwrap();
        }
        let (living, lock) = locked_folder(dir.path()).unwrap();
        remove_dead(dir.path());
        assert!(!dead.exists() && living.exists() && foreign.exists());
        drop(lock);
        remove_dead(dir.path());
        assert!(!living.exists());
    }

    #[test]
    fn folders_of_processes_killed_while_they_made_or_removed_them_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".tmp-empty", ".tmp-locked-once", ".gone-attempt-here-1-x"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join(".tmp-locked-once").join(LOCK), "").unwrap();
        fs::write(dir.path().join(".gone-attempt-here-1-x/file"), "x").unwrap();
        remove_dead(dir.path());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_is_made_while_others_remove_those_of_dead_processes() {
        let dir = tempfile::tempdir().unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let removing = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    remove_dead(dir.path());
                }
            });
            let made: Vec<_> = (0..500).map(|_| locked_folder(dir.path()).unwrap()).collect();
            done.store(true, Ordering::Relaxed);
            removing.join().unwrap();
            assert!(made.iter().all(|(folder, _)| folder.join(LOCK).exists()));
        });
    }
}
